//! Who gives a command: whoever may not is told so, with 😕, and nothing begins.

use serde_json::json;

use crate::ci_security::Asked;
use crate::forge_job::GATE;
use crate::forge_world::{Event, ForgeWorld, PLAN, PULL, REPOSITORY};

#[test]
fn somebody_who_is_no_collaborator_is_refused() {
    let world = ForgeWorld::start();
    world
        .door
        .control("rights", &json!({"login": "drive-by", "unknown": true}));
    insta::assert_snapshot!(Asked::by(&world, "drive-by", "/omk run").refused(), @"
    To `drive-by`:

    😕 **Nothing was done: `drive-by` may not give commands here**

    The plan on the default branch asks for the permission `write`, and the forge does not say that they have it.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
}

#[test]
fn a_collaborator_who_may_only_read_is_refused() {
    let world = ForgeWorld::start();
    insta::assert_snapshot!(Asked::by(&world, "reader", "/omk run").refused(), @"
    To `reader`:

    😕 **Nothing was done: `reader` may not give commands here**

    The plan on the default branch asks for the permission `write`; the forge says `read`.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
    // Triage is no more than that for a plan that asks for write.
    world
        .door
        .control("rights", &json!({"login": "reader", "role": "triage"}));
    assert!(
        Asked::by(&world, "reader", "/omk run")
            .refused()
            .contains("the forge says `triage`")
    );
}

#[test]
fn a_custom_role_counts_for_its_rights_and_not_for_its_name() {
    let world = ForgeWorld::start();
    let captain = |push: bool| {
        let rights =
            json!({"pull": true, "triage": push, "push": push, "maintain": false, "admin": false});
        let coarse = if push { "write" } else { "read" };
        let role = json!({"login": "reader", "permission": coarse, "role_name": "release-captain", "permissions": rights});
        world.door.control("rights", &role);
    };
    captain(false);
    insta::assert_snapshot!(Asked::by(&world, "reader", "/omk run").refused(), @"
    To `reader`:

    😕 **Nothing was done: `reader` may not give commands here**

    The plan on the default branch asks for the permission `write`; the forge says `release-captain`.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
    // A name that sounds like a right is none.
    world.door.control(
        "rights",
        &json!({"login": "reader", "permission": "read", "role_name": "admin"}),
    );
    assert!(
        Asked::by(&world, "reader", "/omk run")
            .refused()
            .contains("may not give commands here")
    );
    captain(true);
    let asked = Asked::by(&world, "reader", "/omk run");
    assert_eq!(asked.accepted()["trigger"]["actor"], "reader");
}

#[test]
fn a_forge_that_does_not_say_what_somebody_may_lets_nobody_in() {
    let world = ForgeWorld::start();
    world.fault(&json!({"path": "/collaborators/.+/permission", "status": 500, "times": 100}));
    let reply = Asked::by(&world, "maintainer", "/omk run").refused();
    assert!(reply.contains("could not ask the forge what"), "{reply}");
}

#[test]
fn a_bot_that_the_plan_does_not_list_is_refused() {
    let world = ForgeWorld::start();
    insta::assert_snapshot!(Asked::by(&world, "renovate[bot]", "/omk run").refused(), @r#"
    To `renovate[bot]`:

    😕 **Nothing was done: the bot `renovate[bot]` may give no commands here**

    A bot is obeyed only if the plan on the default branch lists it by login and id.

    To allow it, add `{ login: "renovate[bot]", id: 29139614 }` to `commands.bots` of the plan on the default branch.
    "#);
}

#[test]
fn a_bot_is_known_by_login_and_id_and_not_by_one_of_them() {
    let listed = |login: &str, id: u64| {
        ForgeWorld::with_plan(&format!(
            "{PLAN}commands: {{ bots: [{{ login: \"{login}\", id: {id} }}] }}\n"
        ))
    };
    for (login, id) in [
        ("renovate[bot]", 1),
        ("dependabot[bot]", 29_139_614),
        ("Renovate[bot]", 29_139_614),
    ] {
        let world = listed(login, id);
        let reply = Asked::by(&world, "renovate[bot]", "/omk run").refused();
        assert!(
            reply.contains("the bot `renovate[bot]` may give no commands here"),
            "{reply}"
        );
    }
    let world = listed("renovate[bot]", 29_139_614);
    assert_eq!(
        Asked::by(&world, "renovate[bot]", "/omk run").accepted()["trigger"]["actor"],
        "renovate[bot]"
    );
}

#[test]
fn a_command_in_our_own_comment_starts_nothing_and_is_not_answered() {
    // Not even where somebody has listed us as a bot.
    let plan = format!(
        "{PLAN}commands: {{ bots: [{{ login: \"github-actions[bot]\", id: 41898282 }}] }}\n"
    );
    let world = ForgeWorld::with_plan(&plan);
    Asked::of(&world, by_ourselves(&world, "/omk run")).ignored();
}

/// A comment that a job of ours wrote.
fn by_ourselves(world: &ForgeWorld, body: &str) -> Event {
    let path = format!("/repos/{REPOSITORY}/issues/{PULL}/comments");
    let made = world.door.api(
        &world.door.token(GATE),
        "POST",
        &path,
        &json!({"body": body}),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let mut event = world.comments("maintainer", "nothing of interest");
    event.payload["comment"] = made.json();
    event
}
