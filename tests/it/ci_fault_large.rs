//! Runs that are large: gates, annotations, logs, tasks. The forge's limits hold, and what is left
//! out is said.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fmt::Write as _;

use serde_json::Value;

use crate::ci_flow_split::{Jobs, Split, seen};
use crate::forge_world::{ForgeWorld, HEAD, PULL};

fn run(world: &ForgeWorld) -> Jobs {
    Split::start(world, world.comments("maintainer", "/omk run")).all()
}

#[test]
fn three_hundred_gates_make_twenty_checks_and_one() {
    let mut plan = "version: 1\nname: widget\ngates:\n".to_owned();
    for gate in 0..300 {
        writeln!(plan, "  - {{ id: gate-{gate}, run: \"true\" }}").unwrap();
    }
    plan += "tasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [gate-7] }\n";
    let world = ForgeWorld::with_plan(&plan);
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let checks = seen(&world, &world.tip("omk/run/pr-12"));
    assert_eq!(checks.len(), 22, "omk, twenty, and the rest: {checks:#?}");
    assert!(
        checks.contains(&"omk / other gates: success".to_owned()),
        "{checks:#?}"
    );
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
    let reply = &world.replies(PULL)[0];
    assert!(
        reply.len() <= 65_536 && reply.contains("**Delivered**"),
        "{} bytes\n{reply}",
        reply.len()
    );
}

#[test]
fn five_hundred_annotations_go_in_batches() {
    // They were there before, so the result is ready, and says so.
    let lint = "printf '{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"lint\"}},\"results\":[' > $1.sarif\n\
        i=1; while [ $i -le 60 ]; do\n\
        [ $i = 1 ] || printf ',' >> $1.sarif\n\
        printf '{\"ruleId\":\"r%d\",\"level\":\"error\",\"message\":{\"text\":\"remark %d\"},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"README.md\"},\"region\":{\"startLine\":%d}}}]}' $i $i $i >> $1.sarif\n\
        i=$((i+1)); done; printf ']}]}' >> $1.sarif; exit 1\n";
    let mut plan = "version: 1\nname: widget\ngates:\n".to_owned();
    for gate in 0..10 {
        writeln!(
            plan,
            "  - {{ id: lint-{gate}, run: sh lint.sh {gate}, report: {{ format: sarif, path: {gate}.sarif }} }}"
        )
        .unwrap();
    }
    plan += "tasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [lint-0] }\n";
    let files = [
        ("omk.yaml", plan.as_str()),
        ("README.md", "A widget.\n"),
        ("lint.sh", lint),
        (".gitignore", "*.sarif\n"),
    ];
    let world = ForgeWorld::with_files(&files);
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let annotations = world.state()["annotations"].clone();
    let of = |check: &Value| {
        annotations[check["id"].to_string()]
            .as_array()
            .map_or(0, Vec::len)
    };
    let checks = world.checks(&world.tip("omk/run/pr-12"));
    let counts: Vec<usize> = checks
        .iter()
        .filter(|check| check["name"] != "omk")
        .map(of)
        .collect();
    assert_eq!(
        counts,
        [60, 60, 60, 60, 60, 60, 60, 60, 20, 0],
        "500 in all, and no batch of more than 50"
    );
    assert!(
        checks.last().unwrap()["output"]["summary"]
            .as_str()
            .unwrap()
            .contains("60"),
        "what is left out is said: {checks:#?}"
    );
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
}

#[test]
fn a_log_of_two_hundred_kilobytes_fits_everywhere() {
    let plan = "version: 1\nname: widget\ndefaults: { retry_policy: { max_attempts: 0 } }\ngates:\n  - { id: loud, run: sh loud.sh }\n\
        tasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [loud] }\n";
    let loud = "i=1; while [ $i -le 4000 ]; do echo \"line $i says <!-- omk:sticky:pr-12 --> @everyone\"; echo \"::error::$i\"; i=$((i+1)); done; exit 1\n";
    let world = ForgeWorld::with_files(&[
        ("omk.yaml", plan),
        ("README.md", "A widget.\n"),
        ("loud.sh", loud),
    ]);
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0, 1, 1, 1], "{jobs:#?}");
    let checks = world.checks(&world.tip(HEAD));
    let output = &checks[0]["output"];
    for name in ["summary", "text"] {
        assert!(
            output[name].as_str().unwrap_or_default().len() <= 65_535,
            "{name}"
        );
    }
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].len() <= 65_536,
        "{replies:#?}"
    );
    assert_eq!(replies[0].matches("<!-- omk:sticky:pr-12 -->").count(), 1);
    for told in [&output.to_string(), &replies[0]] {
        assert!(
            told.contains("::error::4000") || told.contains("line 4000 says"),
            "the end of it is what tells: {told}"
        );
        // Inside a block of code, where it calls nobody.
        let (before, after) = told.split_once("@everyone").unwrap();
        assert!(
            before.contains("```text") && after.contains("```"),
            "{told}"
        );
    }
    for job in [&jobs.run, &jobs.judge, &jobs.publish] {
        assert!(
            !job.out.lines().any(|line| line.starts_with("::error::4")),
            "{}",
            job.out
        );
    }
}

fn fifty(deliver: &str) -> ForgeWorld {
    let mut plan = format!(
        "version: 1\nname: widget\ngates:\n  - {{ id: whole, run: test -s README.md }}\ndeliver: {deliver}\ntasks:\n"
    );
    for task in 0..50 {
        writeln!(
            plan,
            "  - {{ id: task-{task}, run: echo {task} > t{task}.txt, write_set: [t{task}.txt], gates: [whole] }}"
        )
        .unwrap();
    }
    ForgeWorld::with_plan(&plan)
}

#[test]
fn fifty_tasks_are_under_sixty_writes() {
    let world = fifty("{ as: pull-request-per-task, limit: 10, labels: [omk] }");
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert!(
        world.writes().len() < 60,
        "{}: {:#?}",
        world.writes().len(),
        world.writes()
    );
    let pulls = world.get("/pulls?state=open&per_page=100");
    assert_eq!(pulls.as_array().unwrap().len(), 11);
    assert!(
        world.replies(PULL)[0].contains("40 more pull requests were not opened"),
        "{:#?}",
        world.replies(PULL)
    );
}

#[test]
fn fifty_tasks_in_one_job_are_under_sixty_writes() {
    let world = fifty("{ as: pull-request }");
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.base = world.tip(HEAD);
    split.fresh("all", None);
    let job = world.omk_ci("", &split.event, &[]).exits(0);
    assert_eq!(job.output("pull-request"), "13");
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
    let body: Value = world.get("/pulls/13")["body"].clone();
    assert!(body.as_str().unwrap().contains("task-49"), "{body}");
}

#[test]
fn gates_that_talk_a_lot_do_not_keep_the_next_job_from_starting() {
    let mut plan = "version: 1\nname: widget\ngates:\n".to_owned();
    for gate in 0..12 {
        writeln!(plan, "  - {{ id: gate-{gate}, run: sh loud.sh }}").unwrap();
    }
    plan += "tasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [gate-0] }\n";
    let loud = "i=1; while [ $i -le 1000 ]; do echo \"line $i of what a test run says about itself\"; i=$((i+1)); done\n";
    let world = ForgeWorld::with_files(&[
        ("omk.yaml", plan.as_str()),
        ("README.md", "A widget.\n"),
        ("loud.sh", loud),
    ]);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.intake().exits(0);
    split.run().exits(0);
    let job = split.judge().exits(0);
    // Linux starts no process with a longer variable, and a runner's step is one.
    let handed = job.output("judgement").len();
    assert!(handed < (128 << 10) - 64, "{handed} bytes");
    split.publish().exits(0);
    assert!(world.replies(PULL)[0].contains("**Delivered**"));
}
