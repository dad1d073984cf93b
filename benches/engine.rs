//! The engine alone: microseconds a task for wide, layered and chained plans of 1,000, 10,000 and
//! 100,000 tasks.
//!
//! Beside it stands what omk 0.5.0 took for the same shapes, as its own report gave it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use omk_action::engine::Engine;
use omk_action::fact::{Evidence, Fact, Order, Outcome};
use omk_action::id::Moment;
use omk_action::plan::Plan;

mod support;

use support::{Shape, began, plan};

/// A whole run in which every task is prepared and completes at once; microseconds a task.
fn run(plan: Arc<Plan>, began: &Fact) -> f64 {
    let count = plan.tasks.len();
    let Fact::Began(first) = began else {
        unreachable!("it is made above")
    };
    let base = first.base.clone();
    let start = Instant::now();
    let mut engine = Engine::new(plan);
    let mut orders: VecDeque<Order> = engine
        .take(Moment::from_millis(0), began)
        .expect("legal")
        .into();
    let mut now = 0;
    let mut concluded = false;
    while let Some(order) = orders.pop_front() {
        now += 1;
        let at = Moment::from_millis(now);
        match order {
            Order::Start { task, attempt, .. } => {
                let prepared = Fact::Prepared {
                    task: task.clone(),
                    attempt,
                    base: base.clone(),
                    slot: String::new(),
                };
                orders.extend(engine.take(at, &prepared).expect("legal"));
                let evidence = Box::new(Evidence::default());
                let worked = Fact::Worked {
                    task,
                    attempt,
                    outcome: Outcome::Unchanged,
                    evidence,
                };
                orders.extend(engine.take(at, &worked).expect("legal"));
            }
            Order::Conclude { .. } => concluded = true,
            Order::Land { .. }
            | Order::End { .. }
            | Order::Wake { .. }
            | Order::Judge { .. }
            | Order::Preflight
            | Order::Rebuild { .. } => {}
        }
    }
    assert!(concluded, "the run settles");
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn main() {
    println!("engine, microseconds a task (median of 5), beside omk 0.5.0 at 10,000 tasks");
    println!(
        "{:<10}{:>10}{:>10}{:>10}{:>16}{:>14}",
        "shape", "1k", "10k", "100k", "100k / 1k", "0.5.0 at 10k"
    );
    for (name, shape, old) in [
        ("wide", Shape::Wide, "66-526"),
        ("layered", Shape::Layered, "66-526"),
        ("chain", Shape::Chain, "66-526"),
    ] {
        let medians: Vec<f64> = [1_000, 10_000, 100_000]
            .iter()
            .map(|&count| {
                let plan = Arc::new(plan(shape, count));
                let began = began(&plan);
                let mut times: Vec<f64> = (0..5).map(|_| run(plan.clone(), &began)).collect();
                times.sort_by(f64::total_cmp);
                times[2]
            })
            .collect();
        let growth = medians[2] / medians[0];
        println!(
            "{name:<10}{:>10.2}{:>10.2}{:>10.2}{growth:>15.2}x{old:>14}",
            medians[0], medians[1], medians[2]
        );
    }
}
