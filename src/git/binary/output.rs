//! What git printed and how it ended, and the words for its failures.

use std::io;
use std::process::ExitStatus;

use crate::git::call::End;
use crate::git::error::GitError;
use crate::text;

/// How much of git's standard error a person is shown.
pub(super) const SAID: usize = 600;

/// What a call of git said.
pub(in crate::git) struct GitOutput {
    pub(super) what: String,
    pub(super) subcommand: String,
    pub(in crate::git) end: End,
    pub(in crate::git) out: Vec<u8>,
    pub(in crate::git) err: String,
}

impl GitOutput {
    pub(in crate::git) fn succeeded(&self) -> bool {
        match self.end {
            End::Of(status) => status.success(),
            End::OutOfTime | End::Stopped => false,
        }
    }

    /// What was to be done.
    pub(in crate::git) fn what(&self) -> &str {
        &self.what
    }

    /// What it said, where it went well.
    pub(in crate::git) fn ok(self) -> Result<Vec<u8>, GitError> {
        if self.succeeded() {
            Ok(self.out)
        } else {
            Err(self.failure())
        }
    }

    /// Its failure, in general words.
    pub(in crate::git) fn failure(&self) -> GitError {
        match self.end {
            End::Of(status) => failed(&self.what, &self.subcommand, status, &self.err),
            End::Stopped => GitError::Stopped,
            End::OutOfTime => {
                let source =
                    io::Error::new(io::ErrorKind::TimedOut, "git took too long, and was ended");
                GitError::Io {
                    what: self.what.clone(),
                    source,
                }
            }
        }
    }
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What git, or who was at the other end, complained of, in one line without control characters;
/// its end where it is long.
pub(in crate::git) fn said(complaint: &str) -> String {
    let complaint = text::printable(complaint.as_bytes());
    let said: Vec<&str> = complaint
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join("; ");
    let start = said.char_indices().rev().nth(SAID).map_or(0, |(at, _)| at);
    said[start..].to_owned()
}

fn failed(what: &str, subcommand: &str, status: ExitStatus, complaint: &str) -> GitError {
    let said = said(complaint);
    if complaint.contains("No space left") || complaint.contains("Read-only file system") {
        return GitError::Io {
            what: what.into(),
            source: io::Error::other(said),
        };
    }
    let next = (complaint.contains("filter") || complaint.contains("lfs")).then_some(
        "a filter that .gitattributes asks for failed: install what it needs (Git LFS: `git lfs install` and `git lfs fetch`)",
    );
    GitError::Binary {
        what: what.into(),
        command: subcommand.into(),
        status: status.to_string(),
        said,
        next,
    }
}
