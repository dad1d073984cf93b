//! Writing a bundle: what of a run's directory the next job may need, its commits, and the manifest
//! last.
//!
//! It refuses to write into a directory that holds something else, and leaves none half done.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::manifest::{CHANGES, FileClaim, FileName, JOURNAL, MANIFEST, Manifest, Upload, VERSION};
use super::open::BundleLimits;
use super::{changes_of, refs_of, result_of};
use crate::engine::Engine;
use crate::git::{GitError, Repo};
use crate::plain_file::{self, Root};
use crate::store::RunDir;
use crate::text::Advised;

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The run has not begun.
    #[error("bundle a run that has not begun")]
    NotBegun,
    /// There is something else.
    #[error("write a bundle to {}: something that is not a bundle lies there", .0.display())]
    InTheWay(PathBuf),
    /// A file could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The commits could not be packed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Advised for WriteError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NotBegun => Some("run it first".into()),
            Self::InTheWay(_) => Some("name another directory, or remove it".into()),
            Self::Io { .. } => None,
            Self::Git(error) => error.advice(),
        }
    }
}

/// A bundle that was written.
#[derive(Debug)]
pub struct Written {
    /// Where.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Files of the run that were left out, and why, a sentence each.
    pub left_out: Vec<String>,
}

/// That a bundle can be written to `dir`, as far as can be told before there is one.
///
/// # Errors
/// Where something else lies there, or nothing can be written beside it.
pub fn is_free(dir: &Path) -> Result<(), WriteError> {
    beside(dir).map(drop)
}

/// A directory that can take the place of `dir`.
fn beside(dir: &Path) -> Result<tempfile::TempDir, WriteError> {
    refuse_others(dir)?;
    let parent = dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(io("make", parent))?;
    tempfile::Builder::new()
        .prefix(".omk-bundle-")
        .tempdir_in(parent)
        .map_err(io("write in", parent))
}

/// Writes the bundle of a run that is over to `dir`, which is made; an earlier bundle there is
/// replaced. The run's journal, proofs and reports must have been written.
///
/// # Errors
/// Where something else lies there, or something cannot be read, packed or written. `dir` is as
/// before then.
pub fn write(
    dir: &Path,
    repo: &Repo,
    run_dir: &RunDir,
    engine: &Engine,
    upload: Upload,
    limits: &BundleLimits,
) -> Result<Written, WriteError> {
    let began = engine.began().ok_or(WriteError::NotBegun)?;
    let new = beside(dir)?;
    let (result, tasks) = (result_of(engine), changes_of(engine));
    let mut room = BundleWriter {
        from: run_dir.path(),
        to: new.path(),
        files: Vec::new(),
        left: limits.all,
        left_out: Vec::new(),
    };
    let refs = refs_of(result.as_ref(), &tasks);
    if !refs.is_empty() {
        repo.write_bundle(&new.path().join(CHANGES), &began.base.commit, &refs)?;
        room.claim(CHANGES)?;
    }
    // What the next job cannot do without comes first; logs that do not fit are left out.
    for name in [
        JOURNAL,
        "plan.yaml",
        "report.json",
        "report.md",
        "report.html",
        "junit.xml",
    ] {
        room.bring(name, u64::MAX)?;
    }
    room.bring_all("proofs", limits)?;
    room.bring_all("logs", limits)?;
    if upload == Upload::Full {
        room.bring_all("transcripts", limits)?;
        room.bring_all("cassette", limits)?;
    }
    let left_out = std::mem::take(&mut room.left_out);
    let manifest = Manifest {
        version: VERSION,
        omk: began.omk.clone(),
        run: began.run.clone(),
        scope: began.scope.clone(),
        base: began.base.clone(),
        result,
        tasks,
        upload,
        files: room.files,
    };
    let path = new.path().join(MANIFEST);
    let bytes = serde_json::to_vec_pretty(&manifest).map_err(|error| WriteError::Io {
        what: "write",
        path: path.clone(),
        source: error.into(),
    })?;
    std::fs::write(&path, bytes).map_err(io("write", &path))?;
    put_in_place(new, dir)?;
    Ok(Written {
        dir: dir.to_owned(),
        manifest,
        left_out,
    })
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io { what, path, source }
}

/// Only nothing, an empty directory, and an earlier bundle may be replaced.
fn refuse_others(dir: &Path) -> Result<(), WriteError> {
    let meta = match std::fs::symlink_metadata(dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at", dir)(error)),
    };
    let empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if meta.is_dir() && (dir.join(MANIFEST).is_file() || empty()) {
        return Ok(());
    }
    Err(WriteError::InTheWay(dir.to_owned()))
}

fn put_in_place(new: tempfile::TempDir, dir: &Path) -> Result<(), WriteError> {
    use std::os::unix::fs::PermissionsExt as _;
    if dir.exists() {
        std::fs::remove_dir_all(dir).map_err(io("replace", dir))?;
    }
    let new = new.keep();
    // A temporary directory is for its maker alone; whoever uploads it may be another user.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&new, open).map_err(io("open up", &new))?;
    std::fs::rename(&new, dir).map_err(io("write", dir))
}

/// A bundle that is being filled.
struct BundleWriter<'a> {
    from: &'a Path,
    to: &'a Path,
    files: Vec<FileClaim>,
    /// How many bytes still fit.
    left: u64,
    left_out: Vec<String>,
}

impl BundleWriter<'_> {
    /// Copies a file of the run, if there is one.
    fn bring(&mut self, name: &str, most: u64) -> Result<(), WriteError> {
        let Ok(file) = Root::open(self.from).and_then(|root| root.file(Path::new(name))) else {
            return Ok(());
        };
        if file.size() > most || file.size() > self.left {
            self.left_out.push(format!(
                "{name} is too large for a bundle ({} bytes)",
                file.size()
            ));
            return Ok(());
        }
        let to = self.to.join(name);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(io("make", parent))?;
        }
        let copy = || std::io::copy(&mut file.whole(), &mut File::create_new(&to)?);
        copy().map_err(io("copy", &self.from.join(name)))?;
        self.claim(name)
    }

    /// Copies what lies below a directory of the run, as far as it has names that a bundle may
    /// hold.
    fn bring_all(&mut self, directory: &str, limits: &BundleLimits) -> Result<(), WriteError> {
        let mut names = Vec::new();
        list(&self.from.join(directory), directory, &mut names);
        names.sort();
        for name in names {
            if name.parse::<FileName>().is_err() {
                self.left_out.push(format!(
                    "{} has a name that no bundle may hold",
                    crate::text::clip(&name, 120)
                ));
            } else if self.files.len() >= limits.files {
                self.left_out.push(format!(
                    "{name} and what follows it are too many files for a bundle"
                ));
                break;
            } else {
                self.bring(&name, limits.file)?;
            }
        }
        Ok(())
    }

    /// Puts a file that lies there already into the manifest.
    fn claim(&mut self, name: &str) -> Result<(), WriteError> {
        let path = self.to.join(name);
        let read =
            plain_file::open(&path).and_then(|file| Ok((file.size(), file.digest(u64::MAX)?)));
        let (bytes, sha256) = read.map_err(|why| io("read", &path)(why.into()))?;
        self.left = self.left.saturating_sub(bytes);
        // Every name that comes here is a constant above, or was parsed.
        if let Ok(name) = name.parse() {
            self.files.push(FileClaim {
                name,
                bytes,
                sha256,
            });
        }
        Ok(())
    }
}

/// The plain files below a directory; what cannot be read, and links, are left alone.
fn list(path: &Path, name: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            list(&entry.path(), &name, found);
        } else if kind.is_file() {
            found.push(name);
        }
    }
}

#[cfg(test)]
mod tests;
