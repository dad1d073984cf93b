//! Tests of `model::offer`.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(answer: &Value) -> Result<Vec<Offered>, BadOffer> {
    read_offer(answer.to_string().as_bytes())
}

fn bare(id: &str) -> Offered {
    Offered {
        id: id.to_owned(),
        context: None,
        thinking: None,
        efforts: Vec::new(),
    }
}

#[test]
fn a_list_of_names_is_enough() {
    let answer = json!({"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b"}]});
    assert_eq!(read(&answer), Ok(vec![bare("a"), bare("b")]));
    assert_eq!(read(&json!([{"id": "a"}])), Ok(vec![bare("a")]));
}

#[test]
fn what_the_provider_adds_is_read() {
    let answer = json!({"data": [{"id": "kimi-for-coding", "context_length": 262144, "supports_reasoning": true,
            "supports_thinking_type": "only",
            "think_efforts": {"support": true, "valid_efforts": ["low", "ultra", "max"], "default_effort": "max"}}]});
    let told = Offered {
        context: Some(262_144),
        thinking: Some(Thinks::Always),
        efforts: vec![Effort::Low, Effort::Max],
        ..bare("kimi-for-coding")
    };
    assert_eq!(read(&answer), Ok(vec![told]));
}

#[test]
fn a_provider_may_offer_a_model_under_another_name() {
    for (id, model, offers) in [
        ("llama3:latest", "llama3", true),
        ("kimi-k3", "kimi-k3:nitro", true),
        ("openai/*", "openai/gpt-5", true),
        ("kimi-k3", "kimi-k3.1-pro", false),
        ("openai/*", "kimi-k3", false),
    ] {
        assert_eq!(bare(id).stands_for(model), offers, "{id} {model}");
    }
}

#[test]
fn members_of_another_kind_count_as_absent() {
    let odd = json!({"data": [{"id": "a", "context_length": "many", "supports_thinking_type": 7,
            "supports_reasoning": "yes", "think_efforts": {"support": "true", "valid_efforts": ["low"]}},
            {"id": 3}, {"id": ""}, 5, {"id": "x".repeat(201)}, {"id": "a\n::error::b"}, {"id": "\u{1b}[31m"}]});
    assert_eq!(read(&odd), Ok(vec![bare("a")]));
    assert_eq!(
        read(&json!({"data": [{"id": "a", "context_length": 0}]})),
        Ok(vec![bare("a")])
    );
}

#[test]
fn what_is_no_list_is_refused_by_name() {
    assert_eq!(read_offer(b"<html>"), Err(BadOffer::NotJson));
    assert_eq!(read(&json!({"models": []})), Err(BadOffer::NoList));
    assert_eq!(read(&json!({"data": "none"})), Err(BadOffer::NoList));
    assert_eq!(read(&json!({"data": []})), Err(BadOffer::Empty));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_offer(&bytes);
    }
}
