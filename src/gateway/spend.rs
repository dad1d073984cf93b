//! What has been spent, over all attempts of a run, and whether there is more to spend.
//!
//! Once something is under way to the provider, another request goes out only if what its input is
//! taken for still fits below the limits. A request that is alone goes out as long as a limit is
//! not used up: what omk takes a request for is too rough to end a run. It refuses to know streams
//! and providers: it is told what an answer costs so far, and says which limit that breaks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::account::Account;
use crate::fact::{Fact, Limit, Tokens};
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
    // `as` saturates, and takes what is not a number for 0. The small step back keeps 3.0000000001
    // from being 4.
    (exact - 1e-6).ceil().max(0.0) as u64
}

/// The run's account. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    budget: Budget,
    book: Arc<Mutex<Book>>,
    broken: Arc<watch::Sender<Option<Limit>>>,
    /// Moves when a request that waits may go out, or never will.
    moved: Arc<watch::Sender<()>>,
    pub(super) account: Arc<Account>,
}

#[derive(Debug, Default)]
struct Book {
    spent: Tokens,
    /// What the input of requests is taken for whose provider has not said yet.
    reserved: Tokens,
    /// How many those are.
    open: u32,
}

impl Ledger {
    pub(super) fn new(budget: Budget, journal: Option<UnboundedSender<Fact>>) -> Self {
        let ledger = Self {
            budget,
            book: Arc::default(),
            broken: Arc::new(watch::Sender::new(None)),
            moved: Arc::new(watch::Sender::new(())),
            account: Arc::new(Account::new(journal)),
        };
        ledger.check(Tokens::default());
        ledger
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit that is used up, once one is.
    pub(super) fn broken(&self) -> watch::Receiver<Option<Limit>> {
        self.broken.subscribe()
    }

    /// Waits until a request whose input is taken for so much may go out, and reserves that; `Err`
    /// = it never may.
    pub(super) async fn reserve(&self, input: Tokens) -> Result<(), Limit> {
        let mut moved = self.moved.subscribe();
        loop {
            if let Some(limit) = *self.broken.borrow() {
                return Err(limit);
            }
            if self.try_reserve(input) {
                return Ok(());
            }
            // The sender lives as long as this ledger.
            let _ = moved.changed().await;
        }
    }

    fn try_reserve(&self, input: Tokens) -> bool {
        let mut book = self.book();
        let mut all = book.spent;
        all += book.reserved;
        all += input;
        let fits = book.open == 0 || self.limit_of(all).is_none();
        if fits {
            book.reserved += input;
            book.open += 1;
        }
        fits
    }

    /// The provider has said what that request used, or it is over.
    pub(super) fn release(&self, input: Tokens) {
        let mut book = self.book();
        book.reserved = less(book.reserved, input);
        book.open = book.open.saturating_sub(1);
        drop(book);
        self.moved.send_replace(());
    }

    /// Takes back what an answer was charged before, and charges `now`.
    pub(super) fn recharge(&self, before: Tokens, now: Tokens) {
        let mut book = self.book();
        book.spent = less(book.spent, before);
        book.spent += now;
        self.check(book.spent);
    }

    fn check(&self, spent: Tokens) {
        let limit = self.limit_of(spent);
        if limit.is_some() {
            // Once broken it stays broken, though a rough count is later corrected downwards.
            self.broken.send_if_modified(|broken| {
                broken.is_none() && std::mem::replace(broken, limit).is_none()
            });
            self.moved.send_replace(());
        }
    }

    /// The limit that so much uses up.
    fn limit_of(&self, spent: Tokens) -> Option<Limit> {
        let tokens = self
            .budget
            .tokens_left
            .is_some_and(|left| spent.total() >= left);
        let usd = self
            .budget
            .micro_usd_left
            .is_some_and(|left| self.cost(spent).is_some_and(|cost| cost >= left));
        if tokens {
            Some(Limit::Tokens)
        } else {
            usd.then_some(Limit::Usd)
        }
    }

    /// What so many tokens cost, where prices are known.
    pub(super) fn cost(&self, tokens: Tokens) -> Option<u64> {
        self.budget
            .prices
            .map(|prices| cost_micro_usd(tokens, prices))
    }
}

fn less(from: Tokens, part: Tokens) -> Tokens {
    Tokens {
        input: from.input.saturating_sub(part.input),
        cached_input: from.cached_input.saturating_sub(part.cached_input),
        output: from.output.saturating_sub(part.output),
        reasoning: from.reasoning.saturating_sub(part.reasoning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        input: 0.60,
        cached_input: 0.15,
        output: 2.50,
    };

    fn output(output: u64) -> Tokens {
        Tokens {
            output,
            ..Tokens::default()
        }
    }

    #[test]
    fn a_million_of_each_costs_the_prices() {
        let million = Tokens {
            input: 1_000_000,
            cached_input: 1_000_000,
            output: 1_000_000,
            reasoning: 9,
        };
        assert_eq!(cost_micro_usd(million, PRICES), 3_250_000);
        assert_eq!(cost_micro_usd(output(1), PRICES), 3);
        assert_eq!(cost_micro_usd(Tokens::default(), PRICES), 0);
    }

    #[test]
    fn the_limit_that_is_used_up_is_named_once_and_for_all() {
        let ledger = Ledger::new(
            Budget {
                tokens_left: Some(10),
                ..Budget::default()
            },
            None,
        );
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
        let ledger = Ledger::new(
            Budget {
                micro_usd_left: Some(25),
                prices: Some(PRICES),
                ..Budget::default()
            },
            None,
        );
        ledger.recharge(Tokens::default(), output(10));
        assert_eq!(*ledger.broken().borrow(), Some(Limit::Usd));
    }

    #[test]
    fn nothing_left_is_used_up_from_the_start() {
        assert_eq!(
            *Ledger::new(
                Budget {
                    tokens_left: Some(0),
                    ..Budget::default()
                },
                None
            )
            .broken()
            .borrow(),
            Some(Limit::Tokens)
        );
    }

    #[tokio::test]
    async fn a_request_waits_while_what_is_under_way_may_use_the_limit_up() {
        let ledger = Ledger::new(
            Budget {
                tokens_left: Some(100),
                ..Budget::default()
            },
            None,
        );
        let input = |input| Tokens {
            input,
            ..Tokens::default()
        };
        let fits = async |tokens| {
            let reserve = ledger.reserve(tokens);
            tokio::time::timeout(std::time::Duration::from_millis(1), reserve)
                .await
                .is_ok()
        };
        // Alone it goes out, whatever it is taken for.
        assert!(fits(input(500)).await);
        assert!(!fits(input(1)).await);
        // The provider says that it was far less.
        ledger.release(input(500));
        ledger.recharge(Tokens::default(), input(60));
        assert!(fits(input(30)).await);
        assert!(!fits(input(10)).await, "60 are spent, and 30 under way");
        assert!(fits(input(9)).await);
        // One that waits hears that there is nothing left.
        let waiting = ledger.reserve(input(10));
        let breaking = async { ledger.recharge(input(60), input(100)) };
        assert_eq!(tokio::join!(waiting, breaking).0, Err(Limit::Tokens));
    }

    #[tokio::test]
    async fn money_holds_requests_back_too_and_one_that_is_over_frees_only_its_own() {
        let budget = Budget {
            micro_usd_left: Some(12),
            prices: Some(PRICES),
            ..Budget::default()
        };
        let ledger = Ledger::new(budget, None);
        let input = |input| Tokens {
            input,
            ..Tokens::default()
        };
        let fits = async |tokens| {
            let reserve = ledger.reserve(tokens);
            tokio::time::timeout(std::time::Duration::from_millis(1), reserve)
                .await
                .is_ok()
        };
        // 0.6 each: 19 cost 11.4, and so 12, which uses it up.
        assert!(fits(input(5)).await && fits(input(5)).await);
        assert!(!fits(input(9)).await);
        ledger.release(input(5));
        assert!(!fits(input(14)).await, "5 are still under way");
        assert!(fits(input(13)).await);
        ledger.recharge(Tokens::default(), input(3));
        ledger.recharge(Tokens::default(), input(2));
        ledger.recharge(input(2), input(15));
        assert_eq!(*ledger.broken().borrow(), None, "18 are spent");
        ledger.recharge(input(3), input(4));
        assert_eq!(*ledger.broken().borrow(), Some(Limit::Usd), "19 are");
    }

    #[test]
    fn without_prices_nothing_has_a_cost() {
        let unknown = Ledger::new(
            Budget {
                micro_usd_left: Some(1),
                ..Budget::default()
            },
            None,
        );
        unknown.recharge(Tokens::default(), output(1_000_000));
        assert_eq!(
            (unknown.cost(output(9)), *unknown.broken().borrow()),
            (None, None)
        );
    }
}
