//! The parts of a plan that are about the whole of it: agent, limits, prices, delivery, commands.
//!
//! It refuses to let a secret into a child: `pass_env` takes no variable whose name says that it is
//! one.

use super::field::{Field, Fields};
use super::keys;
use crate::model::{Effort, Prices, Thinking};
use crate::plan::complaint::{Critic, quoted};
use crate::plan::raw::Value;
use crate::plan::scalar::ScalarMeaning;
use crate::plan::{Agent, AgentKind, Bot, Commands, Deliver, DeliverAs, Limits, Permission};

pub(in crate::plan) const KINDS: &[(&str, AgentKind)] =
    &[(AgentKind::KimiCode.as_str(), AgentKind::KimiCode)];

pub(in crate::plan) const THINKING: &[(&str, Thinking)] = &[
    ("auto", Thinking::Auto),
    ("off", Thinking::Off),
    ("on", Thinking::On),
    ("low", Thinking::To(Effort::Low)),
    ("high", Thinking::To(Effort::High)),
    ("max", Thinking::To(Effort::Max)),
];

pub(in crate::plan) const FORMS: &[(&str, DeliverAs)] = &[
    ("pull-request", DeliverAs::PullRequest),
    ("pull-request-per-task", DeliverAs::PullRequestPerTask),
    ("push", DeliverAs::Push),
    ("branches", DeliverAs::Branches),
];

pub(in crate::plan) const PERMISSIONS: &[(&str, Permission)] = &[
    ("triage", Permission::Triage),
    ("write", Permission::Write),
    ("maintain", Permission::Maintain),
    ("admin", Permission::Admin),
];

/// The most workers: more children than that no machine carries.
const MAX_WORKERS: u32 = 1024;

/// Parts of names that secrets have.
const SECRET: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

pub(super) fn agent(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Agent> {
    let fields = Fields::open(field.node, "`agent`", keys::AGENT, critic)?;
    let mut agent = Agent::default();
    if let Some(kind) = fields
        .get("kind")
        .and_then(|kind| kind.choice(KINDS, critic))
    {
        agent.kind = kind;
    }
    if let Some(version) = fields
        .get("version")
        .and_then(|version| self::version(version, critic))
    {
        agent.version = version;
    }
    if let Some(model) = fields.get("model").and_then(|model| model.words(critic)) {
        agent.model = model;
    }
    if let Some(thinking) = fields
        .get("thinking")
        .and_then(|thinking| self::thinking(thinking, critic))
    {
        agent.thinking = thinking;
    }
    if let Some(url) = fields.get("base_url").and_then(|url| base_url(url, critic)) {
        agent.base_url = url;
    }
    if let Some(name) = fields.get("key_env").and_then(|name| name.variable(critic)) {
        agent.key_env = name;
    }
    if let Some(steps) = fields
        .get("max_steps")
        .and_then(|steps| steps.whole(1..=u32::MAX, critic))
    {
        agent.max_steps = steps;
    }
    if let Some(tools) = fields
        .get("tools")
        .and_then(|tools| Fields::open(tools.node, "`tools`", keys::TOOLS, critic))
        && let Some(disabled) = tools
            .get("disabled")
            .and_then(|names| names.list(critic, Field::words))
    {
        agent.tools_disabled = disabled;
    }
    Some(agent)
}

/// Editors that know YAML 1.1 turn `on` and `off` into `true` and `false`.
fn thinking(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Thinking> {
    if let Value::Scalar(scalar) = &field.node.value
        && let ScalarMeaning::Bool(on) = scalar.meaning()
    {
        let word = if on { "on" } else { "off" };
        let what = format!("`thinking` cannot be {}", quoted(&scalar.text));
        critic
            .say(field.node.at, what)
            .advise(format!("write `{word}`"));
        return None;
    }
    field.choice(THINKING, critic)
}

/// A version goes into a command line and a path, so it holds nothing that means something there.
fn version(field: Field<'_>, critic: &mut Critic<'_>) -> Option<String> {
    let text = field.words(critic)?;
    let sound = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_'));
    if !sound {
        critic
            .say(field.node.at, format!("{} is not a version", quoted(&text)))
            .advise("write it like `\"2.1.0\"`");
        return None;
    }
    Some(text)
}

fn base_url(field: Field<'_>, critic: &mut Critic<'_>) -> Option<String> {
    let text = field.words(critic)?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    let wrong = if host.is_none_or(str::is_empty) {
        Some((
            "is not the address of a provider",
            "write it like `https://api.moonshot.ai/v1`",
        ))
    } else if host.is_some_and(|host| host.contains('@')) {
        Some((
            "holds a user name or password",
            "leave it out: omk reads the key from `key_env`",
        ))
    } else if text
        .contains(|character: char| character.is_whitespace() || matches!(character, '?' | '#'))
    {
        Some((
            "holds spaces, `?` or `#`",
            "write only the part before them",
        ))
    } else {
        None
    };
    if let Some((what, hint)) = wrong {
        critic
            .say(field.node.at, format!("`base_url` {what}"))
            .advise(hint);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

pub(super) fn limits(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Limits> {
    let fields = Fields::open(field.node, "`limits`", keys::LIMITS, critic)?;
    Some(Limits {
        workers: fields
            .get("workers")
            .and_then(|workers| workers.whole(1..=MAX_WORKERS, critic)),
        time: fields.get("time").and_then(|time| time.duration(critic)),
        tokens: fields
            .get("tokens")
            .and_then(|tokens| tokens.whole(1..=u64::MAX, critic)),
        usd: fields
            .get("usd")
            .and_then(|usd| usd.number("more than 0", |usd| usd > 0.0, critic)),
    })
}

pub(super) fn prices(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Prices> {
    let fields = Fields::open(field.node, "`prices`", keys::PRICES, critic)?;
    let mut price = |key: &str| match fields.get(key) {
        Some(price) => price.number("0 or more", |price| price >= 0.0, critic),
        None => {
            critic
                .say(fields.at, format!("`prices` has no `{key}`"))
                .advise("add it, in USD per million tokens");
            None
        }
    };
    let (input, cached_input, output) = (price("input"), price("cached_input"), price("output"));
    Some(Prices {
        input: input?,
        cached_input: cached_input?,
        output: output?,
    })
}

/// Names of variables to pass on to children; `key_env` is the one that only omk reads.
pub(super) fn pass_env(
    field: Field<'_>,
    key_env: &str,
    critic: &mut Critic<'_>,
) -> Option<Vec<String>> {
    field.list(critic, |item, critic| {
        let name = item.variable(critic)?;
        let upper = name.to_ascii_uppercase();
        if let Some(part) = SECRET.iter().find(|part| upper.contains(*part)) {
            critic
                .say(
                    item.node.at,
                    format!(
                        "{} is not passed on: a name with {part} in it is a secret",
                        quoted(&name)
                    ),
                )
                .advise("children get no secrets; remove it");
            return None;
        }
        if name == key_env {
            let what = format!(
                "{} is not passed on: `key_env` says that only omk reads it",
                quoted(&name)
            );
            critic
                .say(item.node.at, what)
                .advise("children get no secrets; remove it");
            return None;
        }
        Some(name)
    })
}

pub(super) fn deliver(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Deliver> {
    let fields = Fields::open(field.node, "`deliver`", keys::DELIVER, critic)?;
    let usual = Deliver::default();
    let mut flag = |key: &str, usual: bool| {
        fields
            .get(key)
            .and_then(|flag| flag.boolean(critic))
            .unwrap_or(usual)
    };
    let (draft, partial, sign_off) = (
        flag("draft", usual.draft),
        flag("partial", usual.partial),
        flag("sign_off", usual.sign_off),
    );
    Some(Deliver {
        form: fields
            .get("as")
            .and_then(|form| form.choice(FORMS, critic))
            .unwrap_or(usual.form),
        draft,
        labels: fields
            .get("labels")
            .and_then(|labels| labels.list(critic, Field::words))
            .unwrap_or(usual.labels),
        partial,
        limit: fields
            .get("limit")
            .and_then(|limit| limit.whole(1..=u32::MAX, critic))
            .unwrap_or(usual.limit),
        sign_off,
    })
}

pub(super) fn commands(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Commands> {
    let fields = Fields::open(field.node, "`commands`", keys::COMMANDS, critic)?;
    let usual = Commands::default();
    let permission = fields
        .get("permission")
        .and_then(|least| least.choice(PERMISSIONS, critic));
    let bots = fields.get("bots").and_then(|bots| bots.list(critic, bot));
    Some(Commands {
        permission: permission.unwrap_or(usual.permission),
        bots: bots.unwrap_or(usual.bots),
    })
}

fn bot(item: Field<'_>, critic: &mut Critic<'_>) -> Option<Bot> {
    let fields = Fields::open(item.node, "a bot", keys::BOT, critic)?;
    for key in keys::BOT.iter().filter(|key| fields.get(key).is_none()) {
        critic
            .say(fields.at, format!("this bot has no `{key}`"))
            .advise("a bot is known by both: `{login: name[bot], id: 123}`");
    }
    let login = fields.get("login").and_then(|login| login.words(critic));
    let id = fields
        .get("id")
        .and_then(|id| id.whole(1..=u64::MAX, critic));
    Some(Bot {
        login: login?,
        id: id?,
    })
}

#[cfg(test)]
mod tests;
