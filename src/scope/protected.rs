//! Paths that decide what runs by itself, with whose rights, and what an agent is told.
//!
//! It refuses to compare letters: names are read as file systems read them that fold case, skip
//! characters or shorten.

use super::name::{folded, is_same};
use crate::id::RepoPath;

/// At the top of the repository, where forges and tools look for them. Each means all below it,
/// too. In lower case. A `*` at the end stands for any rest of the name; a `/` says that it is a
/// directory by nature.
const AT_TOP: [&str; 17] = [
    ".github/",
    ".gitlab-ci.yml",
    ".gitlab/",
    ".circleci/",
    "jenkinsfile",
    ".forgejo/",
    ".gitea/",
    ".woodpecker*",
    ".buildkite/",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".travis.yml",
    "omk.yaml",
    "codeowners",
    "docs/codeowners",
    ".githooks/",
    ".pre-commit-config.yaml",
];

/// In any directory: git, shells and editors read them wherever somebody works.
const ANYWHERE: [&str; 8] = [
    ".gitmodules",
    ".gitattributes",
    ".husky/",
    ".envrc",
    ".devcontainer/",
    ".vscode/tasks.json",
    ".vscode/settings.json",
    ".mcp.json",
];

/// What agents take their instructions from, in any directory.
const INSTRUCTIONS: [&str; 4] = ["agents.md", "claude.md", ".agents/", ".kimi/"];

/// Whether an agent that works at or above that path may take instructions from it.
#[must_use]
pub fn is_instruction(path: &RepoPath) -> bool {
    let parts = folded(path.as_bytes());
    INSTRUCTIONS
        .iter()
        .any(|rule| anywhere(rule, &parts) == Meets::Inside)
}

/// Whether a path is protected. `stands_in` = what is there now is no file: a link or a submodule,
/// which would bring all that belongs below it.
pub(super) fn is_protected(path: &RepoPath, stands_in: bool, plan_path: &str) -> bool {
    let parts = folded(path.as_bytes());
    let plan = at(&folded(plan_path.as_bytes()), &parts);
    let top = AT_TOP.iter().map(|rule| at(&split(rule), &parts));
    let deep = anywhere_rules().map(|rule| anywhere(rule, &parts));
    top.chain(deep).chain([plan]).any(|meets| match meets {
        Meets::Inside => true,
        Meets::Above => stands_in,
        Meets::Not => false,
    })
}

/// Whether every path that begins with these components, the last of them a directory, is
/// protected.
pub(super) fn covers_all(directory: &[&str]) -> bool {
    let parts = folded(directory.join("/").as_bytes());
    AT_TOP
        .iter()
        .any(|rule| at(&split(rule), &parts) == Meets::Inside)
        || anywhere_rules().any(|rule| anywhere(rule, &parts) == Meets::Inside)
}

/// Whether a path without wildcards is a protected directory, which says nothing of the files in
/// it.
pub(super) fn is_directory(path: &[String]) -> bool {
    let parts = folded(path.join("/").as_bytes());
    let top = AT_TOP
        .iter()
        .any(|rule| rule.ends_with('/') && split(rule) == parts);
    let ends = |rule: &&str| rule.ends_with('/') && parts.ends_with(&split(rule));
    top || anywhere_rules().any(|rule| ends(&rule))
}

fn anywhere_rules() -> impl Iterator<Item = &'static str> {
    ANYWHERE.iter().chain(&INSTRUCTIONS).copied()
}

/// How a path lies to a protected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// It is the protected path, or below it.
    Inside,
    /// The protected path is below it.
    Above,
    Not,
}

fn split(rule: &str) -> Vec<String> {
    rule.trim_end_matches('/')
        .split('/')
        .map(str::to_owned)
        .collect()
}

fn at(rule: &[String], parts: &[String]) -> Meets {
    let agrees = rule
        .iter()
        .zip(parts)
        .all(|(name, part)| match name.strip_suffix('*') {
            Some(begin) => part.starts_with(begin),
            None => is_same(part, name),
        });
    match agrees {
        true if parts.len() >= rule.len() => Meets::Inside,
        true => Meets::Above,
        false => Meets::Not,
    }
}

fn anywhere(rule: &str, parts: &[String]) -> Meets {
    let rule = split(rule);
    let found = (0..parts.len()).map(|from| at(&rule, &parts[from..]));
    found
        .max_by_key(|meets| match meets {
            Meets::Inside => 2,
            Meets::Above => 1,
            Meets::Not => 0,
        })
        .unwrap_or(Meets::Not)
}

#[cfg(test)]
mod tests;
