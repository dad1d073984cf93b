//! Workflows run by the real `act`, job by job, with the action as a repository would use it.
//!
//! Not GitHub's: checkout and the artifact actions are stand-ins from `tests/e2e/actions`, since
//! act replaces the first and the others speak a protocol of GitHub's own; act knows neither
//! `permissions`, nor concurrency groups, nor `cache-mode`. So each job gets a token with exactly
//! the permissions that its workflow says, as a secret of its own, and what is asserted of the
//! other two is asserted of the parsed workflow, in `workflows.rs`. The step that installs omk is
//! the real one: from an archive with a digest, downloaded from the front door.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::forge_door::{rig, rig_tools};
use crate::forge_world::{Event, ForgeWorld, REPOSITORY, git};
use crate::workflows::parsed;

/// The model's key, as a secret of the repository.
pub(crate) const KEY: &str = "sk-0123456789abcdefABCDEF0123456789";

/// How a workflow run ended.
#[derive(Debug)]
pub(crate) struct Acted {
    pub(crate) code: Option<i32>,
    /// What all jobs said.
    pub(crate) log: String,
}

impl Acted {
    /// That no job failed.
    #[track_caller]
    pub(crate) fn green(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.log);
        self
    }

    /// That some job failed.
    #[track_caller]
    pub(crate) fn red(self) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.log);
        self
    }

    /// Whether that job was run, and not skipped.
    pub(crate) fn ran(&self, job: &str) -> bool {
        self.log
            .lines()
            .any(|line| line.contains(&format!("/{job}")) && line.contains("Run Set up job"))
    }
}

/// What is changed in a workflow before it is run: the extra inputs of a job's omk.
pub(crate) type Inputs<'a> = &'a [(&'a str, &'a str, &'a str)];

impl ForgeWorld {
    /// Runs a workflow of `examples/workflows` for an event. `inputs` are `(job, input, value)`.
    pub(crate) fn act(&self, workflow: &str, event: &Event, inputs: Inputs<'_>) -> Acted {
        self.act_on(
            &parsed(&format!("examples/workflows/{workflow}")),
            event,
            inputs,
        )
    }

    /// Runs a workflow for an event.
    pub(crate) fn act_on(&self, workflow: &Value, event: &Event, inputs: Inputs<'_>) -> Acted {
        let run = self.workflow_run(event);
        let place = self.at(&format!("act-{run}"));
        let source = self.checkout(&format!("act-{run}/source"), &self.tip("main"));
        git(&source, &["checkout", "--quiet", "-B", "main"]);
        let mut act = Command::new(rig_tools().join("python/bin/act"));
        let machine = std::env::var_os("PATH").unwrap();
        let (ready, tokens) = self.prepared(workflow, inputs);
        // YAML holds JSON.
        std::fs::create_dir_all(source.join(".github/workflows")).unwrap();
        std::fs::write(
            source.join(".github/workflows/omk.yml"),
            format!("{ready:#}"),
        )
        .unwrap();
        std::fs::write(place.join("event.json"), event.payload.to_string()).unwrap();
        act.arg(event.name)
            .arg("--eventpath")
            .arg(place.join("event.json"))
            .current_dir(&source);
        act.args([
            "-P",
            "ubuntu-24.04=-self-hosted",
            "-P",
            "ubuntu-latest=-self-hosted",
        ]);
        act.args(["--no-cache-server", "--action-offline-mode", "--json=false"]);
        for (uses, directory) in self.actions(&ready, &place) {
            act.arg("--local-repository")
                .arg(format!("{uses}={}", directory.display()));
        }
        for (name, token) in tokens {
            act.arg("-s").arg(format!("{name}={token}"));
        }
        act.args([
            "-s",
            "GITHUB_TOKEN=ghs_which_nobody_knows",
            "-s",
            &format!("KIMI_API_KEY={KEY}"),
        ]);
        let url = &self.door.url;
        for variable in [
            format!("GITHUB_API_URL={url}"),
            format!("GITHUB_SERVER_URL={url}"),
            format!("GITHUB_REPOSITORY={REPOSITORY}"),
            format!("GITHUB_RUN_ID={run}"),
            "GITHUB_RUN_ATTEMPT=1".to_owned(),
            "OMK_WRITE_SPACING=0s".to_owned(),
            format!("XDG_CACHE_HOME={}", self.at("cache").display()),
        ] {
            act.arg("--env").arg(variable);
        }
        if self.reaches_out {
            act.args(["--env", "OMK_ROOM_AT_MOST=landlock"]);
        }
        // What a toolchain step would put on PATH.
        let path = std::env::join_paths(
            [self.at("bin")]
                .into_iter()
                .chain(std::env::split_paths(&machine)),
        )
        .unwrap();
        act.env_clear().env("PATH", path).env("LANG", "C.UTF-8");
        act.env("HOME", self.at("home"))
            .env("TMPDIR", self.at("temp"))
            .stdin(Stdio::null());
        let output = act.output().unwrap();
        let log = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        self.door.control(
            "runs",
            &json!({"id": run, "status": "completed", "conclusion": "success"}),
        );
        Acted {
            code: output.status.code(),
            log,
        }
    }

    /// The workflow as act can run it, and the jobs' tokens by the names of their secrets.
    fn prepared(&self, workflow: &Value, inputs: Inputs<'_>) -> (Value, Vec<(String, String)>) {
        let (mut ready, mut tokens) = (workflow.clone(), Vec::new());
        ready.as_object_mut().unwrap().remove("cache-mode");
        for (id, job) in ready["jobs"].as_object_mut().unwrap() {
            let granted: Vec<(String, String)> =
                serde_json::from_value::<Map<String, Value>>(job["permissions"].clone())
                    .unwrap()
                    .into_iter()
                    .map(|(name, right)| (name, right.as_str().unwrap().to_owned()))
                    .collect();
            let granted: Vec<(&str, &str)> = granted
                .iter()
                .map(|(name, right)| (&**name, &**right))
                .collect();
            let secret = format!("TOKEN_{}", id.to_uppercase());
            tokens.push((secret.clone(), self.door.token(&granted)));
            for step in job["steps"].as_array_mut().unwrap() {
                let uses = step["uses"].as_str().unwrap_or_default().to_owned();
                if !uses.contains("omk-action") && !uses.contains("/checkout@") {
                    continue;
                }
                if step["with"].is_null() {
                    step["with"] = json!({});
                }
                // act hands on the bare expressions of a job that was skipped, where GitHub hands
                // on nothing.
                if !step["with"]["judgement"].is_null() {
                    let skipped =
                        "needs.judge.result != 'skipped' && needs.judge.outputs.judgement || ''";
                    step["with"]["judgement"] = json!(format!("${{{{ {skipped} }}}}"));
                }
                step["with"]["token"] = json!(format!("${{{{ secrets.{secret} }}}}"));
                for (_, name, value) in inputs
                    .iter()
                    .filter(|(of, ..)| of == id && uses.contains("omk-action"))
                {
                    step["with"][*name] = json!(value);
                }
            }
        }
        (ready, tokens)
    }

    /// Where act finds each action that a workflow uses, and those that they use.
    fn actions(&self, workflow: &Value, place: &Path) -> Vec<(String, PathBuf)> {
        let ours = place.join("actions/omk");
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&top.join("scripts"), &ours.join("scripts"));
        std::fs::copy(top.join("action.yml"), ours.join("action.yml")).unwrap();
        self.release(&ours.join("RELEASE"));
        let action: Value = parsed("action.yml");
        let jobs = workflow["jobs"].as_object().unwrap().values();
        let steps = jobs
            .map(|job| &job["steps"])
            .chain([&action["runs"]["steps"]]);
        let uses = steps
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|step| step["uses"].as_str());
        let mut found: Vec<(String, PathBuf)> = uses
            .map(|uses| {
                let name = uses.split('@').next().unwrap().rsplit('/').next().unwrap();
                if name == "omk-action" {
                    return (uses.to_owned(), ours.clone());
                }
                let directory = place.join("actions").join(name);
                copy(&rig().join("actions").join(name), &directory);
                (uses.to_owned(), directory)
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Releases the built omk at the front door, and writes the action's file about it.
    fn release(&self, to: &Path) {
        let (version, archive) = (env!("CARGO_PKG_VERSION"), packed());
        let digest = omk_action::id::Sha256::of(&archive);
        let target = match std::env::consts::OS {
            "macos" => format!("{}-apple-darwin", std::env::consts::ARCH),
            _ => format!("{}-unknown-linux-musl", std::env::consts::ARCH),
        };
        let name = format!("omk-{version}-{target}.tar.gz");
        let put = self.door.send(
            "POST",
            &format!("/_test/release?name={name}"),
            None,
            "application/gzip",
            &archive,
        );
        assert_eq!(put.status, 200);
        let from = format!("{}/_release", self.door.url);
        std::fs::write(
            to,
            format!("version {version}\nfrom {from}\n{target} {digest}\n"),
        )
        .unwrap();
    }
}

// Read back

/// Where every ref is, run ids aside.
pub(crate) fn refs(world: &ForgeWorld) -> Vec<String> {
    let names = world
        .remote_refs()
        .into_keys()
        .filter(|name| name != "HEAD");
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

/// The checks on a commit, a line each.
pub(crate) fn checks(world: &ForgeWorld, commit: &str) -> String {
    let line = r#"[.name, .status, .conclusion, .output.title] | join(" | ")"#;
    world.gh(
        &format!("/commits/{commit}/check-runs?per_page=100"),
        &format!(".check_runs | sort_by(.id) | .[] | {line}"),
    )
}

/// The pull requests, a line each.
pub(crate) fn pulls(world: &ForgeWorld) -> String {
    let line = r#"[.number, .title, .head.ref + " -> " + .base.ref, if .draft then "draft, " else "" end + .state]"#;
    world.gh(
        "/pulls?state=all&per_page=100",
        &format!(r#"sort_by(.number) | .[] | {line} | join(" | ")"#),
    )
}

#[track_caller]
pub(crate) fn all_four(acted: &Acted) {
    for job in ["intake", "run", "judge", "publish"] {
        assert!(acted.ran(job), "{job} was not run\n{}", acted.log);
    }
}

/// The built omk as a release's archive; made once for each build.
fn packed() -> Vec<u8> {
    let omk = Path::new(env!("CARGO_BIN_EXE_omk"));
    let built = std::fs::metadata(omk).unwrap();
    let made = built
        .modified()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("released");
    std::fs::create_dir_all(&place).unwrap();
    let archive = place.join(format!("omk-{made}-{}.tar.gz", built.len()));
    if !archive.exists() {
        let own = place.join(format!("{}.tar.gz", std::process::id()));
        let mut tar = Command::new("tar");
        tar.arg("-czf")
            .arg(&own)
            .arg("-C")
            .arg(omk.parent().unwrap())
            .arg("omk");
        assert!(tar.status().unwrap().success());
        std::fs::rename(&own, &archive).unwrap();
    }
    std::fs::read(archive).unwrap()
}

/// Copies a directory; a link becomes what it leads to.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            std::fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}
