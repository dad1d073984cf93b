//! A run in this process: its tools are got ready, the loop drives it, and what it leaves is
//! written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::args::How;
use super::progress::TerminalProgress;
use super::provider::{self, Settled};
use super::terminal::Terminal;
use super::{
    CommandFailure, FailureKind, Home, checkout, disk, earlier, objects, result_branch, signals,
    writing,
};
use crate::agent::{self, Locate};
use crate::clock::Clock;
use crate::drive::{DriveError, drive};
use crate::engine::Engine;
use crate::exec::environment::Caller;
use crate::exec::secret::{Secret, shed_secrets};
use crate::exec::{NetworkReach, Shepherd, probe};
use crate::fact::{Began, Fact, HostProcess, Limit, RunVerdict, Spending};
use crate::gateway::{self, Budget, Gateway, Upstream};
use crate::git::Anchor;
use crate::history::History;
use crate::id::{Moment, RunId, TaskId};
use crate::plan::{BadRoomLevel, Plan, RoomLevel, Task, Work};
use crate::report::View;
use crate::store::{JournalFile, RunDir, ScopeHolder, ScopeLock};
use crate::text::{Advised as _, Scrubber};
use crate::work::{AgentTools, EarlierChange, Tools, Workshop};

/// The secrets that omk was started with, out of reach of its children.
pub(super) struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Takes every variable that looks like a secret, and the plan's own key, out of omk's
    /// environment. Starts omk anew where there is one, so this must come before any thread and
    /// any child.
    pub(super) fn shed(plan: &Plan) -> Result<Self, CommandFailure> {
        let caller = Caller::read();
        let mut names: Vec<&str> = caller.secret_names().collect();
        if !names.contains(&plan.agent.key_env.as_str()) {
            names.push(&plan.agent.key_env);
        }
        shed_secrets(&names)
            .map(Self)
            .map_err(super::failure::infra)
    }

    /// Secrets that have left the environment already.
    pub(super) fn known(secrets: BTreeMap<String, Secret>) -> Self {
        Self(secrets)
    }

    pub(super) fn key(&self, plan: &Plan) -> Option<&Secret> {
        self.0
            .get(&plan.agent.key_env)
            .filter(|key| !key.expose().trim().is_empty())
    }

    pub(super) fn scrubber(&self) -> Scrubber {
        // What is sent, and may come back, has no white space around it.
        Scrubber::new(self.0.values().map(|secret| secret.expose().trim()))
    }
}

/// A run that is about to go on.
pub(super) struct RunSession {
    pub(super) home: Home,
    pub(super) run_dir: RunDir,
    pub(super) engine: Engine,
    pub(super) history: History,
    pub(super) journal: JournalFile,
    pub(super) began: Began,
    /// The effective limits of this process.
    pub(super) spending: Spending,
    pub(super) secrets: Secrets,
    /// The agent, where a task has a prompt.
    pub(super) ready: Option<Ready>,
    pub(super) clock: Clock,
    pub(super) how: How,
    /// What an earlier run made of tasks.
    pub(super) kept: HashMap<TaskId, EarlierChange>,
    /// Who is shown the run every few seconds.
    pub(super) follower: Option<watch::Sender<Option<View>>>,
    pub(super) _lock: ScopeLock,
}

/// A run that is over. Its scope is held as long as this lives.
pub(super) struct FinishedRun {
    pub(super) home: Home,
    pub(super) run_dir: RunDir,
    pub(super) engine: Engine,
    pub(super) history: History,
    pub(super) scrubber: Scrubber,
    pub(super) verdict: RunVerdict,
    _lock: ScopeLock,
}

impl FinishedRun {
    /// The run as people may see it.
    pub(super) fn view(&self) -> Option<View> {
        result_branch::shown(&self.home.repo, &self.engine, &self.history, &self.scrubber)
    }
}

/// An agent that can start: its CLI, and who answers it.
pub(super) struct Ready {
    installed: agent::Installed,
    upstream: Upstream,
    model: Settled,
}

impl Ready {
    /// What a person should know before anything is paid, each a sentence.
    pub(super) fn notes(&self) -> &[String] {
        &self.model.notes
    }
}

/// What becomes of a run whose agent is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// A person is told how to install it, on a machine of their own.
    Refuse,
    /// It is installed, on a machine that starts empty.
    Install,
}

/// Looks for what the selected tasks' agent needs, before anything is written or paid: the key or
/// the cassette, the pinned CLI, and the model at its provider. `None` if no task has a prompt.
pub(super) fn get_ready(
    plan: &Plan,
    selected: &[TaskId],
    secrets: &Secrets,
    how: &How,
    missing: Missing,
) -> Result<Option<Ready>, CommandFailure> {
    let has_prompt = |task: &&Task| matches!(task.work, Work::Prompt(_));
    let prompts: HashSet<&TaskId> = plan
        .tasks
        .iter()
        .filter(has_prompt)
        .map(|task| &task.id)
        .collect();
    if !selected.iter().any(|task| prompts.contains(task)) {
        return Ok(None);
    }
    let upstream = match (&how.cassette, secrets.key(plan)) {
        (Some(dir), _) if !dir.is_dir() => {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                format!("there is no cassette: {} is not a directory", dir.display()),
            )
            .hint("each run keeps its own in `.git/omk/runs/RUN/cassette`"));
        }
        (Some(dir), _) => Upstream::Cassette { dir: dir.clone() },
        (None, Some(key)) => provider::upstream(plan, key)?,
        (None, None) => {
            return Err(no_key(plan)
                .hint("or serve recorded answers with `--cassette DIR`, which needs no key"));
        }
    };
    let caller = Caller::read();
    let cache = cache_dir(&caller)?;
    let runtime = super::runtime::of_this_thread()?;
    let (installed, model) = runtime.block_on(async {
        let shepherd = shepherd(secrets.scrubber())?;
        let found = agent::locate(&shepherd, &locate(&caller, &cache, plan)).await;
        let installed = match (found, missing) {
            (Err(agent::AgentError::Missing { .. }), Missing::Install) => {
                agent::install(&shepherd, &locate(&caller, &cache, plan)).await
            }
            (found, Missing::Install | Missing::Refuse) => found,
        }
        .map_err(|error| agent_failure(&error))?;
        Ok::<_, CommandFailure>((installed, provider::settle(&plan.agent, &upstream).await?))
    })?;
    Ok(Some(Ready {
        installed,
        upstream,
        model,
    }))
}

/// The variable that keeps rooms from being closed more tightly than it says: `landlock`, for
/// instance.
const AT_MOST: &str = "OMK_ROOM_AT_MOST";

/// The starter of children: omk's own program. Of what they print, nothing is kept that `scrubber`
/// knows.
pub(super) fn shepherd(scrubber: Scrubber) -> Result<Shepherd, CommandFailure> {
    let exe = std::env::current_exe();
    let exe = exe.map_err(|error| {
        CommandFailure::new(
            FailureKind::Infra,
            format!("failed to find omk's own program: {error}"),
        )
    })?;
    // To try on one machine what holds on another.
    let at_most = match std::env::var_os(AT_MOST).filter(|level| !level.is_empty()) {
        None => RoomLevel::Sealed,
        Some(level) => level
            .to_string_lossy()
            .parse()
            .map_err(|bad: BadRoomLevel| {
                CommandFailure::new(
                    FailureKind::Usage,
                    format!(
                        "the variable {AT_MOST} is `{}`: {bad}",
                        level.to_string_lossy()
                    ),
                )
                .hint(format!("correct it, or unset it: `unset {AT_MOST}`"))
            })?,
    };
    Ok(Shepherd::new(exe).scrubbing(scrubber).at_most(at_most))
}

/// omk's own cache: slots and tools.
pub(super) fn cache_dir(caller: &Caller) -> Result<PathBuf, CommandFailure> {
    let named = caller
        .text("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    // In CI a runner's temp directory is emptied between jobs, and a cache of slots would be in
    // nobody's way there.
    let runner = caller
        .text("RUNNER_TEMP")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        caller
            .text("HOME")
            .map(|home| PathBuf::from(home).join(".cache"))
    };
    let cache = runner.or(named).or_else(home);
    cache.map(|cache| cache.join("omk")).ok_or_else(|| {
        CommandFailure::new(
            FailureKind::Usage,
            "failed to find a cache directory: neither XDG_CACHE_HOME nor HOME is set",
        )
        .hint("set one of them to a directory that can be written")
    })
}

/// How much goes on at once unless the caller says: what the plan says, else the cores.
pub(super) fn workers(plan: &Plan) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    plan.limits
        .workers
        .unwrap_or(u32::try_from(cores).unwrap_or(1))
}

/// This process on this machine.
pub(super) fn host() -> HostProcess {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    HostProcess {
        name,
        pid: std::process::id(),
        platform,
    }
}

pub(super) fn holder(run: &RunId, since: Moment) -> ScopeHolder {
    let host = host();
    ScopeHolder {
        run: run.clone(),
        pid: host.pid,
        host: host.name,
        since,
    }
}

impl RunSession {
    /// Drives the run from `first` to its end, and writes what it leaves.
    pub(super) fn go(
        self,
        first: Fact,
        terminal: &Terminal,
    ) -> Result<FinishedRun, CommandFailure> {
        let runtime = super::runtime::of_all_cores()?;
        let terminal = *terminal;
        let over = runtime.block_on(self.go_async(first, terminal));
        // Blocking work that is still under way (none but a walk over a removed slot) is not waited
        // for.
        runtime.shutdown_background();
        over
    }

    async fn go_async(
        mut self,
        first: Fact,
        terminal: Terminal,
    ) -> Result<FinishedRun, CommandFailure> {
        let (facts, mut inbox) = unbounded_channel();
        // Before anything that takes time: `omk cancel` may ring as soon as the scope is held.
        signals::listen(facts.clone(), self.run_dir.clone(), terminal);
        let mut tools = self.tools(&facts).await?;
        let anchor = tools.anchor.clone();
        anchor.mend_after_start().map_err(super::git)?;
        let needed = objects::needed(&self.home.repo, &self.began, &self.engine);
        anchor.hold(&needed, self.clock.now()).map_err(super::git)?;
        let scrubber = std::mem::replace(&mut tools.scrubber, self.secrets.scrubber());
        let pool = tools.pool.clone();
        let progress = TerminalProgress::new(terminal, &scrubber, self.clock, self.follower.take());
        let mut hands = Workshop::new(tools, facts, std::mem::take(&mut self.history), progress);
        let driven = drive(
            &mut self.engine,
            &mut self.journal,
            &mut hands,
            &mut inbox,
            first,
            &self.clock,
        )
        .await;
        let (mut history, progress) = hands.into_parts();
        progress.finish();
        history
            .warnings
            .extend(pool.set_aside().iter().map(|stuck| {
            let path = stuck.path.display();
            format!(
                "{path} was set aside, and another slot taken ({}): `omk clean` says what to do",
                stuck.why
            )
        }));
        let verdict = driven.map_err(|error| self.gave_up(&error))?;
        history.warnings.extend(result_branch::taken_off(
            &self.home.repo,
            &self.began,
            &self.engine,
        ));
        let needed = objects::needed(&self.home.repo, &self.began, &self.engine);
        if let Err(error) = anchor.keep_only(&needed, self.clock.now()) {
            history.warnings.push(format!(
                "more may be kept of git's objects than this run needs: {}",
                error.in_full()
            ));
        }
        writing::write(
            &self.home,
            &self.run_dir,
            &self.engine,
            &history,
            self.journal.chain().head(),
            &scrubber,
        )?;
        self.tell(&history, &scrubber, terminal);
        let Self {
            home,
            run_dir,
            engine,
            _lock: lock,
            ..
        } = self;
        Ok(FinishedRun {
            home,
            run_dir,
            engine,
            history,
            scrubber,
            verdict,
            _lock: lock,
        })
    }

    fn gave_up(&self, error: &DriveError) -> CommandFailure {
        let hint = format!(
            "nothing is lost: go on with `omk resume {}` once this is mended",
            self.run_dir.run()
        );
        CommandFailure::to_do(FailureKind::Infra, error).hint(hint)
    }

    async fn tools(&mut self, facts: &UnboundedSender<Fact>) -> Result<Tools, CommandFailure> {
        let caller = checkout::caller(&self.home);
        let agent = match self.ready.take() {
            Some(ready) => Some(self.agent_tools(ready, facts).await?),
            None => None,
        };
        let shepherd = shepherd(self.secrets.scrubber())?;
        Ok(Tools {
            level: probe(&shepherd, NetworkReach::Open).await.level,
            repo: self.home.repo.clone(),
            anchor: Anchor::new(&self.home.repo, self.run_dir.run()),
            pool: disk::pool(&self.home, &caller)?.refusing(self.secrets.scrubber()),
            shepherd,
            caller,
            plan: Arc::clone(self.engine.plan()),
            began: self.began.clone(),
            run_dir: self.run_dir.clone(),
            agent,
            scrubber: self.secrets.scrubber(),
            kept: std::mem::take(&mut self.kept),
            pace: earlier::pace(self),
            clock: self.clock,
        })
    }

    async fn agent_tools(
        &self,
        ready: Ready,
        facts: &UnboundedSender<Fact>,
    ) -> Result<AgentTools, CommandFailure> {
        let Ready {
            installed,
            upstream,
            model,
        } = ready;
        let plan = self.engine.plan();
        let record = match upstream {
            Upstream::Live { .. } => Some(self.run_dir.path().join("cassette")),
            Upstream::Cassette { .. } => None,
        };
        let spent = self.history.tokens();
        let paid = self.history.cost_micro_usd().unwrap_or(0);
        let budget = Budget {
            tokens_left: self
                .spending
                .tokens
                .map(|limit| limit.saturating_sub(spent.total())),
            micro_usd_left: self
                .spending
                .micro_usd
                .map(|limit| limit.saturating_sub(paid)),
            prices: plan.known_prices(),
        };
        let scrubber = self.secrets.scrubber();
        let config = gateway::Config {
            upstream,
            record,
            budget,
            journal: Some(facts.clone()),
            timeouts: gateway::Timeouts::default(),
            model: Some(plan.agent.model.clone()),
            wire: Some(model.wire),
            scrub: Arc::new(move |text: &str| scrubber.scrub(text)),
        };
        let gateway = Gateway::start(config)
            .await
            .map_err(super::failure::infra)?;
        watch_budget(&gateway, facts.clone());
        // One child that does nothing: what it gets, the agents get.
        let room = probe(&shepherd(self.secrets.scrubber())?, NetworkReach::Open)
            .await
            .level;
        Ok(AgentTools {
            installed,
            gateway,
            facts: model.facts,
            room,
        })
    }

    fn tell(&self, history: &History, scrubber: &Scrubber, terminal: Terminal) {
        let Some(view) = result_branch::shown(&self.home.repo, &self.engine, history, scrubber)
        else {
            return;
        };
        if self.how.json {
            terminal.print(&crate::report::json::render(&view));
        } else {
            tell_end(&self.run_dir, view, terminal);
        }
    }
}

/// How a run ended, for a person.
pub(super) fn tell_end(run_dir: &RunDir, view: View, terminal: Terminal) {
    let is_cancelled = view.verdict == Some(RunVerdict::Cancelled);
    let shown = view.with_logs_below(run_dir.path());
    terminal.print(&crate::report::terminal::summary(
        &shown,
        terminal.colour_out(),
    ));
    let proofs = writing::proof_count(run_dir);
    if proofs > 0 && !is_cancelled {
        terminal.print(&format!(
            "\n  proofs   {} in {}; check them with `omk verify`\n",
            proofs,
            run_dir.path().join("proofs").display()
        ));
    }
    terminal.print(&format!(
        "  report   {}\n",
        run_dir.path().join("report.html").display()
    ));
}

/// Tells the loop when a limit is used up.
fn watch_budget(gateway: &Gateway, facts: UnboundedSender<Fact>) {
    let mut limits = gateway.limits();
    tokio::spawn(async move {
        if let Ok(limit) = limits.wait_for(Option::is_some).await.map(|limit| *limit) {
            let _ = facts.send(Fact::Limited {
                limit: limit.unwrap_or(Limit::Tokens),
            });
        }
    });
}

/// The pinned CLI, or one clear message.
pub(super) async fn find_agent(
    shepherd: &Shepherd,
    caller: &Caller,
    cache: &std::path::Path,
    plan: &Plan,
) -> Result<agent::Installed, CommandFailure> {
    agent::locate(shepherd, &locate(caller, cache, plan))
        .await
        .map_err(|error| agent_failure(&error))
}

pub(super) fn agent_failure(error: &agent::AgentError) -> CommandFailure {
    CommandFailure::to_do(FailureKind::Blocked, error)
}

/// What finding or installing the CLI needs to know.
pub(super) fn locate(caller: &Caller, cache: &std::path::Path, plan: &Plan) -> Locate {
    let env = caller
        .passable()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // A runner of one's own keeps its tool cache between jobs.
    let kept = caller
        .text("RUNNER_TOOL_CACHE")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let tools = kept.map_or_else(|| cache.join("tools"), |kept| kept.join("omk-agents"));
    let mut private = caller.private_directories().to_vec();
    // In CI there may be no checkout yet.
    private.extend(Home::find().ok().map(|home| home.repo.workdir().to_owned()));
    Locate {
        version: plan.agent.version.clone(),
        tools,
        env,
        private,
    }
}

pub(super) fn no_key(plan: &Plan) -> CommandFailure {
    let name = &plan.agent.key_env;
    CommandFailure::new(
        FailureKind::Blocked,
        format!("there is no key for the model: the variable {name} is not set"),
    )
    .hint(provider::which_key(&plan.agent.base_url, false))
    .hint(format!("set {name} for omk alone: no child of omk sees it"))
}
