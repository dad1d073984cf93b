//! The engine in a world where everything happens that can: deaths, cancels, limits, expired
//! leases, late answers, branches that do not merge any more, gates that say nothing. It is held
//! against a small model of the contract (section 2), which knows nothing of the engine: how each
//! task ends, which trees are proven, who is taken out, and what the run's verdict is.

#![expect(clippy::unwrap_used, reason = "a law that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use omk_action::engine::Engine;
use omk_action::fact::{
    Began, Change, Class, Evidence, Fact, Failure, GateOutcome, GateVerdict, Landing, Limit, Order,
    Outcome, RunVerdict,
};
use omk_action::id::{Moment, TaskId, Tip};
use omk_action::plan::{OnDependencyFailure, Plan, RetryPolicy, WriteSet};
use proptest::prelude::*;

use crate::engine::{Dice, began, host, outcome, overlap, tip};
use crate::engine_model::{Model, TRANSIENT};

/// How long a lease holds, by the contract, in milliseconds.
const LEASE: i64 = 300_000;

/// Causes that a run is taken up after.
const OUTSIDE: [Class; 2] = [Class::Auth, Class::Quota];

const GATES: [&str; 3] = ["test", "lint", "docs"];

/// An attempt that somebody works on.
#[derive(Debug, Clone)]
struct Attempt {
    number: u32,
    expires: i64,
    /// What it was told to be built on.
    onto: Vec<TaskId>,
    /// What it is built on, once it is prepared: the commit, and all tasks whose changes are in
    /// it.
    base: Option<(Tip, BTreeSet<TaskId>)>,
}

/// What sort of world it is.
#[derive(Debug, Clone)]
struct Mood {
    /// So many times something comes from outside, once in so many steps.
    troubles: u32,
    trouble_one_in: usize,
    /// Half of them are of this kind.
    bias: usize,
    /// Attempts rarely fail.
    calm: bool,
    /// No task is built on another one that it need not know.
    apart: bool,
    /// One of so many pairs of tasks does not go together.
    clash_one_in: usize,
    fail_fast: bool,
    /// So many times it is taken up after a cause outside ended it.
    unblocked: u32,
    /// What fails, fails for such a cause.
    outside: bool,
}

struct World {
    engine: Engine,
    plan: Arc<Plan>,
    now: i64,
    dice: Dice,
    facts: Vec<(Moment, Fact, Vec<Order>)>,
    model: Model,
    active: BTreeMap<TaskId, Attempt>,
    /// Changes that wait to land, with what is in them.
    changes: BTreeMap<TaskId, (Tip, Tip, BTreeSet<TaskId>)>,
    to_land: Option<(TaskId, u32)>,
    /// Attempts that were revoked, whose workers may still answer.
    revoked: Vec<(TaskId, u32)>,
    wake: Option<i64>,
    judge: Option<u32>,
    rebuild: Option<Vec<TaskId>>,
    concluded: Option<RunVerdict>,
    workers: u32,
    commits: u32,
    mood: Mood,
    /// Changes in the order in which they were finished, which is that of landing.
    finished: Vec<TaskId>,
    holding: BTreeSet<TaskId>,
}

impl World {
    fn new(plan: Plan, workers: u32, mood: Mood, mut dice: Dice) -> Self {
        let Fact::Began(first) = began(&plan, workers) else {
            panic!("it is a beginning")
        };
        let plan = Arc::new(plan);
        let mut world = Self {
            engine: Engine::new(Arc::clone(&plan)),
            model: Model::new(
                Arc::clone(&plan),
                mood.fail_fast,
                mood.clash_one_in,
                dice.below(9) == 0,
            ),
            plan,
            now: 1_000_000,
            dice,
            facts: Vec::new(),
            active: BTreeMap::new(),
            changes: BTreeMap::new(),
            to_land: None,
            revoked: Vec::new(),
            wake: None,
            judge: None,
            rebuild: None,
            concluded: None,
            workers,
            commits: 0,
            mood: mood.clone(),
            finished: Vec::new(),
            holding: BTreeSet::new(),
        };
        world.happens(Fact::Began(Box::new(Began {
            fail_fast: mood.fail_fast,
            ..*first
        })));
        world
    }

    fn happens(&mut self, fact: Fact) {
        let at = Moment::from_millis(self.now);
        let orders = self
            .engine
            .take(at, &fact)
            .expect("the world only does what was ordered");
        self.facts.push((at, fact, orders.clone()));
        orders.into_iter().for_each(|order| self.obey(order));
        self.compare();
    }

    fn obey(&mut self, order: Order) {
        assert!(
            self.concluded.is_none(),
            "nothing is ordered after the end: {order:?}"
        );
        match order {
            Order::Start {
                task,
                attempt,
                onto,
                ..
            } => {
                for other in &self.holding {
                    assert!(
                        !overlap(&self.plan, &task, other),
                        "`{task}` started beside `{other}`, which it overlaps"
                    );
                }
                self.model.may_start(&task, &onto);
                self.holding.insert(task.clone());
                let started = Attempt {
                    number: attempt,
                    expires: self.now + LEASE,
                    onto,
                    base: None,
                };
                assert!(
                    self.active.insert(task, started).is_none(),
                    "one attempt at a time"
                );
                assert!(
                    self.active.len() <= self.workers as usize,
                    "no more attempts than workers"
                );
            }
            Order::Land { task, attempt } => {
                assert_eq!(
                    self.finished.first(),
                    Some(&task),
                    "they land in the order of finishing"
                );
                assert!(
                    self.to_land.replace((task, attempt)).is_none(),
                    "one at a time"
                );
            }
            Order::End { task, attempt } => {
                assert_eq!(
                    self.active.remove(&task).map(|attempt| attempt.number),
                    Some(attempt)
                );
                self.holding.remove(&task);
                self.revoked.push((task, attempt));
            }
            Order::Wake { at } => self.wake = Some(at.as_millis()),
            Order::Judge { prefix } => self.judge = Some(prefix),
            Order::Preflight => panic!("nobody asked for it"),
            Order::Rebuild { without } => {
                self.model.must_take_out(&without);
                self.rebuild = Some(without);
            }
            Order::Conclude { verdict } => self.concluded = Some(verdict),
        }
    }

    /// Each task stands where the model has it.
    fn compare(&self) {
        for status in self.engine.tasks() {
            let is_active = self.active.contains_key(status.id);
            let lands = self.changes.contains_key(status.id);
            self.model.compare(&status, is_active, lands);
        }
        let landed: Vec<&TaskId> = self.engine.landings().map(|(task, _)| task).collect();
        assert_eq!(landed, self.model.landed());
    }

    /// One thing happens, whichever the dice choose; false once nothing can.
    fn step(&mut self) -> bool {
        self.now += i64::try_from(self.dice.below(50)).unwrap();
        if self.mood.troubles > 0 && self.dice.below(self.mood.trouble_one_in) == 0 {
            self.mood.troubles -= 1;
            self.trouble();
            return true;
        }
        if let Some(prefix) = self.judge.take() {
            self.judged(prefix);
            return true;
        }
        if let Some(without) = self.rebuild.take() {
            self.rebuilt(&without);
            return true;
        }
        let choices = self.active.len() + usize::from(self.to_land.is_some());
        if choices == 0 {
            let Some(at) = self.wake.take() else {
                return false;
            };
            self.now = self.now.max(at);
            self.woke();
            return true;
        }
        let choice = self.dice.below(choices);
        match self.active.keys().nth(choice).cloned() {
            Some(task) => self.work(&task),
            None => self.land(),
        }
        true
    }

    /// What comes from outside of the plan.
    fn trouble(&mut self) {
        let kind = if self.dice.below(2) == 0 {
            self.mood.bias
        } else {
            self.dice.below(8)
        };
        match kind {
            0 => self.dies(),
            1 | 2 => {
                let all = self.dice.below(6) == 0;
                let some = self.plan.tasks[self.dice.below(self.plan.tasks.len())]
                    .id
                    .clone();
                let tasks = if all { Vec::new() } else { vec![some] };
                self.model.cancelled(&tasks);
                let named = |task: &TaskId| tasks.is_empty() || tasks.contains(task);
                for task in self.changes.keys().filter(|task| named(task)) {
                    self.holding.remove(task);
                }
                self.changes.retain(|task, _| !named(task));
                self.finished.retain(|task| !named(task));
                if self.to_land.as_ref().is_some_and(|(task, _)| named(task)) {
                    self.to_land = None;
                }
                self.happens(Fact::Cancelled {
                    tasks: tasks.clone(),
                });
                if all {
                    assert_eq!(self.concluded, Some(RunVerdict::Cancelled));
                }
            }
            3 => self.ends_early(
                Fact::Limited {
                    limit: Limit::Tokens,
                },
                RunVerdict::NeedsMoreBudget,
            ),
            4 => self.ends_early(
                Fact::Stopped {
                    signal: "SIGINT".into(),
                },
                RunVerdict::Cancelled,
            ),
            5 => {
                // A long pause in which some workers renewed their leases and some did not.
                for task in self.active.keys().cloned().collect::<Vec<_>>() {
                    if self.dice.below(2) == 0 {
                        let attempt = self.active.get_mut(&task).unwrap();
                        attempt.expires = self.now + LEASE;
                        let number = attempt.number;
                        self.happens(Fact::Renewed {
                            task,
                            attempt: number,
                        });
                    }
                }
                self.now += LEASE + [-60, 0, 1][self.dice.below(3)];
                self.woke();
            }
            _ => {
                let Some((task, attempt)) = self.revoked.pop() else {
                    return;
                };
                let outcomes = [
                    Outcome::Unchanged,
                    Outcome::Interrupted,
                    Outcome::Failed(Failure::new(Class::Scope, "late")),
                    Outcome::Changed(Change {
                        tip: tip(999_999),
                        paths: Vec::new(),
                    }),
                ];
                let outcome = outcomes[self.dice.below(4)].clone();
                let before = self.facts.len();
                self.happens(Fact::Worked {
                    task,
                    attempt,
                    outcome,
                    evidence: Box::default(),
                });
                let orders = &self.facts[before].2;
                assert!(
                    orders.is_empty(),
                    "a late answer changes nothing: {orders:?}"
                );
            }
        }
    }

    fn ends_early(&mut self, fact: Fact, verdict: RunVerdict) {
        if self.concluded.is_some() {
            return;
        }
        self.happens(fact);
        assert!(self.active.is_empty(), "every attempt is ended");
        assert_eq!(self.concluded, Some(self.model.early(verdict)));
        self.goes_on();
    }

    /// The next process takes the run up.
    fn goes_on(&mut self) {
        self.concluded = None;
        self.take_up(Vec::new(), false);
    }

    /// The run is over, and if a cause outside ended it, that is gone once in a while: false if it
    /// is over for good.
    fn goes_on_unblocked(&mut self) -> bool {
        let is_blocked =
            self.concluded == Some(RunVerdict::BlockedOnExternal) && self.model.is_blocked();
        assert_eq!(self.engine.is_blocked(), is_blocked);
        if !is_blocked || self.mood.unblocked == 0 {
            return false;
        }
        self.mood.unblocked -= 1;
        self.concluded = None;
        self.take_up(Vec::new(), true);
        true
    }

    /// omk is killed.
    fn dies(&mut self) {
        let died: Vec<TaskId> = self.active.keys().cloned().collect();
        self.take_up(died, false);
    }

    fn take_up(&mut self, died: Vec<TaskId>, is_over: bool) {
        self.revoked.extend(
            self.active
                .iter()
                .map(|(task, attempt)| (task.clone(), attempt.number)),
        );
        self.active.clear();
        (self.to_land, self.wake, self.judge, self.rebuild) = (None, None, None, None);
        self.holding = self.changes.keys().cloned().collect();
        let workers =
            (self.dice.below(3) == 0).then(|| u32::try_from(1 + self.dice.below(4)).unwrap());
        self.workers = workers.unwrap_or(self.workers);
        let busy = self.busy();
        self.model.died(&died, &busy);
        let unblocked = is_over || self.dice.below(2) == 0;
        if unblocked {
            self.model.unblocked();
        }
        self.happens(Fact::TookUp {
            host: host(),
            workers,
            spending: None,
            unblocked,
            lost: Vec::new(),
        });
    }

    fn woke(&mut self) {
        self.wake = None;
        let mut late: Vec<(i64, TaskId)> = self
            .active
            .iter()
            .map(|(task, a)| (a.expires, task.clone()))
            .collect();
        late.retain(|(expires, _)| *expires < self.now);
        late.sort_by_key(|(expires, task)| (*expires, self.model.place(task)));
        let mut busy = self.busy();
        for (_, task) in &late {
            busy.remove(task);
            self.model
                .failed(task, &Failure::new(Class::Host, "no sign of life"), &busy);
        }
        self.happens(Fact::Woke);
        for (_, task) in late {
            assert!(
                self.active
                    .get(&task)
                    .is_none_or(|attempt| attempt.expires >= self.now),
                "its lease has expired"
            );
        }
    }

    /// Those that somebody works on, or that wait to land.
    fn busy(&self) -> BTreeSet<TaskId> {
        self.active
            .keys()
            .chain(self.changes.keys())
            .cloned()
            .collect()
    }

    fn failed(&mut self, task: &TaskId, failure: &Failure) {
        let busy = self.busy();
        self.model.failed(task, failure, &busy);
    }

    fn fresh_tip(&mut self) -> Tip {
        self.commits += 1;
        tip(self.commits)
    }

    fn work(&mut self, task: &TaskId) {
        let attempt = self.active[task].clone();
        let number = attempt.number;
        let Some((base, within)) = attempt.base else {
            // On the integration tip, or on the run's base with just what it needs.
            let (base, within) = if !self.mood.apart && self.dice.below(2) == 0 {
                (
                    self.engine.tip().unwrap().clone(),
                    self.model.landed().into_iter().cloned().collect(),
                )
            } else {
                (self.fresh_tip(), self.model.closure(&attempt.onto))
            };
            self.active.get_mut(task).unwrap().base = Some((base.clone(), within));
            self.happens(Fact::Prepared {
                task: task.clone(),
                attempt: number,
                base,
                slot: "slot".into(),
            });
            return;
        };
        self.active.remove(task);
        let mut evidence = Evidence::default();
        let luck = if self.mood.calm {
            self.dice.below(40)
        } else {
            self.dice.below(8)
        };
        let outcome = match luck {
            0 => Outcome::Unchanged,
            1 => Outcome::Interrupted,
            2 | 3 => {
                let any = TRANSIENT[self.dice.below(TRANSIENT.len())].0;
                let class = if self.mood.outside {
                    OUTSIDE[self.dice.below(2)]
                } else {
                    any
                };
                let retry_after_ms = (class == Class::RateLimit).then_some(5000);
                let outlived = class == Class::Host && self.dice.below(8) == 0;
                Outcome::Failed(Failure {
                    retry_after_ms,
                    outlived,
                    ..Failure::new(class, "no")
                })
            }
            _ => Outcome::Changed(Change {
                tip: self.fresh_tip(),
                paths: vec!["src/a".parse().unwrap()],
            }),
        };
        match &outcome {
            Outcome::Changed(change) => {
                let mut holds = within;
                holds.insert(task.clone());
                // Gates that cannot pass together with somebody else's change have not passed
                // cleanly.
                let clean = !self.model.is_red(&holds) && self.dice.below(3) > 0;
                evidence.tree = Some(if self.dice.below(5) == 0 {
                    tip(888_888).tree
                } else {
                    change.tip.tree.clone()
                });
                evidence.gates = self.gates(clean);
                let all_passed = self.model.proves(&evidence);
                if all_passed && evidence.tree.as_ref() == Some(&change.tip.tree) {
                    self.model.proven.insert(change.tip.tree.clone());
                }
                self.finished.push(task.clone());
                self.changes
                    .insert(task.clone(), (change.tip.clone(), base, holds));
            }
            Outcome::Unchanged => {
                self.holding.remove(task);
                self.model.completed(task, None);
            }
            Outcome::Interrupted => drop(self.holding.remove(task)),
            Outcome::Failed(failure) => {
                self.holding.remove(task);
                self.failed(task, failure);
            }
        }
        let outlived = matches!(&outcome, Outcome::Failed(failure) if failure.outlived);
        self.happens(Fact::Worked {
            task: task.clone(),
            attempt: number,
            outcome,
            evidence: Box::new(evidence),
        });
        if outlived {
            assert_eq!(self.concluded, Some(RunVerdict::FailedInfra));
            self.goes_on();
        }
    }

    /// What gates say: all have passed at once, or something is not quite so.
    fn gates(&mut self, clean: bool) -> Vec<GateOutcome> {
        let mut gates: Vec<GateOutcome> = GATES
            .iter()
            .map(|gate| said(gate, GateVerdict::Passed))
            .collect();
        if !clean {
            let required: Vec<usize> = (0..gates.len())
                .filter(|&gate| self.plan.gates[gate].required)
                .collect();
            let odd = required
                .get(self.dice.below(required.len()))
                .copied()
                .unwrap_or(0);
            match self.dice.below(4) {
                0 => drop(gates.remove(odd)),
                1 => gates[odd].verdict = GateVerdict::Flaky,
                2 => gates[odd].verdict = GateVerdict::Skipped,
                _ => gates.clear(),
            }
        }
        gates
    }

    fn land(&mut self) {
        let (task, attempt) = self.to_land.take().unwrap();
        let (change, base, within) = self.changes.remove(&task).unwrap();
        self.finished.remove(0);
        self.holding.remove(&task);
        match if self.mood.calm {
            7
        } else {
            self.dice.below(9)
        } {
            0 => {
                self.failed(&task, &Failure::new(Class::Conflict, "conflict"));
                self.happens(Fact::Clashed {
                    task,
                    attempt,
                    paths: vec!["src/a".parse().unwrap()],
                    trouble: None,
                });
            }
            1 => {
                let trouble = Failure::new(Class::Host, "full disk");
                self.failed(&task, &trouble);
                self.happens(Fact::Clashed {
                    task,
                    attempt,
                    paths: Vec::new(),
                    trouble: Some(trouble),
                });
            }
            _ => {
                let is_on_tip = base == *self.engine.tip().unwrap();
                let tip = if is_on_tip { change } else { self.fresh_tip() };
                self.model
                    .completed(&task, Some((tip.tree.clone(), within)));
                self.happens(Fact::Landed { task, attempt, tip });
            }
        }
    }

    fn judged(&mut self, prefix: u32) {
        if self.dice.below(12) == 0 {
            let trouble = Some(Failure::new(Class::Host, "no slot"));
            self.happens(Fact::Judged {
                prefix,
                tip: tip(0),
                gates: Vec::new(),
                trouble,
            });
            assert_eq!(self.concluded, Some(RunVerdict::FailedInfra));
            self.goes_on();
            return;
        }
        let red = self.model.is_red(
            &self.model.landed()[..prefix as usize]
                .iter()
                .copied()
                .cloned()
                .collect(),
        );
        let gates = if red {
            self.red_gates()
        } else {
            self.green_gates()
        };
        self.model.judged(prefix, &gates);
        self.happens(Fact::Judged {
            prefix,
            tip: tip(0),
            gates,
            trouble: None,
        });
    }

    /// One required gate has not passed, in one of the ways in which gates do not pass.
    fn red_gates(&mut self) -> Vec<GateOutcome> {
        let required: Vec<usize> = (0..GATES.len())
            .filter(|&gate| self.plan.gates[gate].required)
            .collect();
        let odd = required[self.dice.below(required.len())];
        let mut gates: Vec<GateOutcome> = GATES
            .iter()
            .map(|gate| said(gate, GateVerdict::Passed))
            .collect();
        match self.dice.below(5) {
            0 => drop(gates.remove(odd)),
            1 => gates.clear(),
            other => {
                gates[odd] = said(
                    GATES[odd],
                    [
                        GateVerdict::Failed,
                        GateVerdict::TimedOut,
                        GateVerdict::Skipped,
                    ][other - 2],
                )
            }
        }
        gates
    }

    /// All required ones have passed; others need not.
    fn green_gates(&mut self) -> Vec<GateOutcome> {
        let verdict = |world: &mut Self, gate: usize| {
            let any = if world.plan.gates[gate].required {
                2
            } else {
                4
            };
            [
                GateVerdict::Passed,
                GateVerdict::Flaky,
                GateVerdict::Failed,
                GateVerdict::Skipped,
            ][world.dice.below(any)]
        };
        (0..GATES.len())
            .map(|gate| said(GATES[gate], verdict(self, gate)))
            .collect()
    }

    fn rebuilt(&mut self, without: &[TaskId]) {
        if self.dice.below(12) == 0 {
            let trouble = Some(Failure::new(Class::Host, "no disk"));
            self.happens(Fact::Rebuilt {
                landings: Vec::new(),
                clashed: Vec::new(),
                trouble,
            });
            assert_eq!(self.concluded, Some(RunVerdict::FailedInfra));
            self.goes_on();
            return;
        }
        let stay: Vec<TaskId> = self
            .model
            .landed()
            .into_iter()
            .filter(|task| !without.contains(task))
            .cloned()
            .collect();
        let (mut landings, mut clashed) = (Vec::new(), Vec::new());
        for task in stay {
            if self.model.holds_any(&task, &clashed) || self.dice.below(7) == 0 {
                clashed.push(task);
            } else {
                landings.push(Landing {
                    task,
                    tip: self.fresh_tip(),
                });
            }
        }
        self.model.rebuilt(without, &landings, &clashed);
        self.happens(Fact::Rebuilt {
            landings,
            clashed,
            trouble: None,
        });
    }
}

fn said(gate: &str, verdict: GateVerdict) -> GateOutcome {
    let passed = matches!(verdict, GateVerdict::Passed | GateVerdict::Flaky);
    GateOutcome {
        gate: gate.parse().unwrap(),
        verdict,
        counts_as_passed: passed,
        ..outcome(passed)
    }
}

/// A task's random traits: dependencies among earlier tasks, write and read sets, policy, priority.
type Traits = (Vec<u8>, u8, u8, u8, bool, i8);

fn traits() -> impl Strategy<Value = Traits> {
    (
        prop::collection::vec(any::<u8>(), 0..3),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<bool>(),
        any::<i8>(),
    )
}

fn mood() -> impl Strategy<Value = Mood> {
    let troubles = (0u32..24, 2usize..12, 0usize..8, 0u32..4);
    (troubles, any::<[bool; 4]>(), 2usize..9).prop_map(
        |(
            (troubles, trouble_one_in, bias, unblocked),
            [calm, apart, fail_fast, outside],
            clash_one_in,
        )| Mood {
            troubles,
            trouble_one_in,
            bias,
            calm,
            apart,
            clash_one_in,
            fail_fast,
            unblocked,
            outside,
        },
    )
}

/// A loose one has neither dependencies nor overlaps.
fn random_plan(traits: &[Traits], required: [bool; 3], loose: bool) -> Plan {
    let globs = [
        "src/a",
        "src/**",
        "docs/*.md",
        "src/b/**",
        "{src/a,docs}/x",
        "**",
    ];
    let mut text = String::from("version: 1\nname: sim\ngates:\n");
    for (gate, required) in GATES.iter().zip(required) {
        text.push_str(&format!(
            "- {{id: {gate}, run: 'true', required: {required}}}\n"
        ));
    }
    text.push_str("tasks:\n");
    for index in 0..traits.len() {
        text.push_str(&format!("- {{id: t{index}, run: 'true'}}\n"));
    }
    let mut plan = omk_action::plan::parse(text.as_bytes(), "omk.yaml", "sim").unwrap();
    for (index, (dependencies, write, read, attempts, runs, priority)) in traits.iter().enumerate()
    {
        let task = &mut plan.tasks[index];
        task.retry_policy = RetryPolicy {
            max_attempts: u32::from(attempts % 4),
            terminal_on_permanent_failure: attempts & 64 == 0,
            backoff_seconds: u64::from(attempts & 32 == 0),
            ..RetryPolicy::default()
        };
        task.priority = i32::from(*priority);
        if loose {
            continue;
        }
        let earlier =
            |&d: &u8| (index > 0).then(|| format!("t{}", usize::from(d) % index).parse().unwrap());
        task.dependencies = dependencies
            .iter()
            .filter_map(earlier)
            .collect::<BTreeSet<TaskId>>()
            .into_iter()
            .collect();
        task.write_set = match write % 8 {
            0 => WriteSet::Unknown,
            1 => WriteSet::Declared(Vec::new()),
            n => WriteSet::Declared(vec![globs[usize::from(n) - 2].parse().unwrap()]),
        };
        task.read_set = globs
            .get(usize::from(read % 12))
            .map(|glob| glob.parse().unwrap())
            .into_iter()
            .collect();
        task.on_dependency_failure = if *runs {
            OnDependencyFailure::Run
        } else {
            OnDependencyFailure::Skip
        };
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_run_ends_as_the_contract_says_and_replays_exactly(
        tasks in prop::collection::vec(traits(), 1..12),
        (required, loose) in any::<([bool; 3], bool)>(),
        (workers, mood) in (1u32..5, mood()),
        throws in prop::collection::vec(any::<u8>(), 0..900),
    ) {
        let plan = random_plan(&tasks, required, loose);
        let mut world = World::new(plan, workers, mood, Dice::new(throws));
        let mut steps = 0;
        while world.concluded.is_none() || world.goes_on_unblocked() {
            if world.concluded.is_some() {
                continue;
            }
            prop_assert!(world.step(), "nothing under way, nothing to wake for, and no verdict");
            steps += 1;
            prop_assert!(steps < 5000, "the run does not settle");
        }
        for task in world.engine.tasks() {
            prop_assert!(task.state.is_final(), "{} is {:?} at the end", task.id, task.state);
            let most = world.model.most_failures(task.id);
            prop_assert!(task.retry_count <= most, "{} failed {} times of {most}", task.id, task.retry_count);
        }
        prop_assert_eq!(world.concluded, Some(world.model.verdict()));
        let mut again = Engine::new(Arc::clone(&world.plan));
        for (at, fact, orders) in &world.facts {
            prop_assert_eq!(&again.take(*at, fact).unwrap(), orders);
        }
        prop_assert_eq!(again.verdict(), world.concluded);
    }
}
