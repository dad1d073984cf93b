//! The GitLab client against the offline GitLab: every verb once, and nothing that GitLab's
//! documentation does not know.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use omk_action::exec::secret::Secret;
use omk_action::forge::{
    CheckState, CheckWanted, Conclusion, GitLab, GitLabSite, GitLabToken, PullWanted, Reaction,
};
use omk_action::id::{CommitId, Moment};
use serde_json::{Value, json};

use crate::gitlab_server::patience;
use crate::gitlab_world::{GitLabWorld, NUMBER, REQUEST, SOURCE};

fn client(world: &GitLabWorld, token: GitLabToken) -> GitLab {
    let site = GitLabSite {
        api: world.door.api_url(),
        project: NUMBER,
        token,
        spacing: Duration::ZERO,
        authorities: None,
    };
    GitLab::with_patience(site, patience()).unwrap()
}

fn of(world: &GitLabWorld, name: &str) -> GitLab {
    client(
        world,
        GitLabToken::Access(Secret::new(format!("glpat-{name}"))),
    )
}

fn tip(world: &GitLabWorld, branch: &str) -> CommitId {
    world.tip(branch).parse().unwrap()
}

#[tokio::test]
async fn what_the_client_reads_is_what_people_did() {
    let world = GitLabWorld::start();
    let gitlab = of(&world, "judge");
    let (main, head) = (tip(&world, "main"), tip(&world, SOURCE));
    let note = world.comments("maintainer", "/omk run");
    let id = note["id"].as_u64().unwrap();
    assert!(gitlab.me().await.unwrap().bot);
    let author = note["author"]["id"].as_u64().unwrap();
    assert!(gitlab.permission(author).await.unwrap().is_some());
    assert_eq!(gitlab.repository().await.unwrap().id, NUMBER);
    let branch = gitlab.branch("main").await.unwrap().unwrap();
    assert_eq!(
        (
            branch.protected,
            gitlab.branch("omk/run/none").await.unwrap().is_none()
        ),
        (true, true)
    );
    let pull = gitlab.pull_request(REQUEST).await.unwrap();
    assert_eq!(
        (
            pull.head.branch.as_str(),
            &pull.head.commit,
            pull.head.repository
        ),
        (SOURCE, &head, Some(NUMBER))
    );
    let pushes = gitlab.pushes(REQUEST).await.unwrap();
    assert_eq!(pushes.len(), 1);
    let comment = gitlab.comment(REQUEST, id).await.unwrap().unwrap();
    assert_eq!(
        (comment.body.as_str(), comment.created == comment.updated),
        ("/omk run", true)
    );
    assert!(pushes[0].at < comment.created);
    gitlab.compare(&main, &head).await.unwrap();
    assert_eq!(
        gitlab.file("feature.txt", &head).await.unwrap().unwrap(),
        b"half of it\n"
    );
    assert!(gitlab.file("none.txt", &head).await.unwrap().is_none());
    let since = Moment::from_millis(comment.created.as_millis() - 86_400_000);
    assert_eq!(
        gitlab
            .merge_requests_updated_since(since)
            .await
            .unwrap()
            .len(),
        1
    );
    // A reaction is no edit; an edit is, with reactions or without.
    world.passes(60);
    world.door.control(
        "award",
        &json!({"id": id, "name": "heart", "username": "reader"}),
    );
    let comment = gitlab.comment(REQUEST, id).await.unwrap().unwrap();
    assert_eq!(comment.created, comment.updated);
    world.passes(60);
    world.edits("maintainer", &note, "/omk cancel");
    let comment = gitlab.comments(REQUEST).await.unwrap().remove(0);
    assert!(comment.created < comment.updated);
}

#[tokio::test]
async fn what_the_client_writes_is_there_once() {
    let world = GitLabWorld::start();
    let (gate, publish) = (of(&world, "intake"), of(&world, "publish"));
    let me = gate.me().await.unwrap();
    let note = world.comments("maintainer", "/omk run");
    for _ in 0..2 {
        gate.react(REQUEST, note["id"].as_u64().unwrap(), Reaction::Eyes)
            .await
            .unwrap();
        gate.put_comment(REQUEST, &me, "<!-- omk -->", "<!-- omk -->\nat it\n")
            .await
            .unwrap();
        gate.put_issue(&me, "<!-- omk -->", "omk", "<!-- omk -->\nnothing yet\n")
            .await
            .unwrap();
    }
    assert_eq!(
        (world.awards(&note).as_str(), world.replies(REQUEST).len()),
        ("eyes", 1)
    );
    assert_eq!(world.get("/issues").as_array().unwrap().len(), 1);
    world.git(&[
        "push",
        "--quiet",
        &world.remote("publish"),
        &format!("{SOURCE}:refs/heads/omk/run/mr-12"),
    ]);
    let wanted = PullWanted {
        head: "omk/run/mr-12".into(),
        base: SOURCE.into(),
        title: "omk: Write it down".into(),
        body: "Ready.".into(),
        draft: false,
        labels: vec!["omk".into()],
    };
    let made = publish.put_pull_request(&wanted).await.unwrap();
    assert_eq!(
        publish.put_pull_request(&wanted).await.unwrap().number,
        made.number
    );
    assert_eq!(
        publish
            .pull_requests_from("omk/run/mr-12")
            .await
            .unwrap()
            .len(),
        1
    );
    let read = world.read();
    assert_eq!(read["merge_requests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_clients_checks_go_from_running_to_their_end() {
    let world = GitLabWorld::start();
    let (gate, publish) = (of(&world, "intake"), of(&world, "publish"));
    let head = tip(&world, SOURCE);
    let pipeline = world.pipeline("trigger", "maintainer");
    let url = format!(
        "{}/acme/widget/-/pipelines/{}",
        world.door.site, pipeline.id
    );
    let wanted = |state: CheckState, title: &str| CheckWanted {
        name: "omk".into(),
        commit: head.clone(),
        external_id: "omk/mr-12/RUN/77/1".into(),
        state,
        started: Moment::from_millis(1_795_373_460_000),
        completed: None,
        title: title.into(),
        summary: String::new(),
        text: String::new(),
        annotations: Vec::new(),
        details_url: Some(url.clone()),
    };
    for _ in 0..2 {
        gate.put_check(&wanted(CheckState::InProgress, "at it"), None)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        publish
            .put_check(
                &wanted(CheckState::Completed(Conclusion::Success), "ready"),
                None,
            )
            .await
            .unwrap();
    }
    assert_eq!(
        world.status_lines(&head.to_string()),
        ["omk: success (ready)"]
    );
    let found = gate.all_checks(&head, "omk").await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn the_client_finds_a_jobs_artifacts_and_cancels_a_pipeline() {
    let world = GitLabWorld::start();
    let pipeline = world.pipeline("trigger", "maintainer");
    let job = pipeline.jobs["omk-run"];
    world.door.put_artifacts(job, b"an archive");
    let judge = of(&world, "judge");
    let jobs = judge.jobs(pipeline.id).await.unwrap();
    let found = jobs.iter().find(|one| one.name == "omk-run").unwrap();
    assert_eq!((found.id, found.has_artifacts), (job, true));
    let to = world.at("archive.zip");
    for elsewhere in [false, true] {
        world
            .door
            .control("redirect_artifacts", &json!({"on": elsewhere}));
        judge.download_artifact(job, 1_000, &to).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"an archive");
        std::fs::remove_file(&to).unwrap();
    }
    assert!(judge.workflow_run(pipeline.id).await.unwrap().is_some());
    assert!(
        of(&world, "intake")
            .cancel_workflow_run(pipeline.id)
            .await
            .is_err(),
        "a Developer may not, on a protected branch"
    );
    of(&world, "maintainer")
        .cancel_workflow_run(pipeline.id)
        .await
        .unwrap();
    assert_eq!(world.get(&format!("/jobs/{job}"))["status"], "canceled");
    let lost = world.door.control(
        "start_job",
        &json!({"job": world.pipeline("web", "maintainer").jobs["omk-intake"]}),
    );
    let token = GitLabToken::Job(Secret::new(lost["token"].as_str().unwrap().to_owned()));
    assert!(client(&world, token).me().await.is_ok());
    assert_ne!(world.state(), Value::Null);
}
