//! The branches that a run leaves, put where its journal says they are.
//!
//! It refuses to move a branch that somebody else has moved: that one is left to them, with a warning.

use crate::clock::Clock;
use crate::drive::Taken;
use crate::engine::Engine;
use crate::fact::{Began, Fact};
use crate::git::{Expected, Repo};
use crate::history::{run_branch, task_branch};
use crate::id::{CommitId, TaskId};
use crate::text::Advised as _;

/// The branches of one run.
#[derive(Debug)]
pub struct Branches {
    repo: Repo,
    clock: Clock,
    result: Result,
}

/// The result's branch, as far as this process knows.
#[derive(Debug)]
enum Result {
    /// It may be moved from there.
    From(Expected),
    /// Somebody else moved it; it is left alone.
    Lost,
}

impl Branches {
    /// The branches of a run in that repository. `expected` is where the result's must be for its first move.
    #[must_use]
    pub fn new(repo: Repo, clock: Clock, expected: Expected) -> Self {
        Self { repo, clock, result: Result::From(expected) }
    }

    /// Whether the result's branch was left to somebody who moved it.
    #[must_use]
    pub fn is_result_lost(&self) -> bool {
        matches!(self.result, Result::Lost)
    }

    /// Follows a turn that is on disk; with a warning for each branch that could not be moved.
    pub fn follow(&mut self, turn: &[Taken], engine: &Engine) -> Vec<String> {
        let took_up = turn.iter().any(|taken| matches!(taken.fact, Fact::TookUp { .. }));
        if took_up {
            return self.put_all(engine);
        }
        let mut warnings = Vec::new();
        let mut moved = false;
        for taken in turn {
            match &taken.fact {
                Fact::Landed { task, .. } => {
                    moved = true;
                    warnings.extend(self.put_task(task, engine));
                }
                Fact::Rebuilt { .. } => moved = true,
                Fact::Began(_)
                | Fact::TookUp { .. }
                | Fact::Prepared { .. }
                | Fact::Renewed { .. }
                | Fact::Asked { .. }
                | Fact::Answered { .. }
                | Fact::Worked { .. }
                | Fact::Clashed { .. }
                | Fact::Woke
                | Fact::Judged { .. }
                | Fact::Preflighted { .. }
                | Fact::Limited { .. }
                | Fact::Stopped { .. }
                | Fact::Cancelled { .. } => {}
            }
        }
        if moved {
            warnings.extend(self.put_result(engine));
        }
        warnings
    }

    /// Puts every branch where it belongs: omk may have been killed after it wrote what landed and before it moved
    /// anything. Warnings as in [`Branches::follow`].
    pub fn put_all(&mut self, engine: &Engine) -> Vec<String> {
        let landed = engine.tasks().filter(|status| status.landed.is_some());
        let tasks = landed.filter_map(|status| self.put_task(status.id, engine));
        let mut warnings: Vec<String> = tasks.collect();
        warnings.extend(self.put_result(engine));
        warnings
    }

    fn put_task(&self, task: &TaskId, engine: &Engine) -> Option<String> {
        let began = engine.began()?;
        let change = engine.task(task)?.change?;
        self.put(began, &task_branch(&began.scope, task), &change.tip.commit, &Expected::Ours)
    }

    fn put_result(&mut self, engine: &Engine) -> Option<String> {
        let (began, tip) = (engine.began()?, engine.tip()?);
        let Result::From(expected) = &self.result else { return None };
        // Where all was taken out again the branch goes back to the base; where nothing ever landed there is none to move.
        let never_landed = engine.tasks().all(|status| status.landed.is_none());
        if *tip == began.base && never_landed {
            return None;
        }
        let warning = self.put(began, &run_branch(&began.scope), &tip.commit, expected);
        self.result = match warning {
            None => Result::From(Expected::At(tip.commit.clone())),
            Some(_) => Result::Lost,
        };
        warning
    }

    fn put(&self, began: &Began, name: &str, to: &CommitId, expected: &Expected) -> Option<String> {
        let why = format!("omk: run {}", began.run);
        let moved = self.repo.move_branch(name, to, expected, &why, self.clock.now());
        let error = moved.err()?;
        Some(format!("{name} was not moved to {}: {}", &to.as_str()[..12], error.in_full()))
    }
}
