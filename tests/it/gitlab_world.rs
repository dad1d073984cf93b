//! A project at an offline GitLab, people with access levels, a merge request, and the built omk as
//! a runner would start it (`gitlab_job.rs`).
//!
//! `acme/widget` (number 7) has a plan on its protected `main`, and merge request 12 from `feature`
//! by `contributor`. All pushes are an hour old unless a story says otherwise. Nothing of the
//! caller's environment reaches omk but PATH. A world in which somebody sent what GitLab's
//! documentation does not know fails at its end.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::forge_door::{rig, rig_tools};
use crate::forge_world::{PLAN, git};
use crate::gitlab_door::{GitLabDoor, Reply};
use crate::world::reaches_out;

/// The project's path.
pub(crate) const PROJECT: &str = "acme/widget";
/// The project's number.
pub(crate) const NUMBER: u64 = 7;
/// The merge request that is there from the start.
pub(crate) const REQUEST: u64 = 12;
/// Its source branch.
pub(crate) const SOURCE: &str = "feature";
/// The account of the project's access tokens.
pub(crate) const BOT: &str = "project_7_bot";

/// Everybody but the bot, and how far their rights go; each holds `glpat-NAME` with all scopes.
pub(crate) const PEOPLE: &[(&str, u64)] = &[
    ("owner", 50),
    ("maintainer", 40),
    ("contributor", 30),
    ("reader", 20),
    ("guest", 10),
    ("drive-by", 0),
];

/// The bot's tokens by environment, and their scopes; each is `glpat-NAME`.
pub(crate) const TOKENS: &[(&str, &[&str])] = &[
    ("intake", &["api"]),
    ("run", &["read_api"]),
    ("judge", &["read_api"]),
    ("publish", &["api", "write_repository"]),
];

/// See the file's head.
pub(crate) struct GitLabWorld {
    root: tempfile::TempDir,
    pub(crate) door: GitLabDoor,
    forgiven: Cell<usize>,
    /// Its plan waits for a file that a sealed room does not show.
    pub(crate) reaches_out: bool,
}

impl GitLabWorld {
    /// A world with the usual plan, below `/gitlab`.
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
        for name in ["forge", "work", "home", "cache", "temp", "builds"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let door = GitLabDoor::open(&root.path().join("forge"), "/gitlab");
        let world = Self {
            root,
            door,
            forgiven: Cell::new(0),
            reaches_out: files.iter().any(|(_, text)| reaches_out(text)),
        };
        world.peopled();
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.pushes("maintainer", "main", files);
        world.git(&["checkout", "--quiet", "-b", SOURCE]);
        world.pushes("contributor", SOURCE, &[("feature.txt", "half of it\n")]);
        world.opens(
            REQUEST,
            "contributor",
            SOURCE,
            &json!({"title": "A feature", "description": "It is **half** done."}),
        );
        world
    }

    fn peopled(&self) {
        for (login, _) in PEOPLE {
            self.door.control("users", &json!({"username": login}));
        }
        self.door
            .control("users", &json!({"username": BOT, "bot": true}));
        self.door
            .control("projects", &json!({"path": PROJECT, "id": NUMBER}));
        for (login, level) in PEOPLE.iter().chain(&[(BOT, 30)]) {
            if *level > 0 {
                self.level(login, *level);
            }
        }
        let scopes = json!(["api", "write_repository", "read_user"]);
        for (login, _) in PEOPLE {
            self.door.control(
                "tokens",
                &json!({"username": login, "scopes": scopes, "token": format!("glpat-{login}")}),
            );
        }
        for (name, scopes) in TOKENS {
            self.door.control(
                "tokens",
                &json!({"username": BOT, "scopes": scopes, "token": format!("glpat-{name}")}),
            );
        }
        self.door.control(
            "triggers",
            &json!({"token": "glptt-hook", "username": "maintainer"}),
        );
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Gives somebody another access level; none at 0.
    pub(crate) fn level(&self, login: &str, level: u64) {
        self.door.control(
            "members",
            &json!({"username": login, "access_level": level}),
        );
    }

    // What people do

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
            &self.remote(login),
            &format!("+HEAD:refs/heads/{branch}"),
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The repository's address with somebody's token in it.
    pub(crate) fn remote(&self, login: &str) -> String {
        self.remote_of(PROJECT, login)
    }

    /// The same of another project.
    pub(crate) fn remote_of(&self, project: &str, login: &str) -> String {
        format!(
            "{}/{project}.git",
            self.door
                .site
                .replace("://", &format!("://oauth2:glpat-{login}@"))
        )
    }

    /// Opens a merge request into `main` behind the API's back, with fields of its own.
    #[track_caller]
    pub(crate) fn opens(&self, iid: u64, login: &str, branch: &str, more: &Value) -> Value {
        let mut given = json!({"iid": iid, "username": login, "source_branch": branch, "target_branch": "main"});
        for (name, value) in more.as_object().unwrap() {
            given[name] = value.clone();
        }
        self.door.control("merge_requests", &given)
    }

    /// Somebody comments on the merge request; the note.
    #[track_caller]
    pub(crate) fn comments(&self, login: &str, body: &str) -> Value {
        self.comments_on(REQUEST, login, body)
    }

    /// Somebody comments on a merge request; the note.
    #[track_caller]
    pub(crate) fn comments_on(&self, iid: u64, login: &str, body: &str) -> Value {
        self.door.control(
            "notes",
            &json!({"iid": iid, "username": login, "body": body}),
        )
    }

    /// Somebody edits a note.
    #[track_caller]
    pub(crate) fn edits(&self, login: &str, note: &Value, body: &str) {
        self.door.control(
            "edit_note",
            &json!({"id": note["id"], "username": login, "body": body}),
        );
    }

    /// Moves the clock on.
    pub(crate) fn passes(&self, seconds: u64) {
        self.door.control("clock", &json!({"advance": seconds}));
    }

    /// One thing that goes wrong; `tests/e2e/gitlab_server.py` says what can.
    pub(crate) fn fault(&self, fault: &Value) {
        self.door.control("faults", fault);
    }

    // What is there

    /// The tip of a branch.
    #[track_caller]
    pub(crate) fn tip(&self, branch: &str) -> String {
        self.refs()
            .remove(&format!("refs/heads/{branch}"))
            .unwrap_or_else(|| panic!("there is no {branch}"))
    }

    /// What `git ls-remote` tells: commits by ref.
    pub(crate) fn refs(&self) -> BTreeMap<String, String> {
        let told = self.git(&["ls-remote", "--quiet", &self.remote("maintainer")]);
        let pairs = told.lines().filter_map(|line| line.split_once('\t'));
        pairs
            .map(|(commit, name)| (name.to_owned(), commit.to_owned()))
            .collect()
    }

    /// A request about the project, as whoever holds `glpat-NAME`: `world.api("reader", "GET",
    /// "/merge_requests/12", …)`.
    #[track_caller]
    pub(crate) fn api(&self, name: &str, method: &str, path: &str, body: &Value) -> Reply {
        self.door.api(
            &format!("glpat-{name}"),
            method,
            &format!("/projects/{NUMBER}{path}"),
            body,
        )
    }

    /// What the project's API tells the owner.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.api("owner", "GET", path, &Value::Null).expect(200)
    }

    /// The notes of a merge request that are no system notes, oldest first.
    pub(crate) fn notes_of(&self, iid: u64) -> Vec<Value> {
        let path = format!(
            "/merge_requests/{iid}/notes?sort=asc&per_page=100&activity_filter=only_comments"
        );
        self.get(&path).as_array().unwrap().clone()
    }

    /// What the bot wrote there, oldest first.
    pub(crate) fn replies(&self, iid: u64) -> Vec<String> {
        let notes = self
            .notes_of(iid)
            .into_iter()
            .filter(|note| note["author"]["username"] == BOT);
        notes
            .map(|note| note["body"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The bot's reactions to a note: `eyes, rocket`.
    pub(crate) fn awards(&self, note: &Value) -> String {
        let path = format!(
            "/merge_requests/{}/notes/{}/award_emoji",
            note["noteable_iid"], note["id"]
        );
        let awards = self.get(&path);
        let ours = awards
            .as_array()
            .unwrap()
            .iter()
            .filter(|award| award["user"]["username"] == BOT);
        ours.map(|award| award["name"].as_str().unwrap())
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The latest statuses on a commit that are no jobs, oldest first.
    pub(crate) fn statuses(&self, commit: &str) -> Vec<Value> {
        let told = self.get(&format!(
            "/repository/commits/{commit}/statuses?per_page=100&stage=external"
        ));
        told.as_array().unwrap().clone()
    }

    /// The statuses on a commit as lines: `omk: success (ready)`.
    pub(crate) fn status_lines(&self, commit: &str) -> Vec<String> {
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let line = |one: &Value| {
            format!(
                "{}: {} ({})",
                text(one, "name"),
                text(one, "status"),
                text(one, "description")
            )
        };
        self.statuses(commit).iter().map(line).collect()
    }

    /// All that the server keeps of the project: refs, merge requests, issues, statuses, pipelines,
    /// jobs.
    pub(crate) fn state(&self) -> Value {
        self.door.control("state", &json!({}))
    }

    /// What the real client python-gitlab reads: notes, awards, statuses, merge requests, branches,
    /// issues.
    #[track_caller]
    pub(crate) fn read(&self) -> Value {
        let mut python = Command::new("python3");
        python
            .arg(rig().join("gitlab_read.py"))
            .args([&self.door.site, PROJECT])
            .env_clear();
        python
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONPATH", rig_tools().join("python"));
        python
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TOKEN", "glpat-owner")
            .stdin(Stdio::null());
        let output = python.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Requests of the bot that change something: `POST /merge_requests/12/notes`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let prefix = format!("/gitlab/api/v4/projects/{NUMBER}");
        let ours = self
            .door
            .log()
            .into_iter()
            .filter(|entry| entry["who"] == BOT && entry["method"] != "GET");
        let lines = ours.map(|entry| {
            (
                entry["method"].as_str().unwrap().to_owned(),
                entry["path"].as_str().unwrap().to_owned(),
            )
        });
        lines
            .filter_map(|(method, path)| Some(format!("{method} {}", path.strip_prefix(&prefix)?)))
            .collect()
    }

    /// Says that so many violations are the story's point.
    pub(crate) fn forgive(&self, violations: usize) {
        self.forgiven.set(violations);
    }
}

impl Drop for GitLabWorld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let violations = self.door.violations();
        assert!(
            violations.len() <= self.forgiven.get(),
            "what GitLab does not know: {violations:#?}"
        );
    }
}
