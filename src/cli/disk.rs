//! Where slots lie: whether omk can write there, and whether programs can start there.
//!
//! It refuses to find out by writing.

use std::path::Path;

use rustix::fs::{Access, StatVfsMountFlags};

use super::needs::{NeedFinding, NeedsContext};
use super::session::cache_dir;
use super::{CommandFailure, FailureKind, Home};
use crate::exec::environment::Caller;
use crate::git::Pool;

pub(super) const CHECK: &str = "cache";

/// What to do about a cache that cannot be used.
const ELSEWHERE: &str = "set XDG_CACHE_HOME to a directory on a disk that can be written, and from which programs may start";

/// The slots of a repository.
pub(super) fn pool(home: &Home, caller: &Caller) -> Result<Pool, CommandFailure> {
    let opened = Pool::open(&home.repo, &cache_dir(caller)?);
    opened.map_err(|error| CommandFailure::to_do(FailureKind::Blocked, &error).hint(ELSEWHERE))
}

/// omk's cache, as far as it is there already.
pub(super) fn cache(ground: &NeedsContext<'_>) -> Result<NeedFinding, CommandFailure> {
    let cache = cache_dir(&ground.caller)?;
    let slots = cache.join("slots");
    // The first of these that is there decides about the others, which omk will make.
    let Some(there) = slots
        .ancestors()
        .find(|path| path.symlink_metadata().is_ok())
    else {
        return Ok(NeedFinding::nothing());
    };
    if let Err(error) = can_be_written(there) {
        let what = format!(
            "omk cannot write to its cache {}: {}: {error}",
            cache.display(),
            there.display()
        );
        return Ok(NeedFinding::stop(
            CHECK,
            CommandFailure::new(FailureKind::Blocked, what).hint(ELSEWHERE),
        ));
    }
    if starts_nothing(there) {
        let what = format!(
            "the disk of omk's cache {} is mounted `noexec`: programs in slots, HOME and TMPDIR, such as `./gradlew`, get \"Permission denied\"",
            cache.display()
        );
        return Ok(NeedFinding::warn(CHECK, what, ELSEWHERE));
    }
    Ok(NeedFinding::nothing())
}

fn can_be_written(directory: &Path) -> std::io::Result<()> {
    if !directory.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    Ok(rustix::fs::access(
        directory,
        Access::WRITE_OK | Access::EXEC_OK,
    )?)
}

fn starts_nothing(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_from_which_no_program_starts_is_known_by_its_mount() {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let options = |line: &str| line.split(' ').nth(3).unwrap().to_owned();
        let is = |line: &&str| line.split(' ').nth(1) == Some("/proc");
        let proc = options(mounts.lines().rfind(is).unwrap());
        assert_eq!(
            starts_nothing(Path::new("/proc")),
            proc.split(',').any(|option| option == "noexec")
        );
        assert!(!starts_nothing(&std::env::current_exe().unwrap()));
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_cannot_be_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(
            can_be_written(file.path()).is_err()
                && can_be_written(file.path().parent().unwrap()).is_ok()
        );
    }
}
