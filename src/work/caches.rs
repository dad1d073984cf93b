//! Toolchain caches where a child cannot have a copy of the user's: directories of its own instead.
//!
//! They begin with what a tool compares with a checksum before it uses it, as far as that is soon
//! copied. It refuses to copy anything that a tool believes as it is, and to let a child write to
//! what the user's own builds use.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::exec::{credential, stop};
use crate::plain_file;

/// What is copied at most of one cache: 256 MiB take about as long as one download of a few crates.
const MOST_BYTES: u64 = 256 << 20;

/// The longest settings that are looked into, in bytes: a thousand times what people write there.
const LONGEST_SETTINGS: u64 = 1 << 20;

/// Files that are copied at most of one cache; each takes some 50 µs.
const MOST_FILES: usize = 20_000;

/// What of a cache is compared with a lock file, or with its own name, before it is used; and the
/// index by which cargo finds that at all, which the user's own builds believe, too.
fn checked(variable: &str) -> &'static [&'static str] {
    match variable {
        "CARGO_HOME" => &["registry/cache", "registry/index"],
        "GOPATH" => &["pkg/mod/cache/download"],
        "GOMODCACHE" => &["cache/download"],
        "npm_config_cache" => &["_cacache/content-v2", "_cacache/index-v5"],
        _ => &[],
    }
}

/// Settings that say where a tool downloads from. They are left out if they may hold a secret, too.
fn settings(variable: &str) -> &'static [&'static str] {
    match variable {
        "CARGO_HOME" => &["config.toml", "config"],
        _ => &[],
    }
}

/// A cache of a child's own, and what it begins with.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    variable: &'static str,
    theirs: PathBuf,
    own: PathBuf,
}

impl Seed {
    /// The cache that a variable will lead to, below `scratch`, instead of the user's.
    pub(super) fn new(variable: &'static str, theirs: PathBuf, scratch: &Path) -> Self {
        Self {
            variable,
            theirs,
            own: scratch.join("caches").join(variable),
        }
    }

    /// Where it will lie.
    pub(super) fn own(&self) -> &Path {
        &self.own
    }

    /// Makes it. Blocks.
    pub(super) fn make(&self) {
        if std::fs::create_dir_all(&self.own).is_err() {
            // The tool will say that it is missing; the user's own is no substitute.
            return;
        }
        for part in settings(self.variable).iter().chain(checked(self.variable)) {
            let copy = self.own.join(part);
            if settings(self.variable).contains(part) && may_hold_a_secret(&self.theirs.join(part))
            {
                continue;
            }
            if copy_bounded(&self.theirs.join(part), &copy).is_err() {
                // What is too large is left out, with what comes after it: an index of what is not
                // there is worse than none.
                let _ = std::fs::remove_dir_all(&copy);
                break;
            }
        }
    }
}

/// Whether settings may hold what only their user may have, or cannot be read.
fn may_hold_a_secret(settings: &Path) -> bool {
    match plain_file::read(settings, LONGEST_SETTINGS) {
        Ok(text) => credential::may_be_in(&String::from_utf8_lossy(&text)),
        Err(_) => settings.symlink_metadata().is_ok(),
    }
}

/// Copies a file or a tree without its links, and with its empty directories, without which git
/// sees no repository; an error if it is larger than is worth it, or its work is stopped.
pub(super) fn copy_bounded(from: &Path, to: &Path) -> std::io::Result<()> {
    let (mut bytes, mut files) = (0, 0);
    let mut waiting = VecDeque::from([(from.to_owned(), to.to_owned())]);
    let (mut found, mut directories) = (Vec::new(), Vec::new());
    while let Some((from, to)) = waiting.pop_front() {
        let Ok(meta) = from.symlink_metadata() else {
            continue;
        };
        if stop::is_wanted() {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        files += 1;
        bytes += if meta.is_file() { meta.len() } else { 0 };
        if files > MOST_FILES || bytes > MOST_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        if meta.is_dir() {
            for entry in std::fs::read_dir(&from)? {
                let name = entry?.file_name();
                waiting.push_back((from.join(&name), to.join(&name)));
            }
            directories.push(to);
        } else if meta.is_file() {
            found.push((from, to));
        }
    }
    directories.iter().try_for_each(std::fs::create_dir_all)?;
    for (from, to) in found {
        if stop::is_wanted() {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_cache_begins_with_what_is_checked_and_the_users_own_stays_out_of_reach() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, scratch) = (dir.path().join("cargo"), dir.path().join("scratch"));
        for (path, text) in [
            ("registry/cache/index/a.crate", "checked"),
            ("registry/index/index/.cache/a", "the index"),
            ("registry/src/index/a/build.rs", "believed"),
            ("credentials.toml", "secret"),
            ("config.toml", "[http]"),
        ] {
            std::fs::create_dir_all(theirs.join(path).parent().unwrap()).unwrap();
            std::fs::write(theirs.join(path), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc", theirs.join("registry/cache/link")).unwrap();
        let seed = Seed::new("CARGO_HOME", theirs.clone(), &scratch);
        seed.make();
        assert_eq!(seed.own(), scratch.join("caches/CARGO_HOME"));
        let copied = |path: &str| std::fs::read_to_string(seed.own().join(path)).ok();
        assert_eq!(
            copied("registry/cache/index/a.crate").as_deref(),
            Some("checked")
        );
        assert_eq!(
            copied("registry/index/index/.cache/a").as_deref(),
            Some("the index")
        );
        assert_eq!(copied("config.toml").as_deref(), Some("[http]"));
        for path in [
            "registry/src/index/a/build.rs",
            "credentials.toml",
            "registry/cache/link/passwd",
        ] {
            assert_eq!(copied(path), None, "{path}");
        }
        assert!(scratch.join("caches/CARGO_HOME").is_dir());
        std::fs::write(
            theirs.join("config.toml"),
            "[registries.own]\ntoken = \"secret\"",
        )
        .unwrap();
        let seed = Seed::new("CARGO_HOME", theirs, &dir.path().join("other"));
        seed.make();
        assert!(
            !seed.own().join("config.toml").exists() && seed.own().join("registry/index").exists()
        );
    }
}
