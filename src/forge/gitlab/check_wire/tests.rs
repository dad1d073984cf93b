//! Tests of `forge::gitlab::check_wire`.

use super::*;

const SHORT: &str = "https://gitlab.example/projects/7";

#[test]
fn an_external_id_survives_being_a_fragment() {
    for id in [
        "omk/mr-12/20261122t185155z-4f2a9c/77/1",
        "omk / test",
        "a#b%20c",
        "größe",
    ] {
        let address = address(
            Some("https://gitlab.example/g/p/-/pipelines/77#old"),
            id,
            SHORT,
        );
        let (url, fragment) = address.split_once('#').unwrap();
        assert_eq!(
            (url, decoded(fragment).as_str()),
            ("https://gitlab.example/g/p/-/pipelines/77", id)
        );
    }
    assert!(
        address(None, "omk/mr-12/r/77/1", SHORT)
            .starts_with("https://gitlab.example/projects/7#omk/mr-12/")
    );
    let long = format!("https://gitlab.example/{}/-/pipelines/77", "g/".repeat(110));
    assert_eq!(
        address(Some(&long), "omk/mr-12/r/77/1", SHORT),
        address(None, "omk/mr-12/r/77/1", SHORT)
    );
    for odd in ["%", "%z", "%zz", "%4", "%ff", "%+1"] {
        assert_eq!(decoded(odd), odd);
    }
}

#[test]
fn what_is_not_known_is_not_good() {
    assert_eq!(
        state("invented"),
        CheckState::Completed(Conclusion::Failure)
    );
    assert_eq!(state("canceling"), CheckState::InProgress);
    for one in [
        Conclusion::Success,
        Conclusion::Failure,
        Conclusion::Neutral,
        Conclusion::Cancelled,
    ] {
        assert_eq!(
            state(word(CheckState::Completed(one))),
            CheckState::Completed(one)
        );
    }
    assert_eq!(
        word(CheckState::Completed(Conclusion::ActionRequired)),
        "failed"
    );
}
