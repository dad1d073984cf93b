//! Tests of `bundle::walk`.

use super::*;

/// The files of a bundle with these files and directories, which end with `/`; or why it is
/// refused.
fn files(names: &[&str], most: usize) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().expect("a directory");
    for name in names {
        let path = dir.path().join(name);
        let parent = path.parent().expect("a directory above it");
        std::fs::create_dir_all(if name.ends_with('/') { &path } else { parent })
            .expect("its directory");
        if !name.ends_with('/') {
            std::fs::write(path, name).expect("a file");
        }
    }
    let found = BundleDirectory::open(dir.path())
        .expect("a directory")
        .files(most)
        .map_err(|why| why.to_string())?;
    assert!(
        found
            .iter()
            .all(|(name, size)| name.as_str().len() as u64 == *size),
        "{found:?}"
    );
    Ok(found.into_keys().map(|name| name.to_string()).collect())
}

#[test]
fn only_files_count_and_they_count_to_the_last() {
    let names = [
        "bundle.json",
        "journal.jsonl",
        "logs/a/b/c/d/x.log",
        "proofs/a.json",
    ];
    let refused = |most| {
        Err(format!(
            "the number of files is too large: {}, and {most} are allowed",
            most + 1
        ))
    };
    for (most, found) in [(0, refused(0)), (2, refused(2))] {
        assert_eq!(files(&names, most), found);
    }
    for most in [3, 4] {
        assert_eq!(
            files(&names, most).as_deref(),
            Ok(&names[1..]
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()[..])
        );
    }
}

#[test]
fn a_name_that_no_bundle_has_is_refused_where_it_begins_and_so_is_a_directory_without_files() {
    for (name, refused) in [
        ("config", "config"),
        ("logs/.hidden", "logs/.hidden"),
        ("hooks/x.json", "hooks"),
        ("proofs/a/b.json", "proofs/a"),
        ("logs/a/b/c/d/e/x.log", "logs/a/b/c/d/e"),
        ("hooks/", "hooks"),
        ("logs/", "logs"),
        ("cassette/a/b/", "cassette/a/b"),
    ] {
        assert_eq!(
            files(&["bundle.json", name], 9),
            Err(format!("{refused:?} does not belong into a bundle")),
            "{name}"
        );
    }
}
