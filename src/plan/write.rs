//! A plan as the text of an `omk.yaml`, for plans that programs make.
//!
//! It refuses to write what is the default anyway. What it writes reads back as the same plan, as
//! long as it stays under the limits of one: a mebibyte, and metadata no deeper than sixty levels.

mod text;
mod work;

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};

use super::lower::{BASELINES, gate, room, settings};
use super::{
    Agent, Baseline, Commands, DEFAULT_GATE_TIMEOUT, Deliver, Gate, Limits, Network, Networks,
    Plan, Room, Size, format_duration,
};
use crate::glob::Glob;
use text::entry;
use work::task;

/// The plan as YAML, without what is the default.
#[must_use]
pub fn to_yaml(plan: &Plan) -> String {
    let mut out = String::new();
    for (key, value) in &tree(plan).0 {
        entry(&mut out, key, value, 0);
    }
    out
}

/// A gate as the plan has it, the same for equal gates.
#[must_use]
pub fn definition_of(of: &Gate) -> String {
    gate_value(of).to_string()
}

/// A map under construction; what is absent or empty is not added.
#[derive(Default)]
struct MapWriter(Map<String, Value>);

impl MapWriter {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Adds `value` unless it is the usual one.
    fn unless<T: PartialEq + Into<Value>>(&mut self, key: &str, value: T, usual: &T) {
        if value != *usual {
            self.put(key, value);
        }
    }

    fn full(&mut self, key: &str, value: Value) {
        let empty = match &value {
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            self.put(key, value);
        }
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

fn tree(plan: &Plan) -> MapWriter {
    let mut fields = MapWriter::default();
    fields.put("version", 1);
    fields.put("name", plan.name.as_str());
    fields.full("agent", agent(&plan.agent));
    fields.full("limits", limits(&plan.limits));
    if let Some(prices) = plan.prices {
        let [input, cached, output] =
            [prices.input, prices.cached_input, prices.output].map(number);
        fields.put(
            "prices",
            json!({ "input": input, "cached_input": cached, "output": output }),
        );
    }
    fields.full("env", variables(&plan.env));
    fields.full("pass_env", json!(plan.pass_env));
    fields.full("keep", json!(plan.keep));
    fields.full("room", room(&plan.room));
    if !plan.preflight {
        fields.put("preflight", false);
    }
    fields.unless(
        "change_limit",
        plan.change_limit.to_string(),
        &Size::USUAL.to_string(),
    );
    fields.unless(
        "baseline",
        word(BASELINES, plan.baseline),
        &word(BASELINES, Baseline::Allow),
    );
    fields.full("gates", plan.gates.iter().map(gate_value).collect());
    fields.put("tasks", plan.tasks.iter().map(task).collect::<Value>());
    fields.full("deliver", deliver(&plan.deliver));
    fields.full("protect", globs(&plan.protect));
    fields.full("commands", commands(&plan.commands));
    fields
}

/// The word of a plan that means `value`.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words
        .iter()
        .find(|(_, meant)| *meant == value)
        .map_or("", |(word, _)| word)
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn globs(globs: &[Glob]) -> Value {
    globs.iter().map(Glob::as_str).collect()
}

fn variables(variables: &BTreeMap<String, String>) -> Value {
    Value::Object(
        variables
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect(),
    )
}

fn agent(agent: &Agent) -> Value {
    let (mut fields, usual) = (MapWriter::default(), Agent::default());
    fields.unless(
        "kind",
        word(settings::KINDS, agent.kind),
        &word(settings::KINDS, usual.kind),
    );
    fields.unless("version", agent.version.as_str(), &usual.version.as_str());
    fields.unless("model", agent.model.as_str(), &usual.model.as_str());
    fields.unless(
        "thinking",
        word(settings::THINKING, agent.thinking),
        &word(settings::THINKING, usual.thinking),
    );
    fields.unless(
        "base_url",
        agent.base_url.as_str(),
        &usual.base_url.as_str(),
    );
    fields.unless("key_env", agent.key_env.as_str(), &usual.key_env.as_str());
    fields.unless("max_steps", agent.max_steps, &usual.max_steps);
    if !agent.tools_disabled.is_empty() {
        fields.put("tools", json!({ "disabled": agent.tools_disabled }));
    }
    fields.value()
}

fn limits(limits: &Limits) -> Value {
    let mut fields = MapWriter::default();
    fields.full("workers", json!(limits.workers));
    fields.full("time", json!(limits.time.map(format_duration)));
    fields.full("tokens", json!(limits.tokens));
    fields.full("usd", limits.usd.map_or(Value::Null, number));
    fields.value()
}

fn room(room: &Room) -> Value {
    let (mut fields, usual) = (MapWriter::default(), Room::default());
    fields.unless(
        "level",
        word(room::LEVELS, room.least),
        &word(room::LEVELS, usual.least),
    );
    fields.full("network", networks(&room.network));
    fields.unless("docker", room.docker, &usual.docker);
    fields.value()
}

fn networks(networks: &Networks) -> Value {
    let (mut fields, usual) = (MapWriter::default(), Networks::default());
    fields.unless("agent", network(&networks.agent), &network(&usual.agent));
    fields.unless("gates", network(&networks.gates), &network(&usual.gates));
    fields.unless("tasks", network(&networks.tasks), &network(&usual.tasks));
    fields.value()
}

fn network(network: &Network) -> Value {
    match network {
        Network::None => "none".into(),
        Network::Model => "model".into(),
        Network::Open => "open".into(),
        Network::Allow(hosts) => json!({ "allow": hosts }),
    }
}

fn gate_value(gate: &Gate) -> Value {
    let mut fields = MapWriter::default();
    fields.put("id", gate.id.as_str());
    fields.put("run", gate.run.as_str());
    fields.unless(
        "timeout",
        format_duration(gate.timeout),
        &format_duration(DEFAULT_GATE_TIMEOUT),
    );
    fields.unless("required", gate.required, &true);
    fields.unless("retries", gate.retries, &0);
    if let Some(inputs) = &gate.inputs {
        fields.put("inputs", globs(inputs));
    }
    fields.full("fingerprint", json!(gate.fingerprint));
    fields.full("trusted", globs(&gate.trusted));
    if let Some(report) = &gate.report {
        let path = match report.paths.as_slice() {
            [only] => json!(only.as_str()),
            several => globs(several),
        };
        fields.put(
            "report",
            json!({ "format": word(gate::FORMATS, report.format), "path": path }),
        );
    }
    fields.full("env", variables(&gate.env));
    fields.full(
        "network",
        gate.network.as_ref().map_or(Value::Null, network),
    );
    fields.unless("exclusive", gate.exclusive, &false);
    fields.value()
}

fn deliver(deliver: &Deliver) -> Value {
    let (mut fields, usual) = (MapWriter::default(), Deliver::default());
    fields.unless(
        "as",
        word(settings::FORMS, deliver.form),
        &word(settings::FORMS, usual.form),
    );
    fields.unless("draft", deliver.draft, &usual.draft);
    fields.full("labels", json!(deliver.labels));
    fields.unless("partial", deliver.partial, &usual.partial);
    fields.unless("limit", deliver.limit, &usual.limit);
    fields.unless("sign_off", deliver.sign_off, &usual.sign_off);
    fields.value()
}

fn commands(commands: &Commands) -> Value {
    let (mut fields, usual) = (MapWriter::default(), Commands::default());
    let words = settings::PERMISSIONS;
    fields.unless(
        "permission",
        word(words, commands.permission),
        &word(words, usual.permission),
    );
    fields.full(
        "bots",
        commands
            .bots
            .iter()
            .map(|bot| json!({ "login": bot.login, "id": bot.id }))
            .collect(),
    );
    fields.value()
}

#[cfg(test)]
mod tests;
