//! A dry run of a delivery: what would be done, said and not done.
//!
//! It refuses to write anything, at the forge or at the remote.

use super::carry::{Carrier, Endpoints};
use super::steps::{DeliveredShare, plan_delivery, share};
use super::{Delivered, RunOutcome, checks, proofs};
use crate::forge::{CheckState, CheckWanted};
use crate::plan::Plan;
use crate::report::sticky::LostRun;
use crate::report::{Placed, sticky};

impl Carrier<'_> {
    /// What [`Carrier::outcome`] would do.
    pub(super) async fn dry(
        mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Delivered {
        let mut would = Vec::new();
        let mut placed = Placed::default();
        if share(plan, outcome) == DeliveredShare::Nothing {
            would.push("deliver nothing: only what is ready is delivered".to_owned());
        } else if let Some(found) = self.look(ends, plan, outcome).await {
            let proofs = proofs::commit(ends.repo, self.request, outcome)
                .ok()
                .flatten();
            let steps = plan_delivery(plan, self.request, outcome, proofs.as_ref(), &found);
            for update in &steps.refs {
                let to = update.to.as_ref().map_or("nowhere", |to| to.short());
                let from = update
                    .expected
                    .as_ref()
                    .map_or("absent", |from| from.short());
                would.push(format!("push {} to {to} (now {from})", update.name));
                placed
                    .branches
                    .extend(update.name.strip_prefix("refs/heads/").map(str::to_owned));
            }
            for pull in &steps.pulls {
                let noun = self.request.forge.pull_request();
                would.push(format!(
                    "open or update the {noun} from {} to {}",
                    pull.head, pull.base
                ));
            }
            steps
                .troubles
                .into_iter()
                .for_each(|trouble| self.trouble(trouble));
        }
        would.extend(
            checks::ended(self.request, &outcome.view, &placed, self.now)
                .iter()
                .map(|check| self.of_check(check)),
        );
        would.push(self.of_comment());
        self.done(would)
    }

    /// What [`Carrier::lost`] would do.
    pub(super) fn dry_lost(self, lost: &LostRun) -> Delivered {
        let words = sticky::lost(self.request, lost);
        let would = vec![
            self.of_check(&checks::lost(self.request, lost, &words, self.now)),
            self.of_comment(),
        ];
        self.done(would)
    }

    fn of_comment(&self) -> String {
        match &self.request.pull {
            Some(pull) => format!(
                "edit the comment on {} {}",
                self.request.forge.pull_request(),
                pull.number
            ),
            None => "edit the dashboard".to_owned(),
        }
    }

    fn of_check(&self, check: &CheckWanted) -> String {
        let state = match check.state {
            CheckState::InProgress => "open".to_owned(),
            CheckState::Completed(conclusion) => format!("close as {conclusion:?}"),
        };
        let noun = self.request.forge.check();
        format!(
            "{state} the {noun} {} on {}: {}",
            check.name,
            check.commit.short(),
            check.title
        )
    }
}
