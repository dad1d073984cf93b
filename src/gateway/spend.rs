//! What has been spent, over all attempts of a run, and whether there is more to spend.
//!
//! It refuses to know streams and providers: it is told what an answer costs so far, and says which limit that breaks.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::fact::{Limit, Tokens};
use crate::model::Prices;

/// What may still be spent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    /// Input + cached input + output; absent = unlimited.
    pub tokens_left: Option<u64>,
    /// Millionths of a USD; absent = unlimited; needs `prices`.
    pub micro_usd_left: Option<u64>,
    /// USD per million tokens, where known.
    pub prices: Option<Prices>,
}

/// What so many tokens cost, in millionths of a USD, rounded up.
#[must_use]
pub fn cost_micro_usd(tokens: Tokens, prices: Prices) -> u64 {
    // A USD per million tokens is a millionth of a USD per token.
    let exact = tokens.input as f64 * prices.input
        + tokens.cached_input as f64 * prices.cached_input
        + tokens.output as f64 * prices.output;
    // `as` saturates, and takes what is not a number for 0. The small step back keeps 3.0000000001 from being 4.
    (exact - 1e-6).ceil().max(0.0) as u64
}

/// The run's account. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    budget: Budget,
    spent: Arc<Mutex<Tokens>>,
    broken: Arc<watch::Sender<Option<Limit>>>,
}

impl Ledger {
    pub(super) fn new(budget: Budget) -> Self {
        let ledger = Self { budget, spent: Arc::default(), broken: Arc::new(watch::Sender::new(None)) };
        ledger.check(Tokens::default());
        ledger
    }

    /// The limit that is used up, once one is.
    pub(super) fn broken(&self) -> watch::Receiver<Option<Limit>> {
        self.broken.subscribe()
    }

    /// Takes back what an answer was charged before, and charges `now`.
    pub(super) fn recharge(&self, before: Tokens, now: Tokens) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.input = spent.input.saturating_sub(before.input).saturating_add(now.input);
        spent.cached_input = spent.cached_input.saturating_sub(before.cached_input).saturating_add(now.cached_input);
        spent.output = spent.output.saturating_sub(before.output).saturating_add(now.output);
        self.check(*spent);
    }

    fn check(&self, spent: Tokens) {
        let tokens = self.budget.tokens_left.is_some_and(|left| spent.total() >= left);
        let usd = self.budget.micro_usd_left.is_some_and(|left| self.cost(spent).is_some_and(|cost| cost >= left));
        let limit = if tokens { Some(Limit::Tokens) } else { usd.then_some(Limit::Usd) };
        if limit.is_some() {
            // Once broken it stays broken, though a rough count is later corrected downwards.
            self.broken.send_if_modified(|broken| broken.is_none() && std::mem::replace(broken, limit).is_none());
        }
    }

    /// What so many tokens cost, where prices are known.
    pub(super) fn cost(&self, tokens: Tokens) -> Option<u64> {
        self.budget.prices.map(|prices| cost_micro_usd(tokens, prices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices { input: 0.60, cached_input: 0.15, output: 2.50 };

    fn output(output: u64) -> Tokens {
        Tokens { output, ..Tokens::default() }
    }

    #[test]
    fn a_million_of_each_costs_the_prices() {
        let million = Tokens { input: 1_000_000, cached_input: 1_000_000, output: 1_000_000, reasoning: 9 };
        assert_eq!(cost_micro_usd(million, PRICES), 3_250_000);
        assert_eq!(cost_micro_usd(output(1), PRICES), 3);
        assert_eq!(cost_micro_usd(Tokens::default(), PRICES), 0);
    }

    #[test]
    fn the_limit_that_is_used_up_is_named_once_and_for_all() {
        let ledger = Ledger::new(Budget { tokens_left: Some(10), ..Budget::default() });
        let broken = ledger.broken();
        ledger.recharge(Tokens::default(), output(9));
        assert_eq!(*broken.borrow(), None);
        ledger.recharge(output(9), output(10));
        assert_eq!(*broken.borrow(), Some(Limit::Tokens));
        ledger.recharge(output(10), output(1));
        assert_eq!(*broken.borrow(), Some(Limit::Tokens));
    }

    #[test]
    fn money_is_a_limit_of_its_own() {
        let ledger = Ledger::new(Budget { micro_usd_left: Some(25), prices: Some(PRICES), ..Budget::default() });
        ledger.recharge(Tokens::default(), output(10));
        assert_eq!(*ledger.broken().borrow(), Some(Limit::Usd));
    }

    #[test]
    fn nothing_left_is_used_up_from_the_start() {
        assert_eq!(
            *Ledger::new(Budget { tokens_left: Some(0), ..Budget::default() }).broken().borrow(),
            Some(Limit::Tokens)
        );
    }
}
