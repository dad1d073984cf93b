//! `omk resume`: goes on with a run that was interrupted or killed, or that was blocked from outside.

use std::sync::Arc;

use super::args::Resume;
use super::needs::{self, Ground};
use super::run::say_notes;
use super::session::{self, Missing, Secrets, Session};
use super::terminal::Terminal;
use super::{Failure, Home, Kind, retry, spending, writing};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::fact::Fact;
use crate::git::{Expected, Repo};
use crate::history::{History, run_branch};
use crate::id::Sha256;
use crate::journal::{self, Journal, Line};
use crate::plan::Plan;
use crate::store::RunDir;
use crate::text::Scrubber;
use crate::work::Branches;

/// A run as its journal tells it.
pub(super) struct Told {
    pub(super) engine: Engine,
    pub(super) history: History,
}

/// The plan of a run, as it was when the run began.
pub(super) fn plan_of(run_dir: &RunDir, lines: &[Line]) -> Result<Arc<Plan>, Failure> {
    let bytes = run_dir.plan().map_err(super::store)?;
    let name = match lines.first() {
        Some(Line { fact: Fact::Began(began), .. }) => began.scope.to_string(),
        _ => {
            return Err(Failure::new(
                Kind::Infra,
                format!("run {} has not begun: its journal is empty", run_dir.run()),
            )
            .hint("start it again with `omk run`"));
        }
    };
    let plan = crate::plan::parse(&bytes, "plan.yaml", &name)
        .map_err(|complaints| Failure::rendered(Kind::Infra, complaints.render()))?;
    Ok(Arc::new(plan))
}

/// Folds a journal; every order is checked on the way.
pub(super) fn tell(run_dir: &RunDir, journal: &Journal) -> Result<Told, Failure> {
    let plan = plan_of(run_dir, &journal.lines)?;
    let engine = journal::replay(plan, &journal.lines).map_err(|difference| {
        Failure::new(Kind::NotReady, format!("the journal of run {} does not replay: {difference}", run_dir.run()))
            .hint("it was written by another version of omk, or changed since")
    })?;
    let mut history = History::default();
    for line in &journal.lines {
        history.take(line.at, &line.fact, &line.orders);
    }
    if let Some(damage) = &journal.dropped {
        history.warnings.push(format!("the end of the journal was torn and is dropped: {damage}"));
    }
    Ok(Told { engine, history })
}

pub(super) fn resume(args: &Resume, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    // Read twice: the secrets go before anything else, and what is locked must be read again.
    let glance = run_dir.journal().map_err(super::store)?;
    let secrets = Secrets::shed(&*plan_of(&run_dir, &glance.lines)?)?;
    let Some(Line { fact: Fact::Began(began), .. }) = glance.lines.first() else {
        return Err(Failure::new(Kind::Usage, "this run has not begun"));
    };
    let clock = Clock::start();
    let lock = home.store.lock(&began.scope, &session::holder(run_dir.run(), clock.now())).map_err(super::store)?;
    home.repo.remove_left_locks(&began.scope);
    let (journal, file) = run_dir.reopen().map_err(super::store)?;
    let Told { engine, history } = tell(&run_dir, &journal)?;
    for warning in &history.warnings {
        terminal.complain(&format!("warning: {warning}\n"));
    }
    if !engine.can_go_on() && !engine.is_blocked() {
        let verdict = engine.verdict().map_or("over", crate::fact::RunVerdict::as_str);
        if !writing::is_written(&run_dir, file.chain().head()) {
            let told = Told { engine, history };
            return finish(&home, &run_dir, told, file.chain().head(), &secrets.scrubber(), terminal);
        }
        return Err(Failure::new(Kind::Usage, format!("run {} is over: {verdict}", run_dir.run())).hint(format!(
            "look at it with `omk status {}`, or keep what it completed in a new run: `omk retry`",
            run_dir.run()
        )));
    }
    let clock = match engine.at() {
        Some(at) => clock.no_earlier_than(at),
        None => clock,
    };
    let began = (**began).clone();
    let kept = retry::kept_still(&home, &began, engine.plan())?;
    let so_far = history.spending().unwrap_or(began.spending);
    let spending = spending::over(so_far, engine.plan(), &args.how.limits)?;
    let expected = where_the_branch_is(&home.repo, &began, &engine)?;
    let ground = Ground::of_run(&home, engine.plan(), &began.base.tree, &began.selected);
    let mut notes = needs::check_now(&ground, &session::shepherd(secrets.scrubber())?)?;
    let ready = session::get_ready(engine.plan(), &began.selected, &secrets, &args.how, Missing::Refuse)?;
    notes.extend(ready.iter().flat_map(session::Ready::notes).cloned());
    say_notes(&notes, terminal);
    terminal.complain(&format!("run {}: going on\n", run_dir.run()));
    let first = Fact::TookUp {
        host: session::host(),
        workers: args.how.workers,
        spending: (spending != so_far).then_some(spending),
        unblocked: true,
    };
    let session = Session {
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
        expected,
        _lock: lock,
    };
    Ok(session.go(first, terminal)?.verdict.exit_code())
}

/// Does what a run that is over still left undone when omk was killed: branches, proofs, reports.
pub(super) fn finish(
    home: &Home,
    run_dir: &RunDir,
    told: Told,
    journal_head: &Sha256,
    scrubber: &Scrubber,
    terminal: &Terminal,
) -> Result<u8, Failure> {
    let Told { engine, mut history } = told;
    let Some(began) = engine.began() else { return Ok(0) };
    let expected = where_the_branch_is(&home.repo, began, &engine)?;
    let clock = Clock::start();
    let mut branches = Branches::new(home.repo.clone(), clock, expected);
    history.warnings.extend(branches.put_all(&engine));
    history.branch_lost = branches.is_result_lost();
    writing::write(home, run_dir, &engine, &history, journal_head, scrubber)?;
    session::tell_end(run_dir, &engine, &history, scrubber, *terminal);
    Ok(engine.verdict().map_or(0, crate::fact::RunVerdict::exit_code))
}

/// The branch is where it was before the run, or at one of the run's own tips, of which the last may not have been reached;
/// or at its base, where all was taken out again.
fn where_the_branch_is(repo: &Repo, began: &crate::fact::Began, engine: &Engine) -> Result<Expected, Failure> {
    let name = run_branch(&began.scope);
    let Some(tip) = repo.branch_tip(&name).map_err(super::git)? else { return Ok(Expected::Absent) };
    let landed = engine.landings().any(|(_, landed)| landed.commit == tip);
    let ours = landed || began.branch_was.as_ref() == Some(&tip) || began.base.commit == tip;
    Ok(if ours { Expected::At(tip) } else { Expected::Ours })
}
