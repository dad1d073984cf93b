//! The same test once more, as a user without rights, if this is root.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::os::unix::fs::chown;
use std::process::Command;

/// The user that owns nothing, on every machine.
const NOBODY: u32 = 65534;

/// Runs the test of that name in a process of an ordinary user, and fails as it does. Nothing is
/// done if this is one.
#[track_caller]
pub(super) fn user_passes(test: &str) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let yards = tempfile::Builder::new()
        .prefix("u")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let tmp = tempfile::Builder::new().prefix("omk-").tempdir().unwrap();
    for dir in [yards.path(), tmp.path()] {
        chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let nobody = NOBODY.to_string();
    let mut again = Command::new("setpriv");
    again
        .args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"])
        .arg(std::env::current_exe().unwrap());
    again
        .args([test, "--exact", "--nocapture"])
        .current_dir(yards.path());
    again
        .env("OMK_TEST_YARDS", yards.path())
        .env("TMPDIR", tmp.path())
        .env("HOME", tmp.path());
    // Programs of root's home are not an ordinary user's.
    again.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    let said = again.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&said.stdout), text(&said.stderr));
    assert!(
        said.status.success() && out.contains("1 passed"),
        "as user {nobody}:\n{out}\n{err}"
    );
}
