//! The filters that a tree needs of this machine before it can be laid out.
//!
//! It refuses to run a filter only to try it, and to guess whether one works whose program is
//! there: git's complaint decides, also if git went on without the filter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::binary::{Git, said};
use super::convert;
use super::error::{GitError, shown};
use super::repo::Repo;
use super::settings::{Settings, value};
use super::tree::Listing;
use crate::id::{RepoPath, TreeId};
use crate::text;

/// Characters of a command in the place of a filter's name.
const NAME_SHOWN: usize = 60;

/// What makes a filter known to git: any of these is enough. With the first, git does not use the
/// others.
const DEFINES: [&str; 3] = ["process", "clean", "smudge"];

/// A file asks for a filter that git does not have here.
pub(super) fn missing(path: &[u8], name: &str) -> GitError {
    GitError::NoFilter {
        path: shown(path),
        name: shown(name.as_bytes()),
        next: advice(name),
    }
}

/// How git complains of a filter: before the command that configuration names, or before the
/// filter's own name.
const COMPLAINTS: [&str; 4] = [
    "external filter '",
    "subprocess '",
    "clean filter '",
    "smudge filter ",
];

/// Those before a command.
const COMMANDS: [&str; 2] = ["external filter '", "subprocess '"];

/// A filter that attributes ask for, and that cannot work here. git then takes files as they are,
/// or fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFilter {
    /// Its name.
    pub name: String,
    /// The file that it is asked for; one of them, if there are several.
    pub path: RepoPath,
    /// What is not there.
    pub lacks: Lacks,
}

/// What a filter lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacks {
    /// git's configuration does not define it.
    Definition,
    /// The program that its definition starts.
    Program(String),
}

/// What to do about a filter that git does not have here.
#[must_use]
pub fn advice(filter: &str) -> String {
    if filter == "lfs" {
        return "install Git LFS, then `git lfs install` and `git lfs fetch`".to_owned();
    }
    format!(
        "define it with `git config filter.{filter}.clean COMMAND`; with `cat`, files are taken as they are"
    )
}

/// What to do about a filter that does not work here.
fn remedy(filter: &str) -> String {
    match filter {
        "lfs" => advice(filter),
        _ => format!(
            "install the program that `git config --get-regexp filter.{filter}` names, or correct that"
        ),
    }
}

pub(super) fn is_defined(settings: &Settings, name: &str) -> bool {
    let keys = DEFINES.map(|key| format!("filter.{name}.{key}"));
    settings
        .iter()
        .any(|(key, value)| keys.contains(key) && !value.trim().is_empty())
}

/// Runs a call of git that runs filters. One that git complains of has failed, whether git went on
/// without it or not: it takes files as they are if a filter is not `required`.
pub(super) fn run_filters(repo: &Repo, git: Git<'_>, list: &Path) -> Result<(), GitError> {
    let ended = git.end(list)?;
    let failure = (!ended.succeeded()).then(|| ended.failure());
    match (blamed(repo.conversion_settings()?, &ended.err), failure) {
        (Some(name), failure) if !failure.as_ref().is_some_and(GitError::is_host) => {
            let (what, next) = (ended.what().to_owned(), remedy(&name));
            Err(GitError::Filter {
                what,
                name,
                said: said(&ended.err),
                next,
            })
        }
        (_, Some(failure)) => Err(failure),
        (_, None) => Ok(()),
    }
}

/// The filter that git complains of.
fn blamed(settings: &Settings, complaint: &str) -> Option<String> {
    let after = |start: &&'static str| complaint.split_once(*start).map(|(_, rest)| (*start, rest));
    let found: Vec<(&str, &str)> = COMPLAINTS.iter().filter_map(after).collect();
    let (_, first) = found.first()?;
    let named = found
        .iter()
        .find_map(|(start, rest)| named(settings, start, rest));
    Some(named.unwrap_or_else(|| text::clip(first.lines().next().unwrap_or_default(), NAME_SHOWN)))
}

/// The filter that a complaint goes on with.
fn named(settings: &Settings, start: &str, rest: &str) -> Option<String> {
    settings.iter().find_map(|(key, value)| {
        let (name, kind) = key.strip_prefix("filter.")?.rsplit_once('.')?;
        let is_it = if COMMANDS.contains(&start) {
            DEFINES.contains(&kind)
                && !value.is_empty()
                && rest.strip_prefix(value.as_str()).is_some_and(ends)
        } else {
            rest.strip_prefix(name).is_some_and(ends)
        };
        is_it.then(|| name.to_owned())
    })
}

/// Whether a name, or a command, ends before this.
fn ends(rest: &str) -> bool {
    rest.starts_with(['\'', ' '])
}

impl Repo {
    /// The filters that the files of a tree ask for and this machine does not define, each once.
    /// Attributes that no file matches do not count, and neither do those that later lines take
    /// back.
    ///
    /// # Errors
    /// If the tree, or git's configuration, cannot be read.
    pub fn missing_filters(&self, tree: &TreeId) -> Result<Vec<MissingFilter>, GitError> {
        self.filters_by(tree, |settings, name| {
            (!is_defined(settings, name)).then_some(Lacks::Definition)
        })
    }

    /// As [`Repo::missing_filters`], and the filters whose program is in none of the directories of
    /// `path`.
    ///
    /// # Errors
    /// If the tree, or git's configuration, cannot be read.
    pub fn filters_that_lack(
        &self,
        tree: &TreeId,
        path: &[PathBuf],
    ) -> Result<Vec<MissingFilter>, GitError> {
        self.filters_by(tree, |settings, name| lacks(settings, name, path))
    }

    /// The filters that the files of a tree and of its submodules ask for and that lack something,
    /// each once.
    fn filters_by(
        &self,
        tree: &TreeId,
        lacks: impl Fn(&Settings, &str) -> Option<Lacks>,
    ) -> Result<Vec<MissingFilter>, GitError> {
        let layout = self.layout(tree)?;
        let mut found: BTreeMap<String, (RepoPath, Lacks)> = BTreeMap::new();
        let mut look = |repo: &Self, listing: &Listing, in_slot: &dyn Fn(&[u8]) -> Vec<u8>| {
            let conversion = repo.with(|objects| convert::of(repo, objects, listing))?;
            let Some(rules) = conversion.out.as_ref().filter(|_| conversion.filters) else {
                return Ok(());
            };
            let files = listing.files().filter(|(_, entry)| entry.is_file());
            let paths: Vec<&[u8]> = files.map(|(path, _)| path).collect();
            let (table, settings) = (
                repo.attributes(rules, listing, &paths)?,
                repo.conversion_settings()?,
            );
            for (path, name, lacks) in table.filters(&paths, |name| lacks(settings, name)) {
                if let Some(path) = RepoPath::from_bytes(&in_slot(path)) {
                    found.entry(name.to_owned()).or_insert((path, lacks));
                }
            }
            Ok(())
        };
        look(self, &layout.tree, &<[u8]>::to_vec)?;
        for module in &layout.modules {
            look(&module.repo, &module.listing, &|path| module.in_slot(path))?;
        }
        Ok(found
            .into_iter()
            .map(|(name, (path, lacks))| MissingFilter { name, path, lacks })
            .collect())
    }
}

/// What a filter lacks; a program is looked for in the directories of `path`.
fn lacks(settings: &Settings, name: &str, path: &[PathBuf]) -> Option<Lacks> {
    if !is_defined(settings, name) {
        return Some(Lacks::Definition);
    }
    let set = |key: &str| {
        value(settings, &format!("filter.{name}.{key}")).filter(|set| !set.trim().is_empty())
    };
    let [process, rest @ ..] = DEFINES;
    let lost = match set(process) {
        Some(process) => lost_program(process, path),
        None => rest
            .into_iter()
            .filter_map(set)
            .find_map(|command| lost_program(command, path)),
    };
    lost.map(|program| Lacks::Program(program.to_owned()))
}

/// The program that a command starts, if it is a plain name and in none of those directories. A
/// shell reads the command: what it does itself is not looked for, nor a path, which may begin in a
/// slot.
fn lost_program<'a>(command: &'a str, path: &[PathBuf]) -> Option<&'a str> {
    let program = command.split_whitespace().next()?;
    let is_plain = program.starts_with(|first: char| first.is_ascii_alphanumeric())
        && program
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    // git looks in a directory of its own, too.
    let is_git_s = program.starts_with("git-") && program != "git-lfs";
    let is_there = || {
        path.iter()
            .any(|directory| directory.join(program).is_file())
    };
    (is_plain && !is_git_s && !OF_THE_SHELL.contains(&program) && !is_there()).then_some(program)
}

/// What a shell does without a program, and that people could begin a filter with.
const OF_THE_SHELL: [&str; 16] = [
    "case", "cd", "command", "echo", "eval", "exec", "export", "for", "if", "printf", "set",
    "test", "true", "umask", "unset", "while",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_program_that_is_nowhere_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("here"), "").unwrap();
        let path = [dir.path().to_owned()];
        assert_eq!(lost_program("git-lfs clean -- %f", &path), Some("git-lfs"));
        assert_eq!(lost_program("not-here", &path), Some("not-here"));
        for fine in [
            "here %f",
            "  here",
            "./not-here",
            "$HOME/not-here",
            "LC_ALL=C not-here",
            "if true; then",
            "",
            "(x)",
        ] {
            assert_eq!(lost_program(fine, &path), None, "{fine}");
        }
    }
}
