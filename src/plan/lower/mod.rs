//! From a spanned tree to a checked [`Plan`], or to every complaint about it.
//!
//! It refuses to stop at the first mistake: what cannot be read is left out, complained of, and the
//! rest is read on.

mod field;
pub(super) mod keys;
pub(super) mod gate;
mod metadata;
mod paths;
mod references;
pub(super) mod room;
pub(super) mod settings;
pub(super) mod task;

use self::field::{Field, Fields, describe};
use self::references::{Ids, cycles};
use self::task::Wishes;
use super::complaint::{Critic, quoted};
use super::raw::{Value, YamlNode};
use super::scalar::ScalarMeaning;
use super::{Baseline, Commands, Deliver, Gate, Limits, Plan, Size, Task};
use crate::id::PlanName;
use crate::model::{self, Prices};

/// The most tasks of a plan, from the contract.
const MAX_TASKS: usize = 10_000;

pub(super) const BASELINES: &[(&str, Baseline)] =
    &[("allow", Baseline::Allow), ("strict", Baseline::Strict)];

/// Reads the whole tree. The plan is worth nothing where the critic has something to say.
pub(super) fn lower(
    root: &YamlNode,
    default_name: PlanName,
    critic: &mut Critic<'_>,
) -> Option<Plan> {
    if matches!(&root.value, Value::Scalar(scalar) if scalar.meaning() == ScalarMeaning::Nothing) {
        critic
            .say(root.at, "the plan is empty")
            .advise("`omk init` writes a plan to begin with");
        return None;
    }
    let fields = Fields::open(root, "a plan", keys::PLAN, critic)?;
    version(&fields, critic);
    let agent = fields
        .get("agent")
        .and_then(|agent| settings::agent(agent, critic))
        .unwrap_or_default();
    let (limits, prices) = money(&fields, &agent.model, critic);
    let (gates, tasks) = gates_and_tasks(&fields, critic);
    let get = |key: &str| fields.get(key);
    Some(Plan {
        name: get("name")
            .and_then(|name| name.name(critic))
            .unwrap_or(default_name),
        limits,
        prices,
        env: get("env")
            .and_then(|env| env.variables(critic))
            .unwrap_or_default(),
        pass_env: get("pass_env")
            .and_then(|names| settings::pass_env(names, &agent.key_env, critic))
            .unwrap_or_default(),
        keep: get("keep")
            .and_then(|keep| keep.list(critic, paths::path))
            .unwrap_or_default(),
        room: get("room")
            .and_then(|room| room::room(room, critic))
            .unwrap_or_default(),
        change_limit: get("change_limit")
            .and_then(|size| size.size(critic))
            .unwrap_or(Size::USUAL),
        preflight: get("preflight")
            .and_then(|wanted| wanted.boolean(critic))
            .unwrap_or(true),
        baseline: get("baseline")
            .and_then(|baseline| baseline.choice(BASELINES, critic))
            .unwrap_or(Baseline::Allow),
        deliver: get("deliver")
            .and_then(|deliver| settings::deliver(deliver, critic))
            .unwrap_or_else(Deliver::default),
        protect: get("protect")
            .and_then(|protect| paths::globs(protect, critic))
            .unwrap_or_default(),
        commands: get("commands")
            .and_then(|commands| settings::commands(commands, critic))
            .unwrap_or_else(Commands::default),
        agent,
        gates,
        tasks,
    })
}

fn version(fields: &Fields<'_>, critic: &mut Critic<'_>) {
    let Some(version) = fields.get("version") else {
        critic
            .say(fields.at, "a plan begins with its `version`")
            .advise("write `version: 1` before everything else");
        return;
    };
    let one = matches!(&version.node.value, Value::Scalar(scalar) if scalar.meaning() == ScalarMeaning::Whole(Some(1)));
    if !one && !matches!(version.node.value, Value::Broken) {
        let found = match &version.node.value {
            Value::Scalar(scalar) if scalar.plain && scalar.meaning() != ScalarMeaning::Nothing => {
                quoted(&scalar.text)
            }
            Value::Scalar(_) | Value::List(_) | Value::Map(_) | Value::Broken => {
                describe(version.node).to_owned()
            }
        };
        let at = if version.node.at.start == version.node.at.end {
            version.key_at
        } else {
            version.node.at
        };
        critic
            .say(at, format!("`version` must be 1, but this is {found}"))
            .advise("write `version: 1`");
    }
}

fn money(fields: &Fields<'_>, model: &str, critic: &mut Critic<'_>) -> (Limits, Option<Prices>) {
    let limits = fields
        .get("limits")
        .and_then(|limits| settings::limits(limits, critic))
        .unwrap_or_default();
    let prices = fields
        .get("prices")
        .and_then(|prices| settings::prices(prices, critic));
    let card = model::card(model);
    if fields.get("prices").is_none()
        && card.and_then(|card| card.prices).is_none()
        && limits.usd.is_some()
        && let Some(field) = fields.get("limits")
        && let Value::Map(entries) = &field.node.value
        && let Some(usd) = entries.iter().find(|entry| entry.key == "usd")
    {
        let why = card.map(|card| (card.subscription, card.retired.as_deref()));
        let (what, hint) = match why {
            Some((true, _)) => (
                "is paid by a subscription, not by the token".to_owned(),
                "limit its tokens instead: `limits: { tokens: … }`",
            ),
            Some((false, Some(day))) => (
                format!("was retired on {day}"),
                "set `agent.model` to one that is there",
            ),
            Some((false, None)) | None => (
                "has no price that omk knows".to_owned(),
                "add `prices: { input: …, cached_input: …, output: … }`, in USD per million tokens",
            ),
        };
        let what = format!(
            "a limit in USD cannot be kept: the model {} {what}",
            quoted(model)
        );
        critic.say(usd.key_at, what).advise(hint);
    }
    (limits, prices)
}

fn gates_and_tasks(fields: &Fields<'_>, critic: &mut Critic<'_>) -> (Vec<Gate>, Vec<Task>) {
    let gates: Vec<_> = match fields.get("gates") {
        Some(list) => maps(list, "gate", keys::GATE, critic),
        None => Vec::new(),
    };
    let gate_ids = Ids::collect("gate", &gates, critic);
    let lowered = gates
        .iter()
        .filter_map(|gate| gate::gate(gate, &owner("gate", gate), critic))
        .collect();

    let defaults = fields
        .get("defaults")
        .and_then(|defaults| Fields::open(defaults.node, "`defaults`", keys::DEFAULTS, critic));
    let wishes = defaults
        .map(|defaults| Wishes::read(&defaults, critic))
        .unwrap_or_default();
    if let Some(list) = defaults.and_then(|defaults| defaults.get("gates")) {
        gate_ids.check(list, "`defaults`", critic);
    }

    let Some(list) = fields.get("tasks") else {
        critic
            .say(fields.at, "the plan has no tasks")
            .advise("add `tasks:` with at least one");
        return (lowered, Vec::new());
    };
    (lowered, tasks(list, &wishes, &gate_ids, critic))
}

fn tasks<'n>(
    list: Field<'n>,
    defaults: &Wishes,
    gates: &Ids<'n>,
    critic: &mut Critic<'_>,
) -> Vec<Task> {
    match &list.node.value {
        Value::List(items) if items.is_empty() => {
            critic
                .say(list.node.at, "the plan has no tasks")
                .advise("add at least one");
        }
        Value::List(items) if items.len() > MAX_TASKS => {
            let what = format!(
                "the plan has {} tasks; {MAX_TASKS} are the most",
                items.len()
            );
            critic
                .say(list.key_at, what)
                .advise("split it into several plans");
            return Vec::new();
        }
        Value::List(_) | Value::Scalar(_) | Value::Map(_) | Value::Broken => {}
    }
    let tasks = maps(list, "task", keys::TASK, critic);
    let ids = Ids::collect("task", &tasks, critic);
    let (mut lowered, mut names, mut edges) = (Vec::new(), Vec::new(), Vec::new());
    for task in &tasks {
        let owner = owner("task", task);
        names.push(id_text(task).unwrap_or("?"));
        lowered.extend(task::task(task, &owner, defaults, critic));
        edges.push(
            task.get("dependencies")
                .map_or_else(Vec::new, |list| ids.check(list, &owner, critic)),
        );
        if let Some(list) = task.get("gates") {
            gates.check(list, &owner, critic);
        }
    }
    cycles(&names, &edges, critic);
    lowered
}

/// The maps of a list of tasks or gates.
fn maps<'n>(
    list: Field<'n>,
    kind: &str,
    known: &[&str],
    critic: &mut Critic<'_>,
) -> Vec<Fields<'n>> {
    let open = |item: Field<'n>, critic: &mut Critic<'_>| {
        let owner = match &item.node.value {
            Value::Map(entries) => {
                let id = entries.iter().find(|entry| entry.key == "id");
                named(kind, id.and_then(|id| scalar_text(&id.node)))
            }
            Value::Scalar(_) | Value::List(_) | Value::Broken => format!("a {kind}"),
        };
        Fields::open(item.node, &owner, known, critic)
    };
    list.list(critic, open).unwrap_or_default()
}

/// How a complaint calls a task or gate.
fn owner(kind: &str, fields: &Fields<'_>) -> String {
    named(kind, id_text(fields))
}

fn named(kind: &str, id: Option<&str>) -> String {
    id.map_or_else(
        || format!("this {kind}"),
        |id| format!("{kind} {}", quoted(id)),
    )
}

fn id_text<'n>(fields: &Fields<'n>) -> Option<&'n str> {
    fields.get("id").and_then(|id| scalar_text(id.node))
}

fn scalar_text(node: &YamlNode) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::List(_) | Value::Map(_) | Value::Broken => None,
    }
}

#[cfg(test)]
mod tests;
