//! The GitLab component and its examples: what each job may, needs and leaves, and nothing that
//! could be talked into more.
//!
//! What linters say of them is in `scripts/test`; here is what no linter knows, and what cannot be
//! seen without a GitLab.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Map, Value, json};

pub(crate) const JOBS: [&str; 4] = ["omk-intake", "omk-run", "omk-judge", "omk-publish"];

const STARTED: &str = "$CI_PIPELINE_SOURCE =~ /^(schedule|web|api|trigger)$/ && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH";
const MERGE_REQUEST: &str =
    r#""$[[ inputs.plan-check ]]" == "true" && $CI_PIPELINE_SOURCE == "merge_request_event""#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The component's header, and its jobs.
fn component() -> (Value, Value) {
    let text = text("templates/omk.yml");
    let (header, jobs) = text.split_once("\n---\n").unwrap();
    (
        serde_yaml::from_str(header).unwrap(),
        serde_yaml::from_str(jobs).unwrap(),
    )
}

fn inputs() -> Map<String, Value> {
    component().0["spec"]["inputs"].as_object().unwrap().clone()
}

/// A job with what it extends, merged as GitLab does: maps key by key, everything else replaced.
fn job(name: &str) -> Value {
    let (_, jobs) = component();
    let mut whole = jobs[".omk-job"].clone();
    assert_eq!(jobs[name]["extends"], ".omk-job", "{name}");
    merge(&mut whole, &jobs[name]);
    whole
}

fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

/// All lines of a job's scripts.
fn scripts(job: &Value) -> Vec<String> {
    let lists = ["before_script", "script", "after_script"]
        .into_iter()
        .filter_map(|key| job[key].as_array());
    lists
        .flatten()
        .flat_map(|line| {
            line.as_str()
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_component_is_four_jobs_and_what_they_share() {
    let (_, jobs) = component();
    let wanted: BTreeSet<&str> = JOBS.into_iter().chain([".omk-job"]).collect();
    assert_eq!(
        keys(&jobs).into_iter().collect::<BTreeSet<_>>(),
        wanted,
        "whoever includes it gets nothing else of ours"
    );
}

#[test]
fn every_input_is_described_typed_held_to_a_pattern_and_used() {
    let text = text("templates/omk.yml");
    let (_, body) = text.split_once("\n---\n").unwrap();
    for (name, input) in inputs() {
        let described = input["description"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} is not described"));
        assert!(
            described.ends_with('.') && described.len() > 15,
            "{name}: {described}"
        );
        let kind = input["type"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} has no type"));
        assert_eq!(
            input.get("default").is_none(),
            name == "image",
            "only the image must be given: {name}"
        );
        if kind == "string" && input["options"].is_null() {
            let pattern = input["regex"]
                .as_str()
                .unwrap_or_else(|| panic!("{name} takes any text"));
            assert!(
                pattern.starts_with('^') && pattern.ends_with('$'),
                "{name}: {pattern}"
            );
        }
        assert!(
            body.contains(&format!("$[[ inputs.{name} ]]")),
            "{name} is asked for and ignored"
        );
    }
    let used = body
        .split("$[[ inputs.")
        .skip(1)
        .map(|rest| rest.split(" ]]").next().unwrap());
    let unknown: Vec<_> = used.filter(|name| !inputs().contains_key(*name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_image_is_pinned_by_digest_or_refused() {
    let pattern = inputs()["image"]["regex"].as_str().unwrap().to_owned();
    assert!(pattern.ends_with("@sha256:[0-9a-f]{64}$"), "{pattern}");
    for name in JOBS {
        assert_eq!(job(name)["image"], "$[[ inputs.image ]]", "{name}");
        assert!(job(name)["services"].is_null(), "{name}");
    }
}

#[test]
fn nothing_is_pasted_into_scripts_and_omk_takes_the_jobs_place() {
    let known = [
        "OMK_VERSION",
        "OMK_MIRROR",
        "OMK_SHA256_X86_64",
        "OMK_SHA256_AARCH64",
        "CI_PROJECT_DIR",
        "PATH",
        "1",
        "2",
        "target",
        "wanted",
        "own",
        "archive",
        "address",
        "found",
    ];
    for name in JOBS {
        let lines = scripts(&job(name));
        assert_eq!(
            lines.last().map(String::as_str),
            Some("exec omk ci"),
            "{name}"
        );
        for line in &lines {
            assert!(
                !line.contains("$[["),
                "{name}: an input in a script: {line}"
            );
            assert!(!line.contains("eval"), "{name}: {line}");
            for rest in line
                .split('$')
                .skip(1)
                .filter(|rest| !rest.starts_with('('))
            {
                let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                let named = rest.trim_start_matches('{').split(ends).next().unwrap();
                assert!(known.contains(&named), "{name}: ${named} in `{line}`");
            }
        }
    }
}

#[test]
fn what_inputs_give_to_variables_is_not_expanded() {
    for name in JOBS {
        for (key, value) in job(name)["variables"].as_object().unwrap() {
            let whole = value.as_str().or_else(|| value["value"].as_str()).unwrap();
            let from_input = whole.contains("$[[");
            assert!(
                !from_input || value["expand"] == false,
                "{name}: {key} would expand `$NAME` in an input"
            );
            assert!(
                !whole.replace("$[[", "").contains('$'),
                "{name}: {key} refers to another variable"
            );
            // GitLab interpolates a whole value as its input's type, and refuses a variable that is
            // no text.
            let input = whole
                .strip_prefix("$[[ inputs.")
                .and_then(|rest| rest.strip_suffix(" ]]"));
            assert!(
                input.is_none_or(|input| inputs()[input]["type"] == "string"),
                "{name}: {key} would be no text"
            );
        }
    }
}

#[test]
fn each_job_has_an_environment_of_its_own_name_and_deploys_nothing() {
    for name in JOBS {
        let wanted = json!({"name": name.replace('-', "/"), "action": "access"});
        assert_eq!(
            job(name)["environment"],
            wanted,
            "variables are scoped by it"
        );
        assert_eq!(
            job(name)["variables"]["OMK_COMMAND"],
            name.trim_start_matches("omk-")
        );
    }
}

#[test]
fn no_job_has_a_checkout_an_earlier_jobs_files_or_a_projects_defaults() {
    for name in JOBS {
        let job = job(name);
        assert_eq!(job["variables"]["GIT_STRATEGY"], "empty", "{name}");
        assert_eq!(
            job["inherit"],
            json!({"default": false, "variables": false}),
            "{name}"
        );
        assert_eq!(job["cache"], json!([]), "{name}");
        assert_eq!(job["interruptible"], false, "{name}");
        assert_eq!(
            job["retry"],
            json!({"max": 1, "when": ["runner_system_failure"]}),
            "{name}"
        );
        for key in [
            "id_tokens",
            "secrets",
            "services",
            "after_script",
            "trigger",
            "dependencies",
            "allow_failure",
            "hooks",
        ] {
            assert!(job[key].is_null(), "{name} has {key}");
        }
    }
}

#[test]
fn no_secret_has_a_value_or_even_a_name_in_the_component() {
    for name in JOBS {
        let variables = job(name)["variables"].clone();
        let secret = |key: &&str| {
            ["TOKEN", "KEY", "SECRET", "PASSWORD"]
                .iter()
                .any(|word| key.contains(word))
        };
        assert_eq!(
            keys(&variables).into_iter().find(secret),
            None,
            "{name}: project variables would not win over all of it"
        );
    }
}

#[test]
fn of_what_a_job_leaves_the_runner_hands_on_the_gates_alone() {
    let need = |job: &str, artifacts: bool| json!({"job": job, "artifacts": artifacts});
    assert_eq!(job("omk-intake")["needs"], json!([]));
    assert_eq!(job("omk-run")["needs"], json!([need("omk-intake", true)]));
    assert_eq!(
        job("omk-judge")["needs"],
        json!([need("omk-intake", true), need("omk-run", false)])
    );
    let publish = json!([
        need("omk-intake", true),
        need("omk-run", false),
        need("omk-judge", false)
    ]);
    assert_eq!(job("omk-publish")["needs"], publish);
}

#[test]
fn only_publish_sets_variables_and_only_developers_see_what_jobs_leave() {
    let quality = "omk-out/gl-code-quality-report.json";
    let reports = [
        ("omk-intake", json!({"codequality": quality})),
        ("omk-run", Value::Null),
        ("omk-judge", Value::Null),
        (
            "omk-publish",
            json!({"dotenv": "omk-out/omk.env", "junit": "omk-out/junit.xml", "codequality": quality}),
        ),
    ];
    for (name, wanted) in reports {
        let artifacts = &job(name)["artifacts"];
        assert_eq!(artifacts["reports"], wanted, "{name}");
        assert_eq!(artifacts["paths"], json!(["omk-out/"]), "{name}");
        assert_eq!(
            (&artifacts["when"], &artifacts["access"]),
            (&json!("always"), &json!("developer")),
            "{name}"
        );
        assert_eq!(artifacts["expire_in"], "$[[ inputs.keep ]]", "{name}");
        assert!(
            artifacts["untracked"].is_null() && artifacts["public"].is_null(),
            "{name}"
        );
    }
}

#[test]
fn merge_requests_get_a_plan_check_and_only_the_default_branch_gets_runs() {
    let started = |when: Option<&str>| match when {
        Some(when) => json!({"if": STARTED, "when": when}),
        None => json!({"if": STARTED}),
    };
    assert_eq!(
        job("omk-intake")["rules"],
        json!([{"if": MERGE_REQUEST}, started(None)])
    );
    assert_eq!(job("omk-run")["rules"], json!([started(None)]));
    for name in ["omk-judge", "omk-publish"] {
        assert_eq!(
            job(name)["rules"],
            json!([started(Some("always"))]),
            "{name}: whatever became of the others"
        );
    }
}

#[test]
fn only_the_run_waits_for_another_and_each_job_ends() {
    for name in JOBS {
        assert_eq!(
            job(name)["resource_group"].is_string(),
            name == "omk-run",
            "{name}"
        );
        assert!(job(name)["timeout"].is_string(), "{name}");
    }
}

#[test]
fn the_component_names_the_release_that_this_commit_names() {
    let release = text("RELEASE");
    let named = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")))
            .map(str::trim)
    };
    let none = named("version") == Some("none");
    let marked = [
        ("version", "version"),
        ("mirror", "from"),
        ("sha256-x86_64", "x86_64-unknown-linux-musl"),
        ("sha256-aarch64", "aarch64-unknown-linux-musl"),
    ];
    for (input, name) in marked {
        let wanted = named(name).filter(|_| !none).unwrap_or_default();
        assert_eq!(inputs()[input]["default"], wanted, "{input}");
        let line = format!("      default: \"{wanted}\" # release: {name}\n");
        assert!(
            text("templates/omk.yml").contains(&line),
            "the release would not find it: {line}"
        );
    }
    assert!(text(".github/workflows/release.yml").contains(" RELEASE templates/omk.yml\n"));
}

// The script that brings omk, as a job's shell runs it.

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "mirror", "made", "builds/widget"] {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let machine = Self { root };
        machine.program("made/omk", "echo omk 9.8.7 \"$@\"");
        let archive = "mirror/omk-9.8.7-x86_64-unknown-linux-musl.tar.gz";
        let tar = Command::new("tar")
            .arg("-czf")
            .arg(machine.at(archive))
            .arg("omk")
            .current_dir(machine.at("made"))
            .status();
        assert!(tar.unwrap().success());
        machine.program(
            "bin/uname",
            "case $1 in -s) echo Linux;; -m) echo x86_64;; *) echo Linux x86_64;; esac",
        );
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self, name: &str, line: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.at(name), format!("#!/bin/sh\n{line}\n")).unwrap();
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn digest(&self) -> String {
        let archive =
            std::fs::read(self.at("mirror/omk-9.8.7-x86_64-unknown-linux-musl.tar.gz")).unwrap();
        omk_action::id::Sha256::of(&archive).to_string()
    }

    /// The gate's scripts as a runner puts them together, with these variables.
    fn runs(&self, variables: &[(&str, &str)]) -> Output {
        let path = format!(
            "{}:{}",
            self.at("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut shell = Command::new("bash");
        shell.args([
            "-c",
            &format!(
                "set -eo pipefail\n{}\n",
                scripts(&job("omk-intake")).join("\n")
            ),
        ]);
        shell
            .env("PATH", path)
            .env("CI_PROJECT_DIR", self.at("builds/widget"))
            .current_dir(self.at("builds/widget"));
        shell.env(
            "OMK_MIRROR",
            format!("file://{}/", self.at("mirror").display()),
        );
        for name in ["OMK_VERSION", "OMK_SHA256_X86_64", "OMK_SHA256_AARCH64"] {
            shell.env(name, "");
        }
        shell.envs(variables.iter().copied()).output().unwrap()
    }
}

fn said(out: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

#[test]
fn a_release_is_fetched_and_runs_where_its_digest_is_the_named_one() {
    let machine = Machine::new();
    let out = machine.runs(&[
        ("OMK_VERSION", "9.8.7"),
        ("OMK_SHA256_X86_64", &machine.digest()),
    ]);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "omk 9.8.7 --version\nomk 9.8.7 ci\n"
    );
    // A second job of the same directory finds what the first one left, and does not believe it.
    machine.program("builds/widget.tmp/omk-bin/omk", "echo forged");
    let out = machine.runs(&[
        ("OMK_VERSION", "9.8.7"),
        ("OMK_SHA256_X86_64", &machine.digest()),
    ]);
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "omk 9.8.7 --version\nomk 9.8.7 ci\n"
    );
}

#[test]
fn what_is_not_the_named_release_is_not_run() {
    let machine = Machine::new();
    let (digest, other) = (machine.digest(), "0".repeat(64));
    let version = ("OMK_VERSION", "9.8.7");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (
            &[version, ("OMK_SHA256_X86_64", &other)],
            "is not what this component names",
        ),
        (
            &[version, ("OMK_SHA256_AARCH64", &digest)],
            "no SHA-256 is given for x86_64-unknown-linux-musl",
        ),
        (
            &[("OMK_VERSION", "9.8.6"), ("OMK_SHA256_X86_64", &digest)],
            "failed to download file://",
        ),
        (
            &[
                version,
                ("OMK_SHA256_X86_64", &digest),
                ("OMK_MIRROR", "file:///nowhere; echo omk-pasted #"),
            ],
            "failed to download",
        ),
    ];
    for (variables, wanted) in cases {
        let out = machine.runs(variables);
        assert!(
            !out.status.success() && said(&out).contains(wanted),
            "{variables:?}: {}",
            said(&out)
        );
        assert!(
            !String::from_utf8_lossy(&out.stdout).contains("omk"),
            "{variables:?}: {}",
            said(&out)
        );
    }
    machine.program("bin/uname", "echo Plan9");
    let out = machine.runs(&[version, ("OMK_SHA256_X86_64", &digest)]);
    assert!(
        !out.status.success() && said(&out).contains("there is no release for Plan9"),
        "{}",
        said(&out)
    );
}

#[test]
fn an_image_that_brings_omk_fetches_nothing() {
    let machine = Machine::new();
    machine.program("bin/omk", "echo the image\\'s omk \"$@\"");
    let out = machine.runs(&[("OMK_MIRROR", "file:///nowhere")]);
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "the image's omk --version\nthe image's omk ci\n"
    );
}
