//! `omk run`: from a plan to proven commits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::args::Run;
use super::session::{self, Secrets, Session};
use super::terminal::Terminal;
use super::{Failure, Home, Kind, plan_file};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::exec::environment::Caller;
use crate::fact::{Began, Fact, RunVerdict, Spending, Trigger};
use crate::git::{Expected, Repo};
use crate::history::{History, run_branch, task_branch};
use crate::id::{CommitId, Moment, RunId, Scope, Sha256, TaskId};
use crate::journal;
use crate::plan::{Event, Plan, Work};
use crate::store::Store;
use crate::text;

/// After the second and its milliseconds, so many hex digits of chance: two runs of one millisecond differ.
const CHANCE: usize = 3;

pub(super) fn run(args: &Run, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let read = plan_file::read(&home, &args.plan)?;
    let secrets = Secrets::shed(&read.plan)?;
    let clock = Clock::start();
    let base = home.repo.resolve(&args.base).map_err(super::git)?;
    let scope = Scope::from(read.plan.name.clone());
    let (selected, left_out) = select(&home, &read.plan, &scope, &args.tasks, &base.tree)?;
    let spending = session::spending(session::planned_spending(&read.plan), &read.plan, &args.how.limits)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = args.how.workers.or(read.plan.limits.workers).unwrap_or(u32::try_from(cores).unwrap_or(1));
    let run = new_run_id(clock.now());
    // From here on nobody else moves this scope's branches.
    let lock = home.store.lock(&scope, &session::holder(&run, clock.now())).map_err(super::store)?;
    home.repo.remove_left_locks(&scope);
    let mut began = Began {
        run: run.clone(),
        scope: scope.clone(),
        omk: env!("CARGO_PKG_VERSION").to_owned(),
        plan: plan_file::source(&home.repo, &read)?,
        base,
        workers,
        selected,
        left_out,
        spending,
        fail_fast: args.fail_fast,
        trigger: Trigger { event: Event::Manual, actor: actor(), comment: None },
        host: session::host(),
        branch_was: None,
    };
    let expected = look_at_branches(&home, &began, args.force)?;
    began.branch_was = home.repo.branch_tip(&run_branch(&began)).map_err(super::git)?;
    let ready = session::get_ready(&read.plan, &began.selected, &secrets, &args.how)?;
    say_what_will_be_spent(&read.plan, &began, args, terminal)?;
    let run_dir = home.store.dir(&run);
    let plan = Arc::new(read.plan);
    let session = Session {
        engine: Engine::new(Arc::clone(&plan)),
        history: History::default(),
        journal: run_dir.create(&read.bytes).map_err(super::store)?,
        run_dir,
        home,
        began: began.clone(),
        spending,
        secrets,
        ready,
        clock,
        how: args.how.clone(),
        expected,
        _lock: lock,
    };
    session.go(Fact::Began(Box::new(began)), terminal)
}

/// Who sits at the keyboard, as the machine names them.
fn actor() -> String {
    let caller = Caller::read();
    caller.text("USER").or_else(|| caller.text("LOGNAME")).unwrap_or("unknown").to_owned()
}

pub(super) fn new_run_id(now: Moment) -> RunId {
    let stamp = now.to_utc().format("%Y%m%dt%H%M%Sz");
    // The newest run is the last by name, so the order of two within one second must not be left to chance.
    let millis = now.as_millis().rem_euclid(1000);
    let chance = Sha256::of(format!("{}\n{}", now.as_millis(), std::process::id()).as_bytes());
    let id = format!("{stamp}-{millis:03x}{}", &chance.as_str()[..CHANCE]);
    id.parse().expect("a UTC stamp and six hex digits are a run id")
}

/// The tasks that take part, with what they depend on, and those that `when` leaves out.
fn select(
    home: &Home,
    plan: &Plan,
    scope: &Scope,
    named: &[String],
    tree: &crate::id::TreeId,
) -> Result<(Vec<TaskId>, Vec<TaskId>), Failure> {
    let by_id: HashMap<&str, &crate::plan::Task> = plan.tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    let mut wanted: BTreeSet<TaskId> = BTreeSet::new();
    let mut left_out = Vec::new();
    let mut stack: Vec<TaskId> = Vec::new();
    for name in named {
        let task = by_id.get(name.as_str()).ok_or_else(|| unknown_task(name, plan))?;
        stack.push(task.id.clone());
    }
    if named.is_empty() {
        let mut changed = Changed::new(home, scope, tree);
        for task in &plan.tasks {
            if takes_part(task, &mut changed)? {
                wanted.insert(task.id.clone())
            } else {
                left_out.push(task.id.clone());
                false
            };
        }
    }
    while let Some(id) = stack.pop() {
        if wanted.insert(id.clone())
            && let Some(task) = by_id.get(id.as_str())
        {
            stack.extend(task.dependencies.iter().cloned());
        }
    }
    let selected = plan.tasks.iter().map(|task| task.id.clone()).filter(|id| wanted.contains(id)).collect();
    Ok((selected, left_out))
}

fn unknown_task(name: &str, plan: &Plan) -> Failure {
    let failure = Failure::new(Kind::Usage, format!("there is no task `{name}` in this plan"));
    let near = plan.tasks.iter().map(|task| (strsim::damerau_levenshtein(name, task.id.as_str()), &task.id)).min();
    match near {
        Some((distance, id)) if distance <= 3 => failure.hint(format!("did you mean `{id}`?")),
        _ => failure.hint("`omk plan` lists them"),
    }
}

fn takes_part(task: &crate::plan::Task, changed: &mut Changed<'_>) -> Result<bool, Failure> {
    let Some(when) = &task.when else { return Ok(true) };
    if !when.events.is_empty() && !when.events.contains(&Event::Manual) {
        return Ok(false);
    }
    if when.changed.is_empty() {
        return Ok(true);
    }
    let Some(paths) = changed.paths()? else { return Ok(true) };
    Ok(paths.iter().any(|path| when.changed.iter().any(|glob| glob.matches(path))))
}

/// What has changed since the base of the scope's last ready run; looked up when first asked for.
struct Changed<'a> {
    home: &'a Home,
    scope: &'a Scope,
    tree: &'a crate::id::TreeId,
    known: Option<Option<Vec<crate::id::RepoPath>>>,
}

impl<'a> Changed<'a> {
    fn new(home: &'a Home, scope: &'a Scope, tree: &'a crate::id::TreeId) -> Self {
        Self { home, scope, tree, known: None }
    }

    /// The paths; `None` = there is nothing to compare with.
    fn paths(&mut self) -> Result<Option<&Vec<crate::id::RepoPath>>, Failure> {
        if self.known.is_none() {
            self.known = Some(match self.last_ready_base()? {
                // A base that is gone is as good as none: then everything may have changed.
                Some(base) => self.home.repo.changed_paths(&base, self.tree).ok(),
                None => None,
            });
        }
        Ok(self.known.as_ref().and_then(Option::as_ref))
    }

    fn last_ready_base(&self) -> Result<Option<crate::id::TreeId>, Failure> {
        for run in self.home.store.runs().map_err(super::store)?.iter().rev() {
            let Ok(journal) = self.home.store.dir(run).journal() else { continue };
            let Some(journal::Line { fact: Fact::Began(began), .. }) = journal.lines.first() else { continue };
            let ready = journal
                .lines
                .iter()
                .flat_map(|line| &line.orders)
                .any(|order| *order == crate::fact::Order::Conclude { verdict: RunVerdict::Ready });
            if began.scope == *self.scope && ready {
                return Ok(Some(began.base.tree.clone()));
            }
        }
        Ok(None)
    }
}

/// Refuses what would end badly later: a branch `omk`, a result branch that is checked out, or that is not omk's.
fn look_at_branches(home: &Home, began: &Began, force: bool) -> Result<Expected, Failure> {
    let repo = &home.repo;
    if repo.branch_named_omk_exists().map_err(super::git)? {
        return Err(Failure::new(Kind::Usage, "a branch called `omk` is in the way of `omk/run/…` and `omk/task/…`")
            .hint("rename it: `git branch -m omk something-else`"));
    }
    let run = run_branch(began);
    let tasks = began.selected.iter().map(|task| task_branch(began, task));
    let ours: BTreeSet<String> = std::iter::once(run.clone()).chain(tasks).collect();
    // Only what exists can be checked out, and most runs are the first of their scope.
    let existing = repo.omk_branches().map_err(super::git)?.into_iter().map(|branch| branch.name);
    for name in existing.filter(|name| ours.contains(name)) {
        if let Some(path) = repo.checked_out_anywhere(&name).map_err(super::git)? {
            return Err(Failure::new(Kind::Usage, format!("the branch `{name}` is checked out in {}", path.display()))
                .hint("omk is about to move it: switch to another branch there, with `git switch -`"));
        }
    }
    match repo.branch_tip(&run).map_err(super::git)? {
        None => Ok(Expected::Absent),
        Some(tip) if force => Ok(Expected::At(tip)),
        Some(tip) if is_ours(repo, &tip) || last_put(&home.store, &began.scope).as_ref() == Some(&tip) => {
            Ok(Expected::At(tip))
        }
        Some(tip) => Err(Failure::new(
            Kind::Usage,
            format!("the branch `{run}` is at {}, a commit that is not omk's", &tip.as_str()[..12]),
        )
        .hint("somebody has worked on it: merge or rename it first, or replace it with `--force`")),
    }
}

fn is_ours(repo: &Repo, tip: &CommitId) -> bool {
    repo.message(tip).ok().and_then(|message| crate::git::Trailers::of(&message)).is_some()
}

/// Where the newest run that moved the result's branch left it: at a base, where all was taken out again.
fn last_put(store: &Store, scope: &Scope) -> Option<CommitId> {
    let runs = store.runs().ok()?;
    let journals = runs.iter().rev().filter_map(|run| store.dir(run).journal().ok());
    journals.filter_map(|journal| put_by(&journal.lines, scope)).next()
}

fn put_by(lines: &[journal::Line], scope: &Scope) -> Option<CommitId> {
    let Fact::Began(began) = &lines.first()?.fact else { return None };
    let newest = lines.iter().rev().find_map(|line| match &line.fact {
        Fact::Landed { tip, .. } => Some(tip),
        Fact::Rebuilt { landings, trouble: None, .. } => {
            Some(landings.last().map_or(&began.base, |landing| &landing.tip))
        }
        Fact::Began(_)
        | Fact::TookUp { .. }
        | Fact::Prepared { .. }
        | Fact::Renewed { .. }
        | Fact::Worked { .. }
        | Fact::Clashed { .. }
        | Fact::Woke
        | Fact::Judged { .. }
        | Fact::Rebuilt { trouble: Some(_), .. }
        | Fact::Limited { .. }
        | Fact::Stopped { .. }
        | Fact::Cancelled { .. } => None,
    });
    newest.filter(|_| began.scope == *scope).map(|tip| tip.commit.clone())
}

fn say_what_will_be_spent(plan: &Plan, began: &Began, args: &Run, terminal: &Terminal) -> Result<(), Failure> {
    let selected: BTreeSet<&TaskId> = began.selected.iter().collect();
    let tasks = plan.tasks.iter().filter(|task| selected.contains(&task.id));
    let (mut executions, mut prompts) = (0_u64, 0);
    for task in tasks {
        executions += u64::from(task.retry_policy.max_attempts) + 1;
        prompts += usize::from(matches!(task.work, Work::Prompt(_)));
    }
    let count = began.selected.len();
    let agent = match prompts {
        0 => String::new(),
        n => format!(
            ", {n} with {} on {}",
            plan.agent.model,
            if args.how.cassette.is_some() { "a cassette" } else { "the provider" }
        ),
    };
    terminal.complain(&format!(
        "run {}: {}{agent}; up to {}, {} at once{}\n",
        began.run,
        text::plural(count, "task"),
        text::plural(usize::try_from(executions).unwrap_or(usize::MAX), "execution"),
        began.workers,
        limits_in_words(&began.spending),
    ));
    for task in &began.left_out {
        terminal.complain(&format!("  {task} is skipped: its `when` does not hold\n"));
    }
    if prompts == 0 || args.how.cassette.is_some() || args.yes || !terminal.can_ask() {
        return Ok(());
    }
    terminal.complain("Go on? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(Failure::new(Kind::Usage, "nothing was run").hint("`--yes` goes on without asking")),
    }
}

fn limits_in_words(spending: &Spending) -> String {
    let mut words = Vec::new();
    words.extend(spending.time_ms.map(|ms| text::duration(std::time::Duration::from_millis(ms))));
    words.extend(spending.tokens.map(|tokens| format!("{tokens} tokens")));
    words
        .extend(spending.micro_usd.map(|micro| format!("{}.{:02} USD", micro / 1_000_000, micro % 1_000_000 / 10_000)));
    if words.is_empty() { String::new() } else { format!("; at most {}", words.join(", ")) }
}
