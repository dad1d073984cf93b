//! Why a turn ended as it did, as one of the classes of failure.
//!
//! Trust, in this order: what was asked of omk itself (a stop, a miss in the cassette), the
//! recorded end of the turn, omk's own clocks, the last retry line, what the gateway saw, standard
//! error. It refuses to look at the exit code for more than whether there is anything else to say.

mod clue;

use std::time::Duration;

use super::wire::TurnError;
use super::{AgentOutcome, CliRun, Observed};
use crate::exec::Ending;
use crate::fact::{Class, Failure};
use crate::model::{Empty, UNNAMED, is_out_of_credit, is_overloaded, is_too_large};
use crate::text::clip;
use clue::{Clue, by_status};

/// A failure's message is for people and for the next attempt; the transcript holds the rest.
const LONGEST_MESSAGE: usize = 1_500;

/// Judges one run of the CLI.
pub(super) fn classify(ran: &CliRun, observed: &Observed) -> AgentOutcome {
    if let Some(miss) = &observed.cassette_miss {
        return failed(Class::Config, miss, None);
    }
    if let Some(outcome) = recorded_end(ran, observed) {
        return outcome;
    }
    if observed.over_budget {
        return AgentOutcome::Interrupted;
    }
    if let Some(delay) = ran.waits {
        return long_wait(ran, observed, delay);
    }
    match &ran.child.ending {
        Ending::Stopped => return AgentOutcome::Interrupted,
        Ending::TimedOut => {
            return failed(
                Class::Timeout,
                "the agent did not finish within its `timeout`",
                None,
            );
        }
        Ending::Hung => {
            return failed(
                Class::Hung,
                "the agent and its model were silent for the whole `idle_timeout`",
                None,
            );
        }
        Ending::Exited(_) | Ending::Signalled(_) => {}
    }
    unrecorded_end(ran, observed)
}

/// What the recorded end of the turn says; `None` where there is none, or it only says that the CLI
/// was told to stop.
fn recorded_end(ran: &CliRun, observed: &Observed) -> Option<AgentOutcome> {
    let end = ran.recorded.end.as_ref()?;
    match (end.reason.as_str(), &end.error) {
        ("completed", None) => Some(
            match (
                end.stop_reason.as_deref(),
                ran.recorded.last_finish.as_deref(),
            ) {
                (Some(reason), _) => failed(
                    Class::Steps,
                    &format!("the CLI ended the turn before the work was done: {reason}"),
                    None,
                ),
                (None, Some("max_tokens" | "length")) => failed(
                    Class::Steps,
                    "the model's last answer was cut at its longest length",
                    None,
                ),
                (None, _) => AgentOutcome::Done,
            },
        ),
        // Over budget, what fails is only the echo of omk's own cut.
        (_, Some(_)) if observed.over_budget => Some(AgentOutcome::Interrupted),
        (_, Some(error)) => Some(judge_error(error, observed)),
        (_, None) => None,
    }
}

fn judge_error(error: &TurnError, observed: &Observed) -> AgentOutcome {
    let clue = Clue {
        code: &error.code,
        name: &error.name,
        message: &error.message,
        status: error.status,
    };
    let class = match &error.cause {
        Some(cause) => Clue {
            code: &cause.code,
            name: &cause.name,
            message: &cause.message,
            status: cause.status,
        }
        .class(observed)
        .or_else(|| clue.class(observed)),
        None => clue.class(observed),
    };
    let class = class
        .or_else(|| from_gateway(observed))
        .unwrap_or(Class::Host);
    let own = || {
        if error.code.is_empty() {
            error.message.clone()
        } else {
            format!("{}: {}", error.code, error.message)
        }
    };
    let said = in_provider_words(class, error.status, observed).unwrap_or_else(own);
    failed(class, &said, retry_after(class, observed, None))
}

/// The provider's own words of what ended the turn, where the gateway heard them: the CLI tells
/// less, and in its own.
fn in_provider_words(class: Class, status: Option<u16>, observed: &Observed) -> Option<String> {
    let about_provider = match class {
        Class::Auth
        | Class::Config
        | Class::Quota
        | Class::RateLimit
        | Class::Provider
        | Class::Refused => true,
        // The CLI may say so itself, after it tried to make its conversation shorter.
        Class::Context => is_too_large(observed.message.as_deref().unwrap_or_default()),
        Class::Steps => observed.kind.as_deref().and_then(Empty::named).is_some(),
        Class::Gate
        | Class::Command
        | Class::Scope
        | Class::Conflict
        | Class::Timeout
        | Class::Hung
        | Class::Host
        | Class::Lost
        | Class::NoChange => false,
    };
    let kind = observed.kind.as_deref().filter(|_| about_provider)?;
    let message = observed.message.as_deref().unwrap_or_default();
    match observed.status {
        // Trouble on the way there, or an answer of no use: the gateway's words.
        None => Some(message.to_owned()).filter(|message| !message.is_empty()),
        Some(200..=299) => Some(message.to_owned()).filter(|message| !message.is_empty()),
        Some(answered)
            if class == Class::Context || status.is_none_or(|status| status == answered) =>
        {
            let kind = if kind == UNNAMED {
                String::new()
            } else {
                format!(" ({kind})")
            };
            let message = if message.is_empty() {
                String::new()
            } else {
                format!(": {message}")
            };
            Some(format!("the provider answered {answered}{kind}{message}"))
        }
        // The last answer is not the one that ended the turn.
        Some(_) => None,
    }
}

fn long_wait(ran: &CliRun, observed: &Observed, delay: Duration) -> AgentOutcome {
    let retrying = ran.heard.retrying.clone().unwrap_or_default();
    let clue = Clue {
        code: "",
        name: &retrying.error_name,
        message: &retrying.message,
        status: retrying.status,
    };
    let class = clue.class(observed).unwrap_or(Class::RateLimit);
    let said = format!(
        "the provider asked to wait {} s: {}",
        delay.as_secs(),
        retrying.message
    );
    failed(class, &said, retry_after(class, observed, Some(delay)))
}

/// There is no recorded end: what else is there?
fn unrecorded_end(ran: &CliRun, observed: &Observed) -> AgentOutcome {
    let stderr = String::from_utf8_lossy(&ran.child.stderr_tail);
    let from_retry = ran.heard.retrying.as_ref().and_then(|retrying| {
        let clue = Clue {
            code: "",
            name: &retrying.error_name,
            message: &retrying.message,
            status: retrying.status,
        };
        Some((clue.class(observed)?, retrying.message.clone()))
    });
    let from_gateway = || {
        from_gateway(observed).map(|class| (class, observed.message.clone().unwrap_or_default()))
    };
    let from_stderr = || {
        let (_, said) = stderr.rsplit_once("error: ")?;
        let said = said
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("failed to run prompt: ");
        let (code, message) = said.split_once(": ").unwrap_or(("", said));
        let status = message.get(..3).and_then(|digits| digits.parse().ok());
        let class = Clue {
            code,
            name: "",
            message: said,
            status,
        }
        .class(observed)?;
        Some((class, said.to_owned()))
    };
    if let Some((class, said)) = from_retry.or_else(from_gateway).or_else(from_stderr) {
        return failed(class, &said, retry_after(class, observed, None));
    }
    if stderr.contains("createZstdDecompress") {
        let failure = Failure::new(Class::Config, "Node.js is too old for the CLI");
        return AgentOutcome::Failed(Failure {
            advice: Some("run `omk agent install`".to_owned()),
            ..failure
        });
    }
    let how = match ran.child.ending {
        Ending::Exited(code) => format!("exited with {code}"),
        Ending::Signalled(signal) => format!("was ended by signal {signal}"),
        Ending::TimedOut | Ending::Hung | Ending::Stopped => "was ended".to_owned(),
    };
    let last = stderr.trim().lines().next_back().unwrap_or_default();
    let unread = ran
        .recorded
        .unread
        .as_ref()
        .map(|why| format!(" (its record could not be read: {why})"));
    let unread = unread.unwrap_or_default();
    failed(
        Class::Host,
        &format!("the CLI {how} without recording the end of its turn{unread}; {last}"),
        None,
    )
}

fn from_gateway(observed: &Observed) -> Option<Class> {
    let kind = observed.kind.as_deref()?;
    let message = observed.message.as_deref().unwrap_or_default();
    if is_out_of_credit(observed.status, kind, message) {
        return Some(Class::Quota);
    }
    if matches!(observed.status, Some(200..=299)) {
        return Some(if is_overloaded(kind, message) {
            Class::RateLimit
        } else {
            Class::Provider
        });
    }
    // Without a status no answer came, or it broke off.
    observed.status.map_or(Some(Class::Provider), by_status)
}

fn retry_after(class: Class, observed: &Observed, delay: Option<Duration>) -> Option<Duration> {
    match class {
        Class::RateLimit | Class::Provider | Class::Quota => observed.retry_after.or(delay),
        Class::Gate
        | Class::Command
        | Class::Scope
        | Class::Refused
        | Class::Context
        | Class::Auth
        | Class::Config
        | Class::Conflict
        | Class::Timeout
        | Class::Hung
        | Class::Host
        | Class::Lost
        | Class::NoChange
        | Class::Steps => None,
    }
}

fn failed(class: Class, said: &str, retry_after: Option<Duration>) -> AgentOutcome {
    let retry_after_ms =
        retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let message = clip(said.trim_end_matches(['\n', ' ', ';']), LONGEST_MESSAGE);
    AgentOutcome::Failed(Failure {
        retry_after_ms,
        ..Failure::new(class, message)
    })
}

#[cfg(test)]
mod tests;
