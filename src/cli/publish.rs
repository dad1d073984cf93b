//! `omk publish`: a bundle that another job left, opened as hostile and held against the judgement;
//! delivered.
//!
//! Scope, refs, base and plan come from the request, verdict and gates from the judgement. It
//! refuses to take either from the bundle, to run an agent or a gate, and to say nothing where
//! there is nothing to deliver.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::args::Publish;
use super::publish_as::speak;
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, judge, verify};
use crate::bundle::{self, Admitted};
use crate::clock::Clock;
use crate::deliver::{Delivered, RunOutcome, deliver, tell_lost};
use crate::exec::environment::Caller;
use crate::exec::secret::{Secret, shed_secrets};
use crate::fact::RunVerdict;
use crate::forge::Forge;
use crate::git::Remote;
use crate::id::{Moment, TaskId};
use crate::plain_file;
use crate::plan::Plan;
use crate::proof::{self, Finding, JudgedBy, ProofContext, RUN_PROOF, SeenPlan};
use crate::report::View;
use crate::report::sticky::LostRun;
use crate::request::{self, Judgement, Request};
use crate::text::{self, Scrubber};

/// How much a job says of why it could not start, in characters.
const TROUBLE: usize = 600;

/// What a publication is made with. Nothing of it comes from the bundle.
pub(super) struct Publication<'a> {
    pub(super) home: &'a Home,
    pub(super) forge: &'a Forge,
    pub(super) remote: &'a Remote,
    /// The effective plan.
    pub(super) plan: &'a Arc<Plan>,
    pub(super) request: &'a Request,
    pub(super) scrubber: &'a Scrubber,
    /// What is known of a run that left no bundle. For show only.
    pub(super) without: MissingRun<'a>,
    pub(super) now: Moment,
}

/// What is known of a run that left nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingRun<'a> {
    /// Why it could not start, by the job that was to run it.
    Trouble(&'a str),
    /// What that job left is hostile or damaged; how.
    Refused(&'a str),
    /// That job was cancelled.
    Cancelled,
    /// Nothing.
    Unknown,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Published {
    /// How the run ended, as far as anybody may believe it.
    pub(super) verdict: RunVerdict,
    /// The run, scrubbed; `None` where nothing of it can be believed.
    pub(super) view: Option<View>,
    /// Why nothing can be believed.
    pub(super) lost: Option<LostRun>,
    /// Where the result is, and what was in the way.
    pub(super) delivered: Delivered,
}

impl Published {
    /// The exit code of the job: the run's verdict, or that its result could not be put where it
    /// belongs.
    pub(super) fn exit_code(&self) -> u8 {
        if self.delivered.blocked {
            FailureKind::Blocked.exit_code()
        } else {
            self.verdict.exit_code()
        }
    }

    /// Everything that a person must be told, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("verdict: {}", self.verdict.as_str())];
        lines.extend(
            self.lost
                .as_ref()
                .map(|lost| format!("warning: {}", lost.words(self.delivered.forge))),
        );
        lines.extend(self.delivered.lines());
        lines
    }
}

pub(super) fn command(args: &Publish, terminal: &Terminal) -> Result<u8, CommandFailure> {
    // Secrets go before any thread; and before standard input is read, for omk may start itself
    // anew.
    let caller = Caller::read();
    let names: Vec<&str> = caller.secret_names().collect();
    let secrets = shed_secrets(&names).map_err(super::failure::infra)?;
    let home = Home::find()?;
    let request = judge::read_request(&args.bundle.request)?;
    let judgement = args.judgement.as_deref().map(read_judgement).transpose()?;
    let plan = Arc::new(judge::read_plan(
        &home,
        &request,
        args.bundle.plan.as_deref(),
        args.bundle.rules.as_deref(),
    )?);
    let (forge, remote) = speak(&caller, &secrets, &request)?;
    let scrubber = Scrubber::new(secrets.values().map(Secret::expose));
    let runtime = super::runtime::of_all_cores()?;
    let now = Clock::start().now();
    let (forge, remote, scrubber) = (&forge, &remote, &scrubber);
    let with = Publication {
        home: &home,
        forge,
        remote,
        plan: &plan,
        request: &request,
        scrubber,
        without: MissingRun::Unknown,
        now,
    };
    let published = runtime.block_on(publish(&with, &args.bundle.dir, judgement.as_ref()));
    runtime.shutdown_background();
    terminal.print(&if args.json {
        json(&request, &published)
    } else {
        in_words(&request, &published)
    });
    Ok(published.exit_code())
}

/// Delivers what the bundle in `dir` holds, as far as request and judgement carry it; else closes
/// the check and says in the comment why nothing is delivered. What fails at the forge is among the
/// troubles. Doing it again makes nothing twice.
pub(super) async fn publish(
    with: &Publication<'_>,
    dir: &Path,
    judgement: Option<&Judgement>,
) -> Published {
    match believe(with, dir, judgement) {
        Ok(outcome) => {
            let (forge, repo, remote) = (with.forge, &with.home.repo, with.remote);
            let delivered = deliver(
                forge,
                repo,
                remote,
                with.plan,
                with.request,
                &outcome,
                with.now,
            )
            .await;
            Published {
                verdict: outcome.verdict,
                view: Some(outcome.view),
                lost: None,
                delivered,
            }
        }
        Err(lost) => {
            let delivered = tell_lost(with.forge, with.request, &lost, with.now).await;
            Published {
                verdict: lost.verdict(),
                view: None,
                lost: Some(lost),
                delivered,
            }
        }
    }
}

/// What of a run can be believed, or why nothing can.
fn believe(
    with: &Publication<'_>,
    dir: &Path,
    judgement: Option<&Judgement>,
) -> Result<RunOutcome, LostRun> {
    if !dir.join(bundle::MANIFEST).exists() {
        return Err(match with.without {
            MissingRun::Cancelled => LostRun::Cancelled,
            MissingRun::Trouble(why) => LostRun::NotStarted {
                why: with.scrubber.scrub(&text::clip(why, TROUBLE)),
                verdict: RunVerdict::BlockedOnExternal,
            },
            MissingRun::Refused(why) => {
                LostRun::Refused(with.scrubber.scrub(&text::clip(why, TROUBLE)))
            }
            MissingRun::Unknown => LostRun::NoBundle,
        });
    }
    let refused = |words: String| LostRun::Refused(with.scrubber.scrub(&words));
    let repo = &with.home.repo;
    let admitted = bundle::open(dir, &bundle::BundleLimits::default())
        .and_then(|opened| bundle::admit(repo, opened, with.request, with.plan))
        .and_then(|admitted| {
            admitted
                .refuse_secrets(repo, with.scrubber)
                .map(|()| admitted)
        })
        // What to do about it follows in the comment, in words of its own.
        .map_err(|error| refused(error.to_string()))?;
    let Some(judgement) = judgement else {
        return Err(unjudged(&admitted));
    };
    agree(with.request, judgement, &admitted).map_err(refused)?;
    let mut judgement = judgement.clone();
    let carried = bundle::judge(with.request, &admitted, judgement.gates.clone()).verdict;
    if judgement.verdict == RunVerdict::Ready && carried != RunVerdict::Ready {
        judgement.verdict = carried;
        judgement
            .warnings
            .push("the judge's own gates do not carry `ready`, so it is not said".to_owned());
    }
    let proofs = proofs(with, &mut judgement, &admitted).map_err(refused)?;
    let Some(view) = bundle::view(&judgement, &admitted) else {
        return Err(refused("the run has not begun".to_owned()));
    };
    Ok(RunOutcome {
        verdict: judgement.verdict,
        view: view.scrubbed(&|text: &str| with.scrubber.scrub(text)),
        result: admitted.result,
        tasks: admitted.task_commits,
        proofs,
        judged_by: JudgedBy::SeparateJob,
    })
}

/// A bundle without a judgement: that the run was stopped is believed of it, and nothing else.
fn unjudged(admitted: &Admitted) -> LostRun {
    match admitted.engine.verdict() {
        None | Some(RunVerdict::Cancelled) => LostRun::Cancelled,
        Some(
            RunVerdict::Ready
            | RunVerdict::NotReady
            | RunVerdict::Neutral
            | RunVerdict::NeedsMoreBudget
            | RunVerdict::BlockedOnExternal
            | RunVerdict::BlockedOnHuman
            | RunVerdict::FailedInfra,
        ) => LostRun::NoJudgement,
    }
}

/// The judgement is about this request, and about this very bundle.
fn agree(request: &Request, judgement: &Judgement, admitted: &Admitted) -> Result<(), String> {
    let landed: Vec<TaskId> = admitted
        .landed
        .iter()
        .map(|(task, _)| task.clone())
        .collect();
    let differs = [
        ("version", judgement.version == request::VERSION),
        ("run", judgement.run == request.run),
        ("plan", judgement.plan == request.plan.digest),
        ("base", judgement.base == admitted.base),
        ("result", judgement.result == admitted.result),
        ("list of tasks", judgement.landed == landed),
        ("file of commits", judgement.bundle == admitted.changes),
    ];
    match differs.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((what, _)) => Err(format!(
            "its {what} is not what was judged, so it was changed since, or is another run's"
        )),
    }
}

/// The proofs that hold. Those of tasks are the run's own claims: one that does not hold is left
/// out, with a warning; the result's must hold where `ready` is said.
fn proofs(
    with: &Publication<'_>,
    judgement: &mut Judgement,
    admitted: &Admitted,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut broken = Vec::new();
    let mut files = bundle::proofs(with.request, judgement, admitted);
    for (name, bytes) in &files {
        let Some(name) = name
            .strip_suffix(".json")
            .filter(|name| !name.ends_with(".test-result"))
        else {
            continue;
        };
        let Some(why) = wrong_with(with, admitted, bytes) else {
            continue;
        };
        if name == RUN_PROOF && judgement.verdict == RunVerdict::Ready {
            return Err(format!("the proof of its result does not hold: {why}"));
        }
        if name != RUN_PROOF {
            let warning =
                format!("the proof of task `{name}` does not hold, and is left out: {why}");
            judgement.warnings.push(text::clip(&warning, 400));
            broken.push(name.to_owned());
        }
    }
    files.retain(|(file, _)| {
        !broken
            .iter()
            .any(|name| file.split('.').next() == Some(name))
    });
    Ok(files)
}

/// What is wrong with a proof, beside that it does not claim to be ready or that no gate was
/// required.
fn wrong_with(with: &Publication<'_>, admitted: &Admitted, bytes: &[u8]) -> Option<String> {
    let statement = proof::read(bytes).ok()?;
    let (repo, claims) = (&with.home.repo, &statement.predicate);
    let seen = ProofContext {
        result: verify::commit(repo, &claims.result.commit),
        base: verify::commit(repo, &claims.base.commit),
        base_is_ancestor: repo
            .descends(&claims.result.commit, &claims.base.commit)
            .ok(),
        plan: Some(SeenPlan {
            digest: with.request.plan.digest.clone(),
            required: verify::required(with.plan, &statement),
            baseline: with.plan.baseline,
        }),
        logs: BTreeMap::new(),
        bundle: admitted.changes.clone(),
        ..ProofContext::default()
    };
    let honest =
        |finding: &&Finding| matches!(finding, Finding::NotReady(_) | Finding::NothingVerified);
    let checked = proof::check(bytes, &seen);
    checked
        .findings
        .iter()
        .find(|finding| !honest(finding))
        .map(ToString::to_string)
}

/// The largest judgement that is read, in bytes: what one job may hand to the next.
const JUDGEMENT: u64 = 1 << 20;

fn read_judgement(path: &Path) -> Result<Judgement, CommandFailure> {
    let shown = path.display();
    let bytes = plain_file::read(path, JUDGEMENT).map_err(|why| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read the judgement {shown}: {why}"),
        )
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CommandFailure::new(
            FailureKind::Usage,
            format!(
                "{shown} is not a judgement: {}",
                text::clip(&error.to_string(), 200)
            ),
        )
        .hint("pass what `omk judge --json` printed, as it is")
    })
}

fn json(request: &Request, published: &Published) -> String {
    let delivered = &published.delivered;
    let value = serde_json::json!({
        "run": request.run,
        "verdict": published.verdict.as_str(),
        "delivered": delivered.delivered,
        "pushed": delivered.pushed,
        "pulls": delivered.pulls.iter().map(|(number, url)| serde_json::json!({"number": number, "url": url}))
            .collect::<Vec<_>>(),
        "comment": delivered.comment,
        "troubles": delivered.troubles,
        "would": delivered.would,
        "lost": published.lost.as_ref().map(|lost| lost.words(published.delivered.forge)),
    });
    format!("{value}\n")
}

fn in_words(request: &Request, published: &Published) -> String {
    let mut out = format!("run {}\n", request.run);
    for line in published.lines() {
        let _ = writeln!(out, "  {line}");
    }
    out
}
