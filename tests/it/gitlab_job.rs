//! The jobs of a pipeline as a GitLab Runner would start them, without a runner.
//!
//! Each job gets its predefined variables, a project directory of its own without a checkout, the
//! artifacts of the jobs it needs, and a job token that works while it runs. Afterwards what lies
//! in `omk-out/` is uploaded with that token, and the job has a status. Nothing of the caller's
//! environment reaches omk but PATH.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![expect(
    dead_code,
    reason = "the stories of omk at GitLab are yet to use all of it"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::gitlab_world::{GitLabWorld, NUMBER, PROJECT, REQUEST};

/// The jobs of the component, their stages, and whose artifacts each finds in its directory.
const JOBS: &[(&str, &[&str])] = &[
    ("intake", &[]),
    ("run", &["intake"]),
    ("judge", &["intake"]),
    ("publish", &["intake"]),
];

/// The source of a merge request's own pipelines.
const OF_REQUEST: &str = "merge_request_event";

/// A pipeline that waits for its jobs.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) id: u64,
    /// `trigger`, `schedule`, `merge_request_event`, …
    pub(crate) source: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
    /// Who started it.
    pub(crate) login: String,
    /// The numbers of its jobs: `omk-intake`, or `agents` for all stages in one.
    pub(crate) jobs: BTreeMap<String, u64>,
    /// What is in the file that TRIGGER_PAYLOAD names.
    pub(crate) payload: Option<String>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct LabJob {
    pub(crate) id: u64,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What lay in its `omk-out/`: texts by path.
    pub(crate) files: BTreeMap<String, String>,
    /// `success`, `failed`, or `canceled` where it was cancelled meanwhile.
    pub(crate) status: String,
}

impl LabJob {
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

    /// A line of its dotenv report; empty where there is none.
    pub(crate) fn dotenv(&self, name: &str) -> &str {
        let lines = self.files.get("omk.env").map_or("", String::as_str).lines();
        lines
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }
}

/// How the four jobs of a pipeline ended; one that was not started is `None`.
#[derive(Debug)]
pub(crate) struct LabJobs {
    pub(crate) pipeline: Pipeline,
    pub(crate) intake: LabJob,
    pub(crate) run: Option<LabJob>,
    pub(crate) judge: Option<LabJob>,
    pub(crate) publish: Option<LabJob>,
}

impl LabJobs {
    /// That all four were started, and how publish ended.
    #[track_caller]
    pub(crate) fn published(self) -> LabJob {
        let told = format!("{self:#?}");
        self.publish.unwrap_or_else(|| panic!("{told}"))
    }
}

impl GitLabWorld {
    /// A pipeline on `main` with the component's four jobs and, for all stages in one job,
    /// `agents`.
    #[track_caller]
    pub(crate) fn pipeline(&self, source: &str, login: &str) -> Pipeline {
        self.pipeline_on(source, login, "main")
    }

    /// The pipeline that merge request 12 gets by itself.
    #[track_caller]
    pub(crate) fn request_pipeline(&self) -> Pipeline {
        self.pipeline_on(
            OF_REQUEST,
            "contributor",
            &format!("refs/merge-requests/{REQUEST}/head"),
        )
    }

    /// The same on another branch, or on the full name of a ref.
    #[track_caller]
    pub(crate) fn pipeline_on(&self, source: &str, login: &str, branch: &str) -> Pipeline {
        let commit = self
            .refs()
            .get(branch)
            .cloned()
            .unwrap_or_else(|| self.tip(branch));
        let given = json!({"source": source, "ref": branch, "sha": commit, "username": login, "jobs": names()});
        let told = self.door.control("pipelines", &given);
        read(&told, source, login, branch, &commit)
    }

    /// One stage of `omk ci` as its job of this pipeline; `command` is empty for all stages in one.
    /// `env` is set last, and may unset by an empty value.
    pub(crate) fn omk_ci(
        &self,
        command: &str,
        pipeline: &Pipeline,
        env: &[(&str, &str)],
    ) -> LabJob {
        let (mut omk, place) = self.job(command, pipeline, env);
        let output = omk.output().unwrap();
        self.ended(command, pipeline, &place, &output)
    }

    /// The same job, taken by its runner but not yet started, and its project directory.
    pub(crate) fn job(
        &self,
        command: &str,
        pipeline: &Pipeline,
        env: &[(&str, &str)],
    ) -> (Command, PathBuf) {
        let id = pipeline.jobs[&name_of(command)];
        let token = self.door.control("start_job", &json!({"job": id}))["token"]
            .as_str()
            .unwrap()
            .to_owned();
        let place = self.at("builds").join(id.to_string()).join(PROJECT);
        let temp = self.at("builds").join(format!("{id}.tmp"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::create_dir_all(&temp).unwrap();
        std::fs::write(temp.join("job-token"), &token).unwrap();
        let needs = JOBS
            .iter()
            .find(|(name, _)| *name == command)
            .map_or(&[][..], |(_, needs)| needs);
        for need in needs {
            unzip(&self.door.artifacts(pipeline.jobs[&name_of(need)]), &place);
        }
        let mut omk = Command::new(env!("CARGO_BIN_EXE_omk"));
        omk.arg("ci").current_dir(&place).env_clear();
        omk.env("PATH", std::env::var_os("PATH").unwrap())
            .env("LANG", "C.UTF-8");
        omk.env("HOME", self.at("home"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("TMPDIR", self.at("temp"));
        if self.reaches_out {
            omk.env("OMK_ROOM_AT_MOST", "landlock");
        }
        let access = if command.is_empty() {
            "publish"
        } else {
            command
        };
        for (name, value) in self.variables(command, pipeline, id, &place) {
            omk.env(name, value);
        }
        omk.env("CI_JOB_TOKEN", token).env("OMK_COMMAND", command);
        // It is a protected variable, which only pipelines of protected branches get.
        if pipeline.branch == "main" {
            omk.env("OMK_TOKEN", format!("glpat-{access}"));
        }
        if let Some(payload) = &pipeline.payload {
            std::fs::write(temp.join("TRIGGER_PAYLOAD"), payload).unwrap();
            omk.env("TRIGGER_PAYLOAD", temp.join("TRIGGER_PAYLOAD"));
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

    /// The variables that GitLab itself sets.
    fn variables(
        &self,
        command: &str,
        pipeline: &Pipeline,
        id: u64,
        place: &Path,
    ) -> Vec<(&'static str, String)> {
        let project = format!("{}/{PROJECT}", self.door.site);
        let mut told = vec![
            ("CI", "true".to_owned()),
            ("GITLAB_CI", "true".to_owned()),
            ("OMK_WRITE_SPACING", "0s".to_owned()),
            ("CI_API_V4_URL", self.door.api_url()),
            ("CI_SERVER_URL", self.door.site.clone()),
            ("CI_SERVER_HOST", "127.0.0.1".to_owned()),
            ("CI_PROJECT_ID", NUMBER.to_string()),
            ("CI_PROJECT_PATH", PROJECT.to_owned()),
            ("CI_PROJECT_NAME", "widget".to_owned()),
            ("CI_PROJECT_URL", project.clone()),
            ("CI_PROJECT_DIR", place.to_string_lossy().into_owned()),
            ("CI_PROJECT_VISIBILITY", "private".to_owned()),
            ("CI_PIPELINE_ID", pipeline.id.to_string()),
            (
                "CI_PIPELINE_URL",
                format!("{project}/-/pipelines/{}", pipeline.id),
            ),
            ("CI_PIPELINE_SOURCE", pipeline.source.clone()),
            ("CI_JOB_ID", id.to_string()),
            ("CI_JOB_NAME", name_of(command)),
            ("CI_JOB_URL", format!("{project}/-/jobs/{id}")),
            ("CI_COMMIT_SHA", pipeline.commit.clone()),
            ("CI_COMMIT_REF_NAME", self.ref_name(pipeline)),
            ("CI_DEFAULT_BRANCH", "main".to_owned()),
            (
                "CI_BUILDS_DIR",
                self.at("builds").to_string_lossy().into_owned(),
            ),
            ("GIT_STRATEGY", "empty".to_owned()),
            ("GITLAB_USER_LOGIN", pipeline.login.clone()),
        ];
        if pipeline.source == OF_REQUEST {
            let request = self.get(&format!("/merge_requests/{REQUEST}"));
            let text = |name: &str| {
                request[name]
                    .as_str()
                    .map_or_else(|| request[name].to_string(), str::to_owned)
            };
            told.extend([
                ("CI_MERGE_REQUEST_IID", REQUEST.to_string()),
                ("CI_MERGE_REQUEST_PROJECT_ID", NUMBER.to_string()),
                ("CI_MERGE_REQUEST_PROJECT_PATH", PROJECT.to_owned()),
                ("CI_MERGE_REQUEST_PROJECT_URL", project),
                (
                    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID",
                    text("source_project_id"),
                ),
                ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", text("source_branch")),
                ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", text("target_branch")),
            ]);
        }
        told
    }

    /// A merge request's pipeline is told the source branch, though the API tells a ref of the
    /// merge request's own.
    fn ref_name(&self, pipeline: &Pipeline) -> String {
        match pipeline.source.as_str() {
            OF_REQUEST => self.get(&format!("/merge_requests/{REQUEST}"))["source_branch"]
                .as_str()
                .unwrap()
                .to_owned(),
            _ => pipeline.branch.clone(),
        }
    }

    /// What the runner does when a job's script has ended: artifacts, then the status.
    pub(crate) fn ended(
        &self,
        command: &str,
        pipeline: &Pipeline,
        place: &Path,
        output: &Output,
    ) -> LabJob {
        let id = pipeline.jobs[&name_of(command)];
        let token =
            std::fs::read_to_string(self.at("builds").join(format!("{id}.tmp/job-token"))).unwrap();
        if place.join("omk-out").is_dir() {
            assert_eq!(
                self.uploads(id, &token, &zipped(place, "omk-out")),
                201,
                "the artifacts of {command}"
            );
        }
        let status = if output.status.success() {
            "success"
        } else {
            "failed"
        };
        let told = self
            .door
            .control("finish_job", &json!({"job": id, "status": status}));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        LabJob {
            id,
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            files: texts(&place.join("omk-out")),
            status: told["status"].as_str().unwrap().to_owned(),
        }
    }

    /// What whoever holds a job's token can do: uploads an archive as the job's artifacts; the
    /// answer's status.
    pub(crate) fn uploads(&self, job: u64, token: &str, archive: &[u8]) -> u16 {
        let head = b"--omk\r\nContent-Disposition: form-data; name=\"file\"; filename=\"artifacts.zip\"\r\n\r\n";
        let body = [&head[..], archive, b"\r\n--omk--\r\n"].concat();
        let headers = [
            ("JOB-TOKEN", token),
            ("Content-Type", "multipart/form-data; boundary=omk"),
        ];
        self.door
            .send(
                "POST",
                &format!("/gitlab/api/v4/jobs/{job}/artifacts"),
                &headers,
                &body,
            )
            .unwrap()
            .status
    }

    /// The jobs that the component has for such a pipeline: intake alone for a merge request's; else
    /// run too where intake did well, and judge and publish in any case, unless the pipeline was
    /// cancelled. `env` is for the one that runs.
    pub(crate) fn jobs(&self, pipeline: &Pipeline, env: &[(&str, &str)]) -> LabJobs {
        let intake = self.omk_ci("intake", pipeline, &[]);
        let well = intake.status == "success";
        let mut jobs = LabJobs {
            pipeline: pipeline.clone(),
            intake,
            run: None,
            judge: None,
            publish: None,
        };
        if pipeline.source != OF_REQUEST {
            jobs.run = if well {
                self.unless_cancelled("run", pipeline, env)
            } else {
                None
            };
            jobs.judge = self.unless_cancelled("judge", pipeline, &[]);
            jobs.publish = self.unless_cancelled("publish", pipeline, &[]);
        }
        jobs
    }

    fn unless_cancelled(
        &self,
        command: &str,
        pipeline: &Pipeline,
        env: &[(&str, &str)],
    ) -> Option<LabJob> {
        let job = self.get(&format!("/jobs/{}", pipeline.jobs[&name_of(command)]));
        (job["status"] != "canceled").then(|| self.omk_ci(command, pipeline, env))
    }
}

/// What a job is called.
pub(crate) fn name_of(command: &str) -> String {
    if command.is_empty() {
        "agents".to_owned()
    } else {
        format!("omk-{command}")
    }
}

/// The jobs that are in every pipeline of these tests, with their stages.
pub(crate) fn names() -> Value {
    let four = JOBS
        .iter()
        .map(|(command, _)| json!([name_of(command), *command]));
    four.chain([json!(["agents", "omk"])]).collect()
}

/// A pipeline from what the tests' own door tells of it.
pub(crate) fn read(
    told: &Value,
    source: &str,
    login: &str,
    branch: &str,
    commit: &str,
) -> Pipeline {
    let jobs = told["jobs"].as_object().unwrap();
    let payload = told["variables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["key"] == "TRIGGER_PAYLOAD");
    Pipeline {
        id: told["id"].as_u64().unwrap(),
        source: source.to_owned(),
        branch: branch.to_owned(),
        commit: commit.to_owned(),
        login: login.to_owned(),
        jobs: jobs
            .iter()
            .map(|(name, id)| (name.clone(), id.as_u64().unwrap()))
            .collect(),
        payload: payload.map(|one| one["value"].as_str().unwrap().to_owned()),
    }
}

/// The files below `place/name` as one archive, named as a runner names them.
pub(crate) fn zipped(place: &Path, name: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for path in below(&place.join(name)) {
        let inside = path
            .strip_prefix(place)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        zip.start_file(inside, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&std::fs::read(&path).unwrap()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn unzip(archive: &[u8], to: &Path) {
    if !archive.is_empty() {
        zip::ZipArchive::new(std::io::Cursor::new(archive))
            .unwrap()
            .extract(to)
            .unwrap();
    }
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn texts(directory: &Path) -> BTreeMap<String, String> {
    let named = |path: &Path| {
        path.strip_prefix(directory)
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    below(directory)
        .iter()
        .map(|path| (named(path), text(path)))
        .collect()
}

#[test]
fn a_job_finds_what_it_needs_and_leaves_what_it_made() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.hooked(&note);
    let payload: Value = serde_json::from_str(pipeline.payload.as_ref().unwrap()).unwrap();
    assert_eq!(
        (
            &payload["object_attributes"]["id"],
            &payload["merge_request"]["iid"]
        ),
        (&note["id"], &json!(REQUEST))
    );
    assert!(
        !pipeline.payload.as_ref().unwrap().contains("glptt-hook"),
        "the token is no part of the payload"
    );
    // A runner that only writes a file, in omk's place.
    let (_, place) = world.job("intake", &pipeline, &[]);
    let token = std::fs::read_to_string(
        world
            .at("builds")
            .join(format!("{}.tmp/job-token", pipeline.jobs["omk-intake"])),
    );
    std::fs::create_dir(place.join("omk-out")).unwrap();
    std::fs::write(place.join("omk-out/request.json"), "{}").unwrap();
    std::fs::write(place.join("omk-out/omk.env"), "OMK_VERDICT=ready\n").unwrap();
    let fine = Command::new("true").output().unwrap();
    let intake = world.ended("intake", &pipeline, &place, &fine);
    assert_eq!(
        (intake.status.as_str(), intake.dotenv("OMK_VERDICT")),
        ("success", "ready")
    );
    let (omk, place) = world.job("run", &pipeline, &[("OMK_TOKEN", "")]);
    assert_eq!(
        std::fs::read_to_string(place.join("omk-out/request.json")).unwrap(),
        "{}"
    );
    let given: BTreeMap<_, _> = omk.get_envs().collect();
    assert!(
        !given.contains_key(std::ffi::OsStr::new("OMK_TOKEN")) && given.len() > 20,
        "{given:?}"
    );
    // Of a merge request's pipeline no protected variable is.
    let (omk, _) = world.job("intake", &world.request_pipeline(), &[]);
    let given: BTreeMap<_, _> = omk
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
        .collect();
    assert_eq!(
        (given.get("OMK_TOKEN"), given["CI_COMMIT_REF_NAME"]),
        (None, "feature")
    );
    let archive = world.get(&format!("/jobs/{}", intake.id));
    assert_eq!(archive["artifacts_file"]["filename"], "artifacts.zip");
    // The job has ended, and its token with it.
    assert_eq!(world.uploads(intake.id, &token.unwrap(), b"forged"), 401);
}
