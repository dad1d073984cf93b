//! Looking and pushing, until nothing moves between the two.

use std::collections::{BTreeMap, BTreeSet};

use super::{Carrier, Endpoints};
use crate::deliver::steps::{RemoteState, RemoteSteps, full, plan_delivery, proofs_ref};
use crate::deliver::{RunOutcome, look, manner, proofs};
use crate::git::GitError;
use crate::history::run_branch;
use crate::plan::Plan;
use crate::report::DeliveryObstacle;
use crate::text::{self, Advised as _, ForgeKind};

/// How often a push is planned anew because something moved or was refused meanwhile.
const ROUNDS: usize = 5;

impl<'a> Carrier<'a> {
    /// Looks and pushes, all or nothing, until nothing moves between the two; `None` where nothing
    /// could be pushed.
    pub(super) async fn push(
        &mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Option<(RemoteSteps, RemoteState)> {
        let proofs = match proofs::commit(ends.repo, self.request, outcome) {
            Ok(commit) => commit,
            Err(error) => {
                self.trouble(DeliveryObstacle::Other(format!(
                    "the result goes without its proofs: omk failed to {}",
                    error.in_full()
                )));
                None
            }
        };
        let forge = self.request.forge;
        let mut refused = BTreeMap::new();
        let mut refusals = 0;
        let mut all = BTreeSet::new();
        let mut said = "the refs of the remote keep moving".to_owned();
        for _ in 0..ROUNDS {
            let mut found = self.look(ends, plan, outcome).await?;
            if let Some(by) = look::newer(ends.repo, self.request, &found) {
                self.trouble(DeliveryObstacle::Overtaken { by });
                return None;
            }
            found.refused = std::mem::take(&mut refused);
            let steps = plan_delivery(plan, self.request, outcome, proofs.as_ref(), &found);
            let pushed = {
                let (repo, remote, refs) =
                    (ends.repo.clone(), ends.remote.clone(), steps.refs.clone());
                look::blocking(move || repo.push(&remote, &refs)).await
            };
            match pushed {
                Ok(()) => {
                    self.stand(&steps);
                    return Some((steps, found));
                }
                Err(error @ GitError::RemoteMoved { .. }) => {
                    refused = found.refused;
                    said = error.in_full();
                }
                Err(GitError::RemoteRefused {
                    name,
                    why,
                    said: words,
                    ..
                }) => {
                    said = text::with_advice(&words, Some(why.next()));
                    refusals += 1;
                    all.extend(steps.refs.iter().map(|update| update.name.clone()));
                    let run = full(&run_branch(&self.request.scope));
                    let Some(out) =
                        manner::leave_out(forge, refusals, (&name, &run), self.request, &all)
                    else {
                        break;
                    };
                    refused = if forge == ForgeKind::GitHub {
                        found.refused
                    } else {
                        BTreeMap::new()
                    };
                    refused.extend(out.into_iter().map(|name| (name, said.clone())));
                }
                Err(error) => {
                    said = error.in_full();
                    break;
                }
            }
        }
        self.trouble(DeliveryObstacle::PushRefused { said });
        None
    }

    /// The refs are where they should be.
    fn stand(&mut self, steps: &RemoteSteps) {
        for trouble in &steps.troubles {
            self.trouble(trouble.clone());
        }
        let proofs = proofs_ref(self.request);
        for update in &steps.refs {
            self.pushed.push(update.name.clone());
            if update.name == proofs {
                self.placed.proofs = Some(proofs.clone());
            } else if let Some(branch) = update.name.strip_prefix("refs/heads/") {
                self.placed.branches.push(branch.to_owned());
            }
        }
        // The whole result first, wherever else it is.
        let run = run_branch(&self.request.scope);
        self.placed.branches.sort_by_key(|branch| *branch != run);
    }

    pub(in crate::deliver) async fn look(
        &mut self,
        ends: &Endpoints<'_>,
        plan: &Plan,
        outcome: &RunOutcome,
    ) -> Option<RemoteState> {
        let (repo, remote, request, form) = (
            ends.repo.clone(),
            ends.remote.clone(),
            self.request.clone(),
            plan.deliver.form,
        );
        let refs = match look::blocking(move || look::refs(&repo, &remote, form, &request)).await {
            Ok(refs) => refs,
            Err(error) => {
                self.trouble(DeliveryObstacle::PushRefused {
                    said: error.in_full(),
                });
                return None;
            }
        };
        let reading = manner::said(
            self.request.forge,
            "read the pull requests",
            "read the merge requests",
        );
        let pulls = if self.may(reading) {
            let pulls = look::pulls(self.forge, plan, self.request, outcome, &refs).await;
            self.heard(reading, pulls).unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        Some(look::found(refs, pulls))
    }
}
