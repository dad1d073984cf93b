//! What becomes of changes that are gone when a run is taken up, and of a result whose branch could not be moved.

use std::collections::BTreeSet;

use omk_action::engine::{Engine, TaskState};
use omk_action::fact::{Class, Fact, Failure, RunVerdict};
use omk_action::id::{Moment, TaskId};
use proptest::prelude::*;

use crate::engine::{Dice, World, host, plan_of};

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

#[test]
fn a_result_without_its_branch_is_not_ready_until_it_has_one() {
    let mut world = World::new(plan_of(1), 1);
    let early = Fact::Placed { trouble: None };
    assert!(world.engine.take(Moment::from_millis(0), &early).is_err(), "the run has not ended");
    let mut dice = Dice::new(Vec::new());
    while world.concluded.is_none() && world.step(&mut dice) {}
    let before = world.concluded;
    let trouble = || Some(Failure::new(Class::Host, "it is locked"));
    world.happens(Fact::Placed { trouble: trouble() });
    world.happens(Fact::Placed { trouble: trouble() });
    assert!(world.engine.is_unplaced() && world.engine.verdict() == Some(RunVerdict::NotReady));
    world.happens(Fact::Placed { trouble: None });
    assert_eq!((world.concluded, world.engine.is_unplaced()), (before, false));
}
