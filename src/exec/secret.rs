//! Secrets that omk holds, and how they leave its start-up environment.
//!
//! The kernel shows the environment a process was started with in `/proc/PID/environ` as long as it
//! lives, whatever the process does to its variables; a child of root reads it. So omk starts
//! itself again without them, and hands them over through a pipe that is empty before the first
//! child starts. It refuses to print them.

use std::collections::BTreeMap;
use std::fmt;

use super::ExecError;

/// A text that nobody is to see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes charge of `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whom it is meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.0).into_bytes());
    }
}

/// Overwrites `bytes` before they are given back. Best effort: earlier copies are out of reach.
fn wipe(mut bytes: Vec<u8>) {
    bytes.fill(0);
    std::hint::black_box(&bytes);
}

/// Takes the variables `names` out of omk's environment and returns those that were set and not
/// empty.
///
/// Where one was, this does not return at first: omk starts itself anew in the same process, with
/// the same arguments, and the second call, in the new omk, returns. To be called in `main` before
/// any thread and any child is started.
///
/// # Errors
/// Where a secret is not UTF-8, all of them are larger than a pipe holds (60 KiB), or omk cannot
/// start itself again.
pub fn shed_secrets(names: &[&str]) -> Result<BTreeMap<String, Secret>, ExecError> {
    let handed_over = unix::receive()?;
    let mut found = BTreeMap::new();
    for &name in names {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = value.into_string().map_err(|_| {
            ExecError::io(
                format!("read the secret {name}, which is not UTF-8"),
                std::io::ErrorKind::InvalidData.into(),
            )
        })?;
        found.insert(name.to_owned(), Secret::new(value));
    }
    match (handed_over, found.is_empty()) {
        (Some(secrets), _) => Ok(secrets),
        (None, true) => Ok(found),
        (None, false) => Err(unix::start_again(names, &found)),
    }
}

/// Whether this omk was started by one that shed its secrets, and has not taken them over yet.
#[must_use]
pub fn was_started_again() -> bool {
    unix::handed_over().is_some()
}

mod unix {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::{ExecError, Secret, wipe};

    /// Tells the new omk which file the secrets come from. Not a secret itself.
    const FILE: &str = "OMK_SECRETS_FD";

    /// A pipe holds 64 KiB without a reader; the rest is for quotes and names.
    const MOST: usize = 60 * 1024;

    /// Starts omk anew without the variables `names`; returns only where that fails.
    pub(super) fn start_again(names: &[&str], secrets: &BTreeMap<String, Secret>) -> ExecError {
        let failed = |error| ExecError::io("start omk again without its secrets", error);
        match pipe_with(secrets).and_then(|pipe| Ok((pipe, std::env::current_exe()?))) {
            Err(error) => failed(error),
            Ok((pipe, exe)) => {
                let mut arguments = std::env::args_os();
                let mut command = Command::new(exe);
                command
                    .arg0(arguments.next().unwrap_or_else(|| "omk".into()))
                    .args(arguments);
                for name in names {
                    command.env_remove(name);
                }
                failed(command.env(FILE, pipe.as_raw_fd().to_string()).exec())
            }
        }
    }

    /// The reading end of a pipe that holds the secrets, and that outlives `exec`.
    fn pipe_with(secrets: &BTreeMap<String, Secret>) -> std::io::Result<OwnedFd> {
        let plain: BTreeMap<&str, &str> = secrets
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.expose()))
            .collect();
        let bytes = serde_json::to_vec(&plain)?;
        if bytes.len() > MOST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let (from, to) = rustix::pipe::pipe()?;
        File::from(to).write_all(&bytes)?;
        wipe(bytes);
        Ok(from)
    }

    /// What the omk before this one handed over; `None` where there was none.
    pub(super) fn receive() -> Result<Option<BTreeMap<String, Secret>>, ExecError> {
        let failed = |error| ExecError::io("take over the secrets", error);
        let file = handed_over();
        // SAFETY: nothing else runs in this process yet that could read or write variables.
        unsafe { std::env::remove_var(FILE) };
        let Some(file) = file else { return Ok(None) };
        // SAFETY: it was opened for this process by the one before, and nothing here owns it: the
        // variable that names it has just been taken away, so this happens once.
        let mut pipe = File::from(unsafe { OwnedFd::from_raw_fd(file) });
        let mut bytes = Vec::with_capacity(MOST);
        pipe.read_to_end(&mut bytes).map_err(failed)?;
        let plain: BTreeMap<String, String> =
            serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        wipe(bytes);
        hide();
        Ok(Some(
            plain
                .into_iter()
                .map(|(name, text)| (name, Secret::new(text)))
                .collect(),
        ))
    }

    /// The file that the omk before this one left, if there was one.
    pub(super) fn handed_over() -> Option<i32> {
        std::env::var(FILE)
            .ok()?
            .parse()
            .ok()
            .filter(|&file| is_pipe(file))
    }

    /// Whether that file can be what an omk before this one left; a caller may have set the
    /// variable for fun.
    fn is_pipe(file: i32) -> bool {
        if file <= 2 {
            return false;
        }
        // SAFETY: it is only asked what it is; where nothing is open under that number, the system
        // says so.
        let borrowed = unsafe { BorrowedFd::borrow_raw(file) };
        rustix::fs::fstat(borrowed).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo
        })
    }

    /// Keeps other processes of the same user from reading this one's memory, where the system can.
    fn hide() {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{DumpableBehavior, set_dumpable_behavior};
            // It fails on no kernel we know; the secrets are out of the environment either way.
            let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn without_secrets_nothing_happens() {
        let secrets = shed_secrets(&["OMK_TEST_NO_SUCH_VARIABLE"]).unwrap();
        assert!(secrets.is_empty());
    }
}
