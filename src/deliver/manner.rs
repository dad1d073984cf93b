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
mod tests;
