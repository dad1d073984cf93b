//! What room children get on this machine: found by starting one.
//!
//! It refuses to conclude anything from versions and settings: what counts is what happened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::{Child, Ended, ExecError, Program, Sandbox, Shepherd, Surroundings};
use crate::plan::RoomLevel;

/// How long the probe may take. It does nothing, but machines are not idle.
const LONGEST: Duration = Duration::from_secs(20);

/// How much of its output is kept, in bytes: it prints nothing.
const LOG: u64 = 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The level of the room that a child got.
    pub level: RoomLevel,
    /// Why it is not a better one; absent = it is the best there is.
    pub why_not: Option<String>,
}

/// Starts a child that does nothing, and looks at its room.
pub async fn probe(shepherd: &Shepherd) -> Probed {
    let none = |why: String| Probed { level: RoomLevel::None, why_not: Some(why) };
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return none(format!("a temporary directory could not be made: {error}")),
    };
    match start(shepherd, dir.path()).await {
        Ok(ended) => {
            let level = ended.containment.level;
            let why_not = match level {
                RoomLevel::Sealed => None,
                RoomLevel::Landlock | RoomLevel::None => ended.why_not_sealed,
            };
            Probed { level, why_not }
        }
        Err(error) => none(format!("a child could not be started: {error}")),
    }
}

async fn start(shepherd: &Shepherd, dir: &Path) -> Result<Ended, ExecError> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let child = Child {
        program: Program::Shell("true".to_owned()),
        cwd: dir.to_owned(),
        env: BTreeMap::from([("PATH".into(), path)]),
        room: Some(Sandbox { writable: vec![dir.to_owned()], ..Sandbox::default() }),
        timeout: LONGEST,
        idle_timeout: None,
        log: dir.join("probe.log"),
        log_cap: LOG,
    };
    shepherd.run(&child, &Surroundings::default()).await
}
