//! `omk retry`: a new run that keeps what earlier runs completed, and does the rest.
//!
//! What a forge retries goes the same way. It keeps changes, not verdicts: what an earlier run made
//! of a task is put into a slot on the same tree, and its write set and its gates decide again. It
//! refuses to keep what was made from another definition of the task, on a base with another tree,
//! or on another change of a task that it depends on.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;

use super::args::Retry;
use super::resume::{RecordedRun, tell};
use super::run::{self, PlannedRun};
use super::session::{Missing, Secrets};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, plan_file};
use crate::clock::Clock;
use crate::deliver;
use crate::engine::{Engine, TaskState};
use crate::fact::{Began, Fact, Trigger};
use crate::git::{Anchor, Repo};
use crate::id::{RunId, Scope, TaskId, Tip, TreeId};
use crate::journal::Line;
use crate::plan::{Event, Plan};
use crate::store::RunDir;
use crate::work::EarlierChange;

pub(super) fn retry(args: &Retry, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let read = plan_file::read(&home, &args.plan)?;
    let secrets = Secrets::shed(&read.plan)?;
    let clock = Clock::start();
    let scope = Scope::from(read.plan.name.clone());
    let base = home.repo.resolve(&args.base).map_err(super::git)?;
    let again = run::named(&read.plan, &args.tasks)?;
    let anew = with_dependents(&read.plan, &again);
    let earlier = EarlierRuns::look_back(&home, &scope, (&read.plan, &base.tree), None, &|task| {
        !anew.contains(task)
    })?;
    let Some(newest) = &earlier.newest else {
        let none = CommandFailure::new(
            FailureKind::Usage,
            format!("there is no earlier run of `{scope}` to retry"),
        );
        let none = earlier
            .unread
            .iter()
            .fold(none, |none, unread| none.hint(unread.clone()));
        return Err(none.hint("start one with `omk run`"));
    };
    let selection = run::select_all(&read.plan, earlier.selected.iter().cloned().chain(again));
    run::say_notes(&earlier.unread, terminal);
    say_what_is_kept(
        newest,
        &selection.selected,
        &earlier.kept,
        &base.tree,
        terminal,
    );
    let source = plan_file::source(&home.repo, &read)?;
    let wanted = PlannedRun {
        run: run::next_run_id(&home, clock.now())?,
        scope,
        plan: Arc::new(read.plan),
        bytes: read.bytes,
        source,
        base,
        selection,
        trigger: Trigger {
            event: Event::Manual,
            actor: run::actor(),
            comment: None,
        },
        secrets,
        fail_fast: args.fail_fast,
        force: args.force,
        yes: args.yes,
        how: args.how.clone(),
        missing: Missing::Refuse,
        kept: earlier.into_kept(),
        follower: None,
        home,
    };
    Ok(wanted.go(clock, terminal)?.verdict.exit_code())
}

/// What a retry was to keep when it was stopped, and what a person should know of what it cannot
/// keep any more.
pub(super) fn kept_still(
    home: &Home,
    began: &Began,
    engine: &Engine,
) -> Result<(HashMap<TaskId, EarlierChange>, Vec<String>), CommandFailure> {
    if began.kept.is_empty() {
        return Ok((HashMap::new(), Vec::new()));
    }
    let wanted: BTreeSet<&TaskId> = began.kept.iter().collect();
    let place = (&**engine.plan(), &began.base.tree);
    let earlier = EarlierRuns::look_back(home, &began.scope, place, Some(&began.run), &|task| {
        wanted.contains(task)
    })?;
    let is_done = |task: &TaskId| {
        engine
            .task(task)
            .is_some_and(|status| status.state == TaskState::Completed)
    };
    let gone = began
        .kept
        .iter()
        .filter(|&task| !earlier.kept.contains_key(task) && !is_done(task));
    let gone: Vec<String> = gone.map(|task| format!("`{task}`")).collect();
    let mut notes = Vec::new();
    if !gone.is_empty() {
        notes.extend(earlier.unread.iter().cloned());
        notes.push(format!(
            "this run was to keep {} of an earlier run, and cannot read that any more: it does {} again",
            gone.join(", "),
            if gone.len() == 1 { "it" } else { "them" }
        ));
    }
    Ok((earlier.into_kept(), notes))
}

/// What the earlier runs of a plan leave to a new one.
#[derive(Default)]
struct EarlierRuns {
    newest: Option<Newest>,
    /// The tasks that took part in the newest run, or in one whose base had the same tree.
    selected: BTreeSet<TaskId>,
    kept: HashMap<TaskId, (RunId, EarlierChange)>,
    /// A sentence about each run that could not be read.
    unread: Vec<String>,
}

/// The newest run of the plan that can be read.
struct Newest {
    run: RunId,
    base: Tip,
    tokens: u64,
}

impl EarlierRuns {
    /// Looks through the runs of the scope, or those before one of them, the newest first, until
    /// all tasks that are wanted are found. Of two changes of a task the newer one counts.
    fn look_back(
        home: &Home,
        scope: &Scope,
        (plan, base): (&Plan, &TreeId),
        before: Option<&RunId>,
        is_wanted: &dyn Fn(&TaskId) -> bool,
    ) -> Result<Self, CommandFailure> {
        let mut all = Self::default();
        let mut of_runs: HashMap<RunId, HashMap<TaskId, EarlierChange>> = HashMap::new();
        let runs = home.store.runs().map_err(super::store)?;
        for run in runs
            .into_iter()
            .rev()
            .filter(|run| before.is_none_or(|before| run < before))
        {
            let is_known = |task: &TaskId| !is_wanted(task) || all.kept.contains_key(task);
            if all.newest.is_some() && plan.tasks.iter().all(|task| is_known(&task.id)) {
                break;
            }
            let matters = |began: &Began| {
                began.scope == *scope && (all.newest.is_none() || began.base.tree == *base)
            };
            let told = match read(&home.store.dir(&run), scope, &matters) {
                Ok(Some(told)) => told,
                Ok(None) => continue,
                Err(why) => {
                    all.unread.push(format!(
                        "run {run} cannot be read, so nothing of it is kept: {}",
                        why.error
                    ));
                    continue;
                }
            };
            let Some(began) = told.engine.began() else {
                continue;
            };
            all.selected.extend(
                began
                    .selected
                    .iter()
                    .filter(|task| plan.task(task).is_some())
                    .cloned(),
            );
            let tokens = told.history.tokens().total();
            all.newest.get_or_insert_with(|| Newest {
                run: run.clone(),
                base: began.base.clone(),
                tokens,
            });
            let mut of_run = kept_of(&home.repo, &told, plan, base);
            let is_needed = |task: &TaskId| is_wanted(task) && !all.kept.contains_key(task);
            let torn = let_go_of_torn(&home.repo, &told, &mut of_run, &is_needed);
            all.unread.extend(torn.iter().map(|task| {
                format!(
                    "the change that run {run} made for `{task}` is gone from git's objects, or torn: it is not kept"
                )
            }));
            for (task, kept) in of_run.iter().filter(|(task, _)| is_wanted(task)) {
                all.kept
                    .entry(task.clone())
                    .or_insert_with(|| (run.clone(), kept.clone()));
            }
            of_runs.insert(run, of_run);
        }
        all.let_go_of_misfits(plan, &of_runs);
        Ok(all)
    }

    /// Lets go of each change that its run made on another change of a dependency than the one that
    /// is kept: on that it cannot be put.
    fn let_go_of_misfits(
        &mut self,
        plan: &Plan,
        of_runs: &HashMap<RunId, HashMap<TaskId, EarlierChange>>,
    ) {
        loop {
            let fits = |task: &TaskId, run: &RunId| {
                let mut dependencies = plan
                    .task(task)
                    .into_iter()
                    .flat_map(|task| &task.dependencies);
                dependencies.all(|dependency| {
                    let kept = self.kept.get(dependency).map(|(_, kept)| kept);
                    kept.is_some()
                        && kept == of_runs.get(run).and_then(|of_run| of_run.get(dependency))
                })
            };
            let misfits = self.kept.iter().filter(|(task, (run, _))| !fits(task, run));
            let misfits: Vec<TaskId> = misfits.map(|(task, _)| task.clone()).collect();
            if misfits.is_empty() {
                return;
            }
            self.kept.retain(|task, _| !misfits.contains(task));
        }
    }

    fn into_kept(self) -> HashMap<TaskId, EarlierChange> {
        self.kept
            .into_iter()
            .map(|(task, (_, kept))| (task, kept))
            .collect()
    }
}

/// An earlier run, as its journal tells it; `None` if it does not matter, or has never begun.
fn read(
    dir: &RunDir,
    scope: &Scope,
    matters: &dyn Fn(&Began) -> bool,
) -> Result<Option<RecordedRun>, CommandFailure> {
    let is_there =
        std::fs::metadata(dir.path().join("journal.jsonl")).map(|journal| journal.len() > 0);
    if matches!(&is_there, Ok(false))
        || is_there.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    {
        return Ok(None);
    }
    let journal = match dir.journal() {
        Ok(journal) => journal,
        // Another plan's, by a line that another version may have written.
        Err(_) if scope_of(dir).is_some_and(|of| of != scope.as_str()) => return Ok(None),
        Err(error) => return Err(super::store(error)),
    };
    match journal.lines.first() {
        Some(Line {
            fact: Fact::Began(began),
            ..
        }) if matters(began) => tell(dir, &journal).map(Some),
        _ => Ok(None),
    }
}

/// The scope that the first line of a journal names, whatever else is wrong with it.
fn scope_of(dir: &RunDir) -> Option<String> {
    let bytes = dir.read("journal.jsonl").ok()?;
    let line: serde_json::Value =
        serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next()?).ok()?;
    Some(line.get("fact")?.get("scope")?.as_str()?.to_owned())
}

/// Lets go of each change that cannot be read any more, of those that are needed; which these are.
fn let_go_of_torn(
    repo: &Repo,
    told: &RecordedRun,
    kept: &mut HashMap<TaskId, EarlierChange>,
    is_needed: &dyn Fn(&TaskId) -> bool,
) -> Vec<TaskId> {
    let Some(began) = told.engine.began() else {
        return Vec::new();
    };
    let anchor = Anchor::new(repo, &began.run);
    let changes = told
        .engine
        .tasks()
        .filter_map(|status| Some((status.id, &status.change?.tip)));
    let mut torn = Vec::new();
    for (task, tip) in changes.filter(|(task, _)| is_needed(task)) {
        if kept
            .get(task)
            .is_some_and(|kept| !anchor.can_read(&kept.onto, tip))
        {
            torn.push(task.clone());
        }
    }
    kept.retain(|task, _| !torn.contains(task));
    torn
}

/// What a run completed by the same definitions on the same base.
fn kept_of(
    repo: &Repo,
    told: &RecordedRun,
    plan: &Plan,
    base: &TreeId,
) -> HashMap<TaskId, EarlierChange> {
    let RecordedRun { engine, history } = told;
    if engine.began().is_none_or(|began| began.base.tree != *base) {
        return HashMap::new();
    }
    let mut kept = kept(repo, engine);
    // What completed without a change is worth what it cost, too.
    let unchanged = engine
        .tasks()
        .filter(|status| status.state == TaskState::Completed && status.landed.is_none());
    kept.extend(unchanged.filter_map(|status| {
        let base = &history.base(status.id)?.tree;
        Some((
            status.id.clone(),
            EarlierChange {
                onto: base.clone(),
                tree: base.clone(),
            },
        ))
    }));
    kept.retain(|task, _| {
        deliver::task_definition(engine.plan(), task) == deliver::task_definition(plan, task)
    });
    kept
}

/// What landed and stayed on the result.
pub(super) fn kept(repo: &Repo, engine: &Engine) -> HashMap<TaskId, EarlierChange> {
    let stayed = engine
        .tasks()
        .filter(|status| status.landed.is_some() && status.ejected.is_none());
    let kept = stayed.filter_map(|status| {
        let change = status.change?;
        let parents = repo.parents(&change.tip.commit).ok()?;
        let onto = repo.resolve(parents.first()?.as_str()).ok()?.tree;
        Some((
            status.id.clone(),
            EarlierChange {
                onto,
                tree: change.tip.tree.clone(),
            },
        ))
    });
    kept.collect()
}

fn say_what_is_kept(
    newest: &Newest,
    selected: &[TaskId],
    kept: &HashMap<TaskId, (RunId, EarlierChange)>,
    base: &TreeId,
    terminal: &Terminal,
) {
    let list = |tasks: Vec<String>| {
        if tasks.is_empty() {
            "nothing".to_owned()
        } else {
            tasks.join(", ")
        }
    };
    let in_words = |task: &TaskId| match kept.get(task) {
        Some((run, _)) if *run != newest.run => Some(format!("{task} (of run {run})")),
        Some(_) => Some(task.to_string()),
        None => None,
    };
    let stays = list(selected.iter().filter_map(in_words).collect());
    let rest = list(
        selected
            .iter()
            .filter(|&task| !kept.contains_key(task))
            .map(ToString::to_string)
            .collect(),
    );
    terminal.complain(&format!(
        "retry of run {}: keeps {stays}; does {rest}\n",
        newest.run
    ));
    if newest.tokens > 0 {
        let used = crate::report::number(newest.tokens);
        terminal.complain(&format!(
            "note: {used} tokens of that run are spent; the limits of this one count from zero\n"
        ));
    }
    if newest.base.tree != *base {
        terminal.complain(&format!(
            "note: its base has another tree, so nothing that was made on it is kept; `--base {}` builds on that\n",
            newest.base.commit.short()
        ));
    }
}

/// The tasks and everything that is built on them.
pub(super) fn with_dependents(plan: &Plan, tasks: &[TaskId]) -> BTreeSet<TaskId> {
    let mut found: BTreeSet<TaskId> = tasks.iter().cloned().collect();
    let mut dependents: HashMap<&TaskId, Vec<&TaskId>> = HashMap::new();
    for task in &plan.tasks {
        for dependency in &task.dependencies {
            dependents.entry(dependency).or_default().push(&task.id);
        }
    }
    let mut stack: Vec<TaskId> = tasks.to_vec();
    while let Some(task) = stack.pop() {
        for &dependent in dependents.get(&task).into_iter().flatten() {
            if found.insert(dependent.clone()) {
                stack.push(dependent.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_starts_anew_takes_everything_built_on_it_along() {
        let text = "version: 1\nname: p\ntasks:\n- {id: a, run: x}\n- {id: b, run: x, dependencies: [a]}\n\
                    - {id: c, run: x, dependencies: [b]}\n- {id: d, run: x}\n";
        let plan = crate::plan::parse(text.as_bytes(), "omk.yaml", "p").expect("a sound plan");
        let id = |name: &str| name.parse::<TaskId>().expect("an id");
        let anew = |names: &[&str]| {
            let tasks: Vec<TaskId> = names.iter().map(|name| id(name)).collect();
            with_dependents(&plan, &tasks)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(anew(&["b"]), "b c");
        assert_eq!(anew(&["a", "d"]), "a b c d");
        assert_eq!(anew(&[]), "");
    }
}
