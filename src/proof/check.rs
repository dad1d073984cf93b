//! `omk verify`: a statement held against what the repository says.
//!
//! Everything that fails is named, not only the first. It refuses to look anything up: [`ProofContext`] is
//! what the caller found; and to be satisfied with nothing: a proof of which no gate could be
//! checked does not hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::input::JudgedBy;
use super::origin;
use super::rules::{Unmet, unmet};
use super::statement::{
    GateClaim, LogClaim, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, subjects,
};
use crate::fact::{AgainstBase, GateOutcome, GateVerdict, RunVerdict};
use crate::id::{CommitId, GateId, Sha256, Tip, TreeId};
use crate::plan::{Baseline, RoomLevel};

/// The largest statement that is read, in bytes: ten thousand observed paths fit many times.
const SIZE_CAP: usize = 16 * 1024 * 1024;

/// What the repository and the run's directory say about the things that a statement names.
#[derive(Debug, Clone, Default)]
pub struct ProofContext {
    /// The result's commit; `None` = it is not here.
    pub result: Option<SeenCommit>,
    /// The base's commit; `None` = it is not here, as in a shallow clone.
    pub base: Option<SeenCommit>,
    /// Whether the base is the result or an ancestor of it; `None` = cannot be told here.
    pub base_is_ancestor: Option<bool>,
    /// The plan at the named commit and path, else the one in the run's directory; `None` =
    /// neither is here.
    pub plan: Option<SeenPlan>,
    /// Digests of those logs and transcripts that are here, by the path the statement gives them.
    pub logs: BTreeMap<String, Sha256>,
    /// Why logs and transcripts that are here could not be read, by path.
    pub strange_logs: BTreeMap<String, String>,
    /// The proofs that reused verdicts come from, as far as they are here, by the names that the
    /// statement gives them.
    pub origins: BTreeMap<String, Statement>,
    /// The digest of the bundle, where one is here.
    pub bundle: Option<Sha256>,
    /// What the statement's own digest should be, where somebody recorded it.
    pub recorded: Option<Sha256>,
    /// What is known of a signature.
    pub signature: Signature,
}

/// A commit of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCommit {
    /// Its tree.
    pub tree: TreeId,
    /// Its parents.
    pub parents: Vec<CommitId>,
}

/// The plan, as it is in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPlan {
    /// SHA-256 of its bytes.
    pub digest: Sha256,
    /// The gates it requires of what is proven, with their commands.
    pub required: BTreeMap<GateId, String>,
    /// Whether it forgives failures that the base has too.
    pub baseline: Baseline,
}

/// What is known of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Signature {
    /// There is none.
    #[default]
    Unsigned,
    /// It is good, and by this identity.
    Good(String),
    /// It is not good, and why.
    Bad(String),
}

/// Why bytes are not a statement that can be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is too large.
    #[error("the file is larger than 16 MiB")]
    TooLarge,
    /// It is not JSON, or fields are missing or of another type.
    #[error("the statement is malformed: {0}")]
    Malformed(String),
    /// It is something else.
    #[error("the file is not an in-toto Statement v1: its `_type` is {0:?}")]
    OtherStatement(String),
    /// It is a statement of somebody else.
    #[error("the predicate type {0:?} is unknown: this omk reads `urn:omk-action:proof:v1`")]
    OtherPredicate(String),
}

/// Something that fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// It cannot even be read.
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// The subjects and the predicate do not speak of the same things.
    #[error("the subjects of the statement are not the commit, tree and bundle it speaks of")]
    Subjects,
    /// The file was changed.
    #[error("the file's digest is {found}, recorded was {recorded}")]
    Digest {
        /// What was recorded.
        recorded: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// The signature is not good.
    #[error("the signature is not good: {0}")]
    Signature(String),
    /// The result is not in the repository.
    #[error("the commit {0} is not in this repository")]
    CommitMissing(CommitId),
    /// The commit has another tree.
    #[error("the commit {commit} has the tree {found}, the proof says {claimed}")]
    Tree {
        /// The commit.
        commit: CommitId,
        /// Its tree.
        found: TreeId,
        /// What the proof says.
        claimed: TreeId,
    },
    /// The result is not built on the base.
    #[error("the commit {result} is not built on the base {base}")]
    Ancestry {
        /// The result.
        result: CommitId,
        /// The base.
        base: CommitId,
    },
    /// The plan is nowhere to be found.
    #[error("the plan {0} is not at the commit that the proof names, nor in the run's directory")]
    PlanMissing(String),
    /// The plan is another one.
    #[error("the plan's digest is {found}, the proof says {claimed}")]
    PlanDigest {
        /// What the plan's bytes give.
        found: Sha256,
        /// What the proof says.
        claimed: Sha256,
    },
    /// No gate is required: nothing was verified.
    #[error("no required gate ran: nothing was verified")]
    NothingVerified,
    /// A required gate did not run.
    #[error("the required gate `{0}` is missing")]
    GateMissing(GateId),
    /// A required gate did not pass.
    #[error("the required gate `{gate}` did not pass: {}", verdict.as_str())]
    GateNotPassed {
        /// The gate.
        gate: GateId,
        /// Its verdict.
        verdict: GateVerdict,
    },
    /// A required gate ran another command than the plan's.
    #[error("the gate `{0}` ran another command than the plan has")]
    GateCommand(GateId),
    /// A gate saw another tree.
    #[error("the gate `{gate}` saw {}, not the result's", tree.as_ref().map_or("no tree", TreeId::as_str))]
    GateTree {
        /// The gate.
        gate: GateId,
        /// The tree that it saw.
        tree: Option<TreeId>,
    },
    /// A reused verdict does not say where it comes from.
    #[error("the verdict of the gate `{0}` is reused, and the proof does not say from where")]
    GateSource(GateId),
    /// The proof that a reused verdict comes from does not say that.
    #[error("the verdict of the gate `{gate}` is reused from {from}, which does not say that")]
    Origin {
        /// The gate.
        gate: GateId,
        /// The proof, as `<run-id>/<task>`.
        from: String,
    },
    /// The plan does not forgive.
    #[error("the gate `{0}` counts as passed by its baseline, which the plan does not allow")]
    Strict(GateId),
    /// Nothing was completed.
    #[error("no task is completed")]
    NotCompleted,
    /// A log or transcript is here, and no file that omk reads.
    #[error("{path} was not read: {why}")]
    LogNotRead {
        /// The file, relative to the run's directory.
        path: String,
        /// Why, as a clause.
        why: String,
    },
    /// A log or transcript was changed.
    #[error("the digest of {path} is {found}, the proof says {claimed}")]
    Log {
        /// The file, relative to the run's directory.
        path: String,
        /// What it is.
        found: Sha256,
        /// What the proof says.
        claimed: Sha256,
    },
    /// The bundle was changed.
    #[error("the bundle's digest is {found}, the proof says {claimed}")]
    Bundle {
        /// What it is.
        found: Sha256,
        /// What the proof says.
        claimed: String,
    },
    /// It says `ready` and must not.
    #[error("the proof says `ready`, which its evidence does not carry")]
    ReadyUncarried,
    /// It does not say `ready`.
    #[error("the proof itself says `{}`", .0.as_str())]
    NotReady(RunVerdict),
    /// The run's journal says that there is a proof, and there is none.
    #[error("the proof is missing: the run's journal says that there is one")]
    ProofMissing,
}

impl Finding {
    /// Whether it is what a proof that does not say `ready` owns up to.
    fn is_owned_up_to(&self) -> bool {
        matches!(
            self,
            Self::NotReady(_)
                | Self::NotCompleted
                | Self::NothingVerified
                | Self::GateMissing(_)
                | Self::GateNotPassed { .. }
        )
    }
}

/// Something that does not fail, and that a person must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofRemark {
    /// Nobody signed it.
    Unsigned,
    /// It is signed by this identity.
    SignedBy(String),
    /// The job that ran the agent judged.
    SameJob,
    /// The plan was not committed.
    Uncommitted,
    /// The base is not here, so it was not checked.
    BaseUnseen,
    /// So many logs and transcripts are not here, so they were not checked.
    LogsUnseen(usize),
    /// The proof that a reused verdict comes from is not here, so it was not checked.
    OriginUnseen {
        /// The gate.
        gate: GateId,
        /// The proof, as `<run-id>/<task>`.
        from: String,
    },
    /// This gate passed only when repeated.
    Flaky(GateId),
    /// This gate fails as it does on the base.
    PreExisting(GateId),
    /// Writes were not confined.
    Unconfined,
}

impl std::fmt::Display for ProofRemark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsigned => f.write_str("unsigned"),
            Self::SignedBy(identity) => write!(f, "signed by {identity}"),
            Self::SameJob => f.write_str("judged_by: same-job, the job that ran the agent"),
            Self::Uncommitted => f.write_str("the plan was not committed"),
            Self::BaseUnseen => f.write_str("the base commit is not here and was not checked"),
            Self::LogsUnseen(1) => f.write_str("1 log is not here and was not checked"),
            Self::LogsUnseen(count) => write!(f, "{count} logs are not here and were not checked"),
            Self::OriginUnseen { gate, from } => {
                write!(
                    f,
                    "the gate `{gate}` is reused from {from}, which is not here and was not checked"
                )
            }
            Self::Flaky(gate) => write!(f, "the gate `{gate}` is flaky"),
            Self::PreExisting(gate) => write!(f, "the gate `{gate}` fails on the base too"),
            Self::Unconfined => f.write_str("the sandbox was not active: writes were not confined"),
        }
    }
}

/// What came of checking.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What was read; `None` = nothing could be.
    pub statement: Option<Statement>,
    /// Everything that fails.
    pub findings: Vec<Finding>,
    /// Everything else that a person must know.
    pub remarks: Vec<ProofRemark>,
}

/// What a proof is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It says `ready`, and nothing fails.
    Ready,
    /// It is true, and says that its subject is not ready.
    NotReady(RunVerdict),
    /// It is untrue, or cannot be checked.
    Broken,
}

impl std::fmt::Display for Worth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.pad("holds"),
            Self::NotReady(verdict) => {
                f.pad(&format!("holds: {}", verdict.as_str().replace('_', " ")))
            }
            Self::Broken => f.pad("BROKEN"),
        }
    }
}

impl Checked {
    /// That of a proof whose file is gone.
    #[must_use]
    pub fn missing() -> Self {
        Self {
            statement: None,
            findings: vec![Finding::ProofMissing],
            remarks: Vec::new(),
        }
    }

    /// What the proof is worth.
    #[must_use]
    pub fn worth(&self) -> Worth {
        match &self.statement {
            Some(_) if self.holds() => Worth::Ready,
            Some(statement)
                if statement.predicate.verdict != RunVerdict::Ready
                    && self.findings.iter().all(Finding::is_owned_up_to) =>
            {
                Worth::NotReady(statement.predicate.verdict)
            }
            Some(_) | None => Worth::Broken,
        }
    }

    /// Whether the proof holds: it was read, it says `ready`, and nothing fails.
    #[must_use]
    pub fn holds(&self) -> bool {
        let ready = |statement: &Statement| statement.predicate.verdict == RunVerdict::Ready;
        self.findings.is_empty() && self.statement.as_ref().is_some_and(ready)
    }
}

/// Reads a statement, so that the caller knows what to look up.
///
/// # Errors
/// Where it is too large, malformed, or of another type or version.
pub fn read(bytes: &[u8]) -> Result<Statement, Unreadable> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object")]
    struct StatementHead {
        #[serde(rename = "_type")]
        kind: String,
        #[serde(rename = "predicateType", default)]
        predicate_type: String,
    }
    if bytes.len() > SIZE_CAP {
        return Err(Unreadable::TooLarge);
    }
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    let short = |text: String| text.chars().take(120).collect();
    let head: StatementHead = serde_json::from_slice(bytes).map_err(malformed)?;
    if head.kind != STATEMENT_TYPE {
        return Err(Unreadable::OtherStatement(short(head.kind)));
    }
    if head.predicate_type != PREDICATE_TYPE {
        return Err(Unreadable::OtherPredicate(short(head.predicate_type)));
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Holds a statement against what was seen.
#[must_use]
pub fn check(bytes: &[u8], seen: &ProofContext) -> Checked {
    let statement = match read(bytes) {
        Ok(statement) => statement,
        Err(why) => {
            return Checked {
                statement: None,
                findings: vec![why.into()],
                remarks: Vec::new(),
            };
        }
    };
    let claims = &statement.predicate;
    let mut findings = Vec::new();
    integrity(bytes, &statement, seen, &mut findings);
    commits(claims, seen, &mut findings);
    plan(claims, seen, &mut findings);
    gates(claims, seen, &mut findings);
    origin::findings(claims, seen, &mut findings);
    logs(claims, seen, &mut findings);
    let mut remarks = remarks(claims, seen);
    remarks.extend(origin::remarks(claims, seen));
    Checked {
        statement: Some(statement),
        findings,
        remarks,
    }
}

fn integrity(
    bytes: &[u8],
    statement: &Statement,
    seen: &ProofContext,
    findings: &mut Vec<Finding>,
) {
    let claims = &statement.predicate;
    let found = Sha256::of(bytes);
    if let Some(recorded) = seen.recorded.clone().filter(|recorded| *recorded != found) {
        findings.push(Finding::Digest { recorded, found });
    }
    if let Signature::Bad(why) = &seen.signature {
        findings.push(Finding::Signature(why.clone()));
    }
    let claimed = bundle_of(statement);
    let bundle = claimed.as_deref().and_then(|digest| digest.parse().ok());
    let result = Tip {
        commit: claims.result.commit.clone(),
        tree: claims.result.tree.clone(),
    };
    if statement.subject != subjects(&result, bundle.as_ref()) {
        findings.push(Finding::Subjects);
    }
    if let (Some(claimed), Some(found)) = (claimed, seen.bundle.clone())
        && claimed != found.as_str()
    {
        findings.push(Finding::Bundle { found, claimed });
    }
}

fn bundle_of(statement: &Statement) -> Option<String> {
    statement
        .subject
        .iter()
        .find(|subject| subject.name == "bundle")?
        .digest
        .get("sha256")
        .cloned()
}

fn commits(claims: &Predicate, seen: &ProofContext, findings: &mut Vec<Finding>) {
    let mut tree = |commit: &CommitId, found: &TreeId, claimed: &TreeId| {
        if found != claimed {
            let (commit, found, claimed) = (commit.clone(), found.clone(), claimed.clone());
            findings.push(Finding::Tree {
                commit,
                found,
                claimed,
            });
        }
    };
    if let Some(base) = &seen.base {
        tree(&claims.base.commit, &base.tree, &claims.base.tree);
    }
    let Some(result) = &seen.result else {
        findings.push(Finding::CommitMissing(claims.result.commit.clone()));
        return;
    };
    tree(&claims.result.commit, &result.tree, &claims.result.tree);
    // A task's change is one commit on its base; a run's result is any number of them.
    let unchanged = claims.result.commit == claims.base.commit;
    let apart =
        claims.task.is_some() && !unchanged && result.parents != [claims.base.commit.clone()];
    if apart || seen.base_is_ancestor == Some(false) {
        let (result, base) = (claims.result.commit.clone(), claims.base.commit.clone());
        findings.push(Finding::Ancestry { result, base });
    }
}

fn plan(claims: &Predicate, seen: &ProofContext, findings: &mut Vec<Finding>) {
    match &seen.plan {
        None => findings.push(Finding::PlanMissing(claims.plan.path.clone())),
        Some(plan) if plan.digest != claims.plan.digest => {
            findings.push(Finding::PlanDigest {
                found: plan.digest.clone(),
                claimed: claims.plan.digest.clone(),
            });
        }
        Some(_) => {}
    }
}

/// The rules, with the gates that the plan requires beside those that the proof admits to.
fn gates(claims: &Predicate, seen: &ProofContext, findings: &mut Vec<Finding>) {
    let of_plan = seen.plan.iter().flat_map(|plan| plan.required.keys());
    let required: BTreeSet<GateId> = claims.required.iter().chain(of_plan).cloned().collect();
    let required: Vec<GateId> = required.into_iter().collect();
    let outcomes: Vec<GateOutcome> = claims.gates.iter().map(outcome).collect();
    let before = findings.len();
    let tree = &claims.result.tree;
    for unmet in unmet(claims.completed, &outcomes, &required, Some(tree), tree) {
        let finding = match unmet {
            Unmet::NoCompletedTask => Finding::NotCompleted,
            Unmet::NothingVerified => Finding::NothingVerified,
            Unmet::Missing(gate) => Finding::GateMissing(gate),
            Unmet::NotPassed(gate, verdict) => Finding::GateNotPassed { gate, verdict },
            // Trees are compared gate by gate below; here none was given that could differ.
            Unmet::OtherTree { .. } => continue,
        };
        findings.push(finding);
    }
    for gate in claims
        .gates
        .iter()
        .filter(|gate| required.contains(&gate.id))
    {
        one_gate(gate, tree, seen.plan.as_ref(), findings);
    }
    match claims.verdict {
        RunVerdict::Ready if findings.len() > before => findings.push(Finding::ReadyUncarried),
        RunVerdict::Ready => {}
        RunVerdict::Cancelled
        | RunVerdict::FailedInfra
        | RunVerdict::BlockedOnExternal
        | RunVerdict::BlockedOnHuman
        | RunVerdict::NeedsMoreBudget
        | RunVerdict::NotReady
        | RunVerdict::Neutral => findings.push(Finding::NotReady(claims.verdict)),
    }
}

fn one_gate(gate: &GateClaim, tree: &TreeId, plan: Option<&SeenPlan>, findings: &mut Vec<Finding>) {
    let ran = gate.verdict != GateVerdict::Skipped;
    if ran && gate.tree.as_ref() != Some(tree) {
        findings.push(Finding::GateTree {
            gate: gate.id.clone(),
            tree: gate.tree.clone(),
        });
    }
    if gate.verdict == GateVerdict::Reused && gate.reused_from.is_none() {
        findings.push(Finding::GateSource(gate.id.clone()));
    }
    let Some(plan) = plan else { return };
    if plan
        .required
        .get(&gate.id)
        .is_some_and(|command| *command != gate.command)
    {
        findings.push(Finding::GateCommand(gate.id.clone()));
    }
    if plan.baseline == Baseline::Strict
        && gate.verdict == GateVerdict::Failed
        && gate.counts_as_passed
    {
        findings.push(Finding::Strict(gate.id.clone()));
    }
}

fn logs(claims: &Predicate, seen: &ProofContext, findings: &mut Vec<Finding>) {
    for log in claimed_logs(claims) {
        if let Some(why) = seen.strange_logs.get(&log.path) {
            findings.push(Finding::LogNotRead {
                path: log.path.clone(),
                why: why.clone(),
            });
        }
        match seen.logs.get(&log.path) {
            Some(found) if *found != log.sha256 => findings.push(Finding::Log {
                path: log.path.clone(),
                found: found.clone(),
                claimed: log.sha256.clone(),
            }),
            Some(_) | None => {}
        }
    }
}

/// Every log and transcript that a statement names.
pub fn claimed_logs(claims: &Predicate) -> impl Iterator<Item = &LogClaim> {
    let gates = claims.gates.iter().filter_map(|gate| gate.log.as_ref());
    gates.chain(
        claims
            .agent
            .iter()
            .filter_map(|agent| agent.transcript.as_ref()),
    )
}

fn remarks(claims: &Predicate, seen: &ProofContext) -> Vec<ProofRemark> {
    let mut remarks = match &seen.signature {
        Signature::Unsigned => vec![ProofRemark::Unsigned],
        Signature::Good(identity) => vec![ProofRemark::SignedBy(identity.clone())],
        Signature::Bad(_) => Vec::new(),
    };
    let mut remark = |applies: bool, remark: ProofRemark| {
        if applies {
            remarks.push(remark);
        }
    };
    remark(claims.judged_by == JudgedBy::SameJob, ProofRemark::SameJob);
    remark(claims.plan.commit.is_none(), ProofRemark::Uncommitted);
    remark(seen.base.is_none(), ProofRemark::BaseUnseen);
    let unseen = claimed_logs(claims).filter(|log| {
        !seen.logs.contains_key(&log.path) && !seen.strange_logs.contains_key(&log.path)
    });
    let unseen = unseen.count();
    remark(unseen > 0, ProofRemark::LogsUnseen(unseen));
    for gate in &claims.gates {
        remark(
            gate.verdict == GateVerdict::Flaky,
            ProofRemark::Flaky(gate.id.clone()),
        );
        remark(
            gate.against_base == Some(AgainstBase::PreExisting),
            ProofRemark::PreExisting(gate.id.clone()),
        );
    }
    remark(
        claims.room.level == RoomLevel::None,
        ProofRemark::Unconfined,
    );
    remarks
}

/// What the rules look at, of a claim.
fn outcome(claim: &GateClaim) -> GateOutcome {
    GateOutcome {
        gate: claim.id.clone(),
        command: claim.command.clone(),
        required: claim.required,
        verdict: claim.verdict,
        against_base: claim.against_base,
        counts_as_passed: claim.counts_as_passed,
        exit: claim.exit,
        duration_ms: claim.duration_ms,
        attempts: claim.attempts,
        log: None,
        failing: Vec::new(),
        failing_total: claim.failing,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}
