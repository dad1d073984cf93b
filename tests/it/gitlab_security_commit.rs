//! What a note at GitLab says, and which commit it means: what was edited, quoted, or written
//! before a push does not count.

use serde_json::{Value, json};

use crate::gitlab_security::{Asked, all_is_well, pushes_ago, sticky, told};
use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

const VERSIONS: &str = "/merge_requests/12/versions";

#[test]
fn a_note_that_was_edited_or_is_gone_before_it_was_read_does_not_count() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk help");
    world.passes(2);
    world.edits("maintainer", &note, "/omk run");
    insta::assert_snapshot!(Asked::of(&world, note).refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the comment was edited**

    What it said when others read it cannot be told any more.

    Write the command in a new comment.
    ");
    // A reaction touches it, and is no edit; an edit is one, whatever else has touched it.
    let note = world.comments("maintainer", "/omk run");
    world.passes(2);
    world.door.control(
        "award",
        &json!({"id": note["id"], "name": "heart", "username": "reader"}),
    );
    Asked::of(&world, note).accepted();
    let note = world.comments("maintainer", "/omk run please");
    world.passes(2);
    world.edits("owner", &note, "/omk run");
    world.passes(2);
    world.door.control(
        "award",
        &json!({"id": note["id"], "name": "heart", "username": "reader"}),
    );
    assert!(Asked::of(&world, note).refused().contains("edited"));
    // Where GraphQL does not say so, nobody knows.
    for answer in [json!({"status": 404}), json!({"raw": "{\"data\":{}}"})] {
        let note = world.comments("maintainer", "/omk run");
        world.passes(2);
        world.door.control(
            "award",
            &json!({"id": note["id"], "name": "heart", "username": "reader"}),
        );
        let mut fault = answer.clone();
        fault["path"] = json!("/api/graphql");
        fault["times"] = json!(1000);
        world.fault(&fault);
        assert!(
            Asked::of(&world, note).refused().contains("edited"),
            "{answer}"
        );
        all_is_well(&world);
    }
    let gone = world.comments("maintainer", "/omk run");
    let hook = world.note_hook(&gone);
    let path = format!("/merge_requests/{REQUEST}/notes/{}", gone["id"]);
    assert_eq!(
        world
            .api("maintainer", "DELETE", &path, &Value::Null)
            .status,
        204
    );
    Asked::hooked(&world, gone, &hook)
        .ignored()
        .says("the comment is gone");
    // Deleted while it is answered: the mark finds nothing, and nobody is told anything.
    let gone = world.comments("maintainer", "/omk run");
    let answered = format!("/notes/{}/award_emoji", gone["id"]);
    world.fault(&json!({"method": "GET", "path": answered, "status": 404, "times": 1000}));
    let before = world.writes().len();
    let job = world.omk_ci("intake", &world.hooked(&gone), &[]);
    assert!(
        job.files
            .get("request.json")
            .is_none_or(|json| json.trim() == "null"),
        "{job:#?}"
    );
    assert_eq!(world.writes().len(), before, "{job:#?}");
}

#[test]
fn a_command_in_code_a_quote_or_html_is_none() {
    let world = GitLabWorld::start();
    // How Markdown is read: `src/command/lines`.
    for body in [
        "~~~sh\n/omk run\n~~~\n",
        "> You said:\n/omk run",
        // GitLab's own fence for quotes.
        ">>>\nYou said:\n\n/omk run\n>>>",
        "<!--\n/omk run\n-->",
        "<details>\n/omk run\n</details>",
        "\u{200b}/omk run",
        "\\/omk run",
    ] {
        let asked = Asked::by(&world, "maintainer", body);
        assert_eq!(asked.writes(), Vec::<String>::new(), "{body:?}");
        asked.ignored();
    }
}

#[test]
fn a_push_in_or_after_the_second_of_the_note_is_not_what_was_meant() {
    let world = GitLabWorld::start();
    let note = world.comments("maintainer", "/omk run");
    world.passes(3);
    pushes_ago(&world, 1, &[("feature.txt", "something else\n")]);
    insta::assert_snapshot!(Asked::of(&world, note).refused(), @"
    To `maintainer`:

    😕 **Nothing was done: it is not certain which commit you saw**

    The head was pushed after you wrote.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run HEAD
    ```
    ");
    let note = world.comments("maintainer", "/omk run");
    world.door.control(
        "change_version",
        &json!({"iid": 12, "set": {"created_at": note["created_at"]}}),
    );
    let reply = Asked::of(&world, note).refused();
    assert!(
        reply.contains("in the same second in which you wrote"),
        "{reply}"
    );
    // Forced back to an old commit after the note: the record of it is new.
    let old = world.git(&["rev-parse", "HEAD~1"]);
    let note = world.comments("maintainer", "/omk run");
    world.passes(3);
    world.door.control(
        "move",
        &json!({"branch": SOURCE, "commit": old, "username": "contributor", "age": 1}),
    );
    let reply = Asked::of(&world, note).refused();
    assert!(
        reply.contains("The head was pushed after you wrote"),
        "{reply}"
    );
}

#[test]
fn a_head_whose_push_nobody_has_a_record_of_is_run_by_its_name_alone() {
    let world = GitLabWorld::start();
    let (head, main) = (world.tip(SOURCE), world.tip("main"));
    let version =
        |commit: &str, at: &str| json!({"id": 9, "head_commit_sha": commit, "created_at": at});
    let old = "2001-01-01T00:00:00.000Z";
    for versions in [
        json!([]),
        json!([version(&head, old), version(&main, old)]),
        json!([
            version(&head, "2000-01-01T00:00:00.000Z"),
            version(&main, old)
        ]),
        json!([{"id": 9, "head_commit_sha": null, "created_at": old}]),
    ] {
        told(&world, VERSIONS, &versions);
        let reply = Asked::by(&world, "maintainer", "/omk run").refused();
        assert!(
            reply.contains("it is not certain which commit you saw"),
            "{versions}: {reply}"
        );
        all_is_well(&world);
    }
    world.fault(&json!({"path": VERSIONS, "status": 500, "times": 1000}));
    let reply = Asked::by(&world, "maintainer", "/omk run").refused();
    assert!(
        reply.contains("no record of when the head was pushed"),
        "{reply}"
    );
    for named in [&main[..], &head[..12], "refs/heads/feature"] {
        let reply = Asked::by(&world, "maintainer", &format!("/omk run {named}")).refused();
        assert!(!reply.is_empty(), "{named}");
    }
    let request = Asked::by(&world, "maintainer", &format!("/omk run {head}")).accepted();
    assert_eq!(
        (&request["base"], &request["pull"]["number"]),
        (&json!(head), &json!(REQUEST))
    );
}

#[test]
fn a_head_that_moves_between_gate_and_publish_is_not_touched() {
    let world =
        GitLabWorld::with_plan(&crate::forge_world::PLAN.replace("as: pull-request", "as: push"));
    let note = world.comments("maintainer", "/omk run");
    let pipeline = world.hooked(&note);
    for command in ["intake", "run", "judge"] {
        world.omk_ci(command, &pipeline, &[]).exits(0);
    }
    // The moment before omk pushes, when it has looked what is there.
    world.git(&["commit", "--quiet", "--allow-empty", "--message=Later"]);
    let later = world.git(&["rev-parse", "HEAD"]);
    world.git(&[
        "push",
        "--quiet",
        &world.remote("maintainer"),
        "HEAD:refs/tests/later",
    ]);
    let moves = json!({"path": "move", "body": {"branch": SOURCE, "commit": later}});
    world.fault(&json!({"path": "widget.git/git-receive-pack", "method": "POST", "do": [moves]}));
    let publish = world.omk_ci("publish", &pipeline, &[]).exits(0);
    assert_eq!(
        world.tip(SOURCE),
        later,
        "the later push stands: {publish:#?}"
    );
    let result = world.tip("omk/run/mr-12");
    assert_ne!(result, later);
    let told = sticky(&world);
    assert!(
        told.contains("so the result was not pushed onto it"),
        "{told}"
    );
    // Somebody works on the branch of the result, which is theirs then; and a second run is of
    // another base.
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("contributor"),
        "omk/run/mr-12",
    ]);
    world.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let theirs = world.pushes("contributor", "omk/run/mr-12", &[("theirs.txt", "mine\n")]);
    let note = world.comments("maintainer", "/omk run");
    let jobs = world.jobs(&world.hooked(&note), &[]);
    let publish = jobs.published();
    assert_eq!(world.tip("omk/run/mr-12"), theirs, "{publish:#?}");
    assert_ne!(publish.code, Some(0), "{publish:#?}");
    let path = format!("/merge_requests/{REQUEST}");
    world
        .api(
            "contributor",
            "PUT",
            &path,
            &json!({"state_event": "close"}),
        )
        .expect(200);
    let closed = world.triggered(&world.request_hook(REQUEST, "close"));
    world
        .omk_ci("intake", &closed, &[])
        .exits(0)
        .says("its newest commit is not omk's");
    assert_eq!(world.tip("omk/run/mr-12"), theirs);
}
