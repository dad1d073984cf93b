//! Tests of `scope::name`.

use super::*;

fn check(path: &str, link: bool) -> Option<&'static str> {
    unstorable(&RepoPath::from_bytes(path.as_bytes()).unwrap(), link)
}

#[test]
fn names_that_some_system_takes_for_gits_own_are_refused() {
    for path in [
        ".git/config",
        "a/.GIT/hooks/x",
        ".g\u{200c}it/config",
        "sub/\u{feff}.git",
        ".git./x",
        ".git /x",
        ".git . ./x",
        "git~1/x",
        "GIT~1",
        ".git::$INDEX_ALLOCATION/x",
        "a\\.git\\config",
    ] {
        assert!(
            check(path, false).is_some_and(|why| why.contains("git keeps")),
            "{path}"
        );
    }
    for path in [
        ".github/x",
        ".gitignore",
        "git",
        "a.git/x",
        "git~/x",
        ".gitmodules",
        "di~1/x",
    ] {
        assert_eq!(check(path, false), None, "{path}");
    }
}

#[test]
fn settings_of_git_are_no_links() {
    for path in [
        ".gitmodules",
        "m/.GitModules",
        "gitmod~1",
        "gi7eba~1",
        "a/.gitattributes",
        ".gitmodules.",
    ] {
        assert!(
            check(path, true).is_some_and(|why| why.contains("symbolic link")),
            "{path}"
        );
        assert_eq!(check(path, false), None, "{path}");
    }
    assert_eq!(check("gitmodules", true), None);
}

#[test]
fn deep_and_long_paths_are_refused() {
    let nested = |directories: usize| format!("{}x", "d/".repeat(directories));
    assert_eq!(check(&nested(DEEPEST), false), None);
    assert!(check(&nested(DEEPEST + 1), false).is_some_and(|why| why.contains("too deep")));
    assert_eq!(check(&"x".repeat(LONGEST), false), None);
    assert!(check(&"x".repeat(LONGEST + 1), false).is_some_and(|why| why.contains("too long")));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic_and_case_is_nothing(bytes in proptest::collection::vec(1_u8..=255, 1..40)) {
        if let Some(path) = RepoPath::from_bytes(&bytes) {
            let upper = RepoPath::from_bytes(&bytes.to_ascii_uppercase()).unwrap();
            proptest::prop_assert_eq!(unstorable(&path, true), unstorable(&upper, true));
        }
    }
}
