//! Why a turn ended as it did, as one of the classes of failure.
//!
//! Trust, in this order: what was asked of omk itself (a stop, a miss in the cassette), the
//! recorded end of the turn, omk's own clocks, the last retry line, what the gateway saw, standard
//! error. It refuses to look at the exit code for more than whether there is anything else to say.

use std::time::Duration;

use super::wire::TurnError;
use super::{AgentOutcome, Observed, Ran, clip};
use crate::exec::Ending;
use crate::fact::{Class, Failure};
use crate::model::{Empty, UNNAMED, is_out_of_credit, is_overloaded, is_too_large};

/// A failure's message is for people and for the next attempt; the transcript holds the rest.
const LONGEST_MESSAGE: usize = 1_500;

/// Judges one run of the CLI.
pub(super) fn classify(ran: &Ran, observed: &Observed) -> AgentOutcome {
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
fn recorded_end(ran: &Ran, observed: &Observed) -> Option<AgentOutcome> {
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

fn long_wait(ran: &Ran, observed: &Observed, delay: Duration) -> AgentOutcome {
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
fn unrecorded_end(ran: &Ran, observed: &Observed) -> AgentOutcome {
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

/// What is known of an error.
struct Clue<'a> {
    code: &'a str,
    name: &'a str,
    message: &'a str,
    status: Option<u16>,
}

impl Clue<'_> {
    /// The class that the CLI's own words point to; where they are the same for two, the provider's
    /// tell.
    fn class(&self, observed: &Observed) -> Option<Class> {
        let kind = observed.kind.as_deref().unwrap_or_default();
        if self.name.contains("EmptyResponse") && Empty::named(kind) == Some(Empty::ReasoningCut) {
            return Some(Class::Steps);
        }
        if self.name.contains("ContextOverflow") || self.code == "context.overflow" {
            return Some(Class::Context);
        }
        if self.code == "provider.filtered" || self.message.contains("safety policy blocked") {
            return Some(Class::Refused);
        }
        if self.status == Some(400)
            && (kind.contains("content_filter") || self.message.contains("high risk"))
        {
            return Some(Class::Refused);
        }
        let said = observed.message.as_deref().unwrap_or(self.message);
        if self.name.contains("QuotaExhausted")
            || is_out_of_credit(self.status, kind, self.message)
            || is_out_of_credit(self.status, kind, said)
        {
            return Some(Class::Quota);
        }
        if self.status == Some(400) && is_too_large(self.message) {
            return Some(Class::Context);
        }
        // An error inside an answer that began as a good one: the CLI does not tell more than that
        // there was one.
        if matches!(observed.status, Some(200..=299))
            && self.status.is_none()
            && Empty::named(kind).is_none()
        {
            return from_gateway(observed);
        }
        match self.code {
            "loop.max_steps_exceeded" => return Some(Class::Steps),
            "provider.auth_error" => return Some(Class::Auth),
            "provider.rate_limit" => return Some(Class::RateLimit),
            "provider.connection_error" => return Some(Class::Provider),
            _ => {}
        }
        if let Some(class) = self.status.and_then(by_status) {
            return Some(class);
        }
        let no_setup =
            self.message.contains("No model configured") || self.code.starts_with("config");
        if no_setup || self.code.starts_with("model.") {
            return Some(Class::Config);
        }
        let broke = ["Connection", "Timeout", "EmptyResponse"]
            .iter()
            .any(|word| self.name.contains(word));
        let broke = broke
            || self.message.starts_with("terminated")
            || self.message.contains("empty response");
        (broke || self.code.starts_with("provider.")).then_some(Class::Provider)
    }
}

fn by_status(status: u16) -> Option<Class> {
    match status {
        401 | 403 => Some(Class::Auth),
        402 => Some(Class::Quota),
        408 | 425 | 500..=599 => Some(Class::Provider),
        429 => Some(Class::RateLimit),
        400..=499 => Some(Class::Config),
        _ => None,
    }
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
mod tests {
    use super::super::stdout::{Heard, Retrying};
    use super::super::wire::{Recorded, read_lines};
    use super::*;
    use crate::exec::Ended;
    use crate::fact::Containment;
    use crate::id::Sha256;

    fn ran(ending: Ending, wire: &str, stderr: &str) -> Ran {
        let child = Ended {
            ending,
            duration: Duration::from_secs(2),
            head: Vec::new(),
            tail: Vec::new(),
            stderr_tail: stderr.as_bytes().to_vec(),
            bytes: 0,
            log_sha256: Sha256::of(b""),
            containment: Containment::default(),
            why_not_sealed: None,
            stragglers: 0,
        };
        let recorded = if wire.is_empty() {
            Recorded::default()
        } else {
            read_lines(wire)
        };
        Ran {
            child,
            transcript: "t".into(),
            heard: Heard::default(),
            recorded,
            waits: None,
        }
    }

    /// `ended` is the recorded end without what is the same in all of them.
    fn ended(rest: &str) -> String {
        format!(r#"{{"type":"turn.ended","agentId":"main","turnId":0,{rest},"durationMs":135}}"#)
    }

    fn class(outcome: AgentOutcome) -> String {
        match outcome {
            AgentOutcome::Done => "done".to_owned(),
            AgentOutcome::Interrupted => "interrupted".to_owned(),
            AgentOutcome::Failed(failure) => failure.class.to_string(),
        }
    }

    #[test]
    fn every_recorded_end_has_its_class() {
        // As recorded from 2.1.0.
        for (rest, expected) in [
            (r#""reason":"completed""#, "done"),
            (
                r#""reason":"completed","stopReason":"repeat_breaker""#,
                "steps",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.auth_error","message":"401 Invalid Authentication","name":"APIStatusError","details":{"statusCode":401},"retryable":false}"#,
                "auth",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.auth_error","message":"403 no","name":"APIStatusError","details":{"statusCode":403},"retryable":false}"#,
                "auth",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"400 bad req","name":"APIStatusError","details":{"statusCode":400},"retryable":false}"#,
                "config",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"404 no model","name":"APIStatusError","details":{"statusCode":404},"retryable":false}"#,
                "config",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.rate_limit","message":"429 slow down","name":"APIProviderRateLimitError","details":{"statusCode":429},"retryable":true}"#,
                "rate-limit",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"429 You exceeded your current token quota: please check your account balance","name":"APIProviderQuotaExhaustedError","details":{"statusCode":429},"retryable":false}"#,
                "quota",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"500 boom","name":"APIStatusError","details":{"statusCode":500,"requestId":null,"traceId":null},"retryable":false}"#,
                "provider",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.connection_error","message":"terminated","name":"APIConnectionError","retryable":true}"#,
                "provider",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"The API returned an empty response (no content, no tool calls).","name":"APIEmptyResponseError","details":{"finishReason":null,"rawFinishReason":null},"retryable":false}"#,
                "provider",
            ),
            (
                r#""reason":"failed","error":{"code":"loop.max_steps_exceeded","message":"Turn exceeded maxSteps=4.","name":"LoopError","details":{"maxSteps":4},"retryable":false}"#,
                "steps",
            ),
            (
                r#""reason":"failed","error":{"code":"compaction.failed","message":"APIContextOverflowError: 400 Your request exceeded model token limit: 262144","name":"Error2","retryable":false,"cause":{"code":"context.overflow","message":"400 Your request exceeded","name":"APIContextOverflowError","details":{"statusCode":400},"retryable":true}}"#,
                "context",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.filtered","message":"The API returned an empty response","name":"APIEmptyResponseError","details":{"finishReason":"filtered","rawFinishReason":"content_filter"},"retryable":false}"#,
                "refused",
            ),
            (
                r#""reason":"failed","error":{"code":"provider.api_error","message":"400 The request was rejected because it was considered high risk","name":"APIStatusError","details":{"statusCode":400},"retryable":false}"#,
                "refused",
            ),
        ] {
            let ran = ran(Ending::Exited(1), &ended(rest), "");
            assert_eq!(
                class(classify(&ran, &Observed::default())),
                expected,
                "{rest}"
            );
        }
    }

    #[test]
    fn an_answer_cut_at_its_longest_is_not_done() {
        let cut = r#"{"type":"context.append_loop_event","event":{"type":"step.end","finishReason":"max_tokens"}}"#;
        let wire = format!("{cut}\n{}", ended(r#""reason":"completed""#));
        assert_eq!(
            class(classify(
                &ran(Ending::Exited(0), &wire, ""),
                &Observed::default()
            )),
            "steps"
        );
    }

    #[test]
    fn exit_0_without_a_recorded_end_is_not_success() {
        assert_eq!(
            class(classify(
                &ran(Ending::Exited(0), "", ""),
                &Observed::default()
            )),
            "host"
        );
    }

    #[test]
    fn noise_on_standard_error_decides_nothing_when_the_turn_ended_well() {
        let noise = "[unexpected] RuntimeError: workspace … not materialized\nerror: failed to run prompt: provider.api_error: 500";
        let ran = ran(Ending::Exited(0), &ended(r#""reason":"completed""#), noise);
        assert_eq!(classify(&ran, &Observed::default()), AgentOutcome::Done);
    }

    #[test]
    fn a_miss_in_the_cassette_decides_even_over_a_good_end() {
        let observed = Observed {
            cassette_miss: Some("the cassette has no answer api/0-3".to_owned()),
            ..Observed::default()
        };
        let ran = ran(Ending::Exited(0), &ended(r#""reason":"completed""#), "");
        assert_eq!(class(classify(&ran, &observed)), "config");
    }

    #[test]
    fn omks_own_clocks_and_stops_are_told_apart() {
        let cancelled = ended(r#""reason":"cancelled""#);
        for (ending, expected) in [
            (Ending::TimedOut, "timeout"),
            (Ending::Hung, "hung"),
            (Ending::Stopped, "interrupted"),
            (Ending::Signalled(9), "host"),
        ] {
            assert_eq!(
                class(classify(
                    &ran(ending.clone(), &cancelled, ""),
                    &Observed::default()
                )),
                expected,
                "{ending:?}"
            );
        }
    }

    #[test]
    fn a_long_wait_carries_how_long() {
        let mut ran = ran(Ending::Stopped, &ended(r#""reason":"cancelled""#), "");
        ran.waits = Some(Duration::from_secs(3600));
        ran.heard.retrying = Some(Retrying {
            delay: Duration::from_secs(3600),
            error_name: "APIProviderRateLimitError".to_owned(),
            message: "429 slow down".to_owned(),
            status: Some(429),
        });
        let AgentOutcome::Failed(failure) = classify(&ran, &Observed::default()) else {
            panic!("it failed")
        };
        assert_eq!(
            (failure.class, failure.retry_after_ms),
            (Class::RateLimit, Some(3_600_000))
        );
    }

    #[test]
    fn without_a_record_the_gateway_and_then_standard_error_tell() {
        let observed = Observed {
            status: Some(503),
            kind: Some("x".to_owned()),
            ..Observed::default()
        };
        assert_eq!(
            class(classify(&ran(Ending::Exited(1), "", ""), &observed)),
            "provider"
        );
        for (stderr, expected) in [
            (
                "error: failed to run prompt: provider.auth_error: 401 Invalid Authentication\nSee log: x",
                "auth",
            ),
            (
                "error: failed to run prompt: provider.rate_limit: 429 slow down\n",
                "rate-limit",
            ),
            (
                "error: failed to run prompt: No model configured. Run `kimi` and use /login to sign in",
                "config",
            ),
            (
                "error: failed to run prompt: Provider safety policy blocked the response.\n",
                "refused",
            ),
            (
                "SyntaxError: … does not provide an export named 'createZstdDecompress'\n",
                "config",
            ),
        ] {
            assert_eq!(
                class(classify(
                    &ran(Ending::Exited(1), "", stderr),
                    &Observed::default()
                )),
                expected,
                "{stderr}"
            );
        }
    }

    #[test]
    fn a_used_up_budget_interrupts_whatever_the_cli_makes_of_it() {
        let observed = Observed {
            over_budget: true,
            ..Observed::default()
        };
        let refused = ended(
            r#""reason":"failed","error":{"code":"provider.api_error","message":"402 omk: the run's budget is used up","name":"APIStatusError","details":{"statusCode":402}}"#,
        );
        assert_eq!(
            class(classify(&ran(Ending::Exited(1), &refused, ""), &observed)),
            "interrupted"
        );
        assert_eq!(
            class(classify(
                &ran(Ending::Exited(0), &ended(r#""reason":"completed""#), ""),
                &observed
            )),
            "done"
        );
    }
}
