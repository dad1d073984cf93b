//! Tests of `model::wire`.

use super::*;
use crate::model::{Offered, cards};
use proptest::prelude::*;

/// What each current model is documented to take, for each wish.
#[test]
fn each_model_gets_what_its_provider_documents() {
    let mut table = String::new();
    for id in ["kimi-k3", "kimi-k2.7-code", "kimi-k2.6", "k3", "some-other"] {
        for wish in Thinking::ALL {
            let facts = ModelFacts::gather(id, "https://api.moonshot.ai/v1", None);
            let put = match Wire::settle(&facts, wish) {
                Ok(wire) => {
                    let mut request = json!({"thinking": {"type": "disabled"}, "temperature": 0.6});
                    wire.translate(request.as_object_mut().unwrap());
                    request.to_string()
                }
                Err(unsuited) => format!("refused: {}", unsuited.in_full()),
            };
            table.push_str(&format!("{id} {wish}: {put}\n"));
        }
    }
    insta::assert_snapshot!(table, @r#"
        kimi-k3 auto: {}
        kimi-k3 off: refused: `agent.thinking: off` does not suit the model `kimi-k3`, which always thinks; set it to `auto`, `on`, `low`, `high` or `max`
        kimi-k3 on: {}
        kimi-k3 low: {"reasoning_effort":"low"}
        kimi-k3 high: {"reasoning_effort":"high"}
        kimi-k3 max: {"reasoning_effort":"max"}
        kimi-k2.7-code auto: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.7-code off: refused: `agent.thinking: off` does not suit the model `kimi-k2.7-code`, which always thinks; set it to `auto` or `on`
        kimi-k2.7-code on: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.7-code low: refused: `agent.thinking: low` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.7-code high: refused: `agent.thinking: high` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.7-code max: refused: `agent.thinking: max` does not suit the model `kimi-k2.7-code`, which has no efforts to choose from; set it to `auto` or `on`
        kimi-k2.6 auto: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.6 off: {"thinking":{"type":"disabled"}}
        kimi-k2.6 on: {"thinking":{"type":"enabled","keep":"all"}}
        kimi-k2.6 low: refused: `agent.thinking: low` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        kimi-k2.6 high: refused: `agent.thinking: high` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        kimi-k2.6 max: refused: `agent.thinking: max` does not suit the model `kimi-k2.6`, which has no efforts to choose from; set it to `auto`, `off` or `on`
        k3 auto: {"thinking":{"type":"enabled","keep":"all"}}
        k3 off: refused: `agent.thinking: off` does not suit the model `k3`, which always thinks; set it to `auto`, `on`, `low`, `high` or `max`
        k3 on: {"thinking":{"type":"enabled","keep":"all"}}
        k3 low: {"thinking":{"type":"enabled","keep":"all","effort":"low"}}
        k3 high: {"thinking":{"type":"enabled","keep":"all","effort":"high"}}
        k3 max: {"thinking":{"type":"enabled","keep":"all","effort":"max"}}
        some-other auto: {"temperature":0.6}
        some-other off: {"temperature":0.6,"thinking":{"type":"disabled"}}
        some-other on: {"temperature":0.6,"thinking":{"type":"enabled","keep":"all"}}
        some-other low: {"temperature":0.6,"reasoning_effort":"low"}
        some-other high: {"temperature":0.6,"reasoning_effort":"high"}
        some-other max: {"temperature":0.6,"reasoning_effort":"max"}
        "#);
}

#[test]
fn what_a_model_fixes_is_not_sent_and_an_answer_is_no_longer_than_it_can_be() {
    let facts = ModelFacts::gather("kimi-k3", "https://api.moonshot.ai/v1", None);
    let mut request = json!({"model": "kimi-k3", "temperature": 0.3, "top_p": 1, "n": 2, "presence_penalty": 0,
            "frequency_penalty": 0, "tool_choice": {"type": "function", "function": {"name": "x"}},
            "max_completion_tokens": 1_048_576, "max_tokens": 5, "messages": []});
    Wire::settle(&facts, Thinking::Auto)
        .unwrap()
        .translate(request.as_object_mut().unwrap());
    insta::assert_snapshot!(request, @r#"{"model":"kimi-k3","messages":[],"max_tokens":5,"max_completion_tokens":131072,"tool_choice":"auto"}"#);
}

fn any_wish() -> impl Strategy<Value = Thinking> {
    prop::sample::select(Thinking::ALL.to_vec())
}

fn any_facts() -> impl Strategy<Value = ModelFacts> {
    let ids: Vec<String> = cards()
        .iter()
        .map(|card| card.id.clone())
        .chain(["other".to_owned()])
        .collect();
    let thinks = prop::sample::select(vec![
        None,
        Some(Thinks::Always),
        Some(Thinks::Choice),
        Some(Thinks::Never),
    ]);
    let efforts = prop::sample::subsequence(Effort::ALL.to_vec(), 0..=3);
    (prop::sample::select(ids), thinks, efforts, any::<bool>()).prop_map(
        |(id, thinking, efforts, listed)| {
            let offered = Offered {
                id: id.clone(),
                context: None,
                thinking,
                efforts,
            };
            ModelFacts::gather(
                &id,
                "https://api.moonshot.ai/v1",
                Some(&offered).filter(|_| listed),
            )
        },
    )
}

proptest! {
    /// Whatever the agent wrote: a request names thinking in one form at most, never one that the model refuses, and
    /// keeps everything else. What is translated twice is as translated once.
    #[test]
    fn a_request_never_says_what_the_model_refuses(
        facts in any_facts(), wish in any_wish(), temperature in any::<bool>(), effort in any::<bool>(),
        object in any::<bool>(), forced in any::<bool>(), longest in 1u64..3_000_000,
    ) {
        let mut request = json!({"model": facts.id, "messages": [{"role": "user", "content": "hi"}], "tools": [],
            "max_completion_tokens": longest});
        if temperature { request["temperature"] = json!(0.6); }
        if effort { request["reasoning_effort"] = json!("ultra"); }
        if object { request["thinking"] = json!({"type": "disabled"}); }
        if forced { request["tool_choice"] = json!("required"); }
        match Wire::settle(&facts, wish) {
            Ok(wire) => {
                wire.translate(request.as_object_mut().unwrap());
                let once = request.clone();
                wire.translate(request.as_object_mut().unwrap());
                prop_assert_eq!(&once, &request);
                let said = (request.get("thinking"), request.get("reasoning_effort"));
                prop_assert!(!matches!(said, (Some(_), Some(_))));
                if facts.form == Some(Form::Effort) { prop_assert!(said.0.is_none() || facts.thinking == Some(Thinks::Choice)); }
                if facts.thinking == Some(Thinks::Never) { prop_assert_eq!(said, (None, None)); }
                if facts.thinking == Some(Thinks::Always) && facts.form == Some(Form::Object) {
                    prop_assert_eq!(&request["thinking"]["type"], "enabled");
                }
                prop_assert_eq!(request.get("temperature").is_some(), temperature && facts.origin != FactsSource::Table);
                prop_assert_eq!(&request["messages"][0]["content"], "hi");
                if let Some(most) = facts.output {
                    prop_assert!(request["max_completion_tokens"].as_u64().unwrap() <= u64::from(most));
                }
            }
            // A refusal always leaves a way: `auto` suits every model.
            Err(unsuited) => {
                prop_assert!(unsuited.possible.contains(&Thinking::Auto));
                prop_assert!(!unsuited.possible.contains(&wish));
            }
        }
    }
}
