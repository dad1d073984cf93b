//! Tests of `model::facts`.

use super::*;

const MOONSHOT: &str = "https://api.moonshot.ai/v1";

fn offered(id: &str, context: Option<u32>, thinking: Option<Thinks>) -> Offered {
    Offered {
        id: id.to_owned(),
        context,
        thinking,
        efforts: Vec::new(),
    }
}

#[test]
fn the_table_knows_its_models() {
    let facts = ModelFacts::gather("kimi-k3", MOONSHOT, Some(&offered("kimi-k3", None, None)));
    assert_eq!(
        (facts.context, facts.origin),
        (1_048_576, FactsSource::Table)
    );
    assert_eq!(facts.prices.map(|prices| prices.output), Some(15.0));
    assert_eq!(facts.assumptions(), Vec::<String>::new());
}

#[test]
fn the_provider_wins_where_it_says_more() {
    let told = Offered {
        efforts: vec![Effort::Max],
        ..offered("kimi-k3", Some(500_000), Some(Thinks::Choice))
    };
    let facts = ModelFacts::gather("kimi-k3", MOONSHOT, Some(&told));
    assert_eq!(
        (facts.context, facts.efforts.as_slice()),
        (500_000, &[Effort::Max][..])
    );
    assert_eq!(
        (facts.thinking, facts.form),
        (Some(Thinks::Choice), Some(Form::Effort))
    );
    let told = offered("kimi-k2.6", None, Some(Thinks::Always));
    assert_eq!(
        ModelFacts::gather("kimi-k2.6", MOONSHOT, Some(&told)).thinking,
        Some(Thinks::Always)
    );
}

#[test]
fn an_unknown_model_works_and_what_was_assumed_is_said() {
    let facts = ModelFacts::gather(
        "llama",
        "http://127.0.0.1:1/v1",
        Some(&offered("llama", None, None)),
    );
    assert_eq!(
        (facts.context, facts.prices, facts.form),
        (131_072, None, None)
    );
    insta::assert_snapshot!(facts.assumptions().join("\n"), @"omk does not know the model `llama`: it assumes a context of 131072 tokens, and leaves thinking to the provider");
    let told = offered("llama", Some(8_192), Some(Thinks::Choice));
    let facts = ModelFacts::gather("llama", "http://127.0.0.1:1/v1", Some(&told));
    assert_eq!((facts.context, facts.form), (8_192, Some(Form::Object)));
    insta::assert_snapshot!(facts.assumptions().join("\n"), @"omk knows the model `llama` from its provider only: a context of 8192 tokens, and no prices");
    let facts = ModelFacts::gather("kimi-k3", "https://proxy.example/v1", None);
    insta::assert_snapshot!(facts.assumptions().join("\n"), @"omk counts Moonshot's prices in USD for `kimi-k3`; set `prices` in the plan if this provider has others");
}
