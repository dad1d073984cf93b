//! The loop with its journal, on disk, with hands that need no time: 10,000 tasks wide and as a
//! chain, and one hop.
//!
//! Beside it stands what omk 0.5.0 took for the same, as its own report gave it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints"
)]

use std::sync::Arc;
use std::time::Instant;

use omk_action::clock::Clock;
use omk_action::drive::{Hands, Taken, drive};
use omk_action::engine::Engine;
use omk_action::fact::{Evidence, Fact, Order, Outcome, RunVerdict};
use omk_action::id::Tip;
use omk_action::store::Store;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

mod support;

use support::{Shape, began, plan};

/// Hands whose every task is done at once, without a change.
struct Idle {
    facts: UnboundedSender<Fact>,
    base: Tip,
}

impl Hands for Idle {
    fn carry_out(&mut self, order: &Order, _engine: &Engine) {
        let Order::Start { task, attempt, .. } = order else {
            return;
        };
        let prepared = Fact::Prepared {
            task: task.clone(),
            attempt: *attempt,
            base: self.base.clone(),
            slot: "/var/cache/omk/slots/0123456789ab/1".into(),
        };
        let evidence = Box::new(Evidence::default());
        let worked = Fact::Worked {
            task: task.clone(),
            attempt: *attempt,
            outcome: Outcome::Unchanged,
            evidence,
        };
        for fact in [prepared, worked] {
            self.facts.send(fact).expect("the loop listens");
        }
    }

    fn turn_over(&mut self, _turn: &[Taken], _engine: &Engine) {}

    async fn rest(&mut self) {}
}

/// Seconds and bytes of a whole run, on the disk that holds the target directory.
fn run(shape: Shape, count: usize) -> (f64, u64) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
    let plan = Arc::new(plan(shape, count));
    let first = began(&plan);
    let Fact::Began(beginning) = &first else {
        unreachable!("it is made in support")
    };
    let store = Store::new(scratch.path());
    let dir = store.dir(&beginning.run);
    let mut journal = dir.create(b"version: 1").expect("a run directory");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (facts, mut inbox) = unbounded_channel();
    let mut hands = Idle {
        facts,
        base: beginning.base.clone(),
    };
    let mut engine = Engine::new(plan);
    let clock = Clock::start();
    let start = Instant::now();
    let verdict = runtime.block_on(drive(
        &mut engine,
        &mut journal,
        &mut hands,
        &mut inbox,
        first.clone(),
        &clock,
    ));
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(verdict.expect("the run ends"), RunVerdict::Neutral);
    let bytes = std::fs::metadata(dir.path().join("journal.jsonl"))
        .expect("a journal")
        .len();
    (seconds, bytes)
}

/// What this disk needs to sync one line: the floor under every hop.
fn one_sync() -> f64 {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch file");
    let start = Instant::now();
    for _ in 0..200 {
        file.write_all(&[b'x'; 400]).expect("written");
        file.sync_data().expect("synced");
    }
    start.elapsed().as_secs_f64() / 200.0
}

fn main() {
    println!("journalled run of zero-length tasks, 8 workers (median of 3), beside omk 0.5.0");
    println!(
        "one sync of one line on this disk: {:.2} ms",
        one_sync() * 1e3
    );
    println!(
        "{:<18}{:>12}{:>12}{:>14}{:>12}{:>14}",
        "shape", "seconds", "MB", "ms a task", "0.5.0 s", "0.5.0 MB"
    );
    for (name, shape, count, old_seconds, old_megabytes) in [
        ("wide 10,000", Shape::Wide, 10_000, "134.6", "14,800"),
        ("layered 10,000", Shape::Layered, 10_000, "-", "-"),
        ("chain 10,000", Shape::Chain, 10_000, "-", "-"),
        ("a hop (chain 100)", Shape::Chain, 100, "1.96 a hop", "-"),
    ] {
        let mut runs: Vec<(f64, u64)> = (0..3).map(|_| run(shape, count)).collect();
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (seconds, bytes) = runs[1];
        let (each, megabytes) = (seconds * 1e3 / count as f64, bytes as f64 / 1e6);
        println!(
            "{name:<18}{seconds:>12.2}{megabytes:>12.2}{each:>14.3}{old_seconds:>12}{old_megabytes:>14}"
        );
    }
}
