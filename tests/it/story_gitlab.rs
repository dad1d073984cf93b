//! The stories' side of the offline GitLab.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::gitlab_job::{LabJob, Pipeline};
use crate::gitlab_world::{BOT, GitLabWorld, NUMBER, PROJECT, REQUEST};
use crate::story_world::{AnyWorld, Change, Ended, Pull, When};

impl AnyWorld for GitLabWorld {
    type Said = Value;
    const FORGE: &'static str = "gitlab";
    const SCOPE: &'static str = "mr-12";
    const SIGN: char = '!';
    const BOT: &'static str = "renovate";

    fn with(files: &[(&str, &str)]) -> Self {
        let world = Self::with_files(files);
        world
            .door
            .control("users", &json!({"username": "renovate", "bot": true}));
        world.level("renovate", 30);
        world
    }

    fn site(&self) -> &str {
        &self.door.site
    }

    fn work(&self, args: &[&str]) -> String {
        self.git(args)
    }

    fn address(&self, login: &str) -> String {
        self.remote(login)
    }

    fn push(&self, when: When, login: &str, branch: &str, files: &[(&str, &str)]) -> String {
        let age = if when == When::Since { -2 } else { 3600 };
        self.door.control("push_age", &json!({"seconds": age}));
        self.pushes(login, branch, files)
    }

    fn refs(&self) -> BTreeMap<String, String> {
        GitLabWorld::refs(self)
    }

    fn comment(&self, login: &str, body: &str) -> Value {
        self.comments(login, body)
    }

    fn comment_of_ours(&self, body: &str) -> Value {
        self.comments(BOT, body)
    }

    fn edit(&self, said: &Value, body: &str) {
        self.passes(60);
        let login = said["author"]["username"].as_str().unwrap();
        self.edits(login, said, body);
    }

    fn change(&self, change: Change<'_>) {
        let told = match change {
            Change::Base(branch) => json!({"target_branch": branch}),
            Change::Closed => json!({"state_event": "close"}),
            Change::Open => json!({"state_event": "reopen"}),
            Change::Fork => {
                let fork = json!({"path": "drive-by/widget", "id": 8, "fork_of": NUMBER});
                self.door.control("projects", &fork);
                self.source(8);
                return;
            }
            Change::Own => {
                self.source(NUMBER);
                return;
            }
        };
        self.api(
            "maintainer",
            "PUT",
            &format!("/merge_requests/{REQUEST}"),
            &told,
        )
        .expect(200);
    }

    fn is_set_up(&self) {
        // Cancelling a pipeline of a protected branch takes the right to merge into it.
        self.door
            .control("protect", &json!({"branch": "main", "merge": 30}));
    }

    fn intake(&self, said: &Value) -> Ended {
        let pipeline = self.hooked(said);
        gate(self, &pipeline, &[])
    }

    fn jobs(&self, said: &Value) -> Ended {
        let pipeline = self.hooked(said);
        all(self, &pipeline)
    }

    fn after_cancel(&self, _said: &Value, started: &Ended) -> Ended {
        // No job of a cancelled pipeline is started.
        Ended {
            number: started.number,
            codes: "none".to_owned(),
            ..Ended::default()
        }
    }

    fn proposed(&self) -> Ended {
        gate(
            self,
            &self.request_pipeline(),
            &[("OMK_TOKEN", "glpat-intake")],
        )
    }

    fn closed(&self) -> Ended {
        gate(
            self,
            &self.triggered(&self.request_hook(REQUEST, "close")),
            &[],
        )
    }

    fn scheduled(&self) -> Ended {
        all(self, &self.pipeline("schedule", "maintainer"))
    }

    fn texts(&self) -> Vec<(u64, String)> {
        let ours = self
            .notes_of(REQUEST)
            .into_iter()
            .filter(|note| note["author"]["username"] == BOT);
        ours.map(|note| (note["id"].as_u64().unwrap(), text(&note, "body")))
            .collect()
    }

    fn reactions_to(&self, said: &Value) -> String {
        self.awards(said)
    }

    fn check_lines(&self, commit: &str) -> Vec<String> {
        let line = |one: &Value| {
            format!(
                "{}: {}, {}",
                text(one, "name"),
                text(one, "status"),
                text(one, "description")
            )
        };
        self.statuses(commit).iter().map(line).collect()
    }

    fn pulls(&self) -> Vec<Pull> {
        let all = self.get("/merge_requests?state=all&per_page=100");
        let all = all.as_array().unwrap().iter().map(pull);
        let mut pulls: Vec<Pull> = all.filter(|pull| pull.number != REQUEST).collect();
        pulls.sort_by_key(|pull| pull.number);
        pulls
    }

    fn issues(&self) -> Vec<(String, String)> {
        let all = self.get("/issues?state=all&per_page=100");
        let line = |issue: &Value| format!("{} \"{}\"", text(issue, "state"), text(issue, "title"));
        all.as_array()
            .unwrap()
            .iter()
            .map(|issue| (line(issue), text(issue, "description")))
            .collect()
    }

    fn written(&self) -> Vec<(String, String, Value)> {
        let ours = self
            .door
            .log()
            .into_iter()
            .filter(|entry| entry["who"] == BOT);
        let body = |entry: &Value| serde_json::from_str(&text(entry, "body")).unwrap_or_default();
        let told = ours.map(|entry| (text(&entry, "method"), text(&entry, "path"), body(&entry)));
        let prefix = format!("/gitlab/api/v4/projects/{NUMBER}");
        let changes = told.filter(|(method, path, _)| {
            let asks = path.ends_with("git-upload-pack") || path.ends_with("/graphql");
            method != "GET" && !asks
        });
        changes
            .map(|(method, path, body)| {
                (method, path.trim_start_matches(&*prefix).to_owned(), body)
            })
            .collect()
    }
}

impl GitLabWorld {
    /// Says that the merge request's branch is in that project.
    fn source(&self, project: u64) {
        let set =
            json!({"iid": REQUEST, "project": PROJECT, "set": {"source_project_id": project}});
        self.door.control("change_merge_request", &set);
    }
}

fn gate(world: &GitLabWorld, pipeline: &Pipeline, env: &[(&str, &str)]) -> Ended {
    let job = world.omk_ci("intake", pipeline, env);
    let request = job.files.get("request.json").map_or("", |file| file.trim());
    let request = if request == "null" {
        String::new()
    } else {
        request.to_owned()
    };
    let mut ended = Ended {
        number: pipeline.id,
        request,
        ..Ended::default()
    };
    add(&mut ended, "intake", &job);
    ended
}

fn all(world: &GitLabWorld, pipeline: &Pipeline) -> Ended {
    let mut ended = gate(world, pipeline, &[]);
    if !ended.request.is_empty() {
        for stage in ["run", "judge", "publish"] {
            add(&mut ended, stage, &world.omk_ci(stage, pipeline, &[]));
        }
    }
    ended
}

fn add(ended: &mut Ended, name: &str, job: &LabJob) {
    ended.add(name, job.code, [&job.out, &job.err]);
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn pull(value: &Value) -> Pull {
    let state = match value["state"].as_str().unwrap() {
        "opened" if value["draft"] == true => "draft",
        "opened" => "open",
        other => other,
    };
    let labels = value["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label.as_str().unwrap().to_owned());
    Pull {
        number: value["iid"].as_u64().unwrap(),
        title: text(value, "title"),
        head: text(value, "source_branch"),
        base: text(value, "target_branch"),
        state: state.to_owned(),
        labels: labels.collect(),
        body: text(value, "description"),
    }
}

#[test]
fn who_may_not_merge_to_the_default_branch_is_told_that_the_run_goes_on() {
    let world = GitLabWorld::start();
    world
        .omk_ci(
            "intake",
            &world.hooked(&world.comments("maintainer", "/omk run")),
            &[],
        )
        .exits(0);
    let note = world.comments("contributor", "/omk cancel");
    world.omk_ci("intake", &world.hooked(&note), &[]);
    let reply = world
        .replies(REQUEST)
        .pop()
        .unwrap()
        .replace(&world.door.url, "https://forge.test");
    insta::assert_snapshot!(reply, @"
    <!-- omk:reply:1003 -->
    To `contributor`:

    😕 **Nothing was cancelled: omk may not do that here**

    [The pipeline](<https://forge.test/gitlab/acme/widget/-/pipelines/77>) goes on: on a protected branch GitLab lets only those end one who may merge there, and omk's account may not.

    Somebody who may can end it there. Or let omk's account merge (Settings > Repository > Protected branches), and write the command again.
    ");
    assert_eq!(world.awards(&note), "eyes, confused");
}
