//! What has been spent, over all attempts of a run, and whether there is more to spend.
//!
//! Once something is under way to the provider, another request goes out only if what its input is
//! taken for still fits below the limits. A request that is alone goes out as long as a limit is
//! not used up: what omk takes a request for is too rough to end a run. It refuses to know streams
//! and providers: it is told what an answer costs so far, and says which limit that breaks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::account::SpendingAccount;
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
    pub(super) account: Arc<SpendingAccount>,
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
            account: Arc::new(SpendingAccount::new(journal)),
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
mod tests;
