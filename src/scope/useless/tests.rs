//! Tests of `scope::useless`.

use super::*;

fn check(glob: &str, others: &[&str], protect: &[&str]) -> Option<&'static str> {
    let globs = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<Glob>>()
    };
    let (glob, mut all): (Glob, _) = (glob.parse().unwrap(), globs(others));
    all.push(glob.clone());
    never_used(&glob, &all, &globs(protect))
}

#[test]
fn an_entry_inside_a_directory_lies_in_it() {
    let modules: Vec<RepoPath> = ["vendor/lib", "sub"]
        .iter()
        .map(|path| path.parse().unwrap())
        .collect();
    for glob in [
        "vendor/lib/a.c",
        "vendor/lib/**",
        "sub/*.rs",
        "{sub/a,vendor/lib/b}",
    ] {
        assert!(lies_in(&glob.parse().unwrap(), &modules), "{glob}");
    }
    for glob in [
        "vendor/lib",
        "vendor/**",
        "vendor/library/a",
        "**",
        "{sub/a,other}",
        "a/sub/x",
        "sub",
    ] {
        assert!(!lies_in(&glob.parse().unwrap(), &modules), "{glob}");
    }
}

#[test]
fn an_entry_that_means_protected_paths_only_is_useless() {
    for glob in [
        ".github/**",
        ".github",
        ".github/workflows/*.yml",
        ".gitlab/",
        "**/AGENTS.md",
        "packages/*/.husky/**",
        ".kimi",
        "a/.agents/**",
        "{.github,.circleci}/**",
        "docs/*/.vscode/tasks.json",
    ] {
        assert_eq!(check(glob, &[], &[]), Some(PROTECTED), "{glob}");
    }
    for glob in [
        ".github/workflows/ci.yml",
        "AGENTS.md",
        "**",
        "src/**",
        "*.md",
        "{.github,src}/**",
        ".vscode/**",
        "a/*/.github/**",
        "CODEOWNERS",
        ".woodpecker.yml",
    ] {
        assert_eq!(check(glob, &[], &[]), None, "{glob}");
    }
    assert_eq!(
        check(".github/**", &[".github/workflows/ci.yml"], &[]),
        None
    );
}

#[test]
fn an_entry_below_what_the_plan_protects_is_useless_unless_it_has_the_same_text() {
    let protect = ["migrations/**"];
    assert_eq!(check("migrations/**", &[], &protect), None);
    assert_eq!(check("migrations/1.sql", &[], &protect), None);
    for glob in ["migrations/*.sql", "migrations", "migrations/a/**"] {
        assert_eq!(check(glob, &[], &protect), Some(BY_PLAN), "{glob}");
    }
    assert_eq!(check("src/**", &[], &protect), None);
}
