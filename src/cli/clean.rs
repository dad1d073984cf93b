//! `omk clean`: removes old runs, idle slots, and branches whose work has been merged.
//!
//! It refuses to remove the newest run, a result that is not merged, and anything of a scope in which another process works; it
//! lists what goes before it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::args::Clean;
use super::resume::tell;
use super::session::{self, cache_dir};
use super::terminal::Terminal;
use super::{Failure, Home, Kind};
use crate::clock::Clock;
use crate::exec::environment::Caller;
use crate::fact::Fact;
use crate::git::{Anchor, Branch, Expected, Pool, Removed};
use crate::id::{CommitId, RunId, Scope, TaskId};
use crate::journal::Line;
use crate::store::{ScopeLock, StoreError};
use crate::text::{self, Advised as _};
use crate::work::{Claim, Ownership};

pub(super) fn clean(args: &Clean, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let runs = home.store.runs().map_err(super::store)?;
    let keep = if args.all { 0 } else { args.keep };
    let old = &runs[..runs.len().saturating_sub(keep)];
    let mut locks = Locks { of_others: home.store.any_held().map_err(super::store)?, taken: BTreeMap::new() };
    let mut going = Vec::new();
    for run in old {
        match locks.why_not(&home, run)? {
            None => going.push(run.clone()),
            Some(why) => terminal.complain(&format!("run {run} stays: {why}\n")),
        }
    }
    let mut branches = branches_of(&home, &going, terminal)?;
    if !args.all {
        let held = unmerged(&home, &branches)?;
        going.retain(|run| !held.contains_key(run));
        branches.retain(|(run, _)| !held.contains_key(run));
        for (run, branch) in held {
            terminal.complain(&format!("run {run} stays: `{branch}` is not merged; `--all` removes it\n"));
        }
    }
    let pool = Pool::open(&home.repo, &cache_dir(&Caller::read())?).map_err(super::git)?;
    let slots = pool.all().map_err(super::git)?.len();
    say(&going, &branches, (slots, pool.root()), terminal);
    if !args.yes && going.len() + branches.len() + slots > 0 {
        ask(terminal)?;
    }
    let mut stuck = BTreeSet::new();
    branches.retain(|(run, branch)| {
        let deleted = home.repo.delete_branch(&branch.name, &Expected::At(branch.tip.clone()));
        if let Err(error) = &deleted {
            terminal.complain(&format!("branch {} stays: {}\n", branch.name, error.in_full()));
            stuck.insert(run.clone());
        }
        deleted.is_ok()
    });
    // Its journal says that the branch is omk's.
    going.retain(|run| !stuck.contains(run));
    let runs = home.store.runs().map_err(super::store)?;
    // What is kept for a run that is not there any more goes, too.
    let kept = Anchor::all(&home.repo).map_err(super::git)?.into_iter();
    for anchor in kept.filter(|anchor| !runs.contains(anchor.run())) {
        anchor.remove().map_err(super::git)?;
    }
    for run in &going {
        Anchor::new(&home.repo, run).remove().map_err(super::git)?;
        let path = home.store.dir(run).path().to_path_buf();
        std::fs::remove_dir_all(&path)
            .map_err(|error| Failure::new(Kind::Infra, format!("failed to remove {}: {error}", path.display())))?;
    }
    let slots = pool.remove_idle().map_err(super::git)?;
    terminal.print(&format!(
        "removed {}, {} and {}\n",
        text::plural(going.len(), "run"),
        text::plural(branches.len(), "branch"),
        text::plural(slots.gone.len(), "slot"),
    ));
    let all = all_went(&slots)?;
    Ok(if stuck.is_empty() { all } else { Kind::Infra.exit_code() })
}

/// What could not be removed is a person's to remove.
fn all_went(slots: &Removed) -> Result<u8, Failure> {
    let [first, rest @ ..] = &slots.stuck[..] else { return Ok(0) };
    let what = format!("failed to remove {}: {}", first.path.display(), first.why);
    let failure = rest.iter().fold(Failure::new(Kind::Infra, what), |failure, stuck| {
        failure.hint(format!("nor {}: {}", stuck.path.display(), stuck.why))
    });
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let paths: Vec<String> = slots.stuck.iter().map(|stuck| quoted(&stuck.path)).collect();
    let paths = paths.join(" ");
    Err(failure
        .hint(format!("files of another owner: `sudo rm -rf {paths}`"))
        .hint(format!("files that cannot be changed (`lsattr` shows an `i`): first `sudo chattr -R -i {paths}`")))
}

/// The locks of the scopes whose runs go, held until all is done: a run that starts meanwhile finds its scope taken.
struct Locks {
    /// A scope that was another process's once the runs had been listed.
    of_others: Option<Scope>,
    /// `None` for a scope of another process.
    taken: BTreeMap<Scope, Option<ScopeLock>>,
}

impl Locks {
    /// Why a run cannot be removed now.
    fn why_not(&mut self, home: &Home, run: &RunId) -> Result<Option<String>, Failure> {
        let journal = home.store.dir(run).journal().ok();
        let began = journal.as_ref().and_then(|journal| match journal.lines.first() {
            Some(Line { fact: Fact::Began(began), .. }) => Some(began.scope.clone()),
            _ => None,
        });
        let Some(scope) = began else {
            // It is starting, or was killed while it did. A run that starts has its scope's lock before its directory.
            return Ok(self
                .of_others
                .as_ref()
                .map(|scope| format!("it may be starting, for a run of `{scope}` is under way")));
        };
        if !self.taken.contains_key(&scope) {
            let holder = session::holder(run, Clock::start().now());
            let lock = match home.store.lock(&scope, &holder) {
                Ok(lock) => Some(lock),
                Err(StoreError::Held { .. }) => None,
                Err(error) => return Err(super::store(error)),
            };
            self.taken.insert(scope.clone(), lock);
        }
        let is_held = self.taken.get(&scope).is_some_and(Option::is_none);
        Ok(is_held.then(|| format!("a run of `{scope}` is under way")))
    }
}

/// What these runs left on branches: omk's own, which may go, and why others stay. A branch goes by what journals say, so one
/// whose commit is gone from the repository goes, too.
fn branches_of(home: &Home, runs: &[RunId], terminal: &Terminal) -> Result<Vec<(RunId, Branch)>, Failure> {
    let runs: BTreeSet<&RunId> = runs.iter().collect();
    let ownership = Ownership::new(home.repo.clone());
    let mut found = Vec::new();
    for branch in home.repo.omk_branches().map_err(super::git)? {
        let is_gone = home.repo.tip(&branch.tip).is_err();
        let tip = &branch.tip.as_str()[..12];
        match ownership.of(&branch.name).map_err(super::git)? {
            Claim::Omks { run, .. } if runs.contains(&run) => {
                if is_gone {
                    terminal.complain(&format!("branch {} is at {tip}, which is gone from this repository\n", branch.name));
                }
                found.push((run, branch));
            }
            Claim::Persons { checked_out: Some(path), .. } => {
                terminal.complain(&format!("branch {} stays: it is checked out in {}\n", branch.name, path.display()));
            }
            Claim::Persons { .. } if is_gone => terminal.complain(&format!(
                "branch {} stays: {tip} is gone from this repository, and omk did not put it there; `git branch -D {}` removes it\n",
                branch.name, branch.name
            )),
            Claim::Persons { .. } => {
                terminal.complain(&format!("branch {} stays: {tip} is a commit that omk did not put there\n", branch.name));
            }
            Claim::Omks { .. } | Claim::Free => {}
        }
    }
    Ok(found)
}

/// The runs that hold work which no branch of the user's has, each with one branch that does.
fn unmerged(home: &Home, branches: &[(RunId, Branch)]) -> Result<BTreeMap<RunId, String>, Failure> {
    let mut held = BTreeMap::new();
    let mut landings: BTreeMap<&RunId, BTreeMap<TaskId, CommitId>> = BTreeMap::new();
    for (run, branch) in branches {
        // Nobody can merge what is gone.
        let mut merged = home.repo.tip(&branch.tip).is_err() || home.repo.is_merged(&branch.tip).map_err(super::git)?;
        if !merged {
            // A task's own change is merged with the result that it landed on.
            let of_run = landings.entry(run).or_insert_with(|| landings_of(home, run));
            let task = branch.name.rsplit('/').next().and_then(|name| name.parse::<TaskId>().ok());
            let landing = task.filter(|_| branch.name.starts_with("omk/task/")).and_then(|task| of_run.get(&task));
            if let Some(landing) = landing.filter(|landing| home.repo.tip(landing).is_ok()) {
                merged = home.repo.is_merged(landing).map_err(super::git)?;
            }
        }
        if !merged {
            held.entry(run.clone()).or_insert_with(|| branch.name.clone());
        }
    }
    Ok(held)
}

/// Where each task landed, as the journal has it.
fn landings_of(home: &Home, run: &RunId) -> BTreeMap<TaskId, CommitId> {
    let dir = home.store.dir(run);
    let Some(told) = dir.journal().ok().and_then(|journal| tell(&dir, &journal).ok()) else { return BTreeMap::new() };
    told.engine.landings().map(|(task, tip)| (task.clone(), tip.commit.clone())).collect()
}

fn say(runs: &[RunId], branches: &[(RunId, Branch)], (slots, root): (usize, &Path), terminal: &Terminal) {
    let mut list = String::from("removes\n");
    for run in runs {
        list.push_str(&format!("  run {run}\n"));
        for (_, branch) in branches.iter().filter(|(of, _)| of == run) {
            list.push_str(&format!("    branch {}\n", branch.name));
        }
    }
    if slots > 0 {
        list.push_str(&format!("  {} in {}, but for those in use\n", text::plural(slots, "slot"), root.display()));
    }
    terminal.complain(&list);
}

/// Asks before anything goes, if a person can be asked.
fn ask(terminal: &Terminal) -> Result<(), Failure> {
    if !terminal.can_ask() {
        return Ok(());
    }
    terminal.complain("Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(Failure::new(Kind::Usage, "nothing was removed").hint("`--yes` goes on without asking")),
    }
}
