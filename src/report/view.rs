//! The one view of a run: what happened so far, as plain data.
//!
//! It is what `--json` prints, so it is promised: `version` counts, new fields are optional. The
//! journal is folded into it elsewhere. It refuses to hold anything that only one rendering needs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fact::{
    AgainstBase, CommandEvidence, Containment, Failure, GateOutcome, GateVerdict, Limit,
    LogEvidence, RunVerdict, Tokens, Trigger,
};
use crate::id::{GateId, Moment, PlanName, RepoPath, RunId, Scope, TaskId, Tip};
use crate::proof::JudgedBy;
use crate::text;

/// The version of [`View`] as JSON.
pub const VERSION: u32 = 1;

/// A run, as a person wants to see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// [`VERSION`].
    pub version: u32,
    /// omk's own version.
    pub omk: String,
    /// The run.
    pub run: RunId,
    /// What its branches are named after.
    pub scope: Scope,
    /// The plan's name.
    pub plan: PlanName,
    /// The plan's path, relative to the repository's top.
    pub plan_path: String,
    /// The first digits of the plan's digest, or all of them.
    pub plan_digest: String,
    /// Who or what asked for the run.
    pub trigger: Trigger,
    /// How it ended; `None` = it has not.
    pub verdict: Option<RunVerdict>,
    /// When it began.
    pub started: Moment,
    /// When it ended; `None` = it has not.
    pub ended: Option<Moment>,
    /// What it is built on.
    pub base: Tip,
    /// The integrated result; `None` where nothing landed.
    pub result: Option<Tip>,
    /// The branch of the result: `omk/run/<scope>`.
    pub branch: String,
    /// What it may spend.
    pub limits: LimitsView,
    /// The limit that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limit>,
    /// What all tasks used.
    pub tokens: Tokens,
    /// What that cost, in millionths of a USD, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// Every task of the plan, in the plan's order.
    pub tasks: Vec<TaskView>,
    /// What the gates said of the result; empty where they have not run on it.
    #[serde(default)]
    pub gates: Vec<GateOutcome>,
    /// How children were confined, the weakest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containment: Option<Containment>,
    /// What rooms of that level do not hold, by name; SECURITY.md explains each. Empty for a
    /// sealed room, and for level `none`, which holds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub room_exceptions: Vec<String>,
    /// Who judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<JudgedBy>,
    /// What a person must know, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The branch that was to be at the result, if it could not be put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplaced: Option<String>,
    /// What a person can do next beside what [`super::steps`] says, a sentence each.
    #[serde(default)]
    pub next: Vec<String>,
}

/// What a run may spend; absent = unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LimitsView {
    /// Tasks at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Wall time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Tokens of all kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in millionths of a USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// What the plan calls it; the id where it gives no name.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub stage: TaskStage,
    /// Attempts so far, interrupted ones included.
    pub attempts: u32,
    /// Failures so far.
    pub retry_count: u32,
    /// Executions that may fail: `max_attempts + 1`.
    pub executions: u32,
    /// Higher first.
    pub priority: i32,
    /// Tasks that must be completed first.
    #[serde(default)]
    pub dependencies: Vec<TaskId>,
    /// Who holds its lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its last failure, whether or not it was made good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was first claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Moment>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Moment>,
    /// Work of all attempts, gates included and waiting not, in milliseconds.
    #[serde(default)]
    pub worked_ms: u64,
    /// What its command did at the last attempt, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEvidence>,
    /// Hosts that its agent or command asked for at the last attempt, and that its network
    /// refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_hosts: Vec<String>,
    /// Those that its network allows and that could not be reached, each with the reason in
    /// brackets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached_hosts: Vec<String>,
    /// What the gates said at the last attempt that came to them.
    #[serde(default)]
    pub gates: Vec<GateOutcome>,
    /// Every path that its change touches.
    #[serde(default)]
    pub paths: Vec<RepoPath>,
    /// What it used.
    #[serde(default)]
    pub tokens: Tokens,
    /// What that cost, in millionths of a USD, where prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

/// Where a task stands, with what is true of it only there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TaskStage {
    /// Not part of the run, because its `when` is false or it was not asked for.
    LeftOut,
    /// Waits.
    Pending {
        /// For what, as a clause: "for api", "for a worker"; may be empty.
        #[serde(default)]
        waits: String,
        /// When its backoff ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Moment>,
    },
    /// Leased; its slot is being prepared.
    Claimed,
    /// Agent or command, gates, or landing.
    Running {
        /// Which, as a noun: "agent", "gate test", "landing"; may be empty.
        #[serde(default)]
        doing: String,
    },
    /// Done.
    Completed {
        /// Its commit on the result; `None` where it made no change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        landed: Option<Tip>,
        /// Why it left the result again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ejected: Option<Ejection>,
    },
    /// It will not be tried again; [`TaskView::failure`] says why.
    Failed,
    /// It will not be tried at all.
    Cancelled {
        /// Why, as a clause: "deps failed".
        #[serde(default)]
        why: String,
    },
}

/// Why a task left the result again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejection {
    /// The gate that failed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateId>,
    /// That gate's log, relative to the run's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// The five ways in which a thing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It is, with a reservation.
    Doubtful,
    /// It is under way.
    Busy,
    /// It has not been, or will not be.
    Idle,
}

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Tasks that take part.
    pub all: usize,
    /// Completed, those included that left the result again.
    pub completed: usize,
    /// Failed.
    pub failed: usize,
    /// Cancelled.
    pub cancelled: usize,
    /// Claimed or running.
    pub busy: usize,
}

impl Count {
    /// Tasks to which nothing will happen any more.
    #[must_use]
    pub fn settled(self) -> usize {
        self.completed + self.failed + self.cancelled
    }
}

impl TaskStage {
    /// Its public name: `completed`; `skipped` for a task left out.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LeftOut => "skipped",
            Self::Pending { .. } => "pending",
            Self::Claimed => "claimed",
            Self::Running { .. } => "running",
            Self::Completed {
                ejected: Some(_), ..
            } => "ejected",
            Self::Completed { ejected: None, .. } => "completed",
            Self::Failed => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// How it is shown.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self {
            Self::Completed { ejected: None, .. } => Mark::Good,
            Self::Completed {
                ejected: Some(_), ..
            }
            | Self::Failed => Mark::Bad,
            Self::Claimed | Self::Running { .. } => Mark::Busy,
            Self::LeftOut | Self::Pending { .. } | Self::Cancelled { .. } => Mark::Idle,
        }
    }
}

impl View {
    /// How many tasks stand where.
    #[must_use]
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for task in &self.tasks {
            count.all += usize::from(task.stage != TaskStage::LeftOut);
            match task.stage {
                TaskStage::Completed { .. } => count.completed += 1,
                TaskStage::Failed => count.failed += 1,
                TaskStage::Cancelled { .. } => count.cancelled += 1,
                TaskStage::Claimed | TaskStage::Running { .. } => count.busy += 1,
                TaskStage::LeftOut | TaskStage::Pending { .. } => {}
            }
        }
        count
    }

    /// Gates of the result, or of any task on it, that fail only as the base does.
    #[must_use]
    pub fn pre_existing(&self) -> u32 {
        let old = |gates: &[GateOutcome]| {
            let old = gates
                .iter()
                .filter(|gate| gate.against_base == Some(AgainstBase::PreExisting));
            old.map(|gate| gate.failing_total.max(1)).sum::<u32>()
        };
        if self.gates.is_empty() {
            self.tasks.iter().map(|task| old(&task.gates)).sum()
        } else {
            old(&self.gates)
        }
    }
}

/// How a gate's outcome is shown.
#[must_use]
pub fn gate_mark(gate: &GateOutcome) -> Mark {
    let clean = gate.verdict != GateVerdict::Flaky
        && gate.against_base != Some(AgainstBase::PreExisting)
        && gate.failing_total == 0;
    match (gate.counts_as_passed, gate.required) {
        (true, _) if clean => Mark::Good,
        (true, _) => Mark::Doubtful,
        (false, _) if gate.verdict == GateVerdict::Skipped => Mark::Idle,
        (false, true) => Mark::Bad,
        (false, false) => Mark::Doubtful,
    }
}

/// A gate's verdict in a few words: `failed (exit 101, 3 failing)`.
pub(super) fn gate_words(gate: &GateOutcome) -> String {
    let mut aside = Vec::new();
    match gate.exit {
        Some(code) if code != 0 => aside.push(format!("exit {code}")),
        Some(_) | None => {}
    }
    if gate.failing_total > 0 && gate.exit == Some(0) {
        aside.push(text::plural(gate.failing_total as usize, "finding"));
    } else if gate.failing_total > 0 {
        aside.push(format!("{} failing", gate.failing_total));
    }
    match gate.against_base {
        Some(AgainstBase::Fixed) => aside.push("fixed".to_owned()),
        Some(AgainstBase::Broke) => aside.push("passed before".to_owned()),
        Some(AgainstBase::PreExisting) => aside.push("pre-existing".to_owned()),
        None => {}
    }
    if !gate.required {
        aside.push("not required".to_owned());
    }
    let verdict = gate.verdict.as_str();
    if aside.is_empty() {
        verdict.to_owned()
    } else {
        format!("{verdict} ({})", aside.join(", "))
    }
}

/// The same, with the gate's note if it has one, and with what its network refused.
pub(super) fn gate_told(gate: &GateOutcome) -> String {
    let words = gate_words(gate);
    let told = if gate.note.is_empty() {
        words
    } else if gate.note.starts_with(words.as_str()) {
        gate.note.clone()
    } else {
        format!("{words}; {}", gate.note)
    };
    gate.refusal()
        .map_or_else(|| told.clone(), |refused| format!("{told}; {refused}"))
}

impl View {
    /// The same for people at a terminal: each log by a path that leads to it from wherever they
    /// are, as `run`, the directory of the run, does.
    #[must_use]
    pub fn with_logs_below(mut self, run: &Path) -> Self {
        let tasks = self.tasks.iter_mut();
        let (mut gates, mut logs): (Vec<&mut GateOutcome>, Vec<&mut LogEvidence>) =
            (self.gates.iter_mut().collect(), Vec::new());
        for task in tasks {
            gates.extend(&mut task.gates);
            logs.extend(task.command.as_mut().map(|command| &mut command.log));
        }
        for log in gates
            .into_iter()
            .filter_map(|gate| gate.log.as_mut())
            .chain(logs)
        {
            log.path = run.join(&log.path).display().to_string();
        }
        self
    }
}

/// How a command ended, in a few words, if it failed: `exit 1`.
pub(super) fn command_failed(task: &TaskView) -> Option<(&CommandEvidence, String)> {
    let command = task.command.as_ref()?;
    match command.exit {
        Some(0) => None,
        Some(code) => Some((command, format!("failed (exit {code})"))),
        None => Some((command, "was ended".to_owned())),
    }
}
