//! What the security stories share: somebody asks, and the intake job must begin nothing, or exactly
//! what was meant.
//!
//! It refuses to look only at what omk says of itself: refs, writes and checks are read back from
//! the forge.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::forge_door::rig;
use crate::forge_job::{Job, left};
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL};

/// An intake job that is over, and the refs as they were before it.
pub(crate) struct Asked<'w> {
    pub(crate) world: &'w ForgeWorld,
    pub(crate) event: Event,
    pub(crate) job: Job,
    refs: BTreeMap<String, String>,
    checks: Vec<Value>,
    there: usize,
}

impl<'w> Asked<'w> {
    /// Somebody comments on the pull request, and the intake job runs.
    #[track_caller]
    pub(crate) fn by(world: &'w ForgeWorld, login: &str, body: &str) -> Self {
        Self::of(world, world.comments(login, body))
    }

    /// The intake job of an event.
    #[track_caller]
    pub(crate) fn of(world: &'w ForgeWorld, event: Event) -> Self {
        world.workflow_run(&event);
        let (refs, checks, there) = (
            world.remote_refs(),
            world.checks(&world.tip(HEAD)),
            world.writes().len(),
        );
        let job = world.omk_ci("intake", &event, &[]);
        Self {
            world,
            event,
            job,
            refs,
            checks,
            there,
        }
    }

    /// What the intake job wrote at the forge.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.world.writes().split_off(self.there)
    }

    /// The number of what was commented on.
    fn issue(&self) -> u64 {
        self.event.payload["issue"]["number"].as_u64().unwrap()
    }

    /// No run, no push, no check, no status, and a job that is not red.
    #[track_caller]
    fn began_nothing(&self) {
        let job = &self.job;
        assert_eq!(job.code, Some(0), "{job:?}");
        assert_eq!(
            (job.output("go"), job.output("request"), job.output("base")),
            ("false", "", ""),
            "{job:?}"
        );
        assert_eq!(self.world.remote_refs(), self.refs, "nothing is pushed");
        let answers = |write: &String| {
            *write == format!("POST /issues/{}/comments", self.issue())
                || write.ends_with("/reactions")
        };
        assert!(self.writes().iter().all(answers), "{:?}", self.writes());
        assert_eq!(
            self.world.checks(&self.world.tip(HEAD)),
            self.checks,
            "no check is begun"
        );
    }

    /// That it was refused, with 😕 and one answer; the answer without its marker and what varies.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        self.began_nothing();
        assert_eq!(
            self.world.reactions(&self.event),
            "confused",
            "{:?}",
            self.job
        );
        let comment = self.event.payload["comment"]["id"].as_u64().unwrap();
        let marker = format!("<!-- omk:reply:{comment} -->");
        let replies = self.world.replies(self.issue());
        let mut ours: Vec<&String> = replies
            .iter()
            .filter(|reply| reply.starts_with(&marker))
            .collect();
        let reply = ours
            .pop()
            .unwrap_or_else(|| panic!("it is not answered: {replies:#?}"));
        assert!(
            ours.is_empty() && self.writes().len() == 2,
            "one answer, one reaction: {:?}",
            self.writes()
        );
        self.scrubbed(reply[marker.len()..].trim())
    }

    /// That nothing at all was written.
    #[track_caller]
    pub(crate) fn ignored(self) -> Job {
        self.began_nothing();
        assert_eq!(self.writes(), Vec::<String>::new(), "{:?}", self.job);
        self.job
    }

    /// That a run is to follow; its request.
    #[track_caller]
    pub(crate) fn accepted(&self) -> Value {
        assert_eq!(
            (self.job.code, self.job.output("go")),
            (Some(0), "true"),
            "{:?}",
            self.job
        );
        assert_eq!(self.world.remote_refs(), self.refs, "nothing is pushed");
        serde_json::from_str(self.job.output("request")).unwrap()
    }

    /// The text with a word for the head's commit.
    fn scrubbed(&self, text: &str) -> String {
        let head = self.world.tip(HEAD);
        text.replace(&head, "HEAD")
            .replace(&head[..12], "HEAD")
            .replace(&head[..7], "HEAD")
    }
}

/// What the forge says of an object from now on, whatever it says by itself: `path` is the end of
/// its address.
pub(crate) fn told(world: &ForgeWorld, path: &str, merge: &Value) {
    world
        .door
        .control("override", &json!({"url": path, "merge": merge}));
}

/// What the forge says of pull request 12 from now on.
pub(crate) fn pull_told(world: &ForgeWorld, merge: &Value) {
    told(world, &format!("/pulls/{PULL}"), merge);
}

/// Everything in one job, on a checkout of the pull request's head; the job's directory, and how it
/// ended.
#[track_caller]
pub(crate) fn one_job(world: &ForgeWorld, event: &Event, env: &[(&str, &str)]) -> (PathBuf, Job) {
    one_job_on(world, event, &world.tip(HEAD), env)
}

/// The same on a checkout of another commit.
#[track_caller]
pub(crate) fn one_job_on(
    world: &ForgeWorld,
    event: &Event,
    commit: &str,
    env: &[(&str, &str)],
) -> (PathBuf, Job) {
    let run = world.workflow_run(event);
    world.checkout(&format!("job-{run}-all/workspace"), commit);
    (
        world.at(&format!("job-{run}-all")),
        world.omk_ci("", event, env),
    )
}

/// A sticky comment without its own two hidden lines.
pub(crate) fn inner(body: &str) -> &str {
    let (marker, rest) = body.split_once('\n').unwrap();
    let (data, rest) = rest.split_once('\n').unwrap();
    assert_eq!(marker, "<!-- omk:sticky:pr-12 -->");
    assert!(
        data.starts_with("<!-- omk:data {") && data.ends_with("} -->") && !data.contains("PWNED"),
        "{data}"
    );
    rest
}

/// Everything in one job, on a kernel that has no Landlock.
pub(crate) fn without_landlock(world: &ForgeWorld, event: &Event, env: &[(&str, &str)]) -> Job {
    let (omk, place) = world.job("", event, env);
    let mut python = Command::new("python3");
    python
        .arg(rig().join("no_landlock.py"))
        .arg(omk.get_program())
        .args(omk.get_args());
    python
        .current_dir(omk.get_current_dir().unwrap())
        .env_clear()
        .stdin(Stdio::null());
    python.env("OMK_ROOM_AT_MOST", "landlock");
    python.envs(
        omk.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    left(&python.output().unwrap(), &place)
}

/// Another push to the pull request's head, so many seconds ago: of two in one second nobody can
/// tell the last.
#[track_caller]
pub(crate) fn pushes_later(world: &ForgeWorld, seconds_ago: u64, files: &[(&str, &str)]) -> String {
    world
        .door
        .control("push_age", &json!({"seconds": seconds_ago}));
    world.pushes("contributor", HEAD, files)
}
