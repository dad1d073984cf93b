//! Tests of `exec::reserved`.

use super::*;

fn put(path: &Path, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "x").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn names(top: &Path, found: Vec<PathBuf>) -> Vec<String> {
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(top).unwrap().display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn what_others_cannot_read_is_reserved_and_the_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    for (path, mode) in [
        ("shadow", 0o640),
        ("passwd", 0o644),
        ("ssl/private/key", 0o600),
        ("ssl/certs/a", 0o644),
        ("a/b/c/deep", 0o644),
        ("sudoers.d/ci", 0o440),
    ] {
        put(&top.join(path), mode);
    }
    for number in 0..=MOST_OF_ONE {
        put(&top.join(format!("many/{number}")), 0o600);
    }
    std::fs::set_permissions(
        top.join("ssl/private"),
        std::fs::Permissions::from_mode(0o710),
    )
    .unwrap();
    std::os::unix::fs::symlink("shadow", top.join("link")).unwrap();
    assert_eq!(
        names(top, below(top, 8, &is_closed, true)),
        ["many", "shadow", "ssl/private", "sudoers.d/ci"]
    );
    let shallow = names(top, below(top, 2, &is_closed, true));
    assert_eq!(
        shallow,
        [
            "a/b",
            "many",
            "shadow",
            "ssl/certs",
            "ssl/private",
            "sudoers.d/ci"
        ]
    );
    let open = names(top, below(top, 2, &is_closed, false));
    assert_eq!(open, ["many", "shadow", "ssl/private", "sudoers.d/ci"]);
}

#[test]
fn of_programs_only_credentials_are_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let (top, mut expect) = (dir.path(), Vec::new());
    let telling = credential::WORDS
        .iter()
        .chain(&credential::KEYS)
        .map(|part| format!("my{part}"));
    for (number, name) in credential::OWN
        .iter()
        .map(|name| (*name).to_owned())
        .chain(telling)
        .enumerate()
    {
        // Each in a directory of its own: one with many is hidden whole.
        expect.push(format!("{number}/{name}"));
        put(&top.join(format!("{number}/{name}")), 0o600);
        put(&top.join(format!("{number}/main.js")), 0o600);
        put(&top.join(format!("{number}/open-{name}")), 0o644);
    }
    put(&top.join("a/.docker/config.json"), 0o600);
    std::fs::set_permissions(
        top.join("a/.docker"),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    expect.push("a/.docker".to_owned());
    expect.sort();
    assert_eq!(
        names(
            top,
            below(top, PROGRAMS_DEPTH, &is_closed_credential, false)
        ),
        expect
    );
}
