//! Tests of `gate::ground`.

use super::*;

const FILES: [&str; 7] = [
    "src/lib.rs",
    "backend/src/lib.rs",
    "backend/src/db.rs",
    "web/app.ts",
    "docs/a b.md",
    ".git/config",
    "web/.GIT/config",
];

#[track_caller]
fn check(path: &str, base: Option<&str>, expect: Option<&str>) {
    let holds = |path: &str| FILES.contains(&path);
    let all = || FILES.iter().map(ToString::to_string).collect();
    let ground = Ground::new(
        &["/slots/1".to_owned(), "C:/slots/1".to_owned()],
        &holds,
        &all,
    );
    assert_eq!(
        ground.file(path, base).as_deref(),
        expect,
        "{path} from {base:?}"
    );
}

#[test]
fn a_path_is_a_file_of_the_tree_or_nothing() {
    check("src/lib.rs", None, Some("src/lib.rs"));
    check("./src//lib.rs", None, Some("src/lib.rs"));
    check(
        "/slots/1/backend/src/db.rs",
        None,
        Some("backend/src/db.rs"),
    );
    check("file:///slots/1/web/app.ts", None, Some("web/app.ts"));
    check("file:/slots/1/web/app.ts", None, Some("web/app.ts"));
    check("src\\lib.rs", None, Some("src/lib.rs"));
    check("C:\\slots\\1\\web\\app.ts", None, Some("web/app.ts"));
    check("file:///C:/slots/1/web/app.ts", None, Some("web/app.ts"));
    for nothing in [
        "",
        "/",
        "..",
        "src",
        "/etc/passwd",
        "https://x.example/src/lib.rs",
        "/slots/1/gone.rs",
    ] {
        check(nothing, None, None);
    }
}

#[test]
fn what_git_keeps_is_no_file_of_the_tree() {
    for kept in [
        ".git/config",
        "/slots/1/.git/config",
        "web/.GIT/config",
        "src/../.git/config",
    ] {
        check(kept, None, None);
    }
}

#[test]
fn a_gate_that_changed_its_directory_means_the_only_file_that_fits() {
    check("src/db.rs", None, Some("backend/src/db.rs"));
    check("app.ts", None, Some("web/app.ts"));
    check("../web/app.ts", None, Some("web/app.ts"));
    check("b.rs", None, None);
}

#[test]
fn a_base_that_is_known_decides() {
    check("src/lib.rs", Some("backend"), Some("backend/src/lib.rs"));
    check(
        "src/lib.rs",
        Some("backend/target"),
        Some("backend/src/lib.rs"),
    );
    check("src/lib.rs", Some("docs"), Some("src/lib.rs"));
    check("src/lib.rs", Some(""), Some("src/lib.rs"));
}

#[test]
fn the_tree_of_a_container_is_found_by_its_end() {
    check("/app/backend/src/db.rs", None, Some("backend/src/db.rs"));
    check("/usr/lib/app.ts", None, None);
}

#[test]
fn an_odd_line_has_no_place() {
    let (holds, all) = (|_: &str| true, Vec::new);
    let ground = Ground::new(&[], &holds, &all);
    let lines = |line, end| {
        ground
            .place("a.rs", None, line, end)
            .map(|place| (place.line, place.end_line))
    };
    assert_eq!(
        lines(ReportedLine::Missing, ReportedLine::Missing),
        Some((1, 1))
    );
    assert_eq!(
        lines(ReportedLine::Line(12.0), ReportedLine::Missing),
        Some((12, 12))
    );
    assert_eq!(
        lines(ReportedLine::Line(12.0), ReportedLine::Line(3.0)),
        Some((12, 12))
    );
    assert_eq!(
        lines(ReportedLine::Line(0.0), ReportedLine::Line(2.0)),
        Some((1, 2))
    );
    for odd in [
        ReportedLine::Odd,
        ReportedLine::Line(-1.0),
        ReportedLine::Line(1.5),
        ReportedLine::Line(1e30),
        ReportedLine::Line(f64::NAN),
    ] {
        assert_eq!(lines(odd, ReportedLine::Missing), None);
        assert_eq!(lines(ReportedLine::Line(1.0), odd), None);
    }
}
