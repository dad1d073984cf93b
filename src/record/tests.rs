//! Old records, and what becomes of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::plan::{OnDependencyFailure, Work};

/// A record as 0.5.0 wrote it before it had policies.
fn legacy(changes: Value) -> Value {
    let mut record = json!({
        "id": "t1", "name": "test", "description": "", "dependencies": [], "priority": 0, "owner": null,
        "lease_expires": null, "retry_count": 0, "state": "pending", "created_at": "2024-01-01T00:00:00Z",
        "started_at": null, "completed_at": null, "read_set": [], "write_set": [],
    });
    if let (Some(record), Value::Object(changes)) = (record.as_object_mut(), changes) {
        record.extend(changes);
    }
    record
}

fn record(changes: Value) -> Record {
    serde_json::from_value(legacy(changes)).expect("a record")
}

fn convert(records: Vec<Value>) -> FromOmk {
    let records: Vec<_> = records.into_iter().map(record).collect();
    to_plan(&records, "old".parse().expect("a name"))
}

#[test]
fn max_retries_counts_only_under_a_default_policy() {
    let attempts = |changes| record(changes).effective_policy().max_attempts;
    assert_eq!(attempts(json!({})), 2);
    assert_eq!(attempts(json!({"max_retries": 5})), 5);
    assert_eq!(attempts(json!({"max_retries": 5, "retry_policy": {}})), 5);
    assert_eq!(
        attempts(json!({"max_retries": 5, "retry_policy": {"max_attempts": 7}})),
        7
    );
    assert_eq!(
        attempts(json!({"max_retries": 5, "retry_policy": {"backoff_seconds": 9}})),
        2
    );
    assert_eq!(
        attempts(json!({"max_retries": 2, "retry_policy": {"max_attempts": 7}})),
        7
    );
}

#[test]
fn a_policy_has_its_old_defaults() {
    let policy = record(json!({"retry_policy": {"max_attempts": 1}})).effective_policy();
    assert_eq!(
        policy,
        Policy {
            max_attempts: 1,
            ..Policy::default()
        }
    );
    assert_eq!(
        (policy.backoff_seconds, policy.backoff_multiplier),
        (1, 2.0)
    );
    assert!(policy.terminal_on_permanent_failure);
}

#[test]
fn unknown_keys_survive_and_max_retries_is_never_written() {
    let written = serde_json::to_value(record(
        json!({"max_retries": 5, "role": "x", "deep": {"a": [1]}}),
    ))
    .expect("JSON");
    assert_eq!(written["role"], "x");
    assert_eq!(written["deep"], json!({"a": [1]}));
    assert_eq!(written.get("max_retries"), None);
    assert_eq!(written["created_at"], "2024-01-01T00:00:00Z");
    assert_eq!(written["retry_policy"]["max_attempts"], 2);
    assert!(written["owner"].is_null() && written["lease_expires"].is_null());
}

#[test]
fn a_lease_ends_strictly_after_its_expiry() {
    let end: DateTime<Utc> = "2024-01-01T00:00:30Z".parse().expect("a date");
    let leased = record(json!({"lease_expires": "2024-01-01T00:00:30Z"}));
    assert!(!leased.lease_expired(end));
    assert!(leased.lease_expired(end + chrono::TimeDelta::milliseconds(1)));
    assert!(record(json!({})).lease_expired(end));
}

#[test]
fn a_backoff_shows_no_owner_and_the_time_it_wakes_up() {
    let made = convert(vec![
        json!({"id": "api", "write_set": ["src"], "role": "backend"}),
    ]);
    let task = &made.plan.tasks[0];
    let mut status = TaskStatus {
        id: &task.id,
        state: TaskState::Running,
        waits: None,
        attempt: 1,
        retry_count: 1,
        lease_expires: Some(Moment::from_millis(300_000)),
        failed_gates: &[],
        failure: None,
        cancelled: None,
        change: None,
        landed: None,
        ejected: None,
        created_at: Moment::from_millis(0),
        started_at: Some(Moment::from_millis(500)),
        completed_at: None,
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&Record::of(task, &status, "worker-1")).expect("JSON"), @r#"
    {
      "id": "api",
      "name": "test",
      "description": "",
      "dependencies": [],
      "priority": 0,
      "owner": "worker-1",
      "lease_expires": "1970-01-01T00:05:00Z",
      "retry_count": 1,
      "retry_policy": {
        "max_attempts": 2,
        "backoff_seconds": 1,
        "backoff_multiplier": 2.0,
        "terminal_on_permanent_failure": true,
        "jitter": 0.0
      },
      "state": "running",
      "created_at": "1970-01-01T00:00:00Z",
      "started_at": "1970-01-01T00:00:00.500Z",
      "completed_at": null,
      "read_set": [],
      "write_set": [
        "src"
      ],
      "write_set_declared": true,
      "role": "backend"
    }
    "#);
    status.state = TaskState::Pending;
    status.waits = Some(WaitReason::Backoff(Moment::from_millis(7_000)));
    let resting = Record::of(task, &status, "worker-1");
    assert_eq!(resting.owner, None);
    assert_eq!(
        resting.lease_expires,
        Some(Moment::from_millis(7_000).to_utc())
    );
}

#[test]
fn arrays_and_lines_are_read() {
    let (one, two) = (
        legacy(json!({})),
        legacy(json!({"id": "t2", "state": "failed"})),
    );
    let lines = format!("{one}\n\n{two}\n");
    let read_lines = read(&lines).expect("lines");
    assert_eq!(read(&json!([one, two]).to_string()), Ok(read_lines.clone()));
    assert_eq!(
        read_lines
            .iter()
            .map(|record| record.state)
            .collect::<Vec<_>>(),
        [TaskState::Pending, TaskState::Failed]
    );
    assert_eq!(read(&format!("\u{feff}{lines}")), Ok(read_lines));
    assert_eq!(read(" \n"), Ok(vec![]));
    assert_eq!(read("[]"), Ok(vec![]));
}

#[test]
fn the_record_and_the_line_of_a_mistake_are_named() {
    let said = |text: &str| read(text).expect_err("a mistake").to_string();
    let fine = legacy(json!({}));
    let lines = |changes| format!("{fine}\n{}\n{fine}", legacy(changes));
    let line = said(&lines(json!({"id": "t2", "state": "done"})));
    assert!(
        line.starts_with("read record 2 (`t2`) at line 2, column "),
        "{line}"
    );
    assert!(
        line.ends_with(
            "`done` is none of `pending`, `claimed`, `running`, `completed`, `failed`, `cancelled`"
        ),
        "{line}"
    );
    let reason = |text: &str| match read(text) {
        Err(BadRecords::Malformed {
            number,
            line,
            reason,
            ..
        }) => (number, line, reason),
        Ok(records) => panic!("{records:?}"),
    };
    let negative = (
        2,
        2,
        "integer `-1` stands where a whole number that is not negative belongs".to_owned(),
    );
    assert_eq!(reason(&lines(json!({"retry_count": -1}))), negative);
    assert_eq!(
        reason("[\n{\"id\": \"a\"}\n]"),
        (1, 2, "it has no `name`".to_owned())
    );
    assert_eq!(
        reason(&format!("[\n{fine},\n7]")),
        (
            2,
            3,
            "integer `7` stands where a JSON object belongs".to_owned()
        )
    );
    assert_eq!(reason("{\"id\": \"a\", \"name\": ").0, 1);
    assert_eq!(reason(&format!("[{fine}] x")).0, 2);
    assert_eq!(reason("nonsense").1, 1);
}

#[test]
fn a_plan_is_made_and_every_change_is_said() {
    let made = convert(vec![
        json!({"id": "Build All!", "name": "Build", "command": "make", "role": "ci", "priority": 3, "write_set": ["out/**"]}),
        json!({"id": "docs", "name": "Docs", "description": "Write them", "dependencies": ["Build All!", "gone", "old"],
               "max_retries": 0, "retry_policy": {}, "state": "running"}),
        json!({"id": "old", "name": "Old", "state": "completed"}),
        json!({"id": "build-all", "name": "Just a name", "read_set": ["/etc", "src"], "write_set": ["../x", "a"],
               "retry_policy": {"backoff_multiplier": 0.5, "jitter": 7.0}}),
        json!({"id": "docs", "name": " ", "dependencies": ["docs"]}),
    ]);
    insta::assert_snapshot!(made.said.join("\n"), @"
    `old` is completed already, so the plan leaves it out
    `Build All!` is now `build-all-2`
    another `docs` is now `docs-2`
    `docs` no longer depends on `gone`, which does not exist
    `docs` no longer depends on `old`, which is completed already
    `docs` was running, and starts anew
    `build-all` lost `../x` from its write_set: it holds `..`: paths are relative to the repository and stay in it
    `build-all` has no write_set any more, since what is left of it would be too little
    `build-all` lost `/etc` from its read_set: it is absolute: paths are relative to the repository, without a leading `/`
    `build-all` has a backoff_multiplier of 1 instead of 0.5
    `build-all` has a jitter of 1 instead of 7
    no gate was made: add one, since nothing unverified is ever ready
    ");
    insta::assert_snapshot!(
        made.plan.tasks.iter().map(|task| format!("{} {:?} {:?} {:?} {}\n", task.id, task.work, task.write_set, task.dependencies, task.retry_policy.max_attempts)).collect::<String>(),
        @r#"
    build-all-2 Run("make") Declared([Glob(out/**)]) [] 2
    docs Prompt("Write them") Unknown [TaskId(build-all-2)] 0
    build-all Prompt("Just a name") Unknown [] 2
    docs-2 Prompt("docs-2") Unknown [TaskId(docs)] 2
    "#
    );
    assert_eq!(
        made.plan.tasks[0].metadata,
        json!({"role": "ci"}).as_object().cloned().expect("a map")
    );
    assert_eq!(
        made.plan.tasks[0].on_dependency_failure,
        OnDependencyFailure::Skip
    );
    assert_eq!(
        made.plan.tasks[1].on_dependency_failure,
        OnDependencyFailure::Run
    );
}

#[test]
fn an_empty_write_set_is_unknown_unless_declared() {
    let made = convert(vec![
        json!({}),
        json!({"id": "t2", "write_set_declared": true}),
    ]);
    assert_eq!(made.plan.tasks[0].write_set, WriteSet::Unknown);
    assert_eq!(made.plan.tasks[1].write_set, WriteSet::Declared(vec![]));
}

#[test]
fn circles_are_broken() {
    let made = convert(vec![
        json!({"id": "a", "dependencies": ["b"]}),
        json!({"id": "b", "dependencies": ["c", "b"]}),
        json!({"id": "c", "dependencies": ["a"]}),
    ]);
    assert_eq!(
        made.said[..2],
        [
            "`a` no longer depends on `b`: 3 tasks depended on each other in a circle",
            "`b` no longer depends on `b`: 1 task depended on each other in a circle",
        ]
    );
}

#[test]
fn a_command_that_is_no_text_becomes_metadata() {
    let made = convert(vec![json!({"command": ["make"]})]);
    assert_eq!(made.plan.tasks[0].work, Work::Prompt("test".into()));
    assert!(made.plan.tasks[0].metadata.contains_key("command"));
}

proptest! {
    #[test]
    fn records_survive_being_written(
        id in "\\PC{1,8}", priority in any::<i32>(), retries in any::<u32>(), seconds in any::<u64>(), role in "\\PC{0,8}",
    ) {
        let before = record(json!({
            "id": id, "priority": priority, "retry_count": retries, "retry_policy": {"backoff_seconds": seconds}, "role": role,
        }));
        let text = serde_json::to_string(&before).expect("JSON");
        prop_assert_eq!(read(&text), Ok(vec![before]));
    }

    #[test]
    fn a_plan_made_of_a_record_is_one_that_can_be_read(
        texts in prop::array::uniform4("(?s).{0,12}"), numbers in any::<(i32, u32, u64)>(), factor in -2.0..9.0,
        paths in prop::collection::vec("[ab*/.\\[]{0,6}", 0..3),
    ) {
        let [id, name, description, role] = texts;
        let made = convert(vec![json!({
            "id": id, "name": name, "description": description, "priority": numbers.0, "role": role, "write_set": paths,
            "retry_policy": {"max_attempts": numbers.1, "backoff_seconds": numbers.2, "backoff_multiplier": factor},
        })]);
        let text = crate::plan::to_yaml(&made.plan);
        match crate::plan::parse(text.as_bytes(), "omk.yaml", "old") {
            Ok(plan) => prop_assert_eq!(plan, made.plan),
            Err(complaints) => prop_assert!(false, "{complaints}"),
        }
    }

    #[test]
    fn every_set_of_records_makes_a_plan(
        rows in prop::collection::vec(("[aB -]{0,3}", prop::collection::vec("[aB -]{0,3}", 0..3)), 0..8),
    ) {
        let rows = rows.into_iter().map(|(id, on)| json!({"id": id, "dependencies": on})).collect::<Vec<_>>();
        let tasks = convert(rows.clone()).plan.tasks;
        prop_assert_eq!(tasks.len(), rows.len());
        let ids: std::collections::HashSet<_> = tasks.iter().map(|task| &task.id).collect();
        prop_assert_eq!(ids.len(), tasks.len());
        prop_assert!(tasks.iter().flat_map(|task| &task.dependencies).all(|on| ids.contains(on)));
    }
}
