//! A comment at GitLab, from the note to the merge request: the four jobs of a pipeline, and one
//! job for all of them.

use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

#[test]
fn a_comment_is_run_judged_and_delivered_by_four_jobs() {
    let world = GitLabWorld::start();
    let head = world.tip(SOURCE);
    let note = world.comments("maintainer", "Please.\n\n/omk run");
    let jobs = world.jobs(&world.hooked(&note), &[]);
    let files =
        |job: &crate::gitlab_job::LabJob| job.files.keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(files(&jobs.intake), "request.json");
    assert_eq!(files(jobs.judge.as_ref().unwrap()), "judgement.json");
    let run = jobs.run.as_ref().unwrap();
    for name in [
        "bundle/bundle.json",
        "report.html",
        "junit.xml",
        "summary.md",
    ] {
        assert!(run.files.contains_key(name), "{}", files(run));
    }
    let publish = jobs.published().exits(0);
    assert_eq!(
        files(&publish),
        "gl-code-quality-report.json junit.xml omk.env summary.md"
    );
    assert_eq!(
        (
            publish.dotenv("OMK_VERDICT"),
            publish.dotenv("OMK_MERGE_REQUEST")
        ),
        ("ready", "13")
    );
    assert_eq!(
        (publish.dotenv("OMK_BRANCH"), publish.dotenv("OMK_SCOPE")),
        ("omk/run/mr-12", "mr-12")
    );
    assert!(
        publish.dotenv("OMK_RUN_ID").starts_with("20"),
        "{publish:?}"
    );

    assert_eq!(world.awards(&note), "eyes, rocket");
    assert_eq!(
        world.status_lines(&head),
        ["omk: success (ready: 1 of 1 task completed)"]
    );
    assert_eq!(world.replies(REQUEST).len(), 1, "one note, edited in place");
    assert!(
        world.replies(REQUEST)[0].contains("!13"),
        "{:?}",
        world.replies(REQUEST)
    );
    let delivered = world.get("/merge_requests/13");
    assert_eq!(
        (&delivered["source_branch"], &delivered["target_branch"]),
        (&"omk/run/mr-12".into(), &SOURCE.into())
    );
    let result = world.tip("omk/run/mr-12");
    assert_eq!(
        world.status_lines(&result).len(),
        2,
        "{:?}",
        world.status_lines(&result)
    );
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/mr-12",
    ]);
    assert_eq!(world.git(&["show", "FETCH_HEAD:fix.txt"]), "right");
    // Accepted, marked, opened; pushed once; closed, told and marked: polite.
    assert!(world.writes().len() <= 10, "{:#?}", world.writes());
}

#[test]
fn one_job_does_it_all_without_telling_how_it_goes() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let job = world.omk_ci("", &world.hooked(&note), &[]).exits(0);
    assert_eq!(job.dotenv("OMK_VERDICT"), "ready");
    assert_eq!(world.awards(&note), "eyes, rocket");
    let edits = world
        .writes()
        .into_iter()
        .filter(|write| write.starts_with("PUT /merge_requests/12/notes/"));
    assert_eq!(edits.count(), 1, "{:#?}", world.writes());
    assert!(
        job.files.contains_key("bundle/bundle.json"),
        "{:?}",
        job.files.keys()
    );
}

#[test]
fn one_job_leaves_no_state_where_none_is_to_be_kept() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    let job = world
        .omk_ci("", &world.hooked(&note), &[("OMK_UPLOAD", "none")])
        .exits(0);
    assert_eq!(job.dotenv("OMK_VERDICT"), "ready");
    assert!(
        !job.files.keys().any(|name| name.starts_with("bundle")),
        "{:?}",
        job.files.keys()
    );
}

#[test]
fn a_note_is_answered_once_however_often_the_webhook_calls() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    world.omk_ci("intake", &world.hooked(&note), &[]).exits(0);
    let writes = world.writes().len();
    let jobs = world.jobs(&world.hooked(&note), &[]);
    assert_eq!(jobs.intake.files["request.json"].trim(), "null");
    jobs.intake.exits(0).says("answered already");
    for job in [jobs.run, jobs.judge, jobs.publish] {
        job.unwrap().exits(0).says("nothing to run");
    }
    assert_eq!(world.writes().len(), writes, "{:#?}", world.writes());
}

#[test]
fn a_payload_is_not_believed_about_what_the_note_says() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "Nice work!");
    let mut hook = world.note_hook(&note);
    hook["object_attributes"]["note"] = "/omk run".into();
    hook["user"]["username"] = "owner".into();
    world
        .omk_ci("intake", &world.triggered(&hook), &[])
        .exits(0)
        .says("says nothing to omk");
    hook["object_attributes"]["id"] = 4711.into();
    world
        .omk_ci("intake", &world.triggered(&hook), &[])
        .exits(0)
        .says("the comment is gone");
    hook["object_attributes"]["id"] = note["id"].clone();
    hook["object_attributes"]["action"] = "update".into();
    world
        .omk_ci("intake", &world.triggered(&hook), &[])
        .exits(0)
        .says("only a new note");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn who_may_too_little_is_marked_and_told_and_the_job_is_green() {
    let world = GitLabWorld::start();
    for login in ["reader", "guest", "drive-by"] {
        let note = world.comments(login, "/omk run");
        world.omk_ci("intake", &world.hooked(&note), &[]).exits(0);
        assert_eq!(world.awards(&note), "eyes, confused", "{login}");
    }
    assert_eq!(world.replies(REQUEST).len(), 3);
    assert!(world.statuses(&world.tip(SOURCE)).is_empty());
}

#[test]
fn a_run_is_cancelled_with_its_pipeline_and_everything_says_so() {
    let world = GitLabWorld::start();
    let head = world.tip(SOURCE);
    world.door.control(
        "protect",
        &serde_json::json!({"branch": "main", "merge": 30}),
    );
    let pipeline = world.hooked(&world.comments("maintainer", "/omk run"));
    world.omk_ci("intake", &pipeline, &[]).exits(0);
    assert!(
        world.status_lines(&head)[0].starts_with("omk: running"),
        "{:?}",
        world.status_lines(&head)
    );
    let status = world.comments("contributor", "/omk status");
    world.omk_ci("intake", &world.hooked(&status), &[]).exits(0);
    let jobs = format!("/-/pipelines/{}", pipeline.id);
    assert!(
        world.replies(REQUEST)[1].contains(&jobs),
        "{:?}",
        world.replies(REQUEST)
    );
    let cancel = world.comments("contributor", "/omk cancel");
    world.omk_ci("intake", &world.hooked(&cancel), &[]).exits(0);
    assert_eq!(
        world.get(&format!("/jobs/{}", pipeline.jobs["omk-run"]))["status"],
        "canceled"
    );
    assert!(
        world.status_lines(&head)[0].starts_with("omk: canceled"),
        "{:?}",
        world.status_lines(&head)
    );
    let replies = world.replies(REQUEST);
    assert!(
        replies[0].contains("cancelled") && replies[2].contains("being cancelled"),
        "{replies:#?}"
    );
    let again = world.comments("contributor", "/omk cancel");
    world.omk_ci("intake", &world.hooked(&again), &[]).exits(0);
    assert!(
        world.replies(REQUEST)[3].contains("nothing to cancel"),
        "{:#?}",
        world.replies(REQUEST)
    );
}

#[test]
fn a_closed_merge_request_leaves_no_branch_of_ours() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    world.jobs(&world.hooked(&note), &[]).published().exits(0);
    let hook = world.request_hook(REQUEST, "close");
    world
        .omk_ci("intake", &world.triggered(&hook), &[])
        .exits(0)
        .says("is open again");
    assert!(world.refs().contains_key("refs/heads/omk/run/mr-12"));
    world
        .api(
            "contributor",
            "PUT",
            "/merge_requests/12",
            &serde_json::json!({"state_event": "close"}),
        )
        .expect(200);
    let hook = world.request_hook(REQUEST, "close");
    world
        .omk_ci("intake", &world.triggered(&hook), &[])
        .exits(0)
        .says("1 branch of mr-12 removed");
    assert!(!world.refs().contains_key("refs/heads/omk/run/mr-12"));
    assert!(
        world
            .refs()
            .keys()
            .any(|name| name.starts_with("refs/omk/proofs/")),
        "proofs stay"
    );
}
