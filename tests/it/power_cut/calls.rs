//! The calls that change files, and the filter that stops a process at them.
//!
//! It refuses to list what no program here uses (`io_uring`, `openat2` that makes a file): what
//! went past it shows in `Recorder::compare`.

/// How arguments name what they change.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A path at this argument, relative to the directory at the one before.
    At(usize),
    /// Two of those.
    TwoAt(usize, usize),
    /// A path at this argument.
    Plain(usize),
    /// Two of those.
    TwoPlain(usize, usize),
    /// An open file at this argument.
    Open(usize),
}

/// What is done there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Does {
    Make,
    Move,
    Change,
    Sync,
    SyncAll,
    Map,
}

/// The calls that change files. Of the two ways to say the same, only newer ones exist on every machine.
#[rustfmt::skip]
pub(super) const CALLS: &[(libc::c_long, Does, Shape)] = &[
    (libc::SYS_openat, Does::Make, Shape::At(1)),
    (libc::SYS_mkdirat, Does::Make, Shape::At(1)),
    (libc::SYS_symlinkat, Does::Make, Shape::At(2)),
    (libc::SYS_mknodat, Does::Make, Shape::At(1)),
    (libc::SYS_unlinkat, Does::Move, Shape::At(1)),
    (libc::SYS_renameat2, Does::Move, Shape::TwoAt(1, 3)),
    (libc::SYS_linkat, Does::Move, Shape::TwoAt(1, 3)),
    (libc::SYS_fchmodat, Does::Move, Shape::At(1)),
    (libc::SYS_truncate, Does::Move, Shape::Plain(0)),
    (libc::SYS_write, Does::Change, Shape::Open(0)),
    (libc::SYS_writev, Does::Change, Shape::Open(0)),
    (libc::SYS_pwrite64, Does::Change, Shape::Open(0)),
    (libc::SYS_pwritev, Does::Change, Shape::Open(0)),
    (libc::SYS_pwritev2, Does::Change, Shape::Open(0)),
    (libc::SYS_ftruncate, Does::Change, Shape::Open(0)),
    (libc::SYS_fallocate, Does::Change, Shape::Open(0)),
    (libc::SYS_fchmod, Does::Change, Shape::Open(0)),
    (libc::SYS_sendfile, Does::Change, Shape::Open(0)),
    (libc::SYS_copy_file_range, Does::Change, Shape::Open(2)),
    (libc::SYS_splice, Does::Change, Shape::Open(2)),
    (libc::SYS_fsync, Does::Sync, Shape::Open(0)),
    (libc::SYS_fdatasync, Does::Sync, Shape::Open(0)),
    (libc::SYS_syncfs, Does::SyncAll, Shape::Open(0)),
    (libc::SYS_sync, Does::SyncAll, Shape::Open(0)),
    (libc::SYS_mmap, Does::Map, Shape::Open(4)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_open, Does::Make, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_creat, Does::Make, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_mkdir, Does::Make, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_symlink, Does::Make, Shape::Plain(1)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_mknod, Does::Make, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_unlink, Does::Move, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_rmdir, Does::Move, Shape::Plain(0)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_rename, Does::Move, Shape::TwoPlain(0, 1)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_renameat, Does::Move, Shape::TwoAt(1, 3)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_link, Does::Move, Shape::TwoPlain(0, 1)),
    #[cfg(target_arch = "x86_64")] (libc::SYS_chmod, Does::Move, Shape::Plain(0)),
];

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump(code, k, 0, 0)
}

const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel's codes of a filter are small"
    )]
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// The low half of an argument in what a filter sees: a number, an architecture, an address, then
/// six times 8 bytes.
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// The filter that stops a process at those calls. An `openat` or `open` that makes nothing passes,
/// and so does a mapping that changes no file. Hiding from this process (`PR_SET_DUMPABLE`)
/// succeeds and does nothing.
pub(super) fn filter() -> Vec<libc::sock_filter> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let load = |offset| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    let end = |action| statement(BPF_RET | BPF_K, action);
    let trace = || end(libc::SECCOMP_RET_TRACE);
    let allow = || end(libc::SECCOMP_RET_ALLOW);
    let number = |nr: libc::c_long| u32::try_from(nr).unwrap();
    let (set, equal) = (BPF_JMP | BPF_JSET | BPF_K, BPF_JMP | BPF_JEQ | BPF_K);
    let bits = |flags: libc::c_int| u32::try_from(flags).unwrap();
    let mut filter = vec![load(0)];
    for &(nr, does, shape) in CALLS {
        let opens = match (does, shape) {
            (Does::Make, Shape::At(1)) if nr == libc::SYS_openat => Some(2),
            #[cfg(target_arch = "x86_64")]
            (Does::Make, Shape::Plain(0)) if nr == libc::SYS_open => Some(1),
            _ => None,
        };
        if let Some(flags) = opens {
            filter.push(jump(equal, number(nr), 0, 4));
            filter.push(load(argument(flags)));
            filter.push(jump(set, bits(libc::O_CREAT | libc::O_TRUNC), 0, 1));
            filter.push(trace());
            filter.push(allow());
        } else if does == Does::Map {
            filter.push(jump(equal, number(nr), 0, 7));
            filter.push(load(argument(2)));
            filter.push(jump(set, bits(libc::PROT_WRITE), 0, 4));
            filter.push(load(argument(3)));
            filter.push(jump(
                set,
                bits(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
                2,
                0,
            ));
            filter.push(trace());
            filter.push(allow());
            filter.push(allow());
        } else {
            filter.push(jump(equal, number(nr), 0, 1));
            filter.push(trace());
        }
    }
    filter.push(jump(equal, number(libc::SYS_prctl), 0, 3));
    filter.push(load(argument(0)));
    filter.push(jump(equal, bits(libc::PR_SET_DUMPABLE), 0, 1));
    filter.push(end(libc::SECCOMP_RET_ERRNO));
    filter.push(allow());
    filter
}
