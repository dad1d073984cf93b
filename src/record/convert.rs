//! From records of omk 0.5.0 to a plan that does the same, and what had to be changed on the way.
//!
//! It refuses to drop anything silently: whatever the plan cannot hold is said.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{FIELDS, Policy, Record};
use crate::glob::Glob;
use crate::graph::Graph;
use crate::id::{PlanName, TaskId};
use crate::plan::{
    Agent, Baseline, ChangePolicy, Commands, DEFAULT_IDLE_TIMEOUT, DEFAULT_TIMEOUT, Deliver,
    Limits, OnDependencyFailure, Plan, RetryPolicy, Room, Size, Task, Work, WriteSet,
};
use crate::text::plural;

/// A plan made of records.
#[derive(Debug, Clone, PartialEq)]
pub struct FromOmk {
    /// The plan: unfinished tasks in the order of their records.
    pub plan: Plan,
    /// What had to be changed, one sentence each, in the order of the records.
    pub said: Vec<String>,
}

/// A plan that does what 0.5.0 would have done with `records`, as far as a plan can say it.
///
/// Tasks that are finished are listed in `said` only. Where several records have the same id,
/// dependencies mean the first of them, as they would have by then.
#[must_use]
pub fn to_plan(records: &[Record], name: PlanName) -> FromOmk {
    let finished = records.iter().filter(|record| record.state.is_final());
    let mut said: Vec<String> = finished
        .map(|record| {
            format!(
                "`{}` is {} already, so the plan leaves it out",
                shown(&record.id),
                record.state.as_str()
            )
        })
        .collect();
    let ids = slugs(records, &mut said);
    let needed = needed_records(records, &mut said);
    let tasks = records
        .iter()
        .enumerate()
        .filter(|(_, record)| !record.state.is_final())
        .map(|(at, record)| {
            task(
                record,
                ids[at].clone(),
                needed[at].iter().map(|&on| ids[on].clone()).collect(),
                &mut said,
            )
        })
        .collect::<Vec<_>>();
    if tasks.is_empty() {
        said.push("no unfinished task is left, so the plan has none".into());
    } else {
        said.push("no gate was made: add one, since nothing unverified is ever ready".into());
    }
    FromOmk {
        plan: plan(name, tasks),
        said,
    }
}

/// A unique task id for each record; the map is said where an id had to be changed.
fn slugs(records: &[Record], said: &mut Vec<String>) -> Vec<TaskId> {
    let mut taken = HashSet::new();
    // What is a task id already stays itself, whatever other ids become.
    let kept: HashSet<&str> = records
        .iter()
        .map(|record| record.id.as_str())
        .filter(|id| id.parse::<TaskId>().is_ok())
        .collect();
    let mut next_number: HashMap<String, usize> = HashMap::new();
    let mut ids = Vec::with_capacity(records.len());
    for record in records {
        let slug = slug(&record.id);
        let mut candidate = slug.clone();
        while taken.contains(&candidate)
            || (candidate != record.id && kept.contains(candidate.as_str()))
        {
            let number = next_number.entry(slug.clone()).or_insert(1);
            *number += 1;
            let suffix = format!("-{number}");
            candidate = format!(
                "{}{suffix}",
                &slug[..slug.len().min(MAX_SLUG - suffix.len())]
            );
        }
        if candidate != record.id && !record.state.is_final() {
            let which = if taken.contains(&record.id) {
                "another "
            } else {
                ""
            };
            said.push(format!(
                "{which}`{}` is now `{candidate}`",
                shown(&record.id)
            ));
        }
        taken.insert(candidate.clone());
        ids.push(candidate.parse().expect("a slug is a task id"));
    }
    ids
}

/// The longest task id.
const MAX_SLUG: usize = 64;

/// The id itself where it may stay, else in lower case, with `-` for what a task id cannot hold.
fn slug(id: &str) -> String {
    if id.parse::<TaskId>().is_ok() {
        return id.into();
    }
    let mut slug = String::new();
    for next in id.to_lowercase().chars() {
        if next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_' {
            slug.push(next);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug
        .trim_start_matches(['-', '_'])
        .chars()
        .take(MAX_SLUG)
        .collect();
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "task".into()
    } else {
        slug.into()
    }
}

fn shown(text: &str) -> String {
    crate::text::clip(&crate::text::escape_invisible(text), 80)
}

/// For each record, the unfinished records it needs: existing ones, each once, and without circles.
fn needed_records(records: &[Record], said: &mut Vec<String>) -> Vec<Vec<usize>> {
    let mut first = HashMap::new();
    for (at, record) in records.iter().enumerate() {
        first.entry(record.id.as_str()).or_insert(at);
    }
    let mut needed = vec![Vec::new(); records.len()];
    for (at, record) in records.iter().enumerate() {
        if record.state.is_final() {
            continue;
        }
        let mut seen = HashSet::new();
        for id in &record.dependencies {
            let what = match first.get(id.as_str()) {
                _ if !seen.insert(id) => continue,
                None => "does not exist".into(),
                Some(&on) if records[on].state.is_final() => {
                    format!("is {} already", records[on].state.as_str())
                }
                Some(&on) => {
                    needed[at].push(on);
                    continue;
                }
            };
            said.push(format!(
                "`{}` no longer depends on `{}`, which {what}",
                shown(&record.id),
                shown(id)
            ));
        }
    }
    break_circles(records, &mut needed, said);
    needed
}

/// 0.5.0 never ran tasks that depend on each other in a circle; a plan cannot even hold them.
fn break_circles(records: &[Record], needed: &mut [Vec<usize>], said: &mut Vec<String>) {
    loop {
        let edges: Vec<_> = (0..needed.len())
            .flat_map(|at| needed[at].iter().map(move |&on| (on, at)))
            .collect();
        let Err(cycle) = Graph::new(needed.len(), &edges).order() else {
            return;
        };
        let from = cycle.path[0];
        let to = cycle.path[1 % cycle.path.len()];
        needed[from].retain(|&on| on != to);
        said.push(format!(
            "`{}` no longer depends on `{}`: {} depended on each other in a circle",
            shown(&records[from].id),
            shown(&records[to].id),
            plural(cycle.path.len(), "task"),
        ));
    }
}

fn task(record: &Record, id: TaskId, dependencies: Vec<TaskId>, said: &mut Vec<String>) -> Task {
    if record.state != crate::engine::TaskState::Pending {
        said.push(format!(
            "`{id}` was {}, and starts anew",
            record.state.as_str()
        ));
    }
    let mut words = |text: &str| {
        let kept = text.replace('\0', "");
        if kept.len() < text.len() {
            said.push(format!("`{id}` lost the NUL characters of its texts"));
        }
        (!kept.trim().is_empty()).then_some(kept)
    };
    let name = words(&record.name).unwrap_or_else(|| id.to_string());
    let command = record
        .extra
        .get("command")
        .and_then(Value::as_str)
        .and_then(&mut words);
    let (work, description) = match (command, words(&record.description)) {
        (Some(command), description) => (Work::Run(command), description.unwrap_or_default()),
        // As the prompt it would be there twice.
        (None, Some(description)) => (Work::Prompt(description), String::new()),
        (None, None) => (Work::Prompt(name.clone()), String::new()),
    };
    if matches!(work, Work::Prompt(_)) && record.extra.contains_key("command") {
        said.push(format!(
            "`{id}` has a `command` that is not text; it is kept as metadata"
        ));
    }
    let write_set = write_set(record, &id, said);
    let is_metadata =
        |key: &str| !FIELDS.contains(&key) && (key != "command" || matches!(work, Work::Prompt(_)));
    Task {
        name,
        description,
        priority: record.priority,
        read_set: globs(&record.read_set, &id, "read_set", said).0,
        change: ChangePolicy::usual(&work, &write_set),
        write_set,
        retry_policy: policy(record.effective_policy(), &id, said),
        timeout: DEFAULT_TIMEOUT,
        idle_timeout: DEFAULT_IDLE_TIMEOUT,
        gates: Vec::new(),
        when: None,
        on_dependency_failure: if dependencies.is_empty() {
            OnDependencyFailure::Skip
        } else {
            OnDependencyFailure::Run
        },
        dependencies,
        env: BTreeMap::new(),
        network: None,
        metadata: record
            .extra
            .iter()
            .filter(|(key, _)| is_metadata(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        work,
        id,
    }
}

/// An empty write set was never a promise to write nothing, unless the record says that it was
/// declared.
fn write_set(record: &Record, id: &TaskId, said: &mut Vec<String>) -> WriteSet {
    if record.write_set.is_empty() {
        return if record.write_set_declared == Some(true) {
            WriteSet::Declared(Vec::new())
        } else {
            WriteSet::Unknown
        };
    }
    match globs(&record.write_set, id, "write_set", said) {
        (globs, SetLoss::Nothing) => WriteSet::Declared(globs),
        (_, SetLoss::Some) => {
            said.push(format!(
                "`{id}` has no write_set any more, since what is left of it would be too little"
            ));
            WriteSet::Unknown
        }
    }
}

/// Whether a set could be kept whole.
enum SetLoss {
    Nothing,
    Some,
}

fn globs(texts: &[String], id: &TaskId, set: &str, said: &mut Vec<String>) -> (Vec<Glob>, SetLoss) {
    let mut lost = SetLoss::Nothing;
    let mut kept = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(glob) => kept.push(glob),
            Err(bad) => {
                said.push(format!(
                    "`{id}` lost `{}` from its {set}: {bad}",
                    shown(text)
                ));
                lost = SetLoss::Some;
            }
        }
    }
    (kept, lost)
}

fn policy(policy: Policy, id: &TaskId, said: &mut Vec<String>) -> RetryPolicy {
    let mut clamp = |field: &str, value: f64, to: f64| {
        if value != to {
            said.push(format!("`{id}` has a {field} of {to} instead of {value}"));
        }
        to
    };
    let multiplier = policy.backoff_multiplier;
    let jitter = policy.jitter.unwrap_or(0.0);
    RetryPolicy {
        max_attempts: policy.max_attempts,
        backoff_seconds: policy.backoff_seconds,
        backoff_multiplier: clamp(
            "backoff_multiplier",
            multiplier,
            if multiplier.is_finite() {
                multiplier.max(1.0)
            } else {
                2.0
            },
        ),
        terminal_on_permanent_failure: policy.terminal_on_permanent_failure,
        max_backoff_seconds: policy.max_backoff_seconds,
        jitter: clamp(
            "jitter",
            jitter,
            if jitter.is_finite() {
                jitter.clamp(0.0, 1.0)
            } else {
                0.0
            },
        ),
    }
}

/// The tasks, and the defaults of a plan for all else.
fn plan(name: PlanName, tasks: Vec<Task>) -> Plan {
    Plan {
        name,
        agent: Agent::default(),
        limits: Limits::default(),
        prices: None,
        env: BTreeMap::new(),
        pass_env: Vec::new(),
        keep: Vec::new(),
        room: Room::default(),
        preflight: true,
        change_limit: Size::USUAL,
        baseline: Baseline::Allow,
        gates: Vec::new(),
        tasks,
        deliver: Deliver::default(),
        protect: Vec::new(),
        commands: Commands::default(),
    }
}
