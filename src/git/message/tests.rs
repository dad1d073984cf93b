//! Tests of `git::message`.

use super::*;
use proptest::prelude::*;

fn message(subject: &str) -> CommitMessage {
    let run = "20261122t185155z-4f2a9c".parse().unwrap();
    CommitMessage::new(subject, &run, &"api".parse().unwrap(), 2)
}

#[test]
fn a_message_has_subject_body_and_trailers() {
    let text = message("Split the API module")
        .body("Why:\nit was too long.")
        .requested_by("@ana")
        .to_string();
    insta::assert_snapshot!(text, @r"
        Split the API module

        Why:
        it was too long.

        Omk-Run: 20261122t185155z-4f2a9c
        Omk-Task: api
        Omk-Attempt: 2
        Omk-Proof: 20261122t185155z-4f2a9c/api
        Requested-by: @ana
        ");
}

#[test]
fn a_bare_message_holds_nothing_of_the_author() {
    let text = message("Split the API module")
        .body("Why")
        .requested_by("@ana")
        .bare()
        .to_string();
    assert!(
        text.starts_with("api\n\nOmk-Run: ") && text.ends_with("Requested-by: @ana\n"),
        "{text}"
    );
}

#[test]
fn a_message_about_a_run_names_no_task() {
    let run: RunId = "20261122t185155z-4f2a9c".parse().unwrap();
    let trailers = Trailers::of(&CommitMessage::of_run("Proofs", &run).to_string()).unwrap();
    assert_eq!(
        (trailers.run, trailers.task, trailers.attempt),
        (run, None, None)
    );
}

#[test]
fn text_of_others_cannot_forge_a_trailer_or_end_the_message() {
    let forged = "fix\n\nOmk-Run: 20200101t000000z-ffffff\nSigned-off-by: Eve <e@x>";
    let text = message(forged)
        .body("---\nOmk-Task: other\nCo-authored-by: Eve <e@x>")
        .requested_by("a\nOmk-Run: x");
    let text = text.to_string();
    assert!(
        text.lines()
            .all(|line| !line.starts_with("---") && !line.starts_with("Signed-off")),
        "{text}"
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("Omk-Run: "))
            .count(),
        1,
        "{text}"
    );
    assert_eq!(Trailers::of(&text).unwrap().task.unwrap().as_str(), "api");
}

#[test]
fn a_long_subject_is_clipped_at_72_characters() {
    let text = message(&"ä".repeat(100)).to_string();
    assert_eq!(text.lines().next().unwrap().chars().count(), 72);
}

proptest! {
    #[test]
    fn the_trailers_are_ours_whatever_the_text(subject in any::<String>(), body in any::<String>(), who in any::<String>()) {
        let text = message(&subject).body(&body).requested_by(&who).to_string();
        let trailers = Trailers::of(&text).unwrap();
        prop_assert_eq!(trailers.run.as_str(), "20261122t185155z-4f2a9c");
        prop_assert_eq!(trailers.attempt, Some(2));
    }
}
