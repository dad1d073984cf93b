//! The live tree: all tasks as they stand, in as many lines as there are, over a progress bar.
//!
//! What is under way comes first, what is done is counted once it does not fit. It refuses to know
//! the time and the screen: both are given for each frame, and the same view gives the same frame.

use super::{Colour, Tint, fit, pad, sign};
use crate::fact::RunVerdict;
use crate::id::Moment;
use crate::report::ink;
use crate::report::view::{Mark, TaskStage, TaskView, View};
use crate::text;

/// The room for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns; below 20 counts as 20.
    pub width: usize,
    /// Lines that a frame may have; below 2 counts as 2.
    pub height: usize,
}

/// Frames of one run.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    screen: Screen,
    colour: Colour,
}

/// The signs of something that moves, one for each frame.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// How long a spinner's sign stays, in milliseconds: drivers that draw ten times a second turn it
/// smoothly.
const SPIN_MILLIS: i64 = 100;

impl Live {
    /// Frames for that screen.
    #[must_use]
    pub fn new(screen: Screen, colour: Colour) -> Self {
        let screen = Screen {
            width: screen.width.max(20),
            height: screen.height.max(2),
        };
        Self { screen, colour }
    }

    /// One frame: at most `height` lines of at most `width` columns, without line breaks. The last
    /// one is the bar.
    #[must_use]
    pub fn frame(&self, view: &View, now: Moment) -> Vec<String> {
        let room = self.screen.height - 1;
        let mut tasks: Vec<&TaskView> = view
            .tasks
            .iter()
            .filter(|task| task.stage != TaskStage::LeftOut)
            .collect();
        let mut hidden = Vec::new();
        if tasks.len() > room {
            // Stable: among equals, the plan's order stays.
            tasks.sort_by_key(|task| rank(task));
            hidden = tasks.split_off(room.saturating_sub(1));
        }
        let width = tasks
            .iter()
            .map(|task| task.id.as_str().len())
            .max()
            .unwrap_or(0)
            .min(self.screen.width / 3);
        let mut lines: Vec<String> = tasks
            .iter()
            .map(|task| self.row(task, width, now))
            .collect();
        if !hidden.is_empty() {
            lines.push(self.hidden(&hidden));
        }
        // With room for two lines, the bar is worth more than the count of what is hidden.
        lines.truncate(room);
        lines.push(self.bar(view, now));
        lines
    }

    fn row(&self, task: &TaskView, width: usize, now: Moment) -> String {
        let mark = task.stage.mark();
        let moving = usize::try_from(now.as_millis() / SPIN_MILLIS).unwrap_or(0) % SPINNER.len();
        let sign = if mark == Mark::Busy {
            SPINNER[moving]
        } else {
            sign(mark)
        };
        let id = pad(&fit(task.id.as_str(), width), width);
        let time = ink::task_time(task, Some(now)).map_or_else(String::new, text::duration);
        let mut words = match &task.stage {
            TaskStage::Pending {
                until: Some(until), ..
            } if *until > now => {
                format!(
                    "again in {}; {}",
                    text::duration(until.since(now)),
                    ink::why(task)
                )
            }
            TaskStage::Completed { .. } | TaskStage::Cancelled { .. } => {
                format!("{} · {}", task.stage.as_str(), ink::why(task))
            }
            TaskStage::LeftOut
            | TaskStage::Pending { .. }
            | TaskStage::Claimed
            | TaskStage::Running { .. }
            | TaskStage::Failed => ink::why(task),
        };
        if mark == Mark::Busy && task.attempts > 1 {
            words = format!("{words} · attempt {}", task.attempts);
        }
        if mark == Mark::Busy && task.tokens.total() > 0 {
            words = format!("{words} · {} tokens", ink::tokens(task.tokens));
        }
        // A sign, a blank, the id, two blanks, nine of time, two blanks; the rest is for words.
        let rest = self.screen.width.saturating_sub(width + 2 + 2 + 9 + 2);
        let words = fit(&ink::line(&words, 400), rest);
        let words = if mark == Mark::Busy {
            words
        } else {
            self.colour.paint(Tint::Dim, &words)
        };
        format!(
            "{} {id}  {time:>9}  {words}",
            self.colour.paint(Tint::Of(mark), sign)
        )
        .trim_end()
        .to_owned()
    }

    fn hidden(&self, tasks: &[&TaskView]) -> String {
        let count =
            |mark: fn(&TaskStage) -> bool| tasks.iter().filter(|task| mark(&task.stage)).count();
        let words: Vec<String> = [
            (count(|stage| stage.mark() == Mark::Busy), "running"),
            (
                count(|stage| matches!(stage, TaskStage::Pending { .. })),
                "pending",
            ),
            (count(|stage| stage.mark() == Mark::Bad), "failed"),
            (
                count(|stage| matches!(stage, TaskStage::Cancelled { .. })),
                "cancelled",
            ),
            (count(|stage| stage.mark() == Mark::Good), "completed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        self.colour.paint(
            Tint::Dim,
            &fit(
                &format!("… {} more: {}", tasks.len(), words.join(", ")),
                self.screen.width,
            ),
        )
    }

    fn bar(&self, view: &View, now: Moment) -> String {
        let count = view.count();
        let mut words = vec![format!("{}/{}", count.settled(), count.all)];
        if count.failed > 0 {
            words.push(format!("{} failed", count.failed));
        }
        words.extend(ink::run_time(view, Some(now)).map(text::duration));
        let spent = ink::spent(view.tokens, view.cost_micro_usd);
        if !spent.is_empty() {
            words.push(spent);
        }
        words.extend(
            view.verdict
                .filter(|verdict| *verdict != RunVerdict::Ready)
                .map(|verdict| verdict.as_str().replace('_', " ")),
        );
        let words = fit(&words.join("  "), self.screen.width);
        let room = self
            .screen
            .width
            .saturating_sub(unicode_width::UnicodeWidthStr::width(words.as_str()) + 2)
            .min(40);
        if room < 8 {
            return words;
        }
        let done = (room * count.settled())
            .checked_div(count.all)
            .unwrap_or(0)
            .min(room);
        let mark = if count.failed > 0 {
            Mark::Bad
        } else {
            Mark::Good
        };
        let (full, empty) = ("━".repeat(done), "─".repeat(room - done));
        format!(
            "{}{}  {words}",
            self.colour.paint(Tint::Of(mark), &full),
            self.colour.paint(Tint::Dim, &empty)
        )
    }
}

/// What a person wants to see first.
fn rank(task: &TaskView) -> u8 {
    match (&task.stage, task.stage.mark()) {
        (_, Mark::Busy) => 0,
        (_, Mark::Bad) => 1,
        (TaskStage::Pending { until: Some(_), .. }, _) => 2,
        (_, Mark::Good | Mark::Doubtful) => 4,
        (TaskStage::Cancelled { .. }, Mark::Idle) => 5,
        (_, Mark::Idle) => 3,
    }
}
