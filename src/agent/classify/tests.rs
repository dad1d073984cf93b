//! Tests of `agent::classify`.

use super::super::stdout::{Retrying, StdoutSummary};
use super::super::wire::{Recorded, read_lines};
use super::*;
use crate::exec::Ended;
use crate::fact::Containment;
use crate::id::Sha256;

fn ran(ending: Ending, wire: &str, stderr: &str) -> CliRun {
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
    CliRun {
        child,
        transcript: "t".into(),
        heard: StdoutSummary::default(),
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
