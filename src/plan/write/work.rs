//! A task, and what belongs to it alone.

use serde_json::{Value, json};

use super::{MapWriter, globs, network, number, variables, word};
use crate::plan::lower::task;
use crate::plan::{
    ChangePolicy, DEFAULT_IDLE_TIMEOUT, DEFAULT_TIMEOUT, OnDependencyFailure, RetryPolicy, Task,
    When, Work, WriteSet, format_duration,
};

pub(super) fn task(task: &Task) -> Value {
    let mut fields = MapWriter::default();
    fields.put("id", task.id.as_str());
    fields.unless("name", task.name.as_str(), &task.id.as_str());
    fields.full("description", json!(task.description));
    match &task.work {
        Work::Prompt(prompt) => fields.put("prompt", prompt.as_str()),
        Work::Run(command) => fields.put("run", command.as_str()),
    }
    fields.full("dependencies", json!(task.dependencies));
    fields.unless("priority", task.priority, &0);
    fields.full("read_set", globs(&task.read_set));
    if let WriteSet::Declared(paths) = &task.write_set {
        fields.put("write_set", globs(paths));
    }
    let usual = ChangePolicy::usual(&task.work, &task.write_set);
    fields.unless(
        "change",
        word(task::CHANGES, task.change),
        &word(task::CHANGES, usual),
    );
    fields.full("retry_policy", retry_policy(&task.retry_policy));
    fields.unless(
        "timeout",
        format_duration(task.timeout),
        &format_duration(DEFAULT_TIMEOUT),
    );
    fields.unless(
        "idle_timeout",
        format_duration(task.idle_timeout),
        &format_duration(DEFAULT_IDLE_TIMEOUT),
    );
    fields.full("gates", json!(task.gates));
    if let Some(when) = &task.when {
        fields.put("when", self::when(when));
    }
    let skip = word(task::ON_FAILURE, OnDependencyFailure::Skip);
    fields.unless(
        "on_dependency_failure",
        word(task::ON_FAILURE, task.on_dependency_failure),
        &skip,
    );
    fields.full("env", variables(&task.env));
    fields.full(
        "network",
        task.network.as_ref().map_or(Value::Null, network),
    );
    fields.full("metadata", Value::Object(task.metadata.clone()));
    fields.value()
}

fn retry_policy(policy: &RetryPolicy) -> Value {
    let (mut fields, usual) = (MapWriter::default(), RetryPolicy::default());
    fields.unless("max_attempts", policy.max_attempts, &usual.max_attempts);
    fields.unless(
        "backoff_seconds",
        policy.backoff_seconds,
        &usual.backoff_seconds,
    );
    fields.unless(
        "backoff_multiplier",
        number(policy.backoff_multiplier),
        &number(usual.backoff_multiplier),
    );
    fields.unless(
        "terminal_on_permanent_failure",
        policy.terminal_on_permanent_failure,
        &usual.terminal_on_permanent_failure,
    );
    fields.full("max_backoff_seconds", json!(policy.max_backoff_seconds));
    fields.unless("jitter", number(policy.jitter), &number(usual.jitter));
    fields.value()
}

fn when(when: &When) -> Value {
    let mut fields = MapWriter::default();
    fields.full(
        "events",
        when.events
            .iter()
            .map(|event| word(task::EVENTS, *event))
            .collect(),
    );
    fields.full("changed", globs(&when.changed));
    fields.value()
}
