//! `omk clean`: removes old runs with their branches, and idle slots.
//!
//! It refuses to remove the newest run, work that is nowhere else, a run that it cannot read, and
//! anything of a scope in which another process works, unless it is told to. It lists what goes
//! before it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::Clean;
use super::holdings::{self, Elsewhere, Holding, Inventory};
use super::session::{self, cache_dir};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home};
use crate::clock::Clock;
use crate::exec::environment::Caller;
use crate::fact::Fact;
use crate::git::{Anchor, BranchTip, Expected, Pool, Removed};
use crate::id::{RunId, Scope};
use crate::journal::Line;
use crate::store::{ScopeLock, StoreError};
use crate::text::{self, Advised as _};
use crate::work::{Claim, Ownership};

/// What the name of a run's directory ends with while it is being removed: it is no run any more.
const REMOVED: &str = ".removed";

pub(super) fn clean(args: &Clean, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let wanted = CleanSelection::of(&home, args)?;
    let mut locks = Locks {
        of_others: home.store.any_held().map_err(super::store)?,
        taken: BTreeMap::new(),
    };
    let mut look = look(&home, &wanted, &mut locks)?;
    look.say_notes(&BTreeSet::new(), terminal);
    let pool = Pool::open(&home.repo, &cache_dir(&Caller::read())?).map_err(super::git)?;
    // Who wants a run to go does not mean the caches of the next one.
    let pool = Some(pool).filter(|_| !matches!(wanted, CleanSelection::Named(_)));
    let slots = pool
        .as_ref()
        .map_or(Ok(0), |pool| pool.all().map(|all| all.len()))
        .map_err(super::git)?;
    look.say(pool.as_ref().map(|pool| (slots, pool.root())), terminal);
    if !args.yes && look.going.len() + look.branches.len() + slots > 0 && ask(terminal)? {
        look = look.still(self::look(&home, &wanted, &mut locks)?, terminal);
    }
    let Look {
        mut going,
        mut branches,
        garbled,
        ..
    } = look;
    let mut stuck = BTreeSet::new();
    branches.retain(|(run, branch)| {
        let deleted = home
            .repo
            .delete_branch(&branch.name, &Expected::At(branch.tip.clone()));
        if let Err(error) = &deleted {
            terminal.complain(&format!(
                "branch {} stays: {}\n",
                branch.name,
                error.in_full()
            ));
            stuck.insert(run.clone());
        }
        deleted.is_ok()
    });
    // Its journal says that the branch is omk's.
    going.retain(|run| !stuck.contains(run));
    let mut failed = Vec::new();
    going.retain(|run| {
        set_aside(&home, run)
            .map_err(|error| failed.push(error))
            .is_ok()
    });
    failed.extend(remove_all_set_aside(&home));
    let slots = match &pool {
        Some(pool) => pool.remove_idle().map_err(super::git)?,
        None => Removed::default(),
    };
    failed.extend(remove_what_was_kept(&home)?);
    for failed in &failed {
        terminal.complain(&format!("{failed}\n"));
    }
    terminal.print(&format!(
        "removed {}, {} and {}\n",
        text::plural(going.len(), "run"),
        text::plural(branches.len(), "branch"),
        text::plural(slots.gone.len(), "slot"),
    ));
    let all = all_went(&slots)?;
    let is_whole = stuck.is_empty() && failed.is_empty() && !garbled;
    Ok(if is_whole {
        all
    } else {
        FailureKind::Infra.exit_code()
    })
}

/// Takes a run out of the list of runs, at once and with all that it has.
fn set_aside(home: &Home, run: &RunId) -> Result<(), String> {
    let path = home.store.dir(run).path().to_path_buf();
    let aside = path.with_file_name(format!("{run}{REMOVED}"));
    std::fs::rename(&path, aside).map_err(|error| {
        format!(
            "run {run} stays: failed to remove {}: {error}",
            path.display()
        )
    })
}

/// Removes what was set aside, now or by a process that was killed then; what could not be removed.
fn remove_all_set_aside(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.store.root().join("runs"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let is_aside = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(REMOVED));
        name.is_some_and(|run| run.parse::<RunId>().is_ok())
    };
    let removed = entries
        .map(|entry| entry.path())
        .filter(is_aside)
        .map(|path| {
            std::fs::remove_dir_all(&path)
                .map_err(|error| format!("failed to remove {}: {error}", path.display()))
        });
    removed.filter_map(Result::err).collect()
}

/// Lets go what is kept of git's objects for runs that are not there any more; what could not be
/// let go.
fn remove_what_was_kept(home: &Home) -> Result<Vec<String>, CommandFailure> {
    // In this order: a run that starts meanwhile has its directory before anything is kept for it.
    let kept = Anchor::all(&home.repo).map_err(super::git)?;
    let runs = home.store.runs().map_err(super::store)?;
    let gone = kept
        .into_iter()
        .filter(|anchor| !runs.contains(anchor.run()));
    Ok(gone
        .filter_map(|anchor| anchor.remove().err())
        .map(|error| error.in_full())
        .collect())
}

/// Which runs are to go.
enum CleanSelection {
    /// All but so many of the newest, and but those that hold what is nowhere else.
    Old {
        keep: usize,
    },
    All,
    Named(BTreeSet<RunId>),
}

impl CleanSelection {
    fn of(home: &Home, args: &Clean) -> Result<Self, CommandFailure> {
        if args.runs.is_empty() {
            return Ok(if args.all {
                Self::All
            } else {
                Self::Old { keep: args.keep }
            });
        }
        let named = args
            .runs
            .iter()
            .map(|name| Ok(home.run_dir(Some(name))?.run().clone()));
        Ok(Self::Named(named.collect::<Result<_, CommandFailure>>()?))
    }
}

/// What would go now, and what a person should know of what stays.
struct Look {
    /// Oldest first.
    going: Vec<RunId>,
    branches: Vec<(RunId, BranchTip)>,
    notes: Vec<String>,
    /// The files of some branches are no branches.
    garbled: bool,
}

fn look(home: &Home, wanted: &CleanSelection, locks: &mut Locks) -> Result<Look, CommandFailure> {
    let (mut going, mut notes) = (Vec::new(), Vec::new());
    let mut keep = if let CleanSelection::Old { keep } = wanted {
        *keep
    } else {
        0
    };
    let mut elsewhere = Elsewhere::default();
    for run in home.store.runs().map_err(super::store)?.into_iter().rev() {
        if matches!(wanted, CleanSelection::Named(named) if !named.contains(&run)) {
            continue;
        }
        match holdings::take_stock(home, &run) {
            Inventory::NoDirectory => {
                let path = home.store.dir(&run).path().display().to_string();
                notes.push(format!(
                    "{path} stays: it has the name of a run and is no directory"
                ));
                continue;
            }
            // Only a run that can be read is a run to look at, or to go on with.
            Inventory::Of(holdings) if keep > 0 => {
                keep -= 1;
                elsewhere.add(&holdings);
                continue;
            }
            Inventory::Of(_) | Inventory::Empty | Inventory::Unreadable { .. } => {}
        }
        if let Some(why) = locks.why_not(home, &run)? {
            notes.push(format!("run {run} stays: {why}"));
            continue;
        }
        let is_asked_for = !matches!(wanted, CleanSelection::Old { .. });
        match why_it_stays(home, &run, &mut elsewhere).filter(|_| !is_asked_for) {
            Some(why) => notes.push(format!("run {run} stays: {why}")),
            None => going.push(run),
        }
    }
    going.reverse();
    notes.reverse();
    let branches = branches_of(home, &going, &mut notes)?;
    let garbled = home.repo.garbled_omk_branches().map_err(super::git)?;
    notes.extend(garbled.iter().map(|(name, path)| {
        format!(
            "branch {name} stays: its file names no commit, and `rm {}` removes it",
            quoted(path)
        )
    }));
    Ok(Look {
        going,
        branches,
        notes,
        garbled: !garbled.is_empty(),
    })
}

/// Why a run that nobody asked to remove stays, once its scope is locked: what it holds would be
/// lost. Then it is held elsewhere for older runs.
fn why_it_stays(home: &Home, run: &RunId, elsewhere: &mut Elsewhere) -> Option<String> {
    let holdings = match holdings::take_stock(home, run) {
        Inventory::Of(holdings) => holdings,
        Inventory::Empty => return None,
        Inventory::NoDirectory => return Some("it is no directory any more".to_owned()),
        Inventory::Unreadable { why } => {
            return Some(format!(
                "it cannot be read ({why}), and `omk clean {run}` removes it"
            ));
        }
    };
    let why = match holdings::only_here(&home.repo, &holdings, elsewhere) {
        Ok(found) => in_words(home, run, found?),
        Err(error) => format!("{}, and `omk clean {run}` removes it", error.in_full()),
    };
    elsewhere.add(&holdings);
    Some(why)
}

fn in_words(home: &Home, run: &RunId, holding: &Holding) -> String {
    let what = &holding.what;
    let Some(commit) = holding.commits.first() else {
        return format!("{what} is nowhere else");
    };
    let branch = home
        .repo
        .omk_branches()
        .unwrap_or_default()
        .into_iter()
        .find(|branch| branch.tip == *commit);
    let place = home.repo.name_of(
        branch.as_ref().map_or("", |branch| branch.name.as_str()),
        commit,
    );
    format!(
        "no branch of yours has {what}; `git merge {place}` takes it, and `omk clean {run}` removes it"
    )
}

impl Look {
    /// What still goes after a question: what was listed then, and would be now. Much can happen
    /// while omk waits for an answer.
    fn still(self, now: Self, terminal: &Terminal) -> Self {
        now.say_notes(&self.notes.into_iter().collect(), terminal);
        let Self {
            mut going,
            mut branches,
            notes,
            garbled,
        } = now;
        going.retain(|run| self.going.contains(run));
        branches.retain(|branch| self.branches.contains(branch));
        Self {
            going,
            branches,
            notes,
            garbled,
        }
    }

    fn say_notes(&self, known: &BTreeSet<String>, terminal: &Terminal) {
        for note in self.notes.iter().filter(|note| !known.contains(*note)) {
            terminal.complain(&format!("{}\n", text::escape_invisible(note)));
        }
    }

    fn say(&self, slots: Option<(usize, &Path)>, terminal: &Terminal) {
        let mut list = String::from("removes\n");
        for run in &self.going {
            list.push_str(&format!("  run {run}\n"));
            for (_, branch) in self.branches.iter().filter(|(of, _)| of == run) {
                list.push_str(&format!("    branch {}\n", branch.name));
            }
        }
        if let Some((slots, root)) = slots.filter(|(slots, _)| *slots > 0) {
            list.push_str(&format!(
                "  {} in {}, but for those in use\n",
                text::plural(slots, "slot"),
                root.display()
            ));
        }
        terminal.complain(&list);
    }
}

/// A path as an argument of a shell's command.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What could not be removed is a person's to remove.
fn all_went(slots: &Removed) -> Result<u8, CommandFailure> {
    let [first, rest @ ..] = &slots.stuck[..] else {
        return Ok(0);
    };
    let what = format!("failed to remove {}: {}", first.path.display(), first.why);
    let failure = rest.iter().fold(
        CommandFailure::new(FailureKind::Infra, what),
        |failure, stuck| failure.hint(format!("nor {}: {}", stuck.path.display(), stuck.why)),
    );
    let paths: Vec<String> = slots
        .stuck
        .iter()
        .map(|stuck| quoted(&stuck.path))
        .collect();
    let paths = paths.join(" ");
    Err(failure
        .hint(format!("files of another owner: `sudo rm -rf {paths}`"))
        .hint(format!("files that cannot be changed (`lsattr` shows an `i`): first `sudo chattr -R -i {paths}`")))
}

/// The locks of the scopes whose runs go, held until all is done: a run that starts meanwhile finds
/// its scope taken.
struct Locks {
    /// A scope that was another process's once the runs had been listed.
    of_others: Option<Scope>,
    /// `None` for a scope of another process.
    taken: BTreeMap<Scope, Option<ScopeLock>>,
}

impl Locks {
    /// Why a run cannot be removed now.
    fn why_not(&mut self, home: &Home, run: &RunId) -> Result<Option<String>, CommandFailure> {
        let journal = home.store.dir(run).journal().ok();
        let began = journal
            .as_ref()
            .and_then(|journal| match journal.lines.first() {
                Some(Line {
                    fact: Fact::Began(began),
                    ..
                }) => Some(began.scope.clone()),
                _ => None,
            });
        let Some(scope) = began else {
            // It is starting, or was killed while it did. A run that starts has its scope's lock
            // before its directory.
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

/// What these runs left on branches: omk's own, which may go, and why others stay (in `notes`). A
/// branch goes by what journals say, so one whose commit is gone from the repository goes, too.
fn branches_of(
    home: &Home,
    runs: &[RunId],
    notes: &mut Vec<String>,
) -> Result<Vec<(RunId, BranchTip)>, CommandFailure> {
    let runs: BTreeSet<&RunId> = runs.iter().collect();
    let ownership = Ownership::new(home.repo.clone());
    let mut found = Vec::new();
    for branch in home.repo.omk_branches().map_err(super::git)? {
        let is_gone = home.repo.tip(&branch.tip).is_err();
        let tip = branch.tip.short();
        match ownership.of(&branch.name).map_err(super::git)? {
            Claim::Omks { run, .. } if runs.contains(&run) => {
                if is_gone {
                    notes.push(format!("branch {} is at {tip}, which is gone from this repository", branch.name));
                }
                found.push((run, branch));
            }
            Claim::Persons { checked_out: Some(path), .. } => {
                notes.push(format!("branch {} stays: it is checked out in {}", branch.name, path.display()));
            }
            Claim::Persons { .. } if is_gone => notes.push(format!(
                "branch {} stays: {tip} is gone from this repository, and omk did not put it there; `git branch -D {}` removes it",
                branch.name, branch.name
            )),
            Claim::Persons { .. } => {
                notes.push(format!("branch {} stays: {tip} is a commit that omk did not put there", branch.name));
            }
            Claim::Omks { .. } | Claim::Free => {}
        }
    }
    Ok(found)
}

/// Asks before anything goes, if a person can be asked; whether one was.
fn ask(terminal: &Terminal) -> Result<bool, CommandFailure> {
    if !terminal.can_ask() {
        return Ok(false);
    }
    terminal.complain("Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(true),
        _ => Err(
            CommandFailure::new(FailureKind::Usage, "nothing was removed")
                .hint("`--yes` goes on without asking"),
        ),
    }
}
