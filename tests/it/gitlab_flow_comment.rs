//! A comment at GitLab, from the note to the merge request: the four jobs of a pipeline, and one job for all of them.

use crate::gitlab_job::LabJob;
use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

fn published(job: LabJob) -> LabJob {
    job.exits(0)
}

#[test]
fn a_comment_is_run_judged_and_delivered_by_four_jobs() {
    let world = GitLabWorld::start();
    let head = world.tip(SOURCE);
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.hooked(&note);
    let jobs = world.jobs(&pipeline, &[]);
    for job in [Some(&jobs.gate), jobs.run.as_ref(), jobs.judge.as_ref(), jobs.publish.as_ref()].into_iter().flatten() {
        eprintln!("=== {} {}\n{}\n{}\n{:?}", job.id, job.status, job.out, job.err, job.files.keys());
    }
    eprintln!("{:#?}", world.replies(REQUEST));
    eprintln!("{:#?} {}", world.status_lines(&head), world.awards(&note));
    eprintln!("{:#?}", world.writes());
    let publish = published(jobs.published());
    eprintln!("{:?}", publish.files["omk.env"]);
    panic!("{:#?}", world.refs());
}
