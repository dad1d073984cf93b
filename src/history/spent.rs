//! What attempts used: request by request as they are asked and answered, and in the whole once an
//! attempt is over.
//!
//! It refuses to count a request twice.

use std::collections::BTreeMap;

use crate::fact::{AgentEvidence, Tokens};
use crate::plan::Agent;

/// What an attempt used.
#[derive(Debug, Clone)]
pub(super) enum Spent {
    /// Request by request, as long as the attempt has not said what it used in all: it works, or
    /// omk died meanwhile.
    Counted(BTreeMap<u64, Cost>),
    /// As its evidence has it.
    Settled(Box<AgentEvidence>),
}

/// What one request used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) tokens: Tokens,
    pub(super) cost_micro_usd: Option<u64>,
    /// It is omk's own count, of a request whose answer did not come to its end.
    pub(super) estimated: bool,
}

impl Spent {
    pub(super) fn tokens(&self) -> Tokens {
        match self {
            Self::Settled(agent) => agent.tokens,
            Self::Counted(requests) => {
                requests.values().fold(Tokens::default(), |mut all, cost| {
                    all += cost.tokens;
                    all
                })
            }
        }
    }

    pub(super) fn cost_micro_usd(&self) -> Option<u64> {
        match self {
            Self::Settled(agent) => agent.cost_micro_usd,
            Self::Counted(requests) => requests
                .values()
                .filter_map(|cost| cost.cost_micro_usd)
                .reduce(u64::saturating_add),
        }
    }

    /// How much of it is omk's own count.
    pub(super) fn estimated(&self) -> u64 {
        match self {
            Self::Settled(_) => 0,
            Self::Counted(requests) => {
                let estimated = requests.values().filter(|cost| cost.estimated);
                estimated
                    .map(|cost| cost.tokens.total())
                    .fold(0, u64::saturating_add)
            }
        }
    }

    /// As proofs have it. An attempt that died with omk left its account and nothing else.
    pub(super) fn evidence(&self, agent: &Agent) -> AgentEvidence {
        match self {
            Self::Settled(evidence) => (**evidence).clone(),
            Self::Counted(requests) => AgentEvidence {
                kind: agent.kind.as_str().to_owned(),
                version: agent.version.clone(),
                model: agent.model.clone(),
                tokens: self.tokens(),
                cost_micro_usd: self.cost_micro_usd(),
                requests: u32::try_from(requests.len()).unwrap_or(u32::MAX),
                session: None,
                resumed: false,
                transcript: None,
                said: String::new(),
                unrecorded: None,
            },
        }
    }
}
