//! The files and the network of a sealed room, laid out from inside by its first process.
//!
//! The order matters: what is to stay writable is cloned while it still is; then everything becomes
//! read-only at once; then the clones are laid over it. It refuses to follow a link to what it
//! clones, for an earlier child may have made it.

mod mounts;
mod cover;

use std::ffi::{CStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::confine::open_without_links;
use super::loopback::raise_loopback;
use super::orders::{ShepherdReport, line};
use super::sandbox::{NetworkReach, Sandbox};
use super::seal::{NotSealed, failed};
use super::{descriptor, devices};
use cover::{Cover, Covering, covers};
use mounts::{MOUNT_NODEV, MOUNT_NOSUID, MOUNT_RDONLY, clone_of, set_attributes};

pub(super) use mounts::{clone, place, safe};

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
