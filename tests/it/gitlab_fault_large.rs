//! A lot of everything at GitLab: notes, gates, findings, statuses, merge requests. Its limits
//! hold, and what is left out is said.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST, SOURCE};

/// Requests of the bot to that path.
fn asked(world: &GitLabWorld, path: &str) -> usize {
    let log = world.door.log();
    let fits =
        |entry: &&Value| entry["who"] == BOT && entry["path"].as_str().unwrap().contains(path);
    log.iter().filter(fits).count()
}

#[test]
fn a_merge_request_with_hundreds_of_notes_and_statuses_gets_one_of_each() {
    let world = GitLabWorld::start();
    for number in 0..500 {
        // Some of them pretend.
        let body = if number % 5 == 0 {
            "<!-- omk:sticky:mr-12 -->\n/omk-ish"
        } else {
            "Looks good"
        };
        world.comments("contributor", body);
    }
    let head = world.tip(SOURCE);
    world.door.control(
        "statuses",
        &json!({"sha": head, "ref": SOURCE, "username": "contributor", "names": ["omk", "lint"], "count": 250}),
    );
    let steps = Steps::start(&world);
    // One that is near GitLab's limit, and holds a command.
    world.comments(
        "contributor",
        &format!("/omk help\n{}", "a long story, ".repeat(71_000)),
    );
    steps.all();
    assert_eq!(steps.refs().len(), 2);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
    let state = world.state();
    let ours = state["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["sha"] == head && one["name"] == "omk");
    let by_us: Vec<&Value> = ours
        .filter(|one| {
            one["target_url"]
                .as_str()
                .is_some_and(|url| url.contains("#omk/mr-12/"))
        })
        .collect();
    assert!(
        by_us.len() == 1 && by_us[0]["status"] == "success",
        "{by_us:#?}"
    );
    assert!(
        asked(&world, "/notes?") <= 60,
        "{}",
        asked(&world, "/notes?")
    );
}

#[test]
fn many_gates_with_many_findings_fit_into_gitlabs_limits() {
    let lint = "printf '{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"lint\"}},\"results\":[' > $1.sarif\n\
        i=1; while [ $i -le 20 ]; do\n\
        [ $i = 1 ] || printf ',' >> $1.sarif\n\
        printf '{\"ruleId\":\"r%d\",\"level\":\"error\",\"message\":{\"text\":\"remark %d\"},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"README.md\"},\"region\":{\"startLine\":%d}}}]}' $i $i $i >> $1.sarif\n\
        i=$((i+1)); done; printf ']}]}' >> $1.sarif; exit 1\n";
    let long = "x".repeat(300);
    let mut plan = "version: 1\nname: widget\ngates:\n".to_owned();
    for gate in 0..150 {
        let _ = match gate % 15 {
            0 => writeln!(
                plan,
                "  - {{ id: lint-{gate}, run: sh lint.sh {gate}, report: {{ format: sarif, path: {gate}.sarif }} }}"
            ),
            _ => writeln!(plan, "  - {{ id: gate-{gate}, run: \"true {long}\" }}"),
        };
    }
    plan += "tasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [lint-0] }\n";
    let files = [
        ("omk.yaml", plan.as_str()),
        ("README.md", "A widget.\n"),
        ("lint.sh", lint),
        (".gitignore", "*.sarif\n"),
    ];
    let world = GitLabWorld::with_files(&files);
    let steps = Steps::start(&world);
    for command in ["intake", "run", "judge"] {
        steps.job(command).exits(0);
    }
    let job = steps.job("publish").exits(0);
    let statuses = steps.statuses(&world.tip("omk/run/mr-12"));
    assert_eq!(
        statuses.len(),
        22,
        "omk, twenty, and the rest: {statuses:#?}"
    );
    assert!(
        statuses.contains(&"omk / other gates success".to_owned()),
        "{statuses:#?}"
    );
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
    let findings: Value = serde_json::from_str(&job.files["gl-code-quality-report.json"]).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 200);
    assert!(job.files["junit.xml"].contains("gate-149"));
    let reply = steps.reply();
    assert!(
        reply.chars().count() <= 1_000_000 && reply.contains("**Delivered**"),
        "{} characters",
        reply.len()
    );
    for status in world.state()["statuses"].as_array().unwrap() {
        assert!(
            status["description"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .count()
                <= 255,
            "{status:#}"
        );
    }
}

#[test]
fn a_poll_looks_through_forty_merge_requests() {
    let world = GitLabWorld::start();
    let mut notes = Vec::new();
    for number in 100..140 {
        world.git(&["checkout", "--quiet", SOURCE]);
        let branch = format!("b{number}");
        world.git(&[
            "push",
            "--quiet",
            &world.remote("contributor"),
            &format!("HEAD:refs/heads/{branch}"),
        ]);
        world.opens(number, "contributor", &branch, &json!({"title": "Another"}));
        if number % 10 == 0 {
            notes.push(world.comments_on(
                number,
                "maintainer",
                if number % 20 == 0 {
                    "/omk help"
                } else {
                    "/omk run"
                },
            ));
        }
    }
    let poll = world.pipeline("schedule", "maintainer");
    let gate = world
        .omk_ci("intake", &poll, &[("OMK_POLL", "true")])
        .exits(0)
        .says("4 commands in 41 merge requests");
    let request: Value = serde_json::from_str(&gate.files["request.json"]).unwrap();
    assert_eq!(request["scope"], "mr-110");
    let marks: Vec<String> = notes.iter().map(|note| world.awards(note)).collect();
    assert_eq!(
        marks,
        ["eyes", "eyes", "eyes", ""],
        "one run in a pipeline; all that is answered at once"
    );
    assert_eq!(
        (
            world.replies(100).len(),
            world.replies(120).len(),
            world.replies(130).len()
        ),
        (1, 1, 0)
    );
    assert!(asked(&world, "") < 110, "{} requests", asked(&world, ""));
    assert_eq!(world.replies(REQUEST).len(), 0);
    // The next one finds the rest.
    let poll = world.pipeline("schedule", "maintainer");
    let gate = world
        .omk_ci("intake", &poll, &[("OMK_POLL", "true")])
        .exits(0);
    let request: Value = serde_json::from_str(&gate.files["request.json"]).unwrap();
    assert_eq!(
        (request["scope"].as_str(), world.awards(&notes[3]).as_str()),
        (Some("mr-130"), "eyes")
    );
}
