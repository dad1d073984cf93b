//! Tests of `work::sweep`.

use super::*;

const SECRET: &str = "aB3dE5gH7jK9mN1pQ2rS";

fn bounds() -> Bounds {
    Bounds {
        since: None,
        left_out: Vec::new(),
        most: 1 << 20,
        stop: CancellationToken::new(),
    }
}

#[test]
fn names_links_and_contents_lose_what_is_secret() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("deep/er")).unwrap();
    std::fs::create_dir(at(&format!("deep/{SECRET}"))).unwrap();
    std::fs::write(at("deep/er/log"), format!("one {SECRET} two")).unwrap();
    std::fs::write(at("deep/plain"), "nothing").unwrap();
    std::fs::write(at("outside"), SECRET).unwrap();
    std::os::unix::fs::symlink(at("outside"), at("deep/link")).unwrap();
    std::os::unix::fs::symlink(SECRET, at("deep/named")).unwrap();
    sweep(&at("deep"), &bounds(), &Scrubber::new([SECRET]));
    assert_eq!(
        std::fs::read_to_string(at("deep/er/log")).unwrap(),
        "one *** two"
    );
    assert_eq!(
        std::fs::read_to_string(at("deep/plain")).unwrap(),
        "nothing"
    );
    assert_eq!(
        std::fs::read_to_string(at("outside")).unwrap(),
        SECRET,
        "a link is not followed"
    );
    assert!(at("deep/link").is_symlink() && !at("deep/named").is_symlink());
    assert!(!at(&format!("deep/{SECRET}")).exists());
}

#[test]
fn what_was_not_touched_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    std::fs::write(&old, SECRET).unwrap();
    let later = changed(&std::fs::metadata(&old).unwrap()) + Duration::from_nanos(1);
    sweep(
        dir.path(),
        &Bounds {
            since: Some(later),
            ..bounds()
        },
        &Scrubber::new([SECRET]),
    );
    assert_eq!(std::fs::read_to_string(&old).unwrap(), SECRET);
    std::fs::write(&new, SECRET).unwrap();
    let since = changed(&std::fs::metadata(&new).unwrap());
    sweep(
        dir.path(),
        &Bounds {
            since: Some(since),
            ..bounds()
        },
        &Scrubber::new([SECRET]),
    );
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "***");
}

#[test]
fn what_is_too_much_or_comes_after_a_stop_is_removed_unread() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // Far more than can be read in a test's time, if it were.
    std::fs::File::create(at("huge"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    std::fs::write(at("small"), SECRET).unwrap();
    std::fs::create_dir(at("kept")).unwrap();
    std::fs::write(at("kept/cache"), SECRET).unwrap();
    let with = Bounds {
        left_out: vec![at("kept")],
        most: 100,
        ..bounds()
    };
    std::fs::rename(at("huge"), at("kept/huge")).unwrap();
    sweep(dir.path(), &with, &Scrubber::new([SECRET]));
    assert_eq!(std::fs::read_to_string(at("small")).unwrap(), "***");
    assert_eq!(
        std::fs::read_to_string(at("kept/cache")).unwrap(),
        SECRET,
        "it never leaves the machine"
    );
    std::fs::rename(at("kept/huge"), at("huge")).unwrap();
    sweep(dir.path(), &with, &Scrubber::new([SECRET]));
    assert!(!at("huge").exists() && at("kept/cache").exists());
    std::fs::write(at("small"), SECRET).unwrap();
    with.stop.cancel();
    sweep(dir.path(), &with, &Scrubber::new([SECRET]));
    assert!(!at("small").exists() && at("kept/cache").exists());
}
