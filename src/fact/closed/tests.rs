//! Tests of `fact::closed`.

use super::*;
use crate::id::Sha256;

fn kept(line: &str, level: RoomLevel) -> Option<String> {
    let log = |head: &str, tail: &str| LogEvidence {
        path: "log".to_owned(),
        sha256: Sha256::of(b""),
        bytes: 0,
        head: head.to_owned(),
        tail: tail.to_owned(),
    };
    let told = kept_from_writing(&log(&format!("before\n{line}\nafter /not/this"), ""), level);
    assert_eq!(
        told,
        kept_from_writing(&log("", line), level),
        "wherever it stands"
    );
    told.map(|told| {
        told.strip_prefix("its room kept ")
            .unwrap()
            .strip_suffix(" read-only")
            .unwrap()
            .to_owned()
    })
}

#[test]
fn a_refused_write_is_found_in_the_words_of_shells_languages_and_tools() {
    for (line, path) in [
        (
            "sh: 1: cannot create /etc/x: Read-only file system",
            "/etc/x",
        ),
        ("bash: line 1: /etc/x: Read-only file system", "/etc/x"),
        (
            "mkdir: cannot create directory ‘/srv/x’: Read-only file system",
            "/srv/x",
        ),
        (
            "OSError: [Errno 30] Read-only file system: '/usr/lib/python3/site-packages/x.py'",
            "/usr/lib/python3/site-packages/x.py",
        ),
        (
            "Error: EROFS: read-only file system, open '/var/lib/x'",
            "/var/lib/x",
        ),
        (
            "fatal: could not create leading directories of '/mnt/x': Read-only file system",
            "/mnt/x",
        ),
        ("open /var/cache/x: read-only file system", "/var/cache/x"),
    ] {
        assert_eq!(
            kept(line, RoomLevel::Sealed),
            Some(path.to_owned()),
            "{line}"
        );
        assert_eq!(
            kept(line, RoomLevel::None),
            None,
            "without a room it is the disk"
        );
    }
    assert_eq!(
        kept(
            "error: Read-only file system (os error 30)",
            RoomLevel::Sealed
        ),
        None,
        "nothing can be named"
    );
    assert_eq!(
        kept("cat: /etc/shadow: Permission denied", RoomLevel::Sealed),
        None
    );
}

#[test]
fn under_landlock_only_what_speaks_of_making_something_counts() {
    for line in [
        "sh: 1: cannot create /etc/x: Permission denied",
        "Error: EACCES: permission denied, mkdir '/etc/x'",
    ] {
        assert_eq!(
            kept(line, RoomLevel::Landlock),
            Some("/etc/x".to_owned()),
            "{line}"
        );
        assert_eq!(kept(line, RoomLevel::Sealed), None, "{line}");
    }
    assert_eq!(
        kept("cat: /etc/shadow: Permission denied", RoomLevel::Landlock),
        None,
        "it may have been read"
    );
}

#[test]
fn the_root_alone_is_no_path_that_can_be_named() {
    let line = "tool: cannot write '/srv/x' below / : Read-only file system";
    assert_eq!(kept(line, RoomLevel::Sealed), Some("/srv/x".to_owned()));
}

#[test]
fn a_program_that_is_not_there_or_cannot_be_started_has_advice_and_another_failure_has_none() {
    let begins = |code| {
        advice_on_exit(code).map(|advice| advice.split(':').next().unwrap_or_default().to_owned())
    };
    assert_eq!(
        begins(Some(127)).as_deref(),
        Some("a program was not found")
    );
    assert_eq!(
        begins(Some(126)).as_deref(),
        Some("a program could not be started")
    );
    for code in [None, Some(0), Some(1), Some(125), Some(128)] {
        assert_eq!(begins(code), None, "{code:?}");
    }
}
