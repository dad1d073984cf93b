//! What room children get on this machine: found by starting one.
//!
//! It refuses to conclude anything from versions and settings: what counts is what happened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Child, Ended, ExecError, NetworkReach, Program, Sandbox, Shepherd, Surroundings};
use crate::plan::RoomLevel;

/// How long the probe may take. It does nothing, but machines are not idle.
const LONGEST: Duration = Duration::from_secs(20);

/// How much of its output is kept in a file, in bytes: two for each directory at most.
const LOG: u64 = 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The level of the room that a child got.
    pub level: RoomLevel,
    /// Why it is not a better one; absent = it is the best there is.
    pub why_not: Option<String>,
}

/// Which of these directories a sealed room can have as copies, in their order, found by writing to
/// each. `scratch` is an empty directory where copies will lie.
pub async fn copyable(shepherd: &Shepherd, directories: Vec<PathBuf>, scratch: &Path) -> Vec<bool> {
    let script = "for directory; do if (: > \"$directory/.omk-copy\") 2>/dev/null; then echo y; else echo n; fi; done";
    let mut arguments: Vec<OsString> = ["-c", script, "sh"].map(OsString::from).into();
    arguments.extend(directories.iter().map(OsString::from));
    let room = Sandbox {
        copied: directories.clone(),
        scratch: Some(scratch.to_owned()),
        ..Sandbox::default()
    };
    let program = Program::Direct("/bin/sh".into(), arguments);
    let said = match start(shepherd, program, room, scratch).await {
        Ok(ended) if ended.containment.level == RoomLevel::Sealed => ended.head,
        Ok(_) | Err(_) => Vec::new(),
    };
    for number in 0..directories.len() {
        // A copy leaves a directory there that its own user cannot list, and so not remove.
        let work = scratch
            .join(Sandbox::changes_of(number))
            .with_extension("work")
            .join("work");
        let _ = std::fs::set_permissions(work, std::fs::Permissions::from_mode(0o700));
    }
    let answers: Vec<bool> = said
        .split(|&byte| byte == b'\n')
        .map(|line| line == b"y")
        .collect();
    (0..directories.len())
        .map(|number| answers.get(number).copied().unwrap_or(false))
        .collect()
}

/// Starts a child that does nothing and reaches that much, and looks at its room.
pub async fn probe(shepherd: &Shepherd, reach: NetworkReach) -> Probed {
    let none = |why: String| Probed {
        level: RoomLevel::None,
        why_not: Some(why),
    };
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return none(format!("a temporary directory could not be made: {error}")),
    };
    let room = Sandbox {
        writable: vec![dir.path().to_owned()],
        reach,
        ..Sandbox::default()
    };
    match start(
        shepherd,
        Program::Shell("true".to_owned()),
        room,
        dir.path(),
    )
    .await
    {
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

async fn start(
    shepherd: &Shepherd,
    program: Program,
    room: Sandbox,
    dir: &Path,
) -> Result<Ended, ExecError> {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let child = Child {
        program,
        cwd: PathBuf::from("/"),
        env: BTreeMap::from([("PATH".into(), path)]),
        room: Some(room),
        timeout: LONGEST,
        idle_timeout: None,
        log: dir.join("probe.log"),
        log_cap: LOG,
    };
    shepherd.run(&child, &Surroundings::default()).await
}
