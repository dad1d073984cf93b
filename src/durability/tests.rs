//! Tests of `durability`.

use super::*;

#[test]
fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one/two/file");
    for text in ["first", "second"] {
        let mut batch = Batch::below(dir.path());
        batch.replace(&path, text.as_bytes()).unwrap();
        batch.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
}

#[test]
fn a_directory_that_is_gone_meanwhile_has_nothing_to_lose() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shelf/file");
    std::fs::create_dir(dir.path().join("shelf")).unwrap();
    std::fs::write(&path, "x").unwrap();
    let mut batch = Batch::below(dir.path());
    batch.keep(&path).unwrap();
    batch.keep(&dir.path().join("shelf/missing")).unwrap();
    std::fs::remove_dir_all(dir.path().join("shelf")).unwrap();
    batch.finish().unwrap();
}

#[test]
fn more_files_than_are_open_at_once_all_get_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = Batch::below(dir.path());
    for number in 0..=2 * AT_ONCE {
        batch
            .replace(&dir.path().join(number.to_string()), b"x")
            .unwrap();
        assert!(batch.waiting.len() < AT_ONCE);
    }
    batch.finish().unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        2 * AT_ONCE + 1
    );
}

#[test]
fn every_directory_up_to_the_top_is_written_through_and_none_above() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    let mut batch = Batch::below(&top);
    batch.replace(&top.join("one/two/file"), b"x").unwrap();
    let expected: BTreeSet<PathBuf> = [top.clone(), top.join("one"), top.join("one/two")].into();
    assert_eq!(batch.directories, expected);
}

#[test]
fn a_sync_that_fails_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = Batch::below(dir.path());
    batch.replace(&dir.path().join("one/file"), b"x").unwrap();
    std::fs::remove_dir_all(dir.path().join("one")).unwrap();
    assert!(batch.finish().is_err());
}

#[test]
fn a_file_that_is_gone_has_nothing_to_lose_and_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = Batch::below(dir.path());
    batch.keep(&dir.path().join("gone")).unwrap();
    std::os::unix::fs::symlink("gone", dir.path().join("link")).unwrap();
    assert!(batch.keep(&dir.path().join("link")).is_err());
    batch.finish().unwrap();
}
