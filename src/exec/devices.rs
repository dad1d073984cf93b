//! The devices of a sealed room: those that keep nothing, and terminals of its own.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use super::furnish::{EMPTY, clone, place, safe};
use super::seal::{NotSealed, failed};

/// Devices that keep nothing, which every program takes for granted.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev` that C libraries and shells take for granted.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Clones of the machine's devices, by name.
pub(super) type Nodes = [(&'static str, io::Result<OwnedFd>); 6];

/// Clones the machine's devices, as long as they can be seen.
pub(super) fn nodes() -> Nodes {
    DEVICES.map(|name| (name, clone(&Path::new("/dev").join(name))))
}

/// A `/dev` of the room's own.
pub(super) fn make(nodes: Nodes) -> Result<(), NotSealed> {
    let dev = Path::new("/dev");
    mount(c"omk", dev, c"tmpfs", MountFlags::NOSUID, Some(EMPTY)).map_err(failed("make /dev"))?;
    for (name, node) in nodes {
        // A machine without one of them has programs that do without.
        let Ok(node) = node else { continue };
        let path = dev.join(name);
        let made = File::create_new(&path).and_then(|_| place(&node, &path));
        made.map_err(failed(format!("make {}", path.display())))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).map_err(failed(format!("make /dev/{name}")))?;
    }
    for name in ["pts", "shm"] {
        DirBuilder::new()
            .create(dev.join(name))
            .map_err(failed(format!("make /dev/{name}")))?;
    }
    mount(c"omk", c"/dev/shm", c"tmpfs", safe(), Some(c"mode=1777"))
        .map_err(failed("make /dev/shm"))?;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    // Without terminals a room is still a room.
    let _ = mount(
        c"omk",
        c"/dev/pts",
        c"devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(options),
    );
    Ok(())
}
