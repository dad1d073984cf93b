//! Tests of `bundle::archive`.

use super::*;

fn zip_of(files: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut zip = zip::ZipWriter::new(file.reopen().expect("the same file"));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options)
            .expect("a new file in the archive");
        zip.write_all(bytes).expect("its bytes");
    }
    zip.finish().expect("a whole archive");
    file
}

fn unpacked(files: &[(&str, &[u8])], most: u64) -> Result<Vec<(String, Vec<u8>)>, String> {
    let (zip, to) = (zip_of(files), tempfile::tempdir().expect("a directory"));
    unpack(zip.path(), to.path(), most).map_err(|error| error.to_string())?;
    let read = |(name, _): &(&str, &[u8])| {
        (
            (*name).to_owned(),
            std::fs::read(to.path().join(name)).expect("a file that was unpacked"),
        )
    };
    Ok(files.iter().map(read).collect())
}

#[test]
fn files_come_out_as_they_went_in() {
    let files: [(&str, &[u8]); 2] = [
        ("bundle.json", b"{}"),
        ("logs/api/1/command.log", &[b'x'; 100_000]),
    ];
    let found = unpacked(&files, 200_000).expect("a sound archive");
    assert_eq!(found[1].1.len(), 100_000);
    assert_eq!(found[0].1, b"{}");
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    for name in [
        "../evil",
        "/etc/evil",
        "logs/../../evil",
        "a\\..\\evil",
        "C:evil",
        "a//b",
        "./a",
    ] {
        let error = unpacked(&[(name, b"x")], 100).expect_err(name);
        assert!(error.contains("does not stay inside"), "{name}: {error}");
    }
}

#[test]
fn a_file_that_is_there_already_is_not_written_over() {
    let zip = zip_of(&[("a", b"1")]);
    let to = tempfile::tempdir().expect("a directory");
    std::fs::write(to.path().join("a"), "mine").expect("a file");
    let error = unpack(zip.path(), to.path(), 10)
        .expect_err("it is there")
        .to_string();
    assert!(error.starts_with("write "), "{error}");
    assert_eq!(
        std::fs::read(to.path().join("a")).expect("the file"),
        b"mine"
    );
}

#[test]
fn a_bomb_is_stopped_by_what_comes_out() {
    let error = unpacked(&[("bomb", &vec![0; 4 << 20])], 1 << 20).expect_err("too much");
    assert_eq!(
        error,
        "unpack the archive: it holds more than 1048576 bytes"
    );
}

#[test]
fn an_archive_of_too_many_files_is_refused_before_its_list_is_read() {
    // Nothing but beginnings of entries: no archive, and it does not come to that.
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), ENTRY.repeat(FILES + 1)).expect("its bytes");
    let to = tempfile::tempdir().expect("a directory");
    let error = unpack(file.path(), to.path(), 100)
        .expect_err("too many")
        .to_string();
    assert_eq!(error, "unpack the archive: it holds more than 100000 files");
    for length in [0, 1, 3].into_iter().chain((64 << 10) - 6..(64 << 10) + 2) {
        for (filler, end) in [(&b"PK\x01"[..], &b"PK\x01"[..]), (b"\0", b"\0\0\0\0")] {
            let bytes = [&filler.repeat(length)[..length], ENTRY, end].concat();
            std::fs::write(file.path(), bytes).expect("its bytes");
            assert_eq!(
                entries(&mut File::open(file.path()).expect("it")).expect("its bytes"),
                1,
                "{length}"
            );
        }
    }
    // As many as may be are no reason to stop counting.
    let many = ENTRY.repeat(FILES);
    let refused = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).expect("its bytes");
        unpack(file.path(), to.path(), 100)
            .expect_err("no archive")
            .to_string()
    };
    assert!(refused(&many).starts_with("read the archive "));
    let later = [many.as_slice(), &[0; 200_000], ENTRY].concat();
    assert_eq!(
        refused(&later),
        "unpack the archive: it holds more than 100000 files"
    );
}

#[test]
fn directories_without_end_are_refused() {
    let deep = |depth: usize| format!("{}x", "a/".repeat(depth));
    unpacked(&[(&deep(DEPTH), b"x")], 100).expect("as deep as may be");
    let error = unpacked(&[(&deep(DEPTH + 1), b"x")], 100).expect_err("too deep");
    assert!(error.contains("does not stay inside"), "{error}");
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "hello").expect("its bytes");
    let error = unpack(file.path(), file.path(), 10)
        .expect_err("no archive")
        .to_string();
    assert!(error.starts_with("read the archive "), "{error}");
}

#[test]
fn links_are_refused() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut zip = zip::ZipWriter::new(file.reopen().expect("the same file"));
    zip.add_symlink(
        "link",
        "/etc/passwd",
        zip::write::SimpleFileOptions::default(),
    )
    .expect("a link");
    zip.finish().expect("a whole archive");
    let to = tempfile::tempdir().expect("a directory");
    let error = unpack(file.path(), to.path(), 100)
        .expect_err("a link")
        .to_string();
    assert_eq!(error, "unpack the archive: link is not a plain file");
}
