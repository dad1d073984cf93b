//! omk's own name of a run's check, which leads from the check back to the workflow run.
//!
//! Anybody who may write checks can write such a name, so it is a hint where to look. It refuses to
//! be more.

use std::fmt;
use std::str::FromStr;

use super::Request;
use crate::id::{BadName, RunId, Scope};

/// `omk/pr-12/20261122t185155z-4f2a9c/77/1`: scope, run, workflow run, attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId {
    /// What was run.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The number of the workflow run.
    pub workflow: u64,
    /// Its attempt, counted from 1.
    pub attempt: u32,
}

impl From<&Request> for ExternalId {
    fn from(request: &Request) -> Self {
        Self {
            scope: request.scope.clone(),
            run: request.run.clone(),
            workflow: request.workflow.id,
            attempt: request.workflow.attempt,
        }
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "omk/{}/{}/{}/{}",
            self.scope, self.run, self.workflow, self.attempt
        )
    }
}

impl FromStr for ExternalId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let parts = || {
            let rest = text.strip_prefix("omk/")?;
            let [scope, run, workflow, attempt] =
                rest.split('/').collect::<Vec<_>>().try_into().ok()?;
            let id = Self {
                scope: scope.parse().ok()?,
                run: run.parse().ok()?,
                workflow: workflow.parse().ok()?,
                attempt: attempt.parse().ok()?,
            };
            // `+7` and `007` are numbers, too.
            (id.to_string() == text).then_some(id)
        };
        parts().ok_or_else(|| {
            BadName::new(
                text,
                "a check's name by omk",
                "`omk/SCOPE/RUN/WORKFLOW/ATTEMPT`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_it_was_written_and_nothing_else_is_one() {
        let text = "omk/pr-12/20261122t185155z-4f2a9c/77/1";
        let id: ExternalId = text.parse().unwrap();
        assert_eq!(
            (id.scope.as_str(), id.workflow, id.attempt),
            ("pr-12", 77, 1)
        );
        assert_eq!(id.to_string(), text);
        let others = [
            "",
            "omk",
            "omk/pr-12/20261122t185155z-4f2a9c/77",
            "omk/pr-12/20261122t185155z-4f2a9c/77/1/2",
            "omk/pr-12/20261122t185155z-4f2a9c/+77/1",
            "omk/pr-12/20261122t185155z-4f2a9c/77/01",
            "omk/../20261122t185155z-4f2a9c/77/1",
            "omk/pr-12/latest/77/1",
            "xomk/pr-12/20261122t185155z-4f2a9c/77/1",
        ];
        for other in others {
            assert!(other.parse::<ExternalId>().is_err(), "{other}");
        }
    }
}
