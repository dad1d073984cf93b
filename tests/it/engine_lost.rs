//! What becomes of changes that are gone when a run is taken up, and of a result whose branch could
//! not be moved.

use std::collections::BTreeSet;

use omk_action::engine::{Engine, TaskState};
use omk_action::fact::{Change, Class, Fact, Failure, Order, Outcome, RunVerdict};
use omk_action::id::{Moment, TaskId, Tip};
use proptest::prelude::*;

use crate::engine::{Dice, World, ends, host, plan_of, tip};
use crate::engine_results::lands;
use crate::engine_rules::task;

proptest! {
    /// omk is killed at some moment, and some changes are gone when the run is taken up.
    #[test]
    fn what_is_lost_is_done_again_with_what_is_built_on_it(
        throws in prop::collection::vec(any::<u8>(), 200..400),
        moment in 0usize..40,
        needs in prop::collection::vec(prop::option::of(0usize..6), 6),
    ) {
        let mut plan = plan_of(6);
        for (index, need) in needs.iter().enumerate() {
            let need = need.filter(|need| *need < index);
            plan.tasks[index].dependencies = need.map(|need| format!("t{need}").parse().unwrap()).into_iter().collect();
        }
        let mut world = World::new(plan, 3);
        let mut dice = Dice::new(throws);
        for _ in 0..moment {
            if world.concluded.is_some() || !world.step(&mut dice) {
                break;
            }
        }
        if world.concluded.is_some() {
            return Ok(());
        }
        let made = world.engine.tasks().filter(|status| status.change.is_some() && status.ejected.is_none());
        let lost: Vec<TaskId> = made.map(|status| status.id.clone()).filter(|_| dice.below(2) == 0).collect();
        (world.wake, world.judge, world.rebuild) = (None, None, None);
        world.active.clear();
        world.holding.clear();
        world.to_land.clear();
        world.happens(Fact::TookUp { host: host(), workers: None, spending: None, unblocked: true, lost: lost.clone() });
        for task in &lost {
            let status = world.engine.task(task).unwrap();
            prop_assert!(status.change.is_none() && !status.state.is_final(), "{status:?}");
        }
        let is_done = |task: &TaskId| world.engine.task(task).unwrap().state == TaskState::Completed;
        let still: BTreeSet<TaskId> = world.landed_once.iter().filter(|task| is_done(task)).cloned().collect();
        world.landed_once = still;
        while world.concluded.is_none() && world.step(&mut dice) {}
        prop_assert!(world.concluded.is_some(), "it never ends");
        prop_assert!(world.engine.tasks().all(|status| status.state.is_final()));
        let on_it: Vec<TaskId> = world.engine.landings().map(|(task, _)| task.clone()).collect();
        prop_assert!(on_it.iter().all(|task| world.engine.task(task).unwrap().landed.is_some()), "{on_it:?}");
        prop_assert_eq!(on_it.iter().collect::<BTreeSet<_>>().len(), on_it.len());
        let mut again = Engine::new(world.plan());
        for (at, fact, orders) in &world.facts {
            prop_assert_eq!(&again.take(*at, fact).unwrap(), orders);
        }
    }
}

/// The task's change is made on this base and lands.
fn lands_on(world: &mut World, id: &str, number: u32, base: Tip) {
    changes(world, id, number, base);
    world.happens(Fact::Landed {
        task: task(id),
        attempt: 1,
        tip: tip(number),
    });
}

/// The task's change is made on this base.
fn changes(world: &mut World, id: &str, number: u32, base: Tip) {
    world.active.remove(&task(id)).unwrap();
    world.holding.remove(&task(id));
    world.happens(Fact::Prepared {
        task: task(id),
        attempt: 1,
        base,
        slot: "s".into(),
    });
    let outcome = Outcome::Changed(Change {
        tip: tip(number),
        paths: Vec::new(),
    });
    world.happens(Fact::Worked {
        task: task(id),
        attempt: 1,
        outcome,
        evidence: Box::default(),
    });
}

/// omk is killed, and these changes are gone when the run is taken up: what is ordered, but for the
/// wake.
fn loses(world: &mut World, lost: &[&str]) -> Vec<Order> {
    world.active.clear();
    world.holding.clear();
    let lost = lost.iter().map(|id| task(id)).collect();
    world.happens(Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked: false,
        lost,
    });
    let (_, _, orders) = world.facts.last().unwrap();
    orders
        .iter()
        .filter(|order| !matches!(order, Order::Wake { .. }))
        .cloned()
        .collect()
}

fn completed(world: &World) -> Vec<&str> {
    let completed = world
        .engine
        .tasks()
        .filter(|status| status.state == TaskState::Completed);
    completed.map(|status| status.id.as_str()).collect()
}

fn started(orders: &[Order]) -> Vec<&str> {
    orders
        .iter()
        .filter_map(|order| {
            if let Order::Start { task, .. } = order {
                Some(task.as_str())
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn what_was_built_on_a_lost_change_is_lost_and_what_landed_beside_it_is_landed_anew() {
    for (lost, stay, rebuilt) in [
        (&["t0"][..], &["t1"][..], Some(&["t0", "t2"][..])),
        (&["t1"], &["t0", "t2"], Some(&["t1"])),
        (&["t2"], &["t0", "t1"], None),
        (&["t2", "t1"], &["t0"], None),
        (&["t0", "t1", "t0"], &[], None),
        // It has no change.
        (&["t3"], &["t0", "t1", "t2"], None),
    ] {
        let mut world = World::new(plan_of(4), 4);
        lands_on(&mut world, "t0", 5, tip(0));
        lands_on(&mut world, "t1", 6, tip(0));
        // Its base was the result as it was with t0 alone.
        lands_on(&mut world, "t2", 7, tip(5));
        let orders = loses(&mut world, lost);
        assert_eq!(completed(&world), stay, "{lost:?}");
        let rebuilt: Option<Vec<_>> =
            rebuilt.map(|tasks| tasks.iter().map(|id| task(id)).collect());
        assert_eq!(world.rebuild, rebuilt, "{lost:?}");
        if rebuilt.is_none() {
            assert_eq!(
                world
                    .engine
                    .landings()
                    .map(|(task, _)| task.as_str())
                    .collect::<Vec<_>>(),
                stay,
                "{lost:?}"
            );
            let again: Vec<_> = ["t0", "t1", "t2", "t3"]
                .into_iter()
                .filter(|id| !stay.contains(id))
                .collect();
            assert_eq!(started(&orders), again, "{lost:?}");
        }
    }
}

#[test]
fn a_change_is_lost_with_what_it_needs_although_its_base_was_merged_for_it() {
    let mut plan = plan_of(3);
    plan.tasks[1].dependencies = vec![task("t0")];
    let mut world = World::new(plan, 2);
    lands_on(&mut world, "t0", 5, tip(0));
    lands_on(&mut world, "t1", 6, tip(99));
    let orders = loses(&mut world, &["t0"]);
    assert_eq!(
        (completed(&world), started(&orders)),
        (vec![], vec!["t0", "t2"]),
        "t1 waits for t0 again"
    );
}

#[test]
fn a_lost_change_does_not_land_and_those_that_wait_with_it_do() {
    let mut world = World::new(plan_of(2), 2);
    changes(&mut world, "t0", 5, tip(0));
    changes(&mut world, "t1", 6, tip(0));
    let orders = loses(&mut world, &["t1"]);
    assert!(
        orders.contains(&Order::Land {
            task: task("t0"),
            attempt: 1
        }),
        "{orders:?}"
    );
    assert_eq!(
        (orders.len(), started(&orders)),
        (2, vec!["t1"]),
        "{orders:?}"
    );
}

#[test]
fn a_lost_change_proves_no_tree_any_more_and_the_others_still_do() {
    let mut world = World::new(plan_of(2), 1);
    lands(&mut world, "t0", 5, true);
    assert_eq!(started(&loses(&mut world, &["t0"])), ["t0"]);
    lands(&mut world, "t0", 5, false);
    ends(&mut world, "t1", Outcome::Unchanged);
    assert_eq!(world.judge, Some(1), "the gates did not run on this change");

    let mut world = World::new(plan_of(3), 1);
    lands(&mut world, "t0", 5, true);
    lands(&mut world, "t1", 6, true);
    assert_eq!(started(&loses(&mut world, &["t1"])), ["t1"]);
    ends(&mut world, "t1", Outcome::Unchanged);
    ends(&mut world, "t2", Outcome::Unchanged);
    assert_eq!(
        (world.judge, world.concluded),
        (None, Some(RunVerdict::Ready)),
        "t0's gates ran on this very tree"
    );
}

#[test]
fn a_result_without_its_branch_is_not_ready_until_it_has_one() {
    let mut world = World::new(plan_of(1), 1);
    let early = Fact::Placed { trouble: None };
    assert!(
        world.engine.take(Moment::from_millis(0), &early).is_err(),
        "the run has not ended"
    );
    let mut dice = Dice::new(Vec::new());
    while world.concluded.is_none() && world.step(&mut dice) {}
    let before = world.concluded;
    let trouble = || Some(Failure::new(Class::Host, "it is locked"));
    world.happens(Fact::Placed { trouble: trouble() });
    world.happens(Fact::Placed { trouble: trouble() });
    assert!(world.engine.is_unplaced() && world.engine.verdict() == Some(RunVerdict::NotReady));
    world.happens(Fact::Placed { trouble: None });
    assert_eq!(
        (world.concluded, world.engine.is_unplaced()),
        (before, false)
    );
}
