//! `omk resume`: goes on with a run that was interrupted or killed, or that was blocked from
//! outside.

use std::sync::Arc;

use super::args::Resume;
use super::needs::{self, NeedsContext};
use super::run::say_notes;
use super::session::{self, Missing, RunSession, Secrets};
use super::terminal::Terminal;
use super::{
    CommandFailure, FailureKind, Home, objects, result_branch, retry, runtime, spending, writing,
};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::fact::Fact;
use crate::history::History;
use crate::id::Sha256;
use crate::journal::{self, Journal, Line};
use crate::plan::Plan;
use crate::store::{JournalFile, RunDir};
use crate::text::Scrubber;
use crate::work::Branches;

/// A run as its journal tells it.
pub(super) struct RecordedRun {
    pub(super) engine: Engine,
    pub(super) history: History,
}

/// The plan of a run, as it was when the run began.
pub(super) fn plan_of(run_dir: &RunDir, lines: &[Line]) -> Result<Arc<Plan>, CommandFailure> {
    let bytes = run_dir.plan().map_err(super::store)?;
    let name = match lines.first() {
        Some(Line {
            fact: Fact::Began(began),
            ..
        }) if began.plan.digest != Sha256::of(&bytes) => {
            let path = run_dir.path().join("plan.yaml");
            let what = format!(
                "{} is not the plan that run {} began with",
                path.display(),
                run_dir.run()
            );
            return Err(CommandFailure::new(FailureKind::Infra, what).hint(
                "put it back as it was, or start a new run of the plan that you want: `omk run`",
            ));
        }
        Some(Line {
            fact: Fact::Began(began),
            ..
        }) => began.scope.to_string(),
        _ => {
            return Err(CommandFailure::new(
                FailureKind::Infra,
                format!("run {} has not begun: its journal is empty", run_dir.run()),
            )
            .hint("start it again with `omk run`"));
        }
    };
    let plan = crate::plan::parse(&bytes, "plan.yaml", &name)
        .map_err(|complaints| CommandFailure::rendered(FailureKind::Infra, complaints.render()))?;
    Ok(Arc::new(plan))
}

/// Folds a journal; every order is checked on the way.
pub(super) fn tell(run_dir: &RunDir, journal: &Journal) -> Result<RecordedRun, CommandFailure> {
    let plan = plan_of(run_dir, &journal.lines)?;
    let engine = journal::replay(plan, &journal.lines).map_err(|difference| {
        CommandFailure::new(
            FailureKind::NotReady,
            format!(
                "the journal of run {} does not replay: {difference}",
                run_dir.run()
            ),
        )
        .hint("it was written by another version of omk, or changed since")
    })?;
    let mut history = History::default();
    for line in &journal.lines {
        history.take(line.at, &line.fact, &line.orders);
    }
    if let Some(damage) = &journal.dropped {
        history.warnings.push(format!(
            "the end of the journal was torn and is dropped: {damage}"
        ));
    }
    Ok(RecordedRun { engine, history })
}

pub(super) fn resume(args: &Resume, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    // Read twice: the secrets go before anything else, and what is locked must be read again.
    let glance = run_dir.journal().map_err(super::store)?;
    let secrets = Secrets::shed(&*plan_of(&run_dir, &glance.lines)?)?;
    let Some(Line {
        fact: Fact::Began(began),
        ..
    }) = glance.lines.first()
    else {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            "this run has not begun",
        ));
    };
    let clock = Clock::start();
    let lock = home
        .store
        .lock(&began.scope, &session::holder(run_dir.run(), clock.now()))
        .map_err(super::store)?;
    home.repo.remove_left_locks(&began.scope);
    let (journal, mut file) = run_dir.reopen().map_err(super::store)?;
    let RecordedRun { engine, history } = tell(&run_dir, &journal)?;
    for warning in &history.warnings {
        terminal.complain(&format!("warning: {warning}\n"));
    }
    if !engine.can_go_on() && !engine.is_blocked() {
        let verdict = engine
            .verdict()
            .map_or("over", crate::fact::RunVerdict::as_str);
        if engine.is_unplaced() {
            result_branch::refuse_newer(&home.repo, began)?;
        }
        if engine.is_unplaced() || !writing::is_written(&run_dir, file.chain().head()) {
            let told = RecordedRun { engine, history };
            return finish(
                &home,
                &run_dir,
                told,
                &mut file,
                &secrets.scrubber(),
                terminal,
            );
        }
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("run {} is over: {verdict}", run_dir.run()),
        )
        .hint(format!(
            "look at it with `omk status {}`, or keep what it completed in a new run: `omk retry`",
            run_dir.run()
        )));
    }
    let clock = match engine.at() {
        Some(at) => clock.no_earlier_than(at),
        None => clock,
    };
    // First what a crash tore is set aside: the branch may be at it.
    let lost = objects::lost(&home.repo, &engine, clock.now())?;
    result_branch::refuse_newer(&home.repo, began)?;
    let began = (**began).clone();
    let (kept, kept_notes) = retry::kept_still(&home, &began, &engine)?;
    let so_far = history.spending().unwrap_or(began.spending);
    let spending = spending::over(so_far, engine.plan(), &args.how.limits)?;
    let ground = NeedsContext::of_run(&home, engine.plan(), &began.base.tree, &began.selected);
    let mut notes = needs::check_now(&ground, &session::shepherd(secrets.scrubber())?)?;
    let ready = session::get_ready(
        engine.plan(),
        &began.selected,
        &secrets,
        &args.how,
        Missing::Refuse,
    )?;
    notes.extend(kept_notes);
    notes.extend(ready.iter().flat_map(session::Ready::notes).cloned());
    say_notes(&notes, terminal);
    terminal.complain(&format!("run {}: going on\n", run_dir.run()));
    for task in &lost {
        terminal.complain(&format!(
            "warning: the change of `{task}` is gone from git's objects, or torn: it is made again\n"
        ));
    }
    let first = Fact::TookUp {
        lost,
        host: session::host(),
        workers: args.how.workers,
        spending: (spending != so_far).then_some(spending),
        unblocked: true,
    };
    let session = RunSession {
        home,
        run_dir,
        engine,
        history,
        journal: file,
        began,
        spending,
        secrets,
        ready,
        clock,
        how: args.how.clone(),
        kept,
        follower: None,
        _lock: lock,
    };
    Ok(session.go(first, terminal)?.verdict.exit_code())
}

/// Does what a run that is over still left undone: branches that were held, and what omk was killed
/// before: proofs, reports.
pub(super) fn finish(
    home: &Home,
    run_dir: &RunDir,
    told: RecordedRun,
    journal: &mut JournalFile,
    scrubber: &Scrubber,
    terminal: &Terminal,
) -> Result<u8, CommandFailure> {
    let RecordedRun {
        mut engine,
        mut history,
    } = told;
    let Some(began) = engine.began() else {
        return Ok(0);
    };
    let clock = Clock::start().no_earlier_than(engine.at().unwrap_or_default());
    let newer = result_branch::newer_run(&home.repo, began)?;
    let is_replaced = newer.is_some();
    let trouble = if let Some(newer) = newer {
        // The result went there, or was to go there, before the newer run began.
        history
            .warnings
            .extend(result_branch::replaced(began, &engine, &newer));
        None
    } else {
        let mut branches = Branches::new(home.repo.clone(), clock, began.clone());
        branches.put_all(&engine);
        let trouble = runtime::of_this_thread()?.block_on(branches.finish());
        history.warnings.extend(branches.warnings());
        history
            .warnings
            .extend(result_branch::taken_off(&home.repo, began, &engine));
        trouble
    };
    if trouble.is_some() || (engine.is_unplaced() && !is_replaced) {
        let (at, fact) = (clock.now(), Fact::Placed { trouble });
        let orders = engine.take(at, &fact).map_err(super::failure::infra)?;
        journal
            .push(at, &fact, &orders)
            .and_then(|()| journal.sync())
            .map_err(super::store)?;
        history.take(at, &fact, &orders);
    }
    writing::write(
        home,
        run_dir,
        &engine,
        &history,
        journal.chain().head(),
        scrubber,
    )?;
    if let Some(view) = result_branch::shown(&home.repo, &engine, &history, scrubber) {
        session::tell_end(run_dir, view, *terminal);
    }
    Ok(engine
        .verdict()
        .map_or(0, crate::fact::RunVerdict::exit_code))
}
