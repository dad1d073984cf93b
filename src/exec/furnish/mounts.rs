//! Clones, copies and attributes of mounts, as the kernel makes them.
//!
//! It refuses to follow a link to what it clones.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    open_tree,
};

use crate::exec::confine::open_without_links;

pub(in crate::exec) fn safe() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV
}

/// A view of a directory in which all that is written lands in `upper`.
pub(super) fn copy_on_write(lower: &OwnedFd, upper: &Path) -> io::Result<OwnedFd> {
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
pub(super) fn memory(mode: &str) -> io::Result<OwnedFd> {
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

pub(in crate::exec) fn clone(path: &Path) -> io::Result<OwnedFd> {
    clone_of(&open_without_links(path)?)
}

pub(super) fn clone_of(file: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(file.as_fd(), c"", flags)?)
}

/// Nothing in it gives rights or is a device; `more` says what else.
pub(super) fn harden(tree: &OwnedFd, more: u64) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    set_attributes(
        tree.as_fd(),
        Path::new(""),
        flags,
        MOUNT_NOSUID | MOUNT_NODEV | more,
    )
}

pub(in crate::exec) fn place(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree.as_fd(),
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

pub(super) const MOUNT_RDONLY: u64 = 1;

pub(super) const MOUNT_NOSUID: u64 = 2;

pub(super) const MOUNT_NODEV: u64 = 4;

/// `mount_setattr(2)`: sets attributes of a mount, with all below it if the flags say so.
pub(super) fn set_attributes(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: i32,
    attributes: u64,
) -> io::Result<()> {
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
