//! Tests of `bundle::write`.

use super::*;

/// A run's directory with three files, and what comes of it in a bundle.
fn brought(
    bring: impl FnOnce(&mut BundleWriter<'_>),
    left: u64,
) -> (Vec<String>, u64, Vec<String>) {
    let (from, to) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    std::fs::create_dir(from.path().join("logs")).expect("a directory");
    for name in ["logs/a.log", "logs/b.log", "logs/c.log"] {
        std::fs::write(from.path().join(name), "12345678").expect("a file");
    }
    let mut room = BundleWriter {
        from: from.path(),
        to: to.path(),
        files: Vec::new(),
        left,
        left_out: Vec::new(),
    };
    bring(&mut room);
    let names: Vec<String> = room
        .files
        .iter()
        .map(|claim| claim.name.to_string())
        .collect();
    assert!(
        names.iter().all(|name| to.path().join(name).is_file()),
        "{names:?}"
    );
    (names, room.left, room.left_out)
}

#[test]
fn a_file_fits_to_the_byte_and_is_named_where_it_does_not() {
    let one = |most, left| {
        brought(
            |room| room.bring("logs/a.log", most).expect("it can be read"),
            left,
        )
    };
    let too_large = vec!["logs/a.log is too large for a bundle (8 bytes)".to_owned()];
    assert_eq!(one(8, 8), (vec!["logs/a.log".to_owned()], 0, Vec::new()));
    assert_eq!(one(9, 9), (vec!["logs/a.log".to_owned()], 1, Vec::new()));
    assert_eq!(one(7, 8), (Vec::new(), 8, too_large.clone()));
    assert_eq!(one(8, 7), (Vec::new(), 7, too_large));
}

#[test]
fn as_many_files_as_may_be_are_brought_and_no_more() {
    let all = |files| {
        let limits = BundleLimits {
            files,
            ..BundleLimits::default()
        };
        let (names, _, left_out) = brought(
            |room| room.bring_all("logs", &limits).expect("they can be read"),
            100,
        );
        (names.len(), left_out)
    };
    assert_eq!(all(3), (3, Vec::new()));
    assert_eq!(
        all(2),
        (
            2,
            vec!["logs/c.log and what follows it are too many files for a bundle".to_owned()]
        )
    );
}

#[test]
fn a_place_that_cannot_be_looked_at_is_not_taken_for_free() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("file"), "mine").expect("a file");
    assert!(refuse_others(&dir.path().join("free")).is_ok() && refuse_others(dir.path()).is_err());
    let below = dir.path().join("file/bundle");
    let error = refuse_others(&below)
        .expect_err("a file is no directory")
        .to_string();
    assert!(
        error.starts_with(&format!("look at {}: ", below.display())),
        "{error}"
    );
}
