//! `omk plan`: checks the plan and shows what a run would do.

use super::args::{Plan, PlanFormat};
use super::terminal::Terminal;
use super::{Failure, Home, base, plan_file, preflight};
use crate::report::preview::Preview;

pub(super) fn plan(args: &Plan, terminal: &Terminal) -> Result<u8, Failure> {
    let home = Home::find()?;
    let read = plan_file::read(&home, &args.plan)?;
    if args.check {
        return preflight::check(&home, read, terminal);
    }
    let preview = Preview::of(&read.plan);
    let format = if args.json { PlanFormat::Json } else { args.format };
    let text = match format {
        PlanFormat::Table => preview.terminal(),
        PlanFormat::Json => preview.json(),
        PlanFormat::Mermaid => preview.mermaid(),
        PlanFormat::Dot => preview.dot(),
    };
    terminal.print(text.trim_end_matches('\n'));
    terminal.print("\n");
    // A run says these again; it stops where a filter is missing.
    let head = home.repo.resolve("HEAD").map_err(super::git)?;
    base::note_submodules(&home, &head.tree, terminal)?;
    if let Err(missing) = base::refuse_what_git_lacks(&home, &head.tree) {
        terminal.complain(&format!("`omk run` would stop here:\n{}", missing.render()));
    }
    Ok(0)
}
