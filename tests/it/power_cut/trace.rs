//! Runs a command and follows what it and its children do to the files below one directory, in one exact order.
//!
//! It stops every process at the calls that change files, lets one of them through at a time, and looks at the directory
//! after each. So it needs no room for data in what it notes of a call, and no kernel but a plain one. It refuses to
//! judge what it saw: see `recorder`.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recorder::Recorder;

type Tid = libc::pid_t;

/// A path is no longer, by the system's own limit (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// Memory is readable or not by pages, and none is smaller.
const PAGE: u64 = 4096;

/// A name that a call may change: its directory and itself, as this process can reach them.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// What a call does, as far as files are concerned.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// Names are made, moved or removed. Whatever is found there afterwards is new if `makes`.
    Names { names: Vec<Name>, makes: bool },
    /// The content, the length or the mode of an open file changes.
    Changes(PathBuf),
    /// A file or a directory is written through.
    Syncs(PathBuf),
    /// Everything is.
    SyncsAll,
    /// A file can be written to without any call from now on.
    Maps(PathBuf),
}

/// How arguments name what they change.
#[derive(Clone, Copy)]
enum Shape {
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
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Make,
    Move,
    Change,
    Sync,
    SyncAll,
    Map,
}

/// The calls that change files. Of the two ways to say the same, only newer ones exist on every machine.
#[rustfmt::skip]
const CALLS: &[(libc::c_long, Does, Shape)] = &[
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
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's codes of a filter are small")]
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// The low half of an argument in what a filter sees: a number, an architecture, an address, then six times 8 bytes.
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// The filter that stops a process at those calls. An `openat` or `open` that makes nothing passes, and so does a mapping
/// that changes no file. Hiding from this process (`PR_SET_DUMPABLE`) succeeds and does nothing.
fn filter() -> Vec<libc::sock_filter> {
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
            filter.push(jump(set, bits(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), 2, 0));
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

/// Runs the command to its end, and has `recorder` see every change. Its exit code.
pub(super) fn follow(command: Command, recorder: &mut Recorder) -> i32 {
    // Only the thread that started a process may follow it, and it must wait for nobody else's.
    std::thread::scope(|scope| scope.spawn(|| Tracer::start(command, recorder).run()).join().unwrap())
}

struct Tracer<'r> {
    recorder: &'r mut Recorder,
    first: Tid,
    /// Processes and threads that were seen to stop once.
    known: HashMap<Tid, ()>,
    /// The one that is inside a call, and which.
    inside: Option<(Tid, Call)>,
    waiting: VecDeque<Tid>,
}

fn ptrace(request: libc::c_uint, tid: Tid, address: usize, data: usize) -> libc::c_long {
    // SAFETY: the requests made here take numbers, or a place in this process that is as large as they say.
    unsafe { libc::ptrace(request, tid, address, data) }
}

impl<'r> Tracer<'r> {
    fn start(mut command: Command, recorder: &'r mut Recorder) -> Self {
        let filter = filter();
        let traced = move || {
            let program =
                libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_ptr().cast_mut() };
            let all = [
                ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                // SAFETY: numbers only.
                unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into(),
                // SAFETY: the kernel copies the filter, which is whole and lives until then.
                unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }.into(),
            ];
            if all.contains(&-1) { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        };
        // SAFETY: it makes three calls, and allocates nothing.
        unsafe { command.pre_exec(traced) };
        #[expect(clippy::zombie_processes, reason = "`run` waits for it, and for all that it starts")]
        let child = command.spawn().unwrap();
        Self {
            recorder,
            first: child.id().try_into().unwrap(),
            known: HashMap::new(),
            inside: None,
            waiting: VecDeque::new(),
        }
    }

    fn run(mut self) -> i32 {
        let mut code = None;
        loop {
            let mut status = 0;
            // SAFETY: the status is a place of ours.
            let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            if tid < 0 {
                let error = std::io::Error::last_os_error();
                if error.kind() == std::io::ErrorKind::Interrupted {
                    continue;
                }
                // Everything that was followed is gone.
                return code.unwrap_or_else(|| panic!("the command was never seen to end: {error}"));
            }
            if libc::WIFSTOPPED(status) {
                self.stopped(tid, libc::WSTOPSIG(status), status >> 16);
                continue;
            }
            if tid == self.first {
                code = Some(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) });
            }
            self.known.remove(&tid);
            self.waiting.retain(|other| *other != tid);
            if self.inside.as_ref().is_some_and(|(other, _)| *other == tid) {
                self.inside = None;
                self.next();
            }
        }
    }

    fn stopped(&mut self, tid: Tid, signal: i32, event: i32) {
        let is_new = self.known.insert(tid, ()).is_none();
        if is_new && tid == self.first {
            let options = libc::PTRACE_O_TRACESYSGOOD
                | libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACEFORK
                | libc::PTRACE_O_TRACEVFORK
                | libc::PTRACE_O_TRACEEXEC
                | libc::PTRACE_O_TRACESECCOMP
                | libc::PTRACE_O_EXITKILL;
            assert_eq!(ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options.try_into().unwrap()), 0);
            return go_on(tid, 0);
        }
        match (event, signal) {
            (libc::PTRACE_EVENT_SECCOMP, _) => {
                self.waiting.push_back(tid);
                self.next();
            }
            (0, signal) if signal == libc::SIGTRAP | 0x80 => {
                if let Some((_, call)) = self.inside.take_if(|(other, _)| *other == tid) {
                    if returned(tid) {
                        self.recorder.saw(&call);
                    }
                    go_on(tid, 0);
                    self.next();
                } else {
                    go_on(tid, 0);
                }
            }
            // A new process begins with this.
            (0, libc::SIGSTOP) if is_new => go_on(tid, 0),
            (0, signal) => go_on(tid, signal),
            _ => go_on(tid, 0),
        }
    }

    /// Lets the next one into its call, if no other is inside one.
    fn next(&mut self) {
        while self.inside.is_none() {
            let Some(tid) = self.waiting.pop_front() else { return };
            match self.call_of(tid) {
                Some(call) => {
                    self.recorder.expects(&call);
                    self.inside = Some((tid, call));
                    ptrace(libc::PTRACE_SYSCALL, tid, 0, 0);
                }
                None => go_on(tid, 0),
            }
        }
    }

    /// What it is about to do; nothing if that has nothing to do with the directory.
    fn call_of(&self, tid: Tid) -> Option<Call> {
        let info = syscall_info(tid)?;
        // SAFETY: at such a stop the kernel fills in this part of the union.
        let (nr, arguments) = unsafe { (info.u.seccomp.nr, info.u.seccomp.args) };
        let (_, does, shape) = *CALLS.iter().find(|(call, ..)| u64::try_from(*call).is_ok_and(|call| call == nr))?;
        let open = |index: usize| number(arguments[index]).map(|file| PathBuf::from(format!("/proc/{tid}/fd/{file}")));
        let at = |index: usize| name_at(tid, Some(arguments[index - 1]), arguments[index]);
        let plain = |index: usize| name_at(tid, None, arguments[index]);
        let names = match shape {
            Shape::At(index) => vec![at(index)?],
            Shape::TwoAt(one, other) => vec![at(one)?, at(other)?],
            Shape::Plain(index) => vec![plain(index)?],
            Shape::TwoPlain(one, other) => vec![plain(one)?, plain(other)?],
            Shape::Open(_) if does == Does::SyncAll => Vec::new(),
            Shape::Open(index) => {
                let path = open(index)?;
                if !self.recorder.knows(&path) {
                    return None;
                }
                return Some(match does {
                    Does::Sync => Call::Syncs(path),
                    Does::Map => Call::Maps(path),
                    Does::Make | Does::Move | Does::Change | Does::SyncAll => Call::Changes(path),
                });
            }
        };
        if does == Does::SyncAll {
            return Some(Call::SyncsAll);
        }
        let near = names.iter().any(|name| self.recorder.knows(&name.directory));
        near.then_some(Call::Names { names, makes: does == Does::Make })
    }
}

fn go_on(tid: Tid, signal: i32) {
    // It may have been killed meanwhile.
    let _ = ptrace(libc::PTRACE_CONT, tid, 0, signal.try_into().unwrap_or(0));
}

fn syscall_info(tid: Tid) -> Option<libc::ptrace_syscall_info> {
    let mut info = std::mem::MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = size_of::<libc::ptrace_syscall_info>();
    let got = ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, size, info.as_mut_ptr() as usize);
    // SAFETY: all of it was zero, which is a value of every field, and the kernel wrote over a part.
    (got > 0).then(|| unsafe { info.assume_init() })
}

/// Whether the call that just ended has done what it was asked to.
fn returned(tid: Tid) -> bool {
    // SAFETY: at such a stop the kernel fills in this part of the union.
    syscall_info(tid).is_some_and(|info| unsafe { info.u.exit.is_error } == 0)
}

/// An open file's number, or `AT_FDCWD`: the low half counts.
#[expect(clippy::cast_possible_truncation, reason = "the kernel does the same")]
fn number(argument: u64) -> Option<i32> {
    let number = argument as u32 as i32;
    (number >= 0 || number == libc::AT_FDCWD).then_some(number)
}

/// A name as this process can reach it, whatever the other one sees as its root.
fn name_at(tid: Tid, directory: Option<u64>, address: u64) -> Option<Name> {
    let path = PathBuf::from(OsString::from_vec(text_at(tid, address)?));
    let full = match directory.map(number) {
        _ if path.is_absolute() => Path::new(&format!("/proc/{tid}/root")).join(path.strip_prefix("/").ok()?),
        Some(Some(file)) if file != libc::AT_FDCWD => Path::new(&format!("/proc/{tid}/fd/{file}")).join(path),
        _ => Path::new(&format!("/proc/{tid}/cwd")).join(path),
    };
    Some(Name { directory: full.parent()?.to_owned(), name: full.file_name()?.to_owned() })
}

fn text_at(tid: Tid, mut address: u64) -> Option<Vec<u8>> {
    let memory = std::fs::File::open(format!("/proc/{tid}/mem")).ok()?;
    let mut text = Vec::new();
    while text.len() < LONGEST_PATH {
        let mut page = vec![0; usize::try_from(PAGE - address % PAGE).ok()?];
        memory.read_exact_at(&mut page, address).ok()?;
        if let Some(end) = page.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&page[..end]);
            return Some(text);
        }
        address += page.len() as u64;
        text.extend(page);
    }
    None
}
