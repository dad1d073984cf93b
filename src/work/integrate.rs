//! The integration tip: landing one change on it, and building it anew without some.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::RunShared;
use super::attempt::Interruption;
use super::change::message;
use super::thread::{WorkLimits, on_files};
use crate::engine::Engine;
use crate::fact::{self, Change, Fact, Failure};
use crate::git::{GitError, MergeOutcome};
use crate::id::{RepoPath, TaskId, Tip};
use crate::plan::Task;

/// A change that is to land.
#[derive(Debug, Clone)]
pub(super) struct PendingLanding {
    task: Task,
    attempt: u32,
    change: Change,
    tip: Tip,
}

impl PendingLanding {
    pub(super) fn of(task: &TaskId, engine: &Engine) -> Option<Self> {
        let status = engine.task(task)?;
        let planned = engine.plan().task(task)?;
        Some(Self {
            task: planned.clone(),
            attempt: status.attempt,
            change: status.change?.clone(),
            tip: engine.tip()?.clone(),
        })
    }

    /// Puts the change onto `tip`; what comes of it is kept, and on the disk, before anybody hears
    /// of it.
    fn put_onto(&self, shared: &RunShared, tip: &Tip) -> Result<Put, GitError> {
        let tools = &shared.tools;
        tools.anchor.steadily(|| {
            let put = self.merge_onto(shared, tip)?;
            if let Put::Clean(new) = &put {
                tools.anchor.settle(&tip.tree, new, tools.clock.now())?;
            }
            Ok(put)
        })
    }

    fn merge_onto(&self, shared: &RunShared, tip: &Tip) -> Result<Put, GitError> {
        let tools = &shared.tools;
        if tools.repo.parents(&self.change.tip.commit)?.first() == Some(&tip.commit) {
            return Ok(Put::Clean(self.change.tip.clone()));
        }
        let message = message(shared, &self.task, self.attempt);
        Ok(
            match tools
                .repo
                .land(tip, &self.change.tip, &message, tools.clock.now())?
            {
                MergeOutcome::Clean(new) => Put::Clean(new),
                MergeOutcome::Empty => Put::Clean(tip.clone()),
                MergeOutcome::Conflict(paths) => Put::Clash(paths),
            },
        )
    }
}

enum Put {
    Clean(Tip),
    Clash(Vec<RepoPath>),
}

/// Lands a change, and reports it.
pub(super) async fn land(shared: Arc<RunShared>, landing: PendingLanding, stop: CancellationToken) {
    let facts = shared.facts.clone();
    let (task, attempt) = (landing.task.id.clone(), landing.attempt);
    let put = on_files(
        WorkLimits {
            stop: &stop,
            timeout: None,
        },
        "landing",
        {
            let shared = Arc::clone(&shared);
            move || landing.put_onto(&shared, &landing.tip)
        },
    );
    let fact = match put.await.map_err(Interruption::from) {
        Ok(Put::Clean(tip)) => Fact::Landed { task, attempt, tip },
        Ok(Put::Clash(paths)) => Fact::Clashed {
            task,
            attempt,
            paths,
            trouble: None,
        },
        Err(Interruption::Interrupted) => return,
        Err(Interruption::Failed(failure)) => {
            let trouble = Some(scrubbed(&shared, failure));
            Fact::Clashed {
                task,
                attempt,
                paths: Vec::new(),
                trouble,
            }
        }
    };
    let _ = facts.send(fact);
}

fn scrubbed(shared: &RunShared, failure: Failure) -> Failure {
    failure.scrubbed(&|text| shared.tools.scrubber.scrub(text))
}

/// The landings that are to stay, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Rebuild {
    base: Option<Tip>,
    /// Each with the tasks whose changes are in its own.
    stay: Vec<(PendingLanding, Vec<TaskId>)>,
}

impl Rebuild {
    pub(super) fn of(without: &[TaskId], engine: &Engine) -> Self {
        let stay = engine
            .landings()
            .filter(|(task, _)| !without.contains(task));
        Self {
            base: engine.began().map(|began| began.base.clone()),
            stay: stay
                .filter_map(|(task, _)| {
                    Some((
                        PendingLanding::of(task, engine)?,
                        engine.built_on(task).cloned().collect(),
                    ))
                })
                .collect(),
        }
    }
}

impl Rebuild {
    /// The landings that stand, and the tasks that do not merge any more.
    fn build(self, shared: &RunShared) -> Result<(Vec<fact::Landing>, Vec<TaskId>), GitError> {
        let (mut landings, mut clashed) = (Vec::new(), Vec::new());
        let Some(mut tip) = self.base else {
            return Ok((landings, clashed));
        };
        for (landing, built_on) in self.stay {
            if built_on.iter().any(|other| clashed.contains(other)) {
                // Its change would bring back the one that does not merge any more.
                clashed.push(landing.task.id);
                continue;
            }
            match landing.put_onto(shared, &tip)? {
                Put::Clean(new) => {
                    tip = new.clone();
                    landings.push(fact::Landing {
                        task: landing.task.id,
                        tip: new,
                    });
                }
                Put::Clash(_) => clashed.push(landing.task.id),
            }
        }
        Ok((landings, clashed))
    }
}

/// Builds the integration tip anew, and reports it. What does not merge without the ones taken out
/// is left out too.
pub(super) async fn rebuild(shared: Arc<RunShared>, rebuild: Rebuild, stop: CancellationToken) {
    let facts = shared.facts.clone();
    let built = on_files(
        WorkLimits {
            stop: &stop,
            timeout: None,
        },
        "building the result again",
        {
            let shared = Arc::clone(&shared);
            move || rebuild.build(&shared)
        },
    );
    let fact = match built.await.map_err(Interruption::from) {
        Ok((landings, clashed)) => Fact::Rebuilt {
            landings,
            clashed,
            trouble: None,
        },
        Err(Interruption::Interrupted) => return,
        Err(Interruption::Failed(failure)) => {
            let trouble = Some(scrubbed(&shared, failure));
            Fact::Rebuilt {
                landings: Vec::new(),
                clashed: Vec::new(),
                trouble,
            }
        }
    };
    let _ = facts.send(fact);
}
