//! Folding a journal through a fresh engine, and checking that it gives just the orders that were
//! recorded.

use std::sync::Arc;

use super::Line;
use crate::engine::{Engine, Illegal};
use crate::fact::Order;
use crate::plan::Plan;

/// Where a journal and the engine part ways.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplayDifference {
    /// The engine refuses a recorded fact.
    #[error("line {line}: {reason}")]
    Refused {
        /// From 1.
        line: u64,
        /// Why.
        reason: Illegal,
    },
    /// The engine orders something else than was recorded.
    #[error(
        "line {line}: the journal orders {}, the engine {}",
        in_words(recorded),
        in_words(given)
    )]
    Orders {
        /// From 1.
        line: u64,
        /// What the journal holds.
        recorded: Vec<Order>,
        /// What the engine says.
        given: Vec<Order>,
    },
}

fn in_words(orders: &[Order]) -> String {
    serde_json::to_string(orders).unwrap_or_else(|_| format!("{} orders", orders.len()))
}

/// An engine that has taken every line.
///
/// # Errors
/// The first [`ReplayDifference`].
pub fn replay(plan: Arc<Plan>, lines: &[Line]) -> Result<Engine, ReplayDifference> {
    let mut engine = Engine::new(plan);
    for line in lines {
        let given =
            engine
                .take(line.at, &line.fact)
                .map_err(|reason| ReplayDifference::Refused {
                    line: line.seq,
                    reason,
                })?;
        if given != line.orders {
            return Err(ReplayDifference::Orders {
                line: line.seq,
                recorded: line.orders.clone(),
                given,
            });
        }
    }
    Ok(engine)
}
