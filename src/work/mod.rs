//! The workshop: the hands that do real work. It prepares slots, runs agents, commands and gates,
//! lands changes, and tells the loop what happened.
//!
//! It refuses to decide what is done next: it carries out orders, and reports facts.

mod attempt;
mod branches;
mod caches;
mod change;
pub mod checkout;
mod copies;
mod errand;
mod instructions;
mod integrate;
mod judging;
mod lanes;
mod ownership;
mod place;
mod reuse;
mod private;
mod room;
mod settings;
mod stand_in;
mod sweep;
mod thread;
mod trial;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent;
use crate::clock::Clock;
use crate::drive::{Hands, Taken};
use crate::engine::Engine;
use crate::exec::Shepherd;
use crate::exec::environment::Caller;
use crate::fact::{Began, Fact, Order};
use crate::gateway::Gateway;
use crate::git::{Anchor, Pool, Repo};
use crate::history::History;
use crate::id::{TaskId, TreeId};
use crate::model::ModelFacts;
use crate::plan::{Plan, RoomLevel};
use crate::store::RunDir;
use crate::text::Scrubber;

pub use branches::Branches;
use copies::Copies;
pub use copies::can_be_copied;
use errand::Assignment;
use judging::BaseOutcomes;
pub use judging::{Unjudged, judge_commit};
pub use lanes::{AfterFailure, Pace};
use lanes::{Durations, Workers};
pub use ownership::{Claim, Ownership, all_put};
use place::Parked;
use room::Views;

/// What every piece of work in a run needs.
#[derive(Debug)]
pub struct Tools {
    /// The repository.
    pub repo: Repo,
    /// What keeps the objects that the run needs.
    pub anchor: Anchor,
    /// Its slots.
    pub pool: Pool,
    /// Starts children.
    pub shepherd: Shepherd,
    /// The level that their rooms have on this machine.
    pub level: RoomLevel,
    /// The environment that omk was started in.
    pub caller: Caller,
    /// The plan.
    pub plan: Arc<Plan>,
    /// How the run began.
    pub began: Began,
    /// Where the run's files are.
    pub run_dir: RunDir,
    /// The agent and its way to the model, where the run has prompts.
    pub agent: Option<AgentTools>,
    /// Takes secrets out of text.
    pub scrubber: Scrubber,
    /// What an earlier run made of tasks; its objects are in the repository.
    pub kept: HashMap<TaskId, EarlierChange>,
    /// How gates are run.
    pub pace: Pace,
    /// The time.
    pub clock: Clock,
}

/// What an earlier run made of a task. It is held to the write set and the gates as if it had been
/// made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierChange {
    /// What it was built on; on another tree it is worth nothing.
    pub onto: TreeId,
    /// What came of it.
    pub tree: TreeId,
}

/// What prompts need.
#[derive(Debug)]
pub struct AgentTools {
    /// The CLI.
    pub installed: agent::Installed,
    /// The way to the model.
    pub gateway: Gateway,
    /// What is known of the model.
    pub facts: ModelFacts,
    /// The level of the rooms on this machine.
    pub room: RoomLevel,
}

/// What the pieces of work share while a run goes on.
#[derive(Debug)]
struct RunShared {
    tools: Tools,
    facts: UnboundedSender<Fact>,
    /// Slots and sessions that wait for their task's next attempt.
    parked: Mutex<HashMap<TaskId, Parked>>,
    /// What gates say of the run's base, each asked once.
    base_outcomes: BaseOutcomes,
    /// What its rooms can have as copies.
    copies: Copies,
    /// What its rooms show.
    views: Views,
    /// Whoever works.
    workers: Workers,
    /// How long gates take.
    durations: Durations,
}

impl RunShared {
    fn new(tools: Tools, facts: UnboundedSender<Fact>) -> Self {
        let workers = Workers::new(tools.pace.workers);
        let durations = Durations::known(tools.pace.durations.clone());
        Self {
            tools,
            facts,
            parked: Mutex::default(),
            base_outcomes: BaseOutcomes::default(),
            copies: Copies::default(),
            views: Views::default(),
            workers,
            durations,
        }
    }

    fn parked(&self) -> MutexGuard<'_, HashMap<TaskId, Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of everything that happens, in order; for people to read.
pub trait Listener {
    /// Facts were taken and orders given. The history holds them already.
    fn heard(&mut self, turn: &[Taken], engine: &Engine, history: &History);
}

/// Real hands.
pub struct Workshop<L> {
    shared: Arc<RunShared>,
    history: History,
    listener: L,
    /// How to end the attempt that each task is in.
    attempts: HashMap<TaskId, (u32, CancellationToken)>,
    /// Ends everything.
    stop: CancellationToken,
    under_way: TaskTracker,
    branches: Branches,
}

impl<L: Listener> Workshop<L> {
    /// A workshop that sends its facts to `facts`.
    #[must_use]
    pub fn new(tools: Tools, facts: UnboundedSender<Fact>, history: History, listener: L) -> Self {
        let branches = Branches::new(tools.repo.clone(), tools.clock, tools.began.clone());
        let shared = RunShared::new(tools, facts);
        Self {
            shared: Arc::new(shared),
            history,
            listener,
            attempts: HashMap::new(),
            stop: CancellationToken::new(),
            under_way: TaskTracker::new(),
            branches,
        }
    }

    /// What happened, and whoever listened.
    #[must_use]
    pub fn into_parts(self) -> (History, L) {
        (self.history, self.listener)
    }

    /// Gives back the slots that were kept for a next attempt which will never come.
    fn give_back(&self, engine: &Engine) {
        let is_over = |task: &TaskId| {
            engine
                .task(task)
                .is_none_or(|status| status.state.is_final())
        };
        let over: Vec<Parked> = self
            .shared
            .parked()
            .extract_if(|task, _| is_over(task))
            .map(|(_, kept)| kept)
            .collect();
        if !over.is_empty() {
            let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
            self.under_way.spawn_blocking(move || {
                for parked in over {
                    parked.place.clean(&shared.tools, &stop);
                }
            });
        }
    }

    fn start(&mut self, order: &Order, engine: &Engine) {
        let Some(errand) = Assignment::of(order, engine) else {
            return;
        };
        let stop = self.stop.child_token();
        self.attempts
            .insert(errand.task.id.clone(), (errand.attempt, stop.clone()));
        self.under_way
            .spawn(attempt::carry_out(Arc::clone(&self.shared), errand, stop));
    }
}

impl<L: Listener> Hands for Workshop<L> {
    fn carry_out(&mut self, order: &Order, engine: &Engine) {
        match order {
            Order::Start { .. } => self.start(order, engine),
            Order::End { task, attempt } => {
                if let Some((_, stop)) = self
                    .attempts
                    .get(task)
                    .filter(|(current, _)| current == attempt)
                {
                    stop.cancel();
                }
            }
            Order::Land { task, .. } => {
                if let Some(landing) = integrate::PendingLanding::of(task, engine) {
                    let stop = self.stop.child_token();
                    self.under_way
                        .spawn(integrate::land(Arc::clone(&self.shared), landing, stop));
                }
            }
            Order::Rebuild { without } => {
                let rebuild = integrate::Rebuild::of(without, engine);
                let stop = self.stop.child_token();
                self.under_way
                    .spawn(integrate::rebuild(Arc::clone(&self.shared), rebuild, stop));
            }
            Order::Judge { prefix } => {
                if let Some(tip) = judging::tip_of(*prefix, engine) {
                    let stop = self.stop.child_token();
                    self.under_way.spawn(judging::judge_result(
                        Arc::clone(&self.shared),
                        *prefix,
                        tip,
                        stop,
                    ));
                }
            }
            Order::Preflight => {
                let stop = self.stop.child_token();
                self.under_way
                    .spawn(judging::preflight(Arc::clone(&self.shared), stop));
            }
            Order::Wake { .. } | Order::Conclude { .. } => {}
        }
    }

    fn turn_over(&mut self, turn: &[Taken], engine: &Engine) {
        for taken in turn {
            self.history.take(taken.at, &taken.fact, &taken.orders);
        }
        if let Some(agent) = &self.shared.tools.agent {
            agent
                .gateway
                .wrote(turn.iter().filter(|taken| taken.fact.is_spending()).count() as u64);
        }
        self.branches.follow(turn, engine);
        self.give_back(engine);
        self.listener.heard(turn, engine, &self.history);
    }

    async fn rest(&mut self) {
        self.stop.cancel();
        self.under_way.close();
        self.under_way.wait().await;
        let unplaced = self.branches.finish().await;
        self.history.warnings.extend(self.branches.warnings());
        if let Some(trouble) = unplaced {
            // Whoever drives the run reads it, or has given up.
            let _ = self.shared.facts.send(Fact::Placed {
                trouble: Some(trouble),
            });
        }
    }
}
