//! `omk ci`: what the action runs. It reads the event, and hands it to the stage whose turn it is.
//!
//! Each stage is a file. It refuses to decide here: who may do what on which commit with which plan is `gate`'s, and
//! no later stage asks again.

mod answer;
mod closed;
mod conversation;
mod desk;
mod event;
mod gate;
mod inputs;
mod outputs;
mod plan_check;
mod plans;
mod runner;
mod start;

pub(in crate::cli) use gate::{Decision, announce, decide};
pub(in crate::cli) use inputs::{Inputs, RunArgs, Speaker, Stage, Upload};
pub(in crate::cli) use outputs::{Level, Outputs, Spot};
pub(in crate::cli) use plans::read_for;
pub(in crate::cli) use runner::{EventName, Machine, Runner, forge};

use tokio::runtime::Runtime;

use super::terminal::Terminal;
use super::{Failure, Kind};

/// The step of a job that this process is, with what every stage needs.
pub(in crate::cli) struct Step {
    /// What it was started with.
    pub(in crate::cli) runner: Runner,
    /// Where it prints.
    pub(in crate::cli) terminal: Terminal,
    /// What it tells its runner.
    pub(in crate::cli) outputs: Outputs,
    runtime: Runtime,
}

impl Step {
    /// Waits for `future`. All that a step waits for shares one runtime, so a client of the forge may be kept.
    pub(in crate::cli) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// Does what the step is to do, by its inputs and the event; the exit code.
pub(super) fn ci(terminal: &Terminal) -> Result<u8, Failure> {
    // Before any thread: secrets leave the environment.
    let runner = Runner::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Infra, format!("failed to start: {error}")))?;
    let outputs = Outputs::new(runner.output.clone(), runner.summary.clone(), *terminal);
    let step = Step { runner, terminal: *terminal, outputs, runtime };
    let code = dispatch(&step);
    step.outputs.finish();
    // Nothing that is still under way is waited for: a step must be gone within seconds.
    step.runtime.shutdown_background();
    code
}

fn dispatch(step: &Step) -> Result<u8, Failure> {
    match step.runner.inputs.stage {
        Stage::Whole => by_event(step),
        Stage::Gate => gate::gate(step),
        Stage::Run => not_built("run"),
        Stage::Judge => not_built("judge"),
        Stage::Publish => not_built("publish"),
    }
}

/// Everything in one job.
fn by_event(step: &Step) -> Result<u8, Failure> {
    match &step.runner.event {
        EventName::IssueComment | EventName::Schedule | EventName::WorkflowDispatch => not_built("one job"),
        EventName::PullRequest | EventName::PullRequestTarget | EventName::Other(_) => gate::gate(step),
    }
}

fn not_built(stage: &str) -> Result<u8, Failure> {
    Err(Failure::new(Kind::Usage, format!("the stage `{stage}` of `omk ci` is not there yet")))
}
