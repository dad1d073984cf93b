//! Who gives a command at GitLab: whoever may not is told so, with 😕, and nothing begins.

use serde_json::{Value, json};

use crate::forge_world::PLAN;
use crate::gitlab_security::{Asked, all_is_well, told};
use crate::gitlab_world::{BOT, GitLabWorld};

fn number(world: &GitLabWorld, login: &str) -> u64 {
    world.door.control("users", &json!({"username": login}))["id"]
        .as_u64()
        .unwrap_or_default()
}

/// What GitLab says of a member.
fn member(id: u64, more: &Value) -> Value {
    let mut member = json!({"id": id, "username": "reader", "state": "active", "access_level": 40,
        "expires_at": null, "membership_state": "active"});
    for (name, value) in more.as_object().into_iter().flatten() {
        member[name] = value.clone();
    }
    member
}

#[test]
fn whoever_may_not_is_told_so_and_nothing_begins() {
    let world = GitLabWorld::start();
    insta::assert_snapshot!(Asked::by(&world, "drive-by", "/omk run").refused(), @"
    To `drive-by`:

    😕 **Nothing was done: `drive-by` may not give commands here**

    The plan on the default branch asks for the role Developer, and the forge does not say that they have it.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
    for (login, word) in [("guest", "guest"), ("reader", "reporter")] {
        let reply = Asked::by(&world, login, "/omk run").refused();
        assert!(
            reply.contains("may not give commands here") && reply.to_lowercase().contains(word),
            "{reply}"
        );
    }
    // Level 15 is a planner, and no level that is known is passed over.
    for level in [5, 15] {
        world.level("reader", level);
        assert!(
            Asked::by(&world, "reader", "/omk run")
                .refused()
                .contains("may not give commands here"),
            "{level}"
        );
    }
    // Who has just lost the role has lost it.
    world.level("contributor", 0);
    assert!(
        Asked::by(&world, "contributor", "/omk run")
            .refused()
            .contains("may not give commands here")
    );
    let all = "/omk cancel\n\n/omk approve 06e5d1070518\n\n/omk plan\n\n/omk status\n\n/omk verify\n\n/omk retry";
    Asked::by(&world, "drive-by", all).refused();
    world.level("contributor", 30);
    assert_eq!(
        Asked::by(&world, "contributor", "/omk run").accepted()["trigger"]["actor"],
        "contributor"
    );
}

#[test]
fn a_membership_that_does_not_count_any_more_gives_no_rights() {
    let world = GitLabWorld::start();
    let id = number(&world, "reader");
    let cases = [
        ("blocked", json!({"state": "blocked"})),
        ("expired", json!({"expires_at": "2020-01-01"})),
        (
            "invited, and not there yet",
            json!({"membership_state": "awaiting"}),
        ),
        ("somebody else", json!({"id": id + 1})),
        ("a word for a level", json!({"access_level": "40"})),
        // A custom role counts for its base level, whatever it is called.
        (
            "custom",
            json!({"access_level": 10, "member_role": {"id": 1, "name": "maintainer", "base_access_level": 50}}),
        ),
    ];
    for (what, more) in &cases {
        told(&world, "/members/all/", &member(id, more));
        let reply = Asked::by(&world, "reader", "/omk run").refused();
        let said = reply.contains("may not give commands here")
            || reply.contains("could not ask the forge what");
        assert!(said, "{what}: {reply}");
        all_is_well(&world);
    }
    let custom = json!({"access_level": 30, "member_role": {"id": 1, "name": "nobody", "base_access_level": 30}});
    told(&world, "/members/all/", &member(id, &custom));
    assert_eq!(
        Asked::by(&world, "reader", "/omk run").accepted()["trigger"]["actor"],
        "reader"
    );
}

#[test]
fn a_gitlab_that_does_not_say_what_somebody_may_lets_nobody_in() {
    let world = GitLabWorld::start();
    for (path, answer) in [
        ("/members/all/", json!({"status": 500})),
        ("/members/all/", json!({"raw": "{\"access_level\": 50}"})),
        (
            "/users/[0-9]+$",
            json!({"status": 403, "body": {"message": "403 Forbidden"}}),
        ),
        (
            "/users/[0-9]+$",
            json!({"raw": "<html>You are an owner</html>"}),
        ),
    ] {
        let mut fault = answer.clone();
        fault["path"] = json!(path);
        fault["times"] = json!(1000);
        world.fault(&fault);
        let reply = Asked::by(&world, "maintainer", "/omk run").refused();
        assert!(
            reply.contains("could not ask the forge what"),
            "{answer} {path}: {reply}"
        );
        all_is_well(&world);
    }
}

#[test]
fn a_bot_is_refused_unless_the_plan_lists_its_name_and_its_number() {
    let start = |bots: &str| {
        let world = GitLabWorld::with_plan(&format!("{PLAN}commands: {{ bots: [{bots}] }}\n"));
        for (login, id) in [("renovate", 4_001), ("project_7_bot_9f", 4_002)] {
            world
                .door
                .control("users", &json!({"username": login, "id": id, "bot": true}));
            world.level(login, 50);
        }
        world
    };
    let listed = "{ login: renovate, id: 4001 }, { login: project_7_bot_9f, id: 4003 }, { login: reader, id: 4004 }";
    let world = start(listed);
    // An access token's account, a service account that only its own page calls a bot, and one with
    // another's number.
    for login in ["project_7_bot_9f", "reader"] {
        let reply = Asked::by(&world, login, "/omk run").refused();
        assert!(
            reply.contains("may give no commands here")
                || reply.contains("may not give commands here"),
            "{reply}"
        );
    }
    assert_eq!(
        Asked::by(&world, "renovate", "/omk run").accepted()["trigger"]["actor"],
        "renovate"
    );
    // Somebody takes over the listed name once its bot has another; and the bot under another name
    // is another bot.
    world.door.control(
        "rename",
        &json!({"username": "renovate", "to": "renovate-old"}),
    );
    world
        .door
        .control("users", &json!({"username": "renovate", "id": 4_005}));
    world.level("renovate", 20);
    assert!(
        Asked::by(&world, "renovate", "/omk run")
            .refused()
            .contains("may not give commands here")
    );
    let reply = Asked::by(&world, "renovate-old", "/omk run").refused();
    assert!(reply.contains("may give no commands here"), "{reply}");
}

#[test]
fn a_command_of_our_own_or_of_gitlabs_own_starts_nothing_and_is_not_answered() {
    // Not even where somebody has listed us as a bot.
    let world = GitLabWorld::with_plan(&format!(
        "{PLAN}commands: {{ bots: [{{ login: {BOT}, id: 107 }}] }}\n"
    ));
    assert_eq!(number(&world, BOT), 107, "the plan names it");
    let job = Asked::by(&world, BOT, "/omk run").ignored();
    assert!(job.out.contains("our own"), "{job:#?}");
    let system = json!({"iid": 12, "username": "maintainer", "body": "/omk run", "system": true});
    let mut system = world.door.control("notes", &system);
    Asked::of(&world, system.clone()).ignored();
    // The payload may say what it likes of it.
    system["system"] = json!(false);
    Asked::of(&world, system).ignored();
    let note = world.comments("maintainer", "/omk run");
    let mut hook = world.note_hook(&note);
    for action in ["update", "create\n"] {
        hook["object_attributes"]["action"] = json!(action);
        Asked::hooked(&world, note.clone(), &hook).ignored();
    }
}
