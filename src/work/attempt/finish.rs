//! The end of an attempt: what changed is checked, judged, and committed.

use std::sync::Arc;

use super::RunningAttempt;
use super::interruption::Interruption;
use crate::fact::{Change, Class, Evidence, Failure, GateOutcome, GateVerdict, Outcome};
use crate::git::LaidOut;
use crate::id::Tip;
use crate::plan::{ChangePolicy, Work};
use crate::proof::{ProofStanding, standing};
use crate::work::place::Workplace;
use crate::work::thread::on_files;
use crate::work::trial::{Logs, TrialSite};
use crate::work::{Tools, change, judging};

impl RunningAttempt<'_> {
    /// What came of the work: nothing, something that may not be, or a change for the gates.
    pub(super) async fn finish(
        &self,
        place: &Workplace,
        evidence: &mut Evidence,
    ) -> Result<Outcome, Interruption> {
        let (slot, base) = (place.slot.clone(), place.base.clone());
        if !slot.path().is_dir() {
            // Not a change that deletes everything: that leaves the directory.
            let gone = format!(
                "its slot {} was removed while it worked there",
                slot.path().display()
            );
            return Err(Interruption::new(Class::Host, gone));
        }
        let (shared, errand) = (Arc::clone(self.shared), self.errand.clone());
        let left = on_files(self.limits(), "reading its files back", move || {
            shared
                .tools
                .anchor
                .steadily(|| change::read_back(&shared, &errand, &slot, &base))
        });
        let Some(left) = left.await? else {
            return match self.errand.task.change {
                ChangePolicy::Optional => Ok(Outcome::Unchanged),
                ChangePolicy::Required => Err(Interruption::new(
                    Class::NoChange,
                    "a change was required, and none was made",
                )),
            };
        };
        evidence.observed = left
            .touched
            .into_iter()
            .map(|touched| touched.path)
            .collect();
        // Before the gates, which find it checked out: what they judge is the very commit that may
        // land.
        let tip = left.tip.map_err(Interruption::Failed)?;
        evidence.tree = Some(tip.tree.clone());
        let laid_out = self.leave_only(place, &tip).await?;
        let (task, attempt) = (&self.errand.task, self.errand.attempt);
        let trial = TrialSite {
            shared: self.shared,
            place,
            logs: &Logs::new(self.shared, format!("logs/{}/{attempt}", task.id)),
            stop: self.stop,
        };
        evidence.gates = judging::judge_task(trial, task, &tip, laid_out).await?;
        if self.stop.is_cancelled() {
            return Err(Interruption::Interrupted);
        }
        let held = self.hold_to_gates(evidence);
        if held.is_err() && matches!(task.work, Work::Prompt(_)) {
            // The agent may be told what the gates said, and go on here.
            judging::restore(self.shared, place, &tip.tree, self.limits()).await?;
        }
        held?;
        self.write_through(place, &tip).await?;
        Ok(Outcome::Changed(Change {
            tip,
            paths: evidence.observed.clone(),
        }))
    }

    /// The journal is about to name the change.
    async fn write_through(&self, place: &Workplace, tip: &Tip) -> Result<(), Interruption> {
        let (shared, base, tip) = (
            Arc::clone(self.shared),
            place.base.tree.clone(),
            tip.clone(),
        );
        let settle = move || {
            shared
                .tools
                .anchor
                .settle(&base, &tip, shared.tools.clock.now())
        };
        Ok(on_files(self.limits(), "writing its change through", settle).await?)
    }

    /// Gates judge exactly the tree: what git ignores and a `.git` that was bent could make them
    /// say yes to something else.
    async fn leave_only(
        &self,
        place: &Workplace,
        tip: &Tip,
    ) -> Result<Option<LaidOut>, Interruption> {
        if self.errand.task.gates.is_empty() {
            return Ok(None);
        }
        self.lay_out(place, tip.clone()).await.map(Some)
    }

    pub(super) async fn lay_out(
        &self,
        place: &Workplace,
        tip: Tip,
    ) -> Result<LaidOut, Interruption> {
        let (shared, slot) = (Arc::clone(self.shared), place.slot.clone());
        let lay_out = move || {
            let Tools { anchor, plan, .. } = &shared.tools;
            anchor.steadily(|| slot.checkout_tree(&tip.commit, &tip.tree, &plan.keep))
        };
        Ok(on_files(
            self.limits(),
            "laying out its change for its gates",
            lay_out,
        )
        .await?)
    }

    fn hold_to_gates(&self, evidence: &Evidence) -> Result<(), Interruption> {
        let plan = &self.shared.tools.plan;
        let required =
            |gate: &&crate::id::GateId| plan.gate(gate).is_some_and(|gate| gate.required);
        let required: Vec<_> = self
            .errand
            .task
            .gates
            .iter()
            .filter(required)
            .cloned()
            .collect();
        let ProofStanding::Held(gates) = standing(&evidence.gates, &required) else {
            return Ok(());
        };
        let failed = |outcome: &&GateOutcome| outcome.verdict != GateVerdict::Skipped;
        let all = || {
            evidence
                .gates
                .iter()
                .filter(|outcome| gates.contains(&outcome.gate))
        };
        // What one failure ended says nothing of the change.
        let any_failed = all().any(|outcome| failed(&outcome));
        let held = || all().filter(|outcome| !any_failed || failed(outcome));
        let said: Vec<String> = held().map(judging::in_words).collect();
        let advice = held().find_map(GateOutcome::advice);
        Err(Interruption::Failed(Failure {
            advice,
            ..Failure::new(Class::Gate, said.join("; "))
        }))
    }
}
