//! Why nothing can be said of a run's result: plain words for the texts that tell it, each forge's
//! own.
//!
//! It refuses Markdown: each text escapes for where it goes.

use crate::fact::RunVerdict;
use crate::text::ForgeKind;

/// Why a run ended without a result that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostRun {
    /// It could not start.
    NotStarted {
        /// Why, and what to do.
        why: String,
        /// Whose turn it is.
        verdict: RunVerdict,
    },
    /// It ran, and its result could not be published: why and what to do, and whose turn it is.
    Unpublished(String, RunVerdict),
    /// The job that ran it left nothing behind.
    NoBundle,
    /// The job that judges did not say anything.
    NoJudgement,
    /// What was left behind is not to be believed, and why.
    Refused(String),
    /// A person cancelled the workflow.
    Cancelled,
}

impl LostRun {
    /// What the run is called then.
    #[must_use]
    pub fn verdict(&self) -> RunVerdict {
        match self {
            Self::NotStarted { verdict, .. } | Self::Unpublished(_, verdict) => *verdict,
            Self::NoBundle | Self::NoJudgement | Self::Refused(_) => RunVerdict::FailedInfra,
            Self::Cancelled => RunVerdict::Cancelled,
        }
    }

    /// Why, a sentence of plain text, in a forge's words.
    #[must_use]
    pub fn words(&self, forge: ForgeKind) -> String {
        match self {
            Self::NotStarted { why, .. } => format!("The run could not start: {}.", why.trim_end_matches('.')),
            Self::Unpublished(why, _) => format!("The result could not be published: {}.", why.trim_end_matches('.')),
            Self::NoBundle => {
                let gone = match forge {
                    ForgeKind::GitHub => "its artifact is gone",
                    ForgeKind::GitLab => "its artifacts are gone",
                };
                format!(
                    "The job that ran the tasks ended without leaving its result: it was cancelled or killed, ran out of time or \
                     disk, or {gone}."
                )
            }
            Self::NoJudgement => {
                "The job that judges the result ended without a judgement, so nobody but the agent's own job has seen it."
                    .to_owned()
            }
            Self::Refused(why) => format!("What the run left is not to be believed: {}.", why.trim_end_matches('.')),
            Self::Cancelled => match forge {
                ForgeKind::GitHub => "The workflow was cancelled before the run was over.".to_owned(),
                ForgeKind::GitLab => "The pipeline was cancelled before the run was over.".to_owned(),
            },
        }
    }
}
