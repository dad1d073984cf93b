//! Tests of `gateway::attempt`.

use super::*;

use super::super::Budget;

fn attempt(tokens_left: Option<u64>) -> AdmittedAttempt {
    let ledger = Ledger::new(
        Budget {
            tokens_left,
            ..Budget::default()
        },
        None,
    );
    let who = ("api".parse().unwrap(), 1);
    AdmittedAttempt::new(
        who,
        Pulse::default(),
        (None, None),
        ledger,
        CancellationToken::new(),
    )
}

/// A request of so many bytes that is with the provider.
async fn asked(attempt: &AdmittedAttempt, request_bytes: u64) -> Arc<Meter> {
    let meter = attempt.open_meter();
    meter.reserve(request_bytes).await.unwrap();
    meter.ask().await;
    meter.sent();
    meter
}

fn says(meter: &Meter, delta: &serde_json::Value) {
    meter.look_at(
        format!(
            "data: {}\n\n",
            serde_json::json!({"choices": [{"delta": delta}]})
        )
        .as_bytes(),
    );
}

const COUNTED: &[u8] =
    b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";

async fn at_once<T>(ends: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_millis(1), ends)
        .await
        .ok()
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_estimated_from_its_bytes() {
    let attempt = attempt(Some(17));
    let meter = asked(&attempt, 400).await;
    says(
        &meter,
        &serde_json::json!({"content": "x".repeat(41), "reasoning_content": "y".repeat(23)}),
    );
    assert_eq!(
        *attempt.ledger.broken().borrow(),
        None,
        "16 tokens of output so far"
    );
    says(&meter, &serde_json::json!({"content": "z".repeat(4)}));
    assert_eq!(
        *attempt.ledger.broken().borrow(),
        Some(Limit::Tokens),
        "17 of them"
    );
    // Another answer under way does not get into its way.
    let other = attempt.open_meter();
    attempt.close();
    let usage = attempt.usage();
    assert_eq!(
        usage.tokens,
        Tokens {
            input: 100,
            cached_input: 0,
            output: 17,
            reasoning: 5
        }
    );
    assert!(usage.estimated);
    attempt.close_meter(&meter);
    attempt.close_meter(&other);
    assert_eq!(attempt.usage(), usage, "an end counts once");
}

#[tokio::test]
async fn what_is_known_to_have_cost_nothing_is_no_estimate() {
    let refused = b"data: {\"error\":{\"type\":\"overloaded\",\"message\":\"busy\"}}\n\n";
    let never_sent = attempt(None);
    never_sent.open_meter();
    let turned_down = attempt(None);
    asked(&turned_down, 400).await.turned_down();
    let without_words = attempt(None);
    asked(&without_words, 400).await.look_at(refused);
    for attempt in [never_sent, turned_down, without_words] {
        attempt.close();
        assert_eq!(
            (attempt.usage().tokens, attempt.usage().estimated),
            (Tokens::default(), false)
        );
    }
    let after_words = attempt(None);
    let meter = asked(&after_words, 400).await;
    says(&meter, &serde_json::json!({"content": "12345678"}));
    meter.look_at(refused);
    after_words.close();
    let expected = Tokens {
        input: 100,
        output: 2,
        ..Tokens::default()
    };
    assert_eq!(
        (after_words.usage().tokens, after_words.usage().estimated),
        (expected, true)
    );
}

#[tokio::test]
async fn a_whole_answer_is_counted_as_the_provider_counts_it() {
    let attempt = attempt(Some(10));
    let meter = asked(&attempt, 4).await;
    meter.look_at_whole(
            br#"{"choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#,
        );
    assert!(meter.is_complete());
    assert_eq!(
        *attempt.ledger.broken().borrow(),
        Some(Limit::Tokens),
        "it is charged when it comes"
    );
    attempt.close();
    let expected = Tokens {
        input: 7,
        output: 3,
        ..Tokens::default()
    };
    assert_eq!(
        (attempt.usage().tokens, attempt.usage().estimated),
        (expected, false)
    );
}

#[tokio::test]
async fn what_was_kept_for_a_request_is_free_once_its_count_is_known_or_its_attempt_is_over() {
    let attempt = attempt(Some(100));
    let meter = asked(&attempt, 4 * 60).await;
    says(&meter, &serde_json::json!({"content": "words"}));
    let second = attempt.open_meter();
    assert_eq!(
        at_once(second.reserve(4 * 60)).await,
        None,
        "60 are under way"
    );
    meter.look_at(COUNTED);
    assert_eq!(
        at_once(second.reserve(4 * 60)).await,
        Some(Ok(())),
        "there were 10"
    );
    let third = attempt.open_meter();
    assert_eq!(at_once(third.reserve(4 * 60)).await, None);
    attempt.close();
    // An attempt that is over reserves nothing that would stay.
    assert_eq!(at_once(third.reserve(4 * 60)).await, Some(Ok(())));
    assert_eq!(
        at_once(attempt.open_meter().reserve(4 * 1000)).await,
        Some(Ok(())),
        "it is alone"
    );
}
