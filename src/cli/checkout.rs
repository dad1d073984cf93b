//! The user's checkout, out of the reach of children: what leads into it is named before a run or a
//! judgement starts.
//!
//! It refuses to start anything beside such a thing, whatever the room's level is.

use std::path::PathBuf;

use super::needs::{NeedFinding, NeedsContext};
use super::session::cache_dir;
use super::{CommandFailure, FailureKind, Home};
use crate::exec::environment::Caller;
use crate::report::checkup::Point;
use crate::text;
use crate::work::checkout::{Lead, leads, off_path};

/// How many are named at once. A user who has more of them starts with these.
const NAMED: usize = 5;

/// What to do about those that are not named.
const SEE_ABOVE: &str = "see to the ones above, then ask again";

/// The environment that children's is made from.
pub(super) fn caller(home: &Home) -> Caller {
    off_path(&Caller::read(), &tops(home))
}

/// The directories in which the user has the repository checked out.
fn tops(home: &Home) -> Vec<PathBuf> {
    home.repo
        .checkouts()
        .unwrap_or_else(|_| vec![home.repo.workdir().to_owned()])
}

/// Looks for tools that children use, and that lead into the checkout.
pub(super) fn look(ground: &NeedsContext<'_>) -> Result<NeedFinding, CommandFailure> {
    let cache = cache_dir(&ground.caller)?;
    let found = leads(&ground.caller, ground.plan, &tops(ground.home), &cache);
    Ok(NeedFinding::new(points(&found), || refusal(found)))
}

fn refusal(found: Vec<Lead>) -> CommandFailure {
    let named: Vec<&str> = found
        .iter()
        .take(NAMED)
        .map(|lead| lead.what.as_str())
        .collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let what = format!(
        "gates and commands would see your checkout, and not the change that they judge: {}{more}",
        named.join("; ")
    );
    let mut hints: Vec<String> = found
        .into_iter()
        .take(NAMED)
        .map(|lead| lead.next)
        .collect();
    hints.dedup();
    hints.into_iter().fold(
        CommandFailure::new(FailureKind::Blocked, what),
        CommandFailure::hint,
    )
}

/// What `omk doctor` says of it.
fn points(found: &[Lead]) -> Vec<Point> {
    const CHECK: &str = "checkout";
    if found.is_empty() {
        return vec![Point::ok(CHECK, "no tool that children use leads into it")];
    }
    let shown = found
        .iter()
        .take(NAMED)
        .map(|lead| Point::missing(CHECK, lead.what.clone(), vec![lead.next.clone()]));
    let mut points: Vec<Point> = shown.collect();
    if let Some(more) = found.len().checked_sub(NAMED + 1) {
        points.push(Point::missing(
            CHECK,
            format!("{} more of the kind", text::plural(more + 1, "tool")),
            vec![SEE_ABOVE.to_owned()],
        ));
    }
    points
}
