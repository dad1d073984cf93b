//! Whatever lies in the place of a file, opening it ends at once, and says what it was.

use super::*;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// More than fits into any memory that a test has.
const SPARSE: u64 = 10 << 30;

fn world() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("real/deep")).unwrap();
    std::fs::write(at("real/deep/file"), "hello").unwrap();
    symlink("real", at("link")).unwrap();
    symlink("deep/file", at("real/to-file")).unwrap();
    symlink("/dev/zero", at("zero")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RUSR).unwrap();
    drop(UnixListener::bind(at("socket")).unwrap());
    File::create(at("sparse")).unwrap().set_len(SPARSE).unwrap();
    dir
}

#[test]
fn a_plain_file_is_read() {
    let dir = world();
    let root = Root::open(dir.path()).unwrap();
    assert_eq!(
        root.read(Path::new("./real/deep/file"), 5).unwrap(),
        b"hello"
    );
    assert_eq!(
        read(&dir.path().join("real/deep/file"), 5).unwrap(),
        b"hello"
    );
    // The user may come by a link; what lies there may not be one.
    assert_eq!(
        read(&dir.path().join("link/deep/file"), 5).unwrap(),
        b"hello"
    );
}

#[test]
fn a_directory_below_is_no_link_and_does_not_lead_out() {
    let dir = world();
    let root = Root::open(dir.path()).unwrap();
    for name in ["real/deep", "./real/deep"] {
        assert_eq!(
            root.below(Path::new(name))
                .unwrap()
                .read(Path::new("file"), 5)
                .unwrap(),
            b"hello"
        );
    }
    let refused = |name: &str| root.below(Path::new(name)).err();
    for name in ["link", "link/deep", "real/deep/file", "pipe"] {
        assert!(matches!(refused(name), Some(NotRead::BelowLink)), "{name}");
    }
    assert!(matches!(refused("none"), Some(NotRead::Missing)));
    for name in ["..", "real/../link", "/", ""] {
        assert!(matches!(refused(name), Some(NotRead::Outside)), "{name}");
    }
}

#[test]
fn nothing_but_a_plain_file_is_opened_and_each_is_named() {
    let dir = world();
    let root = Root::open(dir.path()).unwrap();
    let said = |name: &str| format!("{name}: {}\n", root.read(Path::new(name), 5).unwrap_err());
    let names = [
        "pipe",
        "socket",
        "zero",
        "dangling",
        "real",
        "real/to-file",
        "link/deep/file",
        "zero/x",
        "real/deep/file/x",
        "none",
        "none/x",
        "../x",
        "real/../zero",
        "/dev/zero",
        "",
        "sparse",
    ];
    insta::assert_snapshot!(names.map(said).concat(), @r"
    pipe: it is a pipe, and not a plain file
    socket: it is a socket, and not a plain file
    zero: it is a symbolic link, and not a plain file
    dangling: it is a symbolic link, and not a plain file
    real: it is a directory, and not a plain file
    real/to-file: it is a symbolic link, and not a plain file
    link/deep/file: it lies below a symbolic link, or below something that is no directory
    zero/x: it lies below a symbolic link, or below something that is no directory
    real/deep/file/x: it lies below a symbolic link, or below something that is no directory
    none: there is no such file
    none/x: there is no such file
    ../x: its name leads out of its directory
    real/../zero: its name leads out of its directory
    /dev/zero: its name leads out of its directory
    : its name leads out of its directory
    sparse: it holds more than 5 bytes, the most that omk reads of it
    ");
}

#[test]
fn the_way_without_openat2_is_as_strict() {
    let dir = world();
    let root = Root::open(dir.path()).unwrap();
    let step = |path: &str| {
        let parts: Vec<Component<'_>> = Path::new(path).components().collect();
        step_by_step(&root.directory, &parts)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(step("real/deep"), Ok(()));
    for (path, expect) in [
        ("link/deep", NotRead::BelowLink),
        ("zero", NotRead::BelowLink),
        ("pipe", NotRead::BelowLink),
        ("none", NotRead::Missing),
    ] {
        assert_eq!(step(path), Err(expect.to_string()), "{path}");
    }
}

#[test]
fn a_root_that_became_a_link_is_refused_if_a_child_could_have_done_it() {
    let dir = world();
    assert!(Root::open(&dir.path().join("link")).is_ok());
    assert!(matches!(
        Root::open_real(&dir.path().join("link")),
        Err(NotRead::BelowLink)
    ));
    assert!(matches!(
        Root::open_real(&dir.path().join("pipe")),
        Err(NotRead::BelowLink)
    ));
}

#[test]
fn only_the_end_of_an_endless_file_is_read() {
    let dir = world();
    let end = open(&dir.path().join("sparse"))
        .unwrap()
        .read_end(3, 1000)
        .unwrap();
    assert_eq!(end, vec![0; 1000]);
    let end = open(&dir.path().join("real/deep/file"))
        .unwrap()
        .read_end(3, 1000)
        .unwrap();
    assert_eq!(end, b"lo");
}

#[test]
fn removing_follows_no_link_and_takes_no_directory() {
    let dir = world();
    let root = Root::open(dir.path()).unwrap();
    for gone in [
        "pipe",
        "socket",
        "zero",
        "dangling",
        "none",
        "none/x",
        "real/to-file",
    ] {
        root.remove(Path::new(gone)).unwrap();
        assert!(
            std::fs::symlink_metadata(dir.path().join(gone)).is_err(),
            "{gone}"
        );
    }
    for kept in ["real", "link/deep/file", "../x"] {
        root.remove(Path::new(kept)).unwrap_err();
    }
    assert!(dir.path().join("real/deep/file").exists());
}
