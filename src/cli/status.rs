//! `omk status`: where the tasks of a run stand.

use super::args::Status;
use super::resume::{RecordedRun, tell};
use super::terminal::Terminal;
use super::{CommandFailure, Home, result_branch};
use crate::record::Record;
use crate::text::Scrubber;

pub(super) fn status(args: &Status, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    let journal = run_dir.journal().map_err(super::store)?;
    let RecordedRun { engine, history } = tell(&run_dir, &journal)?;
    if args.json {
        let owner = engine
            .began()
            .map(|began| format!("{}:{}", began.host.name, began.host.pid))
            .unwrap_or_default();
        let tasks = engine.tasks();
        let records: Vec<Record> = tasks
            .filter_map(|status| Some(Record::of(engine.plan().task(status.id)?, &status, &owner)))
            .collect();
        let text = serde_json::to_string_pretty(&records).map_err(super::failure::infra)?;
        terminal.print(&format!("{text}\n"));
        return Ok(0);
    }
    let scrubber = Scrubber::new(Vec::<String>::new());
    if let Some(view) = result_branch::shown(&home.repo, &engine, &history, &scrubber) {
        terminal.print(&crate::report::terminal::summary(
            &view.with_logs_below(run_dir.path()),
            terminal.colour_out(),
        ));
    }
    if let Some(began) = engine.began().filter(|_| engine.verdict().is_none()) {
        let holder = home.store.holder(&began.scope).map_err(super::store)?;
        if holder.is_none_or(|holder| holder.run != began.run) {
            let run = &began.run;
            terminal.print(&format!(
                "  nobody works on it any more; `omk resume {run}` goes on from here\n"
            ));
        }
    }
    Ok(0)
}
