//! The calls that a confined child may not make, as a filter in the kernel.
//!
//! Landlock leaves some doors open: a child could lower the limits of omk or its shepherd, which
//! makes them blind, or make a device node. The filter shuts those, and interfaces with a long
//! history of holes that no build needs. It refuses to filter by path, which a filter cannot see.
//! Tracing is left to Landlock, which allows it below the child only: leak checkers of C and C++
//! trace themselves.

mod rules;

use std::io;

use rules::{REFUSED, REFUSED_OFFLINE, RefusedCall, Test};

/// Loads a word of what is known about the call.
const LOAD: u16 = 0x20;
/// Goes on by whether the loaded word equals a number.
const EQUAL: u16 = 0x15;
/// Goes on by whether the loaded word is at least a number.
const AT_LEAST: u16 = 0x35;
/// Keeps some bits of the loaded word.
const AND: u16 = 0x54;
/// Ends the filter with a decision.
const RETURN: u16 = 0x06;

/// Where the call's number, its architecture and its first argument stand.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The architecture that this binary was built for. A filter knows calls by number, which means
/// another call elsewhere.
#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xC000_00B7;

/// From here on, numbers on x86-64 are those of its 32-bit variant, which would go around the list.
const OTHER_NUMBERS: u32 = 0x4000_0000;

/// A filter that is ready to be put in force.
pub(super) struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// The filter for a child, whose network is `closed` by nothing but it and Landlock.
    pub(super) fn new(closed: bool) -> Self {
        let mut steps = vec![
            load(ARCHITECTURE),
            jump(EQUAL, OURS, 1, 0),
            end(libc::SECCOMP_RET_KILL_PROCESS),
            load(NUMBER),
        ];
        if cfg!(target_arch = "x86_64") {
            steps.extend([jump(AT_LEAST, OTHER_NUMBERS, 0, 1), refuse(libc::ENOSYS)]);
        }
        let more = if closed { REFUSED_OFFLINE } else { &[] };
        for refused in more.iter().chain(REFUSED) {
            let body = body(refused);
            let Ok(length) = u8::try_from(body.len()) else {
                continue;
            };
            let number = u32::try_from(refused.call).unwrap_or(u32::MAX);
            steps.push(jump(EQUAL, number, 0, length));
            steps.extend(body);
        }
        steps.push(end(libc::SECCOMP_RET_ALLOW));
        Self(steps)
    }

    /// Puts it in force for this process and all that it will start. New privileges must have been
    /// forgone.
    ///
    /// # Errors
    /// Where the kernel has no filters.
    pub(super) fn enforce(&mut self) -> io::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog {
            len: length,
            filter: self.0.as_mut_ptr(),
        };
        // SAFETY: the program points at steps that live longer than the call, which copies them.
        let done = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                std::ptr::from_ref(&program),
                0,
                0,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// What is done once the call's number was found.
fn body(refused: &RefusedCall) -> Vec<libc::sock_filter> {
    if refused.tests.is_empty() {
        return vec![refuse(refused.errno)];
    }
    let mut steps = Vec::new();
    for test in refused.tests {
        match *test {
            Test::Is {
                argument,
                mask,
                value,
            } => {
                steps.extend([
                    load(ARGUMENTS + 8 * argument),
                    step(AND, mask),
                    jump(EQUAL, value, 0, 1),
                ]);
            }
            Test::OtherThanTcp { family } => {
                // From here to the end of this test there are eight steps more.
                steps.extend([load(ARGUMENTS), jump(EQUAL, family.unsigned_abs(), 0, 8)]);
                // A stream, whatever flags stand beside it, of no protocol or of TCP's.
                steps.extend([
                    load(ARGUMENTS + 8),
                    step(AND, 0xf),
                    jump(EQUAL, libc::SOCK_STREAM.unsigned_abs(), 1, 0),
                ]);
                steps.push(refuse(refused.errno));
                steps.extend([load(ARGUMENTS + 16), jump(EQUAL, 0, 2, 0)]);
                steps.push(jump(EQUAL, libc::IPPROTO_TCP.unsigned_abs(), 1, 0));
            }
            Test::OtherRequest { kinds, requests } => {
                let (kinds, requests) = (
                    kinds.iter().map(|kind| (0xFF00, *kind)),
                    requests.iter().map(|one| (u32::MAX, *one)),
                );
                let known: Vec<(u32, u32)> = kinds.chain(requests).collect();
                for (mask, value) in known {
                    steps.extend([
                        load(ARGUMENTS + 8),
                        step(AND, mask),
                        jump(EQUAL, value, 0, 1),
                    ]);
                    steps.push(end(libc::SECCOMP_RET_ALLOW));
                }
            }
            Test::NotZero { argument } => {
                steps.extend([load(ARGUMENTS + 8 * argument), jump(EQUAL, 0, 1, 0)])
            }
        }
        steps.push(refuse(refused.errno));
    }
    steps.push(end(libc::SECCOMP_RET_ALLOW));
    steps
}

fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn load(at: u32) -> libc::sock_filter {
    step(LOAD, at)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn end(decision: u32) -> libc::sock_filter {
    step(RETURN, decision)
}

fn refuse(errno: i32) -> libc::sock_filter {
    end(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}
