//! What a person sees while a run goes on: a live tree on a terminal, plain lines elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::terminal::Terminal;
use crate::clock::Clock;
use crate::drive::Taken;
use crate::engine::{Engine, TaskState, WaitReason};
use crate::fact::{AgainstBase, Fact, GateOutcome, Order, Outcome};
use crate::history::History;
use crate::id::{Moment, TaskId};
use crate::report::terminal::{Colour, Live, ProgressEvent, line};
use crate::report::{View, gate_mark};
use crate::text::Scrubber;
use crate::work::Listener;

/// How often a live view is drawn: often enough for a spinner that turns.
const FRAME: Duration = Duration::from_millis(100);

/// How often a follower is given a new view: making one costs more than a turn where tasks are
/// many.
const FOLLOWED: Duration = Duration::from_secs(5);

/// Listens to a run and shows it.
pub(super) struct TerminalProgress {
    terminal: Terminal,
    colour: Colour,
    began: Option<Moment>,
    warned: usize,
    live: Option<Drawing>,
    scrub: Scrubber,
    follower: Option<Follower>,
}

/// Somebody who is shown the whole run now and then.
struct Follower {
    views: watch::Sender<Option<View>>,
    shown: Option<Moment>,
}

/// A live view that is drawn over itself.
struct Drawing {
    shared: Arc<Mutex<Drawn>>,
    painter: tokio::task::JoinHandle<()>,
}

struct Drawn {
    terminal: Terminal,
    live: Live,
    view: Option<View>,
    lines: usize,
}

impl TerminalProgress {
    /// `views` is given the run as people may see it, every few seconds.
    pub(super) fn new(
        terminal: Terminal,
        scrubber: &Scrubber,
        clock: Clock,
        views: Option<watch::Sender<Option<View>>>,
    ) -> Self {
        let colour = terminal.colour_err();
        let live = terminal.screen().map(|screen| {
            let drawn = Drawn {
                terminal,
                live: Live::new(screen, colour),
                view: None,
                lines: 0,
            };
            let shared = Arc::new(Mutex::new(drawn));
            let painter = tokio::spawn(paint(Arc::clone(&shared), clock));
            Drawing { shared, painter }
        });
        let follower = views.map(|views| Follower { views, shown: None });
        Self {
            terminal,
            colour,
            began: None,
            warned: 0,
            live,
            scrub: scrubber.clone(),
            follower,
        }
    }

    /// Leaves the terminal as it should be.
    pub(super) fn finish(self) {
        if let Some(drawing) = self.live {
            drawing.painter.abort();
            let mut drawn = drawing
                .shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            drawn.erase();
        }
    }

    fn say(&self, event: &ProgressEvent<'_>, at: Moment) {
        let since = at.since(self.began.unwrap_or(at));
        let text = self.scrub.scrub(&line(event, since, self.colour));
        match &self.live {
            None => self.terminal.complain(&format!("{text}\n")),
            Some(drawing) => {
                let mut drawn = drawing
                    .shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                drawn.erase();
                drawn.terminal.complain(&format!("{text}\n"));
            }
        }
    }

    fn tell(&self, taken: &Taken, engine: &Engine) {
        for order in &taken.orders {
            if let Order::Start { task, attempt, .. } = order {
                self.say(
                    &ProgressEvent::Started {
                        task,
                        attempt: *attempt,
                    },
                    taken.at,
                );
            }
        }
        match &taken.fact {
            Fact::Worked {
                task,
                outcome,
                evidence,
                ..
            } => {
                self.gates(Some(task), &evidence.gates, taken.at);
                self.worked(
                    task,
                    outcome,
                    taken.at,
                    engine,
                    Duration::from_millis(evidence.duration_ms),
                );
            }
            Fact::Landed { task, .. } => self.landed(task, taken.at, engine),
            Fact::Clashed { task, .. } => self.setback(task, taken.at, engine, Duration::ZERO),
            Fact::Judged { gates, .. } => self.gates(None, gates, taken.at),
            Fact::Preflighted { gates, .. } => self.preflighted(gates, taken.at, engine),
            Fact::Rebuilt { .. } => {
                for status in engine.tasks() {
                    if let Some(why) = status.ejected {
                        self.say(
                            &ProgressEvent::Ejected {
                                task: status.id,
                                gate: why.gate.as_ref(),
                            },
                            taken.at,
                        );
                    }
                }
            }
            Fact::Began(_)
            | Fact::TookUp { .. }
            | Fact::Prepared { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Answered { .. }
            | Fact::Woke
            | Fact::Limited { .. }
            | Fact::Stopped { .. }
            | Fact::Cancelled { .. }
            | Fact::Placed { .. } => {}
        }
    }

    fn gates(&self, task: Option<&TaskId>, outcomes: &[GateOutcome], at: Moment) {
        for outcome in outcomes {
            let verdict = match outcome.exit {
                _ if outcome.against_base == Some(AgainstBase::PreExisting) => {
                    format!(
                        "{}, but no worse than on the base",
                        outcome.verdict.as_str()
                    )
                }
                Some(code) if !outcome.counts_as_passed => {
                    format!("{} (exit {code})", outcome.verdict.as_str())
                }
                _ => outcome.verdict.as_str().to_owned(),
            };
            let note = outcome
                .refusal()
                .filter(|_| !outcome.counts_as_passed)
                .unwrap_or_default();
            let mark = gate_mark(outcome);
            let took = Duration::from_millis(outcome.duration_ms);
            let gate = &outcome.gate;
            self.say(
                &ProgressEvent::Gate {
                    task,
                    gate,
                    verdict: &verdict,
                    note: &note,
                    mark,
                    took,
                },
                at,
            );
        }
    }

    /// What is red before anything was done, and what does not start because of it.
    fn preflighted(&self, outcomes: &[GateOutcome], at: Moment, engine: &Engine) {
        for outcome in outcomes.iter().filter(|outcome| !outcome.counts_as_passed) {
            let how = outcome.exit.map_or_else(
                || outcome.verdict.as_str().to_owned(),
                |code| format!("exit {code}"),
            );
            let what = format!(
                "the base is red: gate `{}` fails there ({how}), before any task",
                outcome.gate
            );
            self.say(&ProgressEvent::Warning { what: &what }, at);
        }
        for status in engine
            .tasks()
            .filter(|status| status.state == TaskState::Failed && status.attempt == 0)
        {
            self.setback(status.id, at, engine, Duration::ZERO);
        }
    }

    fn worked(
        &self,
        task: &TaskId,
        outcome: &Outcome,
        at: Moment,
        engine: &Engine,
        took: Duration,
    ) {
        match outcome {
            Outcome::Changed(_) | Outcome::Interrupted => {}
            Outcome::Unchanged => self.say(&ProgressEvent::Unchanged { task, took }, at),
            Outcome::Failed(_) => self.setback(task, at, engine, took),
        }
    }

    fn setback(&self, task: &TaskId, at: Moment, engine: &Engine, took: Duration) {
        let Some(status) = engine.task(task) else {
            return;
        };
        let Some(failure) = status.failure else {
            return;
        };
        match (status.state, &status.waits) {
            (TaskState::Pending, Some(WaitReason::Backoff(until))) => {
                self.say(
                    &ProgressEvent::Retrying {
                        task,
                        failure,
                        wait: until.since(at),
                    },
                    at,
                );
            }
            (TaskState::Failed, _) => {
                self.say(
                    &ProgressEvent::Failed {
                        task,
                        failure,
                        took,
                    },
                    at,
                );
                for other in engine.tasks() {
                    if let Some(crate::engine::CancelReason::Dependency(on)) = other.cancelled
                        && on == task
                    {
                        let why = format!("{on} did not complete");
                        self.say(
                            &ProgressEvent::Cancelled {
                                task: other.id,
                                why: &why,
                            },
                            at,
                        );
                    }
                }
            }
            _ => {}
        }
    }

    fn show_follower(&mut self, engine: &Engine, history: &History) {
        let (Some(follower), Some(at)) = (&mut self.follower, engine.at()) else {
            return;
        };
        if follower.shown.is_some_and(|last| at.since(last) < FOLLOWED) {
            return;
        }
        follower.shown = Some(at);
        let view = history
            .view(engine)
            .map(|view| view.scrubbed(&|text: &str| self.scrub.scrub(text)));
        follower.views.send_replace(view);
    }

    fn landed(&self, task: &TaskId, at: Moment, engine: &Engine) {
        let Some(status) = engine.task(task) else {
            return;
        };
        let files = status.change.map_or(0, |change| change.paths.len());
        let took = at.since(status.started_at.unwrap_or(at));
        self.say(&ProgressEvent::Landed { task, files, took }, at);
    }
}

impl Listener for TerminalProgress {
    fn heard(&mut self, turn: &[Taken], engine: &Engine, history: &History) {
        for taken in turn {
            self.began.get_or_insert(taken.at);
            self.tell(taken, engine);
        }
        for warning in history.warnings.iter().skip(self.warned) {
            let at = engine.at().unwrap_or_default();
            self.say(&ProgressEvent::Warning { what: warning }, at);
        }
        self.warned = history.warnings.len();
        self.show_follower(engine, history);
        if let Some(drawing) = &self.live {
            let mut drawn = drawing
                .shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let view = history
                .view(engine)
                .map(|view| view.scrubbed(&|text: &str| self.scrub.scrub(text)));
            drawn.view = view;
        }
    }
}

async fn paint(shared: Arc<Mutex<Drawn>>, clock: Clock) {
    loop {
        tokio::time::sleep(FRAME).await;
        let mut drawn = shared.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.draw(clock.now());
    }
}

impl Drawn {
    fn draw(&mut self, now: Moment) {
        let Some(view) = &self.view else { return };
        let frame = self.live.frame(view, now);
        self.erase();
        self.terminal.complain(&(frame.join("\n") + "\n"));
        self.lines = frame.len();
    }

    /// Goes back to where the frame began, and clears from there.
    fn erase(&mut self) {
        if self.lines > 0 {
            self.terminal
                .complain(&format!("\x1b[{}A\x1b[J", self.lines));
            self.lines = 0;
        }
    }
}
