//! A repository at an emulated GitHub, people with rights, a pull request, and the built omk as a
//! job would start it.
//!
//! `acme/widget` has a plan on `main`, and pull request 12 from `feature` by `contributor`. All
//! pushes are an hour old unless a story says otherwise. Nothing of the caller's environment
//! reaches omk but PATH, and every request is held to GitHub's own description of its API; a world
//! whose omk broke it fails at its end.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::forge_door::{Answer, Door, rig_tools};
use crate::forge_job::RUN;
use crate::world::reaches_out;

/// The repository's name.
pub(crate) const REPOSITORY: &str = "acme/widget";
/// The pull request that is there from the start.
pub(crate) const PULL: u64 = 12;
/// Its head branch.
pub(crate) const HEAD: &str = "feature";

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

/// See the file's head.
pub(crate) struct ForgeWorld {
    root: tempfile::TempDir,
    pub(crate) door: Door,
    pub(crate) run: Cell<u64>,
    forgiven: Cell<usize>,
    /// Its plan waits for a file that a sealed room does not show.
    pub(crate) reaches_out: bool,
}

impl ForgeWorld {
    /// A world with [`PLAN`].
    pub(crate) fn start() -> Self {
        Self::with_plan(PLAN)
    }

    /// A world with another plan on `main`.
    pub(crate) fn with_plan(plan: &str) -> Self {
        let check = "test ! -f fix.txt || grep -q right fix.txt || { echo 'fix.txt: it must say right'; exit 1; }\n";
        Self::with_files(&[
            ("omk.yaml", plan),
            ("README.md", "A widget.\n"),
            ("check.sh", check),
        ])
    }

    /// A world with these files on `main`, the plan among them.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["forge", "work", "home", "cache", "temp", "bin"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let door = Door::open(&root.path().join("forge"));
        let world = Self {
            root,
            door,
            run: Cell::new(4000),
            forgiven: Cell::new(0),
            reaches_out: files.iter().any(|(_, text)| reaches_out(text)),
        };
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.pushes("maintainer", "main", files);
        world.git(&["checkout", "--quiet", "-b", HEAD]);
        world.pushes("contributor", HEAD, &[("feature.txt", "half of it\n")]);
        // Issues and pull requests are counted together.
        for number in 1..PULL {
            let issue = json!({"title": format!("Issue {number}"), "body": "Something."});
            assert_eq!(
                world.api("maintainer", "POST", "/issues", &issue).status,
                201
            );
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

    /// Writes files on the branch that is checked out, commits them, and pushes them to `branch` as
    /// that person.
    #[track_caller]
    pub(crate) fn pushes(&self, login: &str, branch: &str, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.at("work").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=A change"]);
        self.git(&[
            "push",
            "--quiet",
            "--force",
            &self.remote(login),
            &format!("HEAD:refs/heads/{branch}"),
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The repository's address with somebody's token in it.
    pub(crate) fn remote(&self, login: &str) -> String {
        format!(
            "http://x-access-token:ghp_{login}@{}/{REPOSITORY}.git",
            self.door.host()
        )
    }

    /// The tip of a branch at the forge.
    #[track_caller]
    pub(crate) fn tip(&self, branch: &str) -> String {
        self.remote_refs()
            .remove(&format!("refs/heads/{branch}"))
            .unwrap_or_else(|| panic!("there is no {branch}"))
    }

    /// What `git ls-remote` tells: commits by ref.
    pub(crate) fn remote_refs(&self) -> BTreeMap<String, String> {
        let told = self.git(&["ls-remote", "--quiet", &self.remote("maintainer")]);
        let pairs = told.lines().filter_map(|line| line.split_once('\t'));
        pairs
            .map(|(commit, name)| (name.to_owned(), commit.to_owned()))
            .collect()
    }

    /// A request about the repository, as that person: `world.api("maintainer", "GET", "/pulls/12",
    /// &Value::Null)`.
    pub(crate) fn api(&self, login: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.door.api(
            &format!("ghp_{login}"),
            method,
            &format!("/repos/{REPOSITORY}{path}"),
            body,
        )
    }

    /// What the repository's API tells the maintainer.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.api("maintainer", "GET", path, &Value::Null);
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
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
        let made = self.api(
            login,
            "POST",
            &format!("/issues/{number}/comments"),
            &json!({"body": body}),
        );
        assert_eq!(made.status, 201, "{made:?}");
        let issue = self.get(&format!("/issues/{number}"));
        let mut issue = json!({"number": number, "title": issue["title"], "state": issue["state"], "user": issue["user"]});
        if number >= PULL {
            issue["pull_request"] =
                json!({"url": format!("{}/repos/{REPOSITORY}/pulls/{number}", self.door.url)});
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
        self.event(
            "workflow_dispatch",
            json!({"inputs": {}, "ref": "refs/heads/main", "sender": sender}),
        )
    }

    /// An event with what every payload has.
    pub(crate) fn event(&self, name: &'static str, mut payload: Value) -> Event {
        payload["repository"] = self.get("");
        Event { name, payload }
    }

    // What is there afterwards

    /// The comments on an issue or a pull request, oldest first.
    pub(crate) fn comments_of(&self, number: u64) -> Vec<Value> {
        self.get(&format!("/issues/{number}/comments?per_page=100"))
            .as_array()
            .unwrap()
            .clone()
    }

    /// The texts that the job's bot wrote there, oldest first.
    pub(crate) fn replies(&self, number: u64) -> Vec<String> {
        let comments = self.comments_of(number).into_iter();
        let ours = comments.filter(|comment| comment["user"]["login"] == "github-actions[bot]");
        ours.map(|comment| comment["body"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The latest checks on a commit, oldest first.
    pub(crate) fn checks(&self, commit: &str) -> Vec<Value> {
        let mut checks =
            self.get(&format!("/commits/{commit}/check-runs?per_page=100"))["check_runs"]
                .as_array()
                .unwrap()
                .clone();
        checks.sort_by_key(|check| check["id"].as_u64());
        checks
    }

    /// What the real `gh` reads of the repository, through a filter of its own:
    /// `world.gh("/pulls/13", ".title")`.
    #[track_caller]
    pub(crate) fn gh(&self, path: &str, filter: &str) -> String {
        let mut gh = Command::new(rig_tools().join("python/bin/gh"));
        gh.args([
            "api",
            &format!("{}/repos/{REPOSITORY}{path}", self.door.url),
            "--jq",
            filter,
        ])
        .env_clear();
        gh.env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.at("home"))
            .env("GH_HOST", self.door.host());
        gh.env("GH_ENTERPRISE_TOKEN", "ghp_maintainer")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .stdin(Stdio::null());
        let output = gh.output().unwrap();
        assert!(
            output.status.success(),
            "{path}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// How people reacted to the comment of an event: `eyes, rocket`.
    pub(crate) fn reactions(&self, event: &Event) -> String {
        let comment = event.payload["comment"]["id"].as_u64().unwrap();
        let reactions = self.get(&format!("/issues/comments/{comment}/reactions"));
        let contents = reactions
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["content"].as_str().unwrap().to_owned());
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
        let ours = log.filter(|entry| {
            entry["who"]
                .as_str()
                .is_some_and(|who| who.ends_with("[bot]"))
        });
        let lines = ours.map(|entry| {
            (
                entry["method"].as_str().unwrap().to_owned(),
                entry["path"].as_str().unwrap().to_owned(),
            )
        });
        let writes = lines.filter(|(method, path)| method != "GET" && path.starts_with(&repo));
        writes
            .map(|(method, path)| format!("{method} {}", &path[repo.len()..]))
            .collect()
    }

    /// Requests that GitHub's own API description does not allow, and such that the front door
    /// itself failed at.
    pub(crate) fn violations(&self) -> Vec<Value> {
        let wrong = |entry: &Value| !entry["violation"].is_null() || entry["status"].is_null();
        self.door.log().into_iter().filter(wrong).collect()
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
        assert!(
            violations.len() <= self.forgiven.get(),
            "requests that GitHub would refuse: {violations:#?}"
        );
    }
}

/// Runs a snapshot's assertions with everything replaced that differs from run to run.
pub(crate) fn steady(assert: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    for (varies, steady) in [
        (r"http://127\.0\.0\.1:\d+", "[site]"),
        (r"\d{8}t\d{6}z-[0-9a-f]{6}", "[run]"),
        (r"room: (sealed|landlock|none)\b", "room: [level]"),
        (r"\n> ⚠️ The children's room [^\n]*\n", ""),
        (r"\b[0-9a-f]{64}\b", "[digest]"),
        (r"\b[0-9a-f]{40}\b", "[commit]"),
        (r"\b[0-9a-f]{12}\b", "[short]"),
        (r"\b\d+(\.\d+)? m?s\b", "[time]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "[date]"),
        (r#""at":\d+"#, r#""at":[date]"#),
    ] {
        settings.add_filter(varies, steady);
    }
    settings.bind(assert);
}

/// What git says there, with nothing of the caller's settings.
#[track_caller]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=Tess Tester",
        "-c",
        "user.email=tess@example.test",
        "-c",
        "core.hooksPath=/dev/null",
    ]);
    git.args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
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

#[test]
fn the_world_tells_what_people_did() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    assert_eq!(event.payload["comment"]["user"]["login"], "maintainer");
    assert_eq!(world.get("/pulls/12")["head"]["sha"], world.tip(HEAD));
    world.git(&["checkout", "--quiet", HEAD]);
    let moved = world.pushes("contributor", HEAD, &[("feature.txt", "all of it\n")]);
    assert_eq!(world.get("/pulls/12")["head"]["sha"], moved);
    assert_eq!(
        world.get(&format!("/activity?ref={HEAD}"))[0]["after"],
        moved
    );
    let answer = world.door.api(
        &world.door.token(RUN),
        "POST",
        "/repos/acme/widget/issues/12/comments",
        &json!({"body": "x"}),
    );
    assert_eq!(answer.status, 403);
    assert!(world.violations().is_empty());
}

#[test]
fn the_world_holds_requests_to_the_forges_own_description() {
    let world = ForgeWorld::start();
    let note = json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"});
    let check = |annotations: usize, level: &str| {
        let mut note = note.clone();
        note["annotation_level"] = json!(level);
        let output = json!({"title": "t", "summary": "s", "annotations": vec![note; annotations]});
        let body = json!({"name": "omk", "head_sha": world.tip(HEAD), "output": output});
        let token = world.door.token(&[("checks", "write")]);
        world
            .door
            .api(
                &token,
                "POST",
                &format!("/repos/{REPOSITORY}/check-runs"),
                &body,
            )
            .status
    };
    assert_eq!(check(50, "notice"), 201);
    assert!(world.violations().is_empty());
    assert_eq!((check(51, "notice"), check(1, "shame")), (422, 422));
    assert_eq!(
        world
            .api("maintainer", "GET", "/no/such/path", &Value::Null)
            .status,
        404
    );
    assert_eq!(world.violations().len(), 3);
    world.forgive(3);
}
