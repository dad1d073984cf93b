//! Runs a command and follows what it and its children do to the files below one directory, in one
//! exact order.
//!
//! It stops every process at the calls that change files, lets one of them through at a time, and
//! looks at the directory after each. So it needs no room for data in what it notes of a call, and
//! no kernel but a plain one. It refuses to judge what it saw: see `recorder`.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::calls::{CALLS, Does, Shape, filter};
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

/// Runs the command to its end, and has `recorder` see every change. Its exit code. If `fails` is
/// given, the disk refuses the sync of that number.
pub(super) fn follow(command: Command, recorder: &mut Recorder, fails: Option<usize>) -> i32 {
    // Only the thread that started a process may follow it, and it must wait for nobody else's.
    std::thread::scope(|scope| {
        let tracer = scope.spawn(|| {
            Tracer {
                fails,
                ..Tracer::start(command, recorder)
            }
            .run()
        });
        tracer.join().unwrap()
    })
}

struct Tracer<'r> {
    recorder: &'r mut Recorder,
    first: Tid,
    /// Processes and threads that were seen to stop once.
    known: HashMap<Tid, ()>,
    /// The one that is inside a call, and which.
    inside: Option<(Tid, Call)>,
    waiting: VecDeque<Tid>,
    /// How many syncs are still to be made before the one that fails.
    fails: Option<usize>,
    /// The call under way is not made.
    refused: bool,
}

fn ptrace(request: libc::c_uint, tid: Tid, address: usize, data: usize) -> libc::c_long {
    // SAFETY: the requests made here take numbers, or a place in this process that is as large as
    // they say.
    unsafe { libc::ptrace(request, tid, address, data) }
}

impl<'r> Tracer<'r> {
    fn start(mut command: Command, recorder: &'r mut Recorder) -> Self {
        let filter = filter();
        let traced = move || {
            let program = libc::sock_fprog {
                len: u16::try_from(filter.len()).unwrap(),
                filter: filter.as_ptr().cast_mut(),
            };
            let all = [
                ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                // SAFETY: numbers only.
                unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into(),
                // SAFETY: the kernel copies the filter, which is whole and lives until then.
                unsafe {
                    libc::prctl(
                        libc::PR_SET_SECCOMP,
                        libc::SECCOMP_MODE_FILTER,
                        &raw const program,
                    )
                }
                .into(),
            ];
            if all.contains(&-1) {
                Err(std::io::Error::last_os_error())
            } else {
                Ok(())
            }
        };
        // SAFETY: it makes three calls, and allocates nothing.
        unsafe { command.pre_exec(traced) };
        #[expect(
            clippy::zombie_processes,
            reason = "`run` waits for it, and for all that it starts"
        )]
        let child = command.spawn().unwrap();
        Self {
            recorder,
            first: child.id().try_into().unwrap(),
            known: HashMap::new(),
            inside: None,
            waiting: VecDeque::new(),
            fails: None,
            refused: false,
        }
    }

    fn run(mut self) -> i32 {
        let mut code = None;
        loop {
            let mut status = 0;
            // SAFETY: the status is a place of ours.
            let tid =
                unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            if tid < 0 {
                let error = std::io::Error::last_os_error();
                if error.kind() == std::io::ErrorKind::Interrupted {
                    continue;
                }
                // Everything that was followed is gone.
                return code
                    .unwrap_or_else(|| panic!("the command was never seen to end: {error}"));
            }
            if libc::WIFSTOPPED(status) {
                self.stopped(tid, libc::WSTOPSIG(status), status >> 16);
                continue;
            }
            if tid == self.first {
                code = Some(if libc::WIFEXITED(status) {
                    libc::WEXITSTATUS(status)
                } else {
                    -libc::WTERMSIG(status)
                });
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
            assert_eq!(
                ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options.try_into().unwrap()),
                0
            );
            return go_on(tid, 0);
        }
        match (event, signal) {
            (libc::PTRACE_EVENT_SECCOMP, _) => {
                self.waiting.push_back(tid);
                self.next();
            }
            (0, signal) if signal == libc::SIGTRAP | 0x80 => {
                if let Some((_, call)) = self.inside.take_if(|(other, _)| *other == tid) {
                    if std::mem::take(&mut self.refused) {
                        registers::answer(tid, libc::EIO);
                        self.recorder.saw_refusal = true;
                    } else if returned(tid) {
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
            let Some(tid) = self.waiting.pop_front() else {
                return;
            };
            match self.call_of(tid) {
                Some(call) => {
                    self.recorder.expects(&call);
                    if matches!(call, Call::Syncs(_) | Call::SyncsAll) {
                        self.refused = self.fails == Some(0);
                        self.fails = self.fails.and_then(|left| left.checked_sub(1));
                    }
                    if self.refused {
                        registers::skip(tid);
                    }
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
        let (_, does, shape) = *CALLS
            .iter()
            .find(|(call, ..)| u64::try_from(*call).is_ok_and(|call| call == nr))?;
        let open = |index: usize| {
            number(arguments[index]).map(|file| PathBuf::from(format!("/proc/{tid}/fd/{file}")))
        };
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
        let near = names
            .iter()
            .any(|name| self.recorder.knows(&name.directory));
        near.then_some(Call::Names {
            names,
            makes: does == Does::Make,
        })
    }
}

/// How a call is not made, and answered with an error: the one part of this that differs between
/// machines.
#[cfg(target_arch = "x86_64")]
mod registers {
    use super::{Tid, ptrace};

    fn set(tid: Tid, register: libc::c_int, value: i64) {
        let place = usize::try_from(register).unwrap() * size_of::<u64>();
        assert_eq!(
            ptrace(
                libc::PTRACE_POKEUSER,
                tid,
                place,
                value.cast_unsigned().try_into().unwrap()
            ),
            0
        );
    }

    pub(super) fn skip(tid: Tid) {
        set(tid, libc::ORIG_RAX, -1);
    }

    pub(super) fn answer(tid: Tid, error: i32) {
        set(tid, libc::RAX, -i64::from(error));
    }
}

#[cfg(target_arch = "aarch64")]
mod registers {
    use super::{Tid, ptrace};

    fn set(tid: Tid, kind: usize, value: &mut [u8]) {
        let place = libc::iovec {
            iov_base: value.as_mut_ptr().cast(),
            iov_len: value.len(),
        };
        assert_eq!(
            ptrace(libc::PTRACE_SETREGSET, tid, kind, &raw const place as usize),
            0
        );
    }

    pub(super) fn skip(tid: Tid) {
        // NT_ARM_SYSTEM_CALL
        set(tid, 0x404, &mut (-1i32).to_ne_bytes());
    }

    pub(super) fn answer(tid: Tid, error: i32) {
        // NT_PRSTATUS, of which the first register is the answer.
        set(tid, 1, &mut (-i64::from(error)).to_ne_bytes());
    }
}

fn go_on(tid: Tid, signal: i32) {
    // It may have been killed meanwhile.
    let _ = ptrace(libc::PTRACE_CONT, tid, 0, signal.try_into().unwrap_or(0));
}

fn syscall_info(tid: Tid) -> Option<libc::ptrace_syscall_info> {
    let mut info = std::mem::MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = size_of::<libc::ptrace_syscall_info>();
    let got = ptrace(
        libc::PTRACE_GET_SYSCALL_INFO,
        tid,
        size,
        info.as_mut_ptr() as usize,
    );
    // SAFETY: all of it was zero, which is a value of every field, and the kernel wrote over a
    // part.
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
        _ if path.is_absolute() => {
            Path::new(&format!("/proc/{tid}/root")).join(path.strip_prefix("/").ok()?)
        }
        Some(Some(file)) if file != libc::AT_FDCWD => {
            Path::new(&format!("/proc/{tid}/fd/{file}")).join(path)
        }
        _ => Path::new(&format!("/proc/{tid}/cwd")).join(path),
    };
    Some(Name {
        directory: full.parent()?.to_owned(),
        name: full.file_name()?.to_owned(),
    })
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
