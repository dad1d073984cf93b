//! `omk verify`: proofs held against the repository, offline.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::args::Verify;
use super::resume::{self, RecordedRun};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, writing};
use crate::git::Repo;
use crate::id::{CommitId, GateId, RunId, Sha256, TaskId};
use crate::plain_file::{self, NotRead, Root};
use crate::plan::Plan;
use crate::proof::{self, Checked, ProofContext, SeenCommit, SeenPlan, Statement, Worth};
use crate::report::reply::answer;
use crate::store::RunDir;
use crate::text;

/// The largest proof that is read, in bytes. One of a run of ten thousand tasks, with all paths,
/// has a few million.
const PROOF: u64 = 32 << 20;

/// The largest plan that is read, in bytes; the parser refuses what has more than 1 MiB.
const PLAN: u64 = 1 << 20;

/// As wide as the shorter words for what a proof is worth, so that most lists look the same.
const SIGN: usize = 6;

/// The largest log or transcript that is read, in bytes: four times the largest that omk writes.
const LOG: u64 = 256 << 20;

pub(super) fn verify(args: &Verify, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let Due { files, untold } = files(&home, &args.proofs, terminal)?;
    if files.is_empty() {
        return Err(CommandFailure::new(
            FailureKind::NotReady,
            "there is nothing to check: the run has no proof",
        )
        .hint("a proof is written for every task whose change landed"));
    }
    let checked: Vec<(&PathBuf, Checked)> = files
        .iter()
        .map(|path| Ok((path, check(&home, path)?)))
        .collect::<Result<_, CommandFailure>>()?;
    terminal.print(&if args.json {
        json(&checked)?
    } else {
        in_words(&checked)
    });
    let all_ready = checked.iter().all(|(_, checked)| checked.holds());
    Ok(if all_ready && untold == 0 {
        0
    } else {
        FailureKind::NotReady.exit_code()
    })
}

fn json(checked: &[(&PathBuf, Checked)]) -> Result<String, CommandFailure> {
    let one = |(path, checked): &(&PathBuf, Checked)| {
        serde_json::json!({
            "proof": path.display().to_string(),
            "holds": checked.worth() != Worth::Broken,
            "ready": checked.holds(),
            "findings": checked.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "remarks": remarks(checked),
        })
    };
    let all: Vec<serde_json::Value> = checked.iter().map(one).collect();
    Ok(serde_json::to_string_pretty(&all).map_err(super::failure::infra)? + "\n")
}

fn remarks(checked: &Checked) -> Vec<String> {
    checked.remarks.iter().map(ToString::to_string).collect()
}

fn in_words(checked: &[(&PathBuf, Checked)]) -> String {
    let mut out = String::new();
    // What is true of all proofs is said once, at the end.
    let mut shared = checked
        .first()
        .map(|(_, checked)| remarks(checked))
        .unwrap_or_default();
    shared.retain(|remark| {
        checked.len() > 1
            && checked
                .iter()
                .all(|(_, checked)| remarks(checked).contains(remark))
    });
    let width = checked
        .iter()
        .map(|(path, _)| name(path).chars().count())
        .max()
        .unwrap_or(0);
    let widest = checked
        .iter()
        .map(|(_, checked)| checked.worth().to_string().len())
        .max()
        .unwrap_or(0)
        .max(SIGN);
    for (path, checked) in checked {
        let begin = format!("{:widest$}  {:width$}", checked.worth(), name(path));
        tell(&mut out, &begin, checked, &shared);
    }
    let worth = checked.iter().map(|(_, checked)| checked.worth());
    let _ = writeln!(
        out,
        "{} checked, {}",
        text::plural(checked.len(), "proof"),
        answer::in_all(worth)
    );
    for remark in shared {
        let _ = writeln!(out, "  all: {remark}");
    }
    out
}

fn name(path: &Path) -> String {
    path.file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn tell(out: &mut String, begin: &str, checked: &Checked, shared: &[String]) {
    let what = checked.statement.as_ref().map(|statement| {
        let gates: Vec<String> = statement
            .predicate
            .gates
            .iter()
            .map(|gate| gate.id.to_string())
            .collect();
        let commit = statement.predicate.result.commit.short();
        format!(
            "commit {commit}, gates {}",
            if gates.is_empty() {
                "none".to_owned()
            } else {
                gates.join(", ")
            }
        )
    });
    let _ = writeln!(
        out,
        "{}",
        format!("{begin}  {}", what.unwrap_or_default()).trim_end()
    );
    for finding in &checked.findings {
        let _ = writeln!(out, "        - {finding}");
    }
    for remark in remarks(checked)
        .iter()
        .filter(|remark| !shared.contains(remark))
    {
        let _ = writeln!(out, "        ({remark})");
    }
}

/// What is to be checked.
#[derive(Default)]
struct Due {
    files: Vec<PathBuf>,
    /// Of how many runs it cannot be told which proofs there should be.
    untold: usize,
}

/// The proofs that were named: files, or all of a run.
fn files(home: &Home, named: &[String], terminal: &Terminal) -> Result<Due, CommandFailure> {
    let mut all = Due::default();
    if named.is_empty() {
        all.add(&home.run_dir(None)?, terminal)?;
    }
    for name in named {
        let path = PathBuf::from(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
            all.files.push(path);
        } else if let Ok(run_dir) = home.store.find(Some(name)) {
            all.add(&run_dir, terminal)?;
        } else {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                format!("`{name}` is neither a file nor a run"),
            ));
        }
    }
    Ok(all)
}

impl Due {
    /// Adds the proofs that a run's journal says there are, not those that are left. A run that is
    /// not over has none that must be there.
    fn add(&mut self, run_dir: &RunDir, terminal: &Terminal) -> Result<(), CommandFailure> {
        let there = writing::proofs(run_dir);
        let journal = run_dir.journal().map_err(super::store)?;
        let RecordedRun { engine, history } = match resume::tell(run_dir, &journal) {
            Ok(told) => told,
            Err(why) => {
                let run = run_dir.run();
                let why = why.in_full();
                terminal.complain(&format!(
                    "warning: which proofs run {run} should have cannot be told: {why}\n"
                ));
                self.untold += 1;
                self.files.extend(there);
                return Ok(());
            }
        };
        let head = journal.chain.head();
        if engine.verdict().is_none() && !writing::is_written(run_dir, head) {
            self.files.extend(there);
            return Ok(());
        }
        let mut names: Vec<String> = history
            .task_proofs(&engine, head)
            .into_iter()
            .map(|(task, _)| task.to_string())
            .collect();
        names.extend(
            history
                .run_proof(&engine, Vec::new(), head)
                .map(|_| proof::RUN_PROOF.to_owned()),
        );
        names.sort();
        let named: Vec<PathBuf> = names
            .iter()
            .map(|name| run_dir.path().join("proofs").join(format!("{name}.json")))
            .collect();
        for stray in there.iter().filter(|path| !named.contains(path)) {
            let stray = stray.display();
            terminal.complain(&format!(
                "warning: {stray} was not checked: the run's journal knows of no such proof\n"
            ));
        }
        self.files.extend(named);
        Ok(())
    }
}

fn check(home: &Home, path: &Path) -> Result<Checked, CommandFailure> {
    let bytes = match plain_file::read(path, PROOF) {
        Ok(bytes) => bytes,
        Err(NotRead::Missing) => return Ok(Checked::missing()),
        Err(why) => {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                format!("failed to read {}: {why}", path.display()),
            ));
        }
    };
    let seen = match proof::read(&bytes) {
        Ok(statement) => look(&home.repo, path.parent().and_then(Path::parent), &statement),
        Err(_) => ProofContext::default(),
    };
    Ok(proof::check(&bytes, &seen))
}

/// What the repository and the run's directory say of the things that a statement names.
pub(super) fn look(repo: &Repo, run_dir: Option<&Path>, statement: &Statement) -> ProofContext {
    let claims = &statement.predicate;
    let (logs, strange_logs) = logs(run_dir, statement);
    ProofContext {
        result: commit(repo, &claims.result.commit),
        base: commit(repo, &claims.base.commit),
        base_is_ancestor: repo
            .descends(&claims.result.commit, &claims.base.commit)
            .ok(),
        plan: plan(repo, run_dir, statement),
        logs,
        strange_logs,
        origins: origins(run_dir, statement),
        ..ProofContext::default()
    }
}

/// The proofs that reused verdicts come from, of runs beside this one.
fn origins(run_dir: Option<&Path>, statement: &Statement) -> BTreeMap<String, Statement> {
    let Some(runs) = run_dir.and_then(Path::parent) else {
        return BTreeMap::new();
    };
    let names = statement
        .predicate
        .gates
        .iter()
        .filter_map(|gate| gate.reused_from.clone());
    let read = |name: &str| {
        let (run, proof) = name.split_once('/')?;
        let run: RunId = run.parse().ok()?;
        let known = proof == proof::RUN_PROOF || proof.parse::<TaskId>().is_ok();
        let path = runs
            .join(run.as_str())
            .join("proofs")
            .join(format!("{proof}.json"));
        let bytes = plain_file::read(&path, PROOF).ok().filter(|_| known)?;
        proof::read(&bytes)
            .ok()
            .filter(|origin| origin.predicate.run == run)
    };
    names
        .filter_map(|name| read(&name).map(|origin| (name, origin)))
        .collect()
}

pub(super) fn commit(repo: &Repo, id: &CommitId) -> Option<SeenCommit> {
    if !repo.is_whole(id).ok()? {
        return None;
    }
    Some(SeenCommit {
        tree: repo.tip(id).ok()?.tree,
        parents: repo.parents(id).ok()?,
    })
}

/// The plan at the named commit, else the one that the run kept.
fn plan(repo: &Repo, run_dir: Option<&Path>, statement: &Statement) -> Option<SeenPlan> {
    let claim = &statement.predicate.plan;
    let committed = claim.commit.as_ref().and_then(|commit| {
        let path = claim.path.parse().ok()?;
        repo.read_file(commit, &path).ok().flatten()
    });
    let bytes = committed.or_else(|| plain_file::read(&run_dir?.join("plan.yaml"), PLAN).ok())?;
    let digest = Sha256::of(&bytes);
    let plan = crate::plan::parse(&bytes, &claim.path, statement.predicate.scope.as_str()).ok()?;
    let required = required(&plan, statement);
    Some(SeenPlan {
        digest,
        required,
        baseline: plan.baseline,
    })
}

/// The gates that the plan requires of what is proven: of the task, or of the result.
pub(super) fn required(plan: &Plan, statement: &Statement) -> BTreeMap<GateId, String> {
    let task = statement
        .predicate
        .task
        .as_ref()
        .and_then(|claim| plan.task(&claim.id));
    let of_task = |gate: &&crate::plan::Gate| task.is_none_or(|task| task.gates.contains(&gate.id));
    let gates = plan
        .gates
        .iter()
        .filter(|gate| gate.required)
        .filter(of_task);
    gates
        .map(|gate| (gate.id.clone(), gate.run.clone()))
        .collect()
}

/// The digests of the logs that a statement names, and why others that are there were not read.
fn logs(
    run_dir: Option<&Path>,
    statement: &Statement,
) -> (BTreeMap<String, Sha256>, BTreeMap<String, String>) {
    let (mut digests, mut strange) = (BTreeMap::new(), BTreeMap::new());
    // A proof from elsewhere may name any path; only logs of this run are looked at.
    let Some(root) = run_dir.and_then(|run_dir| Root::open(run_dir).ok()) else {
        return (digests, strange);
    };
    for log in proof::claimed_logs(&statement.predicate) {
        match root
            .file(Path::new(&log.path))
            .and_then(|file| file.digest(LOG))
        {
            Ok(digest) => {
                digests.insert(log.path.clone(), digest);
            }
            Err(NotRead::Missing) => {}
            Err(why) => {
                strange.insert(log.path.clone(), why.to_string());
            }
        }
    }
    (digests, strange)
}
