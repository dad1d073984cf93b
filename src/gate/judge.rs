//! Judging: one gate run on one tree, as often as its plan allows, and what came of it.
//!
//! The verdict is the exit code's, never the report's and never the agent's. It refuses to know
//! where the tree came from, and to read a report that an earlier execution left.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::report_file::{self, PriorReports};
use super::tally::{Tally, evidence};
use crate::exec::{Child, Ending, ExecError, Program, Sandbox, Shepherd, Surroundings};
use crate::fact::{Containment, Failure, GateOutcome, GateVerdict, ProofOrigin, Reuse};
use crate::id::Sha256;
use crate::plan::Gate;
use crate::text::Advised;

/// The cap of a gate's log file, in bytes: an hour of chatty tests fits, a loop that prints does
/// not fill the disk.
const LOG_CAP: u64 = 16 * 1024 * 1024;

/// Where and with what a gate runs.
#[derive(Clone)]
pub struct GateEnvironment<'a> {
    /// Starts the children.
    pub shepherd: &'a Shepherd,
    /// The directory: a slot that holds the tree to be judged.
    pub dir: &'a Path,
    /// The whole environment, the gate's own variables, HOME and TMPDIR included.
    pub env: &'a BTreeMap<OsString, OsString>,
    /// What the gate may see, touch and reach; `None` = as much as omk.
    pub room: Option<&'a Sandbox>,
    /// Where the listeners of its room go.
    pub doors: Option<UnboundedSender<TcpListener>>,
    /// Where logs go; made where it is missing. One directory for each place of judging, for the
    /// names are only `gate-<id>-<execution>.log`.
    pub logs: &'a Path,
    /// What that directory is called in evidence: relative to the run's directory, with `/`.
    pub logs_name: &'a str,
    /// Takes secrets out of text.
    pub scrub: &'a (dyn Fn(&str) -> String + Sync),
    /// Makes the directory as the gate is to find it; called before each execution, so that what
    /// one execution changed is not what the next one judges. Says what failed, after "failed
    /// to", and whose fault it is.
    pub lay_out: &'a (dyn Fn() -> BoxFuture<'a, Result<(), Failure>> + Sync),
    /// Ends the gate when cancelled.
    pub stop: &'a CancellationToken,
}

/// What came of judging.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// For facts and proofs.
    pub outcome: GateOutcome,
    /// How the executions were confined, the weakest of them; absent where there was none.
    pub containment: Option<Containment>,
}

/// Why a gate could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Its child could not be run.
    #[error("run gate `{gate}`: {source}")]
    Exec {
        /// The gate.
        gate: String,
        /// Why.
        source: ExecError,
    },
    /// The directory could not be made as the gate is to find it.
    #[error("lay out the tree for gate `{gate}`: {}", why.message)]
    LayOut {
        /// The gate.
        gate: String,
        /// What failed, and whose fault it is.
        why: Failure,
    },
    /// The directory for logs could not be made.
    #[error("make {}: {source}", path.display())]
    Logs {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Advised for GateError {
    fn advice(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::LayOut { why, .. } => why.advice.as_deref().map(Cow::Borrowed),
            Self::Exec { .. } | Self::Logs { .. } => None,
        }
    }
}

/// Runs a gate: once, and again up to [`Gate::retries`] times while it does not pass.
///
/// # Errors
/// Where the machine is at fault: a child that could not be started, a log that could not be
/// written.
pub async fn judge(gate: &Gate, site: &GateEnvironment<'_>) -> Result<Judged, GateError> {
    make_logs(site).await?;
    let mut tally = Tally::new(gate);
    let mut before = PriorReports::nothing();
    while !tally.is_settled() && !site.stop.is_cancelled() {
        (site.lay_out)().await.map_err(|why| GateError::LayOut {
            gate: gate.id.to_string(),
            why,
        })?;
        if let Some(report) = &gate.report {
            before = report_file::clear(site.dir, report).await;
        }
        let name = format!("gate-{}-{}.log", gate.id, tally.executions() + 1);
        let child = child(gate, site, &name);
        let around = Surroundings {
            stop: site.stop.clone(),
            doors: site.doors.clone(),
            ..Surroundings::default()
        };
        let ended = site.shepherd.run(&child, &around).await;
        let ended = ended.map_err(|source| GateError::Exec {
            gate: gate.id.to_string(),
            source,
        })?;
        let log = evidence(&ended, format!("{}/{name}", site.logs_name), site.scrub);
        tally.take(&ended, log);
    }
    let ran_to_its_end = matches!(
        tally.verdict(),
        GateVerdict::Passed | GateVerdict::Failed | GateVerdict::Flaky
    );
    let items = match &gate.report {
        // Tools that only warn exit with 0, and their report says what of.
        Some(report) if ran_to_its_end => {
            Some(report_file::read(site.dir, report, before, temporary(site)).await)
        }
        Some(_) | None => None,
    };
    Ok(tally.finish(items, site.scrub))
}

/// Directories whose names only this place of judging has.
fn temporary(site: &GateEnvironment<'_>) -> Vec<String> {
    let named = ["HOME", "TMPDIR"]
        .iter()
        .filter_map(|name| site.env.get(std::ffi::OsStr::new(name)));
    named
        .map(|directory| directory.to_string_lossy().into_owned())
        .collect()
}

/// The outcome of a gate that did not run. Never a pass.
#[must_use]
pub fn skipped(gate: &Gate, why: &str) -> GateOutcome {
    let outcome = Tally::new(gate).finish(None, &str::to_owned).outcome;
    GateOutcome {
        note: why.to_owned(),
        ..outcome
    }
}

/// The outcome of a gate whose verdict is taken from an earlier proof, which has the same key.
#[must_use]
pub fn reused(gate: &Gate, key: Sha256, from: ProofOrigin) -> GateOutcome {
    let note = format!("reused from proof {from}, commit {}", from.commit.short());
    let reuse = Some(Reuse {
        key,
        from: Some(from),
    });
    GateOutcome {
        verdict: GateVerdict::Reused,
        counts_as_passed: true,
        reuse,
        ..skipped(gate, &note)
    }
}

/// The digest of what the gate's `fingerprint` prints in the gate's room, on the tree to be judged;
/// else why there is none.
///
/// # Errors
/// As [`judge`].
pub async fn fingerprint(
    gate: &Gate,
    command: &str,
    site: &GateEnvironment<'_>,
) -> Result<Result<Sha256, String>, GateError> {
    make_logs(site).await?;
    (site.lay_out)().await.map_err(|why| GateError::LayOut {
        gate: gate.id.to_string(),
        why,
    })?;
    let mut child = child(gate, site, &format!("gate-{}-fingerprint.log", gate.id));
    child.program = Program::Shell(command.to_owned());
    let around = Surroundings {
        stop: site.stop.clone(),
        doors: site.doors.clone(),
        ..Surroundings::default()
    };
    let ended = site.shepherd.run(&child, &around).await;
    let ended = ended.map_err(|source| GateError::Exec {
        gate: gate.id.to_string(),
        source,
    })?;
    Ok(match ended.ending {
        // What is cut off could differ.
        Ending::Exited(0) if ended.bytes <= LOG_CAP => Ok(ended.log_sha256),
        Ending::Exited(0) => Err("printed too much".to_owned()),
        Ending::Exited(code) => Err(format!("exited with {code}")),
        Ending::Signalled(signal) => Err(format!("was ended by signal {signal}")),
        Ending::TimedOut | Ending::Hung => Err("took too long".to_owned()),
        Ending::Stopped => Err("was stopped".to_owned()),
    })
}

async fn make_logs(site: &GateEnvironment<'_>) -> Result<(), GateError> {
    let made = tokio::fs::create_dir_all(site.logs).await;
    made.map_err(|source| GateError::Logs {
        path: site.logs.to_owned(),
        source,
    })
}

fn child(gate: &Gate, site: &GateEnvironment<'_>, log: &str) -> Child {
    Child {
        program: Program::Shell(gate.run.clone()),
        cwd: site.dir.to_owned(),
        env: site.env.clone(),
        room: site.room.cloned(),
        timeout: gate.timeout,
        // A gate may think in silence; its timeout is its only clock.
        idle_timeout: None,
        log: site.logs.join(log),
        log_cap: LOG_CAP,
    }
}
