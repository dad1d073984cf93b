//! The loop: gather facts, the engine takes them, write and sync, carry out the orders.
//!
//! The only place that waits for several things at once. It refuses to know how an order is carried out: that is the
//! business of its [`Hands`], of which there are two kinds, the workshop that does real work and the idle ones that
//! benchmarks measure the loop with.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::Clock;
use crate::engine::{Engine, Illegal};
use crate::fact::{Fact, Order, RunVerdict};
use crate::id::Moment;
use crate::store::{JournalFile, StoreError};

/// So many facts are taken in one turn at most, so that a flood of them does not put off the orders.
const MOST_FACTS_PER_TURN: usize = 256;

/// What carries out orders, and sends facts back through the channel that the loop reads.
pub trait Hands {
    /// Begins to carry out an order that is on disk. Must not block; [`Order::Wake`] and [`Order::Conclude`] never come here.
    fn carry_out(&mut self, order: &Order, engine: &Engine);

    /// A turn is over: its facts are on disk, and the orders that each one brought were given.
    fn turn_over(&mut self, turn: &[Taken], engine: &Engine);

    /// Returns when nothing that was begun is under way any more.
    fn rest(&mut self) -> impl Future<Output = ()>;
}

/// A fact that the engine took, and what it ordered because of it.
#[derive(Debug)]
pub struct Taken {
    /// When.
    pub at: Moment,
    /// What happened.
    pub fact: Fact,
    /// What is to be done.
    pub orders: Vec<Order>,
}

/// Why the loop gave up. The journal holds all that was acted upon; `omk resume` goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The world told the engine something that cannot have happened.
    #[error("follow the run: {0}")]
    Illegal(#[from] Illegal),
    /// Nobody is left to send facts, and the run has not ended.
    #[error("follow the run: every worker is gone")]
    Silence,
}

/// Drives a run from its next fact, a [`Fact::Began`] or [`Fact::TookUp`], to its end.
///
/// # Errors
/// Where the journal cannot be written, or the facts make no sense. Children under way have been ended by then.
pub async fn drive<H: Hands>(
    engine: &mut Engine,
    journal: &mut JournalFile,
    hands: &mut H,
    facts: &mut UnboundedReceiver<Fact>,
    first: Fact,
    clock: &Clock,
) -> Result<RunVerdict, DriveError> {
    let mut wake = None;
    let mut turn = vec![first];
    loop {
        match one_turn(engine, journal, hands, &mut turn, &mut wake, clock) {
            Ok(None) => {}
            Ok(Some(verdict)) => {
                hands.rest().await;
                take_late(engine, journal, hands, facts, clock)?;
                return Ok(verdict);
            }
            Err(error) => {
                hands.rest().await;
                return Err(error);
            }
        }
        tokio::select! {
            fact = facts.recv() => turn.push(fact.ok_or(DriveError::Silence)?),
            () = clock.sleep_until(wake.unwrap_or_default()), if wake.is_some() => {
                wake = None;
                turn.push(Fact::Woke);
            }
        }
        while turn.len() < MOST_FACTS_PER_TURN
            && let Ok(fact) = facts.try_recv()
        {
            turn.push(fact);
        }
    }
}

/// Keeps what attempts that the end of the run interrupted have to tell: what they used counts against the limits of
/// whoever takes the run up. It changes nothing else; the attempts are revoked.
fn take_late<H: Hands>(
    engine: &mut Engine,
    journal: &mut JournalFile,
    hands: &mut H,
    facts: &mut UnboundedReceiver<Fact>,
    clock: &Clock,
) -> Result<(), DriveError> {
    let mut late = Vec::new();
    while let Ok(fact) = facts.try_recv() {
        if matches!(fact, Fact::Worked { .. }) {
            late.push(fact);
        }
    }
    if late.is_empty() {
        return Ok(());
    }
    one_turn(engine, journal, hands, &mut late, &mut None, clock).map(drop)
}

/// Takes the facts, syncs, gives the orders; the verdict where the run has ended.
fn one_turn<H: Hands>(
    engine: &mut Engine,
    journal: &mut JournalFile,
    hands: &mut H,
    turn: &mut Vec<Fact>,
    wake: &mut Option<Moment>,
    clock: &Clock,
) -> Result<Option<RunVerdict>, DriveError> {
    let mut taken = Vec::with_capacity(turn.len());
    for fact in turn.drain(..) {
        let at = clock.now();
        let orders = engine.take(at, &fact)?;
        journal.push(at, &fact, &orders)?;
        taken.push(Taken { at, fact, orders });
    }
    journal.sync()?;
    let mut verdict = None;
    for order in taken.iter().flat_map(|taken| &taken.orders) {
        match order {
            Order::Wake { at } => *wake = Some(*at),
            Order::Conclude { verdict: end } => verdict = Some(*end),
            Order::Start { .. }
            | Order::Land { .. }
            | Order::End { .. }
            | Order::Judge { .. }
            | Order::Preflight
            | Order::Rebuild { .. } => {
                hands.carry_out(order, engine);
            }
        }
    }
    hands.turn_over(&taken, engine);
    Ok(verdict)
}
