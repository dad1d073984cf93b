//! Blocking work beside the async world: in a thread of its own, which hears that it is stopped.
//!
//! It refuses to wait long for work that does not hear: what was stopped goes on without it, and
//! the slot that it holds is nobody else's until it ends.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::attempt::Interruption;
use crate::exec::stop;
use crate::fact::{Class, Failure};
use crate::git::GitError;
use crate::text;

/// How long stopped work may take to hear it. Everything looks many times in that; one object of a
/// gigabyte does not.
const HEARS: Duration = Duration::from_secs(1);

/// What to do about work on files that takes all its time.
const ADVICE: &str = "a filter that `.gitattributes` asks for may hang: `git config --get-regexp '^filter'` shows what git \
                      runs; or give more time with `timeout`";

/// Runs blocking work that must be done whatever happens: it puts in order what others go on with,
/// or is over at once.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    outcome(tokio::task::spawn_blocking(work)).await
}

/// Runs blocking work that looks at the stop itself, and leaves nothing undone that anybody goes on
/// with then.
pub(super) async fn until<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let token = stop.clone();
    blocking(move || stop::during(token, work)).await
}

/// What ends work on files: a stop from outside, or all the time that it has.
#[derive(Clone, Copy)]
pub(super) struct WorkLimits<'a> {
    pub(super) stop: &'a CancellationToken,
    /// `None`: each call of git has its own time, and nothing else can hang.
    pub(super) timeout: Option<Duration>,
}

/// Why work on files came to no end of its own.
pub(super) enum Unfinished {
    /// It was stopped from outside.
    Stopped,
    /// It took all its time.
    OutOfTime(Failure),
    /// It failed.
    Failed(GitError),
}

impl From<Unfinished> for Interruption {
    fn from(why: Unfinished) -> Self {
        match why {
            Unfinished::Stopped => Self::Interrupted,
            Unfinished::OutOfTime(failure) => Self::Failed(failure),
            Unfinished::Failed(error) => Self::from(error),
        }
    }
}

impl From<GitError> for Unfinished {
    fn from(error: GitError) -> Self {
        if matches!(error, GitError::Stopped) {
            Self::Stopped
        } else {
            Self::Failed(error)
        }
    }
}

/// Runs blocking work on files, `what` to say of it: "laying out its files".
///
/// # Errors
/// If it was stopped, or took all its time, which is a failure of class `timeout`; and where the
/// work fails.
pub(super) async fn on_files<T: Send + 'static>(
    limits: WorkLimits<'_>,
    what: &str,
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, Unfinished> {
    let token = limits.stop.child_token();
    let in_thread = token.clone();
    let working = tokio::task::spawn_blocking(move || stop::during(in_thread, work));
    // If this future is dropped, nobody wants the work.
    let over = token.drop_guard();
    let mut done = std::pin::pin!(outcome(working));
    let out_of_time = async {
        match limits.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        done = &mut done => return Ok(done?),
        () = limits.stop.cancelled() => true,
        () = out_of_time => false,
    };
    drop(over);
    let late = async {
        if !stopped {
            // The slot may be gone on with, so nobody may be at work in it.
            limits.stop.cancelled().await;
        }
        tokio::time::sleep(HEARS).await;
    };
    let ended = tokio::select! {
        done = &mut done => done,
        () = late => return Err(Unfinished::Stopped),
    };
    match ended {
        Err(GitError::Stopped) if !stopped => {
            let most = limits.timeout.unwrap_or_default();
            let message = format!("{what} took longer than {}", text::duration(most));
            let failure = Failure {
                advice: Some(ADVICE.to_owned()),
                ..Failure::new(Class::Timeout, message)
            };
            Err(Unfinished::OutOfTime(failure))
        }
        ended => Ok(ended?),
    }
}

async fn outcome<T>(working: JoinHandle<T>) -> T {
    match working.await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
