//! The base's say: whether a failing gate fails on anything that did not fail before.
//!
//! It refuses to forgive what it cannot compare: a timeout, a death by signal, a missing or clipped
//! report, an empty list. Where nothing can be said, nothing is.

use std::collections::HashSet;

use crate::fact::{AgainstBase, FailingItem, GateOutcome, GateVerdict};
use crate::plan::Baseline;

/// Exit codes from here on are the shell's way to say "ended by a signal".
const SIGNALLED: i32 = 128;

/// The outcome on the change, with what the outcome of the same gate on the base says about it:
/// `against_base`, `counts_as_passed`, and a note for people.
#[must_use]
pub fn compare(mut change: GateOutcome, base: &GateOutcome, baseline: Baseline) -> GateOutcome {
    let (against, note) = against(&change, base);
    change.against_base = against;
    if against == Some(AgainstBase::PreExisting) {
        change.counts_as_passed = baseline == Baseline::Allow;
    }
    if !note.is_empty() {
        let so_far = std::mem::take(&mut change.note);
        change.note = if so_far.is_empty() {
            note
        } else {
            format!("{so_far}; {note}")
        };
    }
    change
}

fn against(change: &GateOutcome, base: &GateOutcome) -> (Option<AgainstBase>, String) {
    if change.gate != base.gate || change.command != base.command {
        return (None, "the base was judged by another gate".to_owned());
    }
    match (change.verdict, base.verdict) {
        (
            GateVerdict::Passed | GateVerdict::Reused,
            GateVerdict::Failed | GateVerdict::TimedOut,
        ) => (Some(AgainstBase::Fixed), String::new()),
        (
            GateVerdict::Failed | GateVerdict::TimedOut,
            GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused,
        ) => (Some(AgainstBase::Broke), String::new()),
        (GateVerdict::Failed, GateVerdict::Failed) => both_failed(change, base),
        (GateVerdict::Failed, GateVerdict::TimedOut)
        | (GateVerdict::TimedOut, GateVerdict::Failed) => (
            None,
            "it fails on the base too, and a timeout cannot be compared".to_owned(),
        ),
        (GateVerdict::TimedOut, GateVerdict::TimedOut) => (
            None,
            "it times out on the base too, which is not forgiven".to_owned(),
        ),
        (GateVerdict::Skipped, _)
        | (_, GateVerdict::Skipped)
        | (GateVerdict::Flaky, _)
        | (
            GateVerdict::Passed | GateVerdict::Reused,
            GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused,
        ) => (None, String::new()),
    }
}

/// Both failed: what is new decides.
fn both_failed(change: &GateOutcome, base: &GateOutcome) -> (Option<AgainstBase>, String) {
    if change.failing.is_empty() || base.failing.is_empty() {
        return (
            None,
            "it fails on the base too, but without a report on both sides nothing is forgiven"
                .to_owned(),
        );
    }
    let known: HashSet<&str> = base.failing.iter().map(|item| item.key.as_str()).collect();
    let new: Vec<&FailingItem> = change
        .failing
        .iter()
        .filter(|item| !known.contains(item.key.as_str()))
        .collect();
    // An item that is not among those kept of the base may be among those that were only counted.
    if !new.is_empty() && !is_clipped(base) {
        return (
            Some(AgainstBase::Broke),
            format!("{} not on the base, the first: {}", new.len(), new[0].key),
        );
    }
    if is_clipped(change) || is_clipped(base) {
        return (
            None,
            "it fails on the base too, on too many items to compare".to_owned(),
        );
    }
    if change.reports < base.reports {
        return (
            None,
            "it fails on the base too, and left fewer reports than there".to_owned(),
        );
    }
    if change.exit.is_none_or(|exit| exit >= SIGNALLED) {
        return (
            None,
            "it was ended by a signal, and its report may hold only a part".to_owned(),
        );
    }
    if change.exit != base.exit {
        let (now, before) = (shown(change.exit), shown(base.exit));
        return (
            None,
            format!(
                "it ended with {now} and not with {before} as on the base, and its report may hold only a part"
            ),
        );
    }
    let count = change.failing.len();
    (
        Some(AgainstBase::PreExisting),
        format!("all {count} failing on the base too"),
    )
}

fn shown(exit: Option<i32>) -> String {
    exit.map_or_else(|| "a signal".to_owned(), |code| code.to_string())
}

fn is_clipped(outcome: &GateOutcome) -> bool {
    usize::try_from(outcome.failing_total).is_ok_and(|total| total > outcome.failing.len())
}
