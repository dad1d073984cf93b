//! `omk plan`: checks the plan and shows what a run would do, and what would go wrong here.

use super::args::{Plan, PlanFormat};
use super::needs::{self, NeedsContext};
use super::run::say_notes;
use super::session::shepherd;
use super::terminal::Terminal;
use super::{CommandFailure, Home, base, plan_file, preflight};
use crate::report::checkup::Health;
use crate::report::preview::{Preview, PreviewHere, PreviewUncommitted};
use crate::text::Scrubber;

pub(super) fn plan(args: &Plan, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let read = plan_file::read(&home, &args.plan)?;
    if args.check {
        return preflight::check(&home, read, terminal);
    }
    let head = home.repo.resolve("HEAD").map_err(super::git)?;
    let ground = NeedsContext::of_plan(&home, &read.plan, &head.tree);
    // omk keeps its secrets here: a plan may come through a pipe, which a second omk could not read
    // again. The one child that may be started does nothing, and gets none of them.
    let (mut all, failed) = match needs::look_now(&ground, &shepherd(Scrubber::default())?) {
        Ok(all) => (all, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let changes = home.repo.uncommitted(&read.path);
    all.push(base::uncommitted(&changes));
    let submodules = home.repo.submodules(&head.tree).map_err(super::git)?;
    let points = all
        .iter()
        .flat_map(|found| &found.points)
        .filter(|point| point.state != Health::Ok)
        .cloned()
        .collect();
    let uncommitted = PreviewUncommitted {
        tracked: changes.tracked,
        untracked: changes.untracked,
        first: changes.first,
    };
    let preview = Preview::of(&read.plan)
        .with_submodules(&read.plan, &submodules)
        .seen_here(PreviewHere {
            points,
            uncommitted,
        });
    let format = if args.json {
        PlanFormat::Json
    } else {
        args.format
    };
    let text = match format {
        PlanFormat::Table => preview.terminal(),
        PlanFormat::Json => preview.json(),
        PlanFormat::Mermaid => preview.mermaid(),
        PlanFormat::Dot => preview.dot(),
    };
    terminal.print(text.trim_end_matches('\n'));
    terminal.print("\n");
    match failed.map_or_else(|| needs::notes_of(all), Err) {
        Ok(notes) => say_notes(&notes, terminal),
        Err(missing) => {
            terminal.complain(&format!("`omk run` would stop here:\n{}", missing.render()))
        }
    }
    Ok(0)
}
