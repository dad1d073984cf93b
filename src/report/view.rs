//! The one view of a run: what happened so far, as plain data.
//!
//! It is what `--json` prints, so it is promised: `version` counts, new fields are optional. The
//! journal is folded into it elsewhere. It refuses to hold anything that only one rendering needs.

mod task;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fact::{
    AgainstBase, CommandEvidence, Containment, GateOutcome, GateVerdict, Limit, LogEvidence,
    RunVerdict, Tokens, Trigger,
};
use crate::id::{Moment, PlanName, RunId, Scope, Tip};
use crate::proof::JudgedBy;
use crate::text;

pub use task::{Ejection, TaskStage, TaskView};

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
