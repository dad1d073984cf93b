//! Tests of `model::table`.

use super::*;
use std::collections::BTreeSet;

#[test]
fn the_table_is_sound() {
    let names: BTreeSet<&str> = cards().iter().map(|card| card.id.as_str()).collect();
    assert_eq!(names.len(), cards().len(), "a name stands once");
    let mut unpriced = Vec::new();
    for card in cards() {
        assert!((32_768..=1 << 21).contains(&card.context), "{card:?}");
        assert!(
            card.output.is_none_or(|output| output <= card.context),
            "{card:?}"
        );
        assert_eq!(
            card.form.is_none(),
            card.thinking == Thinks::Never,
            "{card:?}"
        );
        assert!(card.efforts.is_empty() || card.form.is_some(), "{card:?}");
        let paid = [
            card.prices.is_some(),
            card.subscription,
            card.retired.is_some(),
        ];
        match paid.iter().filter(|is| **is).count() {
            1 => {}
            0 => unpriced.push(card.id.as_str()),
            _ => panic!("paid by the token, by a subscription, or gone: {card:?}"),
        }
        if let Some(prices) = card.prices {
            let Prices {
                input,
                cached_input,
                output,
            } = prices;
            assert!(
                0.0 < cached_input && cached_input < input && input < output && output < 100.0,
                "{card:?}"
            );
        }
        if let Some(day) = &card.retired {
            assert!(
                chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok(),
                "{card:?}"
            );
            let successor = card
                .successor
                .as_deref()
                .and_then(super::card)
                .expect("a retired model has a successor");
            assert!(successor.retired.is_none(), "{card:?}");
        }
    }
    assert_eq!(unpriced, ["kimi-k3.1-pro-highspeed"]);
    for provider in providers() {
        assert_eq!(
            super::provider(&format!("{}/", provider.base_url)),
            Some(provider)
        );
        assert_eq!(
            provider.credit.is_none(),
            provider.subscription,
            "{provider:?}"
        );
    }
}

#[test]
fn the_default_is_a_model_that_is_there_and_has_a_price() {
    let card = card(super::super::DEFAULT).unwrap();
    assert!(card.retired.is_none() && card.prices.is_some());
}

#[test]
fn no_name_stands_for_another() {
    assert_eq!(card("kimi-k3-preview"), None);
    assert_eq!(card("KIMI-K3"), None);
}
