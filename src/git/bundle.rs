//! Git bundles: some commits in a file, written for the next job, and read as if a stranger had
//! written them.
//!
//! A bundle here is what `git bundle` makes and reads: a header of prerequisites and refs, and a
//! pack. The reader refuses every ref that it was not told to expect, every prerequisite but one,
//! packs that are too large to be honest, and objects that `git fsck` would complain of. No ref of
//! anybody else's is moved, and nothing is checked out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
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
use crate::text::Advised;

/// The header's first line. Version 3 is for object formats and filters that are not used here.
const MAGIC: &str = "# v2 git bundle";

/// A header of ten thousand tasks has a megabyte.
const HEADER: u64 = 4 << 20;

/// Packing or unpacking the largest bundle that is allowed; more is somebody keeping the machine
/// busy.
const MOST: Duration = Duration::from_secs(600);

/// The most memory that git may ask for at once while it reads a stranger's pack: more than any
/// file under git's own threshold for large ones needs.
const MEMORY: &str = "640m";

/// What is in a bundle, as its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleHeader {
    /// Commits that must be there already.
    pub prerequisites: Vec<CommitId>,
    /// Refs, by full name.
    pub refs: BTreeMap<String, CommitId>,
    /// How many objects its pack holds.
    pub objects: u32,
    /// Where the pack begins in the file, in bytes.
    pack: u64,
}

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

/// Why a bundle was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is not a bundle of the version that is written here.
    #[error("it is not a git bundle of version 2: {0}")]
    NotABundle(&'static str),
    /// It is larger than allowed, or says so.
    #[error("it holds {found} {what}, and {most} are allowed")]
    TooLarge {
        /// `bytes` or `objects`.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        most: u64,
    },
    /// It holds a ref that nobody asked for.
    #[error("it brings the ref `{0}`, which is none of this run's")]
    StrangeRef(String),
    /// A ref is missing, or is at another commit than the run says.
    #[error("its ref `{name}` is {found}, and the run says {expected}")]
    OtherRef {
        /// The ref.
        name: String,
        /// What it is at, in words.
        found: String,
        /// Where it should be.
        expected: CommitId,
    },
    /// It is built on something else than the run's base.
    #[error("it is built on {found}, and not on the run's base {base} alone")]
    OtherBase {
        /// What it names, in words.
        found: String,
        /// The base.
        base: CommitId,
    },
    /// The base is not in the repository.
    #[error("the run's base {0} is not in this repository")]
    NoBase(CommitId),
    /// git does not accept what is in it.
    #[error("git does not accept its objects ({0})")]
    Broken(String),
    /// The machine or the repository.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Advised for BundleError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NoBase(_) => Some("check it out first, or fetch it".into()),
            Self::Git(error) => error.advice(),
            Self::NotABundle(_)
            | Self::TooLarge { .. }
            | Self::StrangeRef(_)
            | Self::OtherRef { .. }
            | Self::OtherBase { .. }
            | Self::Broken(_) => None,
        }
    }
}

impl BundleHeader {
    /// Reads the header of a bundle. The file is left anywhere.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] where it is none, or names something that cannot be a commit or
    /// a ref.
    pub fn read(file: &mut File) -> Result<Self, BundleError> {
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.take(HEADER).read_to_end(&mut bytes));
        read.map_err(|source| GitError::Io {
            what: "read a git bundle".into(),
            source,
        })?;
        let end = bytes.windows(2).position(|two| two == b"\n\n");
        let end = end.ok_or(BundleError::NotABundle("its header does not end"))?;
        let text = std::str::from_utf8(&bytes[..end])
            .map_err(|_| BundleError::NotABundle("its header is no text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return Err(BundleError::NotABundle("it does not begin as one"));
        }
        let (mut prerequisites, mut refs) = (Vec::new(), BTreeMap::new());
        for line in lines {
            let (id, rest) = line.split_once(' ').unwrap_or((line, ""));
            let commit = |id: &str| {
                id.parse()
                    .map_err(|_| BundleError::NotABundle("a line names no commit"))
            };
            match id.strip_prefix('-') {
                Some(id) => prerequisites.push(commit(id)?),
                None if !git2::Reference::is_valid_name(rest) => {
                    return Err(BundleError::NotABundle("a line names no ref"));
                }
                None => {
                    if refs.insert(rest.to_owned(), commit(id)?).is_some() {
                        return Err(BundleError::NotABundle("it names a ref twice"));
                    }
                }
            }
        }
        let pack = end + 2;
        let Some((b"PACK", rest)) = bytes[pack..].split_first_chunk::<4>() else {
            return Err(BundleError::NotABundle("it holds no pack"));
        };
        let Some(([0, 0, 0, 2, count @ ..], _)) = rest.split_first_chunk::<8>() else {
            return Err(BundleError::NotABundle("its pack is of another version"));
        };
        Ok(Self {
            prerequisites,
            refs,
            objects: u32::from_be_bytes(*count),
            pack: pack as u64,
        })
    }

    fn check(&self, wanted: &BundleWanted<'_>, bytes: u64) -> Result<(), BundleError> {
        let too_large = |what, found, most| BundleError::TooLarge { what, found, most };
        if bytes > wanted.bytes {
            return Err(too_large("bytes", bytes, wanted.bytes));
        }
        if self.objects > wanted.objects {
            return Err(too_large(
                "objects",
                self.objects.into(),
                wanted.objects.into(),
            ));
        }
        if let Some(strange) = self
            .refs
            .keys()
            .find(|name| !wanted.refs.contains_key(*name))
        {
            return Err(BundleError::StrangeRef(strange.clone()));
        }
        for (name, expected) in wanted.refs {
            let found = match self.refs.get(name) {
                Some(found) if found == expected => continue,
                Some(found) => format!("at {found}"),
                None => "missing".to_owned(),
            };
            return Err(BundleError::OtherRef {
                name: name.clone(),
                found,
                expected: expected.clone(),
            });
        }
        if self.prerequisites != [wanted.base.clone()] {
            let found = match self.prerequisites.as_slice() {
                [] => "nothing".to_owned(),
                [other] => other.to_string(),
                many => format!("{} commits", many.len()),
            };
            return Err(BundleError::OtherBase {
                found,
                base: wanted.base.clone(),
            });
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<BundleHeader, BundleError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        BundleHeader::read(&mut file)
    }

    fn header(line: &str) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}\n-{} base\n{line}\n\nPACK", "a".repeat(40)).into_bytes();
        bytes.extend([0, 0, 0, 2, 0, 0, 1, 2]);
        bytes
    }

    #[test]
    fn a_header_is_read_and_one_that_names_no_ref_or_commit_is_not() {
        let (commit, good) = (
            "b".repeat(40),
            format!("{} refs/omk/bundle/result", "b".repeat(40)),
        );
        let found = read(&header(&good)).unwrap();
        assert_eq!(
            (found.refs["refs/omk/bundle/result"].as_str(), found.objects),
            (commit.as_str(), 258)
        );
        assert_eq!(found.prerequisites[0].as_str(), "a".repeat(40));
        for bad in [
            "x refs/heads/a",
            &commit,
            &format!("{commit} a..b"),
            &format!("{good}\n{good}"),
            "-x base",
        ] {
            assert!(
                matches!(read(&header(bad)), Err(BundleError::NotABundle(_))),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let mut whole = header("");
            whole.truncate(cut);
            whole.extend(bytes);
            let _ = read(&whole);
        }
    }
}
