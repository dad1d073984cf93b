//! The runner's variables and the action's inputs, as a workflow's author and a stranger would set
//! them.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::super::inputs::{ForgeLogin, JobStage, UploadInput};
use super::*;

const USUAL: [(&str, &str); 6] = [
    ("GITHUB_EVENT_NAME", "issue_comment"),
    ("GITHUB_EVENT_PATH", "/t/event.json"),
    ("GITHUB_REPOSITORY", "acme/widget"),
    ("GITHUB_RUN_ID", "77"),
    ("GITHUB_WORKSPACE", "/w"),
    ("RUNNER_TEMP", "/t"),
];

fn caller(more: &[(&str, &str)]) -> Caller {
    let pair = |&(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    USUAL.iter().chain(more).map(pair).collect()
}

fn parse_with(more: &[(&str, &str)], secrets: &[(&str, &str)]) -> Result<Runner, CommandFailure> {
    let secret = |&(name, value): &(&str, &str)| (name.to_owned(), Secret::new(value.to_owned()));
    Runner::parse(&caller(more), secrets.iter().map(secret).collect(), false)
}

fn parse(more: &[(&str, &str)]) -> Result<Runner, CommandFailure> {
    parse_with(more, &[])
}

#[test]
fn usual_values_hold_where_nothing_is_given() {
    let runner = parse(&[]).unwrap();
    let ForgeJob::GitHub(workflow) = &runner.host else {
        panic!("{:?}", runner.host)
    };
    assert_eq!(workflow.event, EventName::IssueComment);
    assert_eq!(
        (runner.api.as_str(), runner.url.as_str()),
        ("https://api.github.com", "https://github.com/acme/widget")
    );
    assert_eq!(
        runner.workflow.url,
        "https://github.com/acme/widget/actions/runs/77"
    );
    assert_eq!((runner.workflow.id, runner.workflow.attempt), (77, 1));
    assert_eq!(runner.inputs.stage, JobStage::Whole);
    assert_eq!(runner.inputs.plan.to_string(), "omk.yaml");
    assert_eq!(runner.inputs.bundle, Path::new("/t/omk-bundle"));
    assert_eq!(runner.inputs.upload, UploadInput::State);
    assert_eq!(runner.inputs.spacing, Duration::from_secs(1));
    assert_eq!(runner.machine, Machine::OwnOrUnknown);
    assert!(!runner.inputs.dry_run && !runner.inputs.unsafe_one_job);
    assert!(runner.inputs.speaker.is_none() && runner.inputs.key.is_none());
}

#[test]
fn the_intake_job_may_still_be_called_gate() {
    for command in ["intake", "gate"] {
        let runner = parse(&[("OMK_COMMAND", command)]).unwrap();
        assert_eq!(runner.inputs.stage, JobStage::Intake, "{command}");
    }
}

#[test]
fn inputs_are_typed() {
    let runner = parse(&[
        ("GITHUB_API_URL", "https://ghe.acme.example/api/v3/"),
        ("GITHUB_SERVER_URL", "https://ghe.acme.example"),
        ("GITHUB_RUN_ATTEMPT", "3"),
        ("OMK_COMMAND", "run"),
        (
            "OMK_ARGS",
            "--workers 2 --cassette 'a dir' --limits time=1h,usd=2 --fail-fast",
        ),
        ("OMK_WRITE_SPACING", "0s"),
        ("OMK_UPLOAD", "full"),
        ("OMK_DRY_RUN", "true"),
        ("RUNNER_ENVIRONMENT", "github-hosted"),
    ])
    .unwrap();
    assert_eq!(runner.api, "https://ghe.acme.example/api/v3");
    assert_eq!(runner.workflow.attempt, 3);
    assert_eq!(runner.inputs.stage, JobStage::Run);
    assert_eq!(runner.inputs.run.how.workers, Some(2));
    assert_eq!(
        runner.inputs.run.how.cassette.as_deref(),
        Some(Path::new("a dir"))
    );
    assert_eq!(runner.inputs.run.how.limits, ["time=1h", "usd=2"]);
    assert!(runner.inputs.run.fail_fast && runner.inputs.dry_run);
    assert_eq!(runner.inputs.spacing, Duration::ZERO);
    assert_eq!(runner.machine, Machine::OwnOrUnknown);
}

#[test]
fn a_machine_that_only_looks_hosted_keeps_its_sudo() {
    let hosted = [
        ("GITHUB_ACTIONS", "true"),
        ("RUNNER_ENVIRONMENT", "github-hosted"),
        ("ImageVersion", "20261101.1.0"),
    ];
    assert_eq!(parse(&hosted).unwrap().machine, Machine::Hosted);
    assert_eq!(
        parse(&[&hosted[..], &[("ACT", "true")]].concat())
            .unwrap()
            .machine,
        Machine::OwnOrUnknown
    );
    for missing in 0..hosted.len() {
        let mut some = hosted.to_vec();
        some.remove(missing);
        assert_eq!(
            parse(&some).unwrap().machine,
            Machine::OwnOrUnknown,
            "without {:?}",
            hosted[missing]
        );
    }
}

#[test]
fn an_app_is_preferred_to_a_token_and_needs_both_its_parts() {
    let secrets = [
        ("OMK_TOKEN", "ghs_1"),
        ("OMK_APP_PRIVATE_KEY", "-----BEGIN"),
    ];
    let both = parse_with(&[("OMK_APP_ID", "12")], &secrets).unwrap();
    assert!(matches!(
        both.inputs.speaker,
        Some(ForgeLogin::App { id: 12, .. })
    ));
    assert!(matches!(
        parse_with(&[], &secrets[..1]).unwrap().inputs.speaker,
        Some(ForgeLogin::Token(_))
    ));
    assert!(parse_with(&[("OMK_APP_ID", "12")], &secrets[..1]).is_err());
    assert!(parse_with(&[], &secrets[1..]).is_err());
    assert!(parse_with(&[("OMK_APP_ID", "12; rm -rf /")], &secrets).is_err());
}

#[test]
fn the_given_key_comes_before_the_variable_that_the_plan_names() {
    let secrets = [("OMK_KEY", "given"), ("KIMI_API_KEY", "named")];
    let key = |secrets: &[(&str, &str)]| {
        parse_with(&[], secrets)
            .unwrap()
            .key("KIMI_API_KEY")
            .map(|key| key.expose().to_owned())
    };
    assert_eq!(key(&secrets).as_deref(), Some("given"));
    assert_eq!(key(&secrets[1..]).as_deref(), Some("named"));
    assert_eq!(key(&[("OMK_KEY", " ")]), None);
}

#[test]
fn no_secret_is_printed() {
    let secrets = [
        ("OMK_TOKEN", "ghs_hidden"),
        ("OMK_KEY", "sk-hidden"),
        ("OTHER_SECRET", "x-hidden"),
    ];
    let runner = parse_with(&[], &secrets).unwrap();
    let shown = format!("{runner:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert_eq!(runner.scrubber().scrub("a ghs_hidden b"), "a *** b");
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let hostile: &[(&str, &str)] = &[
        ("GITHUB_REPOSITORY", "acme/widget/../other"),
        ("GITHUB_REPOSITORY", "acme/.."),
        ("GITHUB_REPOSITORY", "acme/widget?x=1"),
        ("GITHUB_REPOSITORY", "acme"),
        ("GITHUB_RUN_ID", "77/../8"),
        ("GITHUB_RUN_ID", "-1"),
        ("GITHUB_RUN_ID", "0"),
        ("GITHUB_RUN_ATTEMPT", "0"),
        ("GITHUB_API_URL", "file:///etc/passwd"),
        ("GITHUB_API_URL", "https://user:pass@host"),
        ("GITHUB_API_URL", "https://host/?to=elsewhere"),
        ("GITHUB_SERVER_URL", "javascript:alert(1)"),
        ("RUNNER_TEMP", "relative"),
        ("RUNNER_TEMP", ""),
        ("GITHUB_EVENT_NAME", ""),
        ("GITHUB_EVENT_PATH", ""),
        ("OMK_COMMAND", "gate; ls"),
        ("OMK_PLAN", "../omk.yaml"),
        ("OMK_PLAN", "/etc/passwd"),
        ("OMK_PLAN", "a//b"),
        ("OMK_PLAN", "\"quoted\""),
        ("OMK_UPLOAD", "all"),
        ("OMK_DRY_RUN", "yes"),
        ("OMK_UNSAFE_ONE_JOB", "1"),
        ("OMK_WRITE_SPACING", "1"),
        ("OMK_ARGS", "--workers 'open"),
        ("OMK_ARGS", "--base main"),
        ("OMK_ARGS", "--plan other.yaml"),
        ("OMK_ARGS", "task"),
        ("OMK_ARGS", "--workers 0"),
        ("OMK_REQUEST", "{}"),
        ("OMK_REQUEST", "[[[["),
        ("OMK_JUDGEMENT", "null"),
    ];
    for (name, value) in hostile {
        let failure = parse(&[(name, value)]).expect_err(value);
        assert!(
            failure.error.contains(name),
            "{name}={value}: {}",
            failure.error
        );
        assert_eq!(failure.kind, FailureKind::Usage);
    }
}

#[test]
fn a_request_of_another_version_or_repository_or_size_is_refused() {
    let request = |repository: &str, version: u32| {
        serde_json::json!({
            "version": version, "run": "20261122t185155z-4f2a9c", "scope": "pr-12",
            "trigger": {"event": "comment", "actor": "octocat"}, "ask": {"what": "run", "tasks": []},
            "repository": repository, "base": "1".repeat(40), "default_branch": "main", "rules": "2".repeat(40),
            "plan": {"path": "omk.yaml", "digest": "3".repeat(64), "commit": null, "uncommitted": false},
            "workflow": {"id": 77, "attempt": 1, "url": "https://github.com/acme/widget/actions/runs/77"},
        })
        .to_string()
    };
    let given = |json: &str| parse(&[("OMK_REQUEST", json)]);
    assert_eq!(
        given(&request("acme/widget", 1))
            .unwrap()
            .inputs
            .request
            .unwrap()
            .scope
            .as_str(),
        "pr-12"
    );
    assert!(
        given(&request("acme/other", 1))
            .unwrap_err()
            .error
            .contains("another repository")
    );
    assert!(
        given(&request("acme/widget", 2))
            .unwrap_err()
            .error
            .contains("version 2")
    );
    let large = format!("{}{}", request("acme/widget", 1), " ".repeat(1 << 20));
    assert!(
        given(&large)
            .unwrap_err()
            .error
            .contains("larger than 1 MiB")
    );
}

const PIPELINE: [(&str, &str); 12] = [
    ("GITLAB_CI", "true"),
    ("CI_SERVER_URL", "https://gitlab.example/git"),
    ("CI_API_V4_URL", "https://gitlab.example/git/api/v4"),
    ("CI_PROJECT_ID", "9"),
    ("CI_PROJECT_PATH", "acme/tools/widget"),
    (
        "CI_PROJECT_URL",
        "https://gitlab.example/git/acme/tools/widget",
    ),
    ("CI_PROJECT_DIR", "/builds/acme/tools/widget"),
    ("CI_PIPELINE_ID", "77"),
    ("CI_PIPELINE_SOURCE", "trigger"),
    ("CI_COMMIT_REF_NAME", "main"),
    ("CI_DEFAULT_BRANCH", "main"),
    ("GITLAB_USER_LOGIN", "root"),
];

fn pipeline_with(
    more: &[(&str, &str)],
    secrets: &[(&str, &str)],
) -> Result<Runner, CommandFailure> {
    let pair = |&(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let secret = |&(name, value): &(&str, &str)| (name.to_owned(), Secret::new(value.to_owned()));
    let caller: Caller = PIPELINE.iter().chain(more).map(pair).collect();
    Runner::parse(&caller, secrets.iter().map(secret).collect(), false)
}

#[test]
fn a_job_of_a_pipeline_is_read_by_gitlabs_variables() {
    let runner = pipeline_with(&[("GITHUB_RUN_ID", "x"), ("OMK_TASKS", "a b")], &[]).unwrap();
    assert_eq!(runner.forge, ForgeKind::GitLab);
    assert_eq!(runner.api, "https://gitlab.example/git/api/v4");
    assert_eq!(
        runner.workflow.url,
        "https://gitlab.example/git/acme/tools/widget/-/pipelines/77"
    );
    assert_eq!(
        runner.url_of_run(5),
        "https://gitlab.example/git/acme/tools/widget/-/pipelines/5"
    );
    assert_eq!(
        runner.inputs.bundle,
        Path::new("/builds/acme/tools/widget/omk-out/bundle")
    );
    assert_eq!(runner.temp, Path::new("/tmp"));
    let remote = runner
        .remote("oauth2", &Secret::new("glpat".to_owned()))
        .unwrap();
    assert_eq!(
        remote.url(),
        "https://gitlab.example/git/acme/tools/widget.git"
    );
    let pipeline = runner.pipeline().unwrap();
    assert_eq!(
        (
            pipeline.source.as_str(),
            pipeline.project,
            pipeline.tasks.as_str()
        ),
        ("trigger", 9, "a b")
    );
    assert_eq!(
        (pipeline.run_job.as_str(), pipeline.judge_job.as_str()),
        ("omk-run", "omk-judge")
    );
    assert!(pipeline.merge_request.is_none() && !pipeline.poll && pipeline.payload.is_none());
    assert!(
        pipeline_with(&[("OMK_POLL", "true")], &[])
            .unwrap()
            .pipeline()
            .unwrap()
            .poll
    );
}

#[test]
fn a_pipeline_of_a_merge_request_names_the_commit_that_is_to_be_merged() {
    let (merged, head) = ("2".repeat(40), "1".repeat(40));
    let request = [
        ("CI_MERGE_REQUEST_IID", "12"),
        ("CI_MERGE_REQUEST_PROJECT_ID", "8"),
        (
            "CI_MERGE_REQUEST_PROJECT_URL",
            "https://gitlab.example/git/up/widget",
        ),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "9"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_COMMIT_SHA", merged.as_str()),
    ];
    let read = |more: &[(&str, &str)]| {
        let runner = pipeline_with(&[&request[..], more].concat(), &[]).unwrap();
        let pipeline = runner.pipeline().unwrap();
        (
            pipeline.merge_request.clone().unwrap(),
            pipeline.target_url.clone().unwrap(),
        )
    };
    let (found, url) = read(&[]);
    assert_eq!(
        (found.number, found.project, found.source_project),
        (12, 8, Some(9))
    );
    assert_eq!(
        (found.head.as_str(), url.as_str()),
        (merged.as_str(), "https://gitlab.example/git/up/widget.git")
    );
    let (found, _) = read(&[("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", &head)]);
    assert_eq!(found.head.as_str(), head);
}

#[test]
fn what_an_earlier_job_could_report_as_a_variable_is_not_read() {
    let hostile = [
        ("OMK_REQUEST", "{}"),
        ("OMK_JUDGEMENT", "null"),
        ("OMK_TROUBLE", "x"),
        ("OMK_RUN_RESULT", "cancelled"),
        ("OMK_BUNDLE", "/etc"),
        ("OMK_APP_ID", "12"),
    ];
    let inputs = pipeline_with(&hostile, &[("OMK_APP_PRIVATE_KEY", "x")])
        .unwrap()
        .inputs;
    assert!(inputs.request.is_none() && inputs.judgement.is_none() && inputs.speaker.is_none());
    assert!(inputs.trouble.is_none() && inputs.run_result.is_none());
    assert_eq!(
        inputs.bundle,
        Path::new("/builds/acme/tools/widget/omk-out/bundle")
    );
}

#[test]
fn what_is_missing_or_malformed_in_a_pipeline_is_named() {
    let hostile: &[(&str, &str)] = &[
        ("CI_PROJECT_PATH", "widget"),
        ("CI_PROJECT_PATH", "acme/../widget"),
        ("CI_PROJECT_PATH", "acme//widget"),
        ("CI_PROJECT_ID", "0"),
        ("CI_PROJECT_ID", "9;"),
        ("CI_PIPELINE_ID", ""),
        ("CI_PROJECT_DIR", "relative"),
        ("CI_API_V4_URL", "file:///etc"),
        ("CI_PROJECT_URL", "https://gitlab-ci-token:x@host/a/b"),
        ("CI_SERVER_URL", ""),
        ("CI_PIPELINE_SOURCE", ""),
        ("TMPDIR", "relative"),
        ("OMK_POLL", "1"),
        ("OMK_PLAN", "../x"),
    ];
    for (name, value) in hostile {
        let failure = pipeline_with(&[(name, value)], &[]).expect_err(name);
        assert!(
            failure.error.contains(name),
            "{name}={value}: {}",
            failure.error
        );
        assert!(
            !failure.render().contains("GITHUB") && !failure.render().contains("action"),
            "{}",
            failure.render()
        );
    }
    let bad = [
        ("CI_MERGE_REQUEST_IID", "12"),
        ("CI_COMMIT_SHA", "HEAD"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
    ];
    assert!(
        pipeline_with(&bad, &[])
            .unwrap_err()
            .error
            .contains("CI_COMMIT_SHA")
    );
}

#[tokio::test]
async fn each_job_of_a_pipeline_speaks_with_the_token_that_is_meant_for_it() {
    let both = [("OMK_TOKEN", "glpat-given"), ("CI_JOB_TOKEN", "glcbt-job")];
    let who = async |stage: &str, secrets: &[(&str, &str)]| {
        let access = pipeline_with(&[("OMK_COMMAND", stage)], secrets)
            .unwrap()
            .access()
            .await;
        access.map(|access| (access.user, access.token.expose().to_owned()))
    };
    let given = ("oauth2", "glpat-given".to_owned());
    let job = ("gitlab-ci-token", "glcbt-job".to_owned());
    for (stage, expected) in [
        ("intake", &given),
        ("publish", &given),
        ("", &given),
        ("run", &job),
        ("judge", &job),
    ] {
        assert_eq!(who(stage, &both).await.unwrap(), *expected, "{stage}");
    }
    assert_eq!(who("run", &both[1..]).await.unwrap(), job);
    for (stage, needs) in [
        ("intake", "`api`"),
        ("publish", "`write_repository`"),
        ("judge", "`read_api`"),
        ("", "`api`"),
    ] {
        let failure = who(stage, &both[1..]).await.unwrap_err();
        let told = failure.render();
        assert!(
            told.contains("OMK_TOKEN")
                && told.contains(needs)
                && told.contains("environment scope"),
            "{told}"
        );
        assert!(
            stage.is_empty() || told.contains(&format!("omk/{stage}")),
            "{told}"
        );
        assert!(
            told.contains("role Developer"),
            "nobody below it gets a job's artifacts: {told}"
        );
        assert_eq!(
            told.contains("tokens of one account"),
            matches!(stage, "intake" | "publish"),
            "{told}"
        );
        assert_eq!(failure.kind, FailureKind::Blocked);
    }
    assert!(who("run", &[]).await.is_err());
}

#[test]
fn polling_is_for_gitlab() {
    let polled = Runner::parse(&caller(&[]), BTreeMap::new(), true).unwrap_err();
    assert!(polled.render().contains("GitLab"), "{}", polled.render());
}
