//! Tests of `scope`.

use super::*;

fn check(write_set: Option<&[&str]>, protect: &[&str], path: &str) -> Option<&'static str> {
    let globs = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<Glob>>()
    };
    let write_set = write_set.map_or(WriteSet::Unknown, |texts| WriteSet::Declared(globs(texts)));
    let protect = globs(protect);
    let scope = WriteRights {
        write_set: &write_set,
        protect: &protect,
        plan_path: "ci/plan.yaml",
        change_limit: Size::USUAL,
    };
    let touched = Touched {
        path: path.parse().unwrap(),
        kind: TouchedKind::Plain,
        adds: 1,
        names: Vec::new(),
    };
    first(scope.violations(&[touched]))
}

fn first(found: Vec<Violation>) -> Option<&'static str> {
    found.into_iter().next().map(|found| match found.why {
        Cow::Borrowed(why) => why,
        Cow::Owned(why) => panic!("{why}"),
    })
}

#[test]
fn a_path_outside_the_write_set_is_named() {
    assert_eq!(check(Some(&["src/**"]), &[], "src/a.rs"), None);
    assert_eq!(
        check(Some(&["src/**"]), &[], "docs/a.md"),
        Some("is outside its write set")
    );
    assert_eq!(
        check(Some(&[]), &[], "docs/a.md"),
        Some("was changed, and this task may write nothing")
    );
    assert_eq!(check(None, &[], "docs/a.md"), None);
}

#[test]
fn protected_paths_want_their_very_name() {
    let refused = Some("is protected: its write set must name that very path");
    for path in [
        ".github/workflows/ci.yml",
        "omk.yaml",
        ".GitHub/x",
        "sub/.gitattributes",
        "CodeOwners",
        "ci/plan.yaml",
    ] {
        assert_eq!(check(None, &[], path), refused, "{path}");
        assert_eq!(check(Some(&["**"]), &[], path), refused, "{path}");
        assert_eq!(check(Some(&[path]), &[], path), None, "{path}");
    }
}

#[test]
fn the_plans_own_protection_yields_to_the_same_text() {
    let refused = Some("is protected by the plan");
    assert_eq!(
        check(Some(&["**"]), &["migrations/**"], "migrations/1.sql"),
        refused
    );
    assert_eq!(
        check(
            Some(&["migrations/**"]),
            &["migrations/**"],
            "migrations/1.sql"
        ),
        None
    );
    assert_eq!(
        check(
            Some(&["migrations/1.sql"]),
            &["migrations/**"],
            "migrations/1.sql"
        ),
        None
    );
}

#[test]
fn a_wildcard_that_could_mean_a_protected_path_is_not_its_name() {
    let refused = Some("is protected: its write set must name that very path");
    for glob in [
        ".github/**",
        ".github/workflows/*.yml",
        ".github/workflows",
        ".github/workflows/{ci}.yml",
        "**",
    ] {
        assert_eq!(
            check(Some(&[glob]), &[], ".github/workflows/ci.yml"),
            refused,
            "{glob}"
        );
    }
    // A class that spells itself is still a class.
    assert_eq!(
        check(Some(&[".github/[a].yml"]), &[], ".github/[a].yml"),
        refused
    );
    for name in [
        "./.github/workflows/ci.yml",
        ".github//workflows/ci.yml",
        ".github/\\[a].yml",
    ] {
        let path = if name.contains('[') {
            ".github/[a].yml"
        } else {
            ".github/workflows/ci.yml"
        };
        assert_eq!(check(Some(&[name]), &[], path), None, "{name}");
    }
    assert_eq!(
        check(Some(&["AGENTS.md", "**"]), &[], "sub/AGENTS.md"),
        refused
    );
}

#[test]
fn the_plans_own_protection_knows_no_case_either() {
    let refused = Some("is protected by the plan");
    assert_eq!(check(None, &["migrations/**"], "Migrations/1.sql"), refused);
    assert_eq!(check(None, &["Secrets/**"], "secrets./x"), refused);
    assert_eq!(
        check(
            Some(&["./migrations/**"]),
            &["migrations/**"],
            "migrations/1.sql"
        ),
        None
    );
}

fn of_kind(write_set: &[&str], path: &str, kind: TouchedKind) -> Option<&'static str> {
    let write_set =
        WriteSet::Declared(write_set.iter().map(|text| text.parse().unwrap()).collect());
    let scope = WriteRights {
        write_set: &write_set,
        protect: &[],
        plan_path: "omk.yaml",
        change_limit: Size::USUAL,
    };
    first(scope.violations(&[Touched {
        path: path.parse().unwrap(),
        kind,
        adds: 0,
        names: Vec::new(),
    }]))
}

#[test]
fn a_submodule_wants_its_very_name_and_a_link_that_leads_out_is_refused_always() {
    assert_eq!(
        of_kind(&["**"], "vendor/x", TouchedKind::Submodule),
        Some("is a submodule")
    );
    assert_eq!(
        of_kind(&["vendor/x"], "vendor/x", TouchedKind::Submodule),
        None
    );
    for write_set in ["**", "vendor/x"] {
        let why = of_kind(&[write_set], "vendor/x", TouchedKind::EscapingLink);
        assert_eq!(
            why,
            Some("is a symbolic link that leads out of the repository")
        );
    }
}

#[test]
fn a_name_that_may_not_be_is_refused_by_any_write_set_and_may_be_removed() {
    assert!(of_kind(&["**"], "a/.git./x", TouchedKind::Plain).is_some());
    assert!(of_kind(&["a/.git./x"], "a/.git./x", TouchedKind::Plain).is_some());
    assert_eq!(of_kind(&["**"], "a/.git./x", TouchedKind::Removed), None);
    assert!(of_kind(&["m/.gitmodules"], "m/.gitmodules", TouchedKind::Link).is_some());
    assert_eq!(
        of_kind(&["m/.gitmodules"], "m/.gitmodules", TouchedKind::Plain),
        None
    );
}

#[test]
fn a_file_and_a_sum_over_the_limit_are_named_with_their_size() {
    let (write_set, limit) = (WriteSet::Unknown, "1MB".parse().unwrap());
    let scope = WriteRights {
        write_set: &write_set,
        protect: &[],
        plan_path: "omk.yaml",
        change_limit: limit,
    };
    let touched = |path: &str, adds| Touched {
        path: path.parse().unwrap(),
        kind: TouchedKind::Plain,
        adds,
        names: Vec::new(),
    };
    let said = |change: &[Touched]| {
        let said = scope
            .violations(change)
            .into_iter()
            .map(|found| format!("{} {}", found.path, found.why));
        said.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(said(&[touched("a", 400_000), touched("b", 600_000)]), "");
    insta::assert_snapshot!(said(&[touched("a", 1_000_001), touched("b", 1)]), @"a has 1.1 MB, and one task may add 1MB (`change_limit`)");
    insta::assert_snapshot!(said(&[touched("a", 400_000), touched("b", 600_001)]), @"b is the largest of files with 1.1 MB in all, and one task may add 1MB (`change_limit`)");
}

#[test]
fn a_link_in_place_of_a_directory_with_protected_files_is_refused() {
    let refused = Some("is protected: its write set must name that very path");
    assert_eq!(of_kind(&["**"], ".vscode", TouchedKind::Link), refused);
    assert_eq!(
        of_kind(&["**"], "docs", TouchedKind::Submodule),
        Some("is a submodule")
    );
    assert_eq!(of_kind(&["**"], "lib", TouchedKind::Link), None);
}
