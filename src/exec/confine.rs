//! What a child may not do: taken away in the child itself, between fork and exec.
//!
//! Landlock confines where it writes, and keeps it from signalling or tracing processes outside; a
//! child of root loses the capabilities by which it could look into other processes, make devices
//! or change the machine; a filter refuses calls that reach around both. It is best effort, and
//! says what came of it. It refuses to restrict reading, which only a sealed room does.

use std::io;
use std::path::PathBuf;

/// The error number with which a child says that Landlock, announced by the kernel, could not be
/// put in force.
///
/// It is none that starting a program can give, so that the two can be told apart.
pub(super) const NOT_CONFINED: i32 = libc::ENOTRECOVERABLE;

/// Confinement that is ready to be put in force.
#[derive(Debug)]
#[cfg(target_os = "linux")]
pub(super) struct Confinement {
    ruleset: landlock::RulesetCreated,
    /// Whether it is tight enough to be called confinement.
    pub(super) claimed: bool,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
        PathBeneath, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
        RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };
    use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;
    use rustix::thread::CapabilitySet;

    use super::super::sandbox::NetworkReach;
    use super::{Confinement, NOT_CONFINED, PathBuf, io};

    /// Devices that keep nothing, terminals, and POSIX shared memory, without which Python's
    /// multiprocessing fails.
    const DEVICES: [&str; 9] = [
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/pts",
        "/dev/shm",
    ];

    /// The newest rules that were tried; kernels without the newest parts get the rest.
    const TRIED: ABI = ABI::V7;

    /// The oldest kernel interface under which programs work: the one before refuses every rename
    /// between directories.
    const USABLE: ABI = ABI::V2;

    /// The oldest kernel interface that keeps files from being truncated, below which we do not
    /// claim confinement.
    const CLAIMED: ABI = ABI::V3;

    /// What root's children keep. Package managers change owners and become other users; that much
    /// a container's root may do, too. Everything else looks into processes, makes devices, or
    /// changes the machine.
    const KEPT: [CapabilitySet; 8] = [
        CapabilitySet::CHOWN,
        CapabilitySet::DAC_OVERRIDE,
        CapabilitySet::FOWNER,
        CapabilitySet::FSETID,
        CapabilitySet::KILL,
        CapabilitySet::SETGID,
        CapabilitySet::SETUID,
        CapabilitySet::NET_BIND_SERVICE,
    ];

    impl Confinement {
        /// Rules under which only what is below `writable` can be written, and what `reach` says
        /// can be connected to by TCP.
        ///
        /// Paths that do not exist are left out, and so are those with a link in them: an earlier
        /// child may have put it there, to have the next one's rule cover the whole disk.
        pub(in super::super) fn prepare(
            writable: &[PathBuf],
            reach: &NetworkReach,
        ) -> Option<Self> {
            if !kernel_has(USABLE) {
                return None;
            }
            let write = AccessFs::from_write(TRIED);
            let ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(write)
                .and_then(|ruleset| {
                    if *reach == NetworkReach::Open {
                        Ok(ruleset)
                    } else {
                        ruleset.handle_access(AccessNet::ConnectTcp)
                    }
                })
                .and_then(|ruleset| ruleset.scope(Scope::from_all(TRIED)))
                .and_then(Ruleset::create)
                .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(DEVICES, write)))
                .and_then(|ruleset| allow(ruleset, writable, write))
                .and_then(|ruleset| {
                    let ports = if let NetworkReach::Doors(ports) = reach {
                        ports.as_slice()
                    } else {
                        &[]
                    };
                    ruleset.add_rules(ports.iter().map(|port| {
                        Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp))
                    }))
                })
                .ok()?;
            Some(Self {
                ruleset,
                claimed: kernel_has(CLAIMED)
                    && (*reach == NetworkReach::Open || kernel_has_network()),
            })
        }

        /// Puts the rules in force for this process and all it will start.
        ///
        /// # Errors
        /// [`NOT_CONFINED`] where the kernel, though it announced Landlock, does not.
        pub(in super::super) fn enforce(self) -> io::Result<()> {
            let enforced = self
                .ruleset
                .restrict_self()
                .is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced);
            if enforced {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(NOT_CONFINED))
            }
        }
    }

    /// Whether the kernel can keep a child from connecting by TCP, as Linux can since 6.7.
    fn kernel_has_network() -> bool {
        let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        strict.handle_access(AccessNet::ConnectTcp).is_ok()
    }

    fn kernel_has(abi: ABI) -> bool {
        let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        strict.handle_access(AccessFs::from_write(abi)).is_ok()
    }

    /// One rule for each of the paths; none for a path below another one, which covers it and whose
    /// children could have replaced it.
    fn allow(
        mut ruleset: RulesetCreated,
        writable: &[PathBuf],
        write: BitFlags<AccessFs>,
    ) -> Result<RulesetCreated, RulesetError> {
        let paths = || writable.iter().map(PathBuf::as_path);
        for path in
            paths().filter(|path| !paths().any(|other| path != &other && path.starts_with(other)))
        {
            let Ok(file) = open_without_links(path) else {
                continue;
            };
            // A rule for a file may not speak of what only directories have.
            let access = if is_directory(&file) {
                write
            } else {
                write & AccessFs::from_file(TRIED)
            };
            ruleset = ruleset.add_rule(PathBeneath::new(file, access))?;
        }
        Ok(ruleset)
    }

    /// Opens what is at `path`, if no part of the path is a link.
    pub(in super::super) fn open_without_links(path: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // Some containers refuse the newer call. No child runs beside this look in a place that
            // it could change.
            Err(Errno::NOSYS | Errno::PERM) => match std::fs::canonicalize(path) {
                Ok(real) if real == path => rustix::fs::openat(CWD, path, flags, Mode::empty()),
                Ok(_) => Err(Errno::LOOP),
                Err(_) => Err(Errno::NOENT),
            },
            other => other,
        }
    }

    fn is_directory(file: &OwnedFd) -> bool {
        rustix::fs::fstat(file)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Takes all capabilities from whatever this process executes, or, outside of a sealed room,
    /// all but a few.
    pub(in super::super) fn shed_capabilities(sealed: bool) {
        let kept: CapabilitySet = if sealed {
            CapabilitySet::empty()
        } else {
            KEPT.into_iter().collect()
        };
        for capability in (CapabilitySet::all() - kept).iter() {
            // Only root has them to lose, and the kernel refuses everybody else: nothing is missing
            // then.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }

    /// Neither this process nor what it starts gains rights by executing set-user-id programs.
    pub(in super::super) fn forgo_new_privileges() -> io::Result<()> {
        Ok(rustix::thread::set_no_new_privs(true)?)
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{forgo_new_privileges, open_without_links, shed_capabilities};

/// Confinement, of which there is none here.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Confinement {
    pub(super) claimed: bool,
}

#[cfg(not(target_os = "linux"))]
impl Confinement {
    /// There is none here.
    pub(super) fn prepare(
        _writable: &[PathBuf],
        _reach: &super::sandbox::NetworkReach,
    ) -> Option<Self> {
        None
    }

    /// Never called: there is nothing to enforce.
    ///
    /// # Errors
    /// Always [`NOT_CONFINED`].
    pub(super) fn enforce(self) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(NOT_CONFINED))
    }
}

/// There are none here.
#[cfg(not(target_os = "linux"))]
pub(super) fn shed_capabilities(_sealed: bool) {}

/// There are none to forgo here.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub(super) fn forgo_new_privileges() -> io::Result<()> {
    Ok(())
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(super) use super::seccomp::Filter;

/// A filter of calls, of which there is none here.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(super) struct Filter;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
impl Filter {
    /// There is none here.
    pub(super) fn new(_closed: bool) -> Self {
        Self
    }

    /// There is nothing to enforce.
    ///
    /// # Errors
    /// Never.
    pub(super) fn enforce(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Closes every file that was inherited beside standard input, output and error, whoever left it
/// open.
///
/// Only for a process that has opened nothing of its own yet.
pub(super) fn close_inherited() {
    let list = if cfg!(target_os = "linux") {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    let Ok(entries) = std::fs::read_dir(list) else {
        return;
    };
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for file in open.into_iter().filter(|&file| file > 2) {
        // SAFETY: nothing in this process owns a file above 2 yet; the listing's own is closed
        // already, and closing it again does nothing, as no other thread can have opened
        // one meanwhile.
        unsafe { libc::close(file) };
    }
}
