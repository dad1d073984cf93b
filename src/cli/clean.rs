//! `omk clean`: removes old runs, idle slots, and the branches of runs that are gone.

use std::collections::BTreeSet;

use super::args::Clean;
use super::session::cache_dir;
use super::terminal::Terminal;
use super::{Failure, Home, Kind};
use crate::exec::environment::Caller;
use crate::fact::Fact;
use crate::git::{Expected, Pool, Trailers};
use crate::id::RunId;
use crate::journal::Line;
use crate::text;

pub(super) fn clean(args: &Clean, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let runs = home.store.runs().map_err(super::store)?;
    let old = &runs[..runs.len().saturating_sub(args.keep)];
    let mut gone = BTreeSet::new();
    for run in old {
        if is_under_way(&home, run)? {
            terminal.complain(&format!("run {run} is under way, and stays\n"));
            continue;
        }
        let path = home.store.dir(run).path().to_path_buf();
        std::fs::remove_dir_all(&path)
            .map_err(|error| Failure::new(Kind::Infra, format!("failed to remove {}: {error}", path.display())))?;
        gone.insert(run.to_string());
    }
    let mut branches = 0;
    for branch in home.repo.omk_branches().map_err(super::git)? {
        let message = home.repo.message(&branch.tip).map_err(super::git)?;
        let ours = home.repo.is_ours(&branch.tip).map_err(super::git)?
            && Trailers::of(&message).is_some_and(|trailers| gone.contains(trailers.run.as_str()));
        let checked_out = home.repo.checked_out_anywhere(&branch.name).map_err(super::git)?.is_some();
        if ours && !checked_out {
            home.repo.delete_branch(&branch.name, &Expected::At(branch.tip)).map_err(super::git)?;
            branches += 1;
        }
    }
    let pool = Pool::open(&home.repo, &cache_dir(&Caller::read())?).map_err(super::git)?;
    let slots = pool.remove_idle().map_err(super::git)?;
    terminal.print(&format!(
        "removed {}, {} and {}\n",
        text::plural(gone.len(), "run"),
        text::plural(branches, "branch"),
        text::plural(slots.gone.len(), "slot"),
    ));
    Ok(0)
}

fn is_under_way(home: &Home, run: &RunId) -> Result<bool, Failure> {
    let Ok(journal) = home.store.dir(run).journal() else { return Ok(false) };
    let Some(Line { fact: Fact::Began(began), .. }) = journal.lines.first() else { return Ok(false) };
    let holder = home.store.holder(&began.scope).map_err(super::store)?;
    Ok(holder.is_some_and(|holder| holder.run == *run))
}
