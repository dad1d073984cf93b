//! What each forge wants done in its own way: who starts the checks of what omk opens, where a
//! person can open it, and what is left where a check is refused.
//!
//! Everything else of a delivery is the same at all of them. It refuses to look anything up.

use std::collections::BTreeSet;

use super::steps::{full, proofs_ref};
use crate::forge::CheckWanted;
use crate::report::Instead;
use crate::report::pull::Starts;
use crate::request::Request;
use crate::text::ForgeKind;
use crate::trust::Account;

/// The login of GITHUB_TOKEN: what it opens starts no workflows by itself.
const ACTIONS: &str = "github-actions[bot]";

/// How the checks of a pull request get started that is opened by `me`; `None` = it is not known
/// who that is.
pub(super) fn starts(forge: ForgeKind, me: Option<&Account>) -> Starts {
    match forge {
        ForgeKind::GitHub if me.is_none_or(|me| me.login == ACTIONS) => Starts::Approved,
        ForgeKind::GitHub => Starts::Alone,
        // A push by an access token starts pipelines like anybody's.
        ForgeKind::GitLab => Starts::Alone,
    }
}

/// What can still tell the verdict where checks are refused.
pub(super) fn below_checks(forge: ForgeKind) -> Instead {
    match forge {
        ForgeKind::GitHub => Instead::Status,
        // A check is a commit status there already.
        ForgeKind::GitLab => Instead::Nothing,
    }
}

/// Whether a check would be refused because another one was.
pub(super) fn is_refused_too(forge: ForgeKind, refused: &CheckWanted, other: &CheckWanted) -> bool {
    match forge {
        // A token may write checks, or it may not.
        ForgeKind::GitHub => true,
        // A protected branch keeps its commits to itself; the result is on a branch of ours.
        ForgeKind::GitLab => refused.commit == other.commit,
    }
}

/// What to leave out of the push after so many refusals of all of it; `None` = nothing that is left
/// could go without `run`, the branch of the result. `named` is the ref that git names.
///
/// GitHub says which ref it refuses. GitLab's hook looks at a push as a whole, and git then names
/// any of its refs: so each is left out in turn that can be spared, alone first, and at last all of
/// them.
pub(super) fn leave_out(
    forge: ForgeKind,
    refusals: usize,
    (named, run): (&str, &str),
    request: &Request,
    refs: &BTreeSet<String>,
) -> Option<Vec<String>> {
    match forge {
        ForgeKind::GitHub => (named != run).then(|| vec![named.to_owned()]),
        ForgeKind::GitLab => {
            let head = request.pull.as_ref().map(|pull| full(&pull.head));
            let alone = [head, Some(proofs_ref(request))]
                .into_iter()
                .flatten()
                .filter(|name| refs.contains(name));
            let mut tries: Vec<Vec<String>> = alone.map(|name| vec![name]).collect();
            let rest: Vec<String> = refs.iter().filter(|name| *name != run).cloned().collect();
            if !rest.is_empty() && !tries.contains(&rest) {
                tries.push(rest);
            }
            tries.into_iter().nth(refusals.checked_sub(1)?)
        }
    }
}

/// Where a person can open the pull request by hand; `None` where the forge's address is not known.
pub(super) fn by_hand(request: &Request, base: &str, head: &str) -> Option<String> {
    match request.forge {
        ForgeKind::GitHub => {
            let mut url = page(request, "/actions/")?;
            // A branch's slashes stay slashes; everything else that means something in an address
            // is encoded.
            url.path_segments_mut()
                .ok()?
                .push("compare")
                .extend(format!("{base}...{head}").split('/'));
            url.set_query(Some("expand=1"));
            Some(url.into())
        }
        ForgeKind::GitLab => {
            let mut url = page(request, "/-/pipelines/")?;
            url.path_segments_mut()
                .ok()?
                .extend(["-", "merge_requests", "new"]);
            url.query_pairs_mut()
                .append_pair("merge_request[source_branch]", head)
                .append_pair("merge_request[target_branch]", base);
            Some(url.into())
        }
    }
}

/// The repository's page, by the address of what runs in it. `behind` is how everything goes on
/// behind that page.
fn page(request: &Request, behind: &str) -> Option<reqwest::Url> {
    // A group may be called as anything, so the last one counts.
    let (site, _) = request.workflow.url.rsplit_once(behind)?;
    reqwest::Url::parse(site).ok()
}

/// What is done, in the forge's words.
pub(super) fn said(
    forge: ForgeKind,
    at_github: &'static str,
    at_gitlab: &'static str,
) -> &'static str {
    match forge {
        ForgeKind::GitHub => at_github,
        ForgeKind::GitLab => at_gitlab,
    }
}

#[cfg(test)]
mod tests {
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
        let check = |base, expect: &str| {
            assert_eq!(by_hand(&request, base, "omk/run/pr-12").unwrap(), expect)
        };
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
            let from = "merge_request%5Bsource_branch%5D=omk%2Frun%2Fmr-12&merge_request%5Btarget_branch%5D=";
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
}
