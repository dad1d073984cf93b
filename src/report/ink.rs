//! Small words that all renderings share: sums, clipped lines, marks.
//!
//! It refuses to know any markup; escaping is each rendering's own last step.

use std::time::Duration;

use super::view::{TaskView, View};
use crate::fact::{Failure, Tokens};
use crate::id::Moment;
use crate::text;

pub(super) use crate::text::clip;

/// Text as one line without control characters, escape sequences and doubled blanks, clipped to
/// `most` characters.
pub(super) fn line(text: &str, most: usize) -> String {
    // Cut before it is looked at: a message may be long. Four times, for blanks and sequences go
    // away.
    let start: String = text
        .chars()
        .take(most.saturating_mul(4).saturating_add(64))
        .collect();
    let words = text::escape_invisible(&text::printable(start.as_bytes()));
    text::clip(
        &words.split_whitespace().collect::<Vec<_>>().join(" "),
        most,
    )
}

/// The last `most` characters.
pub(super) fn end(text: &str, most: usize) -> &str {
    match text.char_indices().rev().nth(most.saturating_sub(1)) {
        Some((begin, _)) if most > 0 => &text[begin..],
        Some(_) => "",
        None => text,
    }
}

/// The first line of a message that says something, and the rest for whoever has room.
pub(super) fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
}

/// `1.2M`, `34k`, `560`.
pub(super) fn tokens(tokens: Tokens) -> String {
    number(tokens.total())
}

/// `1.2M`, `34k`, `560`.
#[must_use]
pub fn number(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..10_000 => format!("{}.{}k", count / 1_000, count / 100 % 10),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000.. => format!("{}.{}M", count / 1_000_000, count / 100_000 % 10),
    }
}

/// `$3.21`, `$0.004`: millionths of a USD, rounded up to cents where it is a cent or more.
pub(super) fn money(micro_usd: u64) -> String {
    if micro_usd == 0 {
        return "$0".to_owned();
    }
    if micro_usd < 10_000 {
        let mils = micro_usd.div_ceil(1_000);
        return format!("$0.{mils:03}");
    }
    let cents = micro_usd.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// What a run or task used: `1.2M tokens, $3.21`; empty where nothing.
pub(super) fn spent(used: Tokens, cost_micro_usd: Option<u64>) -> String {
    if used.total() == 0 {
        return String::new();
    }
    let cost = cost_micro_usd.map_or_else(String::new, |cost| format!(", {}", money(cost)));
    format!("{} tokens{cost}", tokens(used))
}

/// How long a run has taken, as of `now` where it has not ended.
pub(super) fn run_time(view: &View, now: Option<Moment>) -> Option<Duration> {
    view.ended.or(now).map(|ended| ended.since(view.started))
}

/// How long a task has taken, as of `now` where it has not ended; `None` where it has not begun.
pub(super) fn task_time(task: &TaskView, now: Option<Moment>) -> Option<Duration> {
    let started = task.started?;
    task.ended.or(now).map(|ended| ended.since(started))
}

/// A failure with its class before it, unless it says so itself: "timeout: …", "gate `test`
/// failed".
pub(super) fn failure(failure: &Failure) -> String {
    let (class, message) = (failure.class.as_str(), failure.message.trim_start());
    if message.starts_with(class) {
        message.to_owned()
    } else {
        format!("{class}: {message}")
    }
}

/// What went wrong, and on a line of its own what a person can do about it.
pub(super) fn advised(said: &str, failure: &Failure) -> String {
    failure.advice.iter().fold(said.to_owned(), |said, advice| {
        format!("{said}\nhint: {advice}")
    })
}

/// Why a task is where it is, in one clause; empty where nothing is to be said.
pub(super) fn why(task: &TaskView) -> String {
    use super::TaskStage;
    let failure = || {
        let failure = task.failure.as_ref();
        failure.map_or_else(String::new, |failure| {
            first_line(&self::failure(failure)).to_owned()
        })
    };
    match &task.stage {
        TaskStage::LeftOut => "not selected".to_owned(),
        TaskStage::Pending { waits, until: None } if task.retry_count == 0 => waits.clone(),
        TaskStage::Pending { waits, .. } if waits.is_empty() => failure(),
        TaskStage::Pending { waits, .. } => format!("{waits}; {}", failure()),
        TaskStage::Claimed => "preparing".to_owned(),
        TaskStage::Running { doing } => doing.clone(),
        TaskStage::Completed {
            ejected: Some(ejected),
            ..
        } => {
            let gate = ejected
                .gate
                .as_ref()
                .map_or_else(|| "the gates".to_owned(), |gate| format!("gate `{gate}`"));
            format!("taken out: {gate} failed with it")
        }
        TaskStage::Completed {
            landed: None,
            ejected: None,
        } => "no change".to_owned(),
        TaskStage::Completed { .. } => text::plural(task.paths.len(), "file"),
        TaskStage::Failed => failure(),
        TaskStage::Cancelled { why } => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_never_understated() {
        assert_eq!(money(0), "$0");
        assert_eq!(money(1), "$0.001");
        assert_eq!(money(3_210_001), "$3.22");
        assert_eq!(money(1_000_000), "$1.00");
    }

    #[test]
    fn numbers_stay_short() {
        let shown: Vec<String> = [999, 1_234, 34_567, 1_250_000]
            .into_iter()
            .map(number)
            .collect();
        assert_eq!(shown, ["999", "1.2k", "34k", "1.2M"]);
    }

    #[test]
    fn the_end_of_a_text_is_cut_between_characters() {
        assert_eq!(end("aäö", 2), "äö");
        assert_eq!(end("aäö", 9), "aäö");
        assert_eq!(end("aäö", 0), "");
    }
}
