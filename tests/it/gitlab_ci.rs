//! The example pipelines under a real runner, against the offline GitLab: all jobs, real pushes,
//! the server's own state.
//!
//! gitlab-ci-local runs the jobs and picks their artifacts; between them each is uploaded with its
//! job's token, as a runner would, for later jobs ask the server for them. Tokens are variables
//! with environment scopes, as people set them.

use std::path::Path;

use serde_json::{Value, json};

use crate::forge_world::steady;
use crate::gitlab_job::{LabJob, Pipeline};
use crate::gitlab_runner::{Runner, said};
use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

const FOUR: [&str; 4] = ["intake", "run", "judge", "publish"];

/// The model's key, as a project's variable has it.
pub(crate) const KEY: &str = "sk-the-models-own-key-0123456789";

/// A world, and a runner that takes its jobs.
pub(crate) struct Site {
    pub(crate) world: GitLabWorld,
    pub(crate) runner: Runner,
}

impl Site {
    /// The world with an example as its configuration, and more inputs, each a line of YAML.
    pub(crate) fn new(world: GitLabWorld, example: &str, inputs: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("examples/gitlab/{example}.gitlab-ci.yml"));
        let lines = ["version: \"\""].into_iter().chain(inputs.iter().copied());
        let more: String = lines.map(|line| format!("\n      {line}")).collect();
        let configuration = std::fs::read_to_string(path).unwrap().replacen(
            "    inputs:",
            &format!("    inputs:{more}"),
            1,
        );
        let tokens = json!({
            "omk/intake": "glpat-intake", "omk/run": "glpat-run", "omk/judge": "glpat-judge", "omk/publish": "glpat-publish",
            "omk/one-job": "glpat-publish",
        });
        let settings = json!({"OMK_TOKEN": tokens, "KIMI_API_KEY": {"omk/run": KEY}, "OMK_WRITE_SPACING": {"*": "0s"}});
        let runner = Runner::new(&world.at("runner"), &configuration, &settings);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_omk"), runner.at("bin/omk")).unwrap();
        Self { world, runner }
    }

    /// One job: `gate`, or nothing for the one that does it all and is called `job`.
    fn takes(&self, command: &str, job: &str, pipeline: &Pipeline, settings: bool) -> LabJob {
        let (omk, place) = self.world.job(command, pipeline, &[]);
        let known = |name: &str| {
            name == "TRIGGER_PAYLOAD"
                || (name.starts_with("CI") && !name.ends_with("_DIR"))
                || name.starts_with("GITLAB_")
        };
        let told = omk.get_envs().filter_map(|(name, value)| {
            Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))
                .filter(|(name, _)| known(name))
        });
        let mut variables: Vec<(String, String)> = told.collect();
        let of_request = pipeline.source == "merge_request_event";
        variables.push((
            "CI_COMMIT_BRANCH".to_owned(),
            if of_request {
                String::new()
            } else {
                pipeline.branch.clone()
            },
        ));
        if !settings {
            // What is protected does not reach a pipeline of another branch.
            variables.extend([
                ("OMK_TOKEN".to_owned(), String::new()),
                ("KIMI_API_KEY".to_owned(), String::new()),
            ]);
        }
        let out = self.runner.job(job, &variables);
        for secret in [
            "glpat-intake",
            "glpat-run",
            "glpat-judge",
            "glpat-publish",
            KEY,
        ] {
            assert!(
                !said(&out).contains(secret),
                "{job} prints a secret: {}",
                said(&out)
            );
        }
        // What the job before left was for the job's own directory.
        let _ = std::fs::remove_dir_all(place.join("omk-out"));
        let picked = self.runner.artifacts(job).join("omk-out");
        if picked.is_dir() {
            std::fs::rename(
                copied(&picked, &self.world.at("picked")),
                place.join("omk-out"),
            )
            .unwrap();
        }
        self.world.ended(command, pipeline, &place, &out)
    }

    /// The four jobs of a pipeline of the default branch, all green.
    #[track_caller]
    pub(crate) fn four(&self, pipeline: &Pipeline) -> [LabJob; 4] {
        FOUR.map(|command| {
            self.takes(command, &format!("omk-{command}"), pipeline, true)
                .exits(0)
        })
    }
}

/// A copy of a directory at `to`, which is not there yet.
fn copied(from: &Path, to: &Path) -> std::path::PathBuf {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
    to.to_owned()
}

/// The names of what is there, runs' own names made steady.
fn refs(world: &GitLabWorld) -> Vec<String> {
    let names = world
        .refs()
        .into_keys()
        .filter(|name| name != "HEAD" && !name.starts_with("refs/merge-requests/"));
    names
        .map(|name| {
            if name.starts_with("refs/omk/proofs/") {
                "refs/omk/proofs/RUN".to_owned()
            } else {
                name
            }
        })
        .collect()
}

/// The open merge requests as lines.
fn requests(world: &GitLabWorld) -> String {
    let told = world.get("/merge_requests?state=opened&order_by=created_at&sort=asc");
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let line = |one: &Value| {
        format!(
            "!{} | {} | {} -> {}",
            one["iid"],
            text(one, "title"),
            text(one, "source_branch"),
            text(one, "target_branch")
        )
    };
    told.as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// That the comment became a merge request, judged apart, and what people find of it.
#[track_caller]
fn delivered(world: &GitLabWorld, note: &Value, jobs: &[LabJob; 4]) {
    assert_eq!(world.awards(note), "eyes, rocket");
    assert_eq!(
        refs(world),
        [
            "refs/heads/feature",
            "refs/heads/main",
            "refs/heads/omk/run/mr-12",
            "refs/omk/proofs/RUN"
        ]
    );
    let [gate, run, judge, publish] = jobs;
    assert!(
        gate.files["request.json"].contains("\"mr-12\"") && !gate.files.contains_key("omk.env")
    );
    assert!(
        run.files.keys().any(|name| name.starts_with("bundle/"))
            && run.files.contains_key("report.html")
    );
    assert!(
        judge.files["judgement.json"].contains("ready"),
        "{:?}",
        judge.files.get("judgement.json")
    );
    assert_eq!(
        (publish.dotenv("OMK_VERDICT"), publish.dotenv("OMK_BRANCH")),
        ("ready", "omk/run/mr-12")
    );
    assert_eq!(
        (
            publish.dotenv("OMK_SCOPE"),
            publish.dotenv("OMK_MERGE_REQUEST")
        ),
        ("mr-12", "13")
    );
    assert!(
        publish.files["junit.xml"].contains("<testsuite"),
        "{}",
        publish.files["junit.xml"]
    );
    assert_eq!(publish.files["gl-code-quality-report.json"].trim(), "[]");
}

#[test]
fn a_schedule_finds_a_comment_and_four_jobs_make_a_merge_request_of_it() {
    let site = Site::new(GitLabWorld::start(), "comment-poll", &[]);
    let world = &site.world;
    let (note, head) = (world.comments("maintainer", "/omk run"), world.tip(SOURCE));
    let jobs = site.four(&world.pipeline("schedule", "maintainer"));
    delivered(world, &note, &jobs);
    assert_eq!(world.tip(SOURCE), head, "the source branch is its author's");
    let result = world.tip("omk/run/mr-12");
    world.git(&["fetch", "--quiet", &world.remote("maintainer"), &result]);
    assert_eq!(world.git(&["show", "FETCH_HEAD:fix.txt"]), "right");
    steady(|| {
        insta::assert_snapshot!(world.status_lines(&head).join("\n"), @"omk: success (ready: 1 of 1 task completed)");
        insta::assert_snapshot!(world.status_lines(&result).join("\n"), @r"
        omk: success (ready: 1 of 1 task completed)
        omk / test: success (passed)
        ");
        insta::assert_snapshot!(requests(world), @r"
        !12 | A feature | feature -> main
        !13 | Draft: Write it down (for !12) | omk/run/mr-12 -> feature
        ");
        insta::assert_snapshot!(world.git(&["log", "-1", "--format=%an%n%B", "FETCH_HEAD"]), @r"
        omk[bot]
        Write it down

        Omk-Run: [run]
        Omk-Task: fix
        Omk-Attempt: 1
        Omk-Proof: [run]/fix
        Requested-by: maintainer
        ");
    });
    let replies = world.replies(REQUEST);
    assert!(
        replies.len() == 1 && replies[0].contains("judged_by: separate-job"),
        "{replies:#?}"
    );

    // The next poll finds nothing, and nothing is done.
    let before = world.writes();
    let idle = site.four(&world.pipeline("schedule", "maintainer"));
    assert!(
        idle.iter()
            .all(|job| !job.files.contains_key("bundle/run.json"))
    );
    assert_eq!(world.writes(), before);
}

#[test]
fn a_note_by_webhook_is_run_and_whoever_may_not_gets_a_reply() {
    let site = Site::new(GitLabWorld::start(), "comment-webhook", &[]);
    let world = &site.world;
    let refused = world.comments("reader", "/omk run");
    site.four(&world.hooked(&refused));
    assert_eq!(
        (world.awards(&refused), refs(world).len()),
        ("eyes, confused".to_owned(), 2)
    );
    let note = world.comments("maintainer", "/omk run");
    let jobs = site.four(&world.hooked(&note));
    delivered(world, &note, &jobs);
}

#[test]
fn a_merge_request_gets_a_plan_check_without_any_token() {
    let site = Site::new(GitLabWorld::start(), "comment-webhook", &[]);
    let world = &site.world;
    world.pushes(
        "contributor",
        SOURCE,
        &[(
            "omk.yaml",
            "version: 1\ntasks:\n  - { id: fix, run: true, write_sets: [x] }\n",
        )],
    );
    let pipeline = world.pipeline_on(
        "merge_request_event",
        "contributor",
        &format!("refs/merge-requests/{REQUEST}/head"),
    );
    let job = site.takes("intake", "omk-intake", &pipeline, false);
    assert_eq!(job.status, "failed", "{}{}", job.out, job.err);
    let remarks: Value = serde_json::from_str(&job.files["gl-code-quality-report.json"]).unwrap();
    assert_eq!(remarks[0]["location"]["path"], "omk.yaml");
    assert_eq!(remarks[0]["location"]["lines"]["begin"], 3, "{remarks}");
    assert!(
        job.files
            .get("request.json")
            .is_none_or(|request| request.trim() == "null"),
        "nothing is to be run"
    );
    assert!(
        job.files["summary.md"].contains("write_sets"),
        "{}",
        job.files["summary.md"]
    );
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn a_schedule_without_polling_is_maintenance() {
    let site = Site::new(GitLabWorld::start(), "schedule", &[]);
    let world = &site.world;
    let jobs = site.four(&world.pipeline("schedule", "maintainer"));
    assert_eq!(jobs[3].dotenv("OMK_VERDICT"), "ready");
    insta::assert_snapshot!(requests(world), @r"
    !12 | A feature | feature -> main
    !13 | Draft: Write it down | omk/run/widget -> main
    ");
}

#[test]
fn everything_in_one_job() {
    let site = Site::new(GitLabWorld::start(), "one-job", &[]);
    let world = &site.world;
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.hooked(&note);
    let job = site.takes("", "agents", &pipeline, true).exits(0);
    assert_eq!(
        world.awards(&note),
        "eyes, rocket",
        "{}{}",
        job.out,
        job.err
    );
    assert!(
        refs(world).contains(&"refs/heads/omk/run/mr-12".to_owned()),
        "{:?}",
        refs(world)
    );
    assert!(
        world.replies(REQUEST)[0].contains("judged_by: same-job"),
        "{:#?}",
        world.replies(REQUEST)
    );
}
