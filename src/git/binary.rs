//! The git binary, hardened: for what libgit2 cannot do alone, which is filters, packs, and
//! everything over the network.
//!
//! It refuses hooks, fsmonitor, `ext::` transports, prompts and the `GIT_*` variables of the
//! caller. The configuration of the system and of the user is read, on files also where the
//! caller's variables say that it is: filters are often there.

mod output;
mod promisor;
mod version;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::call::{End, carry_out, go_on};
use super::error::GitError;
use super::repo::Repo;
use crate::exec::{credential, keeper};
use output::lossy;

pub(super) use output::{GitOutput, said};
pub(super) use promisor::{fetch_missing, is_partial};
pub use version::program_version;

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

/// Variables that say where the configuration of the system and of the user is. Calls on files
/// follow them.
const WHERE: [&str; 3] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];

/// How long any call may take: one that lays out files of Git LFS fetches them over whatever line
/// there is. What wants the files has a shorter time of its own as a rule.
const LONGEST: Duration = Duration::from_secs(3600);

/// A call of git.
pub(super) struct Git<'a> {
    command: Command,
    what: &'a str,
    subcommand: &'a str,
}

impl<'a> Git<'a> {
    /// A call on the files of `work_tree`, with an index of omk's own. No credentials.
    pub(super) fn on_files(
        repo: &Repo,
        work_tree: &Path,
        index: &Path,
        what: &'a str,
        subcommand: &'a str,
    ) -> Self {
        let mut command = hardened(true);
        follow(&mut command);
        command
            .args(["-c", "credential.helper="])
            .arg("--git-dir")
            .arg(repo.common_dir());
        command.arg("--work-tree").arg(work_tree).arg(subcommand);
        command.env("GIT_INDEX_FILE", index).current_dir(work_tree);
        Self {
            command,
            what,
            subcommand,
        }
    }

    /// A call that may use the network, with the user's own credential helper.
    pub(super) fn on_network(repo: &Repo, what: &'a str, subcommand: &'a str) -> Self {
        let mut command = hardened(false);
        command
            .arg("--git-dir")
            .arg(repo.common_dir())
            .arg(subcommand)
            .current_dir(repo.common_dir());
        Self {
            command,
            what,
            subcommand,
        }
    }

    /// A call on the repository's objects and refs, or to a remote, that ends of itself. No
    /// credentials of anybody's.
    pub(super) fn bare(repo: &Repo, what: &'a str, subcommand: &'a str) -> Self {
        let mut command = hardened(true);
        command
            .args(["-c", "credential.helper="])
            .arg("--git-dir")
            .arg(repo.common_dir())
            .arg(subcommand);
        command.current_dir(repo.common_dir()).stdin(Stdio::null());
        Self {
            command,
            what,
            subcommand,
        }
    }

    /// A call in a repository that omk made for it, in `git` and `work` below `place`. It can read
    /// the objects of another, and goes by no configuration and no attributes but that
    /// repository's own.
    pub(super) fn in_place_of(
        place: &Path,
        other: &Path,
        what: &'a str,
        subcommand: &'a str,
    ) -> Self {
        let mut command = cleared(true);
        let work = place.join("work");
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1");
        command.env(
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            quoted(&other.join("objects")),
        );
        command
            .arg("--git-dir")
            .arg(place.join("git"))
            .arg("--work-tree")
            .arg(&work)
            .arg(subcommand);
        command.current_dir(work).stdin(Stdio::null());
        Self {
            command,
            what,
            subcommand,
        }
    }

    /// A call on the user's own checkout, which it only reads: its index too, by
    /// `GIT_OPTIONAL_LOCKS`.
    pub(super) fn on_checkout(repo: &Repo, what: &'a str, subcommand: &'a str) -> Self {
        let mut command = cleared(true);
        follow(&mut command);
        command.args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ]);
        command
            .arg("--git-dir")
            .arg(repo.git_dir())
            .arg("--work-tree")
            .arg(repo.workdir())
            .arg(subcommand);
        command.current_dir(repo.workdir()).stdin(Stdio::null());
        Self {
            command,
            what,
            subcommand,
        }
    }

    /// A call of `git config` that adds no setting of its own.
    pub(super) fn settings_of(repo: &Repo, what: &'a str) -> Self {
        let mut command = cleared(true);
        command
            .arg("--git-dir")
            .arg(repo.git_dir())
            .arg("config")
            .current_dir(repo.common_dir())
            .stdin(Stdio::null());
        Self {
            command,
            what,
            subcommand: "config",
        }
    }

    /// A call of `git config` that reads what [`Git::on_files`] goes by.
    pub(super) fn settings_of_files(repo: &Repo, what: &'a str) -> Self {
        let mut command = cleared(true);
        follow(&mut command);
        command
            .arg("--git-dir")
            .arg(repo.common_dir())
            .arg("config")
            .current_dir(repo.common_dir());
        command.stdin(Stdio::null());
        Self {
            command,
            what,
            subcommand: "config",
        }
    }

    /// The same, and it reads that file from where it stands.
    pub(super) fn input(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// The same, and it refuses to ask for more memory than that at once: `640m`.
    pub(super) fn memory(mut self, most: &str) -> Self {
        self.command.env("GIT_ALLOC_LIMIT", most);
        self
    }

    /// Settings that the process list does not show. They win over every configuration.
    pub(super) fn settings(mut self, settings: &[(String, String)]) -> Self {
        self.command
            .env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.iter().enumerate() {
            self.command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            self.command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        self
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// The same, with a file's bytes as its input.
    pub(super) fn list(self, input: &Path) -> Result<Self, GitError> {
        let stdin = File::open(input).map_err(GitError::io("read", input))?;
        Ok(self.input(stdin))
    }

    /// Runs it with the file's bytes as its input. Filters may take long, so it gets as much time
    /// as any call.
    pub(super) fn run(self, input: &Path) -> Result<(), GitError> {
        self.end(input)?.ok().map(drop)
    }

    /// Runs it as [`Git::run`] does, and says what it complained of, however it ended.
    pub(super) fn end(self, input: &Path) -> Result<GitOutput, GitError> {
        self.list(input)?.hear(LONGEST, None)
    }

    /// Runs it for at most that long, or until the work of this thread is stopped, and says what it
    /// said, however it ended. Its standard output goes to the file where one is given. Nothing
    /// of it is left when this returns.
    pub(super) fn hear(mut self, most: Duration, to: Option<File>) -> Result<GitOutput, GitError> {
        go_on()?;
        self.command
            .stdout(to.map_or_else(Stdio::piped, Stdio::from));
        let (end, (out, err)) = carry_out(self.command, most).map_err(could_not_start)?;
        let err = lossy(&err);
        if let (End::Of(status), Some(why)) = (end, err.strip_prefix(keeper::COULD_NOT_START))
            && status.code() == Some(keeper::NOT_STARTED)
        {
            return Err(could_not_start(io::Error::other(why.trim().to_owned())));
        }
        if end == End::Stopped {
            return Err(GitError::Stopped);
        }
        Ok(GitOutput {
            what: self.what.into(),
            subcommand: self.subcommand.into(),
            end,
            out,
            err,
        })
    }
}

fn could_not_start(source: io::Error) -> GitError {
    GitError::Io {
        what: "start `git`".into(),
        source,
    }
}

fn hardened(without_secrets: bool) -> Command {
    let mut command = cleared(without_secrets);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

fn follow(command: &mut Command) {
    for name in WHERE {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// git without the caller's `GIT_*` variables, and, where asked, without what looks like a secret.
fn cleared(without_secrets: bool) -> Command {
    let mut command = keeper::command("git");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // Secrets are not for filters to see: the rule that `pass_env` has.
        if text.to_ascii_uppercase().starts_with("GIT_")
            || (without_secrets && credential::is_variable(&text))
        {
            command.env_remove(&name);
        }
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1");
    command
        .env("LC_ALL", "C")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS_REQUIRE", "never");
    command
}

/// A directory of objects as git reads it from a variable: in quotes, in which a colon does not end
/// it.
fn quoted(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_objects_is_quoted() {
        assert_eq!(
            quoted(Path::new("/a b/c:d/\"e\\")),
            *"\"/a b/c:d/\\\"e\\\\\""
        );
    }
}
