//! Plans of the three shapes that benchmarks measure, and how a run of one begins.

use omk_action::fact::{Began, Fact, HostProcess, PlanSource, Spending, Trigger};
use omk_action::id::{Sha256, TaskId, Tip};
use omk_action::plan::{Event, Plan};

/// So many tasks in one layer of a layered plan.
const LAYER: usize = 100;

/// How tasks depend on each other.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Not at all.
    Wide,
    /// Each on three of the layer before.
    Layered,
    /// Each on the one before.
    Chain,
}

/// A plan of that shape.
pub(crate) fn plan(shape: Shape, count: usize) -> Plan {
    let text = "version: 1\nname: bench\ntasks: [{id: t, run: 'true'}]\n";
    let mut plan =
        omk_action::plan::parse(text.as_bytes(), "omk.yaml", "bench").expect("a sound plan");
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
                Shape::Layered => (0..3)
                    .map(|k| id((index / LAYER - 1) * LAYER + (index + k) % LAYER))
                    .collect(),
            };
            task
        })
        .collect();
    plan
}

/// The beginning of a run of all its tasks with 8 workers.
pub(crate) fn began(plan: &Plan) -> Fact {
    let zeros = "0".repeat(40);
    Fact::Began(Box::new(Began {
        run: "20261122t185155z-4f2a9c".parse().expect("a sound id"),
        scope: "bench".parse().expect("a sound scope"),
        omk: "bench".into(),
        plan: PlanSource {
            path: "omk.yaml".into(),
            digest: Sha256::of(b""),
            commit: None,
            uncommitted: false,
        },
        base: Tip {
            commit: zeros.parse().expect("hex"),
            tree: zeros.parse().expect("hex"),
        },
        workers: 8,
        selected: plan.tasks.iter().map(|task| task.id.clone()).collect(),
        left_out: Vec::new(),
        kept: Vec::new(),
        spending: Spending::default(),
        fail_fast: false,
        keep_going: false,
        no_reuse: false,
        trigger: Trigger {
            event: Event::Manual,
            actor: "bench".into(),
            comment: None,
        },
        host: HostProcess {
            name: "bench".into(),
            pid: 1,
            platform: "bench".into(),
        },
        preflight: false,
        branch_was: None,
    }))
}
