//! Progress of a run in the sticky comment and the check, while the job that runs it may write, at
//! GitHub. At GitLab each edit of a comment may start a pipeline, so there is no progress to be
//! seen there.
//!
//! It refuses to be a burden: an edit every 15 seconds at most, ever fewer as the run goes on, none
//! where nothing changed; and to fail a run because the forge does not take one.

use std::time::Duration;

use super::checks;
use crate::forge::{Forge, ForgeError};
use crate::id::Moment;
use crate::report::{Count, View, sticky};
use crate::request::Request;
use crate::text::ForgeKind;
use crate::trust::Account;

/// The least time between two edits.
const SPACING: Duration = Duration::from_secs(15);

/// Edits of a run in all, each of the comment and of the check: a run stays under 60 writes
/// together with what is written at its end.
const EDITS: u32 = 10;

/// The sticky comment and the check of a run under way.
#[derive(Debug)]
pub struct ForgeProgress {
    forge: Forge,
    request: Request,
    me: Account,
    began: Moment,
    last: Moment,
    edits: u32,
    shown: Option<Count>,
}

impl ForgeProgress {
    /// Of a run that began just now, when the comment was written; `me` is who the token is.
    #[must_use]
    pub fn new(forge: Forge, request: Request, me: Account, now: Moment) -> Self {
        Self {
            forge,
            request,
            me,
            began: now,
            last: now,
            edits: 0,
            shown: None,
        }
    }

    /// Whether an edit would be made, if the tasks stand so: cheaper to ask than a view is to make.
    #[must_use]
    pub fn is_due(&self, count: Count, now: Moment) -> bool {
        // As long as it has gone on already: ten edits last for two hours.
        let wait = SPACING.max(self.last.since(self.began));
        let told = match self.request.forge {
            ForgeKind::GitHub => self.request.pull.is_some() || self.request.check.is_some(),
            ForgeKind::GitLab => false,
        };
        told && !self.request.dry_run
            && self.edits < EDITS
            && self.shown != Some(count)
            && now.since(self.last) >= wait
    }

    /// Edits comment and check where that is due. Scrub the view first.
    ///
    /// # Errors
    /// Where the forge does not take it; the run goes on, and the next edit is tried in its time.
    pub async fn show(&mut self, view: &View, now: Moment) -> Result<(), ForgeError> {
        let count = view.count();
        if !self.is_due(count, now) {
            return Ok(());
        }
        (self.last, self.edits, self.shown) = (now, self.edits + 1, Some(count));
        if let Some(pull) = &self.request.pull {
            let (marker, body) = (
                sticky::marker(&self.request.scope),
                sticky::running(&self.request, view),
            );
            self.forge
                .put_comment(pull.number, &self.me, &marker, &body)
                .await?;
        }
        // Where checks are refused there is none to edit.
        let Some(check) = self.request.check else {
            return Ok(());
        };
        self.forge
            .put_check(&checks::running(&self.request, view, now), Some(check))
            .await
            .map(drop)
    }
}
