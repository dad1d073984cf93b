//! The engine alone: microseconds a task for wide, layered and chained plans of 1,000, 10,000 and 100,000 tasks.
//!
//! Beside it stands what omk 0.5.0 took for the same shapes, as its own report gave it.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark reads the clock and prints")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use omk_action::engine::Engine;
use omk_action::fact::{Began, Evidence, Fact, Host, Order, Outcome, PlanSource, Spending, Trigger};
use omk_action::id::{Moment, Sha256, TaskId, Tip};
use omk_action::plan::{Event, Plan};

/// So many tasks in one layer of a layered plan.
const LAYER: usize = 100;

#[derive(Clone, Copy)]
enum Shape {
    Wide,
    Layered,
    Chain,
}

fn plan(shape: Shape, count: usize) -> Plan {
    let text = "version: 1\nname: bench\ntasks: [{id: t, run: 'true'}]\n";
    let mut plan = omk_action::plan::parse(text.as_bytes(), "omk.yaml", "bench").expect("a sound plan");
    let template = plan.tasks.pop().expect("one task");
    let id = |index: usize| -> TaskId { format!("t{index:06}").parse().expect("a sound id") };
    plan.tasks = (0..count)
        .map(|index| {
            let mut task = template.clone();
            task.id = id(index);
            task.dependencies = match shape {
                Shape::Wide => Vec::new(),
                Shape::Chain => index.checked_sub(1).map(id).into_iter().collect(),
                Shape::Layered if index < LAYER => Vec::new(),
                // Each task needs three of the layer before it.
                Shape::Layered => (0..3).map(|k| id((index / LAYER - 1) * LAYER + (index + k) % LAYER)).collect(),
            };
            task
        })
        .collect();
    plan
}

fn began(plan: &Plan) -> Fact {
    let zeros = "0".repeat(40);
    Fact::Began(Box::new(Began {
        run: "20261122t185155z-4f2a9c".parse().expect("a sound id"),
        scope: "bench".parse().expect("a sound scope"),
        omk: "bench".into(),
        plan: PlanSource { path: "omk.yaml".into(), digest: Sha256::of(b""), commit: None, uncommitted: false },
        base: Tip { commit: zeros.parse().expect("hex"), tree: zeros.parse().expect("hex") },
        workers: 8,
        selected: plan.tasks.iter().map(|task| task.id.clone()).collect(),
        left_out: Vec::new(),
        spending: Spending::default(),
        fail_fast: false,
        trigger: Trigger { event: Event::Manual, actor: "bench".into(), comment: None },
        host: Host { name: "bench".into(), pid: 1, platform: "bench".into() },
        branch_was: None,
    }))
}

/// A whole run in which every task is prepared and completes at once; microseconds a task.
fn run(plan: Arc<Plan>, began: &Fact) -> f64 {
    let count = plan.tasks.len();
    let Fact::Began(first) = began else { unreachable!("it is made above") };
    let base = first.base.clone();
    let start = Instant::now();
    let mut engine = Engine::new(plan);
    let mut orders: VecDeque<Order> = engine.take(Moment::from_millis(0), began).expect("legal").into();
    let mut now = 0;
    let mut concluded = false;
    while let Some(order) = orders.pop_front() {
        now += 1;
        let at = Moment::from_millis(now);
        match order {
            Order::Start { task, attempt, .. } => {
                let prepared = Fact::Prepared { task: task.clone(), attempt, base: base.clone(), slot: String::new() };
                orders.extend(engine.take(at, &prepared).expect("legal"));
                let evidence = Box::new(Evidence::default());
                let worked = Fact::Worked { task, attempt, outcome: Outcome::Unchanged, evidence };
                orders.extend(engine.take(at, &worked).expect("legal"));
            }
            Order::Conclude { .. } => concluded = true,
            Order::Land { .. } | Order::End { .. } | Order::Wake { .. } | Order::Judge { .. } | Order::Rebuild { .. } => {}
        }
    }
    assert!(concluded, "the run settles");
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn main() {
    println!("engine, microseconds a task (median of 5), beside omk 0.5.0 at 10,000 tasks");
    println!("{:<10}{:>10}{:>10}{:>10}{:>16}{:>14}", "shape", "1k", "10k", "100k", "100k / 1k", "0.5.0 at 10k");
    for (name, shape, old) in
        [("wide", Shape::Wide, "66-526"), ("layered", Shape::Layered, "66-526"), ("chain", Shape::Chain, "66-526")]
    {
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
        println!("{name:<10}{:>10.2}{:>10.2}{:>10.2}{growth:>15.2}x{old:>14}", medians[0], medians[1], medians[2]);
    }
}
