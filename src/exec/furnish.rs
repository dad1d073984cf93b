//! The files and the network of a sealed room, laid out from inside by its first process.
//!
//! The order matters: what is to stay writable is cloned while it still is; then everything becomes
//! read-only at once; then the clones are laid over it. It refuses to follow a link to what it
//! clones, for an earlier child may have made it.

use std::ffi::{CStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount,
    mount_change, move_mount, open_tree,
};

use super::confine::open_without_links;
use super::descriptor;
use super::devices;
use super::loopback::raise_loopback;
use super::orders::{ShepherdReport, line};
use super::sandbox::{Layer, NetworkReach, Sandbox, layers};
use super::seal::{NotSealed, failed};

/// Settings of the machine that are often links into what a room hides: who answers names, and whom
/// to trust.
const SETTINGS: [&str; 5] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/pki",
];

/// How many links are followed on the way to something that is to be shown: as many as the kernel
/// follows.
const LINKS_FOLLOWED: usize = 40;

/// What is written over a directory that is to look empty. It holds mount points only.
pub(super) const EMPTY: &CStr = c"mode=0755,size=1m";

/// Something that is to be laid over a path.
struct Cover {
    path: PathBuf,
    what: Covering,
}

enum Covering {
    /// A clone, or a copy.
    Tree(OwnedFd),
    EmptyDirectory,
    EmptyFile,
}

/// Makes the room around this process, the first in its namespaces.
///
/// # Errors
/// The first step that the system refuses; then nothing of the room may be used.
pub(super) fn furnish(mut room: Sandbox, omk: &UnixStream) -> Result<(), NotSealed> {
    let root = Path::new("/");
    std::env::set_current_dir(root).map_err(failed("leave the caller's directory"))?;
    mount_change(
        root,
        MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
    )
    .map_err(failed("keep mounts to the room"))?;
    room.shown.extend(SETTINGS.map(PathBuf::from));
    let (shown, links) = without_links(&room.shown);
    room.shown = shown;
    let devices = devices::nodes();
    let covers = covers(&room)?;

    set_attributes(
        CWD,
        root,
        libc::AT_RECURSIVE,
        MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV,
    )
    .map_err(failed("make everything read-only"))?;
    mount(
        c"proc",
        c"/proc",
        c"proc",
        MountFlags::RDONLY | safe() | MountFlags::NOEXEC,
        None,
    )
    .map_err(failed("mount /proc"))?;
    devices::make(devices)?;
    // An empty directory in which nothing will lie: the first one, for all others. Each of its own
    // costs the kernel a file system.
    let mut nothing: Option<&Path> = None;
    let no_file = open_without_links(Path::new("/dev/null")).map_err(failed("open /dev/null"))?;
    for (index, cover) in covers.iter().enumerate() {
        if !matches!(cover.what, Covering::EmptyDirectory)
            || holds_something(cover, &covers[index + 1..], &links)
        {
            lay(cover, &no_file)?;
        } else if let Some(nothing) = nothing {
            let problem = || failed(format!("hide {}", cover.path.display()));
            clone(nothing)
                .and_then(|empty| place(&empty, &cover.path))
                .map_err(problem())?;
        } else {
            lay(cover, &no_file)?;
            nothing = Some(&cover.path);
        }
    }
    for (link, target) in links
        .iter()
        .filter(|(link, _)| link.symlink_metadata().is_err())
    {
        // It fails where the link's directory is not ours, which then is not hidden.
        let _ = link.parent().map(make_directories);
        let _ = symlink(target, link);
    }
    let empty = covers
        .iter()
        .filter(|cover| matches!(cover.what, Covering::EmptyDirectory));
    for path in empty
        .map(|cover| cover.path.as_path())
        .chain([Path::new("/dev")])
    {
        set_attributes(CWD, path, 0, MOUNT_RDONLY)
            .map_err(failed(format!("make {} read-only", path.display())))?;
    }
    if room.reach != NetworkReach::Open {
        raise_loopback().map_err(failed("bring up the room's network"))?;
    }
    let NetworkReach::Doors(ports) = &room.reach else {
        return Ok(());
    };
    for port in ports {
        let door = TcpListener::bind(("127.0.0.1", *port)).map_err(failed("listen in the room"))?;
        let report = line(&ShepherdReport::Door {}).map_err(failed("hand out the room's door"))?;
        descriptor::send(omk, &report, &[door.as_fd()])
            .map_err(failed("hand out the room's door"))?;
    }
    Ok(())
}

/// Whether one of the later covers, or a link, lies in that one.
fn holds_something(cover: &Cover, later: &[Cover], links: &[(PathBuf, PathBuf)]) -> bool {
    let mut inside = later
        .iter()
        .map(|cover| &cover.path)
        .chain(links.iter().map(|(link, _)| link));
    inside.any(|path| path.starts_with(&cover.path))
}

pub(super) fn safe() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV
}

/// The layers of a room with what is to be laid there, prepared while everything can still be
/// written and seen.
fn covers(room: &Sandbox) -> Result<Vec<Cover>, NotSealed> {
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

fn shown(opened: &OwnedFd, path: &Path) -> Result<Covering, NotSealed> {
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

/// Lays it over its path, which is made if it lies in an empty directory of ours.
fn lay(cover: &Cover, no_file: &OwnedFd) -> Result<(), NotSealed> {
    let path = cover.path.as_path();
    let problem = |verb: &str| format!("{verb} {}", path.display());
    match &cover.what {
        Covering::EmptyDirectory => {
            mount(c"omk", path, c"tmpfs", safe(), Some(EMPTY)).map_err(failed(problem("hide")))?;
        }
        Covering::EmptyFile => {
            let nothing = clone_of(no_file).map_err(failed(problem("hide")))?;
            match place(&nothing, path) {
                // A socket whose service has ended meanwhile hides itself.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                placed => placed.map_err(failed(problem("hide")))?,
            }
        }
        Covering::Tree(tree) => {
            let is_directory = rustix::fs::fstat(tree)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            if path.symlink_metadata().is_err() {
                let made = if is_directory {
                    make_directories(path)
                } else {
                    path.parent()
                        .map_or(Ok(()), make_directories)
                        .and_then(|()| File::create_new(path).map(drop))
                };
                made.map_err(failed(problem("make")))?;
            }
            place(tree, path).map_err(failed(problem("lay out")))?;
        }
    }
    Ok(())
}

fn make_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// A view of a directory in which all that is written lands in `upper`.
fn copy_on_write(lower: &OwnedFd, upper: &Path) -> io::Result<OwnedFd> {
    let (upper, work) = (upper.to_owned(), upper.with_extension("work"));
    for path in [&upper, &work] {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    let (upper, work) = (open_without_links(&upper)?, open_without_links(&work)?);
    // By descriptor, for a path may hold characters that mean something in options.
    let by_descriptor = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    let overlay = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(overlay.as_fd(), c"lowerdir", by_descriptor(lower))?;
    fsconfig_set_string(overlay.as_fd(), c"upperdir", by_descriptor(&upper))?;
    fsconfig_set_string(overlay.as_fd(), c"workdir", by_descriptor(&work))?;
    fsconfig_set_flag(overlay.as_fd(), c"userxattr")?;
    fsconfig_create(overlay.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(
        overlay.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// An empty directory in memory.
fn memory(mode: &str) -> io::Result<OwnedFd> {
    let memory = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(memory.as_fd(), c"mode", mode)?;
    fsconfig_create(memory.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(
        memory.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// Whether what is written there can be copied first: the owner and the group of the copy must be
/// known in the room.
fn is_ours(directory: &OwnedFd) -> bool {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    user.is_root()
        || rustix::fs::fstat(directory)
            .is_ok_and(|stat| stat.st_uid == user.as_raw() && stat.st_gid == group.as_raw())
}

pub(super) fn clone(path: &Path) -> io::Result<OwnedFd> {
    clone_of(&open_without_links(path)?)
}

fn clone_of(file: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(file.as_fd(), c"", flags)?)
}

/// Nothing in it gives rights or is a device; `more` says what else.
fn harden(tree: &OwnedFd, more: u64) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    set_attributes(
        tree.as_fd(),
        Path::new(""),
        flags,
        MOUNT_NOSUID | MOUNT_NODEV | more,
    )
}

pub(super) fn place(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree.as_fd(),
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

const MOUNT_RDONLY: u64 = 1;
const MOUNT_NOSUID: u64 = 2;
const MOUNT_NODEV: u64 = 4;

/// `mount_setattr(2)`: sets attributes of a mount, with all below it if the flags say so.
fn set_attributes(dir: BorrowedFd<'_>, path: &Path, flags: i32, attributes: u64) -> io::Result<()> {
    #[repr(C)]
    struct MountAttributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let wanted = MountAttributes {
        set: attributes,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: all pointers are to values that outlive the call, and the size is that of the
    // structure.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(&wanted),
            size_of::<MountAttributes>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The same paths without links in them, and the links on the way, each with what it says.
fn without_links(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<(PathBuf, PathBuf)>) {
    let (mut real, mut links) = (Vec::new(), Vec::new());
    for path in paths {
        let mut rest: Vec<OsString> = components(path);
        let mut so_far = PathBuf::from("/");
        let mut followed = 0;
        while let Some(next) = rest.pop() {
            if next == ".." {
                so_far.pop();
                continue;
            }
            let here = so_far.join(&next);
            match std::fs::read_link(&here) {
                Ok(target) if followed < LINKS_FOLLOWED => {
                    followed += 1;
                    if target.is_absolute() {
                        so_far = PathBuf::from("/");
                    }
                    rest.extend(components(&target));
                    links.push((here, target));
                }
                _ => so_far = here,
            }
        }
        real.push(so_far);
    }
    (real, links)
}

/// The parts of a path, last first.
fn components(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}
