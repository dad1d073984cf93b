//! `omk judge`: a bundle that another job left, opened as hostile; its result, judged anew.
//!
//! It refuses to take the plan, the rules or the verdict from the bundle, and to judge without
//! having admitted it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::Judge;
use super::needs::{self, NeedsContext};
use super::session::{self, Secrets};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, base, checkout, disk};
use crate::bundle::{self, Admitted, BundleLimits, BundleRefused};
use crate::clock::Clock;
use crate::exec::environment::Caller;
use crate::exec::secret::shed_secrets;
use crate::exec::{NetworkReach, probe};
use crate::fact::{Began, Class, GateOutcome};
use crate::git::Anchor;
use crate::id::{CommitId, RepoPath, Sha256, Tip};
use crate::plain_file::{self, NotRead};
use crate::plan::{Plan, governed};
use crate::request::{self, Judgement, Request};
use crate::store::Store;
use crate::text::{self, Scrubber};
use crate::work::{self, AfterFailure, Pace, Tools, Unjudged};

/// A request is a job's output, of which a forge allows no more.
const REQUEST: u64 = 1 << 20;

/// The largest plan that is read, in bytes; the parser refuses what has more than 1 MiB.
const PLAN: u64 = 1 << 20;

/// A judgement reaches the job that publishes in a variable, and Linux starts no process with one
/// of more than 128 KiB, its name included.
pub(super) const JUDGEMENT: usize = 128_000;

pub(super) fn command(args: &Judge, terminal: &Terminal) -> Result<u8, CommandFailure> {
    // Secrets go before any thread; and before standard input is read, for omk may start itself
    // anew.
    let caller = Caller::read();
    let names: Vec<&str> = caller.secret_names().collect();
    let secrets = Secrets::known(shed_secrets(&names).map_err(super::failure::infra)?);
    let home = Home::find()?;
    let request = read_request(&args.bundle.request)?;
    let plan = read_plan(
        &home,
        &request,
        args.bundle.plan.as_deref(),
        args.bundle.rules.as_deref(),
    )?;
    let after_failure = AfterFailure::of(args.keep_going);
    let bench = Bench {
        home: &home,
        plan: &Arc::new(plan),
        scrubber: &secrets.scrubber(),
        after_failure,
    };
    let judgement = judge(&bench, &args.bundle.dir, &request)?;
    terminal.print(&if args.json {
        json(&judgement)?
    } else {
        in_words(&judgement)
    });
    Ok(judgement.verdict.exit_code())
}

/// Where gates run outside of a run, by which plan, and how.
pub(super) struct Bench<'a> {
    pub(super) home: &'a Home,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) scrubber: &'a Scrubber,
    pub(super) after_failure: AfterFailure,
}

/// Opens the bundle in `dir`, admits it, runs the required gates on its result, and says what that
/// makes of the run. Must not be called inside a runtime; [`judge_there`] is for that.
pub(super) fn judge(
    bench: &Bench<'_>,
    dir: &Path,
    request: &Request,
) -> Result<Judgement, CommandFailure> {
    let runtime = super::runtime::of_all_cores()?;
    let judgement = runtime.block_on(judge_there(bench, dir, request));
    runtime.shutdown_background();
    judgement
}

/// As [`judge`], inside a runtime.
pub(super) async fn judge_there(
    bench: &Bench<'_>,
    dir: &Path,
    request: &Request,
) -> Result<Judgement, CommandFailure> {
    let admitted = admit(bench.home, dir, request, bench.plan, bench.scrubber)?;
    let (gates, missing) = match &admitted.result {
        Some(result) => {
            let missing = base::submodules(&NeedsContext::of_judge(
                bench.home,
                bench.plan,
                &result.tree,
            ))?;
            (
                run_gates(bench, request, &admitted, result).await?,
                missing.in_words(),
            )
        }
        None => (Vec::new(), Vec::new()),
    };
    let mut judgement = bundle::judge(request, &admitted, gates);
    // This clone may lack what the run had.
    judgement.warnings.extend(missing);
    Ok(bundle::fit(judgement, JUDGEMENT))
}

/// Opens and admits the bundle in `dir`: what judging and publishing begin with.
pub(super) fn admit(
    home: &Home,
    dir: &Path,
    request: &Request,
    plan: &Arc<Plan>,
    scrubber: &Scrubber,
) -> Result<Admitted, CommandFailure> {
    let refused = |refused: BundleRefused| {
        let kind = if refused.is_host() {
            FailureKind::Infra
        } else {
            FailureKind::NotReady
        };
        CommandFailure::new(
            kind,
            format!("the bundle {} is refused: {refused}", dir.display()),
        )
        .advised_by(&refused)
    };
    let opened = bundle::open(dir, &BundleLimits::default()).map_err(refused)?;
    let admitted = bundle::admit(&home.repo, opened, request, plan).map_err(refused)?;
    admitted
        .refuse_secrets(&home.repo, scrubber)
        .map_err(refused)?;
    Ok(admitted)
}

async fn run_gates(
    bench: &Bench<'_>,
    request: &Request,
    admitted: &Admitted,
    result: &Tip,
) -> Result<Vec<GateOutcome>, CommandFailure> {
    let ground = NeedsContext::of_judge(bench.home, bench.plan, &result.tree);
    // The notes were printed by the run.
    needs::check(&ground, &session::shepherd(bench.scrubber.clone())?).await?;
    let began = admitted.engine.began().cloned();
    let began = began
        .ok_or_else(|| CommandFailure::new(FailureKind::Infra, "the admitted run has not begun"))?;
    // Where trusted files come from is the request's to say, not the bundle's.
    let began = Began {
        plan: request.plan.clone(),
        trigger: request.trigger.clone(),
        ..began
    };
    let judged = gates_on(bench, began, result).await?;
    judged.map_err(|unjudged| match unjudged {
        Unjudged::Interrupted => CommandFailure::new(
            FailureKind::Infra,
            "judging was interrupted, so nothing is proven",
        )
        .hint("run the job again; the bundle is still there"),
        Unjudged::Failed(_) => not_judged("the result", &unjudged),
    })
}

/// Gates could not be run: this machine has to be set up first, or it failed.
pub(super) fn not_judged(what: &str, why: &Unjudged) -> CommandFailure {
    let kind = match why {
        Unjudged::Failed(failure) if failure.class == Class::Config => FailureKind::Blocked,
        Unjudged::Failed(_) | Unjudged::Interrupted => FailureKind::Infra,
    };
    CommandFailure::new(kind, format!("failed to judge {what}: {why}")).advised_by(why)
}

/// Runs the plan's required gates on a commit, as that run would, until a signal stops it.
pub(super) async fn gates_on(
    bench: &Bench<'_>,
    began: Began,
    tip: &Tip,
) -> Result<Result<Vec<GateOutcome>, Unjudged>, CommandFailure> {
    let Bench {
        home,
        plan,
        scrubber,
        after_failure,
    } = *bench;
    let caller = checkout::caller(home);
    let shepherd = session::shepherd(scrubber.clone())?;
    let tools = Tools {
        level: probe(&shepherd, NetworkReach::Open).await.level,
        repo: home.repo.clone(),
        anchor: Anchor::new(&home.repo, &began.run),
        pool: disk::pool(home, &caller)?.refusing(scrubber.clone()),
        shepherd,
        caller,
        plan: Arc::clone(plan),
        // Logs of a run that may lie in this very repository are not written over.
        run_dir: Store::new(&home.store.root().join("judged")).dir(&began.run),
        began,
        agent: None,
        scrubber: scrubber.clone(),
        kept: HashMap::new(),
        // How many at once is this machine's and the trusted plan's to say, not the bundle's.
        pace: Pace {
            workers: session::workers(plan),
            after_failure,
            ..Pace::default()
        },
        clock: Clock::start(),
    };
    let stop = CancellationToken::new();
    let listening = tokio::spawn(stop_on_signal(stop.clone()));
    let judged = work::judge_commit(tools, tip.clone(), stop).await;
    listening.abort();
    Ok(judged)
}

/// Where signals cannot be listened to, the system's own way of ending holds.
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
}

pub(super) fn read_request(path: &Path) -> Result<Request, CommandFailure> {
    let shown = path.display();
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin()
            .lock()
            .take(REQUEST + 1)
            .read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(NotRead::Io)
    } else {
        plain_file::read(path, REQUEST)
    };
    let bytes = read.map_err(|why| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read the request {shown}: {why}"),
        )
    })?;
    let bad = |why: String| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("{shown} is not a request: {why}"),
        )
        .hint(
            "pass the intake job's output `request` as it is; all jobs must use one version of omk",
        )
    };
    let request: Request =
        serde_json::from_slice(&bytes).map_err(|error| bad(text::clip(&error.to_string(), 200)))?;
    if request.version != request::VERSION {
        return Err(bad(format!(
            "it is of version {}, not {}",
            request.version,
            request::VERSION
        )));
    }
    Ok(request)
}

/// The effective plan of a request: tasks and gates from the one, rules from the other, neither
/// from the bundle.
pub(super) fn read_plan(
    home: &Home,
    request: &Request,
    plan: Option<&Path>,
    rules: Option<&Path>,
) -> Result<Plan, CommandFailure> {
    let bytes = match (plan, &request.plan.commit) {
        (Some(path), _) => read_file(path)?,
        (None, Some(commit)) => read_at(home, commit, &request.plan.path)?,
        (None, None) => {
            return Err(CommandFailure::new(
                FailureKind::Usage,
                "the request names no commit that the plan can be read at",
            )
            .hint("give the plan with `--plan FILE`"));
        }
    };
    let digest = Sha256::of(&bytes);
    if digest != request.plan.digest {
        let what = format!(
            "the plan has the digest {digest}, and the request names {}",
            request.plan.digest
        );
        return Err(CommandFailure::new(FailureKind::Usage, what)
            .hint("give the very file that the intake job read, with `--plan`"));
    }
    let rules = match rules {
        Some(path) => read_file(path)?,
        None => read_at(home, &request.rules, &request.plan.path)?,
    };
    let parse = |bytes: &[u8]| {
        // A plan without a name is named after the repository, as in the intake job.
        let directory = request.repository.rsplit('/').next().unwrap_or_default();
        crate::plan::parse(bytes, &request.plan.path, directory)
            .map_err(|complaints| CommandFailure::rendered(FailureKind::Usage, complaints.render()))
    };
    Ok(governed(parse(&bytes)?, &parse(&rules)?))
}

fn read_file(path: &Path) -> Result<Vec<u8>, CommandFailure> {
    plain_file::read(path, PLAN).map_err(|why| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read the plan {}: {why}", path.display()),
        )
    })
}

fn read_at(home: &Home, commit: &CommitId, path: &str) -> Result<Vec<u8>, CommandFailure> {
    let missing = |why: String| {
        CommandFailure::new(FailureKind::Usage, format!("failed to read {path} at {}: {why}", commit.short()))
            .hint("fetch that commit first (`git fetch origin COMMIT`), or give the file with `--plan` or `--rules`")
    };
    let at: RepoPath = path
        .parse()
        .map_err(|error: crate::id::BadName| missing(error.to_string()))?;
    let bytes = home
        .repo
        .read_file(commit, &at)
        .map_err(|error| missing(error.to_string()).advised_by(&error))?;
    bytes.ok_or_else(|| missing("there is no such file".to_owned()))
}

fn json(judgement: &Judgement) -> Result<String, CommandFailure> {
    Ok(serde_json::to_string(judgement).map_err(super::failure::infra)? + "\n")
}

fn in_words(judgement: &Judgement) -> String {
    let mut out = format!(
        "run {}, judged anew: {}\n",
        judgement.run,
        judgement.verdict.as_str()
    );
    match &judgement.result {
        Some(result) => {
            let landed = text::plural(judgement.landed.len(), "commit");
            let (result, base) = (result.commit.short(), judgement.base.commit.short());
            let _ = writeln!(out, "  result   {result}, {landed} on {base}");
        }
        None => out.push_str("  result   none\n"),
    }
    for gate in &judgement.gates {
        let time = text::duration(std::time::Duration::from_millis(gate.duration_ms));
        let notes: Vec<String> = Some(gate.note.clone())
            .filter(|note| !note.is_empty())
            .into_iter()
            .chain(gate.refusal())
            .collect();
        let note = if notes.is_empty() {
            String::new()
        } else {
            format!(" ({})", notes.join("; "))
        };
        let _ = writeln!(
            out,
            "  gate     {} {}, {time}{note}",
            gate.gate,
            gate.verdict.as_str()
        );
    }
    for warning in &judgement.warnings {
        let _ = writeln!(out, "  warning  {warning}");
    }
    out
}
