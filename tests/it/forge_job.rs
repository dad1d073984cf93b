//! The stages of `omk ci` as jobs would start them, without a runner: a token, the runner's
//! variables, a checkout.
//!
//! Faster than `forge_act.rs`, and what a job is told can be changed on the way. Nothing of the
//! caller's environment reaches omk but PATH.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::forge_door::rig;
use crate::forge_world::{Event, ForgeWorld, REPOSITORY, git};

/// The permissions of each job, as the example workflows grant them.
pub(crate) const GATE: &[(&str, &str)] = &[
    ("contents", "read"),
    ("pull-requests", "write"),
    ("issues", "write"),
    ("checks", "write"),
    ("actions", "write"),
];
/// See [`GATE`].
pub(crate) const RUN: &[(&str, &str)] = &[("contents", "read"), ("actions", "read")];
/// See [`GATE`].
pub(crate) const JUDGE: &[(&str, &str)] = &[("contents", "read")];
/// See [`GATE`].
pub(crate) const PUBLISH: &[(&str, &str)] = &[
    ("contents", "write"),
    ("pull-requests", "write"),
    ("issues", "write"),
    ("checks", "write"),
];
/// What one job for everything needs.
pub(crate) const ONE_JOB: &[(&str, &str)] = &[
    ("contents", "write"),
    ("pull-requests", "write"),
    ("issues", "write"),
    ("checks", "write"),
    ("actions", "write"),
];

/// How a job's omk ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What it wrote to `$GITHUB_OUTPUT`.
    pub(crate) outputs: BTreeMap<String, String>,
    /// What it wrote to `$GITHUB_STEP_SUMMARY`.
    pub(crate) summary: String,
}

impl Job {
    /// That it ended so; all it said where it did not.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- out\n{}\n--- err\n{}",
            self.out,
            self.err
        );
        self
    }

    /// That a person can read this in the log.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.out.contains(text) || self.err.contains(text);
        assert!(
            said,
            "it does not say {text:?}\n--- out\n{}\n--- err\n{}",
            self.out, self.err
        );
        self
    }

    /// An output; empty where there is none.
    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }
}

/// How the jobs of one workflow run ended; one that was not started is `None`.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// The workflow run's number.
    pub(crate) number: u64,
    pub(crate) intake: Job,
    pub(crate) run: Option<Job>,
    pub(crate) judge: Option<Job>,
    pub(crate) publish: Option<Job>,
}

impl Jobs {
    /// That all four were started, and how publish ended.
    #[track_caller]
    pub(crate) fn published(self) -> Job {
        let told = format!("{self:#?}");
        self.publish.unwrap_or_else(|| panic!("{told}"))
    }
}

impl ForgeWorld {
    /// Begins another run of the workflow; its number.
    pub(crate) fn workflow_run(&self, event: &Event) -> u64 {
        self.run.set(self.run.get() + 1);
        let run = json!({"id": self.run.get(), "event": event.name});
        self.door.control("runs", &run);
        self.run.get()
    }

    /// Clones the repository as a job's checkout does, without credentials left in it.
    #[track_caller]
    pub(crate) fn checkout(&self, name: &str, commit: &str) -> PathBuf {
        let to = self.at(name);
        std::fs::create_dir_all(&to).unwrap();
        git(&to, &["init", "--quiet", "--initial-branch=main"]);
        git(
            &to,
            &[
                "remote",
                "add",
                "origin",
                &format!("{}/{REPOSITORY}", self.door.url),
            ],
        );
        git(
            &to,
            &[
                "fetch",
                "--quiet",
                "--depth=1",
                &self.remote("maintainer"),
                commit,
            ],
        );
        git(&to, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
        to
    }

    /// A stage of `omk ci` as its job would start it, with a token of that job's permissions.
    /// `command` is empty for all stages in one job; `env` is set last, and may unset by an
    /// empty value.
    pub(crate) fn omk_ci(&self, command: &str, event: &Event, env: &[(&str, &str)]) -> Job {
        let (mut omk, place) = self.job(command, event, env);
        left(&omk.output().unwrap(), &place)
    }

    /// The same job, not yet started, and its machine: `workspace`, `bundle`, `temp`. [`left`]
    /// reads what it left there.
    pub(crate) fn job(
        &self,
        command: &str,
        event: &Event,
        env: &[(&str, &str)],
    ) -> (Command, PathBuf) {
        let permissions = match command {
            "gate" => GATE,
            "run" => RUN,
            "judge" => JUDGE,
            "publish" => PUBLISH,
            _ => ONE_JOB,
        };
        let token = self.door.token(permissions);
        let place = self.at(&format!(
            "job-{}-{}",
            self.run.get(),
            if command.is_empty() { "all" } else { command }
        ));
        std::fs::create_dir_all(place.join("temp")).unwrap();
        let file = |name: &str| place.join(name);
        std::fs::write(file("event.json"), event.payload.to_string()).unwrap();
        for name in ["output", "summary", "env", "path", "state"] {
            std::fs::write(file(name), "").unwrap();
        }
        let workspace = file("workspace");
        std::fs::create_dir_all(&workspace).unwrap();
        let mut omk = Command::new(env!("CARGO_BIN_EXE_omk"));
        omk.arg("ci").current_dir(&workspace).env_clear();
        omk.env("PATH", std::env::var_os("PATH").unwrap())
            .env("LANG", "C.UTF-8")
            .env("CI", "true");
        omk.env("HOME", self.at("home"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("TMPDIR", self.at("temp"));
        if self.reaches_out {
            omk.env("OMK_ROOM_AT_MOST", "landlock");
        }
        let run = self.run.get().to_string();
        let (url, root) = (self.door.url.as_str(), OsString::from);
        for (name, value) in [
            ("OMK_COMMAND", root(command)),
            ("OMK_TOKEN", root(&token)),
            ("OMK_BUNDLE", file("bundle").into()),
            ("OMK_WRITE_SPACING", root("0s")),
            ("GITHUB_ACTIONS", root("true")),
            ("GITHUB_EVENT_NAME", root(event.name)),
            ("GITHUB_EVENT_PATH", file("event.json").into()),
            ("GITHUB_API_URL", root(url)),
            ("GITHUB_SERVER_URL", root(url)),
            ("GITHUB_REPOSITORY", root(REPOSITORY)),
            ("GITHUB_RUN_ID", root(&run)),
            ("GITHUB_RUN_ATTEMPT", root("1")),
            ("GITHUB_SHA", root(&self.tip("main"))),
            ("GITHUB_REF", root("refs/heads/main")),
            ("GITHUB_REF_NAME", root("main")),
            ("GITHUB_WORKSPACE", workspace.into()),
            ("GITHUB_OUTPUT", file("output").into()),
            ("GITHUB_STEP_SUMMARY", file("summary").into()),
            ("GITHUB_ENV", file("env").into()),
            ("GITHUB_PATH", file("path").into()),
            ("GITHUB_STATE", file("state").into()),
            ("RUNNER_TEMP", file("temp").into()),
            ("RUNNER_ENVIRONMENT", root("self-hosted")),
        ] {
            omk.env(name, value);
        }
        for (name, value) in env {
            match *value {
                "" => omk.env_remove(name),
                value => omk.env(name, value),
            };
        }
        omk.stdin(Stdio::null());
        (omk, place)
    }

    /// All four jobs, as the example workflow has them. `env` is for the one that runs.
    pub(crate) fn jobs(&self, event: &Event, env: &[(&str, &str)]) -> Jobs {
        let run = self.workflow_run(event);
        let intake = self.omk_ci("intake", event, &[]);
        let mut jobs = Jobs {
            number: run,
            intake,
            run: None,
            judge: None,
            publish: None,
        };
        if jobs.intake.output("go") == "true" {
            self.later_jobs(event, &mut jobs, env);
        }
        self.door.control(
            "runs",
            &json!({"id": run, "status": "completed", "conclusion": "success"}),
        );
        jobs
    }

    fn later_jobs(&self, event: &Event, jobs: &mut Jobs, env: &[(&str, &str)]) {
        let (run, base) = (jobs.number, jobs.intake.output("base").to_owned());
        let request = jobs.intake.output("request").to_owned();
        for job in ["run", "judge", "publish"] {
            self.checkout(&format!("job-{run}-{job}/workspace"), &base);
        }
        let mut told = vec![("OMK_REQUEST", request.as_str())];
        let given: Vec<(&str, &str)> = told.iter().chain(env).copied().collect();
        let ran = self.omk_ci("run", event, &given);
        let (artifact, trouble) = (
            ran.output("artifact").to_owned(),
            ran.output("trouble").to_owned(),
        );
        self.artifact("upload", &artifact, run, "run");
        jobs.run = Some(ran);
        if !artifact.is_empty() {
            self.artifact("download", &artifact, run, "judge");
            self.artifact("download", &artifact, run, "publish");
            jobs.judge = Some(self.omk_ci("judge", event, &told));
        }
        let judgement = jobs
            .judge
            .as_ref()
            .map(|job| job.output("judgement").to_owned())
            .unwrap_or_default();
        told.extend([
            ("OMK_JUDGEMENT", judgement.as_str()),
            ("OMK_TROUBLE", trouble.as_str()),
        ]);
        jobs.publish = Some(self.omk_ci("publish", event, &told));
    }

    /// Brings a job's bundle to the forge, or from it; nothing where there is none.
    fn artifact(&self, way: &str, name: &str, run: u64, job: &str) {
        let mut python = Command::new("python3");
        python
            .arg(rig().join("actions/upload-artifact/artifact.py"))
            .arg(way)
            .env_clear();
        python
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("NAME", name)
            .env("GITHUB_RUN_ID", run.to_string());
        python
            .env("AT", self.at(&format!("job-{run}-{job}/bundle")))
            .env("GITHUB_SERVER_URL", &self.door.url);
        assert!(python.stdout(Stdio::null()).status().unwrap().success());
    }
}

/// What a job left on its machine.
pub(crate) fn left(output: &Output, place: &Path) -> Job {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Job {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
        outputs: outputs(&std::fs::read_to_string(place.join("output")).unwrap()),
        summary: std::fs::read_to_string(place.join("summary")).unwrap(),
    }
}

/// What a job's file of outputs says: `name=value`, or a value between delimiters.
fn outputs(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut lines) = (BTreeMap::new(), text.lines());
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line
            .split_once("<<")
            .filter(|(name, _)| !name.contains('='))
        {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}
