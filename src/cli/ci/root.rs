//! A hosted runner's two ways to root, taken away for the rest of the job before anything of the
//! repository runs in it.
//!
//! Whoever becomes root on such a machine reads every token of the job, and can change what a later
//! step does. It refuses to touch a machine that is not thrown away after the job.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use super::run::TokenReach;
use super::{JobAnnotationLevel, JobStep, Machine};
use crate::plan::Room;

/// Where Docker listens on a hosted runner.
const DOCKER: &str = "/var/run/docker.sock";

/// What closes the Docker socket to all but root.
const CLOSE_DOCKER: &str = "chmod 0600 /var/run/docker.sock 2>/dev/null; ";

/// What takes away sudo without a password. It goes last, for it is what this runs with.
const DROP_SUDO: &str = "rm -f /etc/sudoers.d/runner";

/// Takes sudo and Docker away on a hosted runner, whatever the plan's tasks are; Docker stays where
/// the room says so. Says what could not be taken away.
pub(super) fn take_away(step: &JobStep, room: &Room, reach: &TokenReach) {
    if step.runner.machine == Machine::Hosted {
        let warn = |what: &str| step.outputs.say(JobAnnotationLevel::Warning, what);
        if !drop_sudo(room) {
            warn("children of this job can still become root: sudo still works without a password");
        }
        if !room.docker && docker_answers() {
            warn(&format!(
                "children of this job can still become root: Docker answers at {DOCKER}"
            ));
        }
    }
    if room.docker && matches!(reach, TokenReach::Writing(..)) {
        let what = "children of this job can become root and take the token that can write: the plan says \
                    `room: { docker: true }`, and Docker is as good as root";
        step.outputs.say(JobAnnotationLevel::Warning, what);
    }
}

/// Whether sudo is gone.
fn drop_sudo(room: &Room) -> bool {
    if !sudo(&["true"]) {
        return true;
    }
    let close = if room.docker { "" } else { CLOSE_DOCKER };
    sudo(&["sh", "-c", &format!("{close}{DROP_SUDO}")]);
    // What sudo remembers would do without the file.
    sudo(&["-k"]);
    !sudo(&["true"])
}

fn sudo(args: &[&str]) -> bool {
    let mut sudo = Command::new("sudo");
    sudo.arg("-n")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

fn docker_answers() -> bool {
    UnixStream::connect(DOCKER).is_ok()
}
