//! `omk retry`: a new run that keeps what earlier runs completed, and does the rest.
//!
//! What a forge retries goes the same way. It keeps changes, not verdicts: what an earlier run made of a task is put into a slot
//! on the same tree, and its write set and its gates decide again. It refuses to keep what was made from another definition of the
//! task, or on a base with another tree.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::args::Retry;
use super::resume::{Told, tell};
use super::run::{self, Wanted};
use super::session::{Missing, Secrets};
use super::terminal::Terminal;
use super::{Failure, Home, Kind, plan_file};
use crate::clock::Clock;
use crate::deliver;
use crate::engine::{Engine, TaskState};
use crate::fact::{Began, Fact, Trigger};
use crate::git::Repo;
use crate::id::{RunId, Scope, TaskId, TreeId};
use crate::journal::Line;
use crate::plan::{Event, Plan};
use crate::store::RunDir;
use crate::work::Kept;

/// How many runs of the scope are looked at, the newest first. A person has tried fewer times than this before looking elsewhere,
/// and reading a journal takes a moment.
const RUNS: usize = 20;

pub(super) fn retry(args: &Retry, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let read = plan_file::read(&home, &args.plan)?;
    let secrets = Secrets::shed(&read.plan)?;
    let clock = Clock::start();
    let scope = Scope::from(read.plan.name.clone());
    let base = home.repo.resolve(&args.base).map_err(super::git)?;
    let again = run::named(&read.plan, &args.tasks)?;
    let runs = earlier_runs(&home, &scope)?;
    let [newest, ..] = &runs[..] else {
        return Err(Failure::new(Kind::Usage, format!("there is no earlier run of `{scope}` to retry"))
            .hint("start one with `omk run`"));
    };
    let selection = run::select_all(&read.plan, newest.selected(&read.plan).chain(again.iter().cloned()));
    let anew = with_dependents(&read.plan, &again);
    let kept = all_kept(&home.repo, &runs, (&read.plan, &base.tree), &|task| {
        !anew.contains(task) && selection.selected.contains(task)
    });
    say_what_is_kept(newest, &selection.selected, &kept, &base.tree, terminal);
    let source = plan_file::source(&home.repo, &read)?;
    let wanted = Wanted {
        run: run::next_run_id(&home, clock.now())?,
        scope,
        plan: Arc::new(read.plan),
        bytes: read.bytes,
        source,
        base,
        selection,
        trigger: Trigger { event: Event::Manual, actor: run::actor(), comment: None },
        secrets,
        fail_fast: args.fail_fast,
        force: args.force,
        yes: args.yes,
        how: args.how.clone(),
        missing: Missing::Refuse,
        kept: kept.into_iter().map(|(task, (_, kept))| (task, kept)).collect(),
        follower: None,
        home,
    };
    Ok(wanted.go(clock, terminal)?.verdict.exit_code())
}

/// What a retry was to keep when it was stopped.
pub(super) fn kept_still(home: &Home, began: &Began, plan: &Plan) -> Result<HashMap<TaskId, Kept>, Failure> {
    if began.kept.is_empty() {
        return Ok(HashMap::new());
    }
    let mut runs = earlier_runs(home, &began.scope)?;
    runs.retain(|earlier| earlier.run != began.run);
    let wanted: BTreeSet<&TaskId> = began.kept.iter().collect();
    let kept = all_kept(&home.repo, &runs, (plan, &began.base.tree), &|task| wanted.contains(task));
    Ok(kept.into_iter().map(|(task, (_, kept))| (task, kept)).collect())
}

/// What these runs completed of the wanted tasks, by the plan's definitions and on that base; of two, what the first has.
fn all_kept(
    repo: &Repo,
    runs: &[EarlierRun],
    (plan, base): (&Plan, &TreeId),
    is_wanted: &dyn Fn(&TaskId) -> bool,
) -> HashMap<TaskId, (RunId, Kept)> {
    let mut all = HashMap::new();
    for run in runs {
        for (task, kept) in run.kept(repo, plan, base) {
            if is_wanted(&task) {
                all.entry(task).or_insert_with(|| (run.run.clone(), kept));
            }
        }
    }
    all
}

/// A run that is over, or was left.
struct EarlierRun {
    run: RunId,
    told: Told,
}

/// The newest runs of the scope, the newest first. One that cannot be read any more is as good as none.
fn earlier_runs(home: &Home, scope: &Scope) -> Result<Vec<EarlierRun>, Failure> {
    let mut found = Vec::new();
    for run in home.store.runs().map_err(super::store)?.into_iter().rev() {
        if found.len() == RUNS {
            break;
        }
        found.extend(earlier_run(&home.store.dir(&run), scope));
    }
    Ok(found)
}

fn earlier_run(dir: &RunDir, scope: &Scope) -> Option<EarlierRun> {
    let journal = dir.journal().ok()?;
    let Some(Line { fact: Fact::Began(began), .. }) = journal.lines.first() else { return None };
    if began.scope != *scope {
        return None;
    }
    Some(EarlierRun { run: dir.run().clone(), told: tell(dir, &journal).ok()? })
}

impl EarlierRun {
    /// The tasks that took part in it and are still planned.
    fn selected<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = TaskId> + 'a {
        let selected = self.told.engine.began().map(|began| began.selected.as_slice()).unwrap_or_default();
        selected.iter().filter(|task| plan.task(task).is_some()).cloned()
    }

    /// What it completed by the same definitions on the same base.
    fn kept(&self, repo: &Repo, plan: &Plan, base: &TreeId) -> HashMap<TaskId, Kept> {
        let Told { engine, history } = &self.told;
        if engine.began().is_none_or(|began| began.base.tree != *base) {
            return HashMap::new();
        }
        let mut kept = kept(repo, engine);
        // What completed without a change is worth what it cost, too.
        let unchanged = engine.tasks().filter(|status| status.state == TaskState::Completed && status.landed.is_none());
        kept.extend(unchanged.filter_map(|status| {
            let base = &history.base(status.id)?.tree;
            Some((status.id.clone(), Kept { onto: base.clone(), tree: base.clone() }))
        }));
        kept.retain(|task, _| deliver::task_definition(engine.plan(), task) == deliver::task_definition(plan, task));
        kept
    }
}

/// What landed and stayed on the result.
pub(super) fn kept(repo: &Repo, engine: &Engine) -> HashMap<TaskId, Kept> {
    let stayed = engine.tasks().filter(|status| status.landed.is_some() && status.ejected.is_none());
    let kept = stayed.filter_map(|status| {
        let change = status.change?;
        let parents = repo.parents(&change.tip.commit).ok()?;
        let onto = repo.resolve(parents.first()?.as_str()).ok()?.tree;
        Some((status.id.clone(), Kept { onto, tree: change.tip.tree.clone() }))
    });
    kept.collect()
}

fn say_what_is_kept(
    newest: &EarlierRun,
    selected: &[TaskId],
    kept: &HashMap<TaskId, (RunId, Kept)>,
    base: &TreeId,
    terminal: &Terminal,
) {
    let list = |tasks: Vec<String>| if tasks.is_empty() { "nothing".to_owned() } else { tasks.join(", ") };
    let in_words = |task: &TaskId| match kept.get(task) {
        Some((run, _)) if *run != newest.run => Some(format!("{task} (of run {run})")),
        Some(_) => Some(task.to_string()),
        None => None,
    };
    let stays = list(selected.iter().filter_map(in_words).collect());
    let rest = list(selected.iter().filter(|&task| !kept.contains_key(task)).map(ToString::to_string).collect());
    terminal.complain(&format!("retry of run {}: keeps {stays}; does {rest}\n", newest.run));
    let used = newest.told.history.tokens().total();
    if used > 0 {
        let used = crate::report::number(used);
        terminal
            .complain(&format!("note: {used} tokens of that run are spent; the limits of this one count from zero\n"));
    }
    let Some(began) = newest.told.engine.began().filter(|began| began.base.tree != *base) else { return };
    terminal.complain(&format!(
        "note: its base has another tree, so nothing that was made on it is kept; `--base {}` builds on that\n",
        &began.base.commit.as_str()[..12]
    ));
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
            with_dependents(&plan, &tasks).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(anew(&["b"]), "b c");
        assert_eq!(anew(&["a", "d"]), "a b c d");
        assert_eq!(anew(&[]), "");
    }
}
