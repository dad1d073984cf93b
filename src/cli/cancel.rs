//! `omk cancel`: ends a run, or some tasks of it, for good.

use std::path::Path;

use super::args::Cancel;
use super::resume::{RecordedRun, finish, tell};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, session};
use crate::clock::Clock;
use crate::fact::Fact;
use crate::id::TaskId;
use crate::journal::Line;
use crate::plain_file;
use crate::store::{RunDir, ScopeHolder};
use crate::text::{self, Scrubber};

pub(super) fn cancel(args: &Cancel, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    let journal = run_dir.journal().map_err(super::store)?;
    let RecordedRun { engine, .. } = tell(&run_dir, &journal)?;
    let tasks = named(&args.tasks, &engine)?;
    if !engine.can_go_on() {
        let verdict = engine
            .verdict()
            .map_or("over", crate::fact::RunVerdict::as_str);
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("run {} is over: {verdict}", run_dir.run()),
        ));
    }
    let Some(Line {
        fact: Fact::Began(began),
        ..
    }) = journal.lines.first()
    else {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            "this run has not begun",
        ));
    };
    if let Some(holder) = home.store.holder(&began.scope).map_err(super::store)?
        && holder.run == *run_dir.run()
    {
        ring(&run_dir, &holder, &tasks)?;
        terminal.print(&format!(
            "asked process {} to cancel {}\n",
            holder.pid,
            in_words(&tasks)
        ));
        return Ok(0);
    }
    let clock = Clock::start();
    let _lock = home
        .store
        .lock(&began.scope, &session::holder(run_dir.run(), clock.now()))
        .map_err(super::store)?;
    let (journal, mut file) = run_dir.reopen().map_err(super::store)?;
    let RecordedRun {
        mut engine,
        mut history,
    } = tell(&run_dir, &journal)?;
    let clock = engine.at().map_or(clock, |at| clock.no_earlier_than(at));
    // A task alone is cancelled in a run that is at rest: who died in it has been counted, and
    // nothing is ordered.
    let at_rest = [
        Fact::TookUp {
            host: session::host(),
            workers: None,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        },
        Fact::Stopped {
            signal: "omk cancel".to_owned(),
        },
    ];
    let rest = if tasks.is_empty() || engine.verdict().is_some() {
        &[][..]
    } else {
        &at_rest
    };
    for fact in rest.iter().chain([&Fact::Cancelled {
        tasks: tasks.clone(),
    }]) {
        let at = clock.now();
        let orders = engine.take(at, fact).map_err(super::failure::infra)?;
        file.push(at, fact, &orders).map_err(super::store)?;
        history.take(at, fact, &orders);
    }
    file.sync().map_err(super::store)?;
    terminal.print(&format!("cancelled {}\n", in_words(&tasks)));
    if engine.can_go_on() {
        return Ok(0);
    }
    finish(
        &home,
        &run_dir,
        RecordedRun { engine, history },
        &mut file,
        &Scrubber::default(),
        terminal,
    )?;
    Ok(0)
}

fn named(names: &[String], engine: &crate::engine::Engine) -> Result<Vec<TaskId>, CommandFailure> {
    let one = |name: &String| {
        let id: Option<TaskId> = name.parse().ok();
        id.filter(|id| engine.task(id).is_some()).ok_or_else(|| {
            CommandFailure::new(
                FailureKind::Usage,
                format!("there is no task `{name}` in this run"),
            )
            .hint("`omk status` lists them")
        })
    };
    names.iter().map(one).collect()
}

fn in_words(tasks: &[TaskId]) -> String {
    match tasks {
        [] => "the run".to_owned(),
        [one] => format!("task {one}"),
        many => text::plural(many.len(), "task"),
    }
}

/// Leaves a request where the running omk looks for it, and rings.
fn ring(run_dir: &RunDir, holder: &ScopeHolder, tasks: &[TaskId]) -> Result<(), CommandFailure> {
    let here = session::host();
    if holder.host != here.name {
        return Err(CommandFailure::new(
            FailureKind::Blocked,
            format!(
                "the run is held on {}, and this is {}",
                holder.host, here.name
            ),
        )
        .hint("cancel it there"));
    }
    let bytes = serde_json::to_vec(tasks).map_err(super::failure::infra)?;
    run_dir
        .write(&format!("cancel/{}.json", std::process::id()), &bytes)
        .map_err(super::store)?;
    let pid = i32::try_from(holder.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let rung = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::USR1));
    match rung {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(CommandFailure::new(
            FailureKind::Infra,
            format!("failed to reach process {}: {error}", holder.pid),
        )),
        None => Err(CommandFailure::new(
            FailureKind::Infra,
            format!("failed to reach process {}", holder.pid),
        )),
    }
}

/// The largest request that is read, in bytes: a name of every task of the largest plan.
const REQUEST: u64 = 1 << 20;

/// The requests that were left for this run; each is taken once.
pub(super) fn take_requests(run_dir: &RunDir) -> Vec<Vec<TaskId>> {
    let directory = run_dir.path().join("cancel");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| take_request(&entry.path()))
        .collect()
}

fn take_request(path: &Path) -> Option<Vec<TaskId>> {
    let bytes = plain_file::read(path, REQUEST).ok()?;
    std::fs::remove_file(path).ok()?;
    serde_json::from_slice(&bytes).ok()
}
