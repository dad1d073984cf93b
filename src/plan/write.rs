//! A plan as the text of an `omk.yaml`, for plans that programs make.
//!
//! It refuses to write what is the default anyway. What it writes reads back as the same plan, as
//! long as it stays under the limits of one: a mebibyte, and metadata no deeper than sixty levels.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};

use super::lower::{BASELINES, gate, room, settings, task};
use super::scalar::{Scalar, ScalarMeaning};
use super::{
    Agent, Baseline, ChangePolicy, Commands, DEFAULT_GATE_TIMEOUT, DEFAULT_IDLE_TIMEOUT,
    DEFAULT_TIMEOUT, Deliver, Gate, Limits, Network, Networks, OnDependencyFailure, Plan,
    RetryPolicy, Room, Size, Task, When, Work, WriteSet, format_duration,
};
use crate::glob::Glob;

/// Lists of words stay on one line up to this width, in characters.
const LINE: usize = 100;

/// Keys over this length, in bytes, need a `? ` before them; YAML's own limit is 1024 characters
/// with quotes.
const LONG_KEY: usize = 200;

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

fn task(task: &Task) -> Value {
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

/// Writes `key: value`, `indent` columns in.
fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    let key = scalar(key);
    if key.len() > LONG_KEY {
        out.push_str(&format!("{margin}? {key}\n{margin}:"));
    } else {
        out.push_str(&format!("{margin}{key}:"));
    }
    tail(out, value, indent);
}

/// Writes what follows a `key:` or a `-` that is `indent` columns in, with the line end.
fn tail(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_literal(text) => literal(out, text, indent + 2),
        Value::Array(items) => match on_one_line(items) {
            Some(line) => out.push_str(&format!(" {line}\n")),
            None => {
                out.push('\n');
                items.iter().for_each(|value| item(out, value, indent + 2));
            }
        },
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            entries
                .iter()
                .for_each(|(key, value)| entry(out, key, value, indent + 2));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            out.push_str(&format!(" {}\n", atom(value)));
        }
    }
}

/// Writes `- value`. A map begins on the line of its dash.
fn item(out: &mut String, value: &Value, indent: usize) {
    let dash = out.len() + indent;
    if let Value::Object(entries) = value
        && !entries.is_empty()
    {
        entries
            .iter()
            .for_each(|(key, value)| entry(out, key, value, indent + 2));
        out.replace_range(dash..=dash, "-");
    } else {
        out.push_str(&format!("{}-", " ".repeat(indent)));
        tail(out, value, indent);
    }
}

fn on_one_line(items: &[Value]) -> Option<String> {
    if items.iter().any(|item| item.is_array() || item.is_object()) {
        return None;
    }
    let line = format!(
        "[{}]",
        items.iter().map(atom).collect::<Vec<_>>().join(", ")
    );
    (line.chars().count() <= LINE).then_some(line)
}

/// A scalar, or an empty list or map.
fn atom(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// Text without quotes where that is safe in every position, else in double quotes.
fn scalar(text: &str) -> String {
    // Older readers of YAML take these for `true` and `false`.
    let older = ["y", "n", "yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let bare = (is_word(text) || is_quantity(text))
        && !older
        && Scalar {
            text: text.to_owned(),
            plain: true,
        }
        .meaning()
            == ScalarMeaning::Text;
    if bare {
        text.to_owned()
    } else {
        double_quoted(text)
    }
}

fn is_word(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-' | b' ');
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(inner)
        && !text.ends_with(' ')
}

fn is_quantity(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| {
            byte.is_ascii_digit()
                || matches!(
                    byte,
                    b'd' | b'h' | b'm' | b's' | b'K' | b'M' | b'G' | b'i' | b'B'
                )
        })
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            special if !is_plain_character(special) => {
                out.push_str(&format!("\\U{:08X}", u32::from(special)))
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Printable in YAML, and neither a line break nor invisible.
fn is_plain_character(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `|` gives the text back exactly, and reads better than quotes.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n'])
        && body.lines().last().is_some_and(|last| !last.is_empty())
        && !body.ends_with('\n')
        && body
            .split('\n')
            .all(|line| !line.ends_with(' ') && line.chars().all(is_plain_character))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let (body, mark) = text
        .strip_suffix('\n')
        .map_or((text, " |-\n"), |body| (body, " |\n"));
    out.push_str(mark);
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests;
