//! Runs, requests and gates of many kinds, for the texts and the delivery.

use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::Event;
use omk_action::plan::RoomLevel;
use omk_action::proof::JudgedBy;
use omk_action::report::{LimitsView, TaskStage, TaskView, VERSION, View};
use omk_action::request::{Ask, PullScope, Request, StartedBy};
use omk_action::text::ForgeKind;

/// Half past six on a Sunday.
const START: i64 = 1_795_372_200_000;

pub(crate) fn at(seconds: i64) -> Moment {
    Moment::from_millis(START + 1000 * seconds)
}

pub(crate) fn tip(digit: char) -> Tip {
    let hex = digit.to_string().repeat(40);
    Tip {
        commit: hex.parse().unwrap(),
        tree: hex.parse().unwrap(),
    }
}

/// A run that was asked for in a comment on pull request 12.
pub(crate) fn request() -> Request {
    Request {
        version: omk_action::request::VERSION,
        run: "20261122t185155z-4f2a9c".parse().unwrap(),
        scope: "pr-12".parse().unwrap(),
        trigger: Trigger {
            event: Event::Comment,
            actor: "ann".to_owned(),
            comment: Some("https://github.com/acme/widget/pull/12#issuecomment-7".to_owned()),
        },
        ask: Ask::Run { tasks: Vec::new() },
        forge: ForgeKind::GitHub,
        repository: "acme/widget".to_owned(),
        base: tip('b').commit,
        pull: Some(PullScope {
            number: 12,
            head: "feature".to_owned(),
            base: "main".to_owned(),
        }),
        default_branch: "main".to_owned(),
        rules: tip('d').commit,
        plan: PlanSource {
            path: "omk.yaml".to_owned(),
            digest: Sha256::of(b"plan"),
            commit: Some(tip('d').commit),
            uncommitted: false,
        },
        approved_by: None,
        comment: Some(7),
        check: Some(71),
        workflow: StartedBy {
            id: 9_001,
            attempt: 1,
            url: "https://github.com/acme/widget/actions/runs/9001".to_owned(),
        },
        previous: None,
        dry_run: false,
    }
}

/// The same, at GitLab.
pub(crate) fn at_gitlab(mut request: Request) -> Request {
    request.forge = ForgeKind::GitLab;
    if let Some(pull) = &request.pull {
        request.scope = format!("mr-{}", pull.number).parse().unwrap();
    }
    if request.trigger.comment.is_some() {
        request.trigger.comment =
            Some("https://gitlab.test/acme/widget/-/merge_requests/12#note_7".to_owned());
    }
    request.workflow.url = "https://gitlab.test/acme/widget/-/pipelines/9001".to_owned();
    request
}

/// A run by schedule on the default branch.
pub(crate) fn nightly() -> Request {
    let mut request = request();
    request.scope = "nightly".parse().unwrap();
    request.trigger = Trigger {
        event: Event::Schedule,
        actor: "schedule".to_owned(),
        comment: None,
    };
    (request.pull, request.comment) = (None, None);
    request
}

pub(crate) fn gate(id: &str, verdict: GateVerdict) -> GateOutcome {
    let log = format!("running {id}\n");
    GateOutcome {
        gate: id.parse().unwrap(),
        command: format!("make {id}"),
        required: true,
        verdict,
        against_base: None,
        counts_as_passed: matches!(
            verdict,
            GateVerdict::Passed | GateVerdict::Flaky | GateVerdict::Reused
        ),
        exit: Some(if verdict == GateVerdict::Failed {
            101
        } else {
            0
        }),
        duration_ms: 61_500,
        attempts: 1,
        log: Some(LogEvidence {
            path: format!("logs/gate-{id}-1.log"),
            sha256: Sha256::of(log.as_bytes()),
            bytes: log.len() as u64,
            head: log,
            tail: String::new(),
        }),
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

/// A failing gate with so many failing items, each at its own line.
pub(crate) fn failing_gate(id: &str, items: u32) -> GateOutcome {
    let item = |number: u32| FailingItem {
        key: format!("suite::test_{number}"),
        message: "assertion `left == right` failed\n left: 1".to_owned(),
        place: Some(Location {
            path: "src/api.rs".to_owned(),
            line: number + 1,
            end_line: number + 1,
        }),
        level: ItemLevel::Error,
    };
    let mut gate = gate(id, GateVerdict::Failed);
    gate.failing = (0..items.min(200)).map(item).collect();
    gate.failing_total = items;
    gate
}

pub(crate) fn landed(digit: char) -> TaskStage {
    TaskStage::Completed {
        landed: Some(tip(digit)),
        ejected: None,
    }
}

pub(crate) fn task(id: &str, stage: TaskStage) -> TaskView {
    TaskView {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        stage,
        attempts: 1,
        retry_count: 0,
        executions: 3,
        priority: 0,
        dependencies: Vec::new(),
        owner: None,
        failure: None,
        started: Some(at(10)),
        ended: Some(at(105)),
        worked_ms: 95_000,
        command: None,
        refused_hosts: Vec::new(),
        unreached_hosts: Vec::new(),
        gates: vec![gate("test", GateVerdict::Passed)],
        paths: vec![format!("src/{id}.rs").parse().unwrap()],
        tokens: Tokens {
            input: 40_000,
            cached_input: 100_000,
            output: 5_000,
            reasoning: 0,
        },
        cost_micro_usd: Some(51_500),
    }
}

pub(crate) fn failed_task(id: &str) -> TaskView {
    let mut task = task(id, TaskStage::Failed);
    let message = "gate `test` failed: 2 tests\n@everyone look <img src=x>".to_owned();
    task.failure = Some(Failure::new(Class::Gate, message));
    task.attempts = 3;
    task
}

/// A run of `request` with the result `c`, judged in a job of its own.
pub(crate) fn view(request: &Request, verdict: RunVerdict, tasks: Vec<TaskView>) -> View {
    View {
        version: VERSION,
        omk: "0.6.0".to_owned(),
        run: request.run.clone(),
        scope: request.scope.clone(),
        plan: "nightly".parse().unwrap(),
        plan_path: "omk.yaml".to_owned(),
        plan_digest: Sha256::of(b"plan").to_string(),
        trigger: request.trigger.clone(),
        verdict: Some(verdict),
        started: at(0),
        ended: Some(at(724)),
        base: tip('b'),
        result: Some(tip('c')),
        branch: format!("omk/run/{}", request.scope),
        limits: LimitsView {
            workers: Some(4),
            time_ms: None,
            tokens: Some(2_000_000),
            micro_usd: None,
        },
        limited: None,
        tokens: Tokens {
            input: 120_000,
            cached_input: 300_000,
            output: 15_000,
            reasoning: 0,
        },
        cost_micro_usd: Some(154_500),
        tasks,
        gates: vec![gate("test", GateVerdict::Passed)],
        containment: Some(Containment {
            level: RoomLevel::Sealed,
            subreaper: true,
            why_not: None,
        }),
        room_exceptions: Vec::new(),
        judged_by: Some(JudgedBy::SeparateJob),
        warnings: Vec::new(),
        unplaced: None,
        next: Vec::new(),
    }
}

/// Two tasks that landed, one on top of the other.
pub(crate) fn good(request: &Request) -> View {
    let deps = task("deps", landed('1'));
    let mut api = task("api", landed('2'));
    api.name = "Split the API module".to_owned();
    api.dependencies = vec![deps.id.clone()];
    view(request, RunVerdict::Ready, vec![deps, api])
}

/// One task that landed, one that failed, and one that had to wait for it.
pub(crate) fn bad(request: &Request) -> View {
    let mut docs = task(
        "docs",
        TaskStage::Cancelled {
            why: "api failed".to_owned(),
        },
    );
    docs.dependencies = vec!["api".parse().unwrap()];
    (docs.gates, docs.paths) = (Vec::new(), Vec::new());
    view(
        request,
        RunVerdict::NotReady,
        vec![task("deps", landed('1')), failed_task("api"), docs],
    )
}
