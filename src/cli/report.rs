//! `omk report`: a run, rendered.

use super::args::{OutputFormat, Report};
use super::resume::{RecordedRun, tell};
use super::terminal::Terminal;
use super::{CommandFailure, Home, result_branch};
use crate::report::{self, html, json, junit, markdown};
use crate::text::Scrubber;

pub(super) fn report(args: &Report, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    let journal = run_dir.journal().map_err(super::store)?;
    let RecordedRun {
        engine,
        mut history,
    } = tell(&run_dir, &journal)?;
    if let Some(began) = engine.began() {
        history
            .warnings
            .extend(result_branch::taken_off(&home.repo, began, &engine));
    }
    let scrubber = Scrubber::new(Vec::<String>::new());
    let Some(view) = result_branch::shown(&home.repo, &engine, &history, &scrubber) else {
        return Ok(0);
    };
    let format = if args.json {
        OutputFormat::Json
    } else {
        args.format
    };
    let text = match format {
        OutputFormat::Terminal => {
            report::terminal::summary(&view.with_logs_below(run_dir.path()), terminal.colour_out())
        }
        OutputFormat::Markdown => markdown::render(&view, markdown::COMMENT_LIMIT),
        OutputFormat::Html => html::render(&view),
        OutputFormat::Json => json::render(&view),
        OutputFormat::Junit => junit::render(&view),
    };
    terminal.print(text.trim_end_matches('\n'));
    terminal.print("\n");
    Ok(0)
}
