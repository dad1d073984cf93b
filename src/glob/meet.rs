//! Whether two alternatives have a path in common: a walk through the product of their positions.
//!
//! It refuses to go on for ever: what is not settled after [`MAX_STEPS`] counts as meeting, since a
//! missed overlap would let two tasks write the same file.

use super::component::{CharSet, Component, GlobToken};

/// Pairs of positions visited for one pair of globs: about a millisecond, and a hundred times what
/// two globs with a dozen alternatives each need.
pub(super) const MAX_STEPS: u32 = 1 << 18;

/// What is left of [`MAX_STEPS`].
pub(super) struct StepBudget(u32);

impl StepBudget {
    pub(super) fn new() -> Self {
        Self(MAX_STEPS)
    }

    /// Takes `count` steps; `false` where they are used up.
    fn take(&mut self, count: usize) -> bool {
        let left = u32::try_from(count)
            .ok()
            .and_then(|count| self.0.checked_sub(count));
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Whether some path matches both alternatives, where each also means all below what it matches.
pub(super) fn paths_meet(one: &[Component], other: &[Component], steps: &mut StepBudget) -> bool {
    // Row `i`, column `j`: some path is matched by the first `i` and by the first `j` components.
    let mut row = vec![false; other.len() + 1];
    row[0] = true;
    for mine in one {
        let mut next = vec![false; other.len() + 1];
        for (at, theirs) in other.iter().enumerate() {
            if !steps.take(1) {
                return true;
            }
            if !row[at] {
                continue;
            }
            if *mine == Component::Deep || *theirs == Component::Deep {
                // It stands for nothing more, or for one more component of the other.
                next[at] = true;
                row[at + 1] = true;
            } else if components_meet(mine, theirs, steps) {
                next[at + 1] = true;
            }
        }
        // All of `other` has matched a directory; whatever is left of `one` lies below it.
        if row[other.len()] {
            return true;
        }
        if !next.contains(&true) {
            return false;
        }
        row = next;
    }
    // All of `one` has matched a directory, and so on.
    row.contains(&true)
}

/// Whether one component of a path can match both; neither is `**`.
fn components_meet(one: &Component, other: &Component, steps: &mut StepBudget) -> bool {
    match (one, other) {
        (Component::Deep, _) | (_, Component::Deep) => true,
        (Component::Literal(mine), Component::Literal(theirs)) => mine == theirs,
        (Component::Literal(text), pattern @ Component::Pattern(_))
        | (pattern @ Component::Pattern(_), Component::Literal(text)) => {
            !steps.take(stars(pattern).max(1) * text.len()) || pattern.matches(text.as_bytes())
        }
        (Component::Pattern(mine), Component::Pattern(theirs)) => {
            patterns_meet(mine, theirs, steps)
        }
    }
}

/// How often matching may begin anew.
fn stars(pattern: &Component) -> usize {
    match pattern {
        Component::Pattern(tokens) => tokens
            .iter()
            .filter(|token| **token == GlobToken::Star)
            .count(),
        Component::Deep | Component::Literal(_) => 0,
    }
}

fn patterns_meet(one: &[GlobToken], other: &[GlobToken], steps: &mut StepBudget) -> bool {
    let mut row = vec![false; other.len() + 1];
    row[0] = true;
    for mine in one {
        if !steps.take(other.len()) {
            return true;
        }
        let mut next = vec![false; other.len() + 1];
        for (at, theirs) in other.iter().enumerate() {
            if !row[at] {
                continue;
            }
            if *mine == GlobToken::Star || *theirs == GlobToken::Star {
                next[at] = true;
                row[at + 1] = true;
            } else if tokens_meet(mine, theirs) {
                next[at + 1] = true;
            }
        }
        // With nothing left on the other side, only a star can be passed.
        next[other.len()] |= row[other.len()] && *mine == GlobToken::Star;
        row = next;
    }
    // With nothing left on this side, the other's stars are passed.
    for (at, theirs) in other.iter().enumerate() {
        row[at + 1] |= row[at] && *theirs == GlobToken::Star;
    }
    row[other.len()]
}

/// Whether one character can match both; neither is a star.
fn tokens_meet(one: &GlobToken, other: &GlobToken) -> bool {
    match (one, other) {
        (GlobToken::Any | GlobToken::Star, _) | (_, GlobToken::Any | GlobToken::Star) => true,
        (GlobToken::Char(mine), GlobToken::Char(theirs)) => mine == theirs,
        (GlobToken::Char(single), GlobToken::Class(class))
        | (GlobToken::Class(class), GlobToken::Char(single)) => class.contains(*single),
        (GlobToken::Class(mine), GlobToken::Class(theirs)) => classes_meet(mine, theirs),
    }
}

fn classes_meet(one: &CharSet, other: &CharSet) -> bool {
    match (one.negated, other.negated) {
        (false, false) => one
            .ranges
            .iter()
            .any(|&mine| other.ranges.iter().any(|&theirs| overlap(mine, theirs))),
        (false, true) => !within(&one.ranges, &other.ranges),
        (true, false) => !within(&other.ranges, &one.ranges),
        // A byte that is no character is in both.
        (true, true) => true,
    }
}

fn overlap(one: (char, char), other: (char, char)) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

/// Whether all of `inner` lies in `outer`. Both are sorted and merged, so each range must lie in a
/// single one.
fn within(inner: &[(char, char)], outer: &[(char, char)]) -> bool {
    inner
        .iter()
        .all(|&(low, high)| outer.iter().any(|&(from, to)| from <= low && high <= to))
}
