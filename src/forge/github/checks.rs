//! Checks: found by name, commit and external id; annotations in batches.
//!
//! GitHub appends annotations and never takes one away, so those that are there are counted and not
//! sent again. It refuses to take a completed check back to being under way, which GitHub does not
//! do reliably: that makes a new one.

use super::GitHub;
use super::check_wire::{BATCH, CheckPage, RawCheck, body, output};
use super::wire::encoded;
use crate::forge::speaker::{Verb, Write};
use crate::forge::{Annotation, Check, CheckState, CheckWanted, ForgeError};
use crate::id::CommitId;

impl GitHub {
    /// The latest checks of that name on a commit, one for each app.
    ///
    /// # Errors
    /// Where GitHub does not show them.
    pub async fn checks(&self, commit: &CommitId, name: &str) -> Result<Vec<Check>, ForgeError> {
        let checks = self
            .within("read the checks", self.raw_checks(commit, name, "latest"))
            .await?;
        Ok(checks.into_iter().map(Check::from).collect())
    }

    /// Every check of that name on a commit: a later one does not hide those before it.
    ///
    /// # Errors
    /// As [`GitHub::checks`].
    pub async fn all_checks(
        &self,
        commit: &CommitId,
        name: &str,
    ) -> Result<Vec<Check>, ForgeError> {
        let checks = self
            .within("read the checks", self.raw_checks(commit, name, "all"))
            .await?;
        Ok(checks.into_iter().map(Check::from).collect())
    }

    async fn raw_checks(
        &self,
        commit: &CommitId,
        name: &str,
        filter: &str,
    ) -> Result<Vec<RawCheck>, ForgeError> {
        let what = format!("read the checks `{name}` on {commit}");
        let name = encoded(name);
        let path = format!(
            "{}/commits/{commit}/check-runs?check_name={name}&filter={filter}",
            self.path
        );
        self.speaker
            .all(&what, &path, |page: CheckPage| page.check_runs)
            .await
    }

    async fn raw_check(&self, id: u64) -> Result<Option<RawCheck>, ForgeError> {
        let path = format!("{}/check-runs/{id}", self.path);
        self.speaker
            .find_json(&format!("read the check {id}"), &path)
            .await
    }

    /// The newest check that is the wanted one by name, commit and external id. All are looked at,
    /// not the latest alone: a later run on the same commit must not hide it.
    async fn our_check(&self, wanted: &CheckWanted) -> Result<Option<RawCheck>, ForgeError> {
        let checks = self.raw_checks(&wanted.commit, &wanted.name, "all").await?;
        let ours = checks
            .into_iter()
            .filter(|check| check.external_id.as_ref() == Some(&wanted.external_id));
        Ok(ours.max_by_key(|check| check.id))
    }

    /// Makes sure that there is one check of that name, commit and external id, and that it is as
    /// wanted. `known` is its number where the caller knows it; that of another check is not
    /// believed. Annotations that are there already are not sent again. A completed one that is
    /// wanted in progress is left, and a new one made.
    ///
    /// # Errors
    /// [`ForgeError::Forbidden`] where the token may not write checks; else where GitHub does not
    /// take it, or nobody knows whether it did.
    pub async fn put_check(
        &self,
        wanted: &CheckWanted,
        known: Option<u64>,
    ) -> Result<Check, ForgeError> {
        let put = async {
            match self.check_to_update(wanted, known).await? {
                Some(found) => self.update_check(found, wanted).await,
                None => {
                    let first = &wanted.annotations[..wanted.annotations.len().min(BATCH)];
                    let made = self.create_check(wanted, first).await?;
                    // GitHub may count later than it answers; what it took with the check is there.
                    self.annotate_from(made, wanted, first.len()).await
                }
            }
        };
        self.within("write a check", put).await.map(Check::from)
    }

    async fn check_to_update(
        &self,
        wanted: &CheckWanted,
        known: Option<u64>,
    ) -> Result<Option<RawCheck>, ForgeError> {
        let begins = wanted.state == CheckState::InProgress;
        let usable = |check: &RawCheck| {
            check.external_id.as_ref() == Some(&wanted.external_id)
                && !(begins && check.is_completed())
        };
        if let Some(id) = known
            && let Some(check) = self.raw_check(id).await?.filter(usable)
        {
            return Ok(Some(check));
        }
        Ok(self.our_check(wanted).await?.filter(usable))
    }

    async fn create_check(
        &self,
        wanted: &CheckWanted,
        annotations: &[Annotation],
    ) -> Result<RawCheck, ForgeError> {
        let mut body = body(wanted, annotations);
        body["head_sha"] = wanted.commit.as_str().into();
        let write = Write {
            what: format!("make the check `{}`", wanted.name),
            verb: Verb::Post,
            path: format!("{}/check-runs", self.path),
            body,
        };
        let begins = wanted.state == CheckState::InProgress;
        let look = || async move {
            let found = self.our_check(wanted).await?;
            Ok(found.filter(|check| !(begins && check.is_completed())))
        };
        self.speaker.write(&write, look).await
    }

    async fn update_check(
        &self,
        found: RawCheck,
        wanted: &CheckWanted,
    ) -> Result<RawCheck, ForgeError> {
        if found.says(wanted) {
            let there = found.annotated();
            return self.annotate_from(found, wanted, there).await;
        }
        let (id, there) = (found.id, found.annotated().min(wanted.annotations.len()));
        let next = (there + BATCH).min(wanted.annotations.len());
        let updated = self
            .patch_check(
                id,
                body(wanted, &wanted.annotations[there..next]),
                (wanted, next),
            )
            .await?;
        self.annotate_from(updated, wanted, next).await
    }

    /// Sends the annotations that are missing; so many are there.
    async fn annotate_from(
        &self,
        mut check: RawCheck,
        wanted: &CheckWanted,
        mut there: usize,
    ) -> Result<RawCheck, ForgeError> {
        while let Some(rest) = wanted
            .annotations
            .get(there..)
            .filter(|rest| !rest.is_empty())
        {
            let batch = &rest[..rest.len().min(BATCH)];
            let body = serde_json::json!({ "output": output(wanted, batch) });
            there += batch.len();
            check = self.patch_check(check.id, body, (wanted, there)).await?;
        }
        Ok(check)
    }

    /// Changes a check; afterwards it has so many annotations.
    async fn patch_check(
        &self,
        id: u64,
        body: serde_json::Value,
        (wanted, annotated): (&CheckWanted, usize),
    ) -> Result<RawCheck, ForgeError> {
        let write = Write {
            what: format!("update the check `{}`", wanted.name),
            verb: Verb::Patch,
            path: format!("{}/check-runs/{id}", self.path),
            body,
        };
        // Annotations come with the rest or not at all, and a batch that came must not come again
        // for a word's sake.
        let batch = write.body["output"]["annotations"].is_array();
        let done = |check: &RawCheck| {
            if batch {
                check.annotated() >= annotated
            } else {
                check.says(wanted)
            }
        };
        let look = || async move { Ok(self.raw_check(id).await?.filter(done)) };
        self.speaker.write(&write, look).await
    }
}
