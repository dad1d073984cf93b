//! `omk plan --check`: what a run would begin with, and nothing else: what it needs of this
//! machine, key, CLI and model, and the required gates on HEAD.
//!
//! It refuses to start a task, and to pay for anything.

use std::sync::Arc;

use super::args::How;
use super::judge::{Bench, gates_on, not_judged};
use super::needs::{self, NeedsContext};
use super::plan_file::{self, Read};
use super::session::{self, Missing, Secrets};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, base, run, spending};
use crate::clock::Clock;
use crate::engine::cannot_run;
use crate::fact::{Began, GateOutcome, Trigger};
use crate::id::Scope;
use crate::plan::Event;
use crate::text;
use crate::work::AfterFailure;

/// Checks, and says what every gate said; exit code 3 where a run could not start, or a gate could
/// not run.
pub(super) fn check(home: &Home, read: Read, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let secrets = Secrets::shed(&read.plan)?;
    let head = home.repo.resolve("HEAD").map_err(super::git)?;
    let began = Began {
        run: run::new_run_id(Clock::start().now()),
        scope: Scope::from(read.plan.name.clone()),
        omk: env!("CARGO_PKG_VERSION").to_owned(),
        plan: plan_file::source(&home.repo, &read)?,
        base: head.clone(),
        workers: 1,
        selected: read.plan.tasks.iter().map(|task| task.id.clone()).collect(),
        left_out: Vec::new(),
        kept: Vec::new(),
        spending: spending::planned(&read.plan),
        fail_fast: false,
        keep_going: false,
        no_reuse: false,
        preflight: true,
        trigger: Trigger {
            event: Event::Manual,
            actor: run::actor(),
            comment: None,
        },
        host: session::host(),
        branch_was: None,
    };
    let uncommitted = base::uncommitted(&home.repo.uncommitted(&read.path));
    let plan = Arc::new(read.plan);
    let mut notes = needs::check_now(
        &NeedsContext::of_plan(home, &plan, &head.tree),
        &session::shepherd(secrets.scrubber())?,
    )?;
    let how = How {
        workers: None,
        limits: Vec::new(),
        cassette: None,
        keep_going: false,
        no_reuse: true,
        json: false,
    };
    let ready = session::get_ready(&plan, &began.selected, &secrets, &how, Missing::Refuse)?;
    notes.extend(uncommitted.in_words());
    notes.extend(ready.iter().flat_map(session::Ready::notes).cloned());
    run::say_notes(&notes, terminal);
    let runtime = super::runtime::of_all_cores()?;
    // A person wants to hear of every gate.
    let after_failure = AfterFailure::GoOn;
    let bench = Bench {
        home,
        plan: &plan,
        scrubber: &secrets.scrubber(),
        after_failure,
    };
    let judged = runtime.block_on(gates_on(&bench, began, &head));
    runtime.shutdown_background();
    let outcomes = judged?.map_err(|why| not_judged("the base", &why))?;
    for outcome in &outcomes {
        terminal.print(&in_words(outcome));
    }
    if outcomes.iter().any(cannot_run) {
        return Err(CommandFailure::new(
            FailureKind::Blocked,
            "a gate cannot run here, so no prompt that needs it would start",
        )
        .hint("install what it needs, or have the gate install it: a slot holds what is committed")
        .hint("if a task is to make it, write `preflight: false` in the plan"));
    }
    terminal.print("a run can start\n");
    Ok(0)
}

fn in_words(outcome: &GateOutcome) -> String {
    let took = text::duration(std::time::Duration::from_millis(outcome.duration_ms));
    let exit = outcome
        .exit
        .filter(|_| !outcome.counts_as_passed)
        .map(|code| format!(" (exit {code})"));
    let log = outcome
        .log
        .as_ref()
        .filter(|_| !outcome.counts_as_passed)
        .map(|log| log.head.trim())
        .unwrap_or_default();
    let said = text::clip(log.lines().last().unwrap_or_default(), 300);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    let (gate, verdict) = (&outcome.gate, outcome.verdict.as_str());
    format!(
        "gate {gate} on HEAD: {verdict}{} in {took}{said}\n",
        exit.unwrap_or_default()
    )
}
