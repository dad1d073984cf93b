//! Schedules, runs by hand, opened and closed pull requests: what the forge gets told, against the
//! emulated GitHub.

use serde_json::json;

use crate::ci_answers::{changed_plan, gate, request};
use crate::forge_world::{Event, ForgeWorld, HEAD, PLAN, PULL};

#[test]
fn maintenance_is_of_the_default_branch_and_pushes_onto_it_never() {
    let world = ForgeWorld::start();
    let due = request(&gate(&world, &world.schedule()));
    assert_eq!(
        (&due["scope"], &due["base"], &due["rules"]),
        (&json!("widget"), &json!(world.tip("main")), &due["base"])
    );
    assert_eq!(
        due["trigger"],
        json!({"event": "schedule", "actor": "schedule"})
    );
    let mut by_hand = world.dispatch("contributor");
    by_hand.payload["inputs"] = json!({"tasks": "fix"});
    let asked = request(&gate(&world, &by_hand));
    assert_eq!(
        (&asked["trigger"]["actor"], &asked["ask"]["tasks"]),
        (&json!("contributor"), &json!(["fix"]))
    );
    assert_eq!(
        world.checks(&world.tip("main")).len(),
        1,
        "the latest of one name is shown"
    );
    by_hand.payload["inputs"] = json!({"tasks": "fixx"});
    world
        .omk_ci("intake", &by_hand, &[])
        .exits(2)
        .says("did you mean `fix`?");
    world.git(&["checkout", "--quiet", "main"]);
    world.pushes(
        "maintainer",
        "main",
        &[("omk.yaml", &PLAN.replace("as: pull-request", "as: push"))],
    );
    world
        .omk_ci("intake", &world.schedule(), &[])
        .exits(2)
        .says("would push onto that branch itself");
}

#[test]
fn the_plan_of_a_pull_request_is_checked_and_shown() {
    let world = ForgeWorld::start();
    let opened = world.pull_request("opened");
    world.workflow_run(&opened);
    let check = |world: &ForgeWorld| {
        let mut checks = world.checks(&world.tip(HEAD)).into_iter();
        checks
            .rfind(|check| check["name"] == "omk plan")
            .unwrap_or_default()
    };
    // As examples/workflows/plan-check.yml grants it.
    let token = world.door.token(&[
        ("contents", "read"),
        ("pull-requests", "read"),
        ("checks", "write"),
    ]);
    let omk_ci = |event: &Event| world.omk_ci("", event, &[("OMK_TOKEN", &token)]);
    omk_ci(&opened).exits(0);
    assert_eq!(
        (
            &check(&world)["conclusion"],
            &check(&world)["output"]["title"]
        ),
        (&"success".into(), &"unchanged: 1 task".into())
    );

    world.pushes("contributor", HEAD, &[("omk.yaml", &changed_plan())]);
    let changed = world.pull_request("synchronize");
    world.workflow_run(&changed);
    let job = omk_ci(&changed).exits(0);
    let digest = omk_action::id::Sha256::of(changed_plan().as_bytes());
    let summary = check(&world)["output"]["summary"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        summary.contains(&format!("/omk approve {}", &digest.as_str()[..12])),
        "{summary}"
    );
    assert!(
        job.summary.contains("is changed, and valid"),
        "{}",
        job.summary
    );

    world.pushes(
        "contributor",
        HEAD,
        &[("omk.yaml", &PLAN.replace("gates: [test]", "gates: [tset]"))],
    );
    let wrong = world.pull_request("synchronize");
    world.workflow_run(&wrong);
    omk_ci(&wrong).exits(2);
    let (id, conclusion) = (
        check(&world)["id"].clone(),
        check(&world)["conclusion"].clone(),
    );
    let annotations = world.get(&format!("/check-runs/{id}/annotations"));
    assert_eq!(
        (conclusion, &annotations[0]["start_line"]),
        ("failure".into(), &json!(6)),
        "{annotations:#}"
    );

    // A fork's token may read, and no more.
    let mut fork = world.pull_request("synchronize");
    fork.payload["pull_request"]["head"]["repo"] = json!({"id": 987_654});
    world.workflow_run(&fork);
    let read = world
        .door
        .token(&[("contents", "read"), ("pull-requests", "read")]);
    let before = world.writes().len();
    let job = world.omk_ci("", &fork, &[("OMK_TOKEN", &read)]).exits(2);
    assert!(
        job.out.contains("::error file=omk.yaml,line=6,col="),
        "{}",
        job.out
    );
    assert!(
        job.summary.contains("did you mean `test`?"),
        "{}",
        job.summary
    );
    assert_eq!(world.writes().len(), before);
}

#[test]
fn branches_of_a_closed_pull_request_are_removed_unless_somebody_worked_on_them() {
    let world = ForgeWorld::start();
    let ours = |branch: &str| {
        world.git(&["checkout", "--quiet", "--detach", HEAD]);
        let message = "fix: done\n\nOmk-Run: 20261122t185155z-4f2a9c\nOmk-Task: fix\nOmk-Attempt: 1\nOmk-Proof: x/fix\n";
        let name = ("omk[bot]", "omk[bot]@users.noreply.github.com");
        let set = |key: &str, value: &str| format!("{key}={value}");
        world.git(&[
            "-c",
            &set("user.name", name.0),
            "-c",
            &set("user.email", name.1),
            "commit",
            "--quiet",
            "--allow-empty",
            &format!("--message={message}"),
        ]);
        world.git(&[
            "push",
            "--quiet",
            &world.remote("maintainer"),
            &format!("HEAD:refs/heads/{branch}"),
        ]);
    };
    for branch in [
        "omk/run/pr-12",
        "omk/task/pr-12/fix",
        "omk/task/pr-12/docs",
        "omk/run/pr-121",
        "x/omk/run/pr-12",
    ] {
        ours(branch);
    }
    world.pushes(
        "contributor",
        "omk/task/pr-12/docs",
        &[("docs.txt", "mine\n")],
    );
    let closed = world.pull_request("closed");
    world.workflow_run(&closed);
    // As examples/workflows/cleanup.yml grants it.
    let token = world
        .door
        .token(&[("contents", "write"), ("pull-requests", "read")]);
    let omk_ci = || world.omk_ci("", &closed, &[("OMK_TOKEN", &token)]).exits(0);
    omk_ci().says("is open again");
    assert_eq!(
        world
            .api(
                "maintainer",
                "PATCH",
                &format!("/pulls/{PULL}"),
                &json!({"state": "closed"})
            )
            .status,
        200
    );
    let job = omk_ci().says("2 branches of pr-12 removed");
    assert!(job.out.contains("omk/task/pr-12/docs stays"), "{}", job.out);
    let left: Vec<String> = world
        .remote_refs()
        .into_keys()
        .filter(|name| name.contains("omk/"))
        .collect();
    assert_eq!(
        left,
        [
            "refs/heads/omk/run/pr-121",
            "refs/heads/omk/task/pr-12/docs",
            "refs/heads/x/omk/run/pr-12"
        ]
    );
}
