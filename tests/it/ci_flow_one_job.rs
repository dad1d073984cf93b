//! Everything in one job: a run from comment to pull request, and one that is interrupted.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use omk_action::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::ci_flow_split::{Split, ours, seen};
use crate::forge_job::left;
use crate::forge_world::{ForgeWorld, HEAD, PULL};

/// A task that says that it has begun by reading from a pipe, and then takes its time.
const LONG: &str = "\
version: 1
name: widget
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: short, run: echo short > short.txt, write_set: [short.txt], gates: [whole] }
  - { id: long, run: cat PIPE > long.txt; sleep 300, write_set: [long.txt], gates: [whole], dependencies: [short] }
deliver: { as: pull-request }
";

/// Waits until somebody reads from the pipe, as long as that child lives, and lets the reader go
/// on.
pub(crate) fn began(pipe: &Path, child: &mut Child) {
    loop {
        if std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(pipe)
            .is_ok()
        {
            return;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before its task began"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn one_job_does_it_all() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.base = world.tip(HEAD);
    split.fresh("all", None);
    let job = world.omk_ci("", &split.event, &[]).exits(0);
    assert_eq!(
        (job.output("verdict"), job.output("pull-request")),
        ("ready", "13"),
        "{job:#?}"
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
    assert_eq!(seen(&world, &split.base), ["omk: success"]);
    assert_eq!(
        seen(&world, &world.tip("omk/run/pr-12")),
        ["omk: success", "omk / test: success"]
    );
    assert_eq!(world.replies(PULL).len(), 1);
    let proofs = ours(&world).pop().unwrap();
    world.git(&["fetch", "--quiet", &world.remote("reader"), &proofs]);
    let proof: Value =
        serde_json::from_str(&world.git(&["show", "FETCH_HEAD:run.result.json"])).unwrap();
    assert_eq!(proof["predicate"]["judged_by"], "same-job", "{proof:#}");
    assert!(world.writes().len() <= 9, "{:#?}", world.writes());
}

#[test]
fn an_interrupted_job_is_gone_in_time_and_leaves_everything_whole() {
    let outside = tempfile::tempdir().unwrap();
    let pipe = outside.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let world = ForgeWorld::with_plan(&LONG.replace("PIPE", pipe.to_str().unwrap()));
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.base = world.tip(HEAD);
    split.fresh("all", None);
    let (mut omk, machine) = world.job("", &split.event, &[]);
    let mut child = omk
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    began(&pipe, &mut child);
    let watch = Clock::start().stopwatch();
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let took = watch.elapsed();
    let job = left(&output, &machine).exits(130);
    assert!(took < Duration::from_secs(6), "{took:?}");
    let run = machine
        .join("workspace/.git/omk/runs")
        .join(job.output("run-id"));
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    assert!(
        journal.ends_with('\n')
            && journal
                .lines()
                .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(machine.join("bundle/bundle.json").is_file(), "{job:#?}");
    assert_eq!(job.output("verdict"), "cancelled");
    assert_eq!(seen(&world, &split.base), ["omk: cancelled"]);
    assert_eq!(world.reactions(&split.event), "eyes, confused");
    let replies = world.replies(PULL);
    assert!(
        replies.len() == 1 && replies[0].contains("cancelled"),
        "{replies:#?}"
    );
    assert_eq!(ours(&world), [""; 0]);
}

#[test]
fn a_job_that_is_interrupted_while_it_delivers_is_gone_in_time() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.base = world.tip(HEAD);
    split.fresh("all", None);
    let wait = json!({"Retry-After": "20"});
    world.fault(
        &json!({"method": "POST", "path": "/acme/widget/pulls$", "status": 429, "headers": wait, "message": "Wait"}),
    );
    let (mut omk, machine) = world.job("", &split.event, &[]);
    let mut child = omk
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !world.door.log().iter().any(|entry| {
        entry["method"] == "POST"
            && entry["path"] == "/repos/acme/widget/pulls"
            && entry["status"] == 429
    }) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it delivered"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let watch = Clock::start().stopwatch();
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let took = watch.elapsed();
    left(&output, &machine)
        .exits(130)
        .says("ended before GitHub was told of it");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(machine.join("bundle/bundle.json").is_file());
    assert_eq!(ours(&world).len(), 2, "it was pushed before");
}

#[test]
fn an_app_gets_a_fresh_token_for_what_comes_after_a_long_run() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.base = world.tip(HEAD);
    split.fresh("all", None);
    let app = [
        ("OMK_TOKEN", ""),
        ("OMK_APP_ID", "12345"),
        ("OMK_APP_PRIVATE_KEY", world.door.key.as_str()),
    ];
    let job = world.omk_ci("", &split.event, &app).exits(0);
    assert_eq!(job.output("pull-request"), "13", "{job:#?}");
    let log = world.door.log();
    let at = |what: &str| {
        log.iter()
            .rposition(|entry| entry["path"].as_str().unwrap().contains(what))
            .unwrap()
    };
    let minted = log
        .iter()
        .filter(|entry| entry["path"].as_str().unwrap().ends_with("/access_tokens"))
        .count();
    // One to decide, one to run, one to deliver: each is good for an hour, and a run may take six.
    assert_eq!(minted, 3);
    assert!(at("/access_tokens") < at("git-receive-pack"));
}
