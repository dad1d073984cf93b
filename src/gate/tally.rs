//! The executions of a gate, and the outcome they add up to.
//!
//! It refuses to call anything a pass that was stopped, or clean that was repeated.

use std::time::Duration;

use super::items::{self, Items};
use super::judge::Judged;
use crate::exec::{Ended, Ending};
use crate::fact::{Containment, GateOutcome, GateVerdict, LogEvidence};
use crate::plan::Gate;
use crate::text;

/// How much of the start of a log is kept as evidence, in bytes.
const HEAD: usize = 4 * 1024;

/// How much of its end, in bytes: failures are summed up there. Both together are what an agent's
/// next prompt quotes.
const TAIL: usize = 16 * 1024;

/// The executions of a gate so far.
pub(super) struct Tally<'a> {
    gate: &'a Gate,
    executions: u32,
    duration: Duration,
    last: Option<(Ending, LogEvidence)>,
    containment: Option<Containment>,
    stragglers: u32,
}

impl<'a> Tally<'a> {
    pub(super) fn new(gate: &'a Gate) -> Self {
        Self {
            gate,
            executions: 0,
            duration: Duration::ZERO,
            last: None,
            containment: None,
            stragglers: 0,
        }
    }

    /// Executions so far.
    pub(super) fn executions(&self) -> u32 {
        self.executions
    }

    pub(super) fn take(&mut self, ended: &Ended, log: LogEvidence) {
        self.executions += 1;
        self.duration = self.duration.saturating_add(ended.duration);
        self.stragglers = self.stragglers.saturating_add(ended.stragglers);
        let so_far = self
            .containment
            .take()
            .unwrap_or_else(|| ended.containment.clone());
        self.containment = Some(so_far.weakest(ended.containment.clone()));
        self.last = Some((ended.ending.clone(), log));
    }

    pub(super) fn is_settled(&self) -> bool {
        match self.last.as_ref().map(|(ending, _)| ending) {
            None => false,
            Some(Ending::Exited(0) | Ending::Stopped) => true,
            Some(Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut | Ending::Hung) => {
                self.executions > self.gate.retries
            }
        }
    }

    pub(super) fn verdict(&self) -> GateVerdict {
        match self.last.as_ref().map(|(ending, _)| ending) {
            None | Some(Ending::Stopped) => GateVerdict::Skipped,
            Some(Ending::Exited(0)) if self.executions == 1 => GateVerdict::Passed,
            Some(Ending::Exited(0)) => GateVerdict::Flaky,
            // Stopped between two executions: the first word was not the last.
            Some(_) if !self.is_settled() => GateVerdict::Skipped,
            Some(Ending::Exited(_) | Ending::Signalled(_)) => GateVerdict::Failed,
            Some(Ending::TimedOut | Ending::Hung) => GateVerdict::TimedOut,
        }
    }

    fn note(&self, verdict: GateVerdict) -> String {
        let executions = self.executions;
        let mut notes = Vec::new();
        match verdict {
            GateVerdict::Flaky => notes.push(format!(
                "flaky: passed on the {} of {executions} executions",
                nth(executions)
            )),
            GateVerdict::TimedOut => {
                notes.push(format!(
                    "ended after its timeout of {}",
                    text::duration(self.gate.timeout)
                ));
            }
            GateVerdict::Skipped if executions > 0 => {
                notes.push("stopped before it was done".to_owned())
            }
            GateVerdict::Skipped => notes.push("did not run".to_owned()),
            GateVerdict::Passed | GateVerdict::Failed | GateVerdict::Reused => {}
        }
        if let (GateVerdict::Failed, Some((Ending::Signalled(signal), _))) = (verdict, &self.last) {
            notes.push(format!("ended by signal {signal}"));
        }
        if self.stragglers > 0 {
            let left = text::plural(self.stragglers as usize, "descendant");
            notes.push(format!("{left} outlived it, ended with it"));
        }
        notes.join("; ")
    }

    pub(super) fn finish(
        self,
        report: Option<(Items, u32)>,
        scrub: &(dyn Fn(&str) -> String + Sync),
    ) -> Judged {
        let verdict = self.verdict();
        let mut note = self.note(verdict);
        let (items, reports) = report.unwrap_or_default();
        let Items {
            mut failing,
            total,
            note: remark,
        } = items;
        if !remark.is_empty() {
            note = if note.is_empty() {
                remark
            } else {
                format!("{note}; {remark}")
            };
        }
        for item in &mut failing {
            item.key = scrub(&item.key);
            item.message = scrub(&item.message);
            if let Some(place) = &mut item.place {
                place.path = scrub(&place.path);
            }
        }
        let (ending, log) = self.last.unzip();
        let exit = match ending {
            Some(Ending::Exited(code)) => Some(code),
            Some(Ending::Signalled(_) | Ending::TimedOut | Ending::Hung | Ending::Stopped)
            | None => None,
        };
        let outcome = GateOutcome {
            gate: self.gate.id.clone(),
            command: self.gate.run.clone(),
            required: self.gate.required,
            verdict,
            against_base: None,
            counts_as_passed: matches!(verdict, GateVerdict::Passed | GateVerdict::Flaky),
            exit,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            attempts: self.executions,
            log,
            failing,
            failing_total: total,
            reports,
            note: scrub(&note),
            room: None,
            reuse: None,
        };
        Judged {
            outcome,
            containment: self.containment,
        }
    }
}

fn nth(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// What a child printed, as evidence. Secrets go before anything is cut, so that none is cut in
/// half.
pub(super) fn evidence(ended: &Ended, path: String, scrub: &dyn Fn(&str) -> String) -> LogEvidence {
    let shown = |bytes: &[u8]| scrub(&text::printable(bytes));
    let captured = ended.head.len() + ended.tail.len();
    let (head, tail) = if u64::try_from(captured).is_ok_and(|captured| captured == ended.bytes)
        || ended.tail.is_empty()
    {
        let whole = shown(&[ended.head.as_slice(), ended.tail.as_slice()].concat());
        if whole.len() <= HEAD + TAIL {
            (whole, String::new())
        } else {
            (first(&whole), last(&whole))
        }
    } else {
        (first(&shown(&ended.head)), last(&shown(&ended.tail)))
    };
    LogEvidence {
        path,
        sha256: ended.log_sha256.clone(),
        bytes: ended.bytes,
        head,
        tail,
    }
}

/// The first whole lines of at most [`HEAD`] bytes.
fn first(text: &str) -> String {
    let start = items::cut(text, HEAD);
    let whole_lines = if start.len() < text.len() {
        start.rfind('\n').map(|end| &start[..=end])
    } else {
        None
    };
    whole_lines.unwrap_or(start).to_owned()
}

/// The last whole lines of at most [`TAIL`] bytes.
fn last(text: &str) -> String {
    let mut begin = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    let end = &text[begin..];
    let whole_lines = if begin > 0 {
        end.find('\n').map(|line| &end[line + 1..])
    } else {
        None
    };
    whole_lines
        .filter(|lines| !lines.is_empty())
        .unwrap_or(end)
        .to_owned()
}

#[cfg(test)]
mod tests;
