//! One gate on one commit, in one place: its environment and its room, the slot as it is to find
//! it, and what came of it.
//!
//! It refuses to run a gate whose verdict is known, and to know what other gates do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::attempt::{Interruption, class_of};
use super::copies::Copies;
use super::place::Workplace;
use super::room::{Furnishing, Way, room};
use super::thread::{Unfinished, WorkLimits, on_files};
use super::turn::trouble;
use super::{RunShared, instructions, reuse};
use crate::exec::environment::child_env;
use crate::fact::{Class, Failure, GateOutcome, GateRoom};
use crate::gate::judge::{self, GateError, Judged};
use crate::gate::premises::Premises;
use crate::git::LaidOut;
use crate::id::{CommitId, RepoPath, Tip};
use crate::plan::{Gate, Network};

/// The variable that tells a gate what the judged commit is built on.
pub(super) const BASE: &str = "OMK_BASE";

/// How long the files of a gate may take at least: its timeout is about its command, and may be
/// that of a quick one.
const LEAST: Duration = Duration::from_secs(60);

/// What gates judge, and what it is built on.
#[derive(Clone, Copy)]
pub(super) struct OnTrial<'a> {
    pub(super) tip: &'a Tip,
    /// The base in the proof of it: of a task's change, of the result.
    pub(super) base: &'a CommitId,
    /// Caches that gates find if they are there. Those on the result and on the base find none:
    /// whose they are, and whether they are there, would be chance.
    pub(super) keep: &'a [String],
}

/// Where the logs of one judging go.
pub(super) struct Logs {
    path: PathBuf,
    name: String,
}

impl Logs {
    pub(super) fn new(shared: &RunShared, name: String) -> Self {
        Self {
            path: shared.tools.run_dir.path().join(&name),
            name,
        }
    }
}

/// Where gates judge, until when, and where their logs go.
#[derive(Clone, Copy)]
pub(super) struct TrialSite<'a> {
    pub(super) shared: &'a Arc<RunShared>,
    pub(super) place: &'a Workplace,
    pub(super) logs: &'a Logs,
    pub(super) stop: &'a CancellationToken,
}

/// Runs one gate, with a HOME and a TMPDIR that whoever made the change has never seen.
pub(super) async fn judge_one(
    trial: TrialSite<'_>,
    gate: &Gate,
    commit: OnTrial<'_>,
    laid_out: Option<LaidOut>,
) -> Result<GateOutcome, Interruption> {
    let TrialSite {
        shared,
        place,
        logs,
        stop,
    } = trial;
    let tools = &shared.tools;
    let (home, tmp) = place.gate_dirs();
    let mut env = child_env(
        &tools.caller,
        &home,
        &tmp,
        &tools.plan.env,
        &tools.plan.pass_env,
        &gate.env,
    );
    env.vars.insert(BASE.into(), commit.base.as_str().into());
    let writable = vec![place.slot.path().to_path_buf(), home, tmp];
    let network = tools.plan.room.network_of_gate(gate);
    let mut way = Way::open(network, None, &tools.caller).await?;
    let mut lasting = env.vars.clone();
    way.describe_in(&mut env.vars);
    if *network == Network::Open {
        // The caller's proxy. That of a closed room has another port each time.
        lasting.clone_from(&env.vars);
    }
    let premises = reuse::premises(shared, gate, commit, &lasting, stop).await?;
    Copies::settle(shared).await;
    let (room, furnishing) = room(shared, &mut env, writable, place.gate_scratch(), &way);
    // Taken by the first execution: a second one comes after a child.
    let laid_out = Mutex::new(laid_out);
    let lay_out = || -> BoxFuture<'_, Result<(), Failure>> {
        let laid_out = laid_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(lay_out(trial, gate, commit, laid_out, &furnishing))
    };
    let scrub = |text: &str| tools.scrubber.scrub(text);
    let site = judge::GateEnvironment {
        shepherd: &tools.shepherd,
        dir: place.slot.path(),
        env: &env.vars,
        room: Some(&room),
        doors: Some(way.doors()),
        logs: &logs.path,
        logs_name: &logs.name,
        scrub: &scrub,
        lay_out: &lay_out,
        stop,
    };
    let (key, no_key) = match premises {
        None => (None, None),
        Some(premises) => match &gate.fingerprint {
            None => (Some(premises.key()), None),
            Some(command) => {
                let printed = way
                    .serve_while(None, judge::fingerprint(gate, command, &site))
                    .await;
                match printed.map_err(|error| not_judged(&error, stop))? {
                    Ok(digest) => (
                        Some(
                            Premises {
                                fingerprint: Some(digest),
                                ..premises
                            }
                            .key(),
                        ),
                        None,
                    ),
                    Err(why) => (
                        None,
                        Some(format!("its fingerprint {why}, so no verdict is reused")),
                    ),
                }
            }
        },
    };
    let known = tools.pace.reusable.as_ref();
    if let Some((key, from)) = key.as_ref().and_then(|key| Some((key, known?.get(key)?))) {
        return Ok(judge::reused(gate, key.clone(), from.clone()));
    }
    // Another gate may have written there, so what comes of it stands for itself alone.
    let key = key.filter(|_| !place.holds_kept(commit.keep));
    let judged = way.serve_while(None, judge::judge(gate, &site)).await;
    let Judged {
        mut outcome,
        containment,
    } = judged.map_err(|error| not_judged(&error, stop))?;
    if let Some(why) = no_key {
        let so_far = std::mem::take(&mut outcome.note);
        outcome.note = if so_far.is_empty() {
            why
        } else {
            format!("{so_far}; {why}")
        };
    }
    outcome.room = containment.map(|containment| GateRoom {
        network: network.at(containment.level),
        containment,
        refused_hosts: way.refused().iter().map(|host| scrub(host)).collect(),
        unreached_hosts: way.unreached().iter().map(|host| scrub(host)).collect(),
    });
    outcome.reuse = reuse::of(&outcome, key);
    Ok(outcome)
}

fn not_judged(error: &GateError, stop: &CancellationToken) -> Interruption {
    match error {
        GateError::LayOut { .. } if stop.is_cancelled() => Interruption::Interrupted,
        GateError::Exec { source, .. } => trouble(source, error),
        GateError::LayOut { why, .. } => Interruption::Failed(Failure::to_do(why.class, error)),
        GateError::Logs { .. } => Interruption::Failed(Failure::to_do(Class::Host, error)),
    }
}

/// The slot as a gate is to find it: HEAD at the judged commit and its tree laid out, its trusted
/// files as the trusted commit has them, an empty HOME and TMPDIR.
async fn lay_out(
    trial: TrialSite<'_>,
    gate: &Gate,
    commit: OnTrial<'_>,
    laid_out: Option<LaidOut>,
    furnishing: &Furnishing,
) -> Result<(), Failure> {
    let limits = WorkLimits {
        stop: trial.stop,
        timeout: Some(gate.timeout.max(LEAST)),
    };
    let furnishing = furnishing.clone();
    let (shared, place, tip, trusted) = (
        Arc::clone(trial.shared),
        trial.place.clone(),
        commit.tip.clone(),
        gate.trusted.clone(),
    );
    let keep = commit.keep.to_vec();
    let laid_out = on_files(limits, "laying out its files", move || {
        let tools = &shared.tools;
        if !laid_out.is_some_and(|laid_out| laid_out.is(&tip)) {
            tools
                .anchor
                .steadily(|| place.slot.checkout_tree(&tip.commit, &tip.tree, &keep))?;
        }
        if !trusted.is_empty() {
            let wanted = |path: &RepoPath| trusted.iter().any(|glob| glob.matches(path));
            place
                .slot
                .lay_over_unseen(&tip.tree, instructions::trusted(tools), &keep, &wanted)?;
        }
        place.fresh_for_gate()?;
        furnishing.make();
        Ok(())
    });
    laid_out.await.map_err(|why| match why {
        Unfinished::Failed(error) => Failure::of(class_of(&error), &error),
        Unfinished::OutOfTime(failure) => failure,
        // Not reported: whoever reads it looks at the stop first.
        Unfinished::Stopped => Failure::new(Class::Host, "it was stopped"),
    })
}
