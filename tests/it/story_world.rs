//! Both emulated forges behind one small trait: what people do there, what a runner starts, and
//! what can be read back.
//!
//! What is read back is put into the same form for both, so that two tellings of a story differ
//! only where the forges do. It refuses to look into omk: only what people see counts, and the log
//! of the jobs.

use std::collections::BTreeMap;

use serde_json::Value;

/// What becomes of the pull request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    /// It is to go to another branch.
    Base(&'a str),
    /// It is closed.
    Closed,
    /// It is opened again.
    Open,
    /// Its branch is in somebody else's copy of the repository.
    Fork,
    /// Its branch is in this repository.
    Own,
}

/// When a push arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// An hour before all that is said.
    Before,
    /// After all that was said so far.
    Since,
}

/// How the jobs that an event started have ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Their exit codes: `gate 0, run 0, judge 0, publish 0`.
    pub(crate) codes: String,
    /// All that they printed.
    pub(crate) log: String,
    /// The number of the workflow run or pipeline.
    pub(crate) number: u64,
    /// What gate hands on, where a run is to follow.
    pub(crate) request: String,
}

impl Ended {
    pub(crate) fn add(&mut self, name: &str, code: Option<i32>, printed: [&str; 2]) {
        let comma = if self.codes.is_empty() { "" } else { ", " };
        self.codes += &format!(
            "{comma}{name} {}",
            code.map_or("killed".to_owned(), |code| code.to_string())
        );
        self.log += &printed.concat();
    }
}

/// A pull request that omk opened.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) head: String,
    pub(crate) base: String,
    /// `open`, `draft`, `closed`.
    pub(crate) state: String,
    pub(crate) labels: Vec<String>,
    pub(crate) body: String,
}

/// A forge with a repository, people, and pull request 12 from `feature` to `main`.
pub(crate) trait AnyWorld: Sized {
    /// A comment.
    type Said;
    /// The forge, in names of snapshots.
    const FORGE: &'static str;
    /// The scope of pull request 12.
    const SCOPE: &'static str;
    /// How a pull request's number is written.
    const SIGN: char;
    /// A bot that no plan lists.
    const BOT: &'static str;

    /// With these files on `main`.
    fn with(files: &[(&str, &str)]) -> Self;
    /// Its address.
    fn site(&self) -> &str;
    /// What git says in the people's work tree.
    fn work(&self, args: &[&str]) -> String;
    /// The repository's address with somebody's token in it.
    fn address(&self, login: &str) -> String;
    /// Commits files on the branch that is checked out, and pushes them to `branch`.
    fn push(&self, when: When, login: &str, branch: &str, files: &[(&str, &str)]) -> String;
    /// Commits by ref.
    fn refs(&self) -> BTreeMap<String, String>;
    /// Somebody comments on the pull request.
    fn comment(&self, login: &str, body: &str) -> Self::Said;
    /// The account that omk speaks as does.
    fn comment_of_ours(&self, body: &str) -> Self::Said;
    /// The author changes a comment, a minute later.
    fn edit(&self, said: &Self::Said, body: &str);
    /// Something becomes of the pull request.
    fn change(&self, change: Change<'_>);
    /// Lets the account that omk speaks as do all that the guide asks for.
    fn is_set_up(&self);

    /// The first job that a comment starts.
    fn intake(&self, said: &Self::Said) -> Ended;
    /// All jobs that it starts.
    fn jobs(&self, said: &Self::Said) -> Ended;
    /// What the forge still starts of a run that was cancelled after its gate.
    fn after_cancel(&self, said: &Self::Said, started: &Ended) -> Ended;
    /// The jobs for a pull request that was opened or pushed to.
    fn proposed(&self) -> Ended;
    /// The jobs for a pull request that was closed.
    fn closed(&self) -> Ended;
    /// The jobs for a schedule.
    fn scheduled(&self) -> Ended;

    /// Our comments on the pull request by number, oldest first.
    fn texts(&self) -> Vec<(u64, String)>;
    /// Our reactions to a comment: `eyes, rocket`.
    fn reactions_to(&self, said: &Self::Said) -> String;
    /// The checks or statuses of a commit: `omk: success, ready: 1 of 1 task completed`.
    fn check_lines(&self, commit: &str) -> Vec<String>;
    /// The pull requests beside that one, in order.
    fn pulls(&self) -> Vec<Pull>;
    /// Our issues: number, state and title in a line, and the body.
    fn issues(&self) -> Vec<(String, String)>;
    /// All of our requests that change something, in order: method, path without the repository's,
    /// body.
    fn written(&self) -> Vec<(String, String, Value)>;
}

/// A request that changes something, in words that fit both forges.
pub(crate) fn in_words(method: &str, path: &str, body: &Value) -> String {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let check = |names: &[&str]| {
        names
            .iter()
            .map(|name| text(name))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    };
    match (method, &parts[..]) {
        (_, [.., "git-receive-pack"]) => "push".to_owned(),
        ("POST", ["check-runs"] | ["statuses", _]) => {
            format!(
                "check `{}`: {}",
                text("name"),
                check(&["conclusion", "state", "status"])
            )
        }
        ("PATCH", ["check-runs", _]) => format!("check: {}", check(&["conclusion", "status"])),
        ("POST", ["issues", _, "comments"] | ["merge_requests", _, "notes"]) => {
            "comment".to_owned()
        }
        ("PATCH", ["issues", "comments", _]) | ("PUT", ["merge_requests", _, "notes", _]) => {
            "comment, edited".to_owned()
        }
        ("POST", [.., "reactions" | "award_emoji"]) => {
            format!("reaction: {}", check(&["content", "name"]))
        }
        ("POST", ["pulls" | "merge_requests"]) => "pull request".to_owned(),
        ("PATCH" | "PUT", ["pulls" | "merge_requests", _]) => "pull request, edited".to_owned(),
        ("POST", ["issues"]) => "issue".to_owned(),
        ("PATCH" | "PUT", ["issues", _]) => "issue, edited".to_owned(),
        ("POST", ["issues", _, "labels"]) => "labels".to_owned(),
        ("POST", ["pipelines", _, "cancel"] | ["actions", "runs", _, "cancel"]) => {
            "run, cancelled".to_owned()
        }
        _ => format!("{method} {path}"),
    }
}
