//! The example workflows, the reusable one and the action: permissions, pins, and nothing that
//! could be talked into more.
//!
//! What zizmor, actionlint and the JSON Schemas say of them is in `scripts/test`; here is what only
//! we can know.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::forge_job::{GATE, JUDGE, PUBLISH, RUN};

/// The examples with the four jobs.
const SPLIT: &[&str] = &["comment.yml", "schedule.yml", "dispatch.yml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// A workflow or an action, parsed.
pub(crate) fn parsed(name: &str) -> Value {
    serde_yaml::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn example(name: &str) -> Value {
    parsed(&format!("examples/workflows/{name}"))
}

fn listed(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(dir)).unwrap();
    let names = entries.map(|entry| {
        format!(
            "{dir}/{}",
            entry.unwrap().file_name().into_string().unwrap()
        )
    });
    names.filter(|name| name.ends_with(".yml")).collect()
}

/// All workflows, ours and the examples.
fn workflows() -> Vec<String> {
    let all = [listed(".github/workflows"), listed("examples/workflows")].concat();
    assert!(all.len() >= 8, "{all:?}");
    all
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

/// The steps of a workflow's jobs, or of an action.
fn steps(parsed: &Value) -> Vec<&Value> {
    let lists = match parsed["jobs"].as_object() {
        Some(jobs) => jobs.values().map(|job| &job["steps"]).collect(),
        None => vec![&parsed["runs"]["steps"]],
    };
    lists
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .collect()
}

fn permissions(job: &Value) -> BTreeMap<&str, &str> {
    let granted = job["permissions"]
        .as_object()
        .expect("every job says what it may do");
    granted
        .iter()
        .map(|(name, right)| (name.as_str(), right.as_str().unwrap()))
        .collect()
}

#[test]
fn every_workflow_grants_nothing_at_its_top_but_ci_that_reads() {
    for name in workflows() {
        let workflow = parsed(&name);
        let top = workflow["permissions"]
            .as_object()
            .unwrap_or_else(|| panic!("{name} has no permissions"));
        assert!(
            top.is_empty() || name == ".github/workflows/ci.yml",
            "{name}: {top:?}"
        );
    }
}

#[test]
fn each_of_the_four_jobs_may_do_what_it_needs_and_no_more() {
    let wanted = [
        ("intake", GATE),
        ("run", RUN),
        ("judge", JUDGE),
        ("publish", PUBLISH),
    ];
    let files = SPLIT
        .iter()
        .map(|name| format!("examples/workflows/{name}"));
    for name in files.chain([".github/workflows/omk.yml".to_owned()]) {
        let workflow = parsed(&name);
        assert_eq!(jobs(&workflow).count(), 4, "{name}");
        for (job, needs) in wanted {
            assert_eq!(
                permissions(&workflow["jobs"][job]),
                needs.iter().copied().collect(),
                "{job} of {name}"
            );
        }
    }
}

#[test]
fn a_caller_grants_exactly_what_the_called_jobs_ask_for_together() {
    let called = parsed(".github/workflows/omk.yml");
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, right) in jobs(&called).flat_map(|(_, job)| permissions(job)) {
        let most = asked.entry(name).or_insert(right);
        if right == "write" {
            *most = right;
        }
    }
    let mut callers = 0;
    for name in listed("examples/workflows") {
        let workflow = parsed(&name);
        for (id, job) in jobs(&workflow).filter(|(_, job)| job["uses"].is_string()) {
            callers += 1;
            assert!(
                job["uses"]
                    .as_str()
                    .unwrap()
                    .contains("/.github/workflows/omk.yml@"),
                "{id} of {name}"
            );
            assert_eq!(permissions(job), asked, "{id} of {name}");
            let secrets = called["on"]["workflow_call"]["secrets"]
                .as_object()
                .unwrap();
            let given = job["secrets"]
                .as_object()
                .expect("secrets are named, never inherited");
            assert!(
                given.keys().all(|secret| secrets.contains_key(secret)),
                "{id} of {name}"
            );
        }
    }
    assert_eq!(callers, 1);
}

#[test]
fn the_reusable_workflow_is_the_example_with_inputs() {
    let (called, example) = (parsed(".github/workflows/omk.yml"), example("comment.yml"));
    let omk = |job: &Value| -> BTreeMap<String, Value> {
        let one = serde_json::json!({"jobs": {"one": job}});
        let step = steps(&one)
            .into_iter()
            .find(|step| step["with"]["command"].is_string())
            .cloned()
            .unwrap();
        serde_json::from_value(step["with"].clone()).unwrap()
    };
    for (id, job) in jobs(&called) {
        let wanted = &example["jobs"][id];
        for key in [
            "needs",
            "outputs",
            "permissions",
            "timeout-minutes",
            "concurrency",
        ] {
            assert_eq!(job[key], wanted[key], "{key} of {id}");
        }
        assert_eq!(job["if"] == wanted["if"], id != "intake", "{id}");
        let (given, wanted) = (omk(job), omk(wanted));
        let differs: Vec<_> = wanted
            .iter()
            .filter(|(name, value)| given.get(*name) != Some(value))
            .collect();
        assert_eq!(differs, Vec::<(&String, &Value)>::new(), "{id}");
        let more = given.iter().filter(|(name, _)| !wanted.contains_key(*name));
        let from_inputs = |value: &Value| {
            value
                .as_str()
                .is_some_and(|value| value.contains("inputs.") || value.contains("secrets."))
        };
        assert_eq!(
            more.filter(|(_, value)| !from_inputs(value)).count(),
            0,
            "{id}"
        );
    }
    let asked = called["on"]["workflow_call"]["inputs"].as_object().unwrap();
    let text = text(".github/workflows/omk.yml");
    let unused: Vec<_> = asked
        .keys()
        .filter(|name| !text.contains(&format!("inputs.{name} ")))
        .collect();
    assert_eq!(unused, Vec::<&String>::new());
}

#[test]
fn no_job_has_a_name_that_a_check_of_ours_has() {
    for name in workflows() {
        let workflow = parsed(&name);
        for (id, job) in jobs(&workflow) {
            for named in [id.as_str(), job["name"].as_str().unwrap_or(id)] {
                // A called workflow's jobs are shown as `caller / job`.
                let ours = ["omk", "omk plan"].contains(&named) || named.starts_with("omk /");
                assert!(!ours, "{name}: a job may not be called `{named}`");
            }
        }
    }
}

#[test]
fn only_run_waits_and_only_run_has_the_key() {
    let files = SPLIT
        .iter()
        .map(|name| format!("examples/workflows/{name}"));
    for name in files.chain([".github/workflows/omk.yml".to_owned()]) {
        let workflow = parsed(&name);
        for (id, job) in jobs(&workflow) {
            let run = id == "run";
            assert_eq!(job["concurrency"].is_object(), run, "{id} of {name}");
            assert_eq!(job["environment"].is_string(), run, "{id} of {name}");
            assert_eq!(
                job.to_string().contains("KIMI_API_KEY"),
                run,
                "{id} of {name}"
            );
            assert!(job["timeout-minutes"].is_u64(), "{id} of {name}");
        }
        let group = &workflow["jobs"]["run"]["concurrency"];
        assert_eq!(
            group["group"], "omk-${{ needs.intake.outputs.scope }}",
            "{name}"
        );
        assert_eq!(group["cancel-in-progress"], false, "{name}");
        assert!(
            workflow["concurrency"].is_null() && workflow["env"].is_null(),
            "{name}"
        );
        assert_eq!(workflow["cache-mode"], "none", "{name}");
    }
}

#[test]
fn who_publishes_does_so_whatever_became_of_the_others() {
    for name in SPLIT {
        let workflow = example(name);
        let condition = |job: &str| {
            workflow["jobs"][job]["if"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(
            condition("publish"),
            "always() && needs.intake.outputs.go == 'true'",
            "{name}"
        );
        assert_eq!(
            condition("run"),
            "needs.intake.outputs.go == 'true'",
            "{name}"
        );
        assert!(condition("judge").contains("!cancelled()"), "{name}");
    }
    let gate = &example("comment.yml")["jobs"]["intake"]["if"];
    assert_eq!(
        gate,
        "github.event.issue.pull_request && contains(github.event.comment.body, '/omk')"
    );
}

#[test]
fn later_jobs_get_what_earlier_ones_say_and_nothing_from_the_event() {
    for name in SPLIT {
        let workflow = example(name);
        for (id, job) in jobs(&workflow) {
            let inputs = steps(&serde_json::json!({"jobs": {"one": job}}))
                .iter()
                .map(|step| step["with"].to_string())
                .collect::<String>();
            assert!(
                !inputs.contains("github.event"),
                "{id} of {name} takes something from the event itself"
            );
            assert_eq!(
                inputs.contains("needs.intake.outputs.request"),
                id != "intake",
                "{id} of {name}"
            );
        }
    }
}

#[test]
fn the_actions_outputs_are_those_that_workflows_use() {
    let action = parsed("action.yml");
    let outputs = action["outputs"].as_object().unwrap();
    let inputs = action["inputs"].as_object().unwrap();
    for (name, output) in outputs {
        assert_eq!(
            output["value"],
            format!("${{{{ steps.omk.outputs.{name} }}}}")
        );
    }
    for name in workflows() {
        let workflow = parsed(&name);
        for step in steps(&workflow) {
            let uses = step["uses"].as_str().unwrap_or_default();
            if uses.contains("omk-action") {
                let given = step["with"].as_object();
                let unknown: Vec<_> = given
                    .into_iter()
                    .flatten()
                    .filter(|(input, _)| !inputs.contains_key(*input))
                    .collect();
                assert!(unknown.is_empty(), "{name}: {unknown:?}");
            }
        }
        for (_, job) in jobs(&workflow) {
            for output in job["outputs"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, value)| value.as_str().unwrap())
            {
                let Some((_, asked)) = output.split_once("steps.omk.outputs.") else {
                    continue;
                };
                assert!(
                    outputs.contains_key(asked.trim_end_matches(" }}")),
                    "{name}: {output}"
                );
            }
        }
    }
}

#[test]
fn the_step_that_runs_omk_becomes_omk() {
    let action = parsed("action.yml");
    let step = steps(&action)
        .into_iter()
        .find(|step| step["id"] == "omk")
        .unwrap();
    assert_eq!(
        step["run"].as_str().unwrap().lines().last(),
        Some("exec omk ci")
    );
    assert_eq!(step["shell"], "bash");
    // An input that no variable carries would be ignored in silence.
    let carried: String = steps(&action)
        .iter()
        .map(|step| format!("{}{}", step["env"], step))
        .collect();
    let lost = action["inputs"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|input| !carried.contains(&format!("inputs.{input}")));
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What the step before omk does on a machine with that setting; `sudo`: how its sudo ends. Whether
/// it failed, and what it asked sudo.
fn allows_namespaces(setting: Option<&str>, sudo: i32) -> (bool, String) {
    let action = parsed("action.yml");
    let all = steps(&action);
    let at = |name: &str| all.iter().position(|step| step["name"] == name).unwrap();
    assert!(
        at("allow omk namespaces") < at("omk"),
        "omk takes sudo away"
    );
    let step = all[at("allow omk namespaces")];
    assert_eq!(
        (&step["continue-on-error"], step["shell"].as_str()),
        (&Value::Bool(true), Some("bash"))
    );
    let machine = tempfile::tempdir().unwrap();
    let at = |name: &str| machine.path().join(name).display().to_string();
    if let Some(setting) = setting {
        std::fs::write(at("setting"), setting).unwrap();
    }
    std::fs::write(
        at("sudo"),
        format!("#!/bin/sh\necho \"$*\" >> {}\nexit {sudo}\n", at("asked")),
    )
    .unwrap();
    std::fs::set_permissions(at("sudo"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = step["run"].as_str().unwrap();
    let script = script.replace(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        &at("setting"),
    );
    let path = format!(
        "{}:{}",
        machine.path().display(),
        std::env::var("PATH").unwrap()
    );
    let bash = ["--noprofile", "--norc", "-eo", "pipefail", "-c"];
    let ended = Command::new("bash")
        .args(bash)
        .arg(script)
        .env("PATH", path)
        .output()
        .unwrap();
    (
        !ended.status.success(),
        std::fs::read_to_string(at("asked")).unwrap_or_default(),
    )
}

#[test]
fn namespaces_are_allowed_before_sudo_goes_and_only_where_that_is_needed_and_can_be_done() {
    let asked = "-n true\n-n sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0\n";
    assert_eq!(allows_namespaces(Some("1\n"), 0), (false, asked.to_owned()));
    assert_eq!(
        allows_namespaces(Some("1\n"), 1),
        (false, "-n true\n".to_owned()),
        "a password would be needed"
    );
    assert_eq!(
        allows_namespaces(Some("0\n"), 0),
        (false, String::new()),
        "they are allowed already"
    );
    assert_eq!(
        allows_namespaces(None, 0),
        (false, String::new()),
        "no such kernel"
    );
}

// What must be nowhere: a text scan, for README and pages have YAML too.

/// Every file with YAML of workflows in it.
fn scanned() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = workflows().iter().map(|name| root().join(name)).collect();
    let mut stack = vec![root().join("examples")];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            match extension {
                _ if path.is_dir() => stack.push(path),
                Some("md" | "yml" | "yaml") => found.push(path),
                Some(_) | None => {}
            }
        }
    }
    found.extend([root().join("README.md"), root().join("action.yml")]);
    found
}

/// What a text does that no workflow of ours may do, a line each.
fn faults(text: &str) -> Vec<String> {
    let (mut found, lines) = (Vec::new(), text.lines().collect::<Vec<_>>());
    // The indent of a `run: |` whose script goes on.
    let mut script: Option<usize> = None;
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if script.is_some_and(|outer| !line.trim().is_empty() && indent <= outer) {
            script = None;
        }
        let bare = line.trim_start().trim_start_matches("- ");
        let runs = bare.strip_prefix("run:");
        if (script.is_some() || runs.is_some()) && line.contains("${{") {
            found.push(format!("an expression in a script: {}", line.trim()));
        }
        if runs.is_some_and(|rest| rest.trim_start().starts_with(['|', '>'])) {
            script = Some(indent + line.trim_start().len() - bare.len());
        }
        if let Some(uses) = bare.strip_prefix("uses:") {
            found.extend(unpinned(uses.trim()));
            let after = lines[at..]
                .iter()
                .take(8)
                .copied()
                .collect::<Vec<_>>()
                .join("\n");
            if uses.contains("actions/checkout@") && !after.contains("persist-credentials: false") {
                found.push(format!("a checkout that leaves its token: {}", line.trim()));
            }
            if uses.contains("/cache") || uses.contains("rust-cache") {
                found.push(format!("a cache: {}", line.trim()));
            }
        }
        // `cache: []` is GitLab's word for none, whatever the project's default is.
        if (bare.starts_with("cache:") && bare != "cache: []")
            || bare.starts_with("pull_request_target")
        {
            found.push(format!(
                "a cache, or an event with all rights: {}",
                line.trim()
            ));
        }
    }
    found
}

/// Why what a step uses may be something else tomorrow.
fn unpinned(uses: &str) -> Option<String> {
    let (what, comment) = uses.split_once(" #").unwrap_or((uses, ""));
    let what = what.trim().trim_matches(['"', '\'']);
    if what.starts_with("./") {
        return None;
    }
    let commit = what.split_once('@').map_or("", |(_, commit)| commit);
    let pinned = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!pinned || comment.is_empty())
        .then(|| format!("not pinned by a commit with a comment: {uses}"))
}

#[test]
fn no_script_has_expressions_and_everything_used_is_pinned() {
    let mut found = Vec::new();
    for path in scanned() {
        let text = std::fs::read_to_string(&path).unwrap();
        found.extend(
            faults(&text)
                .into_iter()
                .map(|fault| format!("{}: {fault}", path.display())),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_scan_sees_what_it_is_for() {
    let text = "
      - uses: actions/checkout@v4
      - uses: Swatinem/rust-cache@0123456789012345678901234567890123456789 # v2
      - run: echo ${{ github.event.comment.body }}
      - run: |
          one
          two ${{ inputs.args }}
      - name: fine
        env: { A: '${{ inputs.args }}' }
      - uses: actions/setup-node@0123456789012345678901234567890123456789 # v6
        with:
          cache: npm
";
    let found = faults(text);
    assert_eq!(found.len(), 6, "{found:#?}");
    assert_eq!(
        faults("  - uses: omk-action/omk-action@0000000000000000000000000000000000000000 # pin\n"),
        Vec::<String>::new()
    );
}

#[test]
fn in_one_job_only_what_starts_a_run_waits_for_another() {
    let workflow = example("one-job.yml");
    let group = workflow["jobs"]["agents"]["concurrency"]["group"]
        .as_str()
        .unwrap();
    // A group of its own for every other comment: a cancel that waits for the run to end is none.
    let starts = "github.event_name != 'issue_comment' || contains(github.event.comment.body, '/omk run') || \
                  contains(github.event.comment.body, '/omk retry')";
    let wanted = format!(
        "omk-${{{{ github.event.issue.number || 'maintenance' }}}}-${{{{ ({starts}) && 'run' || github.run_id }}}}"
    );
    assert_eq!(group, wanted);
}
