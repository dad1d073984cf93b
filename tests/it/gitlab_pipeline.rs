//! The component as a real runner reads it, with a stand-in that tells what an `omk ci` would find:
//! whose token, whose files, which arguments; and inputs that try to get out of their place.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::gitlab_component::JOBS;
use crate::gitlab_runner::{Runner, pairs, said};

/// Tells its environment and the files around it, and leaves what each job leaves; also what it
/// should not.
const STAND_IN: &str = r#"#!/bin/sh
[ "$1" = ci ] || exit 0
mkdir -p omk-out seen
find . -name .git -prune -o -type f -print | grep -v '^./seen/' >seen/files || true
env -0 >seen/environment
mkdir -p omk-out/log && cp seen/* omk-out/log/
case $OMK_COMMAND in
    intake) echo '{}' >omk-out/request.json ;;
    run) mkdir -p omk-out/bundle .git && echo x >omk-out/bundle/run.json && echo evil >.git/config ;;
esac
echo LD_PRELOAD=/evil.so >omk-out/omk.env
"#;

fn example(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/gitlab/{name}.gitlab-ci.yml"));
    std::fs::read_to_string(path).unwrap()
}

/// An example with more inputs, each a line of YAML; the image brings omk, whatever is released.
fn with_inputs(name: &str, inputs: &[&str]) -> String {
    let mut lines = vec!["version: \"\""];
    lines.extend(inputs);
    let more: String = lines.iter().map(|line| format!("\n      {line}")).collect();
    example(name).replacen("    inputs:", &format!("    inputs:{more}"), 1)
}

/// What a job's stand-in saw: its environment, and the files around it.
fn saw(runner: &Runner, job: &str) -> (BTreeMap<String, String>, String) {
    let log = runner.artifacts(job).join("omk-out/log");
    let read = |name: &str| std::fs::read_to_string(log.join(name)).unwrap();
    let environment = read("environment");
    let pairs = environment
        .split_terminator('\0')
        .filter_map(|line| line.split_once('='));
    (
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        read("files"),
    )
}

fn started(source: &str) -> Vec<(String, String)> {
    pairs(&[
        ("CI_PIPELINE_SOURCE", source),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_COMMIT_REF_NAME", "main"),
    ])
}

#[test]
fn each_job_has_its_own_token_and_finds_the_gates_files_alone() {
    let root = tempfile::tempdir().unwrap();
    let settings = json!({
        "OMK_TOKEN": {"omk/intake": "for-intake", "omk/judge": "for-judge", "omk/publish": "for-publish"},
        "KIMI_API_KEY": {"omk/run": "the-key"},
    });
    let inputs = [
        r#"args: --note '$HOME "quoted" \ $(id) `id`'"#,
        "run-timeout: 5h 30m",
        "tags: [big]",
    ];
    let runner = Runner::new(
        root.path(),
        &with_inputs("comment-poll", &inputs),
        &settings,
    );
    runner.program("omk", STAND_IN);
    // A project's own defaults and variables would reach the jobs.
    let own = "variables: { OMK_UNSAFE_ONE_JOB: 'true' }\ndefault: { before_script: [echo evil, exit 1], cache: { paths: [x] } }\n";
    let path = runner.at("project/.gitlab-ci.yml");
    std::fs::write(
        &path,
        format!("{}{own}", std::fs::read_to_string(&path).unwrap()),
    )
    .unwrap();
    for job in JOBS {
        let out = runner.job(job, &started("schedule"));
        assert!(out.status.success(), "{job}: {}", said(&out));
    }
    for (job, token, key) in [
        ("omk-intake", Some("for-intake"), None),
        ("omk-run", None, Some("the-key")),
        ("omk-judge", Some("for-judge"), None),
        ("omk-publish", Some("for-publish"), None),
    ] {
        let (environment, files) = saw(&runner, job);
        // A boolean comes with a space, which makes a text of it.
        let of = |name: &str| environment.get(name).map(|value| value.trim_end());
        assert_eq!((of("OMK_TOKEN"), of("KIMI_API_KEY")), (token, key), "{job}");
        assert_eq!(of("OMK_COMMAND"), job.strip_prefix("omk-"), "{job}");
        assert_eq!(
            (of("OMK_PLAN"), of("OMK_UPLOAD"), of("OMK_DRY_RUN")),
            (Some("omk.yaml"), Some("state"), Some("false"))
        );
        assert_eq!(
            (
                of("GIT_STRATEGY"),
                of("OMK_UNSAFE_ONE_JOB"),
                of("LD_PRELOAD")
            ),
            (Some("empty"), None, None),
            "{job}"
        );
        assert_eq!(
            of("OMK_POLL"),
            (job == "omk-intake").then_some("true"),
            "{job}"
        );
        let args = (job == "omk-run").then_some(r#"--note '$HOME "quoted" \ $(id) `id`'"#);
        assert_eq!(
            of("OMK_ARGS"),
            args,
            "{job}: as it was written, and nothing of it expanded"
        );
        let wanted = if job == "omk-intake" {
            ""
        } else {
            "./omk-out/request.json"
        };
        let found: Vec<&str> = files
            .lines()
            .filter(|file| !file.contains("/log/") && !file.ends_with("omk.env"))
            .collect();
        assert_eq!(found.join(" "), wanted, "{job}");
    }
    let left: Vec<_> = std::fs::read_dir(runner.artifacts("omk-run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["omk-out"], "nothing else is kept of a job");
}

#[test]
fn who_starts_a_pipeline_decides_which_jobs_it_has() {
    let root = tempfile::tempdir().unwrap();
    let four = [
        "omk-intake on_success",
        "omk-run on_success",
        "omk-judge always",
        "omk-publish always",
    ];
    let runner = |name: &str| Runner::new(&root.path().join(name), &example(name), &json!({}));
    let whole = runner("comment-webhook");
    for source in ["trigger", "api"] {
        assert_eq!(whole.listed(&started(source)), four, "{source}");
    }
    let mut elsewhere = started("trigger");
    elsewhere[1].1 = "feature".to_owned();
    assert_eq!(whole.listed(&elsewhere), [""; 0], "another branch");
    for source in ["push", "parent_pipeline"] {
        assert_eq!(whole.listed(&started(source)), [""; 0], "{source}");
    }
    let merge_request = pairs(&[
        ("CI_PIPELINE_SOURCE", "merge_request_event"),
        ("CI_COMMIT_BRANCH", ""),
    ]);
    assert_eq!(whole.listed(&merge_request), four[..1]);
    assert_eq!(runner("plan-check").listed(&merge_request), four[..1]);
    assert_eq!(runner("schedule").listed(&started("schedule")), four);
    let one = runner("one-job");
    for variables in [merge_request, started("trigger")] {
        assert_eq!(one.listed(&variables), ["agents on_success"]);
    }
    let checked = with_inputs("comment-webhook", &["plan-check: false"]);
    let off = Runner::new(&root.path().join("off"), &checked, &json!({}));
    assert_eq!(
        off.listed(&pairs(&[
            ("CI_PIPELINE_SOURCE", "merge_request_event"),
            ("CI_COMMIT_BRANCH", "")
        ])),
        [""; 0]
    );
}

#[test]
fn an_input_that_does_not_fit_is_refused_before_there_is_a_pipeline() {
    let root = tempfile::tempdir().unwrap();
    let cases = [
        (r#"plan: "omk.yaml\n  script: [id]""#, "`plan`"),
        (r#"plan: "omk.yaml'; id; '""#, "`plan`"),
        (r#"args: "a\nb""#, "`args`"),
        ("poll: sometimes", "`poll`"),
        ("tags: one", "`tags`"),
        (r#"mirror: "file:///etc""#, "`mirror`"),
        (r#"resource-group: "$(id)""#, "`resource-group`"),
        (r#"keep: "1 day\nwhen: never""#, "`keep`"),
        ("image: node:24", "does not match"),
    ];
    for (at, (input, wanted)) in cases.iter().enumerate() {
        let pinned = example("comment-webhook");
        let given = match input.strip_prefix("image:") {
            Some(image) => {
                let line = pinned
                    .lines()
                    .find(|line| line.contains("image: $CI"))
                    .unwrap()
                    .to_owned();
                pinned.replacen(&line, &format!("      image:{image}"), 1)
            }
            None => pinned.replacen("    inputs:", &format!("    inputs:\n      {input}"), 1),
        };
        let runner = Runner::new(&root.path().join(at.to_string()), &given, &json!({}));
        let out = runner.gitlab_ci_local(&["--list"], &started("schedule"));
        let text = said(&out);
        assert!(
            !out.status.success()
                && text.contains("configuration is invalid")
                && text.contains(wanted),
            "{input}: {text}"
        );
    }
}

#[test]
fn a_job_whose_omk_fails_fails_and_still_leaves_what_it_has() {
    let root = tempfile::tempdir().unwrap();
    let runner = Runner::new(
        root.path(),
        &with_inputs("comment-webhook", &[]),
        &json!({}),
    );
    runner.program(
        "omk",
        "#!/bin/sh\n[ \"$1\" = ci ] || exit 0\nmkdir -p omk-out\necho why >omk-out/trouble.txt\nexit 3\n",
    );
    let out = runner.job("omk-run", &started("trigger"));
    assert!(!out.status.success(), "{}", said(&out));
    let trouble = runner.artifacts("omk-run").join("omk-out/trouble.txt");
    assert_eq!(std::fs::read_to_string(trouble).unwrap(), "why\n");
}
