//! Jobs of a pipeline end as they should not: cancelled, killed, without or with half of what they
//! were to leave. The note and the status say so.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::ci_flow_one_job::{began, signal};
use crate::gitlab_fault_steps::Steps;
use crate::gitlab_job::LabJob;
use crate::gitlab_world::{BOT, GitLabWorld, REQUEST};

/// A task that says that it has begun by reading from a pipe, and then takes its time.
const LONG: &str = "\
version: 1
name: widget
gates:
  - { id: whole, run: test -s README.md }
tasks:
  - { id: short, run: echo short > short.txt, write_set: [short.txt], gates: [whole] }
  - { id: long, run: cat PIPE > long.txt; sleep 300, write_set: [long.txt], gates: [whole], dependencies: [short] }
";

/// A world whose run does not end by itself, and the pipe that its task reads.
fn long() -> (tempfile::TempDir, PathBuf, GitLabWorld) {
    let outside = tempfile::tempdir().unwrap();
    let pipe = outside.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let world = GitLabWorld::with_plan(&LONG.replace("PIPE", pipe.to_str().unwrap()));
    (outside, pipe, world)
}

/// The run job, sent this once its task works; before that, `meanwhile` happens.
fn stopped(
    steps: &Steps<'_>,
    pipe: &std::path::Path,
    with: Signal,
    meanwhile: impl FnOnce(),
) -> LabJob {
    let (mut omk, place) = steps.world.job("run", &steps.pipeline, &[]);
    let mut child = omk
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    began(pipe, &mut child);
    meanwhile();
    signal(&child, with);
    let output = child.wait_with_output().unwrap();
    // With the job its token has ended, and nothing can be uploaded.
    if steps
        .world
        .get(&format!("/jobs/{}", steps.pipeline.jobs["omk-run"]))["status"]
        == "canceled"
    {
        std::fs::remove_dir_all(place.join("omk-out")).unwrap();
    }
    steps.world.ended("run", &steps.pipeline, &place, &output)
}

#[test]
fn a_run_job_that_is_cancelled_or_times_out_is_said_to_be() {
    let (_outside, pipe, world) = long();
    let steps = Steps::start(&world);
    steps.job("intake").exits(0);
    // A runner ends a job that takes too long in the same way; what it leaves is uploaded, and the
    // job has failed.
    let run = stopped(&steps, &pipe, Signal::TERM, || {}).exits(130);
    assert_eq!(run.status, "failed");
    assert!(
        run.files.contains_key("bundle/bundle.json"),
        "{:?}",
        run.files.keys()
    );
    steps.job("judge");
    steps.job("publish").exits(130);
    assert!(steps.reply().contains("cancelled"), "{}", steps.reply());
    assert_eq!(steps.statuses(&steps.head), ["omk canceled"]);
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (0, "eyes, confused")
    );
}

#[test]
fn a_run_job_that_is_killed_is_said_to_have_left_nothing() {
    let (_outside, pipe, world) = long();
    let mut steps = Steps::start(&world);
    steps.job("intake").exits(0);
    let run = stopped(&steps, &pipe, Signal::KILL, || {});
    assert_eq!((run.code, run.files.len()), (None, 0));
    steps
        .job("judge")
        .exits(3)
        .says("there is nothing to judge");
    let publish = steps.job("publish").exits(5);
    assert!(
        steps.reply().contains("omk: failed infra"),
        "{}",
        steps.reply()
    );
    assert_eq!(
        (
            publish.dotenv("OMK_SCOPE"),
            publish.dotenv("OMK_RUN_ID").is_empty()
        ),
        ("mr-12", false)
    );
    assert_eq!(steps.statuses(&steps.head), ["omk failed"]);
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (0, "eyes, confused")
    );
    // Cancelled by a person, it had no time for last words either.
    steps.renew("run");
    let cancel = json!({"job": steps.pipeline.jobs["omk-run"], "status": "canceled"});
    world.door.control("finish_job", &cancel);
    steps.again("publish").exits(130);
    assert!(
        steps.reply().contains("omk: cancelled"),
        "{}",
        steps.reply()
    );
}

#[test]
fn half_a_bundle_is_not_believed_and_a_missing_judge_is_missed() {
    let world = GitLabWorld::start();
    let mut steps = Steps::judged(&world);
    let (run, judge) = (
        steps.pipeline.jobs["omk-run"],
        steps.pipeline.jobs["omk-judge"],
    );
    let (whole, judged) = (world.door.artifacts(run), world.door.artifacts(judge));
    // An upload that broke off, and an archive that lacks files.
    world.door.put_artifacts(run, &whole[..whole.len() / 2]);
    steps.again("publish").exits(5);
    assert!(
        steps.reply().contains("Nothing was delivered."),
        "{}",
        steps.reply()
    );
    world
        .door
        .put_artifacts(run, &without(&whole, "journal.jsonl"));
    steps.again("judge");
    steps.again("publish").exits(5);
    assert_eq!(
        (steps.refs().len(), world.awards(&steps.note).as_str()),
        (0, "eyes, confused")
    );
    // The judge never said anything; what the run says of itself is not believed.
    world.door.put_artifacts(run, &whole);
    steps.renew("judge");
    steps.again("publish").exits(5);
    assert!(steps.reply().contains("judge"), "{}", steps.reply());
    assert_eq!(steps.refs().len(), 0);
    // Nonsense is no judgement either.
    world.door.put_artifacts(
        steps.pipeline.jobs["omk-judge"],
        &zip("omk-out/judgement.json", b"{\"verdict\":"),
    );
    steps.again("publish").says("judgement");
    assert_eq!(steps.refs().len(), 0);
    world
        .door
        .put_artifacts(steps.pipeline.jobs["omk-judge"], &judged);
    steps.again("publish").exits(0);
    assert_eq!(steps.refs().len(), 2);
    assert!(
        steps.reply().contains("**Delivered** as merge request"),
        "{}",
        steps.reply()
    );
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap().into_inner()
}

/// An archive without the files of that name.
fn without(archive: &[u8], name: &str) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut new = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for at in 0..old.len() {
        let file = old.by_index_raw(at).unwrap();
        if !file.name().unwrap().ends_with(name) {
            new.raw_copy_file(file).unwrap();
        }
    }
    new.finish().unwrap().into_inner()
}

#[test]
fn a_pipeline_that_is_cancelled_from_the_merge_request_is_told_and_stays_so() {
    let (_outside, pipe, world) = long();
    let mut steps = Steps::start(&world);
    steps.job("intake").exits(0);
    // Whoever may not merge to the branch of a pipeline may not cancel it either; that is told.
    let refused = Steps::of(&world, "/omk cancel");
    refused.job("intake").exits(0);
    let told = world.replies(REQUEST).remove(1);
    assert!(
        told.contains("omk may not do that here") && told.contains("Protected branches"),
        "{told}"
    );
    assert_eq!(
        (
            world.awards(&refused.note).as_str(),
            steps.statuses(&steps.head)
        ),
        ("eyes, confused", vec!["omk running".to_owned()])
    );
    world.level(BOT, 40);
    let mut asked = None;
    let run = stopped(&steps, &pipe, Signal::TERM, || {
        let cancel = Steps::of(&world, "/omk cancel");
        cancel.job("intake").exits(0);
        cancel.job("publish").exits(0).says("nothing to run");
        asked = Some(cancel.note);
    });
    assert_eq!(run.status, "canceled");
    let said = |steps: &Steps<'_>| {
        let replies = world.replies(REQUEST);
        assert_eq!(replies.len(), 3, "{replies:#?}");
        assert!(replies[0].contains("omk: cancelled"), "{}", replies[0]);
        assert_eq!(steps.statuses(&steps.head), ["omk canceled"]);
        assert_eq!(steps.refs().len(), 0);
        replies
    };
    let replies = said(&steps);
    assert!(
        replies[2].contains(&format!("/-/pipelines/{}>", steps.pipeline.id)),
        "{}",
        replies[2]
    );
    assert_eq!(world.awards(asked.as_ref().unwrap()), "eyes");
    // Somebody retries what was cancelled: there is nothing to publish, and that is what it says.
    steps.again("publish").exits(130);
    said(&steps);
    // After a run that did well meanwhile it is silent.
    world.git(&["checkout", "--quiet", "main"]);
    let plan = LONG.replace("cat PIPE > long.txt; sleep 300", "echo long > long.txt");
    world.pushes("maintainer", "main", &[("omk.yaml", &plan)]);
    let newer = Steps::start(&world);
    newer.all();
    let told = world.replies(REQUEST);
    assert!(
        told[0].contains("**Delivered** as merge request"),
        "{}",
        told[0]
    );
    steps.again("publish").exits(130);
    assert_eq!((world.replies(REQUEST), newer.refs().len()), (told, 2));
}
