//! omk's side of a child: starts the shepherd, reads the output, keeps the deadline and the idle
//! clock.
//!
//! It refuses to signal anything itself while the shepherd works: it only says *stop*. A shepherd
//! that does not hear it, and one that does not end, is killed, so that every wait here has an end.

mod ending;
mod idleness;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedWriteHalf, pipe};
use tokio::time::{Instant, timeout};

use super::capture::Capture;
use super::descriptor::Incoming;
use super::orders::{ChildStatus, Orders, ShepherdReport, line};
use super::process::Process;
use super::start::{Keeper, Started, start};
use super::{Child, Ended, Ending, ExecError, Shepherd, Surroundings};
use crate::fact::Containment;
use crate::plan::RoomLevel;
use idleness::{Idle, after};

/// What is read at once: a pipe's whole content.
const CHUNK: usize = 64 * 1024;

/// How long output is awaited once everybody is gone: a pipe that is still open then was given to a
/// stranger.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a shepherd may take for what takes it no time: to read an order, and to end after its
/// last line. One that takes longer was stopped, by a person or by the machine.
const MOMENT: Duration = Duration::from_secs(5);

/// Runs `child` under a process of its own of that shepherd.
pub(super) async fn run(
    shepherd: &Shepherd,
    child: &Child,
    around: &Surroundings,
) -> Result<Ended, ExecError> {
    let capture = Capture::create(
        &child.log,
        child.log_cap,
        &shepherd.scrubber,
        around.stdout_lines.clone(),
    )
    .map_err(|error| ExecError::io(format!("write the log {}", child.log.display()), error))?;
    let mut watch = Watch::start(shepherd, child, around, capture).await?;
    watch.await_end().await?;
    watch.finish(child)
}

struct Watch<'a> {
    process: Keeper,
    orders: OwnedWriteHalf,
    reports: Incoming,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    capture: Capture,
    around: &'a Surroundings,
    patience: Duration,
    /// It was to work in a room.
    confined: bool,
    began: Instant,
    deadline: Instant,
    idle: Option<Idle>,
    leader: Option<i32>,
    /// The first process of its sealed room, which ends with that.
    room: Option<Process>,
    containment: Containment,
    why_not: Option<String>,
    phase: ChildPhase,
}

/// Where the child is in its life.
enum ChildPhase {
    /// It runs.
    Running,
    /// It was told to stop for that reason, and must be gone at that time.
    Stopping(Ending, Instant),
    /// It is gone, and what is left in the pipes is awaited until that time.
    Over {
        ending: Ending,
        stragglers: u32,
        until: Instant,
    },
}

/// What happened next.
enum WatchEvent {
    Stdout(io::Result<usize>),
    Stderr(io::Result<usize>),
    Report(io::Result<Option<Vec<u8>>>),
    StopAsked,
    Alarm,
}

impl<'a> Watch<'a> {
    async fn start(
        shepherd: &Shepherd,
        child: &Child,
        around: &'a Surroundings,
        capture: Capture,
    ) -> Result<Self, ExecError> {
        let failed = |error| {
            ExecError::io(
                format!("start a shepherd, {}", shepherd.exe.display()),
                error,
            )
        };
        let mut orders = Orders::of(child, shepherd.at_most, shepherd.open_files);
        if let Some(room) = orders
            .room
            .as_mut()
            .filter(|room| room.most == RoomLevel::Sealed)
        {
            room.hidden.extend(
                shepherd
                    .reserved
                    .get_or_init(super::reserved::reserved)
                    .iter()
                    .cloned(),
            );
        }
        let Started {
            mut process,
            socket,
            stdout,
            stderr,
        } = start(shepherd).await.map_err(failed)?;
        let (from, mut to) = socket.into_split();
        // The orders may be longer than the socket holds. A shepherd that does not read them has
        // started nobody.
        let told = timeout(
            shepherd.patience,
            to.write_all(&line(&orders).map_err(failed)?),
        )
        .await;
        if !matches!(told, Ok(Ok(()))) {
            process.kill();
        }
        told.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        let began = Instant::now();
        Ok(Self {
            stdout: Some(stdout),
            stderr: Some(stderr),
            process,
            orders: to,
            reports: Incoming::new(from),
            capture,
            around,
            patience: shepherd.patience,
            confined: child.room.is_some(),
            began,
            deadline: after(began, child.timeout),
            idle: child.idle_timeout.map(|limit| Idle {
                limit,
                alarm: after(began, limit),
                pulse: around.pulse.count(),
            }),
            leader: None,
            room: None,
            containment: Containment::default(),
            why_not: None,
            phase: ChildPhase::Running,
        })
    }

    /// Returns when the child is over and its output read.
    async fn await_end(&mut self) -> Result<(), ExecError> {
        let mut out = vec![0; CHUNK];
        let mut err = vec![0; CHUNK];
        loop {
            let over = matches!(self.phase, ChildPhase::Over { .. });
            if over && self.stdout.is_none() && self.stderr.is_none() {
                return Ok(());
            }
            let running = matches!(self.phase, ChildPhase::Running);
            let alarm = self.alarm();
            let seen = tokio::select! {
                read = read(&mut self.stdout, &mut out), if self.stdout.is_some() => WatchEvent::Stdout(read),
                read = read(&mut self.stderr, &mut err), if self.stderr.is_some() => WatchEvent::Stderr(read),
                report = self.reports.next_line(), if !over => WatchEvent::Report(report),
                () = self.around.stop.cancelled(), if running => WatchEvent::StopAsked,
                () = tokio::time::sleep_until(alarm) => WatchEvent::Alarm,
            };
            match seen {
                WatchEvent::Stdout(Ok(length @ 1..)) => {
                    self.capture.stdout(&out[..length]);
                    self.heard_something().await;
                }
                WatchEvent::Stderr(Ok(length @ 1..)) => {
                    self.capture.stderr(&err[..length]);
                    self.heard_something().await;
                }
                WatchEvent::Stdout(Ok(0) | Err(_)) => self.stdout = None,
                WatchEvent::Stderr(Ok(0) | Err(_)) => self.stderr = None,
                WatchEvent::Report(report) => self.heed(report).await?,
                WatchEvent::StopAsked => self.stop(Ending::Stopped).await,
                WatchEvent::Alarm => {
                    if self.rang().await? == Rang::Last {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The next time at which something must happen by itself.
    fn alarm(&self) -> Instant {
        match &self.phase {
            ChildPhase::Running => self
                .idle
                .as_ref()
                .map_or(self.deadline, |idle| self.deadline.min(idle.alarm)),
            ChildPhase::Stopping(_, until) | ChildPhase::Over { until, .. } => *until,
        }
    }

    async fn rang(&mut self) -> Result<Rang, ExecError> {
        match &self.phase {
            ChildPhase::Running if Instant::now() >= self.deadline => {
                self.stop(Ending::TimedOut).await
            }
            ChildPhase::Running => {
                if self
                    .idle
                    .as_mut()
                    .is_some_and(|idle| idle.is_hung(self.around.pulse.count()))
                {
                    self.stop(Ending::Hung).await;
                }
            }
            ChildPhase::Stopping(why, _) => {
                let why = why.clone();
                self.end_by_force(why).await?;
            }
            ChildPhase::Over { .. } => return Ok(Rang::Last),
        }
        Ok(Rang::Once)
    }

    async fn heard_something(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.wind(self.around.pulse.count());
        }
        if self.capture.has_failed() {
            self.stop(Ending::Stopped).await;
        }
    }

    async fn heed(&mut self, report: io::Result<Option<Vec<u8>>>) -> Result<(), ExecError> {
        let report =
            match report.map(|line| line.and_then(|line| serde_json::from_slice(&line).ok())) {
                Ok(Some(report)) => report,
                Ok(None) => return Err(self.bereft(io::ErrorKind::UnexpectedEof.into()).await),
                Err(error) => return Err(self.bereft(error).await),
            };
        match report {
            ShepherdReport::Failed { what, errno } => {
                self.put_away().await?;
                let source = errno.map_or_else(
                    || io::ErrorKind::InvalidInput.into(),
                    io::Error::from_raw_os_error,
                );
                return Err(ExecError::io(what, source));
            }
            ShepherdReport::Refused { least, why } => {
                self.put_away().await?;
                return Err(ExecError::Room { least, why });
            }
            ShepherdReport::Room { first } => self.room = Process::of(first),
            ShepherdReport::Born { pid } => self.leader = Some(pid),
            ShepherdReport::Door {} => {
                let door = self.reports.next_file().map(std::net::TcpListener::from);
                if let (Some(door), Some(doors)) = (door, &self.around.doors) {
                    let _ = doors.send(door);
                }
            }
            ShepherdReport::Started {
                level,
                why_not,
                subreaper,
            } => {
                let why_not_sealed = why_not.clone().filter(|_| level < RoomLevel::Sealed);
                self.containment = Containment {
                    level,
                    subreaper,
                    why_not: why_not_sealed,
                };
                self.why_not = why_not;
            }
            ShepherdReport::Over {
                complete: false, ..
            } if self.containment.subreaper => {
                // It could find the descendants at first, and then no more.
                return Err(ExecError::Outlived {
                    waited: self.began.elapsed(),
                });
            }
            ShepherdReport::Over {
                status,
                ordered,
                stragglers,
                complete,
            } => {
                self.containment.subreaper &= complete;
                let running = std::mem::replace(&mut self.phase, ChildPhase::Running);
                let ending = match (running, ordered, status) {
                    (ChildPhase::Stopping(why, _), true, _) => why,
                    (_, _, ChildStatus::Exited(code)) => Ending::Exited(code),
                    (_, _, ChildStatus::Signalled(signal)) => Ending::Signalled(signal),
                };
                self.phase = ChildPhase::Over {
                    ending,
                    stragglers,
                    until: Instant::now() + DRAIN,
                };
                // It leaves no zombie.
                self.put_away().await?;
            }
        }
        Ok(())
    }
}

/// Whether to go on after an alarm.
#[derive(PartialEq, Eq)]
enum Rang {
    Once,
    Last,
}

async fn read(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(into).await,
        None => Ok(0),
    }
}
