//! Tests of `scope::protected`.

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
