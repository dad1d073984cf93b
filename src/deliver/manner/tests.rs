//! Tests of `deliver::manner`.

use super::*;
use crate::request::PullScope;

fn request(forge: &str, url: &str) -> Request {
    let json = serde_json::json!({
        "version": 1, "run": "20261122t185155z-4f2a9c", "scope": "pr-12", "repository": "acme/widget", "forge": forge,
        "trigger": { "event": "comment", "actor": "ann" }, "ask": { "what": "run", "tasks": [] },
        "base": "b".repeat(40), "default_branch": "main", "rules": "d".repeat(40),
        "plan": { "path": "omk.yaml", "digest": "0".repeat(64), "commit": null, "uncommitted": false },
        "workflow": { "id": 1, "attempt": 1, "url": url },
    });
    let mut request: Request = serde_json::from_value(json).unwrap();
    request.pull = Some(PullScope {
        number: 12,
        head: String::new(),
        base: String::new(),
    });
    request
}

#[test]
fn a_branchs_name_cannot_leave_the_address() {
    let request = request("github", "https://ghes.test/acme/widget/actions/runs/1");
    let check =
        |base, expect: &str| assert_eq!(by_hand(&request, base, "omk/run/pr-12").unwrap(), expect);
    check(
        "main",
        "https://ghes.test/acme/widget/compare/main...omk/run/pr-12?expand=1",
    );
    check(
        "a/b",
        "https://ghes.test/acme/widget/compare/a/b...omk/run/pr-12?expand=1",
    );
    check(
        "a?x#<y>",
        "https://ghes.test/acme/widget/compare/a%3Fx%23%3Cy%3E...omk/run/pr-12?expand=1",
    );
}

#[test]
fn nor_can_it_at_gitlab_which_may_live_below_a_path() {
    let request = request(
        "gitlab",
        "https://git.test/gitlab/acme/sub/widget/-/pipelines/77",
    );
    let check = |base, expect: &str| {
        let site = "https://git.test/gitlab/acme/sub/widget/-/merge_requests/new?";
        let from =
            "merge_request%5Bsource_branch%5D=omk%2Frun%2Fmr-12&merge_request%5Btarget_branch%5D=";
        assert_eq!(
            by_hand(&request, base, "omk/run/mr-12").unwrap(),
            format!("{site}{from}{expect}")
        );
    };
    check("main", "main");
    check("a/b", "a%2Fb");
    check("a&x=[y]#<z> +", "a%26x%3D%5By%5D%23%3Cz%3E+%2B");
}

#[test]
fn what_gitlab_refuses_is_found_out_by_leaving_out_what_can_be_spared() {
    let mut request = request("gitlab", "");
    request.pull.as_mut().unwrap().head = "feature".to_owned();
    let (run, head, proofs) = (
        "refs/heads/omk/run/mr-12",
        "refs/heads/feature",
        proofs_ref(&request),
    );
    let refs = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let all = refs(&[run, head, &proofs]);
    let out = |refusals, refs: &BTreeSet<String>| {
        // Which ref git names tells nothing.
        leave_out(ForgeKind::GitLab, refusals, (run, run), &request, refs)
    };
    assert_eq!(out(1, &all), Some(vec![head.to_owned()]));
    assert_eq!(out(2, &all), Some(vec![proofs.clone()]));
    assert_eq!(out(3, &all), Some(vec![head.to_owned(), proofs.clone()]));
    assert_eq!(out(4, &all), None);
    let two = refs(&[run, &proofs]);
    assert_eq!(
        (out(1, &two), out(2, &two)),
        (Some(vec![proofs.clone()]), None)
    );
    assert_eq!(out(1, &refs(&[run])), None);
    let github = |named| leave_out(ForgeKind::GitHub, 1, (named, run), &request, &all);
    assert_eq!(
        (github(head), github(run)),
        (Some(vec![head.to_owned()]), None)
    );
}

#[test]
fn a_forge_whose_address_is_not_known_has_no_link() {
    assert_eq!(
        by_hand(
            &request("gitlab", "https://git.test/acme/widget/actions/runs/1"),
            "main",
            "x"
        ),
        None
    );
    assert_eq!(by_hand(&request("github", ""), "main", "x"), None);
    assert_eq!(
        by_hand(
            &request("gitlab", "not an address/-/pipelines/1"),
            "main",
            "x"
        ),
        None
    );
}

#[test]
fn only_what_github_actions_opens_waits_for_a_person() {
    let account = |login: &str| Account {
        id: 1,
        login: login.to_owned(),
        bot: true,
    };
    assert_eq!(starts(ForgeKind::GitHub, None), Starts::Approved);
    assert_eq!(
        starts(ForgeKind::GitHub, Some(&account(ACTIONS))),
        Starts::Approved
    );
    assert_eq!(
        starts(ForgeKind::GitHub, Some(&account("omk[bot]"))),
        Starts::Alone
    );
    assert_eq!(starts(ForgeKind::GitLab, None), Starts::Alone);
    assert_eq!(
        starts(ForgeKind::GitLab, Some(&account(ACTIONS))),
        Starts::Alone
    );
}
