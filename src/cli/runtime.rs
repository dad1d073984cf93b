//! The async world of a command.
//!
//! It refuses to choose: a command that drives children takes many threads, one that only asks
//! takes its own.

use tokio::runtime::{Builder, Runtime};

use super::{Failure, Kind};

/// One with a thread for each core, to drive a run or a judgement.
pub(super) fn of_all_cores() -> Result<Runtime, Failure> {
    build(Builder::new_multi_thread())
}

/// One in this thread, to ask something and be done.
pub(super) fn of_this_thread() -> Result<Runtime, Failure> {
    build(Builder::new_current_thread())
}

fn build(mut builder: Builder) -> Result<Runtime, Failure> {
    let built = builder.enable_all().build();
    built.map_err(|error| Failure::new(Kind::Infra, format!("failed to start: {error}")))
}
