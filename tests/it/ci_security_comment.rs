//! What a comment says, and which commit it means: what was edited, quoted, or written before a
//! push does not count.

use serde_json::{Value, json};

use crate::ci_security::{Asked, told};
use crate::forge_world::{ForgeWorld, HEAD, PULL};

fn id(event: &crate::forge_world::Event) -> u64 {
    event.payload["comment"]["id"].as_u64().unwrap()
}

#[test]
fn a_comment_that_was_edited_before_it_was_read_does_not_count() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk help");
    let path = format!("/issues/comments/{}", id(&event));
    assert_eq!(
        world
            .api("contributor", "PATCH", &path, &json!({"body": "/omk run"}))
            .status,
        200
    );
    // The emulator's clock may still be in the same second.
    told(
        &world,
        &path,
        &json!({"updated_at": "2099-01-01T00:00:00Z"}),
    );
    insta::assert_snapshot!(Asked::of(&world, event).refused(), @"
    To `maintainer`:

    😕 **Nothing was done: the comment was edited**

    What it said when others read it cannot be told any more.

    Write the command in a new comment.
    ");
}

#[test]
fn a_comment_that_is_gone_starts_nothing() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    assert_eq!(
        world
            .api(
                "maintainer",
                "DELETE",
                &format!("/issues/comments/{}", id(&event)),
                &Value::Null
            )
            .status,
        204
    );
    Asked::of(&world, event)
        .ignored()
        .says("the comment is gone");
}

#[test]
fn what_the_event_says_that_the_comment_says_is_not_believed() {
    let world = ForgeWorld::start();
    let mut event = world.comments("drive-by", "A fine feature.");
    event.payload["comment"]["body"] = json!("/omk run");
    event.payload["comment"]["user"] = world.get("/issues/1")["user"].clone();
    event.payload["comment"]["author_association"] = json!("OWNER");
    Asked::of(&world, event).ignored();
}

#[test]
fn a_command_in_code_a_quote_or_html_is_none() {
    let world = ForgeWorld::start();
    for body in [
        "```\n/omk run\n```",
        "~~~sh\n/omk run\n~~~\n",
        "    /omk run",
        "Say `/omk run`.",
        "`\n/omk run\n`",
        "> /omk run",
        "> You said:\n/omk run",
        "- item\n\n      /omk run",
        "<!--\n/omk run\n-->",
        "<!-- hidden -->/omk run",
        "<details>\n/omk run\n</details>",
        "<pre>\n\n/omk run\n\n</pre>",
        "<b hidden>\n/omk run\n</b>",
        "Please /omk run",
        "\u{200b}/omk run",
        "On Monday, maintainer wrote:\n\n> x\n\n```text\n/omk run\n",
    ] {
        let asked = Asked::by(&world, "maintainer", body);
        assert_eq!(asked.writes(), Vec::<String>::new(), "{body:?}");
        asked.ignored();
    }
}

#[test]
fn a_comment_of_a_mebibyte_is_read_and_its_command_found() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "short");
    let path = format!("/issues/comments/{}", id(&event));
    // The forge's own limit is lower; who sits between it and us may not keep it.
    let lines = |line: &str| line.repeat((1 << 20) / line.len());
    told(
        &world,
        &path,
        &json!({"body": format!("{}\n\n/omk run\n", lines("[[<!--`*_ \n"))}),
    );
    let asked = Asked::of(&world, event);
    assert_eq!(asked.job.code, Some(0), "{:?}", asked.job);
    let event = world.comments("maintainer", "also short");
    let path = format!("/issues/comments/{}", id(&event));
    told(
        &world,
        &path,
        &json!({"body": lines("/omk nonsense <!-- omk:sticky:pr-12 --> @everyone\n")}),
    );
    let reply = Asked::of(&world, event).refused();
    assert!(
        reply.len() < 4_000 && reply.contains("more mistakes not shown"),
        "{reply}"
    );
}

#[test]
fn a_push_after_the_comment_is_not_what_was_meant() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    world.door.control("push_age", &json!({"seconds": -2}));
    world.pushes("contributor", HEAD, &[("feature.txt", "something else\n")]);
    insta::assert_snapshot!(Asked::of(&world, event).refused(), @"
    To `maintainer`:

    😕 **Nothing was done: it is not certain which commit you saw**

    The head was pushed after you wrote.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run HEAD
    ```
    ");
}

#[test]
fn a_push_in_the_second_of_the_comment_is_not_what_was_meant() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    let at = event.payload["comment"]["created_at"].clone();
    world
        .door
        .control("activity", &json!({"branch": HEAD, "timestamp": at}));
    insta::assert_snapshot!(Asked::of(&world, event).refused(), @"
    To `maintainer`:

    😕 **Nothing was done: it is not certain which commit you saw**

    The head was pushed in the same second in which you wrote.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run HEAD
    ```
    ");
}

#[test]
fn a_head_whose_push_nobody_has_a_record_of_is_not_run() {
    let world = ForgeWorld::start();
    let event = world.comments("maintainer", "/omk run");
    // Dates in commits are anybody's; the forge's newest record is of another commit.
    let other = world.tip("main");
    world.door.control(
        "activity",
        &json!({"branch": HEAD, "after": other, "timestamp": "2001-01-01T00:00:00Z"}),
    );
    world
        .door
        .control("activity", &json!({"branch": HEAD, "after": other}));
    let reply = Asked::of(&world, event).refused();
    assert!(
        reply.contains("newest record of a push to the branch is not of its head"),
        "{reply}"
    );
    world.fault(&json!({"path": "/activity", "status": 403, "times": 100}));
    let reply = Asked::by(&world, "maintainer", "/omk run").refused();
    assert!(
        reply.contains("no record of when the head was pushed"),
        "{reply}"
    );
}

#[test]
fn the_head_by_its_name_is_run_and_no_other_commit() {
    let world = ForgeWorld::start();
    let old = world.tip(HEAD);
    world.door.control("push_age", &json!({"seconds": -3600}));
    world.pushes("contributor", HEAD, &[("feature.txt", "something else\n")]);
    let reply = Asked::by(&world, "maintainer", &format!("/omk run {old}"))
        .refused()
        .replace(&old[..12], "OLD");
    insta::assert_snapshot!(reply, @"
    To `maintainer`:

    😕 **Nothing was done: `OLD` is not the head**

    The pull request's head is `HEAD` now. A run is built on the head only.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run HEAD
    ```
    ");
    // A commit of the repository that is no head, and an abbreviation.
    let main = world.tip("main");
    assert!(
        Asked::by(&world, "maintainer", &format!("/omk run {main}"))
            .refused()
            .contains("is not the head")
    );
    let short = &world.tip(HEAD)[..12];
    let reply = Asked::by(&world, "maintainer", &format!("/omk run {short}")).refused();
    assert!(
        reply.contains("it is not certain which commit you saw"),
        "{reply}"
    );
    let asked = Asked::by(
        &world,
        "maintainer",
        &format!("/omk run {}", world.tip(HEAD)),
    );
    assert_eq!(asked.accepted()["base"], world.tip(HEAD).as_str());
    assert_eq!(asked.accepted()["pull"]["number"], PULL);
}
