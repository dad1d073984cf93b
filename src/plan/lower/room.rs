//! The room that children work in: its level, and what they reach on the network.
//!
//! It refuses a network that cannot be meant: a model for what has none, and an agent without its
//! model.

use super::field::{Field, Fields, describe};
use super::keys;
use crate::plan::complaint::{Critic, quoted};
use crate::plan::did_you_mean;
use crate::plan::host::HostName;
use crate::plan::raw::Value;
use crate::plan::scalar::ScalarMeaning;
use crate::plan::{Network, Networks, Room, RoomLevel};
use crate::text::Advised as _;

pub(in crate::plan) const LEVELS: &[(&str, Option<RoomLevel>)] = &[
    ("best", None),
    ("sealed", Some(RoomLevel::Sealed)),
    ("landlock", Some(RoomLevel::Landlock)),
    ("none", Some(RoomLevel::None)),
];

/// The networks that are one word.
const WORDS: &[(&str, Network)] = &[
    ("none", Network::None),
    ("model", Network::Model),
    ("open", Network::Open),
];

/// Who a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupant {
    /// It needs its model.
    Agent,
    /// A gate or a command.
    Program,
}

pub(super) fn room(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Room> {
    let fields = Fields::open(field.node, "`room`", keys::ROOM, critic)?;
    let level = fields
        .get("level")
        .and_then(|level| level.choice(LEVELS, critic));
    Some(Room {
        least: level.flatten(),
        network: fields
            .get("network")
            .and_then(|networks| self::networks(networks, critic))
            .unwrap_or_default(),
        docker: fields
            .get("docker")
            .and_then(|docker| docker.boolean(critic))
            .unwrap_or(false),
    })
}

fn networks(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Networks> {
    if let Value::Scalar(scalar) = &field.node.value
        && WORDS.iter().any(|(word, _)| *word == scalar.text)
    {
        let what = "`network` of `room` is a map: agents, gates and tasks differ";
        critic
            .say(field.node.at, what)
            .advise("write `{ agent: model, gates: none, tasks: none }` or the like");
        return None;
    }
    let fields = Fields::open(field.node, "`network` of `room`", keys::NETWORKS, critic)?;
    let mut of = |key: &str, occupant: Occupant, usual: Network| {
        fields
            .get(key)
            .and_then(|field| network(field, Some(occupant), critic))
            .unwrap_or(usual)
    };
    let usual = Networks::default();
    Some(Networks {
        agent: of("agent", Occupant::Agent, usual.agent),
        gates: of("gates", Occupant::Program, usual.gates),
        tasks: of("tasks", Occupant::Program, usual.tasks),
    })
}

/// What a child reaches. Absent = it is not plain who it is.
pub(super) fn network(
    field: Field<'_>,
    occupant: Option<Occupant>,
    critic: &mut Critic<'_>,
) -> Option<Network> {
    let network = match &field.node.value {
        Value::Map(_) => allow(field, critic)?,
        Value::Scalar(scalar) if scalar.meaning() == ScalarMeaning::Text => {
            word(field, &scalar.text, critic)?
        }
        Value::Broken => return None,
        Value::Scalar(_) | Value::List(_) => {
            let what = format!(
                "`{}` must be a network, but this is {}",
                field.key,
                describe(field.node)
            );
            critic.say(field.pointed(), what).advise(CHOICES);
            return None;
        }
    };
    let wrong = match (&network, occupant) {
        (Network::Model, Some(Occupant::Program)) => ("only an agent has a model", "write `none`"),
        (Network::None, Some(Occupant::Agent)) => {
            ("an agent can do nothing without its model", "write `model`")
        }
        (Network::None | Network::Model | Network::Open | Network::Allow(_), _) => {
            return Some(network);
        }
    };
    critic
        .say(
            field.node.at,
            format!("`{}` cannot be `{network}`: {}", field.key, wrong.0),
        )
        .advise(wrong.1);
    None
}

/// What a network may be.
const CHOICES: &str =
    "write `none`, `model`, `open`, or `{ allow: [example.com] }` with the names of hosts";

fn word(field: Field<'_>, text: &str, critic: &mut Critic<'_>) -> Option<Network> {
    if let Some((_, network)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(network.clone());
    }
    let hint = match (
        critic.guess(text, WORDS.iter().map(|(word, _)| *word)),
        text.parse::<HostName>(),
    ) {
        (_, Ok(host)) if host.as_str().contains('.') => format!("write `{{ allow: [{host}] }}`"),
        (Some(word), _) => did_you_mean(&word),
        (None, _) => CHOICES.to_owned(),
    };
    critic
        .say(
            field.pointed(),
            format!("`{}` cannot be {}", field.key, quoted(text)),
        )
        .advise(hint);
    None
}

fn allow(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Network> {
    let fields = Fields::open(
        field.node,
        &format!("`{}`", field.key),
        keys::NETWORK,
        critic,
    )?;
    let list = fields.get("allow");
    let nothing = match (&field.node.value, list.map(|list| &list.node.value)) {
        (_, Some(Value::List(hosts))) => hosts.is_empty(),
        (Value::Map(entries), None) => entries.is_empty(),
        (_, Some(_) | None) => false,
    };
    if nothing {
        critic
            .say(fields.at, format!("`{}` allows no host", field.key))
            .advise("name one, or write `none`");
        return None;
    }
    let hosts = list?.list(critic, host)?;
    // Where no name was sound, each was complained of.
    (!hosts.is_empty()).then_some(Network::Allow(hosts))
}

fn host(item: Field<'_>, critic: &mut Critic<'_>) -> Option<HostName> {
    let text = item.text(critic)?;
    text.parse()
        .map_err(|bad: crate::plan::BadHost| {
            let complaint = critic.say(item.pointed(), format!("{} {bad}", quoted(&text)));
            if let Some(advice) = bad.advice() {
                complaint.advise(advice);
            }
        })
        .ok()
}
