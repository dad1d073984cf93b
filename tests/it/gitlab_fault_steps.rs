//! The jobs of one comment's pipeline, one at a time and as often as somebody retries them; and
//! what a run that went well leaves, once.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::{Value, json};

use crate::gitlab_job::{LabJob, Pipeline, name_of};
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

/// A comment, and the pipeline that it started.
pub(crate) struct Steps<'w> {
    pub(crate) world: &'w GitLabWorld,
    pub(crate) note: Value,
    pub(crate) pipeline: Pipeline,
    /// The merge request's head when it was commented on.
    pub(crate) head: String,
    /// Set for every job.
    pub(crate) env: Vec<(&'w str, &'w str)>,
}

impl<'w> Steps<'w> {
    /// `/omk run` by the maintainer, and the webhook's pipeline.
    pub(crate) fn start(world: &'w GitLabWorld) -> Self {
        Self::of(world, "/omk run")
    }

    /// The same with other words.
    pub(crate) fn of(world: &'w GitLabWorld, words: &str) -> Self {
        let note = world.comments("maintainer", words);
        let pipeline = world.hooked(&note);
        Self {
            world,
            note,
            pipeline,
            head: world.tip(SOURCE),
            env: Vec::new(),
        }
    }

    /// A run that is judged, and waits to be published.
    pub(crate) fn judged(world: &'w GitLabWorld) -> Self {
        let steps = Self::start(world);
        for command in ["intake", "run", "judge"] {
            steps.job(command).exits(0);
        }
        steps
    }

    /// One job of the pipeline.
    pub(crate) fn job(&self, command: &str) -> LabJob {
        self.world.omk_ci(command, &self.pipeline, &self.env)
    }

    /// The same job tried again, as a person does by its button: it gets another number.
    pub(crate) fn again(&mut self, command: &str) -> LabJob {
        self.renew(command);
        self.job(command)
    }

    /// Makes room for another try of a job.
    pub(crate) fn renew(&mut self, command: &str) {
        let jobs = json!([[name_of(command), command]]);
        let told = self.world.door.control(
            "add_jobs",
            &json!({"pipeline": self.pipeline.id, "jobs": jobs}),
        );
        self.pipeline.jobs.insert(
            name_of(command),
            told["jobs"][name_of(command)].as_u64().unwrap(),
        );
    }

    /// All four jobs, which end well.
    pub(crate) fn all(&self) {
        for command in ["intake", "run", "judge", "publish"] {
            self.job(command).exits(0);
        }
    }

    /// The one note of omk's, among however many there are.
    #[track_caller]
    pub(crate) fn reply(&self) -> String {
        let bot = self.world.door.control("users", &json!({"username": BOT}))["id"].clone();
        let state = self.world.state();
        let requests = state["merge_requests"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["iid"] == REQUEST);
        let notes = requests
            .flat_map(|one| one["notes"].as_array().unwrap())
            .filter(|note| note["author"] == bot);
        let mut replies: Vec<String> = notes
            .map(|note| note["body"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(replies.len(), 1, "{replies:#?}");
        replies.remove(0)
    }

    /// All statuses of omk's that a commit has ever had: `omk success`.
    pub(crate) fn statuses(&self, commit: &str) -> Vec<String> {
        let state = self.world.state();
        let ours = state["statuses"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|status| status["sha"] == commit);
        let text = |status: &Value, name: &str| status[name].as_str().unwrap().to_owned();
        let mut lines: Vec<String> = ours
            .map(|status| format!("{} {}", text(status, "name"), text(status, "status")))
            .collect();
        lines.sort();
        lines
    }

    /// Refs of omk's at the remote.
    pub(crate) fn refs(&self) -> Vec<String> {
        let names = self.world.refs().into_keys();
        names
            .filter(|name| name.starts_with("refs/heads/omk/") || name.starts_with("refs/omk/"))
            .collect()
    }

    /// That everything of a good run is there, and once.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        assert_eq!(self.refs().len(), 2, "{:?}", self.refs());
        assert_eq!(self.statuses(&self.head), ["omk success"]);
        let result = self.world.tip("omk/run/mr-12");
        assert_eq!(
            self.statuses(&result),
            ["omk / test success", "omk success"]
        );
        let state = self.world.state();
        assert_eq!(
            state["merge_requests"].as_array().unwrap().len(),
            2,
            "{:#?}",
            state["merge_requests"]
        );
        assert!(
            self.reply().contains("**Delivered** as merge request"),
            "{}",
            self.reply()
        );
        assert_eq!(self.world.awards(&self.note), "eyes, rocket");
    }
}
