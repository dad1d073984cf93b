//! What people read about models is what omk knows of them: one table of data, and a page that
//! agrees with it.

use std::path::Path;
use std::process::Command;

use omk_action::model::{ModelFacts, Thinking, Wire, card, cards, providers};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models-and-keys.md"))
        .unwrap()
}

fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<String> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| String::from_utf8_lossy(group).into())
        .collect();
    groups.join(",")
}

#[test]
fn the_page_has_the_tables_contexts_prices_and_thinking() {
    let page = page();
    for id in [
        "kimi-k3",
        "kimi-k3.1-pro",
        "kimi-k2.7-code",
        "kimi-k2.7-code-highspeed",
        "kimi-k2.6",
        "kimi-for-coding",
    ] {
        let card = card(id).unwrap();
        let prices = card
            .prices
            .map(|prices| [prices.input, prices.cached_input, prices.output]);
        let prices = match prices {
            Some(prices) => prices.map(|price| format!("{price:.2}")).join(" | "),
            None => "| |".to_owned(),
        };
        let facts = ModelFacts::gather(id, "https://api.moonshot.ai/v1", None);
        let order = [Thinking::Auto, Thinking::On]
            .into_iter()
            .chain(Thinking::ALL.into_iter().skip(3))
            .chain([Thinking::Off]);
        let wishes = order
            .filter(|wish| Wire::settle(&facts, *wish).is_ok())
            .map(|wish| format!("`{wish}`"));
        let wishes = wishes.collect::<Vec<_>>().join(", ");
        let row = format!(
            "| `{id}` | {} | {prices} | {wishes} |",
            thousands(card.context)
        );
        assert!(
            page.contains(&row),
            "docs/models-and-keys.md lacks the row\n{row}"
        );
    }
    for provider in providers() {
        assert!(
            page.contains(&provider.base_url) && page.contains(&provider.keys),
            "{provider:?}"
        );
    }
}

/// Files that speak of retired models because they are about retirement.
const ABOUT_RETIREMENT: [&str; 7] = [
    "docs/models-and-keys.md",
    "src/model/models.yaml",
    "src/plan/lower/settings/tests.rs",
    "tests/it/first_run.rs",
    "tests/it/models.rs",
    "tests/it/provider.rs",
    "tests/it/try_model.rs",
];

#[test]
fn nothing_names_a_retired_model_but_what_says_that_it_is_retired() {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let listed = String::from_utf8(git.output().unwrap().stdout).unwrap();
    let mut wrong = Vec::new();
    for name in listed
        .split_terminator('\0')
        .filter(|name| !ABOUT_RETIREMENT.contains(name))
    {
        let text =
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let retired = cards()
            .iter()
            .filter(|card| card.retired.is_some() && text.contains(&card.id));
        wrong.extend(retired.map(|card| format!("{name} names {}", card.id)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}
