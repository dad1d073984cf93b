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
mod tests {
    use super::*;

    fn protected(path: &str, stands_in: bool) -> bool {
        is_protected(
            &RepoPath::from_bytes(path.as_bytes()).unwrap(),
            stands_in,
            "ci/plan.yaml",
        )
    }

    #[test]
    fn what_runs_by_itself_or_instructs_is_protected() {
        for path in [
            ".github/workflows/ci.yml",
            ".gitlab-ci.yml",
            ".gitlab/x",
            ".circleci/config.yml",
            "Jenkinsfile",
            ".forgejo/workflows/x.yml",
            ".gitea/x",
            ".woodpecker.yml",
            ".woodpecker/a.yml",
            ".buildkite/pipeline.yml",
            "azure-pipelines.yml",
            "bitbucket-pipelines.yml",
            ".travis.yml",
            "omk.yaml",
            "CODEOWNERS",
            "docs/CODEOWNERS",
            ".gitmodules",
            ".gitattributes",
            "sub/.gitattributes",
            ".husky/pre-commit",
            "web/.husky/pre-push",
            ".githooks/x",
            ".pre-commit-config.yaml",
            ".envrc",
            "a/.envrc",
            ".devcontainer/devcontainer.json",
            ".vscode/tasks.json",
            "a/b/.vscode/settings.json",
            ".mcp.json",
            "AGENTS.md",
            "a/b/AGENTS.md",
            "CLAUDE.md",
            ".agents/skills/x/SKILL.md",
            "sub/.kimi/config.toml",
            "ci/plan.yaml",
        ] {
            assert!(protected(path, false), "{path}");
        }
        for path in [
            "src/.github/workflows/ci.yml",
            ".vscode/launch.json",
            "tests/omk.yaml",
            "AGENTS.txt",
            "agents/x",
            "docs/x",
            ".gitignore",
            "ci/other.yaml",
            "kimi/x",
            "a/Jenkinsfile",
        ] {
            assert!(!protected(path, false), "{path}");
        }
    }

    #[test]
    fn other_spellings_of_a_protected_name_are_protected() {
        for path in [
            ".GitHub/x",
            "agents.MD",
            "Agents.md.",
            "sub/CLAUDE.md ",
            ".g\u{200d}ithub/x",
            "GITHUB~1/workflows/x",
            "gitlab~1.yml",
            "a/GITATT~1",
            ".gitattributes::$DATA",
            "kimi~1/x",
            "omk~1.yam",
            ".VSCODE/Tasks.json",
            "a\\.envrc",
            "CI/Plan.yaml",
            ".\u{212a}imi/x",
        ] {
            assert!(protected(path, false), "{path}");
        }
    }

    #[test]
    fn a_link_in_place_of_a_directory_brings_what_is_protected_below_it() {
        for path in [".vscode", "a/.vscode", "docs", "ci"] {
            assert!(protected(path, true), "{path}");
            assert!(!protected(path, false), "{path}");
        }
        assert!(protected(".github", true) && protected(".github", false));
        assert!(!protected("src", true));
    }

    #[test]
    fn instructions_are_known_at_any_depth() {
        for path in [
            "AGENTS.md",
            "a/claude.md",
            ".agents",
            "x/.agents/skills/y",
            ".kimi/x",
            "AGENTS.md/x",
        ] {
            assert!(is_instruction(&path.parse().unwrap()), "{path}");
        }
        for path in ["omk.yaml", ".github/x", "docs/AGENTS.txt"] {
            assert!(!is_instruction(&path.parse().unwrap()), "{path}");
        }
    }
}
