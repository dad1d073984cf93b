//! What becomes of what landed: what proves a tree, which verdict holds, who is taken out, and what
//! is built on what.

use omk_action::engine::WaitReason;
use omk_action::fact::{
    Change, Class, Evidence, Fact, Failure, GateOutcome, GateVerdict, Order, Outcome, RunVerdict,
};

use crate::engine::{World, about_to_rebuild, ends, outcome, plan_of, tip, under_way};
use crate::engine_rules::{failed, prepared, task, took_up, writes};

/// One task that lands with this evidence and is the result; whether the result is still to be
/// judged.
fn is_judged_after(evidence: Evidence, keeps: bool) -> bool {
    let mut plan = plan_of(1);
    if keeps {
        plan.keep = vec!["target/**".parse().unwrap()];
    }
    let mut world = World::new(plan, 1);
    world.happens(prepared("t0", 1));
    let outcome = Outcome::Changed(Change {
        tip: tip(5),
        paths: Vec::new(),
    });
    world.happens(Fact::Worked {
        task: task("t0"),
        attempt: 1,
        outcome,
        evidence: Box::new(evidence),
    });
    world.happens(Fact::Landed {
        task: task("t0"),
        attempt: 1,
        tip: tip(5),
    });
    assert_eq!(
        world.judge.is_none(),
        world.concluded == Some(RunVerdict::Ready)
    );
    assert_eq!(
        world.engine.tip_proven_by().is_some(),
        world.judge.is_none()
    );
    world.judge.is_some()
}

#[test]
fn a_tree_is_proven_by_clean_passes_of_all_required_gates_on_that_very_tree_alone() {
    let with = |tree: u32, gates: Vec<GateOutcome>| Evidence {
        tree: Some(tip(tree).tree),
        gates,
        ..Evidence::default()
    };
    let gate = |verdict| GateOutcome {
        verdict,
        ..outcome(true)
    };
    assert!(!is_judged_after(
        with(5, vec![gate(GateVerdict::Passed)]),
        false
    ));
    assert!(!is_judged_after(
        with(5, vec![gate(GateVerdict::Reused)]),
        false
    ));
    assert!(
        is_judged_after(with(5, vec![gate(GateVerdict::Passed)]), true),
        "a cache may have helped"
    );
    assert!(
        is_judged_after(with(6, vec![gate(GateVerdict::Passed)]), false),
        "the gate saw another tree"
    );
    assert!(is_judged_after(
        Evidence {
            tree: None,
            ..with(5, vec![gate(GateVerdict::Passed)])
        },
        false
    ));
    assert!(
        is_judged_after(with(5, Vec::new()), false),
        "a gate that did not run is no pass"
    );
    for verdict in [
        GateVerdict::Flaky,
        GateVerdict::Skipped,
        GateVerdict::Failed,
        GateVerdict::TimedOut,
    ] {
        assert!(
            is_judged_after(with(5, vec![gate(verdict)]), false),
            "{verdict:?}"
        );
    }
    let other = GateOutcome {
        gate: "other".parse().unwrap(),
        ..outcome(true)
    };
    assert!(is_judged_after(with(5, vec![other]), false), "another gate");
}

#[test]
fn a_required_gate_that_did_not_run_on_the_result_makes_it_not_ready() {
    let verdict_with = |gates: Vec<GateOutcome>| {
        let mut world = World::new(plan_of(1), 1);
        ends(
            &mut world,
            "t0",
            Outcome::Changed(Change {
                tip: tip(5),
                paths: Vec::new(),
            }),
        );
        world.happens(Fact::Landed {
            task: task("t0"),
            attempt: 1,
            tip: tip(5),
        });
        while let Some(prefix) = world.judge.take() {
            world.happens(Fact::Judged {
                prefix,
                tip: tip(5),
                gates: gates.clone(),
                trouble: None,
            });
        }
        world.concluded
    };
    let flaky = GateOutcome {
        verdict: GateVerdict::Flaky,
        ..outcome(true)
    };
    assert_eq!(verdict_with(vec![outcome(true)]), Some(RunVerdict::Ready));
    assert_eq!(
        verdict_with(vec![flaky]),
        Some(RunVerdict::Ready),
        "a flaky pass counts, and is named"
    );
    assert_eq!(verdict_with(Vec::new()), Some(RunVerdict::NotReady));
    let other = GateOutcome {
        gate: "other".parse().unwrap(),
        ..outcome(true)
    };
    assert_eq!(verdict_with(vec![other]), Some(RunVerdict::NotReady));
}

#[test]
fn the_gate_that_is_named_for_a_take_out_is_one_that_ran() {
    let mut plan = plan_of(2);
    let mut second = plan.gates[0].clone();
    second.id = "lint".parse().unwrap();
    plan.gates.push(second);
    let mut world = World::new(plan, 1);
    for (id, number) in [("t0", 5), ("t1", 6)] {
        ends(
            &mut world,
            id,
            Outcome::Changed(Change {
                tip: tip(number),
                paths: Vec::new(),
            }),
        );
        world.happens(Fact::Landed {
            task: task(id),
            attempt: 1,
            tip: tip(number),
        });
        world.holding.clear();
    }
    while let Some(prefix) = world.judge.take() {
        let skipped = GateOutcome {
            verdict: GateVerdict::Skipped,
            ..outcome(prefix < 2)
        };
        let lint = GateOutcome {
            gate: "lint".parse().unwrap(),
            ..outcome(prefix < 2)
        };
        let gates = if prefix < 2 {
            vec![outcome(true), lint]
        } else {
            vec![skipped, lint]
        };
        world.happens(Fact::Judged {
            prefix,
            tip: tip(0),
            gates,
            trouble: None,
        });
    }
    world.happens(Fact::Rebuilt {
        landings: vec![omk_action::fact::Landing {
            task: task("t0"),
            tip: tip(9),
        }],
        clashed: Vec::new(),
        trouble: None,
    });
    let ejected = world
        .engine
        .task(&task("t1"))
        .unwrap()
        .ejected
        .cloned()
        .unwrap();
    assert_eq!(ejected.gate.unwrap().as_str(), "lint");
}

#[test]
fn a_result_that_could_not_be_judged_or_built_blocks_the_run_only_for_a_cause_outside() {
    for (class, verdict) in [
        (Class::Config, RunVerdict::BlockedOnExternal),
        (Class::Host, RunVerdict::FailedInfra),
        (Class::Command, RunVerdict::FailedInfra),
    ] {
        let trouble = Some(Failure::new(class, "it could not be done"));
        let mut world = World::new(plan_of(1), 1);
        lands(&mut world, "t0", 5, false);
        let prefix = world.judge.unwrap();
        world.happens(Fact::Judged {
            prefix,
            tip: tip(5),
            gates: Vec::new(),
            trouble: trouble.clone(),
        });
        assert_eq!(world.concluded, Some(verdict), "judged: {class:?}");
        let mut world = about_to_rebuild(2);
        world.happens(Fact::Rebuilt {
            landings: Vec::new(),
            clashed: Vec::new(),
            trouble,
        });
        assert_eq!(world.concluded, Some(verdict), "rebuilt: {class:?}");
    }
}

#[test]
fn the_weightiest_failure_decides_whichever_task_had_it() {
    // The contract's order: infrastructure, a cause outside, then all else.
    let order = [
        (Class::Host, RunVerdict::FailedInfra),
        (Class::Quota, RunVerdict::BlockedOnExternal),
        (Class::Scope, RunVerdict::NotReady),
    ];
    for (weight, (one, verdict)) in order.into_iter().enumerate() {
        for (lighter, _) in &order[weight..] {
            for (first, second) in [(one, *lighter), (*lighter, one)] {
                let mut plan = plan_of(2);
                for task in &mut plan.tasks {
                    task.retry_policy.max_attempts = 0;
                }
                let mut world = World::new(plan, 2);
                ends(&mut world, "t0", failed(first));
                ends(&mut world, "t1", failed(second));
                assert_eq!(world.concluded, Some(verdict), "{first:?}, {second:?}");
            }
        }
    }
}

/// The task lands with this number as commit and tree; its own gates proved that tree, or said
/// nothing.
pub(crate) fn lands(world: &mut World, id: &str, number: u32, proven: bool) {
    let (attempt, _) = world.active.remove(&task(id)).unwrap();
    let base = world.engine.tip().unwrap().clone();
    world.happens(Fact::Prepared {
        task: task(id),
        attempt,
        base,
        slot: "s".into(),
    });
    let gates = if proven {
        vec![outcome(true)]
    } else {
        Vec::new()
    };
    let evidence = Box::new(Evidence {
        tree: Some(tip(number).tree),
        gates,
        ..Evidence::default()
    });
    let outcome = Outcome::Changed(Change {
        tip: tip(number),
        paths: Vec::new(),
    });
    world.happens(Fact::Worked {
        task: task(id),
        attempt,
        outcome,
        evidence,
    });
    world.holding.remove(&task(id));
    world.happens(Fact::Landed {
        task: task(id),
        attempt,
        tip: tip(number),
    });
}

#[test]
fn the_search_for_a_culprit_halves_and_passes_over_prefixes_that_are_proven() {
    for (proven, probes) in [
        (None, vec![4, 0, 2, 3]),
        (Some("t1"), vec![4, 0, 3]),
        (Some("t2"), vec![4, 0, 2]),
    ] {
        let mut world = World::new(plan_of(4), 1);
        for (id, number) in [("t0", 5), ("t1", 6), ("t2", 7), ("t3", 8)] {
            lands(&mut world, id, number, proven == Some(id));
        }
        let mut probed = Vec::new();
        while let Some(prefix) = world.judge.take() {
            probed.push(prefix);
            world.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates: vec![outcome(prefix < 4)],
                trouble: None,
            });
        }
        assert_eq!(
            (probed, world.rebuild),
            (probes, Some(vec![task("t3")])),
            "{proven:?}"
        );
    }
}

/// On what the task's last attempt was told to build.
fn onto(world: &World, id: &str) -> Vec<String> {
    let orders = world.facts.iter().flat_map(|(_, _, orders)| orders);
    let mut starts = orders.filter_map(|order| match order {
        Order::Start { task, onto, .. } if task.as_str() == id => {
            Some(onto.iter().map(ToString::to_string).collect())
        }
        _ => None,
    });
    starts.next_back().unwrap()
}

#[test]
fn what_a_task_depends_on_is_built_in_the_order_of_landings() {
    let mut plan = plan_of(3);
    plan.tasks[2].dependencies = vec![task("t0"), task("t1")];
    let mut world = World::new(plan, 2);
    lands(&mut world, "t1", 5, false);
    lands(&mut world, "t0", 6, false);
    assert_eq!(onto(&world, "t2"), ["t1", "t0"]);
}

#[test]
fn a_task_is_built_on_the_last_of_those_that_waited_with_it_and_on_all_that_one_does_not_hold() {
    let same = || writes(&["src/**"]);
    // All wait for t0 from the beginning: t1 is built on t0, so t2 needs t1 alone.
    let mut plan = plan_of(3);
    plan.tasks
        .iter_mut()
        .for_each(|task| task.write_set = same());
    let mut world = World::new(plan, 3);
    lands(&mut world, "t0", 5, false);
    assert_eq!(onto(&world, "t1"), ["t0"]);
    lands(&mut world, "t1", 6, false);
    assert_eq!(onto(&world, "t2"), ["t1"]);

    // t1 comes first by its priority, but waited only since t3 had landed.
    let mut plan = plan_of(4);
    plan.tasks
        .iter_mut()
        .take(3)
        .for_each(|task| task.write_set = same());
    plan.tasks[1].dependencies = vec![task("t3")];
    plan.tasks[1].priority = 9;
    plan.tasks[0].priority = 10;
    let mut world = World::new(plan, 4);
    assert_eq!(
        world.engine.task(&task("t2")).unwrap().waits,
        Some(WaitReason::Paths(task("t0")))
    );
    lands(&mut world, "t3", 5, false);
    lands(&mut world, "t0", 6, false);
    assert_eq!(under_way(&world), ["t1"]);
    lands(&mut world, "t1", 7, false);
    assert_eq!(onto(&world, "t2"), ["t0", "t1"]);
}

#[test]
fn the_loser_of_a_conflict_is_built_on_those_that_changed_its_paths_and_on_no_others() {
    let mut world = World::new(plan_of(4), 4);
    let change = |number, path: &str| {
        Outcome::Changed(Change {
            tip: tip(number),
            paths: vec![path.parse().unwrap()],
        })
    };
    for (id, number, path) in [("t1", 5, "docs/a"), ("t2", 6, "src/a"), ("t3", 7, "src/b")] {
        ends(&mut world, id, change(number, path));
        world.happens(Fact::Landed {
            task: task(id),
            attempt: 1,
            tip: tip(number),
        });
        world.holding.remove(&task(id));
    }
    world.happens(Fact::Prepared {
        task: task("t0"),
        attempt: 1,
        base: tip(0),
        slot: "s".into(),
    });
    world.active.remove(&task("t0"));
    let (outcome, evidence) = (change(8, "src/a"), Box::default());
    world.happens(Fact::Worked {
        task: task("t0"),
        attempt: 1,
        outcome,
        evidence,
    });
    world.holding.clear();
    let paths = vec!["src/a".parse().unwrap(), "src/b".parse().unwrap()];
    world.happens(Fact::Clashed {
        task: task("t0"),
        attempt: 1,
        paths,
        trouble: None,
    });
    world.now += 10_000;
    world.happens(Fact::Woke);
    assert_eq!(onto(&world, "t0"), ["t2", "t3"]);
}

#[test]
fn a_conflict_in_many_paths_names_twenty() {
    for (count, more) in [(20, ""), (21, " and 1 more")] {
        let mut world = World::new(plan_of(2), 2);
        lands(&mut world, "t1", 5, false);
        ends(
            &mut world,
            "t0",
            Outcome::Changed(Change {
                tip: tip(6),
                paths: Vec::new(),
            }),
        );
        let paths: Vec<omk_action::id::RepoPath> = (0..count)
            .map(|n| format!("p{n}").parse().unwrap())
            .collect();
        world.happens(Fact::Clashed {
            task: task("t0"),
            attempt: 1,
            paths,
            trouble: None,
        });
        let message = &world
            .engine
            .task(&task("t0"))
            .unwrap()
            .failure
            .unwrap()
            .message;
        let named = format!(
            "in p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19{more}"
        );
        assert!(message.ends_with(&named), "{message}");
    }
}

/// t0 lands and is taken out; t1, which comes after it, failed for a cause outside that is gone
/// now.
fn taken_up_after_a_take_out(depends: bool) -> World {
    let mut plan = plan_of(2);
    plan.tasks
        .iter_mut()
        .for_each(|task| task.write_set = writes(&["src/**"]));
    if depends {
        plan.tasks[1].dependencies = vec![task("t0")];
    }
    let mut world = World::new(plan, 1);
    lands(&mut world, "t0", 5, false);
    assert_eq!(onto(&world, "t1"), ["t0"]);
    ends(&mut world, "t1", failed(Class::Quota));
    while let Some(prefix) = world.judge.take() {
        world.happens(Fact::Judged {
            prefix,
            tip: tip(0),
            gates: vec![outcome(prefix == 0)],
            trouble: None,
        });
    }
    assert_eq!(world.rebuild.take(), Some(vec![task("t0")]));
    world.happens(Fact::Rebuilt {
        landings: Vec::new(),
        clashed: Vec::new(),
        trouble: None,
    });
    while let Some(prefix) = world.judge.take() {
        world.happens(Fact::Judged {
            prefix,
            tip: tip(0),
            gates: vec![outcome(true)],
            trouble: None,
        });
    }
    assert_eq!(world.concluded.take(), Some(RunVerdict::BlockedOnExternal));
    world.happens(took_up(true));
    world
}

#[test]
fn what_was_taken_out_does_not_come_back_below_a_task_that_is_tried_again() {
    let world = taken_up_after_a_take_out(false);
    assert_eq!(
        (under_way(&world), onto(&world, "t1")),
        (vec!["t1"], Vec::new())
    );
    let needs_it = taken_up_after_a_take_out(true);
    assert_eq!(
        under_way(&needs_it),
        Vec::<&str>::new(),
        "what it needs is not on the result"
    );
    assert_eq!(needs_it.concluded, Some(RunVerdict::BlockedOnExternal));
}
