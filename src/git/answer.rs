//! What a remote says, in git's words, told apart: moved, refused, no rights, not there, out of
//! order.
//!
//! It refuses to guess that something went well.

use super::binary::{GitOutput, said};
use super::call::End;
use super::error::GitError;
use super::refusal::RemoteRule;

/// Why a remote did not change a ref.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PushRejection {
    /// It is not where it was expected.
    Moved { name: String },
    /// It does not want it.
    Refused {
        name: String,
        why: RemoteRule,
        said: String,
    },
}

/// Words of a ref that was moved: by our own git before it pushed, or by the remote while it was
/// pushed.
const MOVED: [&str; 8] = [
    "stale info",
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "incorrect old value",
    "reference already exists",
    "failed to update ref",
    "remote ref updated since",
];

/// Words of refs that failed because another one did.
const DRAGGED: [&str; 3] = [
    "atomic push failed",
    "atomic transaction failed",
    "atomic push failure",
];

/// Words of a rule of the remote about who may change a ref.
const PROTECTED: [&str; 5] = [
    "protected",
    "GH006",
    "GH013",
    "rule violations",
    "not allowed to push",
];

/// Words of the rule that workflow files need a right of their own.
const WORKFLOW: &str = "create or update workflow";

/// Words of a remote, or of a line to it, that is out of order: whether anything was done is not
/// known.
const UNAVAILABLE: [&str; 14] = [
    "returned error: 5",
    "returned error: 429",
    "HTTP 5",
    "HTTP 429",
    "RPC failed",
    "hung up",
    "unexpected disconnect",
    "early EOF",
    "Could not resolve host",
    "Failed to connect",
    "Couldn't connect",
    "Connection reset",
    "Operation too slow",
    "timed out",
];

/// Words of a remote that does not know us, or not well enough.
const UNAUTHORISED: [&str; 7] = [
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "returned error: 401",
    "returned error: 403",
    "Permission to",
    "Write access to repository not granted",
];

/// The first ref that a push failed on by itself, where the push came that far.
pub(super) fn refused(heard: &GitOutput) -> Option<PushRejection> {
    let out = String::from_utf8_lossy(&heard.out);
    let mut dragged = None;
    for line in out.lines().filter_map(|line| line.strip_prefix("!\t")) {
        let Some((refs, reason)) = line.split_once('\t') else {
            continue;
        };
        let name = refs
            .rsplit_once(':')
            .map_or(refs, |(_, name)| name)
            .to_owned();
        if DRAGGED.iter().any(|words| reason.contains(words)) {
            dragged.get_or_insert(name);
            continue;
        }
        return Some(told(name, reason, &heard.err));
    }
    // Some remotes say of every ref alike that the whole failed, and why beside it.
    let remarks = remarks(&heard.err);
    dragged
        .filter(|_| !remarks.is_empty())
        .map(|name| told(name, "", &heard.err))
}

fn told(name: String, reason: &str, complaint: &str) -> PushRejection {
    let remarks = remarks(complaint);
    let both = format!("{reason}\n{remarks}");
    let says = |words: &[&str]| words.iter().any(|words| both.contains(words));
    // A rule may be told in the same breath as a lock that failed because of it.
    let why = if says(&[WORKFLOW]) {
        RemoteRule::Workflow
    } else if says(&PROTECTED) {
        RemoteRule::Protected
    } else if says(&MOVED) {
        return PushRejection::Moved { name };
    } else {
        RemoteRule::Other
    };
    let said = said(&both);
    PushRejection::Refused { name, why, said }
}

/// What the remote itself said.
fn remarks(complaint: &str) -> String {
    let lines = complaint
        .lines()
        .filter_map(|line| line.trim().strip_prefix("remote:"));
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Why a call to a remote failed as a whole.
pub(super) fn trouble(what: &str, remote: &str, heard: &GitOutput) -> GitError {
    let (what, remote) = (what.to_owned(), remote.to_owned());
    let says = |words: &[&str]| words.iter().any(|words| heard.err.contains(words));
    let said = said(&heard.err);
    if heard.end == End::OutOfTime {
        return GitError::RemoteUnavailable {
            what,
            remote,
            said: "it took too long, and was ended".into(),
        };
    }
    if says(&["redirect", "returned error: 30"]) {
        return GitError::RemoteRedirects { what, remote };
    }
    if says(&UNAUTHORISED) {
        return GitError::RemoteUnauthorised { what, remote, said };
    }
    if says(&[
        "Repository not found",
        "returned error: 404",
        "not found",
        "does not appear to be a git repository",
    ]) {
        return GitError::RemoteNotFound { what, remote };
    }
    if says(&[
        "couldn't find remote ref",
        "not our ref",
        "upload-pack: not our ref",
    ]) {
        return GitError::RemoteLacks { what, remote, said };
    }
    if says(&UNAVAILABLE) {
        return GitError::RemoteUnavailable { what, remote, said };
    }
    heard.failure()
}
