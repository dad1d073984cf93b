//! Rules of the engine one by one: which facts it refuses, what a blocked run does again, and what
//! each task waits for.

use std::time::Duration;

use omk_action::engine::{CancelReason, TaskState, WaitReason, jittered_backoff};
use omk_action::fact::{
    Began, Change, Class, Evidence, Fact, Failure, GateOutcome, GateVerdict, Limit, Outcome,
    RunVerdict,
};
use omk_action::id::{RunId, TaskId};
use omk_action::plan::{OnDependencyFailure, RetryPolicy, Work};

use crate::engine::{World, about_to_rebuild, began, ends, host, outcome, plan_of, tip, under_way};

pub(crate) fn task(id: &str) -> TaskId {
    id.parse().unwrap()
}

pub(crate) fn took_up(unblocked: bool) -> Fact {
    Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked,
        lost: Vec::new(),
    }
}

fn judged() -> Fact {
    Fact::Judged {
        prefix: 1,
        tip: tip(0),
        gates: Vec::new(),
        trouble: None,
    }
}

fn rebuilt() -> Fact {
    Fact::Rebuilt {
        landings: Vec::new(),
        clashed: Vec::new(),
        trouble: None,
    }
}

pub(crate) fn prepared(id: &str, attempt: u32) -> Fact {
    Fact::Prepared {
        task: task(id),
        attempt,
        base: tip(0),
        slot: "s".into(),
    }
}

pub(crate) fn failed(class: Class) -> Outcome {
    Outcome::Failed(Failure::new(class, "so it went"))
}

/// The engine does not take the fact, says why, and is as it was.
fn refuses(world: &mut World, fact: &Fact, why: &str) {
    let before = format!("{:?}", world.engine);
    let refused = world
        .engine
        .take(omk_action::id::Moment::from_millis(world.now), fact);
    assert_eq!(
        refused.map_err(|error| error.to_string()),
        Err(why.to_owned()),
        "{fact:?}"
    );
    assert_eq!(
        format!("{:?}", world.engine),
        before,
        "a refused fact changes nothing"
    );
}

#[test]
fn a_fact_that_cannot_have_happened_is_refused_and_changes_nothing() {
    let mut engine = omk_action::engine::Engine::new(std::sync::Arc::new(plan_of(1)));
    let refused = engine
        .take(omk_action::id::Moment::from_millis(1), &Fact::Woke)
        .unwrap_err();
    assert_eq!(refused.to_string(), "`woke` before the run began");

    let mut world = World::new(plan_of(2), 1);
    refuses(&mut world, &began(&plan_of(2), 1), "the run began twice");
    refuses(
        &mut world,
        &judged(),
        "`judged` came while the run was under way",
    );
    refuses(
        &mut world,
        &rebuilt(),
        "`rebuilt` came while the run was under way",
    );
    refuses(
        &mut world,
        &prepared("other", 1),
        "task `other` is not in this run",
    );
    refuses(
        &mut world,
        &Fact::Cancelled {
            tasks: vec![task("other")],
        },
        "task `other` is not in this run",
    );
    refuses(
        &mut world,
        &prepared("t0", 2),
        "task `t0` has had 1 attempts, so attempt 2 cannot answer",
    );
    let landed = |attempt| Fact::Landed {
        task: task("t0"),
        attempt,
        tip: tip(1),
    };
    refuses(
        &mut world,
        &landed(1),
        "`landed` came for task `t0`, which is claimed",
    );
    let unchanged = Fact::Worked {
        task: task("t0"),
        attempt: 1,
        outcome: Outcome::Unchanged,
        evidence: Box::default(),
    };
    refuses(
        &mut world,
        &unchanged,
        "`worked` came for task `t0`, which is claimed",
    );
    world.happens(prepared("t0", 1));
    refuses(
        &mut world,
        &prepared("t0", 1),
        "`prepared` came for task `t0`, which is running",
    );
    refuses(
        &mut world,
        &landed(1),
        "`landed` came for task `t0`, which is running",
    );

    let mut world = World::new(plan_of(1), 1);
    ends(
        &mut world,
        "t0",
        Outcome::Changed(Change {
            tip: tip(5),
            paths: Vec::new(),
        }),
    );
    world.happens(landed(1));
    assert!(world.judge.is_some());
    refuses(
        &mut world,
        &rebuilt(),
        "`rebuilt` came while the run was being judged",
    );

    let mut world = about_to_rebuild(3);
    refuses(
        &mut world,
        &judged(),
        "`judged` came while the run was being rebuilt",
    );

    let mut world = World::new(plan_of(1), 1);
    ends(&mut world, "t0", Outcome::Unchanged);
    for unblocked in [false, true] {
        refuses(
            &mut world,
            &took_up(unblocked),
            "`took-up` came while the run was over",
        );
    }

    let mut world = World::new(plan_of(1), 1);
    let lost = Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked: false,
        lost: vec![task("t0"), task("other")],
    };
    refuses(&mut world, &lost, "task `other` is not in this run");
    assert_eq!(world.engine.began().map(|began| began.workers), Some(1));
}

#[test]
fn a_run_that_is_over_cannot_be_cancelled_and_one_that_was_stopped_can() {
    let cancelled = |tasks: &[&str]| Fact::Cancelled {
        tasks: tasks.iter().map(|id| task(id)).collect(),
    };
    let mut over = World::new(plan_of(1), 1);
    ends(&mut over, "t0", Outcome::Unchanged);
    for tasks in [&[][..], &["t0"]] {
        over.happens(cancelled(tasks));
        assert_eq!(over.facts.last().unwrap().2, [], "{tasks:?}");
        assert_eq!(
            over.engine.verdict(),
            Some(RunVerdict::Neutral),
            "{tasks:?}"
        );
    }
    for (tasks, verdict, states) in [
        (
            &["t1"][..],
            RunVerdict::NeedsMoreBudget,
            [TaskState::Pending, TaskState::Cancelled],
        ),
        (
            &[],
            RunVerdict::Cancelled,
            [TaskState::Cancelled, TaskState::Cancelled],
        ),
    ] {
        let mut stopped = World::new(plan_of(2), 1);
        stopped.happens(Fact::Limited {
            limit: Limit::Tokens,
        });
        stopped.happens(cancelled(tasks));
        assert_eq!(stopped.engine.verdict(), Some(verdict), "{tasks:?}");
        assert_eq!(
            stopped
                .engine
                .tasks()
                .map(|status| status.state)
                .collect::<Vec<_>>(),
            states,
            "{tasks:?}"
        );
        assert_eq!(
            stopped.engine.can_go_on(),
            verdict != RunVerdict::Cancelled,
            "{tasks:?}"
        );
    }
}

#[test]
fn only_a_run_that_was_stopped_or_is_blocked_outside_can_be_taken_up_at_its_end() {
    let ended = |fail_fast: bool, first: Class, second: Class| {
        let Fact::Began(told) = began(&plan_of(2), 2) else {
            panic!("a run begins")
        };
        let mut world = World::after(
            Fact::Began(Box::new(Began { fail_fast, ..*told })),
            plan_of(2),
            2,
        );
        ends(&mut world, "t0", failed(first));
        ends(&mut world, "t1", failed(second));
        assert!(world.concluded.is_some());
        world
    };
    let mut blocked = ended(false, Class::Quota, Class::Scope);
    assert!(blocked.engine.is_blocked());
    // A plain resume is for runs that were stopped.
    refuses(
        &mut blocked,
        &took_up(false),
        "`took-up` came while the run was over",
    );
    // With fail-fast, the other failure would end the run at once again.
    let mut fails_fast = ended(true, Class::Quota, Class::Scope);
    assert!(!fails_fast.engine.is_blocked());
    refuses(
        &mut fails_fast,
        &took_up(true),
        "`took-up` came while the run was over",
    );
    assert!(
        ended(true, Class::Quota, Class::Auth).engine.is_blocked(),
        "both causes are outside"
    );
    let mut failed = ended(false, Class::Scope, Class::Scope);
    assert!(!failed.engine.is_blocked());
    refuses(
        &mut failed,
        &took_up(true),
        "`took-up` came while the run was over",
    );
}

#[test]
fn what_is_put_back_is_what_failed_for_the_cause_whatever_it_depends_on() {
    let mut plan = plan_of(2);
    plan.tasks[1].dependencies = vec![task("t0")];
    plan.tasks[1].on_dependency_failure = OnDependencyFailure::Run;
    let mut world = World::new(plan, 2);
    ends(&mut world, "t0", failed(Class::Scope));
    ends(&mut world, "t1", failed(Class::Quota));
    world.happens(took_up(true));
    assert_eq!(
        under_way(&world),
        ["t1"],
        "it runs after a failure of what it depends on"
    );
}

#[test]
fn the_base_is_judged_again_only_for_prompts_of_a_run_that_judges_it() {
    for (preflight, work, judged) in [
        (false, Work::Prompt("do".into()), 0),
        (true, Work::Run("true".into()), 0),
        (true, Work::Prompt("do".into()), 1),
    ] {
        let mut plan = plan_of(2);
        plan.tasks[0].work = work;
        let Fact::Began(told) = began(&plan, 2) else {
            panic!("a run begins")
        };
        let mut world = World::after(Fact::Began(Box::new(Began { preflight, ..*told })), plan, 2);
        if world.preflights > 0 {
            world.happens(Fact::Preflighted {
                gates: vec![outcome(true)],
                trouble: None,
            });
        }
        let before = world.preflights;
        ends(&mut world, "t0", failed(Class::Quota));
        ends(&mut world, "t1", Outcome::Unchanged);
        world.happens(took_up(true));
        assert_eq!(world.preflights - before, judged);
        assert_eq!(
            under_way(&world).is_empty(),
            judged == 1,
            "a prompt waits for that, and for nothing else"
        );
    }
}

#[test]
fn what_a_person_cancelled_before_the_base_was_judged_has_no_failure() {
    let mut plan = plan_of(2);
    plan.tasks[0].work = Work::Prompt("do".into());
    plan.tasks[0].gates = vec!["test".parse().unwrap()];
    let Fact::Began(told) = began(&plan, 2) else {
        panic!("a run begins")
    };
    let mut world = World::after(
        Fact::Began(Box::new(Began {
            preflight: true,
            ..*told
        })),
        plan,
        2,
    );
    world.happens(Fact::Cancelled {
        tasks: vec![task("t0")],
    });
    let gate = GateOutcome {
        exit: Some(127),
        ..outcome(false)
    };
    world.happens(Fact::Preflighted {
        gates: vec![gate],
        trouble: None,
    });
    let status = world.engine.task(&task("t0")).unwrap();
    assert_eq!(
        (status.state, status.cancelled),
        (TaskState::Cancelled, Some(&CancelReason::Person))
    );
    assert_eq!(status.failure, None);
}

#[test]
fn only_an_agents_next_attempt_is_told_of_gates_and_only_of_those_that_failed_it() {
    let failed_gates = |work: Work, class: Class, gate: GateOutcome| {
        let mut plan = plan_of(1);
        plan.tasks[0].work = work;
        let mut world = World::new(plan, 1);
        world.happens(prepared("t0", 1));
        let evidence = Evidence {
            gates: vec![gate],
            ..Evidence::default()
        };
        world.happens(Fact::Worked {
            task: task("t0"),
            attempt: 1,
            outcome: failed(class),
            evidence: Box::new(evidence),
        });
        world.engine.task(&task("t0")).unwrap().failed_gates.len()
    };
    let prompt = || Work::Prompt("do".into());
    assert_eq!(failed_gates(prompt(), Class::Gate, outcome(false)), 1);
    assert_eq!(
        failed_gates(Work::Run("true".into()), Class::Gate, outcome(false)),
        0
    );
    assert_eq!(failed_gates(prompt(), Class::Timeout, outcome(false)), 0);
    assert_eq!(failed_gates(prompt(), Class::Gate, outcome(true)), 0);
    assert_eq!(
        failed_gates(
            prompt(),
            Class::Gate,
            GateOutcome {
                required: false,
                ..outcome(false)
            }
        ),
        0
    );
    let skipped = GateOutcome {
        verdict: GateVerdict::Skipped,
        ..outcome(false)
    };
    assert_eq!(failed_gates(prompt(), Class::Gate, skipped), 0);
}

#[test]
fn a_provider_may_ask_for_a_wait_until_the_very_end_of_the_run_and_no_longer() {
    let after = |wait_ms: u64| {
        let mut plan = plan_of(1);
        plan.tasks[0].work = Work::Prompt("do".into());
        plan.limits.time = Some(Duration::from_secs(60));
        let mut world = World::new(plan, 1);
        let slow = Failure {
            retry_after_ms: Some(wait_ms),
            ..Failure::new(Class::RateLimit, "slow")
        };
        ends(&mut world, "t0", Outcome::Failed(slow));
        world
            .engine
            .task(&task("t0"))
            .unwrap()
            .failure
            .unwrap()
            .class
    };
    assert_eq!(after(60_000), Class::RateLimit);
    assert_eq!(after(60_001), Class::Quota);
}

#[test]
fn a_task_says_what_it_waits_for() {
    let mut plan = plan_of(7);
    plan.tasks[1].dependencies = vec![task("t0")];
    plan.tasks[2].write_set = omk_action::plan::WriteSet::Declared(vec!["src/**".parse().unwrap()]);
    plan.tasks[3].write_set = plan.tasks[2].write_set.clone();
    plan.tasks[4].work = Work::Prompt("do".into());
    let Fact::Began(told) = began(&plan, 3) else {
        panic!("a run begins")
    };
    let mut world = World::after(
        Fact::Began(Box::new(Began {
            preflight: true,
            ..*told
        })),
        plan,
        3,
    );
    let waits = |world: &World, id: &str| world.engine.task(&task(id)).unwrap().waits;
    assert_eq!(under_way(&world), ["t0", "t2", "t5"]);
    assert_eq!(waits(&world, "t0"), None, "it is under way");
    assert_eq!(waits(&world, "t1"), Some(WaitReason::Dependencies));
    assert_eq!(waits(&world, "t3"), Some(WaitReason::Paths(task("t2"))));
    assert_eq!(waits(&world, "t4"), Some(WaitReason::Preflight));
    assert_eq!(waits(&world, "t6"), Some(WaitReason::Worker));
    world.happens(Fact::Preflighted {
        gates: vec![outcome(true)],
        trouble: None,
    });
    ends(&mut world, "t0", failed(Class::Timeout));
    assert!(matches!(waits(&world, "t0"), Some(WaitReason::Backoff(_))));
    assert_eq!(
        world.engine.at(),
        Some(omk_action::id::Moment::from_millis(world.now))
    );
}

#[test]
fn a_run_of_some_tasks_knows_no_others_and_waits_for_none() {
    let mut plan = plan_of(3);
    plan.tasks[2].dependencies = vec![task("t1")];
    let Fact::Began(told) = began(&plan, 3) else {
        panic!("a run begins")
    };
    let some = Began {
        selected: vec![task("t0"), task("t2")],
        ..*told
    };
    let mut engine = omk_action::engine::Engine::new(std::sync::Arc::new(plan));
    engine
        .take(
            omk_action::id::Moment::from_millis(1),
            &Fact::Began(Box::new(some)),
        )
        .unwrap();
    let states: Vec<_> = engine
        .tasks()
        .map(|status| (status.id.as_str(), status.state))
        .collect();
    assert_eq!(
        states,
        [("t0", TaskState::Claimed), ("t2", TaskState::Claimed)],
        "what is left out is not waited for"
    );
}

#[test]
fn only_a_rate_limit_that_names_a_wait_holds_back_the_other_prompts() {
    for (class, retry_after_ms, holds) in [
        (Class::RateLimit, Some(60_000), true),
        (Class::RateLimit, Some(0), false),
        (Class::RateLimit, None, false),
        (Class::Provider, Some(60_000), false),
    ] {
        let mut plan = plan_of(2);
        plan.tasks
            .iter_mut()
            .for_each(|task| task.work = Work::Prompt("do".into()));
        let mut world = World::new(plan, 1);
        ends(
            &mut world,
            "t0",
            Outcome::Failed(Failure {
                retry_after_ms,
                ..Failure::new(class, "slow")
            }),
        );
        let until = omk_action::id::Moment::from_millis(world.now + 60_000);
        let waits = world.engine.task(&task("t1")).unwrap().waits;
        assert_eq!(
            waits,
            holds.then_some(WaitReason::Provider(until)),
            "{class:?}, {retry_after_ms:?}"
        );
        assert_eq!(
            under_way(&world).is_empty(),
            holds,
            "{class:?}, {retry_after_ms:?}"
        );
    }
}

#[test]
fn what_could_start_after_a_failure_waits_once_the_failed_task_is_tried_again() {
    let mut plan = plan_of(3);
    plan.tasks[1].dependencies = vec![task("t0")];
    plan.tasks[1].on_dependency_failure = OnDependencyFailure::Run;
    plan.tasks[1].priority = -1;
    let mut world = World::after(began(&plan, 1), plan, 3);
    ends(&mut world, "t0", failed(Class::Quota));
    let waits = |world: &World| world.engine.task(&task("t1")).unwrap().waits;
    assert_eq!(
        (under_way(&world), waits(&world)),
        (vec!["t2"], Some(WaitReason::Worker))
    );
    world.active.clear();
    world.holding.clear();
    world.happens(Fact::TookUp {
        host: host(),
        workers: Some(3),
        spending: None,
        unblocked: true,
        lost: Vec::new(),
    });
    assert_eq!(
        (under_way(&world), waits(&world)),
        (vec!["t0", "t2"], Some(WaitReason::Dependencies))
    );
}

#[test]
fn a_task_tried_again_without_a_wait_goes_before_a_lower_one_that_wants_its_paths() {
    let mut plan = plan_of(2);
    for (task, seconds) in plan.tasks.iter_mut().zip([0, 9]) {
        task.write_set = writes(&["src/**"]);
        task.retry_policy.backoff_seconds = seconds;
    }
    plan.tasks[0].priority = 1;
    let mut world = World::new(plan.clone(), 2);
    for _ in 0..2 {
        assert_eq!(under_way(&world), ["t0"]);
        ends(&mut world, "t0", failed(Class::Timeout));
    }
    assert_eq!(under_way(&world), ["t0"]);

    // omk that died three times counts as a failure, whose wait is over at once too.
    let mut world = World::new(plan.clone(), 2);
    for _ in 0..3 {
        world.active.clear();
        world.holding.clear();
        world.happens(took_up(false));
        assert_eq!(under_way(&world), ["t0"]);
    }
    assert_eq!(world.engine.task(&task("t0")).unwrap().retry_count, 1);

    // Who has to wait lets the other go.
    plan.tasks[0].retry_policy.backoff_seconds = 9;
    let mut world = World::new(plan, 2);
    ends(&mut world, "t0", failed(Class::Timeout));
    assert_eq!(under_way(&world), ["t1"]);
}

#[test]
fn jitter_depends_on_the_run_the_task_and_the_count_and_is_the_same_in_a_replay() {
    let policy = RetryPolicy {
        backoff_seconds: 1000,
        jitter: 0.5,
        backoff_multiplier: 1.0,
        ..RetryPolicy::default()
    };
    let wait = |run: &str, id: &str, count: u32| {
        jittered_backoff(&policy, &run.parse::<RunId>().unwrap(), &task(id), count).as_nanos()
    };
    let (run, other) = ("20261122t185155z-4f2a9c", "20261122t185155z-4f2a9d");
    let waits = [
        wait(run, "api", 1),
        wait(other, "api", 1),
        wait(run, "app", 1),
        wait(run, "api", 2),
    ];
    // Computed by hand from SHA-256 of the names, a line each; the first eight digits are 32 bits
    // of chance.
    assert_eq!(
        waits,
        [
            823_723_296_868,
            510_823_911_987,
            962_335_642_544,
            651_569_635_491
        ]
    );
    let none = RetryPolicy {
        jitter: 0.0,
        ..policy
    };
    assert_eq!(
        jittered_backoff(&none, &run.parse().unwrap(), &task("api"), 1),
        Duration::from_secs(1000)
    );
}

pub(crate) fn writes(globs: &[&str]) -> omk_action::plan::WriteSet {
    omk_action::plan::WriteSet::Declared(globs.iter().map(|glob| glob.parse().unwrap()).collect())
}

#[test]
fn of_all_that_hold_its_paths_a_task_waits_for_the_last_one() {
    for own in [["a/**", "b/**"], ["b/**", "a/**"]] {
        let mut plan = plan_of(3);
        plan.tasks[0].write_set = writes(&["a/x"]);
        plan.tasks[1].write_set = writes(&["b/x"]);
        plan.tasks[2].write_set = writes(&own);
        let world = World::new(plan, 3);
        assert_eq!(
            world.engine.task(&task("t2")).unwrap().waits,
            Some(WaitReason::Paths(task("t1")))
        );
    }
}

#[test]
fn one_wake_is_asked_for_one_moment() {
    let mut world = World::new(plan_of(1), 1);
    world.happens(Fact::Renewed {
        task: task("t0"),
        attempt: 1,
    });
    let (_, _, orders) = world.facts.last().unwrap();
    assert!(orders.is_empty(), "nothing moved the lease: {orders:?}");
}

#[test]
fn a_journal_whose_orders_are_others_is_told_with_both() {
    let plan = std::sync::Arc::new(plan_of(1));
    let mut bytes = Vec::new();
    let at = omk_action::id::Moment::from_millis(1);
    omk_action::journal::Chain::default()
        .push(at, &began(&plan, 1), &[], &mut bytes)
        .unwrap();
    let lines = omk_action::journal::read(&bytes).unwrap().lines;
    let difference = omk_action::journal::replay(plan, &lines)
        .unwrap_err()
        .to_string();
    assert!(
        difference.starts_with("line 1: the journal orders [], the engine [{"),
        "{difference}"
    );
    assert!(difference.contains("\"start\""), "{difference}");
}
