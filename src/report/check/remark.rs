//! Remarks: failing items at their lines, as many as the forge can be told.

use super::gate::end_of;
use super::gate_name;
use crate::fact::{AgainstBase, GateOutcome, ItemLevel, Location};
use crate::report::ink;
use crate::report::view::View;
use crate::text;

/// What is wrong at some lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRemark {
    /// Where.
    pub place: Location,
    /// How bad: an error only where a required gate says no.
    pub level: ItemLevel,
    /// The check that it is of: `omk / test`.
    pub check: String,
    /// The failing item, if it has a name.
    pub item: Option<String>,
    /// The gate and the failing item, or where in the plan.
    pub title: String,
    /// What it says.
    pub message: String,
    /// What to do about it, where omk knows.
    pub hint: Option<String>,
}

impl CheckRemark {
    /// What it says and what to do about it, each on lines of its own.
    #[must_use]
    pub fn words(&self) -> String {
        self.hint.iter().fold(self.message.clone(), |said, hint| {
            format!("{said}\nhint: {hint}")
        })
    }
}

/// What is wrong at which lines, of all gates on the result: what [`super::gates`] says in its checks, and
/// at most `most` of it, those that decide first.
#[must_use]
pub fn all_remarks(view: &View, most: usize) -> Vec<CheckRemark> {
    let mut order: Vec<&GateOutcome> = view.gates.iter().collect();
    order.sort_by_key(|gate| (std::cmp::Reverse(end_of(gate)), !gate.required));
    let mut room = most;
    order
        .into_iter()
        .flat_map(|gate| remarks(gate, &mut room))
        .collect()
}

/// The failing items that have a place, as far as there is room.
pub(super) fn remarks(gate: &GateOutcome, room: &mut usize) -> Vec<CheckRemark> {
    let most = match (gate.against_base, gate.required && !gate.counts_as_passed) {
        (Some(AgainstBase::PreExisting), _) => ItemLevel::Notice,
        (Some(AgainstBase::Broke | AgainstBase::Fixed) | None, true) => ItemLevel::Error,
        (Some(AgainstBase::Broke | AgainstBase::Fixed) | None, false) => ItemLevel::Warning,
    };
    let placed = gate
        .failing
        .iter()
        .filter_map(|item| Some((item, item.place.as_ref()?)));
    let sound = placed.filter(|(_, place)| is_in_the_tree(&place.path) && place.line > 0);
    let remarks: Vec<CheckRemark> = sound
        .take(*room)
        .map(|(item, place)| CheckRemark {
            place: Location {
                end_line: place.end_line.max(place.line),
                ..place.clone()
            },
            // A gate that passed only warns, and of what its tool calls a notice it does not even
            // that.
            level: if gate.counts_as_passed {
                item.level.milder(most)
            } else {
                most
            },
            check: gate_name(gate.gate.as_str()),
            item: Some(ink::line(&item.key, 200)),
            title: ink::line(&format!("{}: {}", gate.gate, item.key), 200),
            hint: None,
            // An annotation is plain text to GitHub, up to 64 KiB.
            message: text::clip_lines(
                &text::escape_invisible(&text::printable(item.message.as_bytes())),
                100,
                8_000,
            ),
        })
        .map(|remark| {
            if remark.message.trim().is_empty() {
                CheckRemark {
                    message: remark.title.clone(),
                    ..remark
                }
            } else {
                remark
            }
        })
        .collect();
    *room -= remarks.len();
    remarks
}

/// GitHub refuses a whole request for one path that is none of the repository's.
pub(in crate::report) fn is_in_the_tree(path: &str) -> bool {
    let plain = !path.chars().any(char::is_control) && path.len() <= 1_000;
    plain
        && path
            .parse::<crate::id::RepoPath>()
            .is_ok_and(|parsed| parsed.as_bytes() == path.as_bytes())
}

/// How many failing items have no remark.
pub(super) fn left_out(gate: &GateOutcome, shown: usize) -> String {
    match (gate.failing_total as usize).saturating_sub(shown) {
        0 => String::new(),
        more if shown == 0 => format!(
            "\n{} not shown at a line.\n",
            text::plural(more, "failing item")
        ),
        more => format!("\n{shown} failing items are shown at their lines, {more} more are not.\n"),
    }
}
