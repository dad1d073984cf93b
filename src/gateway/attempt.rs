//! One attempt's side of the gateway: what it has used, and the answers that are under way to it.
//!
//! It refuses to know HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::account::Ticket;
use super::cassette::Shelf;
use super::spend::Ledger;
use super::turn::{ModelAnswer, TurnReader};
use super::{ProviderError, Usage};
use crate::exec::Pulse;
use crate::fact::{Fact, Limit, Tokens};
use crate::id::TaskId;
use crate::model::ProviderRefusal;

/// An admitted attempt.
#[derive(Debug)]
pub(super) struct AdmittedAttempt {
    /// The task, and the attempt's number.
    who: (TaskId, u32),
    pub(super) pulse: Pulse,
    /// Where its answers come from, where they are recorded ones.
    pub(super) played: Option<Shelf>,
    /// Where its answers go.
    pub(super) recorded: Option<Shelf>,
    pub(super) ledger: Ledger,
    pub(super) closed: CancellationToken,
    /// Whether it is served in a room of its own, and nowhere else.
    pub(super) has_room: AtomicBool,
    seen: Mutex<AttemptTraffic>,
}

#[derive(Debug, Default)]
struct AttemptTraffic {
    usage: Usage,
    first_request: Option<Instant>,
    open: BTreeMap<u64, Arc<Meter>>,
    next: u64,
}

impl AdmittedAttempt {
    pub(super) fn new(
        who: (TaskId, u32),
        pulse: Pulse,
        (played, recorded): (Option<Shelf>, Option<Shelf>),
        ledger: Ledger,
        closed: CancellationToken,
    ) -> Self {
        Self {
            who,
            pulse,
            played,
            recorded,
            ledger,
            closed,
            has_room: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, AttemptTraffic> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is passed on. That is no sign of life of the provider: an agent could ask for
    /// ever.
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
            seen.usage.first_byte = Some(
                at.saturating_duration_since(first)
                    .max(Duration::from_nanos(1)),
            );
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
        let (who, ledger) = (self.who.clone(), self.ledger.clone());
        let meter = Arc::new(Meter {
            who,
            number,
            ledger,
            state: Mutex::default(),
        });
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
    who: (TaskId, u32),
    number: u64,
    ledger: Ledger,
    state: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// What the input is taken for while a request is with the provider.
    input: Tokens,
    /// What of the limits is kept for the input.
    reserved: Option<Tokens>,
    reader: TurnReader,
    charged: Tokens,
    /// What the journal has of this request, and whether that is the count of its answer.
    told: Option<(Tokens, bool)>,
    /// It is over, and counted.
    is_settled: bool,
}

/// A token is about so many bytes of English and code; a rough count until the provider says.
const BYTES_PER_TOKEN: u64 = 4;

impl Meter {
    fn state(&self) -> MutexGuard<'_, Counted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of so many bytes may go out; `Err` = it never may.
    pub(super) async fn reserve(&self, request_bytes: u64) -> Result<(), Limit> {
        let input = Tokens {
            input: request_bytes / BYTES_PER_TOKEN,
            ..Tokens::default()
        };
        self.ledger.reserve(input).await?;
        let mut state = self.state();
        state.reserved = Some(input);
        // The attempt may have been closed meanwhile.
        if state.is_settled {
            self.release(&mut state);
        }
        Ok(())
    }

    /// The request is about to go out. Returns when the journal has it.
    pub(super) async fn ask(&self) {
        let ticket = {
            let mut state = self.state();
            let tokens = state.reserved.unwrap_or_default();
            state.told = Some((tokens, false));
            let ((task, attempt), cost_micro_usd) = (self.who.clone(), self.ledger.cost(tokens));
            let asked = Fact::Asked {
                task,
                attempt,
                request: self.number,
                tokens,
                cost_micro_usd,
            };
            self.ledger.account.tell(asked)
        };
        self.ledger.account.until_written(ticket).await;
    }

    /// The request is with the provider. From here on it costs something, even if the agent goes
    /// away before the answer comes.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        state.input = state.reserved.unwrap_or_default();
    }

    /// The provider did not take the request.
    pub(super) fn turned_down(&self) {
        self.state().input = Tokens::default();
    }

    /// If the answer is complete and its count is known, returns when the journal has that.
    pub(super) async fn tell(&self) {
        let ticket = {
            let mut state = self.state();
            let known = state
                .reader
                .usage()
                .map(super::TurnUsage::tokens)
                .filter(|_| state.reader.is_complete());
            known.and_then(|tokens| self.answered(&mut state, tokens, false))
        };
        self.ledger.account.until_written(ticket).await;
    }

    /// Tells the journal what the answer used, unless it has that.
    fn answered(&self, state: &mut Counted, tokens: Tokens, estimated: bool) -> Option<Ticket> {
        if state.told? == (tokens, true) {
            return None;
        }
        state.told = Some((tokens, true));
        let ((task, attempt), cost_micro_usd) = (self.who.clone(), self.ledger.cost(tokens));
        let answered = Fact::Answered {
            task,
            attempt,
            request: self.number,
            tokens,
            estimated,
            cost_micro_usd,
        };
        self.ledger.account.tell(answered)
    }

    /// Looks at passing bytes, and charges what they cost so far.
    pub(super) fn look_at(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.reader.look_at(bytes);
        let spoken = Tokens {
            output: state.reader.spoken() / BYTES_PER_TOKEN,
            ..Tokens::default()
        };
        let now = state
            .reader
            .usage()
            .map_or(spoken, super::TurnUsage::tokens);
        self.charge(&mut state, now);
    }

    pub(super) fn look_at_whole(&self, body: &[u8]) {
        let mut state = self.state();
        state.reader.look_at_whole(body);
        let now = state
            .reader
            .usage()
            .map(super::TurnUsage::tokens)
            .unwrap_or_default();
        self.charge(&mut state, now);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state().reader.is_complete()
    }

    pub(super) fn refusal(&self) -> Option<ProviderRefusal> {
        self.state().reader.refusal().cloned()
    }

    pub(super) fn turn(&self) -> ModelAnswer {
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
            input: state.input.input,
            cached_input: 0,
            output: state.reader.spoken() / BYTES_PER_TOKEN,
            reasoning: state.reader.turn().reasoning.len() as u64 / BYTES_PER_TOKEN,
        };
        let now = known.unwrap_or(estimate);
        let estimated = known.is_none() && now.total() > 0;
        state.is_settled = true;
        self.charge(&mut state, now);
        self.release(&mut state);
        self.answered(&mut state, now, estimated);
        (now, estimated)
    }

    fn charge(&self, state: &mut Counted, now: Tokens) {
        self.ledger.recharge(state.charged, now);
        state.charged = now;
        if state.reader.usage().is_some() {
            self.release(state);
        }
    }

    fn release(&self, state: &mut Counted) {
        if let Some(reserved) = state.reserved.take() {
            self.ledger.release(reserved);
        }
    }
}

#[cfg(test)]
mod tests;
