//! What a run needs of this machine and of its repository: one list, which run, resume, judge, plan
//! (with `--check` too) and doctor all ask.
//!
//! It refuses to change anything. What an agent needs beside that (a key, its CLI, a model) is in
//! `session`.

use super::{CommandFailure, FailureKind, Home, base, checkout, disk, egress, toolchain};
use crate::exec::environment::Caller;
use crate::exec::{NetworkReach, Probed, Shepherd, kernel, probe};
use crate::id::{TaskId, TreeId};
use crate::plan::{Demand, Network, Plan, RoomLevel, Task};
use crate::report::checkup::{Health, Point};

/// What would run, and where.
pub(super) struct NeedsContext<'a> {
    pub(super) home: &'a Home,
    pub(super) plan: &'a Plan,
    /// The files that slots would hold.
    pub(super) tree: &'a TreeId,
    /// What omk was started with.
    pub(super) caller: Caller,
    tasks: Vec<&'a Task>,
}

impl<'a> NeedsContext<'a> {
    /// Every task and gate of a plan.
    pub(super) fn of_plan(home: &'a Home, plan: &'a Plan, tree: &'a TreeId) -> Self {
        Self {
            home,
            plan,
            tree,
            caller: Caller::read(),
            tasks: plan.tasks.iter().collect(),
        }
    }

    /// Those tasks with their gates, and the gates of the result.
    pub(super) fn of_run(
        home: &'a Home,
        plan: &'a Plan,
        tree: &'a TreeId,
        selected: &[TaskId],
    ) -> Self {
        let tasks = plan
            .tasks
            .iter()
            .filter(|task| selected.contains(&task.id))
            .collect();
        Self {
            tasks,
            ..Self::of_plan(home, plan, tree)
        }
    }

    /// The gates of the result alone.
    pub(super) fn of_judge(home: &'a Home, plan: &'a Plan, tree: &'a TreeId) -> Self {
        Self::of_run(home, plan, tree, &[])
    }

    /// What is open to each child that would start.
    pub(super) fn networks(&self) -> impl Iterator<Item = &Network> {
        let of_tasks = self
            .tasks
            .iter()
            .map(|task| self.plan.room.network_of_task(task));
        let starts = |gate: &&crate::plan::Gate| {
            gate.required || self.tasks.iter().any(|task| task.gates.contains(&gate.id))
        };
        of_tasks.chain(
            self.plan
                .gates
                .iter()
                .filter(starts)
                .map(|gate| self.plan.room.network_of_gate(gate)),
        )
    }
}

/// What was found of one need. A point that is missing stops a run, and nothing else does.
pub(super) struct NeedFinding {
    /// What `omk doctor` prints.
    pub(super) points: Vec<Point>,
    pub(super) stop: Option<CommandFailure>,
}

impl NeedFinding {
    /// Points with the words of a run that stops, for a point that is missing.
    pub(super) fn new(points: Vec<Point>, stop: impl FnOnce() -> CommandFailure) -> Self {
        let is_missing = points.iter().any(|point| point.state == Health::Missing);
        Self {
            points,
            stop: is_missing.then(stop),
        }
    }

    /// What stops a run, in the same words for everybody.
    pub(super) fn stop(check: &'static str, failure: CommandFailure) -> Self {
        Self::new(
            vec![Point::missing(
                check,
                failure.error.clone(),
                failure.hints.clone(),
            )],
            || failure,
        )
    }

    /// What people should know.
    pub(super) fn warn(
        check: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::tell(Point::warn(check, found, vec![next.into()]))
    }

    /// One point, in the same words for everybody.
    pub(super) fn tell(point: Point) -> Self {
        let (found, next) = (point.found.clone(), point.next.clone());
        Self::new(vec![point], || {
            next.into_iter().fold(
                CommandFailure::new(FailureKind::Blocked, found),
                CommandFailure::hint,
            )
        })
    }

    /// What people should know of it, each a line.
    pub(super) fn in_words(self) -> Vec<String> {
        let notes = self
            .points
            .into_iter()
            .filter(|point| point.state == Health::Warn);
        notes
            .map(|note| [vec![note.found], note.next].concat().join("; "))
            .collect()
    }

    /// Nothing to speak of.
    pub(super) fn nothing() -> Self {
        Self {
            points: Vec::new(),
            stop: None,
        }
    }
}

/// Looks at everything, in the order in which people would see to it. `probed` is what is known of
/// rooms already; without it a child is started only if the plan demands something of its room.
pub(super) async fn look(
    ground: &NeedsContext<'_>,
    shepherd: &Shepherd,
    probed: Option<&Probed>,
) -> Result<Vec<NeedFinding>, CommandFailure> {
    Ok(vec![
        base::git(),
        checkout::look(ground)?,
        base::filters(ground)?,
        base::submodules(ground)?,
        toolchain::look(ground),
        disk::cache(ground)?,
        egress::unknown_proxy(ground),
        egress::withheld_proxy(ground),
        room(ground, shepherd, probed).await,
    ])
}

/// Stops at what keeps a run from starting; else returns what people should know, each a line.
pub(super) async fn check(
    ground: &NeedsContext<'_>,
    shepherd: &Shepherd,
) -> Result<Vec<String>, CommandFailure> {
    notes_of(look(ground, shepherd, None).await?)
}

/// What people should know, each a line; or what keeps a run from starting.
pub(super) fn notes_of(all: Vec<NeedFinding>) -> Result<Vec<String>, CommandFailure> {
    let mut notes = Vec::new();
    for found in all {
        if let Some(stop) = found.stop {
            return Err(stop);
        }
        // Each report of a run names its room.
        if !found.points.iter().any(|point| point.check == ROOM) {
            notes.extend(found.in_words());
        }
    }
    Ok(notes)
}

/// The same as [`look`], outside of a runtime.
pub(super) fn look_now(
    ground: &NeedsContext<'_>,
    shepherd: &Shepherd,
) -> Result<Vec<NeedFinding>, CommandFailure> {
    super::runtime::of_this_thread()?.block_on(look(ground, shepherd, None))
}

/// The same as [`check`], outside of a runtime.
pub(super) fn check_now(
    ground: &NeedsContext<'_>,
    shepherd: &Shepherd,
) -> Result<Vec<String>, CommandFailure> {
    super::runtime::of_this_thread()?.block_on(check(ground, shepherd))
}

/// The check of the room.
pub(super) const ROOM: &str = "room";

/// The room that children get here, beside the one that the plan demands.
async fn room(
    ground: &NeedsContext<'_>,
    shepherd: &Shepherd,
    known: Option<&Probed>,
) -> NeedFinding {
    let demand = ground.plan.room.demand(ground.networks());
    let closes = demand == Demand::ClosedNetwork;
    let probed = match known {
        // Not every Landlock knows the network.
        Some(known) if !(closes && known.level == RoomLevel::Landlock) => known.clone(),
        None if demand.least() == RoomLevel::None => return NeedFinding::nothing(),
        Some(_) | None => {
            probe(
                shepherd,
                if closes {
                    NetworkReach::Nothing
                } else {
                    NetworkReach::Open
                },
            )
            .await
        }
    };
    let point = Point::room(probed.level, probed.why_not.as_deref(), demand, &kernel());
    NeedFinding::new(vec![point], || {
        let why = probed
            .why_not
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        let level = probed.level;
        let (what, or) = match demand {
            Demand::ClosedNetwork => (
                format!(
                    "the plan closes the network of a task or gate, and rooms here have the level `{level}`, which cannot{why}"
                ),
                "or leave networks open: `network: open`; or accept rooms that close nothing: `room: { level: none }`",
            ),
            Demand::Nothing | Demand::Level(_) => (
                format!(
                    "the plan's room.level is `{}`, and a room here has the level `{level}`{why}",
                    demand.least()
                ),
                "or accept less: `room: { level: best }` in the plan",
            ),
        };
        CommandFailure::new(FailureKind::Blocked, what)
            .hint("`omk doctor` says what to do about it on this machine")
            .hint(or)
    })
}
