//! Git bundles: some commits in a file, written for the next job, and read as if a stranger had
//! written them.
//!
//! A bundle here is what `git bundle` makes and reads: a header of prerequisites and refs, and a
//! pack. The reader refuses every ref that it was not told to expect, every prerequisite but one,
//! packs that are too large to be honest, and objects that `git fsck` would complain of. No ref of
//! anybody else's is moved, and nothing is checked out.

mod header;
mod refusal;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use git2::Oid;

use super::binary::{Git, GitOutput, said};
use super::call::End;
use super::error::GitError;
use super::merge::signature;
use super::repo::{Repo, commit_id, commit_oid};
use super::tree::FILE;
use crate::id::{CommitId, Moment};
use header::MAGIC;

pub use header::BundleHeader;
pub use refusal::BundleError;

/// Packing or unpacking the largest bundle that is allowed; more is somebody keeping the machine
/// busy.
const MOST: Duration = Duration::from_secs(600);

/// The most memory that git may ask for at once while it reads a stranger's pack: more than any
/// file under git's own threshold for large ones needs.
const MEMORY: &str = "640m";

/// What a bundle must be to be taken in.
#[derive(Debug, Clone)]
pub struct BundleWanted<'a> {
    /// The one commit that it may be built on.
    pub base: &'a CommitId,
    /// Exactly the refs that it may hold, by full name.
    pub refs: &'a BTreeMap<String, CommitId>,
    /// The most bytes of the file.
    pub bytes: u64,
    /// The most objects.
    pub objects: u32,
}

/// A bundle whose objects are in the repository, and that no ref keeps yet.
#[derive(Debug)]
pub struct TakenIn {
    refs: BTreeMap<String, CommitId>,
}

impl Repo {
    /// Writes a bundle of these refs (full names), with all they need but `base` and its history.
    /// `git bundle verify` reads it. A file that is there is overwritten.
    ///
    /// # Errors
    /// Where a commit is missing, or the disk refuses.
    pub fn write_bundle(
        &self,
        path: &Path,
        base: &CommitId,
        refs: &BTreeMap<String, CommitId>,
    ) -> Result<(), GitError> {
        let mut header = format!("{MAGIC}\n-{base} base\n");
        let mut wanted = format!("^{base}\n");
        for (name, commit) in refs {
            header.push_str(&format!("{commit} {name}\n"));
            wanted.push_str(&format!("{commit}\n"));
        }
        header.push('\n');
        let mut file = File::create(path).map_err(GitError::io("create", path))?;
        file.write_all(header.as_bytes())
            .map_err(GitError::io("write", path))?;
        let git =
            Git::bare(self, "pack the commits of a run", "pack-objects").input(text_file(&wanted)?);
        let git = git.args([
            "--revs",
            "--thin",
            "--delta-base-offset",
            "--stdout",
            "--quiet",
        ]);
        // git goes on where the header ends: the two share one place in the file.
        let shared = file.try_clone().map_err(GitError::io("write", path))?;
        git.hear(MOST, Some(shared))?.ok()?;
        file.sync_data().map_err(GitError::io("write", path))
    }

    /// Takes in a stranger's bundle: its objects, without a ref to them. [`Repo::keep_bundle`]
    /// makes those once the commits were looked at.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn take_in_bundle(
        &self,
        file: &mut File,
        wanted: &BundleWanted<'_>,
    ) -> Result<TakenIn, BundleError> {
        let meta = file.metadata().map_err(|source| GitError::Io {
            what: "look at a git bundle".into(),
            source,
        })?;
        let header = BundleHeader::read(file)?;
        header.check(wanted, meta.len())?;
        if self.tip(wanted.base).is_err() {
            return Err(BundleError::NoBase(wanted.base.clone()));
        }
        self.index(file, &header, wanted)?;
        self.check_connected(wanted)?;
        Ok(TakenIn {
            refs: wanted.refs.clone(),
        })
    }

    /// Keeps what was taken in: `<prefix>/task/a` of the bundle becomes `<into>/task/a` here. Both
    /// are full names without their last slash.
    ///
    /// # Errors
    /// Where a ref cannot be written.
    pub fn keep_bundle(&self, taken: &TakenIn, prefix: &str, into: &str) -> Result<(), GitError> {
        self.with(|repo| {
            for (name, commit) in &taken.refs {
                let name = format!("{into}{}", name.strip_prefix(prefix).unwrap_or(name));
                let what = GitError::lib(format!("write the ref {name}"));
                repo.reference(&name, commit_oid(commit), true, "omk: from a bundle")
                    .map_err(what)?;
            }
            Ok(())
        })
    }

    /// Puts the pack among the repository's, each object checked as `git fsck` does.
    fn index(
        &self,
        file: &File,
        header: &BundleHeader,
        wanted: &BundleWanted<'_>,
    ) -> Result<(), BundleError> {
        let what = "unpack the commits of a run";
        let io = |source| GitError::Io {
            what: what.into(),
            source,
        };
        let mut input = file.try_clone().map_err(io)?;
        input.seek(SeekFrom::Start(header.pack)).map_err(io)?;
        let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let settings = [
            setting("core.bigFileThreshold", "16m"),
            setting("pack.threads", "1"),
        ];
        let git = Git::bare(self, what, "index-pack")
            .input(input)
            .settings(&settings);
        let git = git.args([
            "--stdin",
            "--fix-thin",
            "--strict",
            &format!("--max-input-size={}", wanted.bytes),
        ]);
        refuse(git.memory(MEMORY).hear(MOST, None)?)
    }

    /// Makes sure that nothing is missing between the base and what was brought.
    fn check_connected(&self, wanted: &BundleWanted<'_>) -> Result<(), BundleError> {
        let mut list: String = wanted
            .refs
            .values()
            .map(|commit| format!("{commit}\n"))
            .collect();
        list.push_str(&format!("^{}\n", wanted.base));
        let git = Git::bare(self, "look through the commits of a run", "rev-list")
            .input(text_file(&list)?);
        refuse(
            git.args(["--objects", "--quiet", "--stdin"])
                .memory(MEMORY)
                .hear(MOST, None)?,
        )
    }

    /// A commit without a parent that holds these files, by `omk[bot]`; names are those of files,
    /// without `/`.
    ///
    /// # Errors
    /// Where a name cannot be stored, or the disk refuses.
    pub fn commit_files(
        &self,
        files: &[(String, Vec<u8>)],
        message: &str,
        when: Moment,
    ) -> Result<CommitId, GitError> {
        if let Some((name, _)) = files.iter().find(|(name, _)| name.contains('/')) {
            return Err(GitError::Unstorable {
                path: name.clone(),
                why: "it is to lie beside the others",
            });
        }
        self.with(|repo| {
            let write = || -> Result<Oid, git2::Error> {
                let mut tree = repo.treebuilder(None)?;
                for (name, bytes) in files {
                    tree.insert(
                        name,
                        repo.blob(bytes)?,
                        i32::try_from(FILE).unwrap_or(0o100_644),
                    )?;
                }
                let tree = repo.find_tree(tree.write()?)?;
                let author = signature(when.as_millis().div_euclid(1000))?;
                repo.commit(None, &author, &author, message, &tree, &[])
            };
            write()
                .map(commit_id)
                .map_err(GitError::lib("write a commit of files"))
        })
    }
}

fn refuse(heard: GitOutput) -> Result<(), BundleError> {
    match heard.end {
        End::Of(status) if status.success() => Ok(()),
        End::Of(_) => match heard.failure() {
            disk @ GitError::Io { .. } => Err(disk.into()),
            _ => Err(BundleError::Broken(said(&heard.err))),
        },
        End::Stopped => Err(GitError::Stopped.into()),
        End::OutOfTime => Err(BundleError::Broken(
            "it keeps git busy for longer than any honest one".to_owned(),
        )),
    }
}

/// A file without a name that holds the text, to be read from its beginning.
fn text_file(text: &str) -> Result<File, GitError> {
    let write = || {
        let mut file = tempfile::tempfile()?;
        file.write_all(text.as_bytes())?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    };
    write().map_err(|source| GitError::Io {
        what: "write a list for git".into(),
        source,
    })
}
