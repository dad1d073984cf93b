//! The git binary, hardened: for what libgit2 cannot do alone, which is filters and fetching for partial clones.
//!
//! It refuses hooks, fsmonitor, `ext::` transports, prompts and every `GIT_*` variable of the caller. The system's
//! configuration is read: Git LFS is often installed there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use git2::Repository;

use super::error::GitError;
use super::repo::Repo;
use super::tree::Listing;

/// Settings that no configuration may override.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.safecrlf=false",
    "core.sparseCheckout=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// Words in the name of a variable that is not for filters to see; the rule that `pass_env` has.
const SECRET: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

/// How much of git's standard error a person is shown.
const SAID: usize = 600;

/// A call of git.
pub(super) struct Git<'a> {
    command: Command,
    what: &'a str,
    subcommand: &'a str,
}

impl<'a> Git<'a> {
    /// A call on the files of `work_tree`, with an index of omk's own. No credentials.
    pub(super) fn on_files(repo: &Repo, work_tree: &Path, index: &Path, what: &'a str, subcommand: &'a str) -> Self {
        let mut command = hardened(true);
        command.args(["-c", "credential.helper="]).arg("--git-dir").arg(repo.common_dir());
        command.arg("--work-tree").arg(work_tree).arg(subcommand);
        command.env("GIT_INDEX_FILE", index).current_dir(work_tree);
        Self { command, what, subcommand }
    }

    /// A call that may use the network, with the user's own credential helper.
    pub(super) fn on_network(repo: &Repo, what: &'a str, subcommand: &'a str) -> Self {
        let mut command = hardened(false);
        command.arg("--git-dir").arg(repo.common_dir()).arg(subcommand).current_dir(repo.common_dir());
        Self { command, what, subcommand }
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it with the file's bytes as its input, to its end.
    pub(super) fn run(mut self, input: &Path) -> Result<(), GitError> {
        let stdin = File::open(input).map_err(GitError::io("read", input))?;
        let output = self.command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|source| GitError::Io { what: "start `git`".into(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = said.join("; ");
        let start = said.char_indices().rev().nth(SAID).map_or(0, |(at, _)| at);
        if said.contains("No space left") || said.contains("Read-only file system") {
            let source = std::io::Error::other(said);
            return Err(GitError::Io { what: self.what.into(), source });
        }
        let hint = if said.contains("filter") || said.contains("lfs") {
            "; a filter that .gitattributes asks for failed: install what it needs (Git LFS: `git lfs install` and `git lfs fetch`)"
        } else {
            ""
        };
        Err(GitError::Binary {
            what: self.what.into(),
            command: self.subcommand.into(),
            status: output.status.to_string(),
            said: said[start..].to_owned(),
            hint,
        })
    }
}

fn hardened(without_secrets: bool) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.starts_with("GIT_") || (without_secrets && SECRET.iter().any(|word| text.contains(word))) {
            command.env_remove(&name);
        }
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_LITERAL_PATHSPECS", "1");
    command.env("LC_ALL", "C").env("GIT_ASKPASS", "true").env("SSH_ASKPASS_REQUIRE", "never");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

/// Fetches the blobs that a partial clone does not have, all at once.
pub(super) fn fetch_missing(repo: &Repo, objects: &Repository, listing: &Listing, list: &Path) -> Result<(), GitError> {
    let config = objects.config().map_err(GitError::lib("read git's configuration"))?;
    let Some(remote) = promisor(&config) else { return Ok(()) };
    let odb = objects.odb().map_err(GitError::lib("open the object store"))?;
    let wanted = listing.files().filter(|(_, entry)| !entry.is_submodule() && !odb.exists(entry.oid));
    let lines: BTreeSet<String> = wanted.map(|(_, entry)| format!("{}\n", entry.oid)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    std::fs::write(list, lines.into_iter().collect::<String>()).map_err(GitError::io("write", list))?;
    let git = Git::on_network(repo, "fetch what this partial clone does not have", "fetch");
    let options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none"];
    git.args(options).args(["--stdin", "--", &remote]).run(list)?;
    odb.refresh().map_err(GitError::lib("open the object store"))
}

/// The remote that a partial clone gets missing objects from.
fn promisor(config: &git2::Config) -> Option<String> {
    if let Ok(remote) = config.get_string("extensions.partialclone") {
        return Some(remote);
    }
    let mut found = None;
    let entries = config.entries(Some("^remote\\..*\\.promisor$")).ok()?;
    let _ = entries.for_each(|entry| {
        let name = String::from_utf8_lossy(entry.name_bytes());
        let remote = name.strip_prefix("remote.").and_then(|rest| rest.strip_suffix(".promisor"));
        if entry.value_bytes() == b"true" && found.is_none() {
            found = remote.map(str::to_owned);
        }
    });
    found
}
