//! Stories about the engine: what it orders, and why. The law that holds for all of them is in
//! `engine_law`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use omk_action::engine::{Engine, Illegal, TaskState};
use omk_action::fact::{
    Began, Change, Class, Evidence, Fact, Failure, GateOutcome, GateVerdict, HostProcess, Landing,
    Order, Outcome, PlanSource, RunVerdict, Session, Spending, Tokens, Trigger,
};
use omk_action::glob::Glob;
use omk_action::id::{CommitId, GateId, Moment, RepoPath, Sha256, TaskId, Tip, TreeId};
use omk_action::plan::{Event, OnDependencyFailure, Plan, Task, WriteSet};

/// A plan of so many bare command tasks; the test fills in the rest.
pub(crate) fn plan_of(count: usize) -> Plan {
    let mut text =
        String::from("version: 1\nname: sim\ngates: [{id: test, run: 'true'}]\ntasks:\n");
    for index in 0..count {
        text.push_str(&format!("- {{id: t{index}, run: 'true'}}\n"));
    }
    omk_action::plan::parse(text.as_bytes(), "omk.yaml", "sim").expect("a plan made here is sound")
}

pub(crate) fn tip(number: u32) -> Tip {
    Tip {
        commit: format!("{number:040x}").parse().unwrap(),
        tree: format!("{number:040x}").parse().unwrap(),
    }
}

pub(crate) fn host() -> HostProcess {
    HostProcess {
        name: "here".into(),
        pid: 1,
        platform: "linux/x86_64".into(),
    }
}

pub(crate) fn began(plan: &Plan, workers: u32) -> Fact {
    Fact::Began(Box::new(Began {
        run: "20261122t185155z-4f2a9c".parse().unwrap(),
        scope: "sim".parse().unwrap(),
        omk: "0".into(),
        plan: PlanSource {
            path: "omk.yaml".into(),
            digest: Sha256::of(b""),
            commit: None::<CommitId>,
            uncommitted: false,
        },
        base: tip(0),
        workers,
        selected: plan.tasks.iter().map(|task| task.id.clone()).collect(),
        left_out: Vec::new(),
        kept: Vec::new(),
        spending: Spending {
            time_ms: plan
                .limits
                .time
                .map(|time| u64::try_from(time.as_millis()).unwrap()),
            ..Spending::default()
        },
        fail_fast: false,
        keep_going: false,
        no_reuse: false,
        trigger: Trigger {
            event: Event::Manual,
            actor: "me".into(),
            comment: None,
        },
        host: host(),
        preflight: false,
        branch_was: None,
    }))
}

/// What the world will do, as a stream of small numbers that proptest shrinks.
pub(crate) struct Dice {
    throws: Vec<u8>,
    next: usize,
}

impl Dice {
    pub(crate) fn new(throws: Vec<u8>) -> Self {
        Self { throws, next: 0 }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let throw = self.throws.get(self.next).copied().unwrap_or(7);
        self.next += 1;
        usize::from(throw) % limit.max(1)
    }
}

/// A world that carries out orders in any sequence the dice give, and watches the laws.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: i64,
    pub(crate) facts: Vec<(Moment, Fact, Vec<Order>)>,
    /// Attempts under way: prepared or not.
    pub(crate) active: BTreeMap<TaskId, (u32, bool)>,
    pub(crate) to_land: Vec<(TaskId, u32)>,
    pub(crate) wake: Option<Moment>,
    pub(crate) judge: Option<u32>,
    pub(crate) preflights: u32,
    pub(crate) rebuild: Option<Vec<TaskId>>,
    pub(crate) concluded: Option<RunVerdict>,
    /// Paths are held from the claim to the landing.
    pub(crate) holding: BTreeSet<TaskId>,
    commits: u32,
    pub(crate) landed_once: BTreeSet<TaskId>,
    workers: u32,
}

impl World {
    pub(crate) fn new(plan: Plan, workers: u32) -> Self {
        let fact = began(&plan, workers);
        Self::after(fact, plan, workers)
    }

    pub(crate) fn after(fact: Fact, plan: Plan, workers: u32) -> Self {
        let mut world = Self {
            engine: Engine::new(Arc::new(plan)),
            now: 1_000_000,
            facts: Vec::new(),
            active: BTreeMap::new(),
            to_land: Vec::new(),
            wake: None,
            judge: None,
            preflights: 0,
            rebuild: None,
            concluded: None,
            holding: BTreeSet::new(),
            commits: 0,
            landed_once: BTreeSet::new(),
            workers,
        };
        world.happens(fact);
        world
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.engine.plan().clone()
    }

    pub(crate) fn happens(&mut self, fact: Fact) {
        let at = Moment::from_millis(self.now);
        let orders = self
            .engine
            .take(at, &fact)
            .expect("the world only does what was ordered");
        self.facts.push((at, fact, orders.clone()));
        for order in orders {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start { task, attempt, .. } => {
                for other in &self.holding {
                    assert!(
                        !self.overlap(&task, other),
                        "`{task}` started beside `{other}`, which it overlaps"
                    );
                }
                assert!(
                    self.dependencies_are_met(&task),
                    "`{task}` started before its dependencies ended"
                );
                self.holding.insert(task.clone());
                assert!(
                    self.active.insert(task, (attempt, false)).is_none(),
                    "one attempt at a time"
                );
                assert!(self.active.len() <= self.workers as usize);
            }
            Order::Land { task, attempt } => self.to_land.push((task, attempt)),
            Order::End { task, .. } => {
                self.active.remove(&task);
                self.holding.remove(&task);
            }
            Order::Wake { at } => self.wake = Some(at),
            Order::Judge { prefix } => self.judge = Some(prefix),
            Order::Preflight => self.preflights += 1,
            Order::Rebuild { without } => self.rebuild = Some(without),
            Order::Conclude { verdict } => self.concluded = Some(verdict),
        }
    }

    fn overlap(&self, one: &TaskId, other: &TaskId) -> bool {
        overlap(&self.plan(), one, other)
    }

    fn dependencies_are_met(&self, task: &TaskId) -> bool {
        let plan = self.plan();
        let task = plan.task(task).unwrap();
        task.dependencies.iter().all(|dependency| {
            let state = self.engine.task(dependency).unwrap().state;
            state == TaskState::Completed
                || (state.is_final() && task.on_dependency_failure == OnDependencyFailure::Run)
        })
    }

    /// One thing happens, whichever the dice choose; false once nothing can.
    pub(crate) fn step(&mut self, dice: &mut Dice) -> bool {
        self.now += i64::try_from(dice.below(50)).unwrap();
        if let Some(prefix) = self.judge.take() {
            let fails = prefix > 0 && dice.below(3) == 0;
            self.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates: vec![outcome(!fails)],
                trouble: None,
            });
            return true;
        }
        if let Some(without) = self.rebuild.take() {
            let kept: Vec<TaskId> = self
                .engine
                .landings()
                .map(|(task, _)| task.clone())
                .collect();
            let landings = kept.into_iter().filter(|task| !without.contains(task));
            let landings: Vec<Landing> = landings
                .map(|task| Landing {
                    task,
                    tip: self.fresh_tip(),
                })
                .collect();
            self.happens(Fact::Rebuilt {
                landings,
                clashed: Vec::new(),
                trouble: None,
            });
            return true;
        }
        let choices = self.active.len() + self.to_land.len();
        if choices == 0 {
            let Some(at) = self.wake.take() else {
                return false;
            };
            self.now = self.now.max(at.as_millis());
            self.happens(Fact::Woke);
            return true;
        }
        let choice = dice.below(choices);
        if choice < self.to_land.len() {
            self.land(choice, dice);
        } else {
            self.work(choice - self.to_land.len(), dice);
        }
        true
    }

    fn fresh_tip(&mut self) -> Tip {
        self.commits += 1;
        tip(self.commits)
    }

    fn land(&mut self, choice: usize, dice: &mut Dice) {
        let (task, attempt) = self.to_land.remove(choice);
        self.holding.remove(&task);
        if dice.below(6) == 0 {
            self.happens(Fact::Clashed {
                task,
                attempt,
                paths: vec!["src/a".parse().unwrap()],
                trouble: None,
            });
        } else {
            assert!(
                self.landed_once.insert(task.clone()),
                "`{task}` landed twice"
            );
            let tip = self.fresh_tip();
            self.happens(Fact::Landed { task, attempt, tip });
        }
    }

    fn work(&mut self, choice: usize, dice: &mut Dice) {
        let (task, &(attempt, prepared)) = self.active.iter().nth(choice).unwrap();
        let task = task.clone();
        if !prepared {
            self.active.insert(task.clone(), (attempt, true));
            let base = self.engine.tip().unwrap().clone();
            self.happens(Fact::Prepared {
                task,
                attempt,
                base,
                slot: "slot".into(),
            });
            return;
        }
        self.active.remove(&task);
        let outcome = match dice.below(5) {
            0 => {
                let classes = [
                    Class::Gate,
                    Class::RateLimit,
                    Class::Scope,
                    Class::Provider,
                    Class::Host,
                    Class::Command,
                ];
                let class = classes[dice.below(6)];
                let retry_after_ms = (class == Class::RateLimit).then_some(5000);
                Outcome::Failed(Failure {
                    retry_after_ms,
                    ..Failure::new(class, "no")
                })
            }
            1 => Outcome::Unchanged,
            _ => Outcome::Changed(Change {
                tip: self.fresh_tip(),
                paths: vec!["src/a".parse().unwrap()],
            }),
        };
        if !matches!(outcome, Outcome::Changed(_)) {
            self.holding.remove(&task);
        }
        self.happens(Fact::Worked {
            task,
            attempt,
            outcome,
            evidence: Box::new(Evidence::default()),
        });
    }
}

/// Whether two tasks may not run beside each other.
pub(crate) fn overlap(plan: &Plan, one: &TaskId, other: &TaskId) -> bool {
    let (one, other) = (plan.task(one).unwrap(), plan.task(other).unwrap());
    let writes = |task: &Task| match &task.write_set {
        WriteSet::Declared(globs) => globs.clone(),
        WriteSet::Unknown => Vec::new(),
    };
    let meet = |a: &[Glob], b: &[Glob]| a.iter().any(|a| b.iter().any(|b| a.intersects(b)));
    let (mine, theirs) = (writes(one), writes(other));
    meet(&mine, &theirs) || meet(&mine, &other.read_set) || meet(&one.read_set, &theirs)
}

pub(crate) fn outcome(passed: bool) -> GateOutcome {
    GateOutcome {
        gate: "test".parse::<GateId>().unwrap(),
        command: "true".into(),
        required: true,
        verdict: if passed {
            GateVerdict::Passed
        } else {
            GateVerdict::Failed
        },
        against_base: None,
        counts_as_passed: passed,
        exit: Some(i32::from(!passed)),
        duration_ms: 1,
        attempts: 1,
        log: None,
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

/// A run in which every attempt changes something and lands at once, told as the sequence of
/// starts.
fn order_of_starts(plan: Plan, workers: u32) -> Vec<String> {
    let mut world = World::new(plan, workers);
    let mut dice = Dice {
        throws: Vec::new(),
        next: 0,
    };
    while world.concluded.is_none() && world.step(&mut dice) {}
    let orders = world.facts.iter().flat_map(|(_, _, orders)| orders);
    orders
        .filter_map(|order| {
            if let Order::Start { task, .. } = order {
                Some(task.to_string())
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn highest_priority_first_then_longest_chain_then_id() {
    let mut plan = plan_of(5);
    plan.tasks[3].priority = 5;
    plan.tasks[4].dependencies = vec!["t2".parse().unwrap()];
    assert_eq!(order_of_starts(plan, 1), ["t3", "t2", "t0", "t1", "t4"]);
}

fn declared(globs: &[&str]) -> WriteSet {
    WriteSet::Declared(globs.iter().map(|glob| glob.parse().unwrap()).collect())
}

#[test]
fn a_held_back_task_reserves_its_paths_and_is_built_on_what_it_waited_for() {
    let mut plan = plan_of(4);
    for (index, set) in [["src/a"], ["src/**"], ["src/b"], ["docs/x"]]
        .iter()
        .enumerate()
    {
        plan.tasks[index].write_set = declared(set);
    }
    let world = World::new(plan, 4);
    let started: Vec<&TaskId> = world.active.keys().collect();
    // t1 overlaps t0 and waits; t2 would overlap only t1, and waits for its reservation; t3
    // overtakes.
    assert_eq!(
        started,
        [&"t0".parse::<TaskId>().unwrap(), &"t3".parse().unwrap()]
    );
    let mut world = world;
    let mut dice = Dice {
        throws: Vec::new(),
        next: 0,
    };
    while world.concluded.is_none() && world.step(&mut dice) {}
    let onto: BTreeMap<String, Vec<String>> = world
        .facts
        .iter()
        .flat_map(|(_, _, orders)| orders)
        .filter_map(|order| match order {
            Order::Start { task, onto, .. } => Some((
                task.to_string(),
                onto.iter().map(ToString::to_string).collect(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(onto["t1"], ["t0"]);
    assert_eq!(onto["t2"], ["t1"]);
    assert!(onto["t3"].is_empty());
}

#[test]
fn an_answer_of_a_revoked_attempt_is_ignored() {
    let mut world = World::new(plan_of(1), 1);
    let task: TaskId = "t0".parse().unwrap();
    world.happens(Fact::Prepared {
        task: task.clone(),
        attempt: 1,
        base: tip(0),
        slot: "s".into(),
    });
    world.now += 301_000;
    world.happens(Fact::Woke);
    assert_eq!(
        world.engine.task(&task).unwrap().failure.unwrap().class,
        Class::Host
    );
    let late = Fact::Worked {
        task: task.clone(),
        attempt: 1,
        outcome: Outcome::Changed(Change {
            tip: tip(9),
            paths: Vec::new(),
        }),
        evidence: Box::default(),
    };
    world.happens(late.clone());
    assert_eq!(world.engine.task(&task).unwrap().state, TaskState::Pending);
    world.now += 10_000;
    world.happens(Fact::Woke);
    world.happens(late);
    assert_eq!(world.engine.task(&task).unwrap().state, TaskState::Claimed);
}

#[test]
fn a_renewed_lease_does_not_expire() {
    let mut world = World::new(plan_of(1), 1);
    let task: TaskId = "t0".parse().unwrap();
    for _ in 0..10 {
        world.now += 100_000;
        world.happens(Fact::Renewed {
            task: task.clone(),
            attempt: 1,
        });
        world.happens(Fact::Woke);
    }
    assert_eq!(world.engine.task(&task).unwrap().state, TaskState::Claimed);
}

#[test]
fn the_third_death_during_one_task_is_a_failure_and_the_first_two_are_not() {
    let mut plan = plan_of(1);
    plan.tasks[0].retry_policy.max_attempts = 0;
    let mut world = World::new(plan, 1);
    let task: TaskId = "t0".parse().unwrap();
    for death in 1..=3 {
        world.active.clear();
        world.holding.clear();
        world.happens(Fact::TookUp {
            host: host(),
            workers: None,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        });
        assert_eq!(
            world.engine.task(&task).unwrap().retry_count,
            u32::from(death == 3)
        );
    }
    assert_eq!(world.concluded, Some(RunVerdict::FailedInfra));
}

#[test]
fn a_session_goes_on_after_a_red_gate_and_starts_anew_after_a_conflict() {
    let mut plan = plan_of(1);
    plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
    let mut world = World::new(plan, 1);
    let mut sessions = Vec::new();
    let task: TaskId = "t0".parse().unwrap();
    for (attempt, class) in [(1, Class::Gate), (2, Class::Conflict)] {
        world.active.clear();
        world.holding.clear();
        world.happens(Fact::Worked {
            task: task.clone(),
            attempt,
            outcome: Outcome::Failed(Failure::new(class, "no")),
            evidence: Box::default(),
        });
        world.now += 10_000;
        world.happens(Fact::Woke);
        let (_, _, orders) = world.facts.last().unwrap();
        sessions.extend(orders.iter().filter_map(|order| match order {
            Order::Start { session, .. } => Some(*session),
            _ => None,
        }));
    }
    assert_eq!(sessions, [Session::Resumed, Session::New]);
}

#[test]
fn retry_after_pauses_every_agent_task_but_no_command() {
    let mut plan = plan_of(3);
    plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
    plan.tasks[1].work = omk_action::plan::Work::Prompt("do".into());
    let mut world = World::new(plan, 1);
    world.active.clear();
    world.holding.clear();
    world.happens(Fact::Worked {
        task: "t0".parse().unwrap(),
        attempt: 1,
        outcome: Outcome::Failed(Failure {
            class: Class::RateLimit,
            message: "slow".into(),
            paths: Vec::new(),
            advice: None,
            retry_after_ms: Some(60_000),
            outlived: false,
        }),
        evidence: Box::default(),
    });
    assert_eq!(
        world.active.keys().map(TaskId::as_str).collect::<Vec<_>>(),
        ["t2"]
    );
    assert_eq!(world.wake.unwrap().as_millis(), world.now + 60_000);
}

#[test]
fn a_process_that_outlived_its_end_ends_the_run() {
    let mut plan = plan_of(2);
    plan.tasks[0].retry_policy.max_attempts = 9;
    let mut world = World::new(plan, 1);
    world.active.clear();
    world.holding.clear();
    world.happens(Fact::Worked {
        task: "t0".parse().unwrap(),
        attempt: 1,
        outcome: Outcome::Failed(Failure {
            outlived: true,
            ..Failure::new(Class::Host, "one may be at work")
        }),
        evidence: Box::default(),
    });
    assert!(
        world.active.is_empty(),
        "nothing is started on this machine any more"
    );
    assert_eq!(world.engine.verdict(), Some(RunVerdict::FailedInfra));
}

#[test]
fn an_agents_next_attempt_knows_the_gates_that_held_it() {
    let mut plan = plan_of(1);
    plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
    let task: TaskId = "t0".parse().unwrap();
    let mut world = World::new(plan, 1);
    let held = |world: &mut World, attempt| {
        let gates = vec![
            outcome(true),
            outcome(false),
            GateOutcome {
                required: false,
                ..outcome(false)
            },
        ];
        let evidence = Box::new(Evidence {
            gates,
            ..Evidence::default()
        });
        let outcome = Outcome::Failed(Failure::new(Class::Gate, "gate `test` exited with 1"));
        world.active.clear();
        world.holding.clear();
        world.happens(Fact::Prepared {
            task: task.clone(),
            attempt,
            base: tip(0),
            slot: "s".into(),
        });
        world.happens(Fact::Worked {
            task: task.clone(),
            attempt,
            outcome,
            evidence,
        });
        let wake = world.wake.take();
        world.now = wake.map_or(world.now, |wake| wake.as_millis());
        wake.is_some().then(|| world.happens(Fact::Woke));
    };
    held(&mut world, 1);
    assert_eq!(
        world.engine.task(&task).unwrap().failed_gates,
        [outcome(false)]
    );
    // An interruption is no failure: what held the attempt before still counts.
    world.active.clear();
    world.holding.clear();
    world.happens(Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked: false,
        lost: Vec::new(),
    });
    assert_eq!(
        world.engine.task(&task).unwrap().failed_gates,
        [outcome(false)]
    );
    held(&mut world, 3);
    held(&mut world, 4);
    let status = world.engine.task(&task).unwrap();
    assert_eq!(
        (status.state, status.failed_gates),
        (TaskState::Failed, [].as_slice()),
        "there is no next attempt"
    );
}

#[test]
fn a_conflict_keeps_every_path() {
    let task: TaskId = "t0".parse().unwrap();
    let mut world = World::new(plan_of(1), 1);
    world.happens(Fact::Prepared {
        task: task.clone(),
        attempt: 1,
        base: tip(0),
        slot: "s".into(),
    });
    let change = Change {
        tip: tip(5),
        paths: vec!["src/a".parse().unwrap()],
    };
    let outcome = Outcome::Changed(change);
    world.happens(Fact::Worked {
        task: task.clone(),
        attempt: 1,
        outcome,
        evidence: Box::default(),
    });
    let paths: Vec<RepoPath> = (0..30)
        .map(|n| format!("src/{n}").parse().unwrap())
        .collect();
    world.happens(Fact::Clashed {
        task: task.clone(),
        attempt: 1,
        paths: paths.clone(),
        trouble: None,
    });
    let failure = world.engine.task(&task).unwrap().failure.cloned().unwrap();
    assert_eq!((failure.class, failure.paths), (Class::Conflict, paths));
    assert!(
        failure.message.ends_with("src/19 and 10 more"),
        "{}",
        failure.message
    );
}

#[test]
fn a_wait_past_the_end_of_the_run_is_a_used_up_quota() {
    let mut plan = plan_of(1);
    plan.limits.time = Some(Duration::from_secs(30));
    plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
    let mut world = World::new(plan, 1);
    world.active.clear();
    world.happens(Fact::Worked {
        task: "t0".parse().unwrap(),
        attempt: 1,
        outcome: Outcome::Failed(Failure {
            class: Class::RateLimit,
            message: "slow".into(),
            paths: Vec::new(),
            advice: None,
            retry_after_ms: Some(60_000),
            outlived: false,
        }),
        evidence: Box::default(),
    });
    assert_eq!(world.concluded, Some(RunVerdict::BlockedOnExternal));
}

#[test]
fn a_used_up_budget_puts_tasks_back_and_a_new_process_goes_on() {
    let mut plan = plan_of(2);
    plan.limits.time = Some(Duration::from_secs(30));
    let mut world = World::new(plan, 1);
    world.now += 30_000;
    world.happens(Fact::Woke);
    assert_eq!(world.concluded, Some(RunVerdict::NeedsMoreBudget));
    assert!(world.active.is_empty() && world.engine.can_go_on());
    world.concluded = None;
    world.workers = 2;
    world.happens(Fact::TookUp {
        host: host(),
        workers: Some(2),
        spending: None,
        unblocked: false,
        lost: Vec::new(),
    });
    assert_eq!(world.active.len(), 2);
    assert!(world.engine.tasks().all(|task| task.retry_count == 0));
}

/// A command, and three prompts: one that needs the gate, one that does not, and one that builds on
/// the first.
fn with_preflight(fail_fast: bool) -> World {
    let text = "version: 1\nname: sim\ngates: [{id: test, run: 'cargoo test'}]\ntasks:\n\
                - {id: t0, run: 'true', gates: [test]}\n- {id: t1, prompt: do, gates: [test]}\n- {id: t2, prompt: do}\n\
                - {id: t3, prompt: do, dependencies: [t1]}\n";
    let plan = omk_action::plan::parse(text.as_bytes(), "omk.yaml", "sim").unwrap();
    let Fact::Began(began) = began(&plan, 8) else {
        panic!("a run begins")
    };
    World::after(
        Fact::Began(Box::new(Began {
            preflight: true,
            fail_fast,
            ..*began
        })),
        plan,
        8,
    )
}

fn on_base(exit: i32) -> Fact {
    let gate = GateOutcome {
        exit: Some(exit),
        ..outcome(exit == 0)
    };
    Fact::Preflighted {
        gates: vec![gate],
        trouble: None,
    }
}

pub(crate) fn under_way(world: &World) -> Vec<&str> {
    world.active.keys().map(TaskId::as_str).collect()
}

#[test]
fn no_prompt_starts_before_the_base_was_judged_and_commands_need_not_wait() {
    for exit in [0, 1] {
        let mut world = with_preflight(false);
        assert_eq!((world.preflights, under_way(&world)), (1, vec!["t0"]));
        world.active.clear();
        world.holding.clear();
        world.happens(Fact::TookUp {
            host: host(),
            workers: None,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        });
        assert_eq!(
            (world.preflights, under_way(&world)),
            (2, vec!["t0"]),
            "it is judged again after a death"
        );
        world.happens(on_base(exit));
        assert_eq!(
            under_way(&world),
            ["t0", "t1", "t2"],
            "a red base is what tasks may be there for"
        );
        world.happens(Fact::Stopped {
            signal: "SIGINT".into(),
        });
        world.happens(Fact::TookUp {
            host: host(),
            workers: None,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        });
        assert_eq!(
            (world.preflights, world.active.len()),
            (2, 3),
            "and once is enough"
        );
    }
}

#[test]
fn a_gate_that_cannot_run_on_the_base_fails_the_prompts_that_need_it_and_no_others() {
    for (fail_fast, left) in [(false, vec!["t0", "t2"]), (true, vec!["t0"])] {
        let mut world = with_preflight(fail_fast);
        world.happens(on_base(127));
        assert_eq!(under_way(&world), left);
        let status = world.engine.task(&"t1".parse().unwrap()).unwrap();
        let failure = status.failure.unwrap();
        assert_eq!(
            (status.state, status.attempt, failure.class),
            (TaskState::Failed, 0, Class::Config)
        );
        assert!(
            failure
                .message
                .contains("cannot run on the base: it exited with 127"),
            "{}",
            failure.message
        );
        assert!(
            failure
                .advice
                .as_ref()
                .is_some_and(|advice| advice.contains("`preflight: false`")),
            "{:?}",
            failure.advice
        );
        assert_eq!(
            world.engine.task(&"t3".parse().unwrap()).unwrap().state,
            TaskState::Cancelled
        );
        for task in left {
            ends(&mut world, task, Outcome::Unchanged);
        }
        assert_eq!(world.concluded, Some(RunVerdict::BlockedOnExternal));
    }
}

#[test]
fn a_gate_that_could_not_run_is_looked_at_again_once_its_tool_is_there() {
    let mut world = with_preflight(false);
    world.happens(on_base(127));
    ends(&mut world, "t0", Outcome::Unchanged);
    ends(&mut world, "t2", Outcome::Unchanged);
    assert_eq!(
        (world.concluded.take(), world.engine.is_blocked()),
        (Some(RunVerdict::BlockedOnExternal), true)
    );
    world.happens(Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked: true,
        lost: Vec::new(),
    });
    assert_eq!(
        (world.preflights, under_way(&world).is_empty()),
        (2, true),
        "no prompt starts before it was looked at"
    );
    world.happens(on_base(0));
    assert_eq!(
        under_way(&world),
        ["t1"],
        "what completed is not done again"
    );
    ends(&mut world, "t1", Outcome::Unchanged);
    ends(&mut world, "t3", Outcome::Unchanged);
    assert_eq!(world.concluded, Some(RunVerdict::Neutral));
}

#[test]
fn a_run_that_was_blocked_goes_on_with_what_failed_for_it_and_what_waited_for_that() {
    let mut plan = plan_of(5);
    plan.tasks[1].dependencies = vec!["t0".parse().unwrap()];
    plan.tasks[4].dependencies = vec!["t3".parse().unwrap()];
    let mut world = World::new(plan, 5);
    ends(
        &mut world,
        "t0",
        Outcome::Failed(Failure::new(Class::Quota, "no credit")),
    );
    ends(&mut world, "t2", Outcome::Unchanged);
    ends(
        &mut world,
        "t3",
        Outcome::Failed(Failure::new(Class::Scope, "wrote elsewhere")),
    );
    assert_eq!(world.concluded.take(), Some(RunVerdict::BlockedOnExternal));
    assert!(!world.engine.can_go_on() && world.engine.is_blocked());
    world.happens(Fact::TookUp {
        host: host(),
        workers: None,
        spending: None,
        unblocked: true,
        lost: Vec::new(),
    });
    assert_eq!(under_way(&world), ["t0"]);
    let counted = world
        .engine
        .tasks()
        .map(|task| (task.state.as_str(), task.retry_count))
        .collect::<Vec<_>>();
    assert_eq!(
        counted,
        [
            ("claimed", 1),
            ("pending", 0),
            ("completed", 0),
            ("failed", 1),
            ("cancelled", 0)
        ],
        "failures stay counted, and what failed for another reason stays failed"
    );
    let (attempt, _) = world.active[&"t0".parse::<TaskId>().unwrap()];
    assert_eq!(attempt, 2);
}

/// Lands t0, t1, … in turn; then judges with the given failing prefixes, and tells how it ended.
fn judged(count: usize, fails: impl Fn(u32, usize) -> bool) -> (RunVerdict, Vec<String>, Vec<u32>) {
    let mut world = World::new(plan_of(count), 1);
    let (mut probes, mut rebuilds) = (Vec::new(), 0);
    while world.concluded.is_none() {
        if let Some(prefix) = world.judge.take() {
            probes.push(prefix);
            let gates = vec![outcome(!fails(prefix, rebuilds))];
            world.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates,
                trouble: None,
            });
        } else {
            rebuilds += usize::from(world.rebuild.is_some());
            world.step(&mut Dice {
                throws: Vec::new(),
                next: 0,
            });
        }
    }
    let ejected = world
        .engine
        .tasks()
        .filter(|task| task.ejected.is_some())
        .map(|task| task.id.to_string())
        .collect();
    (world.concluded.unwrap(), ejected, probes)
}

#[test]
fn the_culprit_is_the_last_task_of_the_shortest_prefix_that_fails() {
    let (verdict, ejected, probes) = judged(6, |prefix, rebuilds| rebuilds == 0 && prefix >= 4);
    assert_eq!(verdict, RunVerdict::NotReady);
    // Each dice throw of 7 lands in order t0, t1, …; the fourth landing is t3.
    assert_eq!(ejected, ["t3"]);
    assert_eq!(probes[..2], [6, 0]);
}

#[test]
fn a_base_that_fails_by_itself_has_no_culprit() {
    let (verdict, ejected, probes) = judged(3, |_, _| true);
    assert_eq!(
        (verdict, ejected.len(), probes),
        (RunVerdict::NotReady, 0, vec![3, 0])
    );
}

#[test]
fn after_three_take_outs_nothing_is_integrated() {
    let (verdict, ejected, _) = judged(5, |prefix, _| prefix > 0);
    assert_eq!((verdict, ejected.len()), (RunVerdict::NotReady, 5));
}

#[test]
fn a_tree_that_was_already_proven_is_not_judged_again() {
    let mut world = World::new(plan_of(1), 1);
    let task: TaskId = "t0".parse().unwrap();
    let tree: TreeId = tip(5).tree;
    world.happens(Fact::Prepared {
        task: task.clone(),
        attempt: 1,
        base: tip(0),
        slot: "s".into(),
    });
    world.happens(Fact::Worked {
        task: task.clone(),
        attempt: 1,
        outcome: Outcome::Changed(Change {
            tip: tip(5),
            paths: Vec::new(),
        }),
        evidence: Box::new(Evidence {
            tree: Some(tree),
            gates: vec![outcome(true)],
            ..Evidence::default()
        }),
    });
    world.happens(Fact::Landed {
        task,
        attempt: 1,
        tip: tip(5),
    });
    assert_eq!(world.concluded, Some(RunVerdict::Ready));
}

/// A world in which everything has landed, the last landing is the culprit, and the branch is to be
/// built anew.
pub(crate) fn about_to_rebuild(count: usize) -> World {
    let mut world = World::new(plan_of(count), 1);
    while world.rebuild.is_none() {
        if let Some(prefix) = world.judge.take() {
            let gates = vec![outcome(prefix < u32::try_from(count).unwrap())];
            world.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates,
                trouble: None,
            });
        } else {
            world.step(&mut Dice {
                throws: Vec::new(),
                next: 0,
            });
        }
    }
    world
}

#[test]
fn a_branch_that_is_rebuilt_too_late_revives_no_run() {
    for end in [
        Fact::Stopped {
            signal: "SIGINT".into(),
        },
        Fact::Cancelled { tasks: Vec::new() },
    ] {
        let mut world = about_to_rebuild(3);
        world.happens(end);
        world.happens(Fact::Rebuilt {
            landings: Vec::new(),
            clashed: Vec::new(),
            trouble: None,
        });
        assert_eq!(
            (world.engine.verdict(), world.judge),
            (Some(RunVerdict::Cancelled), None)
        );
        assert_eq!(
            world.engine.landings().count(),
            3,
            "what it did not wait for has not happened"
        );
    }
}

#[test]
fn a_take_out_that_omk_did_not_live_to_see_is_not_counted() {
    let mut world = about_to_rebuild(3);
    for _ in 0..4 {
        world.rebuild = None;
        world.happens(Fact::TookUp {
            host: host(),
            workers: None,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        });
        while let Some(prefix) = world.judge.take() {
            world.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates: vec![outcome(prefix < 3)],
                trouble: None,
            });
        }
    }
    assert_eq!(world.rebuild, Some(vec!["t2".parse().unwrap()]));
}

#[test]
fn a_second_take_out_takes_what_was_built_on_the_result_with_the_culprit() {
    let mut world = World::new(plan_of(3), 3);
    let built_on_first_tip = |world: &mut World, task: &str, number: u32, base: Tip| {
        let task: TaskId = task.parse().unwrap();
        world.happens(Fact::Prepared {
            task: task.clone(),
            attempt: 1,
            base,
            slot: "s".into(),
        });
        let outcome = Outcome::Changed(Change {
            tip: tip(number),
            paths: Vec::new(),
        });
        world.happens(Fact::Worked {
            task,
            attempt: 1,
            outcome,
            evidence: Box::default(),
        });
    };
    let lands = |world: &mut World, task: &str, number: u32| {
        world.happens(Fact::Landed {
            task: task.parse().unwrap(),
            attempt: 1,
            tip: tip(number),
        });
    };
    built_on_first_tip(&mut world, "t0", 1, tip(0));
    lands(&mut world, "t0", 1);
    built_on_first_tip(&mut world, "t1", 2, tip(0));
    lands(&mut world, "t1", 12);
    // On the result as it was with t0 alone, because what it needs could not be merged otherwise.
    built_on_first_tip(&mut world, "t2", 3, tip(1));
    lands(&mut world, "t2", 13);
    let mut judge = |passing: &[u32]| {
        while let Some(prefix) = world.judge.take() {
            let gates = vec![outcome(passing.contains(&prefix))];
            world.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates,
                trouble: None,
            });
        }
        let without = world.rebuild.take();
        let landing = |task: &str, number| Landing {
            task: task.parse().unwrap(),
            tip: tip(number),
        };
        let landings = vec![landing("t0", 21), landing("t2", 22)];
        world.happens(Fact::Rebuilt {
            landings,
            clashed: Vec::new(),
            trouble: None,
        });
        without
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(judge(&[0, 1]), ["t1"]);
    // A gate that does not say the same twice: now t0 fails alone.
    assert_eq!(judge(&[0]), ["t0", "t2"]);
}

/// The task's first attempt ends so.
pub(crate) fn ends(world: &mut World, task: &str, outcome: Outcome) {
    let task: TaskId = task.parse().unwrap();
    let (attempt, _) = world.active.remove(&task).unwrap();
    if !matches!(outcome, Outcome::Changed(_)) {
        world.holding.remove(&task);
    }
    let base = world.engine.tip().unwrap().clone();
    world.happens(Fact::Prepared {
        task: task.clone(),
        attempt,
        base,
        slot: "s".into(),
    });
    world.happens(Fact::Worked {
        task,
        attempt,
        outcome,
        evidence: Box::default(),
    });
}

#[test]
fn what_waits_for_the_provider_reserves_nothing() {
    let mut plan = plan_of(4);
    for (index, set) in [(1, "src/a"), (2, "src/**"), (3, "src/b")] {
        plan.tasks[index].write_set = declared(&[set]);
    }
    plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
    plan.tasks[2].work = omk_action::plan::Work::Prompt("do".into());
    let mut world = World::new(plan, 3);
    let slow = Failure {
        retry_after_ms: Some(60_000),
        ..Failure::new(Class::RateLimit, "slow")
    };
    ends(&mut world, "t0", Outcome::Failed(slow));
    ends(&mut world, "t1", Outcome::Unchanged);
    assert_eq!(
        world.active.keys().map(TaskId::as_str).collect::<Vec<_>>(),
        ["t3"]
    );
}

#[test]
fn the_loser_against_a_directory_of_its_name_is_built_on_the_winner() {
    let mut world = World::new(plan_of(2), 2);
    let change = |number, path: &str| {
        Outcome::Changed(Change {
            tip: tip(number),
            paths: vec![path.parse().unwrap()],
        })
    };
    let (winner, loser): (TaskId, TaskId) = ("t0".parse().unwrap(), "t1".parse().unwrap());
    ends(&mut world, "t0", change(5, "x/y"));
    ends(&mut world, "t1", change(6, "x"));
    world.happens(Fact::Landed {
        task: winner.clone(),
        attempt: 1,
        tip: tip(5),
    });
    world.holding.clear();
    world.happens(Fact::Clashed {
        task: loser,
        attempt: 1,
        paths: vec!["x".parse().unwrap()],
        trouble: None,
    });
    world.now += 10_000;
    world.happens(Fact::Woke);
    let (_, _, orders) = world.facts.last().unwrap();
    assert!(
        matches!(&orders[..], [Order::Start { onto, .. }, ..] if *onto == [winner]),
        "{orders:?}"
    );
}

#[test]
fn a_number_of_workers_given_on_the_way_stays() {
    let mut world = World::new(plan_of(3), 1);
    for workers in [Some(2), None] {
        world.active.clear();
        world.holding.clear();
        world.workers = 2;
        world.happens(Fact::TookUp {
            host: host(),
            workers,
            spending: None,
            unblocked: false,
            lost: Vec::new(),
        });
        assert_eq!(world.active.len(), 2);
    }
}

#[test]
fn what_was_spent_changes_nothing_whenever_it_is_told() {
    let mut world = World::new(plan_of(1), 1);
    let task: TaskId = "t0".parse().unwrap();
    let about = |attempt| {
        let (tokens, cost_micro_usd) = (Tokens::default(), None);
        let asked = Fact::Asked {
            task: task.clone(),
            attempt,
            request: 0,
            tokens,
            cost_micro_usd,
        };
        let task = task.clone();
        [
            asked,
            Fact::Answered {
                task,
                attempt,
                request: 0,
                tokens,
                estimated: true,
                cost_micro_usd,
            },
        ]
    };
    let tell = |world: &mut World| {
        for fact in about(1) {
            let before = world.facts.len();
            world.happens(fact);
            assert_eq!(
                world.facts[before].2,
                [],
                "nothing waits until it is on disk"
            );
        }
        world.engine.task(&task).unwrap().state
    };
    assert_eq!(tell(&mut world), TaskState::Claimed);
    world.happens(Fact::Prepared {
        task: task.clone(),
        attempt: 1,
        base: tip(0),
        slot: "s".into(),
    });
    assert_eq!(tell(&mut world), TaskState::Running);
    world.active.clear();
    world.holding.clear();
    let (outcome, evidence) = (Outcome::Interrupted, Box::default());
    world.happens(Fact::Worked {
        task: task.clone(),
        attempt: 1,
        outcome,
        evidence,
    });
    assert_eq!(tell(&mut world), TaskState::Claimed);
    world.happens(Fact::Stopped {
        signal: "SIGTERM".into(),
    });
    assert_eq!(tell(&mut world), TaskState::Pending);
    for fact in about(9) {
        let refused = world
            .engine
            .take(Moment::from_millis(world.now), &fact)
            .unwrap_err();
        assert!(
            matches!(refused, Illegal::FutureAttempt { attempt: 9, .. }),
            "{refused:?}"
        );
    }
}

/// The contract's table: whether a failure of that class is tried again, and in the same session.
fn by_contract(class: Class) -> (bool, Session) {
    match class {
        Class::Scope
        | Class::Refused
        | Class::Context
        | Class::Auth
        | Class::Config
        | Class::Quota => (false, Session::New),
        Class::Gate
        | Class::Steps
        | Class::NoChange
        | Class::RateLimit
        | Class::Provider
        | Class::Hung
        | Class::Timeout => (true, Session::Resumed),
        Class::Command | Class::Conflict | Class::Host | Class::Lost => (true, Session::New),
    }
}

#[test]
fn each_class_of_failure_is_tried_again_or_not_as_the_contract_says_though_retries_are_left() {
    let classes = [
        "gate",
        "command",
        "scope",
        "refused",
        "context",
        "auth",
        "config",
        "quota",
        "conflict",
        "rate-limit",
        "provider",
        "timeout",
        "hung",
        "host",
        "lost",
        "no-change",
        "steps",
    ];
    for name in classes {
        let class: Class = serde_json::from_value(serde_json::json!(name)).unwrap();
        let (transient, session) = by_contract(class);
        for terminal in [true, false] {
            let mut plan = plan_of(1);
            plan.tasks[0].work = omk_action::plan::Work::Prompt("do".into());
            plan.tasks[0].retry_policy.max_attempts = 2;
            plan.tasks[0].retry_policy.terminal_on_permanent_failure = terminal;
            let task: TaskId = "t0".parse().unwrap();
            let mut world = World::new(plan, 1);
            ends(&mut world, "t0", Outcome::Failed(Failure::new(class, "no")));
            let again = transient || !terminal;
            let expect = if again {
                TaskState::Pending
            } else {
                TaskState::Failed
            };
            assert_eq!(
                world.engine.task(&task).unwrap().state,
                expect,
                "{name}, terminal: {terminal}"
            );
            if again {
                world.now += 10_000;
                world.happens(Fact::Woke);
                let (_, _, orders) = world.facts.last().unwrap();
                let started = matches!(&orders[..], [Order::Start { session: found, .. }, ..] if *found == session);
                assert!(started, "{name}: {orders:?}");
            }
        }
    }
}

#[test]
fn after_a_conflict_the_paths_that_it_touched_are_held_like_a_write_set() {
    let mut plan = plan_of(4);
    plan.tasks[2].write_set = declared(&["x/**"]);
    plan.tasks[2].dependencies = vec!["t3".parse().unwrap()];
    let mut world = World::new(plan, 3);
    let change = |number| {
        Outcome::Changed(Change {
            tip: tip(number),
            paths: vec!["x/a".parse().unwrap()],
        })
    };
    let (winner, loser): (TaskId, TaskId) = ("t0".parse().unwrap(), "t1".parse().unwrap());
    ends(&mut world, "t0", change(5));
    ends(&mut world, "t1", change(6));
    world.happens(Fact::Landed {
        task: winner,
        attempt: 1,
        tip: tip(5),
    });
    world.holding.clear();
    world.happens(Fact::Clashed {
        task: loser,
        attempt: 1,
        paths: vec!["x/a".parse().unwrap()],
        trouble: None,
    });
    world.now += 10_000;
    world.happens(Fact::Woke);
    let active = |world: &World| {
        world
            .active
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(active(&world), "t1 t3");
    ends(&mut world, "t3", Outcome::Unchanged);
    assert_eq!(active(&world), "t1", "t2 may write x/a, which t1 touched");
    ends(&mut world, "t1", Outcome::Unchanged);
    assert_eq!(active(&world), "t2");
}

#[test]
fn a_shorter_wait_does_not_end_a_longer_pause_of_the_provider() {
    let mut plan = plan_of(3);
    for task in &mut plan.tasks {
        task.work = omk_action::plan::Work::Prompt("do".into());
    }
    let mut world = World::new(plan, 2);
    let slow = |wait| {
        let failure = Failure {
            retry_after_ms: Some(wait),
            ..Failure::new(Class::RateLimit, "slow")
        };
        Outcome::Failed(failure)
    };
    ends(&mut world, "t0", slow(60_000));
    ends(&mut world, "t1", slow(5_000));
    world.now += 59_999;
    world.happens(Fact::Woke);
    assert!(world.active.is_empty(), "{:?}", world.active);
    world.now += 1;
    world.happens(Fact::Woke);
    assert_eq!(world.active.len(), 2);
}

#[test]
fn a_lease_holds_in_the_very_millisecond_of_its_end_and_not_in_the_next() {
    let mut world = World::new(plan_of(1), 1);
    let task: TaskId = "t0".parse().unwrap();
    let status = world.engine.task(&task).unwrap();
    world.now = status.lease_expires.unwrap().as_millis();
    world.happens(Fact::Woke);
    assert_eq!(world.engine.task(&task).unwrap().state, TaskState::Claimed);
    world.now += 1;
    world.happens(Fact::Woke);
    assert_eq!(world.engine.task(&task).unwrap().state, TaskState::Pending);
}
