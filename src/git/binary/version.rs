//! The version of the installed git, asked for once.

use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use super::cleared;
use crate::exec::stop;
use crate::git::call::{End, carry_out};
use crate::text;

/// How long git may take to say its version.
const VERSION: Duration = Duration::from_secs(10);

/// What the git on PATH says it is: `git version 2.47.3`; `None` where there is none that answers.
/// It is asked once.
#[must_use]
pub fn program_version() -> Option<String> {
    static SAID: OnceLock<Option<String>> = OnceLock::new();
    SAID.get_or_init(ask_version).clone()
}

fn ask_version() -> Option<String> {
    let mut command = cleared(true);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // It is remembered for everybody, so no one's stop counts.
    let (end, (out, _)) = stop::never(|| carry_out(command, VERSION)).ok()?;
    let line = String::from_utf8_lossy(&out)
        .lines()
        .next()
        .map(|line| text::clip(line.trim(), 80));
    line.filter(|line| matches!(end, End::Of(status) if status.success()) && !line.is_empty())
}
