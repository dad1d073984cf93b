//! The end of a child: told to stop, ended by force, or gone with its shepherd.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::{ChildPhase, DRAIN, MOMENT, Watch};
use crate::exec::{Child, Ended, Ending, ExecError};

impl<'a> Watch<'a> {
    pub(super) async fn stop(&mut self, why: Ending) {
        if matches!(self.phase, ChildPhase::Running) {
            self.phase = ChildPhase::Stopping(why, Instant::now() + self.patience);
            // A shepherd that does not hear it is gone, and the end of its reports will say so.
            let _ = timeout(MOMENT, self.orders.write_all(b"\n")).await;
        }
    }

    /// The shepherd did not end the child, so the kernel has to: it ends a sealed room with its
    /// shepherd. Outside of one a daemon may be left.
    pub(super) async fn end_by_force(&mut self, why: Ending) -> Result<(), ExecError> {
        let outlived = ExecError::Outlived {
            waited: self.patience,
        };
        self.process.kill();
        self.kill_group();
        self.put_away().await?;
        if !self.is_room_over().await {
            return Err(outlived);
        }
        self.phase = ChildPhase::Over {
            ending: why,
            stragglers: 0,
            until: Instant::now() + DRAIN,
        };
        Ok(())
    }

    /// Waits for the end of the shepherd, which has nothing left to do. One that was stopped is
    /// killed.
    pub(super) async fn put_away(&mut self) -> Result<(), ExecError> {
        if timeout(MOMENT, self.process.end()).await.is_ok() {
            return Ok(());
        }
        self.process.kill();
        match timeout(MOMENT, self.process.end()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(ExecError::Outlived {
                waited: self.began.elapsed(),
            }),
        }
    }

    /// Whether the child was in a sealed room, and that has come to its end.
    async fn is_room_over(&self) -> bool {
        match &self.room {
            Some(first) => timeout(MOMENT, first.end()).await.is_ok(),
            None => false,
        }
    }

    fn kill_group(&self) {
        if let Some(group) = self.leader.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }

    /// The shepherd died: the child died with it, and its group is ended here, which is all that
    /// can still be found.
    pub(super) async fn bereft(&mut self, error: io::Error) -> ExecError {
        self.kill_group();
        if let Err(outlived) = self.put_away().await {
            return outlived;
        }
        // The kernel ends a sealed room with its shepherd. Outside of one, a daemon may have left
        // the group.
        if self.confined && !self.is_room_over().await {
            return ExecError::Outlived {
                waited: self.began.elapsed(),
            };
        }
        ExecError::io(
            "keep the child's shepherd, which ended before the child",
            error,
        )
    }

    pub(super) fn finish(self, child: &Child) -> Result<Ended, ExecError> {
        let ChildPhase::Over {
            ending, stragglers, ..
        } = self.phase
        else {
            return Err(ExecError::io(
                "await the child",
                io::ErrorKind::UnexpectedEof.into(),
            ));
        };
        let captured = self.capture.finish().map_err(|error| {
            ExecError::io(format!("write the log {}", child.log.display()), error)
        })?;
        Ok(Ended {
            ending,
            duration: self.began.elapsed(),
            head: captured.head,
            tail: captured.tail,
            stderr_tail: captured.stderr_tail,
            bytes: captured.bytes,
            log_sha256: captured.log_sha256,
            containment: self.containment,
            why_not_sealed: self.why_not,
            stragglers,
        })
    }
}
