//! A repository at an emulated GitHub, people with rights, a pull request, and the built omk as a job would start it.
//!
//! `acme/widget` has a plan on `main`, and pull request 12 from `feature` by `contributor`. All pushes are an hour old
//! unless a story says otherwise. Nothing of the caller's environment reaches omk but PATH, and every request is held to
//! GitHub's own description of its API; a world whose omk broke it fails at its end.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::forge_door::{Answer, Door};

/// The repository's name.
pub(crate) const REPOSITORY: &str = "acme/widget";
/// The pull request that is there from the start.
pub(crate) const PULL: u64 = 12;
/// Its head branch.
pub(crate) const HEAD: &str = "feature";

/// The permissions of each job, as the example workflows grant them.
pub(crate) const GATE: &[(&str, &str)] =
    &[("contents", "read"), ("pull-requests", "write"), ("issues", "write"), ("checks", "write"), ("actions", "write")];
/// See [`GATE`].
pub(crate) const RUN: &[(&str, &str)] = &[("contents", "read"), ("actions", "read")];
/// See [`GATE`].
pub(crate) const JUDGE: &[(&str, &str)] = &[("contents", "read")];
/// See [`GATE`].
pub(crate) const PUBLISH: &[(&str, &str)] =
    &[("contents", "write"), ("pull-requests", "write"), ("issues", "write"), ("checks", "write")];
/// What one job for everything needs.
pub(crate) const ONE_JOB: &[(&str, &str)] = &[
    ("contents", "write"),
    ("pull-requests", "write"),
    ("issues", "write"),
    ("checks", "write"),
    ("actions", "write"),
];

/// A plan without an agent: one task, one gate.
pub(crate) const PLAN: &str = "\
version: 1
name: widget
gates:
  - { id: test, run: sh check.sh }
tasks:
  - { id: fix, name: Write it down, run: echo right > fix.txt, write_set: [fix.txt], change: required, gates: [test] }
deliver: { as: pull-request }
";

/// What starts a workflow.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// `issue_comment`.
    pub(crate) name: &'static str,
    pub(crate) payload: Value,
}

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
        assert_eq!(self.code, Some(code), "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// That a person can read this in the log.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let said = self.out.contains(text) || self.err.contains(text);
        assert!(said, "it does not say {text:?}\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// An output; empty where there is none.
    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }
}

/// See the file's head.
pub(crate) struct ForgeWorld {
    root: tempfile::TempDir,
    pub(crate) door: Door,
    run: Cell<u64>,
    forgiven: Cell<usize>,
}

impl ForgeWorld {
    /// A world with [`PLAN`].
    pub(crate) fn start() -> Self {
        Self::with_plan(PLAN)
    }

    /// A world with another plan on `main`.
    pub(crate) fn with_plan(plan: &str) -> Self {
        let check = "test ! -f fix.txt || grep -q right fix.txt || { echo 'fix.txt: it must say right'; exit 1; }\n";
        Self::with_files(&[("omk.yaml", plan), ("README.md", "A widget.\n"), ("check.sh", check)])
    }

    /// A world with these files on `main`, the plan among them.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["forge", "work", "home", "cache", "temp"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let door = Door::open(&root.path().join("forge"));
        let world = Self { root, door, run: Cell::new(4000), forgiven: Cell::new(0) };
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.pushes("maintainer", "main", files);
        world.git(&["checkout", "--quiet", "-b", HEAD]);
        world.pushes("contributor", HEAD, &[("feature.txt", "half of it\n")]);
        // Issues and pull requests are counted together.
        for number in 1..PULL {
            let issue = json!({"title": format!("Issue {number}"), "body": "Something."});
            assert_eq!(world.api("maintainer", "POST", "/issues", &issue).status, 201);
        }
        let pull = json!({"title": "A feature", "body": "It is **half** done.", "head": HEAD, "base": "main"});
        let opened = world.api("contributor", "POST", "/pulls", &pull);
        assert_eq!(opened.json()["number"], PULL, "{opened:?}");
        world
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What git says in the people's work tree.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.at("work"), args)
    }

    /// Writes files on the branch that is checked out, commits them, and pushes them to `branch` as that person.
    #[track_caller]
    pub(crate) fn pushes(&self, login: &str, branch: &str, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.at("work").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=A change"]);
        self.git(&["push", "--quiet", "--force", &self.remote(login), &format!("HEAD:refs/heads/{branch}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The repository's address with somebody's token in it.
    pub(crate) fn remote(&self, login: &str) -> String {
        format!("http://x-access-token:ghp_{login}@{}/{REPOSITORY}.git", self.door.host())
    }

    /// The tip of a branch at the forge.
    #[track_caller]
    pub(crate) fn tip(&self, branch: &str) -> String {
        self.remote_refs().remove(&format!("refs/heads/{branch}")).unwrap_or_else(|| panic!("there is no {branch}"))
    }

    /// What `git ls-remote` tells: commits by ref.
    pub(crate) fn remote_refs(&self) -> BTreeMap<String, String> {
        let told = self.git(&["ls-remote", "--quiet", &self.remote("maintainer")]);
        let pairs = told.lines().filter_map(|line| line.split_once('\t'));
        pairs.map(|(commit, name)| (name.to_owned(), commit.to_owned())).collect()
    }

    /// A request about the repository, as that person: `world.api("maintainer", "GET", "/pulls/12", &Value::Null)`.
    pub(crate) fn api(&self, login: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.door.api(&format!("ghp_{login}"), method, &format!("/repos/{REPOSITORY}{path}"), body)
    }

    /// What the repository's API tells the maintainer.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.api("maintainer", "GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    // Events

    /// Somebody comments on the pull request.
    #[track_caller]
    pub(crate) fn comments(&self, login: &str, body: &str) -> Event {
        self.comments_on(PULL, login, body)
    }

    /// Somebody comments on an issue or a pull request.
    #[track_caller]
    pub(crate) fn comments_on(&self, number: u64, login: &str, body: &str) -> Event {
        let made = self.api(login, "POST", &format!("/issues/{number}/comments"), &json!({"body": body}));
        assert_eq!(made.status, 201, "{made:?}");
        let issue = self.get(&format!("/issues/{number}"));
        let mut issue =
            json!({"number": number, "title": issue["title"], "state": issue["state"], "user": issue["user"]});
        if number >= PULL {
            issue["pull_request"] = json!({"url": format!("{}/repos/{REPOSITORY}/pulls/{number}", self.door.url)});
        }
        let sender = made.json()["user"].clone();
        self.event(
            "issue_comment",
            json!({"action": "created", "issue": issue, "comment": made.json(), "sender": sender}),
        )
    }

    /// Something about the pull request: `opened`, `synchronize`, `closed`.
    pub(crate) fn pull_request(&self, action: &str) -> Event {
        let pull = self.get(&format!("/pulls/{PULL}"));
        self.event(
            "pull_request",
            json!({"action": action, "number": PULL, "pull_request": pull, "sender": pull["user"]}),
        )
    }

    /// The clock strikes.
    pub(crate) fn schedule(&self) -> Event {
        self.event("schedule", json!({"schedule": "0 3 * * *"}))
    }

    /// Somebody starts the workflow by hand.
    pub(crate) fn dispatch(&self, login: &str) -> Event {
        let sender = json!({"login": login, "type": "User"});
        self.event("workflow_dispatch", json!({"inputs": {}, "ref": "refs/heads/main", "sender": sender}))
    }

    /// An event with what every payload has.
    pub(crate) fn event(&self, name: &'static str, mut payload: Value) -> Event {
        payload["repository"] = self.get("");
        Event { name, payload }
    }

    // Jobs

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
        git(&to, &["remote", "add", "origin", &format!("{}/{REPOSITORY}", self.door.url)]);
        git(&to, &["fetch", "--quiet", "--depth=1", &self.remote("maintainer"), commit]);
        git(&to, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
        to
    }

    /// A stage of `omk ci` as its job would start it, with a token of that job's permissions. `command` is empty for all
    /// stages in one job; `env` is set last, and may unset by an empty value.
    pub(crate) fn omk_ci(&self, command: &str, event: &Event, env: &[(&str, &str)]) -> Job {
        let (mut omk, place) = self.job(command, event, env);
        ended(omk.output().unwrap(), &place)
    }

    /// The same job, not yet started, and the directory that is its machine: `workspace`, `bundle`, `temp`. [`ended`] reads
    /// what it left.
    pub(crate) fn job(&self, command: &str, event: &Event, env: &[(&str, &str)]) -> (Command, PathBuf) {
        let permissions = match command {
            "gate" => GATE,
            "run" => RUN,
            "judge" => JUDGE,
            "publish" => PUBLISH,
            _ => ONE_JOB,
        };
        let token = self.door.token(permissions);
        let place = self.at(&format!("job-{}-{}", self.run.get(), if command.is_empty() { "all" } else { command }));
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
        omk.env("PATH", std::env::var_os("PATH").unwrap()).env("LANG", "C.UTF-8").env("CI", "true");
        omk.env("HOME", self.at("home")).env("XDG_CACHE_HOME", self.at("cache")).env("TMPDIR", self.at("temp"));
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

    // What is there afterwards

    /// The comments on an issue or a pull request, oldest first.
    pub(crate) fn comments_of(&self, number: u64) -> Vec<Value> {
        self.get(&format!("/issues/{number}/comments?per_page=100")).as_array().unwrap().clone()
    }

    /// The texts that the job's bot wrote there, oldest first.
    pub(crate) fn replies(&self, number: u64) -> Vec<String> {
        let comments = self.comments_of(number).into_iter();
        let ours = comments.filter(|comment| comment["user"]["login"] == "github-actions[bot]");
        ours.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// The latest checks on a commit, oldest first.
    pub(crate) fn checks(&self, commit: &str) -> Vec<Value> {
        let mut checks =
            self.get(&format!("/commits/{commit}/check-runs?per_page=100"))["check_runs"].as_array().unwrap().clone();
        checks.sort_by_key(|check| check["id"].as_u64());
        checks
    }

    /// How people reacted to the comment of an event: `eyes, rocket`.
    pub(crate) fn reactions(&self, event: &Event) -> String {
        let comment = event.payload["comment"]["id"].as_u64().unwrap();
        let reactions = self.get(&format!("/issues/comments/{comment}/reactions"));
        let contents = reactions.as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap().to_owned());
        contents.collect::<Vec<_>>().join(", ")
    }

    /// What the front door keeps: reactions, statuses, pushes, runs, artifacts, refs.
    pub(crate) fn state(&self) -> Value {
        self.door.control("state", &json!({}))
    }

    /// One thing that goes wrong; `tests/e2e/front_door.py` says what can.
    pub(crate) fn fault(&self, fault: &Value) {
        self.door.control("faults", fault);
    }

    /// Requests that change something, by jobs' bots: `POST /issues/12/comments`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let repo = format!("/repos/{REPOSITORY}");
        let log = self.door.log().into_iter();
        let ours = log.filter(|entry| entry["who"].as_str().is_some_and(|who| who.ends_with("[bot]")));
        let lines = ours
            .map(|entry| (entry["method"].as_str().unwrap().to_owned(), entry["path"].as_str().unwrap().to_owned()));
        let writes = lines.filter(|(method, path)| method != "GET" && path.starts_with(&repo));
        writes.map(|(method, path)| format!("{method} {}", &path[repo.len()..])).collect()
    }

    /// Requests that GitHub's own API description does not allow.
    pub(crate) fn violations(&self) -> Vec<Value> {
        self.door.log().into_iter().filter(|entry| !entry["violation"].is_null()).collect()
    }

    /// Says that so many violations are the story's point.
    pub(crate) fn forgive(&self, violations: usize) {
        self.forgiven.set(violations);
    }
}

impl Drop for ForgeWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let violations = self.violations();
        assert!(violations.len() <= self.forgiven.get(), "requests that GitHub would refuse: {violations:#?}");
    }
}

/// What git says there, with nothing of the caller's settings.
#[track_caller]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Tess Tester", "-c", "user.email=tess@example.test", "-c", "core.hooksPath=/dev/null"]);
    git.args(args).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    let output = git.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What a job left on its machine.
pub(crate) fn ended(output: Output, place: &Path) -> Job {
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
        if let Some((name, end)) = line.split_once("<<").filter(|(name, _)| !name.contains('=')) {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

#[test]
fn the_world_tells_what_people_did() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    assert_eq!(event.payload["comment"]["user"]["login"], "maintainer");
    assert_eq!(world.get("/pulls/12")["head"]["sha"], world.tip(HEAD));
    world.git(&["checkout", "--quiet", HEAD]);
    let moved = world.pushes("contributor", HEAD, &[("feature.txt", "all of it\n")]);
    assert_eq!(world.get("/pulls/12")["head"]["sha"], moved);
    assert_eq!(world.get(&format!("/activity?ref={HEAD}"))[0]["after"], moved);
    let answer =
        world.door.api(&world.door.token(RUN), "POST", "/repos/acme/widget/issues/12/comments", &json!({"body": "x"}));
    assert_eq!(answer.status, 403);
    assert!(world.violations().is_empty());
}
