//! The stories' side of the emulated GitHub.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::forge_job::{GATE, Job};
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL, REPOSITORY};
use crate::story_world::{AnyWorld, Change, Ended, Pull, When};

impl AnyWorld for ForgeWorld {
    type Said = Event;
    const FORGE: &'static str = "github";
    const SCOPE: &'static str = "pr-12";
    const SIGN: char = '#';
    const BOT: &'static str = "renovate[bot]";

    fn with(files: &[(&str, &str)]) -> Self {
        Self::with_files(files)
    }

    fn site(&self) -> &str {
        &self.door.url
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
        self.remote_refs()
    }

    fn comment(&self, login: &str, body: &str) -> Event {
        self.comments(login, body)
    }

    fn comment_of_ours(&self, body: &str) -> Event {
        let path = format!("/repos/{REPOSITORY}/issues/{PULL}/comments");
        let made = self.door.api(
            &self.door.token(GATE),
            "POST",
            &path,
            &json!({"body": body}),
        );
        let mut event = self.comments("maintainer", "Nothing of interest.");
        event.payload["comment"] = made.json();
        event
    }

    fn edit(&self, said: &Event, body: &str) {
        let path = format!("/issues/comments/{}", said.payload["comment"]["id"]);
        assert_eq!(
            self.api("maintainer", "PATCH", &path, &json!({"body": body}))
                .status,
            200
        );
        // The emulator's clock may still be in the same second.
        let later = json!({"url": path, "merge": {"updated_at": "2099-01-01T00:00:00Z"}});
        self.door.control("override", &later);
    }

    fn change(&self, change: Change<'_>) {
        let told = match change {
            Change::Base(branch) => json!({"base": branch}),
            Change::Closed => json!({"state": "closed"}),
            Change::Open => json!({"state": "open"}),
            Change::Fork | Change::Own => {
                let id = if matches!(change, Change::Own) {
                    self.get("")["id"].clone()
                } else {
                    json!(987_654)
                };
                let merge = json!({"head": {"repo": {"id": id}}});
                self.door.control(
                    "override",
                    &json!({"url": format!("/pulls/{PULL}"), "merge": merge}),
                );
                return;
            }
        };
        assert_eq!(
            self.api("maintainer", "PATCH", &format!("/pulls/{PULL}"), &told)
                .status,
            200
        );
    }

    fn is_set_up(&self) {}

    fn intake(&self, said: &Event) -> Ended {
        let number = self.workflow_run(said);
        let gate = self.omk_ci("intake", said, &[]);
        if gate.output("go") != "true" {
            self.door.control(
                "runs",
                &json!({"id": number, "status": "completed", "conclusion": "success"}),
            );
        }
        ended(number, &gate)
    }

    fn jobs(&self, said: &Event) -> Ended {
        let jobs = ForgeWorld::jobs(self, said, &[]);
        let mut all = ended(jobs.number, &jobs.intake);
        for (name, job) in [
            ("run", &jobs.run),
            ("judge", &jobs.judge),
            ("publish", &jobs.publish),
        ] {
            if let Some(job) = job {
                all.add(name, job.code, [&job.out, &job.err]);
            }
        }
        all
    }

    fn after_cancel(&self, said: &Event, started: &Ended) -> Ended {
        // As `if: always()` says.
        let newest = self.run.replace(started.number);
        let request: Value = serde_json::from_str(&started.request).unwrap();
        let machine = format!("job-{}-publish/workspace", started.number);
        self.checkout(&machine, request["base"].as_str().unwrap());
        let told = [
            ("OMK_REQUEST", started.request.as_str()),
            ("OMK_JUDGEMENT", ""),
            ("OMK_RUN_RESULT", "cancelled"),
        ];
        let publish = self.omk_ci("publish", said, &told);
        self.run.set(newest);
        let mut ended = Ended {
            number: started.number,
            ..Ended::default()
        };
        ended.add("publish", publish.code, [&publish.out, &publish.err]);
        ended
    }

    fn proposed(&self) -> Ended {
        let event = self.pull_request("synchronize");
        let number = self.workflow_run(&event);
        // As examples/workflows/plan-check.yml grants it.
        let token = self.door.token(&[
            ("contents", "read"),
            ("pull-requests", "read"),
            ("checks", "write"),
        ]);
        ended(number, &self.omk_ci("", &event, &[("OMK_TOKEN", &token)]))
    }

    fn closed(&self) -> Ended {
        let event = self.pull_request("closed");
        let number = self.workflow_run(&event);
        // As examples/workflows/cleanup.yml grants it.
        let token = self
            .door
            .token(&[("contents", "write"), ("pull-requests", "read")]);
        ended(number, &self.omk_ci("", &event, &[("OMK_TOKEN", &token)]))
    }

    fn scheduled(&self) -> Ended {
        AnyWorld::jobs(self, &self.schedule())
    }

    fn texts(&self) -> Vec<(u64, String)> {
        let ours = self
            .comments_of(PULL)
            .into_iter()
            .filter(|one| one["user"]["login"] == "github-actions[bot]");
        ours.map(|one| (one["id"].as_u64().unwrap(), text(&one, "body")))
            .collect()
    }

    fn reactions_to(&self, said: &Event) -> String {
        self.reactions(said)
    }

    fn check_lines(&self, commit: &str) -> Vec<String> {
        let line = |check: &Value| {
            let state = if check["status"] == "completed" {
                "conclusion"
            } else {
                "status"
            };
            format!(
                "{}: {}, {}",
                text(check, "name"),
                text(check, state),
                text(&check["output"], "title")
            )
        };
        self.checks(commit).iter().map(line).collect()
    }

    fn pulls(&self) -> Vec<Pull> {
        let all = self.get("/pulls?state=all&per_page=100");
        let mut pulls: Vec<Pull> = all
            .as_array()
            .unwrap()
            .iter()
            .map(pull)
            .filter(|pull| pull.number != PULL)
            .collect();
        pulls.sort_by_key(|pull| pull.number);
        pulls
    }

    fn issues(&self) -> Vec<(String, String)> {
        let all = self.get("/issues?state=all&per_page=100");
        let ours = all.as_array().unwrap().iter().filter(|issue| {
            issue["user"]["login"] == "github-actions[bot]" && issue["pull_request"].is_null()
        });
        let line = |issue: &Value| format!("{} \"{}\"", text(issue, "state"), text(issue, "title"));
        ours.map(|issue| (line(issue), text(issue, "body")))
            .collect()
    }

    fn written(&self) -> Vec<(String, String, Value)> {
        let log = self.door.log().into_iter();
        let ours = log.filter(|entry| {
            entry["who"]
                .as_str()
                .is_some_and(|who| who.ends_with("[bot]"))
        });
        let told = ours.map(|entry| {
            (
                text(&entry, "method"),
                text(&entry, "path"),
                entry["body"].clone(),
            )
        });
        let changes =
            told.filter(|(method, path, _)| method != "GET" && !path.ends_with("git-upload-pack"));
        let prefix = format!("/repos/{REPOSITORY}");
        changes
            .map(|(method, path, body)| {
                (method, path.trim_start_matches(&*prefix).to_owned(), body)
            })
            .collect()
    }
}

fn ended(number: u64, gate: &Job) -> Ended {
    let mut ended = Ended {
        number,
        request: gate.output("request").to_owned(),
        ..Ended::default()
    };
    ended.add("intake", gate.code, [&gate.out, &gate.err]);
    ended
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn pull(value: &Value) -> Pull {
    let state = if value["draft"] == true && value["state"] == "open" {
        "draft".to_owned()
    } else {
        text(value, "state")
    };
    let labels = value["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| text(label, "name"));
    Pull {
        number: value["number"].as_u64().unwrap(),
        title: text(value, "title"),
        head: text(&value["head"], "ref"),
        base: text(&value["base"], "ref"),
        state,
        labels: labels.collect(),
        body: text(value, "body"),
    }
}

#[test]
fn the_stories_know_the_head_by_its_name() {
    assert_eq!(HEAD, crate::gitlab_world::SOURCE);
    assert_eq!(PULL, crate::gitlab_world::REQUEST);
}
