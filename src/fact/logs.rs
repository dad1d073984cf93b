//! The files of a run that a fact names. It refuses to look whether they are there.

use super::{Fact, GateOutcome, LogEvidence};

impl Fact {
    /// Logs and transcripts that it names.
    #[must_use]
    pub fn logs(&self) -> Vec<&LogEvidence> {
        let of_gates = |gates| <[GateOutcome]>::iter(gates).filter_map(|gate| gate.log.as_ref());
        match self {
            Self::Worked { evidence, .. } => {
                let command = evidence.command.iter().map(|command| &command.log);
                let agent = evidence
                    .agent
                    .iter()
                    .filter_map(|agent| agent.transcript.as_ref());
                command
                    .chain(agent)
                    .chain(of_gates(&evidence.gates))
                    .collect()
            }
            Self::Judged { gates, .. } | Self::Preflighted { gates, .. } => {
                of_gates(gates).collect()
            }
            Self::Began(_)
            | Self::TookUp { .. }
            | Self::Prepared { .. }
            | Self::Renewed { .. }
            | Self::Landed { .. }
            | Self::Clashed { .. }
            | Self::Woke
            | Self::Asked { .. }
            | Self::Answered { .. }
            | Self::Rebuilt { .. }
            | Self::Limited { .. }
            | Self::Stopped { .. }
            | Self::Cancelled { .. }
            | Self::Placed { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
