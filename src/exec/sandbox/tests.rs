//! Tests of `exec::sandbox`.

use super::*;

fn room(writable: &[&str], copied: &[&str], shown: &[&str], hidden: &[&str]) -> Sandbox {
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
    Sandbox {
        writable: paths(writable),
        copied: paths(copied),
        shown: paths(shown),
        hidden: paths(hidden),
        ..Sandbox::default()
    }
}

fn told(room: &Sandbox) -> Vec<String> {
    let known = HIDDEN.iter().chain(&HIDDEN_FILES).chain(&SHARED);
    let always = |path: &Path| known.clone().any(|hidden| Path::new(hidden) == path);
    layers(
        room,
        &["bin", "etc", "homes", "srv", "usr", "var"].map(OsString::from),
    )
    .into_iter()
    .filter(|(path, _)| !always(path) && !OF_VAR.iter().any(|of_var| Path::new(of_var) == path))
    .map(|(path, layer)| format!("{layer:?} {}", path.display()))
    .collect()
}

#[test]
fn parents_come_first_and_what_changes_nothing_is_left_out() {
    let room = room(
        &[
            "/homes/u/.cache/omk/slots/1",
            "/homes/u/.cache/omk/slots/1/inner",
        ],
        &["/homes/u/repo/.git", "/homes/u/.cargo"],
        &["/homes/u/.cargo/bin", "/usr/bin", "/homes/u/.nvm"],
        &[
            "/homes/u",
            "/homes/u/repo",
            "/homes/u/.cargo/credentials.toml",
        ],
    );
    assert_eq!(
        told(&room),
        [
            "Hidden /homes",
            "Writable /homes/u/.cache/omk/slots/1",
            "Copied /homes/u/.cargo",
            "Hidden /homes/u/.cargo/credentials.toml",
            "Shown /homes/u/.nvm",
            "Copied /homes/u/repo/.git",
            "Hidden /srv",
            "Hidden /var",
        ]
    );
}

#[test]
fn what_may_be_written_is_not_hidden_and_nothing_relative_or_whole_is_taken() {
    let room = room(&["/w", "relative"], &[], &["/"], &["/w", "/", "/h"]);
    assert_eq!(
        told(&room),
        [
            "Hidden /h",
            "Hidden /homes",
            "Hidden /srv",
            "Hidden /var",
            "Writable /w"
        ]
    );
}
