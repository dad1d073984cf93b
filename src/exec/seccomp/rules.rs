//! The calls that are refused, and by which of their arguments.

/// A call to refuse, if one of the tests holds; without tests, always.
pub(super) struct RefusedCall {
    pub(super) call: libc::c_long,
    pub(super) errno: i32,
    pub(super) tests: &'static [Test],
}

/// A look at the low half of one argument.
#[derive(Clone, Copy)]
pub(super) enum Test {
    /// The bits of the argument under the mask are the value.
    Is {
        argument: u32,
        mask: u32,
        value: u32,
    },
    /// The argument is not zero.
    NotZero { argument: u32 },
    /// The socket is one for the Internet, and not for TCP itself.
    OtherThanTcp { family: i32 },
    /// The request of an `ioctl` is of none of these kinds, and none of these requests.
    OtherRequest {
        kinds: &'static [u32],
        requests: &'static [u32],
    },
}

/// `setxattrat(2)`, of Linux 6.13 and the same on all architectures; the libc crate does not name
/// it yet.
const SYS_SETXATTRAT: libc::c_long = 463;

/// `file_setattr(2)`, of Linux 6.17: what `FS_IOC_FSSETXATTR` does, by name.
const SYS_FILE_SETATTR: libc::c_long = 469;

/// Kinds of requests that every program makes, by the byte that stands for them: of terminals and
/// of descriptors, of sockets.
const KINDS: [u32; 2] = [0x5400, 0x8900];

/// Requests that only ask, or that share blocks of two files as a copy would: the size of a block,
/// flags (of both word sizes), extents, attributes, `FICLONE` and `FICLONERANGE`.
const REQUESTS: [u32; 7] = [
    0x2,
    0x8008_6601,
    0x8004_6601,
    0xC020_660B,
    0x801C_581F,
    0x4004_9409,
    0x4020_940D,
];

/// Requests of file systems can change a file and leave its times alone: XFS and ext4 swap the
/// blocks of two files (`SWAPEXT`, `MOVE_EXT`). Or they leave a flag where nobody looks. Which
/// there are differs by file system, so only what is known is let through. To push a letter back
/// into a terminal is to type on it.
const OTHER_REQUESTS: &[Test] = &[
    Test::Is {
        argument: 1,
        mask: u32::MAX,
        value: libc::TIOCSTI as u32,
    },
    Test::Is {
        argument: 1,
        mask: u32::MAX,
        value: libc::TIOCLINUX as u32,
    },
    Test::OtherRequest {
        kinds: &KINDS,
        requests: &REQUESTS,
    },
];

const fn always(call: libc::c_long, errno: i32) -> RefusedCall {
    RefusedCall {
        call,
        errno,
        tests: &[],
    }
}

/// Character and block devices; a FIFO or a socket is a child's own business.
const DEVICE_IN_1: &[Test] = &[
    Test::Is {
        argument: 1,
        mask: libc::S_IFMT,
        value: libc::S_IFCHR,
    },
    Test::Is {
        argument: 1,
        mask: libc::S_IFMT,
        value: libc::S_IFBLK,
    },
];
const DEVICE_IN_2: &[Test] = &[
    Test::Is {
        argument: 2,
        mask: libc::S_IFMT,
        value: libc::S_IFCHR,
    },
    Test::Is {
        argument: 2,
        mask: libc::S_IFMT,
        value: libc::S_IFBLK,
    },
];

/// A namespace of users brings back, inside it, every capability that was taken away.
const NEW_USERS: u32 = libc::CLONE_NEWUSER as u32;

const USERS_IN_0: &[Test] = &[Test::Is {
    argument: 0,
    mask: NEW_USERS,
    value: NEW_USERS,
}];

/// Packets as they are on the wire, the host of a virtual machine, and the kernel's ciphers.
const FAMILIES: &[Test] = &[
    Test::Is {
        argument: 0,
        mask: u32::MAX,
        value: libc::AF_PACKET as u32,
    },
    Test::Is {
        argument: 0,
        mask: u32::MAX,
        value: libc::AF_VSOCK as u32,
    },
    Test::Is {
        argument: 0,
        mask: u32::MAX,
        value: libc::AF_ALG as u32,
    },
];

/// What is refused. `ENOSYS` stands where programs know how to do without.
pub(super) const REFUSED: &[RefusedCall] = &[
    // A child may set its own limits, and everybody writes 0 for that.
    RefusedCall {
        call: libc::SYS_prlimit64,
        errno: libc::EPERM,
        tests: &[Test::NotZero { argument: 0 }],
    },
    RefusedCall {
        call: libc::SYS_mknodat,
        errno: libc::EPERM,
        tests: DEVICE_IN_2,
    },
    #[cfg(target_arch = "x86_64")]
    RefusedCall {
        call: libc::SYS_mknod,
        errno: libc::EPERM,
        tests: DEVICE_IN_1,
    },
    RefusedCall {
        call: libc::SYS_unshare,
        errno: libc::EPERM,
        tests: USERS_IN_0,
    },
    RefusedCall {
        call: libc::SYS_clone,
        errno: libc::EPERM,
        tests: USERS_IN_0,
    },
    // Its flags lie in memory, which a filter cannot read. The C libraries fall back to `clone`.
    always(libc::SYS_clone3, libc::ENOSYS),
    RefusedCall {
        call: libc::SYS_socket,
        errno: libc::EPERM,
        tests: FAMILIES,
    },
    // A lease on a file holds up everybody who opens it: omk, and git.
    RefusedCall {
        call: libc::SYS_fcntl,
        errno: libc::EPERM,
        tests: &[Test::Is {
            argument: 1,
            mask: u32::MAX,
            value: libc::F_SETLEASE as u32,
        }],
    },
    always(libc::SYS_setns, libc::EPERM),
    always(libc::SYS_mount, libc::EPERM),
    always(libc::SYS_umount2, libc::EPERM),
    always(libc::SYS_pivot_root, libc::EPERM),
    always(libc::SYS_chroot, libc::EPERM),
    always(libc::SYS_move_mount, libc::EPERM),
    always(libc::SYS_open_tree, libc::EPERM),
    always(libc::SYS_fsopen, libc::EPERM),
    always(libc::SYS_fsmount, libc::EPERM),
    always(libc::SYS_mount_setattr, libc::EPERM),
    always(libc::SYS_open_by_handle_at, libc::EPERM),
    // An attribute of a file survives what sets its bytes and times right, and could tell the next
    // child something.
    always(libc::SYS_setxattr, libc::EOPNOTSUPP),
    always(libc::SYS_lsetxattr, libc::EOPNOTSUPP),
    always(libc::SYS_fsetxattr, libc::EOPNOTSUPP),
    always(SYS_SETXATTRAT, libc::EOPNOTSUPP),
    always(SYS_FILE_SETATTR, libc::ENOSYS),
    // What a kernel or a file system answers that does not know the request.
    RefusedCall {
        call: libc::SYS_ioctl,
        errno: libc::ENOTTY,
        tests: OTHER_REQUESTS,
    },
    always(libc::SYS_bpf, libc::EPERM),
    always(libc::SYS_perf_event_open, libc::EPERM),
    always(libc::SYS_userfaultfd, libc::ENOSYS),
    always(libc::SYS_keyctl, libc::ENOSYS),
    always(libc::SYS_add_key, libc::ENOSYS),
    always(libc::SYS_request_key, libc::ENOSYS),
    // It opens sockets and files behind this filter's back.
    always(libc::SYS_io_uring_setup, libc::ENOSYS),
    always(libc::SYS_io_uring_enter, libc::ENOSYS),
    always(libc::SYS_io_uring_register, libc::ENOSYS),
];

/// What is refused beside, where only Landlock keeps a child from the network: Landlock knows TCP
/// and its `connect`, and nothing else that leads out. Multipath TCP and SCTP look like TCP; a fast
/// open connects while it sends.
pub(super) const REFUSED_OFFLINE: &[RefusedCall] = &[
    RefusedCall {
        call: libc::SYS_socket,
        errno: libc::EACCES,
        tests: NOT_TCP,
    },
    RefusedCall {
        call: libc::SYS_sendto,
        errno: libc::EPERM,
        tests: &[fast_open(3)],
    },
    RefusedCall {
        call: libc::SYS_sendmsg,
        errno: libc::EPERM,
        tests: &[fast_open(2)],
    },
    RefusedCall {
        call: libc::SYS_sendmmsg,
        errno: libc::EPERM,
        tests: &[fast_open(3)],
    },
];

/// All that is to be known of `socket`: of two entries for one call only the first is looked at.
const NOT_TCP: &[Test] = &[
    FAMILIES[0],
    FAMILIES[1],
    FAMILIES[2],
    Test::OtherThanTcp {
        family: libc::AF_INET,
    },
    Test::OtherThanTcp {
        family: libc::AF_INET6,
    },
];

const fn fast_open(argument: u32) -> Test {
    let flag = libc::MSG_FASTOPEN as u32;
    Test::Is {
        argument,
        mask: flag,
        value: flag,
    }
}
