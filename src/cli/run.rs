//! `omk run`: from a plan to proven commits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use tokio::sync::watch;

use super::args::{How, Run};
use super::needs::{self, NeedsContext};
use super::result_branch::{self, look_at_branches};
use super::session::{self, FinishedRun, Missing, RunSession, Secrets};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, plan_file, spending};
use crate::bundle::Upload;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::exec::environment::Caller;
use crate::fact::{Began, Fact, Order, PlanSource, RunVerdict, Spending, Trigger};
use crate::glob::Glob;
use crate::history::{History, run_branch};
use crate::id::{Moment, RepoPath, RunId, Scope, Sha256, TaskId, Tip, TreeId};
use crate::journal;
use crate::plan::{Event, Plan, Task, Work, did_you_mean, nearest};
use crate::report::View;
use crate::text;
use crate::work::EarlierChange;

/// How an id begins: with the UTC second, so that ids sort by time.
const STAMP: &str = "%Y%m%dt%H%M%Sz";

/// After the second and its milliseconds, so many hex digits of chance: two runs of one millisecond
/// differ.
const CHANCE: usize = 3;

pub(super) fn run(args: &Run, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    if let Some(dir) = &args.bundle {
        // Before anything is paid for.
        super::writing::may_bundle(dir)?;
    }
    let read = plan_file::read(&home, &args.plan)?;
    let secrets = Secrets::shed(&read.plan)?;
    let clock = Clock::start();
    let base = home.repo.resolve(&args.base).map_err(super::git)?;
    let scope = Scope::from(read.plan.name.clone());
    let mut changed = || {
        last_ready_base(&home, &scope).map(|last| last.and_then(|last| since(&home, &last, &base)))
    };
    let selection = select(&read.plan, &args.tasks, Event::Manual, &mut changed)?;
    let source = plan_file::source(&home.repo, &read)?;
    let wanted = PlannedRun {
        run: next_run_id(&home, clock.now())?,
        scope,
        plan: Arc::new(read.plan),
        bytes: read.bytes,
        source,
        base,
        selection,
        trigger: Trigger {
            event: Event::Manual,
            actor: actor(),
            comment: None,
        },
        secrets,
        fail_fast: args.fail_fast,
        force: args.force,
        yes: args.yes,
        how: args.how.clone(),
        missing: Missing::Refuse,
        kept: HashMap::new(),
        follower: None,
        home,
    };
    let over = wanted.go(clock, terminal)?;
    if let Some(dir) = &args.bundle {
        for why in super::writing::bundle(&over, dir, Upload::State)?.left_out {
            terminal.complain(&format!("warning: {why}\n"));
        }
        terminal.print(&format!("  bundle   {}\n", dir.display()));
    }
    Ok(over.verdict.exit_code())
}

/// A run that is to be, by a person or by a forge.
pub(super) struct PlannedRun {
    pub(super) home: Home,
    pub(super) run: RunId,
    pub(super) scope: Scope,
    pub(super) plan: Arc<Plan>,
    /// What the plan was read from, or stands for it where it was put together.
    pub(super) bytes: Vec<u8>,
    pub(super) source: PlanSource,
    pub(super) base: Tip,
    pub(super) selection: Selection,
    pub(super) trigger: Trigger,
    pub(super) secrets: Secrets,
    pub(super) fail_fast: bool,
    pub(super) force: bool,
    pub(super) yes: bool,
    pub(super) how: How,
    pub(super) missing: Missing,
    pub(super) kept: HashMap<TaskId, EarlierChange>,
    /// Who is shown the run every few seconds.
    pub(super) follower: Option<watch::Sender<Option<View>>>,
}

impl PlannedRun {
    /// Runs it to its end.
    pub(super) fn go(
        self,
        clock: Clock,
        terminal: &Terminal,
    ) -> Result<FinishedRun, CommandFailure> {
        let spending = spending::over(spending::planned(&self.plan), &self.plan, &self.how.limits)?;
        let workers = self
            .how
            .workers
            .unwrap_or_else(|| session::workers(&self.plan));
        // From here on nobody else moves this scope's branches.
        let holder = session::holder(&self.run, clock.now());
        let lock = self
            .home
            .store
            .lock(&self.scope, &holder)
            .map_err(super::store)?;
        self.home.repo.remove_left_locks(&self.scope);
        let mut began = Began {
            run: self.run,
            scope: self.scope,
            omk: env!("CARGO_PKG_VERSION").to_owned(),
            plan: self.source,
            base: self.base,
            workers,
            selected: self.selection.selected,
            left_out: self.selection.left_out,
            kept: Vec::new(),
            spending,
            fail_fast: self.fail_fast,
            keep_going: self.how.keep_going,
            no_reuse: self.how.no_reuse,
            preflight: false,
            trigger: self.trigger,
            host: session::host(),
            branch_was: None,
        };
        began.kept = began
            .selected
            .iter()
            .filter(|&task| self.kept.contains_key(task))
            .cloned()
            .collect();
        // Commands cost nothing: their own gates say what is wrong.
        began.preflight = self.plan.preflight
            && prompts(&self.plan, &began) > 0
            && self.plan.gates.iter().any(|gate| gate.required);
        let left_alone = look_at_branches(&self.home, &began, self.force)?;
        began.branch_was = self
            .home
            .repo
            .branch_tip(&run_branch(&began.scope))
            .map_err(super::git)?;
        let left_off = result_branch::left_off(&self.home.repo, &began);
        let ground =
            NeedsContext::of_run(&self.home, &self.plan, &began.base.tree, &began.selected);
        let mut notes = needs::check_now(&ground, &session::shepherd(self.secrets.scrubber())?)?;
        let ready = session::get_ready(
            &self.plan,
            &began.selected,
            &self.secrets,
            &self.how,
            self.missing,
        )?;
        say_what_will_be_spent(&self.plan, &began, &self.kept, &self.how, terminal);
        notes.extend(ready.iter().flat_map(session::Ready::notes).cloned());
        notes.extend(left_alone.into_iter().chain(left_off));
        say_notes(&notes, terminal);
        if !self.yes && prompts_to_pay(&self.plan, &began, &self.kept) > 0 {
            ask(&self.how, terminal)?;
        }
        let run_dir = self.home.store.dir(&began.run);
        let session = RunSession {
            engine: Engine::new(self.plan),
            history: History::default(),
            journal: run_dir.create(&self.bytes).map_err(super::store)?,
            run_dir,
            home: self.home,
            began: began.clone(),
            spending,
            secrets: self.secrets,
            ready,
            clock,
            how: self.how,
            kept: self.kept,
            follower: self.follower,
            _lock: lock,
        };
        session.go(Fact::Began(Box::new(began)), terminal)
    }
}

/// What people should know before a run goes on.
pub(super) fn say_notes(notes: &[String], terminal: &Terminal) {
    for note in notes {
        terminal.complain(&format!("note: {}\n", text::escape_invisible(note)));
    }
}

/// Who sits at the keyboard, as the machine names them.
pub(super) fn actor() -> String {
    let caller = Caller::read();
    caller
        .text("USER")
        .or_else(|| caller.text("LOGNAME"))
        .unwrap_or("unknown")
        .to_owned()
}

/// A new run's id; two of one millisecond differ, and the newest is the last by name.
pub(super) fn new_run_id(now: Moment) -> RunId {
    let stamp = now.to_utc().format(STAMP);
    // The newest run is the last by name, so the order of two within one second must not be left to
    // chance.
    let millis = now.as_millis().rem_euclid(1000);
    let chance = Sha256::of(format!("{}\n{}", now.as_millis(), std::process::id()).as_bytes());
    let id = format!("{stamp}-{millis:03x}{}", &chance.as_str()[..CHANCE]);
    id.parse()
        .expect("a UTC stamp and six hex digits are a run id")
}

/// A new run's id that comes after those of all runs there are, even if the clock was set back.
pub(super) fn next_run_id(home: &Home, now: Moment) -> Result<RunId, CommandFailure> {
    let id = new_run_id(now);
    let last = home.store.runs().map_err(super::store)?.pop();
    Ok(last
        .filter(|last| *last >= id)
        .and_then(|last| id_after(&last, &id))
        .unwrap_or(id))
}

/// An id that comes right after `last`, with the chance of `id`.
fn id_after(last: &RunId, id: &RunId) -> Option<RunId> {
    // Three hex digits order the runs of a second.
    const LAST: u32 = 0xfff;
    let (stamp, order) = last.as_str().split_once('-')?;
    let place = u32::from_str_radix(order.get(..3)?, 16).ok()?;
    let (stamp, place) = if place < LAST {
        (stamp.to_owned(), place + 1)
    } else {
        let second = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
        (
            second
                .checked_add_signed(TimeDelta::seconds(1))?
                .format(STAMP)
                .to_string(),
            0,
        )
    };
    let chance = &id.as_str()[id.as_str().len() - CHANCE..];
    format!("{stamp}-{place:03x}{chance}").parse().ok()
}

/// The tasks of a run.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Those that take part, with what they depend on.
    pub(super) selected: Vec<TaskId>,
    /// Those that `when` leaves out.
    pub(super) left_out: Vec<TaskId>,
}

/// Selects the named tasks, or those whose `when` holds. `changed` says which paths have changed,
/// `None` where there is nothing to compare with; it is asked when a task first wants to know, and
/// once.
pub(super) fn select(
    plan: &Plan,
    named: &[String],
    event: Event,
    changed: &mut dyn FnMut() -> Result<Option<Vec<RepoPath>>, CommandFailure>,
) -> Result<Selection, CommandFailure> {
    if !named.is_empty() {
        return Ok(select_all(plan, self::named(plan, named)?));
    }
    let (mut selected, mut left_out) = (Vec::new(), Vec::new());
    let mut changed = PathsSinceBase {
        look: changed,
        known: None,
    };
    for task in &plan.tasks {
        let list = if takes_part(task, event, &mut changed)? {
            &mut selected
        } else {
            &mut left_out
        };
        list.push(task.id.clone());
    }
    Ok(Selection { selected, left_out })
}

/// The tasks of these names.
pub(super) fn named(plan: &Plan, names: &[String]) -> Result<Vec<TaskId>, CommandFailure> {
    let ids: BTreeSet<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    let id = |name: &String| name.parse().ok().filter(|_| ids.contains(name.as_str()));
    names
        .iter()
        .map(|name| id(name).ok_or_else(|| unknown_task(name, plan)))
        .collect()
}

/// These tasks, with what they depend on, in the plan's order.
pub(super) fn select_all(plan: &Plan, tasks: impl IntoIterator<Item = TaskId>) -> Selection {
    let by_id: HashMap<&str, &Task> = plan
        .tasks
        .iter()
        .map(|task| (task.id.as_str(), task))
        .collect();
    let mut wanted: BTreeSet<TaskId> = BTreeSet::new();
    let mut stack: Vec<TaskId> = tasks.into_iter().collect();
    while let Some(id) = stack.pop() {
        if wanted.insert(id.clone())
            && let Some(task) = by_id.get(id.as_str())
        {
            stack.extend(task.dependencies.iter().cloned());
        }
    }
    let selected = plan
        .tasks
        .iter()
        .map(|task| task.id.clone())
        .filter(|id| wanted.contains(id))
        .collect();
    Selection {
        selected,
        left_out: Vec::new(),
    }
}

/// The refusal of a task that the plan does not have; the name may be anybody's.
pub(super) fn unknown_task(name: &str, plan: &Plan) -> CommandFailure {
    let shown = text::clip(name, 80).escape_debug().to_string();
    let what = format!("there is no task `{shown}` in this plan");
    let failure = CommandFailure::new(FailureKind::Usage, what);
    match nearest(name, plan.tasks.iter().map(|task| task.id.as_str())) {
        Some(near) => failure.hint(did_you_mean(&near)),
        None => failure.hint("`omk plan` lists them"),
    }
}

fn takes_part(
    task: &Task,
    event: Event,
    changed: &mut PathsSinceBase<'_>,
) -> Result<bool, CommandFailure> {
    let Some(when) = &task.when else {
        return Ok(true);
    };
    if !when.events.is_empty() && !when.events.contains(&event) {
        return Ok(false);
    }
    if when.changed.is_empty() {
        return Ok(true);
    }
    let Some(paths) = changed.paths()? else {
        return Ok(true);
    };
    // A path that is a submodule stands for all that is in it.
    Ok(paths
        .iter()
        .map(Glob::literal)
        .any(|changed| when.changed.iter().any(|glob| glob.intersects(&changed))))
}

/// The paths that have changed, looked up when first asked for.
struct PathsSinceBase<'a> {
    look: &'a mut dyn FnMut() -> Result<Option<Vec<RepoPath>>, CommandFailure>,
    known: Option<Option<Vec<RepoPath>>>,
}

impl PathsSinceBase<'_> {
    fn paths(&mut self) -> Result<Option<&Vec<RepoPath>>, CommandFailure> {
        if self.known.is_none() {
            self.known = Some((self.look)()?);
        }
        Ok(self.known.as_ref().and_then(Option::as_ref))
    }
}

/// What has changed since `last`. One that is gone is as good as none: then everything may have
/// changed.
fn since(home: &Home, last: &TreeId, base: &Tip) -> Option<Vec<RepoPath>> {
    home.repo.changed_paths(last, &base.tree).ok()
}

/// The base of the scope's last ready run on this machine.
fn last_ready_base(home: &Home, scope: &Scope) -> Result<Option<TreeId>, CommandFailure> {
    for run in home.store.runs().map_err(super::store)?.iter().rev() {
        let Ok(journal) = home.store.dir(run).journal() else {
            continue;
        };
        let Some(journal::Line {
            fact: Fact::Began(began),
            ..
        }) = journal.lines.first()
        else {
            continue;
        };
        let concluded = |order: &Order| {
            if let Order::Conclude { verdict } = order {
                Some(*verdict)
            } else {
                None
            }
        };
        let verdict = journal
            .lines
            .iter()
            .rev()
            .flat_map(|line| line.orders.iter().rev())
            .find_map(concluded);
        if began.scope == *scope && verdict == Some(RunVerdict::Ready) {
            return Ok(Some(began.base.tree.clone()));
        }
    }
    Ok(None)
}

/// How many of the run's tasks are prompts.
fn prompts(plan: &Plan, began: &Began) -> usize {
    prompts_to_pay(plan, began, &HashMap::new())
}

/// The same, without those that an earlier run has done.
fn prompts_to_pay(plan: &Plan, began: &Began, kept: &HashMap<TaskId, EarlierChange>) -> usize {
    to_do(plan, began, kept)
        .filter(|task| matches!(task.work, Work::Prompt(_)))
        .count()
}

fn to_do<'a>(
    plan: &'a Plan,
    began: &'a Began,
    kept: &'a HashMap<TaskId, EarlierChange>,
) -> impl Iterator<Item = &'a Task> {
    let selected: BTreeSet<&TaskId> = began.selected.iter().collect();
    plan.tasks
        .iter()
        .filter(move |task| selected.contains(&task.id) && !kept.contains_key(&task.id))
}

fn say_what_will_be_spent(
    plan: &Plan,
    began: &Began,
    kept: &HashMap<TaskId, EarlierChange>,
    how: &How,
    terminal: &Terminal,
) {
    let executions: u64 = to_do(plan, began, kept)
        .map(|task| u64::from(task.retry_policy.max_attempts) + 1)
        .sum();
    let agent = match prompts_to_pay(plan, began, kept) {
        0 => String::new(),
        n if how.cassette.is_some() => format!(", {n} with {} on a cassette", plan.agent.model),
        n => format!(", {n} with {} at {}", plan.agent.model, plan.agent.base_url),
    };
    terminal.complain(&format!(
        "run {}: {}{}{agent}; up to {}, {} at once{}\n",
        began.run,
        text::plural(began.selected.len(), "task"),
        if kept.is_empty() {
            String::new()
        } else {
            format!(", {} of them kept", kept.len())
        },
        text::plural(
            usize::try_from(executions).unwrap_or(usize::MAX),
            "execution"
        ),
        began.workers,
        limits_in_words(&began.spending),
    ));
    for task in &began.left_out {
        terminal.complain(&format!("  {task} is skipped: its `when` does not hold\n"));
    }
}

/// Asks before money is spent, where there is somebody to ask.
fn ask(how: &How, terminal: &Terminal) -> Result<(), CommandFailure> {
    if how.cassette.is_some() || !terminal.can_ask() {
        return Ok(());
    }
    terminal.complain("Go on? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(CommandFailure::new(FailureKind::Usage, "nothing was run")
            .hint("`--yes` goes on without asking")),
    }
}

fn limits_in_words(spending: &Spending) -> String {
    let mut words = Vec::new();
    words.extend(
        spending
            .time_ms
            .map(|ms| text::duration(std::time::Duration::from_millis(ms))),
    );
    words.extend(spending.tokens.map(|tokens| format!("{tokens} tokens")));
    words.extend(spending.micro_usd.map(|micro| {
        format!(
            "{}.{:02} USD",
            micro / 1_000_000,
            micro % 1_000_000 / 10_000
        )
    }));
    if words.is_empty() {
        String::new()
    } else {
        format!("; at most {}", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_after_another_one_sorts_after_it() {
        let id = |text: &str| text.parse::<RunId>().expect("a run's id");
        let after = |last: &str| {
            id_after(&id(last), &id("20260101t000000z-000abc"))
                .expect("there is one")
                .to_string()
        };
        assert_eq!(after("20261130t235959z-3e7def"), "20261130t235959z-3e8abc");
        assert_eq!(after("20261130t235959z-ffffff"), "20261201t000000z-000abc");
    }
}
