//! Tests of `work::attempt`.

use super::*;
use crate::fact::{CommandEvidence, LogEvidence};
use crate::id::Sha256;
use crate::plan::Network;

#[test]
fn refused_hosts_are_named_after_what_happened() {
    let log = LogEvidence {
        path: "command.log".to_owned(),
        sha256: Sha256::of(b""),
        bytes: 0,
        head: String::new(),
        tail: String::new(),
    };
    let mut evidence = Evidence {
        command: Some(CommandEvidence {
            command: "make".to_owned(),
            exit: Some(1),
            log,
        }),
        ..Evidence::default()
    };
    let told = |message: &str, evidence: &Evidence| with_refusal(Class::Command, message, evidence);
    assert_eq!(told("exited with 1", &evidence), "exited with 1");
    evidence.network = Some(Network::None);
    assert_eq!(
        told("exited with 1", &evidence),
        "exited with 1; its room had no network"
    );
    assert_eq!(
        with_refusal(Class::Scope, "a.txt is not in its write set", &evidence),
        "a.txt is not in its write set"
    );
    evidence.network = Some(Network::Allow(vec!["a.example".parse().unwrap()]));
    assert_eq!(
        told("exited with 1", &evidence),
        "exited with 1; its room reached a.example only"
    );
    evidence.refused_hosts = vec!["a.example".to_owned(), "b.example".to_owned()];
    let refused = "its network refused a.example, b.example";
    assert_eq!(
        told("exited with 1", &evidence),
        format!("exited with 1; {refused}")
    );
    assert_eq!(
        told("was silent", &evidence),
        format!("was silent; {refused}")
    );
    evidence.refused_hosts.clear();
    evidence.unreached_hosts = vec!["a.example (it does not answer)".to_owned()];
    assert_eq!(
        told("failed", &evidence),
        "failed; its network could not reach a.example (it does not answer)"
    );
    evidence.refused_hosts = vec!["a.example".to_owned()];
    let of_the_command = "gate `g` failed; the command's network refused a.example; its network could not reach a.example (it does not answer)";
    assert_eq!(
        with_refusal(Class::Gate, "gate `g` failed", &evidence),
        of_the_command
    );
}
