//! The async world of a command.
//!
//! It refuses to choose: a command that drives children takes many threads, one that only asks
//! takes its own.

use tokio::runtime::{Builder, Runtime};

use super::{CommandFailure, FailureKind};

/// One with a thread for each core, to drive a run or a judgement.
pub(super) fn of_all_cores() -> Result<Runtime, CommandFailure> {
    build(Builder::new_multi_thread())
}

/// One in this thread, to ask something and be done.
pub(super) fn of_this_thread() -> Result<Runtime, CommandFailure> {
    build(Builder::new_current_thread())
}

fn build(mut builder: Builder) -> Result<Runtime, CommandFailure> {
    let built = builder.enable_all().build();
    built.map_err(|error| {
        CommandFailure::new(FailureKind::Infra, format!("failed to start: {error}"))
    })
}
