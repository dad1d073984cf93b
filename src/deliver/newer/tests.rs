//! Tests of `deliver::newer`.

use super::*;
use crate::forge::Conclusion;

const OLD: &str = "20261122t185155z-4f2a9c";
const NEW: &str = "20261122t190000z-000000";
const OVER: CheckState = CheckState::Completed(Conclusion::Failure);

fn request() -> Request {
    let json = serde_json::json!({
        "version": 1, "run": OLD, "scope": "mr-12", "repository": "acme/widget", "forge": "gitlab",
        "trigger": { "event": "comment", "actor": "ann" }, "ask": { "what": "run", "tasks": [] },
        "base": "b".repeat(40), "default_branch": "main", "rules": "d".repeat(40),
        "plan": { "path": "omk.yaml", "digest": "0".repeat(64), "commit": null, "uncommitted": false },
        "workflow": { "id": 1, "attempt": 1, "url": "" },
    });
    serde_json::from_value(json).unwrap()
}

fn check(run: &str, scope: &str, state: CheckState) -> Check {
    Check {
        id: 1,
        name: "omk".to_owned(),
        external_id: format!("omk/{scope}/{run}/77/1"),
        state,
        app: None,
        url: String::new(),
        title: String::new(),
    }
}

fn found(on_base: Vec<Check>, on_head: Vec<Check>) -> Option<(String, bool)> {
    let newer = among(&request(), Ok(on_base), Ok(on_head))?;
    Some((newer.by.to_string(), newer.closed.is_some()))
}

#[test]
fn a_later_run_that_has_ended_keeps_its_word() {
    let new = || check(NEW, "mr-12", OVER);
    assert_eq!(found(vec![new()], vec![]), Some((NEW.to_owned(), false)));
    assert_eq!(
        found(vec![check(OLD, "mr-12", OVER), new()], vec![]),
        Some((NEW.to_owned(), true))
    );
    // What this run still has open it closes.
    let open = check(OLD, "mr-12", CheckState::InProgress);
    assert_eq!(
        found(vec![check(OLD, "mr-12", OVER), open], vec![new()]),
        Some((NEW.to_owned(), false))
    );
    assert_eq!(found(vec![], vec![new()]), Some((NEW.to_owned(), false)));
}

#[test]
fn nothing_else_takes_this_ones_place() {
    for other in [
        check(NEW, "mr-12", CheckState::InProgress),
        check(NEW, "mr-13", OVER),
        check(OLD, "mr-12", OVER),
        check("20261121t185155z-4f2a9c", "mr-12", OVER),
        Check {
            external_id: "a job of the pipeline".to_owned(),
            ..check(NEW, "mr-12", OVER)
        },
    ] {
        assert_eq!(found(vec![other.clone()], vec![other]), None);
    }
    let silent = || {
        Err(ForgeError::NotFound {
            what: String::new(),
        })
    };
    assert_eq!(among(&request(), silent(), silent()), None);
}
