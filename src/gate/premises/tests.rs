//! Tests of `gate::premises`.

use proptest::prelude::*;

use super::*;

/// The premises made of these texts, one for each part; an empty last one is no fingerprint.
fn premises(parts: &[String; 10]) -> Premises {
    let [
        omk,
        definition,
        inputs,
        base_inputs,
        trusted,
        platform,
        room,
        name,
        value,
        fingerprint,
    ] = parts.clone();
    let digest = |text: String| Sha256::of(text.as_bytes());
    Premises {
        omk,
        definition,
        inputs: digest(inputs),
        base_inputs: digest(base_inputs),
        trusted: digest(trusted),
        platform,
        room,
        env: [(name.into(), value.into())].into(),
        fingerprint: Some(fingerprint)
            .filter(|text| !text.is_empty())
            .map(digest),
    }
}

proptest! {
    #[test]
    fn any_other_part_makes_another_key(
        parts in proptest::array::uniform10("[a-c]{0,3}"), which in 0usize..10, other in "[a-c]{0,4}",
    ) {
        let mut changed = parts.clone();
        changed[which].clone_from(&other);
        prop_assert_eq!(premises(&parts).key() == premises(&changed).key(), parts == changed);
    }

    #[test]
    fn a_part_never_passes_for_its_neighbour(
        parts in proptest::array::uniform10("[a-c]{0,3}"), others in proptest::array::uniform10("[a-c]{0,3}"),
    ) {
        prop_assert_eq!(premises(&parts).key() == premises(&others).key(), parts == others);
    }
}

#[test]
fn a_variable_more_or_less_makes_another_key() {
    let with = premises(&std::array::from_fn(|_| String::new()));
    let without = Premises {
        env: BTreeMap::new(),
        ..with.clone()
    };
    assert_ne!(with.key(), without.key());
}
