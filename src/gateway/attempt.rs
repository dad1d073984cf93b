//! One attempt's side of the gateway: what it has used, and the answers that are under way to it.
//!
//! It refuses to know HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cassette::Shelf;
use super::spend::Ledger;
use super::turn::{Turn, TurnReader};
use super::{ProviderError, Usage};
use crate::exec::Pulse;
use crate::fact::Tokens;
use crate::model::Refusal;

/// An admitted attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) pulse: Pulse,
    /// Where its answers come from, where they are recorded ones.
    pub(super) played: Option<Shelf>,
    /// Where its answers go.
    pub(super) recorded: Option<Shelf>,
    pub(super) ledger: Ledger,
    pub(super) closed: CancellationToken,
    /// Whether it is served in a room of its own, and nowhere else.
    pub(super) has_room: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    usage: Usage,
    first_request: Option<Instant>,
    open: BTreeMap<u64, Arc<Meter>>,
    next: u64,
}

impl Attempt {
    pub(super) fn new(
        pulse: Pulse,
        played: Option<Shelf>,
        recorded: Option<Shelf>,
        ledger: Ledger,
        closed: CancellationToken,
    ) -> Self {
        Self { pulse, played, recorded, ledger, closed, has_room: AtomicBool::new(false), seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is passed on. That is no sign of life of the provider: an agent could ask for ever.
    pub(super) fn asked(&self, at: Instant) {
        let mut seen = self.seen();
        seen.usage.requests += 1;
        seen.first_request.get_or_insert(at);
    }

    /// A byte of an answer has come.
    pub(super) fn heard(&self, at: Instant) {
        self.pulse.beat();
        let mut seen = self.seen();
        if let (None, Some(first)) = (seen.usage.first_byte, seen.first_request) {
            seen.usage.first_byte = Some(at.saturating_duration_since(first).max(Duration::from_nanos(1)));
        }
    }

    pub(super) fn failed(&self, error: ProviderError) {
        self.seen().usage.last_error = Some(error);
    }

    pub(super) fn answered_well(&self) {
        self.seen().usage.last_error = None;
    }

    pub(super) fn missed(&self, what: String) {
        self.seen().usage.cassette_miss.get_or_insert(what);
    }

    pub(super) fn over_budget(&self) {
        self.seen().usage.over_budget = true;
    }

    pub(super) fn unrecorded(&self, why: String) {
        self.seen().usage.unrecorded.get_or_insert(why);
    }

    /// Begins to count an answer.
    pub(super) fn open_meter(&self) -> Arc<Meter> {
        let mut seen = self.seen();
        let number = seen.next;
        seen.next += 1;
        let meter = Arc::new(Meter { number, ledger: self.ledger.clone(), state: Mutex::default() });
        seen.open.insert(number, Arc::clone(&meter));
        meter
    }

    /// Ends the count of an answer; the second time nothing happens.
    pub(super) fn close_meter(&self, meter: &Meter) {
        let mut seen = self.seen();
        if seen.open.remove(&meter.number).is_some() {
            let (tokens, estimated) = meter.settle();
            seen.usage.tokens += tokens;
            seen.usage.estimated |= estimated;
        }
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
        let open: Vec<_> = self.seen().open.values().map(Arc::clone).collect();
        for meter in open {
            self.close_meter(&meter);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let mut usage = self.seen().usage.clone();
        usage.cost_micro_usd = self.ledger.cost(usage.tokens);
        usage
    }
}

/// Counts one answer while it passes.
#[derive(Debug)]
pub(super) struct Meter {
    number: u64,
    ledger: Ledger,
    state: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    request_bytes: u64,
    reader: TurnReader,
    charged: Tokens,
}

/// A token is about so many bytes of English and code; a rough count until the provider says.
const BYTES_PER_TOKEN: u64 = 4;

impl Meter {
    fn state(&self) -> MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of so many bytes is with the provider; 0 = it was turned down.
    pub(super) fn sent(&self, request_bytes: u64) {
        self.state().request_bytes = request_bytes;
    }

    /// Looks at passing bytes, and charges what they cost so far.
    pub(super) fn look_at(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.reader.look_at(bytes);
        let spoken = Tokens { output: state.reader.spoken() / BYTES_PER_TOKEN, ..Tokens::default() };
        let now = state.reader.usage().map_or(spoken, super::TurnUsage::tokens);
        self.charge(&mut state, now);
    }

    pub(super) fn look_at_whole(&self, body: &[u8]) {
        let mut state = self.state();
        state.reader.look_at_whole(body);
        let now = state.reader.usage().map(super::TurnUsage::tokens).unwrap_or_default();
        self.charge(&mut state, now);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state().reader.is_complete()
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.state().reader.refusal().cloned()
    }

    pub(super) fn turn(&self) -> Turn {
        self.state().reader.turn().clone()
    }

    /// The final count, and whether it is an estimate.
    fn settle(&self) -> (Tokens, bool) {
        let mut state = self.state();
        let known = state.reader.usage().map(super::TurnUsage::tokens);
        // A provider that refuses inside a 200 has not worked.
        let refused = state.reader.refusal().is_some() && state.reader.spoken() == 0;
        let known = known.or_else(|| refused.then(Tokens::default));
        let estimate = Tokens {
            input: state.request_bytes / BYTES_PER_TOKEN,
            cached_input: 0,
            output: state.reader.spoken() / BYTES_PER_TOKEN,
            reasoning: state.reader.turn().reasoning.len() as u64 / BYTES_PER_TOKEN,
        };
        let now = known.unwrap_or(estimate);
        self.charge(&mut state, now);
        (now, known.is_none() && now.total() > 0)
    }

    fn charge(&self, state: &mut Counted, now: Tokens) {
        self.ledger.recharge(state.charged, now);
        state.charged = now;
    }
}
