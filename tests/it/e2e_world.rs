//! A repository, a cache and a home in one temporary directory, in which the built omk drives the
//! real Kimi CLI.
//!
//! omk finds the CLI in its cache, where it is a link to `target/tools`. Nothing of the caller's
//! environment reaches omk but PATH.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use omk_action::agent::install;
use serde_json::{Value, json};

use crate::agent::{place_on_the_machine, shepherd, tools, wanted};
use crate::gateway::KEY;
use crate::model::{Model, Turn};

/// The variable that the plans name.
pub(crate) const KEY_ENV: &str = "MODEL_KEY";

/// A second secret in omk's environment, which no plan names.
pub(crate) const OTHER_SECRET: &str = "ghs_0123456789abcdefghijABCDEFGHIJ012345";

/// How long the model of `first_run` reasons: some seconds, or minutes under `scripts/soak`.
pub(crate) fn reasoning_seconds() -> u32 {
    std::env::var("OMK_TEST_REASONING_SECONDS").map_or(8, |seconds| seconds.parse().unwrap())
}

/// How long anything here may take; a machine that is busy is slow.
fn patience() -> Duration {
    Duration::from_secs(120 + u64::from(reasoning_seconds()))
}

/// Writes a file.
pub(crate) fn write(path: &str, content: &str) -> Turn {
    Turn::Use(vec![("Write", json!({"path": path, "content": content}))])
}

/// Runs a command line.
pub(crate) fn bash(command: &str) -> Turn {
    Turn::Use(vec![("Bash", json!({"command": command}))])
}

/// How a run of omk ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// See the file's head.
pub(crate) struct World {
    root: tempfile::TempDir,
    path: std::ffi::OsString,
    _place: Option<File>,
}

impl World {
    /// A world with the CLI in it, and a place on the machine to run it. `rest` is what the plan
    /// has beside its agent.
    pub(crate) async fn new(model: &Model, rest: &str) -> Self {
        Self::asking(model, "model: kimi-k3", rest).await
    }

    /// The same, with another model in the plan: `model: kimi-k2.6, thinking: off`.
    pub(crate) async fn asking(model: &Model, agent: &str, rest: &str) -> Self {
        install(&shepherd(), &wanted()).await.unwrap();
        let place = tokio::task::spawn_blocking(place_on_the_machine)
            .await
            .unwrap();
        let world = Self {
            _place: Some(place),
            ..Self::laid_out(&model.base_url, agent, rest)
        };
        std::fs::create_dir_all(world.at("cache/omk")).unwrap();
        std::os::unix::fs::symlink(tools(), world.at("cache/omk/tools")).unwrap();
        world
    }

    /// A world without the CLI.
    pub(crate) fn without_cli(base_url: &str, rest: &str) -> Self {
        Self::laid_out(base_url, "model: kimi-k3", rest)
    }

    fn laid_out(base_url: &str, agent: &str, rest: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Self {
            root,
            path: std::env::var_os("PATH").unwrap(),
            _place: None,
        };
        for name in ["repo", "home", "cache", "tmp"] {
            std::fs::create_dir(world.at(name)).unwrap();
        }
        let plan = format!(
            "version: 1\nname: e2e\nagent: {{ version: \"2.1.0\", {agent}, base_url: \"{base_url}\", \
             key_env: {KEY_ENV}, max_steps: 5, tools: {{ disabled: [FetchURL] }} }}\n{rest}"
        );
        std::fs::write(world.at("repo/omk.yaml"), plan).unwrap();
        std::fs::write(world.at("repo/README.md"), "A project.\n").unwrap();
        let check = "test ! -f fix.txt || grep -q right fix.txt || { echo 'fix.txt: it must say right'; exit 1; }\n";
        std::fs::write(world.at("repo/check.sh"), check).unwrap();
        std::fs::write(world.at("repo/.gitignore"), "*.tmp\n").unwrap();
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["add", "-A"]);
        world.git(&[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "-qm",
            "begin",
        ]);
        world
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Gives omk another PATH.
    pub(crate) fn set_path(&mut self, path: impl Into<std::ffi::OsString>) {
        self.path = path.into();
    }

    /// Writes the plan again, with a change; the commit stays as it is.
    pub(crate) fn rewrite_plan(&mut self, change: impl FnOnce(String) -> String) {
        let path = self.at("repo/omk.yaml");
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
    }

    /// What git says in the repository.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(args)
            .current_dir(self.at("repo"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.stdin(Stdio::null()).output().unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// omk in the repository, with the secrets in its environment.
    pub(crate) fn omk(&self, args: &[&str]) -> tokio::process::Command {
        let mut omk = tokio::process::Command::new(env!("CARGO_BIN_EXE_omk"));
        omk.args(args).current_dir(self.at("repo")).env_clear();
        omk.env("PATH", &self.path)
            .env("LANG", "C.UTF-8")
            .env("USER", "tester");
        omk.env("HOME", self.at("home"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("TMPDIR", self.at("tmp"));
        omk.env(KEY_ENV, KEY).env("GITHUB_TOKEN", OTHER_SECRET);
        omk.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        omk
    }

    /// Runs omk to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.end_of(self.omk(args)).await
    }

    /// Runs a command to its end.
    pub(crate) async fn end_of(&self, mut omk: tokio::process::Command) -> Ended {
        let output = tokio::time::timeout(patience(), omk.output())
            .await
            .expect("omk comes to its end")
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The directories of the runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.at("repo/.git/omk/runs"));
        let mut runs: Vec<_> = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        runs.sort();
        runs
    }

    /// The newest run's journal; whole lines only.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let Some(run) = self.runs().pop() else {
            return Vec::new();
        };
        let text = std::fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// How the task's attempts ended, in words: `gate, changed`.
    pub(crate) fn attempts(&self, task: &str) -> String {
        let journal = self.journal();
        let worked = journal
            .iter()
            .map(|line| &line["fact"])
            .filter(|fact| fact["fact"] == "worked");
        let words = worked.filter(|fact| fact["task"] == task).map(|fact| {
            let outcome = &fact["outcome"];
            outcome["class"]
                .as_str()
                .or(outcome["outcome"].as_str())
                .unwrap()
                .to_owned()
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The message of the task's last failed attempt.
    pub(crate) fn message(&self, task: &str) -> String {
        let journal = self.journal();
        let failed = |line: &&Value| {
            line["fact"]["task"] == task && line["fact"]["outcome"]["message"].is_string()
        };
        let line = journal.iter().rfind(failed).unwrap();
        line["fact"]["outcome"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The orders to start the task.
    pub(crate) fn starts(&self, task: &str) -> Vec<Value> {
        let orders = self
            .journal()
            .into_iter()
            .flat_map(|line| line["orders"].as_array().cloned().unwrap_or_default());
        orders
            .filter(|order| order["order"] == "start" && order["task"] == task)
            .collect()
    }

    /// The newest run's `report.json`.
    pub(crate) fn report(&self) -> Value {
        let path = self.runs().pop().unwrap().join("report.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The task's record, as `omk status --json` has it.
    pub(crate) async fn record(&self, task: &str) -> Value {
        let status = self.run(&["status", "--json"]).await;
        assert_eq!(status.code, Some(0), "{status:?}");
        let records: Vec<Value> = serde_json::from_str(&status.stdout).unwrap();
        records
            .into_iter()
            .find(|record| record["id"] == task)
            .unwrap()
    }

    /// The tree of a revision.
    pub(crate) fn tree(&self, rev: &str) -> String {
        self.git(&["rev-parse", &format!("{rev}^{{tree}}")])
    }

    /// Processes that were started in this world and are still there.
    pub(crate) fn alive(&self) -> Vec<Process> {
        ours(self.root.path())
    }

    /// Fails unless every process that was started in this world ends.
    pub(crate) async fn assert_nobody_is_left(&self) {
        until("nobody is left", || self.alive().is_empty()).await;
    }

    /// Every file in this world, with its bytes; links are not followed.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut stack) = (Vec::new(), vec![self.root.path().to_owned()]);
        while let Some(dir) = stack.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    stack.push(entry.path());
                } else if kind.is_file() {
                    found.push((entry.path(), std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        found
    }
}

/// Waits until it holds; fails where it takes too long.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..patience().as_millis() / 50 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to this: {what}");
}

/// A process of ours.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
}

impl Process {
    /// A file of it in `/proc`; empty where it is gone.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/{name}", self.pid)).unwrap_or_default()
    }
}

/// The processes that work below `root`: omk and its shepherds in the repository, and what they
/// start in the slots. Of all others on the machine nothing but that place is looked at.
fn ours(root: &Path) -> Vec<Process> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let here = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(root))
    };
    pids.filter(here).map(|pid| Process { pid }).collect()
}
