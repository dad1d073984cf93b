//! What is laid over the paths of a room, prepared while everything can still be written and seen.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::mounts::{MOUNT_RDONLY, clone, clone_of, copy_on_write, harden, memory};
use crate::exec::confine::open_without_links;
use crate::exec::sandbox::{Layer, Sandbox, layers};
use crate::exec::seal::{NotSealed, failed};

/// Something that is to be laid over a path.
pub(super) struct Cover {
    pub(super) path: PathBuf,
    pub(super) what: Covering,
}

pub(super) enum Covering {
    /// A clone, or a copy.
    Tree(OwnedFd),
    EmptyDirectory,
    EmptyFile,
}

/// The layers of a room with what is to be laid there, prepared while everything can still be
/// written and seen.
pub(super) fn covers(room: &Sandbox) -> Result<Vec<Cover>, NotSealed> {
    let (mut covers, mut instead) = (Vec::new(), Vec::new());
    let entries = std::fs::read_dir("/").map_err(failed("list /"))?;
    let root: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    for (path, layer) in layers(room, &root) {
        // An earlier child may have put a link there, to have the next one's room cover the whole
        // disk.
        let Ok(opened) = open_without_links(&path) else {
            continue;
        };
        let kind = rustix::fs::fstat(&opened).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let is_directory = kind.is_ok_and(|kind| kind == FileType::Directory);
        let what = match layer {
            Layer::Writable => {
                let tree =
                    clone_of(&opened).map_err(failed(format!("clone {}", path.display())))?;
                harden(&tree, 0).map_err(failed(format!("harden {}", path.display())))?;
                Covering::Tree(tree)
            }
            Layer::Copied => {
                let copied = is_directory && is_ours(&opened);
                let number = room.copied.iter().position(|copied| *copied == path);
                if let Some((tree, borrowed)) = stand_in(room, &path, number)? {
                    instead.extend(borrowed);
                    covers.push(Cover {
                        path,
                        what: Covering::Tree(tree),
                    });
                    covers.append(&mut instead);
                    continue;
                }
                let place = room.scratch.as_deref().zip(number).filter(|_| copied);
                let changes =
                    place.map(|(scratch, number)| scratch.join(Sandbox::changes_of(number)));
                match changes.map(|changes| copy_on_write(&opened, &changes)) {
                    Some(Ok(tree)) => Covering::Tree(tree),
                    // Some file systems cannot lie under a copy; then it is there to be read.
                    Some(Err(_)) | None => {
                        instead.extend(prepared(room, &path, number)?);
                        shown(&opened, &path)?
                    }
                }
            }
            Layer::Shown => shown(&opened, &path)?,
            Layer::Shared => Covering::Tree(shared(&path, room.scratch.as_deref())?),
            Layer::Hidden if is_directory => Covering::EmptyDirectory,
            Layer::Hidden => Covering::EmptyFile,
        };
        covers.push(Cover { path, what });
        covers.append(&mut instead);
    }
    Ok(covers)
}

/// What lies in the place of a directory, and what of the directory lies in it.
fn stand_in(
    room: &Sandbox,
    path: &Path,
    number: Option<usize>,
) -> Result<Option<(OwnedFd, Vec<Cover>)>, NotSealed> {
    let place = room
        .scratch
        .as_deref()
        .zip(number)
        .map(|(scratch, number)| scratch.join(Sandbox::stand_in_of(number)));
    let Some(place) = place.filter(|place| place.is_dir()) else {
        return Ok(None);
    };
    let problem = || format!("lay out what stands for {}", path.display());
    let tree = clone(&place).map_err(failed(problem()))?;
    harden(&tree, 0).map_err(failed(problem()))?;
    let borrowed = place.join(Sandbox::BORROWED);
    let (mut covers, mut waiting) = (Vec::new(), vec![borrowed.clone()]);
    while let Some(directory) = waiting.pop() {
        let before = waiting.len();
        waiting.extend(
            std::fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path()),
        );
        if waiting.len() > before || directory == borrowed {
            continue;
        }
        // Each directory without anything in it is for the original of the same name.
        let inside = directory.strip_prefix(&borrowed).unwrap_or(&directory);
        let original = path.join(inside);
        let opened = open_without_links(&original)
            .map_err(failed(format!("open {}", original.display())))?;
        covers.push(Cover {
            path: path.join(Sandbox::BORROWED).join(inside),
            what: shown(&opened, &original)?,
        });
    }
    Ok(Some((tree, covers)))
}

/// What a copy would have had from the beginning, to lie over the original where there is no copy:
/// settings without their credentials.
fn prepared(room: &Sandbox, path: &Path, number: Option<usize>) -> Result<Vec<Cover>, NotSealed> {
    let Some((scratch, number)) = room.scratch.as_deref().zip(number) else {
        return Ok(Vec::new());
    };
    let changes = scratch.join(Sandbox::changes_of(number));
    let (mut covers, mut waiting) = (Vec::new(), vec![changes.clone()]);
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let own = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(own);
                continue;
            }
            let opened =
                open_without_links(&own).map_err(failed(format!("open {}", own.display())))?;
            let place = path.join(own.strip_prefix(&changes).unwrap_or(&own));
            covers.push(Cover {
                path: place,
                what: shown(&opened, &own)?,
            });
        }
    }
    Ok(covers)
}

pub(super) fn shown(opened: &OwnedFd, path: &Path) -> Result<Covering, NotSealed> {
    let tree = clone_of(opened).map_err(failed(format!("clone {}", path.display())))?;
    harden(&tree, MOUNT_RDONLY).map_err(failed(format!("harden {}", path.display())))?;
    Ok(Covering::Tree(tree))
}

/// An empty `/tmp` or `/var/tmp`: on the disk beside HOME if there is a place, else in memory.
fn shared(path: &Path, scratch: Option<&Path>) -> Result<OwnedFd, NotSealed> {
    let make = || {
        let Some(scratch) = scratch else {
            return memory("0700");
        };
        let own = scratch.join(path.strip_prefix("/").unwrap_or(path));
        DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        let tree = clone(&own)?;
        harden(&tree, 0)?;
        Ok(tree)
    };
    make().map_err(failed(format!("make {}", path.display())))
}

/// Whether what is written there can be copied first: the owner and the group of the copy must be
/// known in the room.
fn is_ours(directory: &OwnedFd) -> bool {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    user.is_root()
        || rustix::fs::fstat(directory)
            .is_ok_and(|stat| stat.st_uid == user.as_raw() && stat.st_gid == group.as_raw())
}
