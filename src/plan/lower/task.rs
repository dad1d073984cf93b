//! Tasks of a plan, with `defaults` under each.
//!
//! It refuses a task that says nothing to do, or two things.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::field::{Field, Fields};
use super::room::{Occupant, network};
use super::{keys, metadata, paths};
use crate::glob::Glob;
use crate::id::{GateId, TaskId};
use crate::plan::complaint::Critic;
use crate::plan::{
    ChangePolicy, DEFAULT_IDLE_TIMEOUT, DEFAULT_TIMEOUT, Event, OnDependencyFailure, RetryPolicy,
    Task, When, Work, WriteSet,
};

pub(in crate::plan) const CHANGES: &[(&str, ChangePolicy)] = &[
    ("required", ChangePolicy::Required),
    ("optional", ChangePolicy::Optional),
];

pub(in crate::plan) const ON_FAILURE: &[(&str, OnDependencyFailure)] = &[
    ("skip", OnDependencyFailure::Skip),
    ("run", OnDependencyFailure::Run),
];

pub(in crate::plan) const EVENTS: &[(&str, Event)] = &[
    ("manual", Event::Manual),
    ("comment", Event::Comment),
    ("schedule", Event::Schedule),
    ("dispatch", Event::Dispatch),
];

/// What a task says, or `defaults` for all tasks. Absent = not said.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    priority: Option<i32>,
    read_set: Option<Vec<Glob>>,
    write_set: Option<Vec<Glob>>,
    change: Option<ChangePolicy>,
    retry: Option<RetryWishes>,
    timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    gates: Option<Vec<GateId>>,
    when: Option<When>,
    on_dependency_failure: Option<OnDependencyFailure>,
    env: BTreeMap<String, String>,
    metadata: Map<String, Json>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RetryWishes {
    max_attempts: Option<u32>,
    backoff_seconds: Option<u64>,
    backoff_multiplier: Option<f64>,
    terminal_on_permanent_failure: Option<bool>,
    max_backoff_seconds: Option<u64>,
    jitter: Option<f64>,
}

impl Wishes {
    /// Reads what both a task and `defaults` may say.
    pub(super) fn read(fields: &Fields<'_>, critic: &mut Critic<'_>) -> Self {
        Self {
            priority: fields
                .get("priority")
                .and_then(|rank| rank.whole(i32::MIN..=i32::MAX, critic)),
            read_set: fields
                .get("read_set")
                .and_then(|set| paths::globs(set, critic)),
            write_set: fields
                .get("write_set")
                .and_then(|set| paths::globs(set, critic)),
            change: fields
                .get("change")
                .and_then(|change| change.choice(CHANGES, critic)),
            retry: fields
                .get("retry_policy")
                .map(|policy| RetryWishes::read(policy, critic)),
            timeout: fields.get("timeout").and_then(|time| time.duration(critic)),
            idle_timeout: fields
                .get("idle_timeout")
                .and_then(|time| time.duration(critic)),
            gates: fields
                .get("gates")
                .and_then(|gates| gates.list(critic, Field::name)),
            when: fields.get("when").and_then(|when| self::when(when, critic)),
            on_dependency_failure: fields
                .get("on_dependency_failure")
                .and_then(|choice| choice.choice(ON_FAILURE, critic)),
            env: fields
                .get("env")
                .and_then(|env| env.variables(critic))
                .unwrap_or_default(),
            metadata: fields
                .get("metadata")
                .and_then(|metadata| metadata::metadata(metadata, critic))
                .unwrap_or_default(),
        }
    }
}

impl RetryWishes {
    fn read(field: Field<'_>, critic: &mut Critic<'_>) -> Self {
        let Some(fields) = Fields::open(field.node, "`retry_policy`", keys::RETRY, critic) else {
            return Self::default();
        };
        Self {
            max_attempts: fields
                .get("max_attempts")
                .and_then(|count| count.whole(0..=u32::MAX, critic)),
            backoff_seconds: fields
                .get("backoff_seconds")
                .and_then(|time| time.whole(0..=u64::MAX, critic)),
            backoff_multiplier: fields
                .get("backoff_multiplier")
                .and_then(|factor| factor.number("at least 1", |factor| factor >= 1.0, critic)),
            terminal_on_permanent_failure: fields
                .get("terminal_on_permanent_failure")
                .and_then(|terminal| terminal.boolean(critic)),
            max_backoff_seconds: fields
                .get("max_backoff_seconds")
                .and_then(|time| time.whole(0..=u64::MAX, critic)),
            jitter: fields.get("jitter").and_then(|jitter| {
                jitter.number(
                    "from 0 to 1",
                    |jitter| (0.0..=1.0).contains(&jitter),
                    critic,
                )
            }),
        }
    }

    /// These wishes over a policy, field by field.
    fn over(self, under: RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(under.max_attempts),
            backoff_seconds: self.backoff_seconds.unwrap_or(under.backoff_seconds),
            backoff_multiplier: self.backoff_multiplier.unwrap_or(under.backoff_multiplier),
            terminal_on_permanent_failure: self
                .terminal_on_permanent_failure
                .unwrap_or(under.terminal_on_permanent_failure),
            max_backoff_seconds: self.max_backoff_seconds.or(under.max_backoff_seconds),
            jitter: self.jitter.unwrap_or(under.jitter),
        }
    }
}

/// Reads a task called `owner`. `None` where it has no usable id or nothing to do; what else is
/// wrong with it was complained of, too.
pub(super) fn task(
    fields: &Fields<'_>,
    owner: &str,
    defaults: &Wishes,
    critic: &mut Critic<'_>,
) -> Option<Task> {
    let id: Option<TaskId> = fields.get("id").and_then(|id| id.name(critic));
    let name = fields.get("name").and_then(|name| name.words(critic));
    let description = fields
        .get("description")
        .and_then(|text| text.text(critic))
        .unwrap_or_default();
    let work = work(fields, owner, critic);
    let dependencies = fields
        .get("dependencies")
        .and_then(|names| names.list(critic, Field::name));
    let max_retries = fields
        .get("max_retries")
        .and_then(|count| count.whole(0..=u32::MAX, critic));
    let network = fields
        .get("network")
        .and_then(|field| network(field, occupant(fields), critic));
    let wishes = Wishes::read(fields, critic);

    let (id, work) = (id?, work?);
    let write_set = match wishes.write_set.or_else(|| defaults.write_set.clone()) {
        None => WriteSet::Unknown,
        Some(globs) => WriteSet::Declared(globs),
    };
    let mut retry_policy = defaults
        .retry
        .unwrap_or_default()
        .over(RetryPolicy::default());
    match (wishes.retry, max_retries) {
        (Some(own), _) => retry_policy = own.over(retry_policy),
        (None, Some(old)) => retry_policy.max_attempts = old,
        (None, None) => {}
    }
    Some(Task {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        description,
        dependencies: dependencies.unwrap_or_default(),
        priority: wishes.priority.or(defaults.priority).unwrap_or(0),
        read_set: wishes
            .read_set
            .or_else(|| defaults.read_set.clone())
            .unwrap_or_default(),
        change: wishes
            .change
            .or(defaults.change)
            .unwrap_or_else(|| ChangePolicy::usual(&work, &write_set)),
        work,
        write_set,
        retry_policy,
        timeout: wishes
            .timeout
            .or(defaults.timeout)
            .unwrap_or(DEFAULT_TIMEOUT),
        idle_timeout: wishes
            .idle_timeout
            .or(defaults.idle_timeout)
            .unwrap_or(DEFAULT_IDLE_TIMEOUT),
        gates: wishes
            .gates
            .or_else(|| defaults.gates.clone())
            .unwrap_or_default(),
        when: wishes.when.or_else(|| defaults.when.clone()),
        on_dependency_failure: wishes
            .on_dependency_failure
            .or(defaults.on_dependency_failure)
            .unwrap_or(OnDependencyFailure::Skip),
        network,
        env: defaults.env.clone().into_iter().chain(wishes.env).collect(),
        metadata: defaults
            .metadata
            .clone()
            .into_iter()
            .chain(wishes.metadata)
            .collect(),
    })
}

fn work(fields: &Fields<'_>, owner: &str, critic: &mut Critic<'_>) -> Option<Work> {
    match (fields.get("prompt"), fields.get("run")) {
        (Some(prompt), None) => prompt.words(critic).map(Work::Prompt),
        (None, Some(run)) => run.words(critic).map(Work::Run),
        (Some(prompt), Some(run)) => {
            let mut both = [prompt, run];
            both.sort_by_key(|field| field.key_at);
            let [first, second] = both;
            let first_at = critic.whereabouts(first.key_at);
            let said = critic.say(
                second.key_at,
                format!("{owner} has both `prompt` and `run`"),
            );
            said.advise("keep one, or make two tasks")
                .note(format!("`{}` is at {first_at}", first.key));
            prompt.words(critic);
            run.words(critic);
            None
        }
        (None, None) => {
            let hint = "say what to do: `prompt:` for the agent, or `run:` for a shell command";
            critic
                .say(fields.at, format!("{owner} has neither `prompt` nor `run`"))
                .advise(hint);
            None
        }
    }
}

/// Who works on a task, if its keys say so.
fn occupant(fields: &Fields<'_>) -> Option<Occupant> {
    match (fields.get("prompt"), fields.get("run")) {
        (Some(_), None) => Some(Occupant::Agent),
        (None, Some(_)) => Some(Occupant::Program),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn when(field: Field<'_>, critic: &mut Critic<'_>) -> Option<When> {
    let fields = Fields::open(field.node, "`when`", keys::WHEN, critic)?;
    let events = fields
        .get("events")
        .and_then(|events| events.list(critic, |item, critic| item.choice(EVENTS, critic)));
    let changed = fields
        .get("changed")
        .and_then(|changed| paths::globs(changed, critic));
    Some(When {
        events: events.unwrap_or_default(),
        changed: changed.unwrap_or_default(),
    })
}
