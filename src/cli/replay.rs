//! `omk replay`: folds a journal through the engine again, checks every order, and prints the
//! timeline.

use std::fmt::Write as _;

use super::args::Replay;
use super::resume::{RecordedRun, tell};
use super::terminal::Terminal;
use super::{CommandFailure, Home};
use crate::fact::{Fact, Order, Outcome, Session};
use crate::id::Moment;
use crate::text;

pub(super) fn replay(args: &Replay, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let run_dir = home.run_dir(args.run.as_deref())?;
    let journal = run_dir.journal().map_err(super::store)?;
    let RecordedRun { engine, history } = tell(&run_dir, &journal)?;
    let mut out = String::new();
    let begin = journal
        .lines
        .first()
        .map_or_else(Moment::default, |line| line.at);
    for line in &journal.lines {
        if args.json {
            let json = serde_json::to_string(line).map_err(super::failure::infra)?;
            out.push_str(&json);
        } else {
            let at = text::duration(line.at.since(begin));
            let _ = write!(out, "{at:>9}  {}", in_words(&line.fact));
            for order in &line.orders {
                let _ = write!(out, "\n{:>9}  -> {}", "", order_in_words(order));
            }
        }
        out.push('\n');
    }
    terminal.print(&out);
    for warning in &history.warnings {
        terminal.complain(&format!("warning: {warning}\n"));
    }
    let verdict = engine
        .verdict()
        .map_or("not over", crate::fact::RunVerdict::as_str);
    terminal.complain(&format!(
        "{}, chained without a gap; the engine gives every order as recorded; verdict: {verdict}\n",
        text::plural(journal.lines.len(), "line")
    ));
    Ok(0)
}

fn in_words(fact: &Fact) -> String {
    match fact {
        Fact::Began(began) => format!(
            "run {} began, {}",
            began.run,
            text::plural(began.selected.len(), "task")
        ),
        Fact::TookUp { host, .. } => format!("process {} on {} took it up", host.pid, host.name),
        Fact::Prepared {
            task,
            attempt,
            base,
            ..
        } => format!("{task}/{attempt} on {}", base.commit.short()),
        Fact::Renewed { task, attempt } => format!("{task}/{attempt} lives"),
        Fact::Asked {
            task,
            attempt,
            tokens,
            ..
        } => {
            format!(
                "{task}/{attempt} asks the model, with about {} tokens",
                tokens.total()
            )
        }
        Fact::Answered {
            task,
            attempt,
            tokens,
            ..
        } => {
            format!(
                "{task}/{attempt} was answered, for {} tokens",
                tokens.total()
            )
        }
        Fact::Worked {
            task,
            attempt,
            outcome,
            ..
        } => format!("{task}/{attempt} {}", outcome_in_words(outcome)),
        Fact::Landed { task, attempt, tip } => {
            format!("{task}/{attempt} landed as {}", tip.commit.short())
        }
        Fact::Clashed {
            task,
            attempt,
            paths,
            ..
        } => {
            format!(
                "{task}/{attempt} does not merge, in {}",
                text::plural(paths.len(), "path")
            )
        }
        Fact::Woke => "woke".to_owned(),
        Fact::Judged { prefix, gates, .. } => {
            let passed = gates.iter().filter(|gate| gate.counts_as_passed).count();
            format!(
                "{prefix} landings judged: {passed} of {} passed",
                text::plural(gates.len(), "gate")
            )
        }
        Fact::Preflighted { gates, .. } => {
            let passed = gates.iter().filter(|gate| gate.counts_as_passed).count();
            format!(
                "the base judged: {passed} of {} passed",
                text::plural(gates.len(), "gate")
            )
        }
        Fact::Rebuilt { landings, .. } => {
            format!(
                "the result stands anew, with {}",
                text::plural(landings.len(), "task")
            )
        }
        Fact::Placed {
            trouble: Some(trouble),
        } => trouble.message.clone(),
        Fact::Placed { trouble: None } => "the result's branch is at the result".to_owned(),
        Fact::Limited { limit } => format!("limit used up: {limit:?}").to_lowercase(),
        Fact::Stopped { signal } => format!("stopped by {signal}"),
        Fact::Cancelled { tasks } if tasks.is_empty() => "cancelled".to_owned(),
        Fact::Cancelled { tasks } => format!("{} cancelled", text::plural(tasks.len(), "task")),
    }
}

fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed(change) => format!("changed {}", text::plural(change.paths.len(), "path")),
        Outcome::Unchanged => "changed nothing".to_owned(),
        Outcome::Failed(failure) => {
            let first = failure.message.lines().next().unwrap_or_default();
            let advice = failure
                .advice
                .as_deref()
                .map(|advice| text::clip(advice, 100));
            format!(
                "failed ({}): {}",
                failure.class,
                text::with_advice(&text::clip(first, 100), advice.as_deref())
            )
        }
        Outcome::Interrupted => "was interrupted".to_owned(),
    }
}

fn order_in_words(order: &Order) -> String {
    match order {
        Order::Start {
            task,
            attempt,
            session,
            onto,
            ..
        } => {
            let onto: Vec<&str> = onto.iter().map(crate::id::TaskId::as_str).collect();
            let onto = if onto.is_empty() {
                String::new()
            } else {
                format!(" on top of {}", onto.join(", "))
            };
            let session = if *session == Session::Resumed {
                ", same session"
            } else {
                ""
            };
            format!("start {task}/{attempt}{onto}{session}")
        }
        Order::Land { task, attempt } => format!("land {task}/{attempt}"),
        Order::End { task, attempt } => format!("end {task}/{attempt}"),
        Order::Wake { at } => format!("wake at {}", at.to_utc().format("%H:%M:%S%.3f")),
        Order::Judge { prefix } => format!(
            "judge the first {}",
            text::plural(*prefix as usize, "landing")
        ),
        Order::Preflight => "judge the base".to_owned(),
        Order::Rebuild { without } => {
            format!("rebuild without {}", text::plural(without.len(), "task"))
        }
        Order::Conclude { verdict } => format!("conclude: {}", verdict.as_str()),
    }
}
