//! The header of a bundle: its prerequisites and refs, read as if a stranger had written it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::{BundleError, BundleWanted};
use crate::git::error::GitError;
use crate::id::CommitId;

/// The header's first line. Version 3 is for object formats and filters that are not used here.
pub(super) const MAGIC: &str = "# v2 git bundle";

/// A header of ten thousand tasks has a megabyte.
const HEADER: u64 = 4 << 20;

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
    pub(super) pack: u64,
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

    pub(super) fn check(&self, wanted: &BundleWanted<'_>, bytes: u64) -> Result<(), BundleError> {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

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
