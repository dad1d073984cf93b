//! The loop: gather facts, the engine takes them, write and sync, carry out the orders.
//!
//! The only place that waits for several things at once. It refuses to know how an order is carried
//! out: that is the business of its [`Hands`], of which there are two kinds, the workshop that does
//! real work and the idle ones that benchmarks measure the loop with.

use std::borrow::Cow;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::Clock;
use crate::engine::{Engine, Illegal, LEASE};
use crate::fact::{Fact, Order, RunVerdict};
use crate::id::Moment;
use crate::journal::MOST_LINES_PER_TURN;
use crate::store::{JournalFile, StoreError};
use crate::text::Advised;

/// How often this process looks whether it was paused, at least: twice in the time between two
/// renewals of a lease.
const HEARTBEAT: Duration = Duration::from_secs(LEASE.as_secs() / 6);

/// So long without a look is a pause. A lease that is renewed in time has twice as long left at any
/// moment, so no shorter pause lets it expire.
const PAUSE: Duration = Duration::from_secs(LEASE.as_secs() / 3);

/// How long workers have to renew their leases after a pause. They do it at once, when they get a
/// processor.
const AFTER_PAUSE: Duration = Duration::from_secs(5);

/// What carries out orders, and sends facts back through the channel that the loop reads.
pub trait Hands {
    /// Begins to carry out an order that is on disk. Must not block; [`Order::Wake`] and
    /// [`Order::Conclude`] never come here.
    fn carry_out(&mut self, order: &Order, engine: &Engine);

    /// A turn is over: its facts are on disk, and the orders that each one brought were given.
    fn turn_over(&mut self, turn: &[Taken], engine: &Engine);

    /// Returns when nothing that was begun is under way any more. What the end of a run leaves
    /// undone is reported as a fact.
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

/// Why the loop gave up. The journal holds all that was acted upon; `omk resume` goes on from
/// there.
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

impl Advised for DriveError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Store(error) => error.advice(),
            Self::Illegal(_) | Self::Silence => None,
        }
    }
}

/// Drives a run from its next fact, a [`Fact::Began`] or [`Fact::TookUp`], to its end.
///
/// # Errors
/// Where the journal cannot be written, or the facts make no sense. Children under way have been
/// ended by then.
pub async fn drive<H: Hands>(
    engine: &mut Engine,
    journal: &mut JournalFile,
    hands: &mut H,
    facts: &mut UnboundedReceiver<Fact>,
    first: Fact,
    clock: &Clock,
) -> Result<RunVerdict, DriveError> {
    let mut wakes = Wakes::begin(clock.now());
    let mut turn = vec![first];
    loop {
        match one_turn(engine, journal, hands, &mut turn, &mut wakes.at, clock) {
            Ok(None) => {}
            Ok(Some(verdict)) => {
                hands.rest().await;
                let late = take_late(engine, journal, hands, facts, clock)?;
                return Ok(late.unwrap_or(verdict));
            }
            Err(error) => {
                hands.rest().await;
                return Err(error);
            }
        }
        let mut woken = false;
        while turn.is_empty() && !woken {
            tokio::select! {
                fact = facts.recv() => turn.push(fact.ok_or(DriveError::Silence)?),
                () = clock.sleep_until(wakes.next()) => {}
            }
            woken = wakes.look(clock.now());
        }
        // One line is left for the last.
        while turn.len() + 1 < MOST_LINES_PER_TURN
            && let Ok(fact) = facts.try_recv()
        {
            turn.push(fact);
        }
        // Last, so that what has happened by now counts.
        if woken {
            turn.push(Fact::Woke);
        }
    }
}

/// When the engine wants to be woken. It is put off if this process was paused, by Ctrl-Z, `docker
/// pause` or the machine: then nobody could renew a lease, and all leases seem to have expired.
#[derive(Debug)]
struct Wakes {
    at: Option<Moment>,
    /// When this process last saw itself running.
    seen: Moment,
}

impl Wakes {
    fn begin(now: Moment) -> Self {
        Self {
            at: None,
            seen: now,
        }
    }

    /// Until when to wait at most.
    fn next(&self) -> Moment {
        let heartbeat = self.seen.after(HEARTBEAT);
        self.at.map_or(heartbeat, |at| at.min(heartbeat))
    }

    /// This process runs: whether the engine is to be woken now.
    fn look(&mut self, now: Moment) -> bool {
        let was_paused = now.since(self.seen) > PAUSE;
        self.seen = now;
        if let Some(at) = self.at.as_mut().filter(|_| was_paused) {
            *at = (*at).max(now.after(AFTER_PAUSE));
        }
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = None;
        }
        due
    }
}

/// Keeps what attempts that the end of the run interrupted have to tell: what they used counts
/// against the limits of whoever takes the run up. It changes nothing else; the attempts are
/// revoked. A result whose branch could not be put there changes the verdict, which is returned
/// then.
fn take_late<H: Hands>(
    engine: &mut Engine,
    journal: &mut JournalFile,
    hands: &mut H,
    facts: &mut UnboundedReceiver<Fact>,
    clock: &Clock,
) -> Result<Option<RunVerdict>, DriveError> {
    let mut late = Vec::new();
    while let Ok(fact) = facts.try_recv() {
        if matches!(fact, Fact::Worked { .. } | Fact::Placed { .. }) || fact.is_spending() {
            late.push(fact);
        }
    }
    if late.is_empty() {
        return Ok(None);
    }
    one_turn(engine, journal, hands, &mut late, &mut None, clock)
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
    // Nothing is done because of what was spent but at a limit, which is a fact of its own. So an
    // answer costs no sync. A power cut loses at most what was spent since the last other fact:
    // every attempt that spends renews its lease meanwhile.
    if taken
        .iter()
        .all(|taken| taken.fact.is_spending() && taken.orders.is_empty())
    {
        journal.write()?;
    } else {
        journal.sync()?;
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(second: u64) -> Moment {
        Moment::from_millis(0).after(Duration::from_secs(second))
    }

    proptest! {
        /// A worker that renews its lease whenever it may run, at any moment and for any length of pauses.
        #[test]
        fn no_pause_of_this_process_lets_a_lease_expire_whose_worker_is_well(
            pauses in prop::collection::vec((0u64..400, 1u64..4000), 0..6),
        ) {
            let (mut now, mut wakes) = (0, Wakes::begin(second(0)));
            let mut expires = LEASE.as_secs();
            let mut renews = LEASE.as_secs() / 3;
            wakes.at = Some(second(expires + 1));
            let mut pauses = pauses.into_iter();
            let mut paused = pauses.next();
            while now < 5000 {
                now += 1;
                match &mut paused {
                    Some((0, length)) => {
                        now += *length;
                        paused = pauses.next();
                    }
                    Some((wait, _)) => *wait -= 1,
                    None => {}
                }
                // The loop is the first that runs again, its worker the last, within a second.
                if wakes.next() <= second(now) && wakes.look(second(now)) {
                    prop_assert!(expires >= now, "the lease of a worker that is well has expired");
                    wakes.at = Some(second(expires + 1));
                }
                if renews <= now {
                    (expires, renews) = (now + LEASE.as_secs(), now + LEASE.as_secs() / 3);
                }
            }
        }

        #[test]
        fn without_a_pause_the_engine_is_woken_in_time(wanted in 0u64..2000) {
            let (mut now, mut wakes) = (0, Wakes::begin(second(0)));
            wakes.at = Some(second(wanted));
            while !wakes.look(second(now)) {
                prop_assert!(now < wanted);
                now = now.max(u64::try_from(wakes.next().as_millis()).unwrap() / 1000);
            }
            prop_assert_eq!(now, wanted);
        }
    }
}
