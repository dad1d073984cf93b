//! Opening a bundle: names, kinds, sizes and digests, before anything in it means anything.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use sha2::Digest as _;

use super::manifest::{CHANGES, FileClaim, JOURNAL, MANIFEST, Manifest, Upload, VERSION};
use super::refused::BundleRefused;
use super::walk::{BundleDirectory, io};
use crate::id::Sha256;
use crate::text;

/// What a bundle may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleLimits {
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of all files together.
    pub all: u64,
    /// Files.
    pub files: usize,
    /// Bytes of the manifest.
    pub manifest: u64,
    /// Bytes of the journal, which is held in memory.
    pub journal: u64,
    /// Objects among the commits.
    pub objects: u32,
}

impl Default for BundleLimits {
    /// Far more than a run of ten thousand tasks leaves, and still less than a runner's disk and
    /// memory.
    fn default() -> Self {
        Self {
            file: 1 << 30,
            all: 4 << 30,
            files: 100_000,
            manifest: 32 << 20,
            journal: 256 << 20,
            objects: 4_000_000,
        }
    }
}

/// A bundle whose files are what its manifest says. What they mean has not been looked at.
#[derive(Debug)]
pub struct Opened {
    /// What it says of itself. Not to be believed.
    pub manifest: Manifest,
    /// Under which limits it was opened.
    pub limits: BundleLimits,
    pub(super) journal: Vec<u8>,
    /// The commits, in a file that nobody else has, with its digest.
    pub(super) changes: Option<(File, Sha256)>,
}

/// Opens a bundle's directory, which anybody may have filled.
///
/// # Errors
/// The first thing that is wrong with it. Nothing larger than allowed is read, nothing but plain
/// files is opened.
pub fn open(dir: &Path, limits: &BundleLimits) -> Result<Opened, BundleRefused> {
    let directory = BundleDirectory::open(dir)?;
    let manifest = read_manifest(&directory, limits)?;
    check_claims(&manifest, limits)?;
    check_directory(&directory, &manifest, limits)?;
    let (mut journal, mut changes) = (None, None);
    for claim in &manifest.files {
        match claim.name.as_str() {
            JOURNAL => journal = Some(kept(&directory, claim)?),
            CHANGES => {
                let mut copy =
                    tempfile::tempfile().map_err(|source| io("a temporary file", source))?;
                hold_to(&directory, claim, &mut |bytes| copy.write_all(bytes))?;
                changes = Some((copy, claim.sha256.clone()));
            }
            _ => hold_to(&directory, claim, &mut |_| Ok(()))?,
        }
    }
    let journal = journal.ok_or_else(|| BundleRefused::Missing {
        name: JOURNAL.to_owned(),
    })?;
    Ok(Opened {
        manifest,
        limits: *limits,
        journal,
        changes,
    })
}

fn read_manifest(
    directory: &BundleDirectory,
    limits: &BundleLimits,
) -> Result<Manifest, BundleRefused> {
    let bytes = directory.read(MANIFEST, limits.manifest)?;
    let refused = |error: serde_json::Error| {
        let why = text::printable(error.to_string().as_bytes()).replace('\n', " ");
        BundleRefused::Manifest {
            why: text::clip(&why, 200),
        }
    };
    // A later version may have other fields.
    let version: serde_json::Value = serde_json::from_slice(&bytes).map_err(refused)?;
    let version = version
        .get("version")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_default();
    if version != u64::from(VERSION) {
        return Err(BundleRefused::Version {
            found: u32::try_from(version).unwrap_or(u32::MAX),
            expected: VERSION,
        });
    }
    serde_json::from_slice(&bytes).map_err(refused)
}

/// What the manifest claims, before a file is looked at.
fn check_claims(manifest: &Manifest, limits: &BundleLimits) -> Result<(), BundleRefused> {
    within(
        "the number of files",
        manifest.files.len() as u64,
        limits.files as u64,
    )?;
    let mut all = 0_u64;
    let mut names = std::collections::BTreeSet::new();
    for claim in &manifest.files {
        let most = if claim.name.as_str() == JOURNAL {
            limits.journal
        } else {
            limits.file
        };
        within(&format!("`{}`, in bytes,", claim.name), claim.bytes, most)?;
        all = all.saturating_add(claim.bytes);
        if !names.insert(&claim.name) {
            return Err(BundleRefused::Manifest {
                why: format!("it names `{}` twice", claim.name),
            });
        }
        if claim.name.is_full_only() && manifest.upload == Upload::State {
            return Err(BundleRefused::StrangeName {
                name: claim.name.to_string(),
            });
        }
    }
    within("all of it together, in bytes,", all, limits.all)
}

/// What lies there is what the manifest names, and each as large as it says.
fn check_directory(
    directory: &BundleDirectory,
    manifest: &Manifest,
    limits: &BundleLimits,
) -> Result<(), BundleRefused> {
    let mut found = directory.files(limits.files)?;
    for (name, size) in &found {
        within(
            &format!("`{name}`, in bytes,"),
            *size,
            limits.file.max(limits.journal),
        )?;
    }
    for claim in &manifest.files {
        match found.remove(&claim.name) {
            None => {
                return Err(BundleRefused::Missing {
                    name: claim.name.to_string(),
                });
            }
            Some(size) if size != claim.bytes => {
                return Err(BundleRefused::Changed {
                    name: claim.name.to_string(),
                    what: "size",
                });
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(name) => Err(BundleRefused::StrangeName {
            name: name.to_string(),
        }),
        None => Ok(()),
    }
}

fn within(what: &str, found: u64, most: u64) -> Result<(), BundleRefused> {
    if found > most {
        Err(BundleRefused::TooLarge {
            what: what.to_owned(),
            found,
            most,
        })
    } else {
        Ok(())
    }
}

fn kept(directory: &BundleDirectory, claim: &FileClaim) -> Result<Vec<u8>, BundleRefused> {
    let mut bytes = Vec::new();
    hold_to(directory, claim, &mut |more| {
        bytes.extend_from_slice(more);
        Ok(())
    })?;
    Ok(bytes)
}

/// Reads a file piece by piece, and holds it to its claim.
fn hold_to(
    directory: &BundleDirectory,
    claim: &FileClaim,
    take: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), BundleRefused> {
    let name = claim.name.as_str();
    let changed = |what| BundleRefused::Changed {
        name: name.to_owned(),
        what,
    };
    let (file, size) = directory.open_file(name)?;
    if size != claim.bytes {
        return Err(changed("size"));
    }
    let (mut digest, mut read) = (sha2::Sha256::new(), 0_u64);
    let mut buffer = vec![0; 64 << 10];
    let mut file = file.take(claim.bytes.saturating_add(1));
    loop {
        let count = file.read(&mut buffer).map_err(|source| io(name, source))?;
        if count == 0 {
            break;
        }
        read += count as u64;
        digest.update(&buffer[..count]);
        take(&buffer[..count]).map_err(|source| io(name, source))?;
    }
    if read != claim.bytes {
        return Err(changed("size"));
    }
    if Sha256::from_digest(&digest.finalize()) != claim.sha256 {
        Err(changed("digest"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
