//! Runs that are large: gates, annotations, logs, tasks. The forge's limits hold, and what is left out is said.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

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
    assert!(checks.contains(&"omk / other gates: success".to_owned()), "{checks:#?}");
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
    let reply = &world.replies(PULL)[0];
    assert!(reply.len() <= 65_536 && reply.contains("**Delivered**"), "{} bytes\n{reply}", reply.len());
}

#[test]
fn five_hundred_annotations_go_in_batches() {
    let report = "printf '{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"lint\"}},\"results\":[' > lint.sarif\n\
        i=1; while [ $i -le 500 ]; do\n\
        [ $i = 1 ] || printf ',' >> lint.sarif\n\
        printf '{\"ruleId\":\"r\",\"level\":\"warning\",\"message\":{\"text\":\"remark %d\"},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"README.md\"},\"region\":{\"startLine\":%d}}}]}' $i $i >> lint.sarif\n\
        i=$((i+1)); done; printf ']}]}' >> lint.sarif; exit 1\n";
    let plan = "version: 1\nname: widget\ngates:\n  - { id: whole, run: test -s README.md }\n  - id: lint\n    run: sh lint.sh\n    \
        required: false\n    report: { format: sarif, path: lint.sarif }\ntasks:\n  - { id: fix, run: echo right > fix.txt, \
        write_set: [fix.txt], gates: [whole, lint] }\n";
    let world = ForgeWorld::with_files(&[("omk.yaml", plan), ("README.md", "A widget.\n"), ("lint.sh", report), (".gitignore", "lint.sarif\n")]);
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let result = world.tip("omk/run/pr-12");
    let checks = world.checks(&result);
    let lint = checks.iter().find(|check| check["name"] == "omk / lint").unwrap_or_else(|| panic!("{checks:#?}"));
    let annotations = world.state()["annotations"][lint["id"].to_string()].as_array().unwrap().clone();
    assert_eq!(annotations.len(), 500);
    let mut lines: Vec<u64> = annotations.iter().map(|one| one["start_line"].as_u64().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (1..=500).collect::<Vec<u64>>(), "each once");
    assert!(world.writes().len() < 60, "{:#?}", world.writes());
}

#[test]
fn a_log_of_two_hundred_kilobytes_fits_everywhere() {
    let plan = "version: 1\nname: widget\ngates:\n  - { id: whole, run: test -s README.md }\n  - id: loud\n    run: sh loud.sh\n    \
        required: false\ntasks:\n  - { id: fix, run: echo right > fix.txt, write_set: [fix.txt], gates: [whole, loud] }\n";
    let loud = "i=1; while [ $i -le 4000 ]; do echo \"line $i says <!-- omk:sticky:pr-12 --> @everyone ::error::$i\"; i=$((i+1)); done; exit 1\n";
    let world = ForgeWorld::with_files(&[("omk.yaml", plan), ("README.md", "A widget.\n"), ("loud.sh", loud)]);
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    let checks = world.checks(&world.tip("omk/run/pr-12"));
    let loud = checks.iter().find(|check| check["name"] == "omk / loud").unwrap_or_else(|| panic!("{checks:#?}"));
    let output = &loud["output"];
    for name in ["summary", "text"] {
        assert!(output[name].as_str().unwrap_or_default().len() <= 65_535, "{name}");
    }
    assert!(output.to_string().contains("line 4000 says"), "the end of it is what tells: {output:#}");
    assert!(!output.to_string().contains("@everyone"), "{output:#}");
    let replies = world.replies(PULL);
    assert!(replies.len() == 1 && replies[0].len() <= 65_536 && replies[0].contains("**Delivered**"), "{replies:#?}");
    assert_eq!(replies[0].matches("<!-- omk:sticky:pr-12 -->").count(), 1);
    for job in [&jobs.run, &jobs.judge, &jobs.publish] {
        let commands: Vec<&str> = job.out.lines().filter(|line| line.starts_with("::error::")).collect();
        assert_eq!(commands, [""; 0]);
    }
}

fn fifty(deliver: &str) -> ForgeWorld {
    let mut plan = format!("version: 1\nname: widget\ngates:\n  - {{ id: whole, run: test -s README.md }}\ndeliver: {deliver}\ntasks:\n");
    for task in 0..50 {
        writeln!(plan, "  - {{ id: task-{task}, run: echo {task} > t{task}.txt, write_set: [t{task}.txt], gates: [whole] }}").unwrap();
    }
    ForgeWorld::with_plan(&plan)
}

#[test]
fn fifty_tasks_are_under_sixty_writes() {
    let world = fifty("{ as: pull-request-per-task, limit: 10, labels: [omk] }");
    let jobs = run(&world);
    assert_eq!(jobs.codes(), [0; 4], "{jobs:#?}");
    assert!(world.writes().len() < 60, "{}: {:#?}", world.writes().len(), world.writes());
    let pulls = world.get("/pulls?state=open&per_page=100");
    assert_eq!(pulls.as_array().unwrap().len(), 11);
    assert!(world.replies(PULL)[0].contains("40 more pull requests were not opened"), "{:#?}", world.replies(PULL));
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
    let world = ForgeWorld::with_files(&[("omk.yaml", plan.as_str()), ("README.md", "A widget.\n"), ("loud.sh", loud)]);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.gate().exits(0);
    split.run().exits(0);
    let job = split.judge().exits(0);
    // Linux starts no process with a longer variable, and a runner's step is one.
    let handed = job.output("judgement").len();
    assert!(handed < (128 << 10) - 64, "{handed} bytes");
    split.publish().exits(0);
    assert!(world.replies(PULL)[0].contains("**Delivered**"));
}
