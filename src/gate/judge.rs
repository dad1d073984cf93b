//! Judging: one gate run on one tree, as often as its plan allows, and what came of it.
//!
//! The verdict is the exit code's, never the report's and never the agent's. It refuses to read a report that was there
//! before the gate ran, that is no plain file, or that lies outside the directory; and to call anything a pass that
//! was stopped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::items::{self, Items};
use crate::exec::{Child, Ended, Ending, ExecError, Program, Pulse, Shepherd, Surroundings};
use crate::fact::{Containment, GateOutcome, GateVerdict, LogEvidence};
use crate::plan::{Gate, Report};

/// The cap of a gate's log file, in bytes: an hour of chatty tests fits, a loop that prints does not fill the disk.
const LOG_CAP: u64 = 16 * 1024 * 1024;

/// How much of the start of a log is kept as evidence, in bytes.
const HEAD: usize = 4 * 1024;

/// How much of its end, in bytes: failures are summed up there.
const TAIL: usize = 12 * 1024;

/// Where and with what a gate runs.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Starts the children.
    pub shepherd: &'a Shepherd,
    /// The directory: a slot that holds the tree to be judged.
    pub dir: &'a Path,
    /// The whole environment, HOME and TMPDIR included; the gate's own variables are laid over it.
    pub env: &'a BTreeMap<OsString, OsString>,
    /// Where the gate may write; `None` = no confinement.
    pub writable: Option<&'a [PathBuf]>,
    /// Where logs go; made where it is missing. One directory for each place of judging, for the names are only
    /// `gate-<id>-<execution>.log`.
    pub logs: &'a Path,
    /// What that directory is called in evidence: relative to the run's directory, with `/`.
    pub logs_name: &'a str,
    /// Takes secrets out of text.
    pub scrub: &'a (dyn Fn(&str) -> String + Sync),
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
    /// The directory for logs could not be made.
    #[error("make {}: {source}", path.display())]
    Logs {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs a gate: once, and again up to [`Gate::retries`] times while it does not pass.
///
/// # Errors
/// Where the machine is at fault: a child that could not be started, a log that could not be written.
pub async fn judge(gate: &Gate, site: &Site<'_>) -> Result<Judged, GateError> {
    tokio::fs::create_dir_all(site.logs)
        .await
        .map_err(|source| GateError::Logs { path: site.logs.to_owned(), source })?;
    let mut tally = Tally::new(gate);
    let mut cleared = Ok(());
    while !tally.is_settled() && !site.stop.is_cancelled() {
        if let Some(report) = &gate.report {
            cleared = clear(site.dir, report);
        }
        let name = format!("gate-{}-{}.log", gate.id, tally.executions + 1);
        let child = child(gate, site, &name);
        let around = Surroundings { stop: site.stop.clone(), pulse: Pulse::default(), stdout_lines: None };
        let ended = site.shepherd.run(&child, &around).await;
        let ended = ended.map_err(|source| GateError::Exec { gate: gate.id.to_string(), source })?;
        let log = evidence(&ended, format!("{}/{name}", site.logs_name), site.scrub);
        tally.take(&ended, log);
    }
    let items = match (&gate.report, tally.verdict()) {
        (Some(report), GateVerdict::Failed) => Some(read_report(site.dir, report, cleared).await),
        _ => None,
    };
    Ok(tally.finish(items, site.scrub))
}

/// The outcome of a gate that did not run. Never a pass.
#[must_use]
pub fn skipped(gate: &Gate, why: &str) -> GateOutcome {
    let outcome = Tally::new(gate).finish(None, &str::to_owned).outcome;
    GateOutcome { note: why.to_owned(), ..outcome }
}

/// The outcome of a gate whose verdict is taken from an earlier proof, named as `<run-id>/<task>`.
#[must_use]
pub fn reused(gate: &Gate, proof: &str) -> GateOutcome {
    let note = format!("reused from proof {proof}");
    GateOutcome { verdict: GateVerdict::Reused, counts_as_passed: true, ..skipped(gate, &note) }
}

fn child(gate: &Gate, site: &Site<'_>, log: &str) -> Child {
    let mut env = site.env.clone();
    env.extend(gate.env.iter().map(|(name, value)| (name.into(), value.into())));
    Child {
        program: Program::Shell(gate.run.clone()),
        cwd: site.dir.to_owned(),
        env,
        writable: site.writable.map(<[PathBuf]>::to_vec),
        timeout: gate.timeout,
        // A gate may think in silence; its timeout is its only clock.
        idle_timeout: None,
        log: site.logs.join(log),
        log_cap: LOG_CAP,
    }
}

/// The executions of a gate so far.
struct Tally<'a> {
    gate: &'a Gate,
    executions: u32,
    duration: Duration,
    last: Option<(Ending, LogEvidence)>,
    containment: Option<Containment>,
    stragglers: u32,
}

impl<'a> Tally<'a> {
    fn new(gate: &'a Gate) -> Self {
        Self { gate, executions: 0, duration: Duration::ZERO, last: None, containment: None, stragglers: 0 }
    }

    fn take(&mut self, ended: &Ended, log: LogEvidence) {
        self.executions += 1;
        self.duration = self.duration.saturating_add(ended.duration);
        self.stragglers = self.stragglers.saturating_add(ended.stragglers);
        self.containment = Some(self.containment.map_or(ended.containment, |so_far| Containment {
            landlock: so_far.landlock && ended.containment.landlock,
            subreaper: so_far.subreaper && ended.containment.subreaper,
        }));
        self.last = Some((ended.ending.clone(), log));
    }

    fn is_settled(&self) -> bool {
        match self.last.as_ref().map(|(ending, _)| ending) {
            None => false,
            Some(Ending::Exited(0) | Ending::Stopped) => true,
            Some(Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut | Ending::Hung) => {
                self.executions > self.gate.retries
            }
        }
    }

    fn verdict(&self) -> GateVerdict {
        match self.last.as_ref().map(|(ending, _)| ending) {
            None | Some(Ending::Stopped) => GateVerdict::Skipped,
            Some(Ending::Exited(0)) if self.executions == 1 => GateVerdict::Passed,
            Some(Ending::Exited(0)) => GateVerdict::Flaky,
            // Stopped between two executions: the first word was not the last.
            Some(_) if !self.is_settled() => GateVerdict::Skipped,
            Some(Ending::Exited(_) | Ending::Signalled(_)) => GateVerdict::Failed,
            Some(Ending::TimedOut | Ending::Hung) => GateVerdict::TimedOut,
        }
    }

    fn note(&self, verdict: GateVerdict) -> String {
        let executions = self.executions;
        let mut notes = Vec::new();
        match verdict {
            GateVerdict::Flaky => {
                notes.push(format!("flaky: passed on the {} of {executions} executions", nth(executions)))
            }
            GateVerdict::TimedOut => {
                notes.push(format!("ended after its timeout of {}", humantime::format_duration(self.gate.timeout)));
            }
            GateVerdict::Skipped if executions > 0 => notes.push("stopped before it was done".to_owned()),
            GateVerdict::Skipped => notes.push("did not run".to_owned()),
            GateVerdict::Passed | GateVerdict::Failed | GateVerdict::Reused => {}
        }
        if let (GateVerdict::Failed, Some((Ending::Signalled(signal), _))) = (verdict, &self.last) {
            notes.push(format!("ended by signal {signal}"));
        }
        match self.stragglers {
            0 => {}
            1 => notes.push("1 child outlived it and was ended".to_owned()),
            count => notes.push(format!("{count} children outlived it and were ended")),
        }
        notes.join("; ")
    }

    fn finish(self, items: Option<Items>, scrub: &(dyn Fn(&str) -> String + Sync)) -> Judged {
        let verdict = self.verdict();
        let mut note = self.note(verdict);
        let Items { mut failing, total, note: remark } = items.unwrap_or_default();
        if !remark.is_empty() {
            note = if note.is_empty() { remark } else { format!("{note}; {remark}") };
        }
        for item in &mut failing {
            item.key = scrub(&item.key);
            item.message = scrub(&item.message);
        }
        let (ending, log) = self.last.unzip();
        let exit = match ending {
            Some(Ending::Exited(code)) => Some(code),
            Some(Ending::Signalled(_) | Ending::TimedOut | Ending::Hung | Ending::Stopped) | None => None,
        };
        let outcome = GateOutcome {
            gate: self.gate.id.clone(),
            command: self.gate.run.clone(),
            required: self.gate.required,
            verdict,
            against_base: None,
            counts_as_passed: matches!(verdict, GateVerdict::Passed | GateVerdict::Flaky),
            exit,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            attempts: self.executions,
            log,
            failing,
            failing_total: total,
            note,
        };
        Judged { outcome, containment: self.containment }
    }
}

fn nth(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// What a child printed, as evidence. Secrets go before anything is cut, so that none is cut in half.
fn evidence(ended: &Ended, path: String, scrub: &dyn Fn(&str) -> String) -> LogEvidence {
    let text = |bytes: &[u8]| scrub(&String::from_utf8_lossy(bytes));
    let captured = ended.head.len() + ended.tail.len();
    let (head, tail) = if u64::try_from(captured).is_ok_and(|captured| captured == ended.bytes) || ended.tail.is_empty()
    {
        let whole = text(&[ended.head.as_slice(), ended.tail.as_slice()].concat());
        if whole.len() <= HEAD + TAIL { (whole, String::new()) } else { (first(&whole), last(&whole)) }
    } else {
        (first(&text(&ended.head)), last(&text(&ended.tail)))
    };
    LogEvidence { path, sha256: ended.log_sha256.clone(), bytes: ended.bytes, head, tail }
}

/// The first whole lines of at most [`HEAD`] bytes.
fn first(text: &str) -> String {
    let start = items::cut(text, HEAD);
    let whole_lines = if start.len() < text.len() { start.rfind('\n').map(|end| &start[..=end]) } else { None };
    whole_lines.unwrap_or(start).to_owned()
}

/// The last whole lines of at most [`TAIL`] bytes.
fn last(text: &str) -> String {
    let mut begin = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    let end = &text[begin..];
    let whole_lines = if begin > 0 { end.find('\n').map(|line| &end[line + 1..]) } else { None };
    whole_lines.filter(|lines| !lines.is_empty()).unwrap_or(end).to_owned()
}

/// Removes a report left by an earlier execution or by the agent; whatever it is, it was not written by this one.
fn clear(dir: &Path, report: &Report) -> Result<(), String> {
    let Some(path) = inside(dir, report)? else { return Ok(()) };
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(meta) if meta.is_dir() => Err("it is a directory".to_owned()),
        Ok(_) => std::fs::remove_file(&path).map_err(|error| error.to_string()),
    }
}

/// The report's path with no symlink before its last component; `None` where its directory does not exist.
fn inside(dir: &Path, report: &Report) -> Result<Option<PathBuf>, String> {
    let path = dir.join(&report.path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let parent = match parent.canonicalize() {
        Ok(parent) => parent,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let top = dir.canonicalize().map_err(|error| error.to_string())?;
    if !parent.starts_with(&top) {
        return Err("a symlink leads out of the slot".to_owned());
    }
    Ok(Some(parent.join(name)))
}

async fn read_report(dir: &Path, report: &Report, cleared: Result<(), String>) -> Items {
    if let Err(why) = cleared {
        return Items::unread(format!("an old report at {} could not be removed, so none is read: {why}", report.path));
    }
    let (dir, report) = (dir.to_owned(), report.clone());
    let path = report.path.clone();
    let read = tokio::task::spawn_blocking(move || read_now(&dir, &report)).await;
    read.unwrap_or_else(|_| Items::unread(format!("the report at {path} could not be read")))
}

fn read_now(dir: &Path, report: &Report) -> Items {
    let missing = || Items::unread(format!("it left no report at {}", report.path));
    let path = match inside(dir, report) {
        Ok(Some(path)) => path,
        Ok(None) => return missing(),
        Err(why) => return Items::unread(format!("the report at {} was not read: {why}", report.path)),
    };
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Items::unread(format!("the report at {} is not a plain file", report.path)),
        Err(_) => return missing(),
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(items::SIZE_CAP + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Items::unread(format!("the report at {} was not read: {error}", report.path));
    }
    let mut roots = vec![dir.display().to_string()];
    roots.extend(dir.canonicalize().ok().map(|dir| dir.display().to_string()));
    roots.dedup();
    items::read(report.format, &bytes, &roots)
}
