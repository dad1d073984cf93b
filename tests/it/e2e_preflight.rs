//! What the gates say of the base before the real Kimi CLI is asked for anything.

use crate::e2e_world::{World, write};
use crate::model::{Model, Turn};

fn plan(gate: &str, more: &str) -> String {
    format!(
        "gates: [{{ id: test, run: {gate} }}]\n\
         defaults: {{ gates: [test], retry_policy: {{ max_attempts: 2, backoff_seconds: 0 }} }}\n\
         tasks: [{{ id: fix, prompt: do fix, write_set: [fix.txt] }}]\n{more}"
    )
}

async fn model() -> Model {
    Model::start(vec![(
        "do fix",
        vec![write("fix.txt", "right\n"), Turn::Say("done")],
    )])
    .await
}

#[tokio::test]
async fn a_misspelt_gate_is_found_before_a_prompt_is_paid_for() {
    let model = model().await;
    let world = World::new(&model, &plan("cargoo test", "")).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(model.asked().len(), 0, "nothing is paid");
    assert!(world.starts("fix").is_empty());
    assert!(
        ended
            .stderr
            .contains("gate `test` (`cargoo test`) cannot run on the base: it exited with 127"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("cargoo: not found"), "{ended:?}");
    assert!(
        format!("{}{}", ended.stderr, ended.stdout).contains("`preflight: false`"),
        "{ended:?}"
    );
    assert_eq!(world.run(&["replay"]).await.code, Some(0));
}

#[tokio::test]
async fn a_red_base_is_told_before_the_first_prompt_and_who_repairs_it_has_fixed_it() {
    let model = model().await;
    let world = World::new(&model, &plan("grep -q right fix.txt", "")).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended
        .stderr
        .find("the base is red: gate `test` fails there (exit 2), before any task");
    let begun = ended
        .stderr
        .find("fix")
        .map(|_| ended.stderr.rfind("fix").unwrap());
    assert!(told.is_some() && told < begun, "{ended:?}");
    assert!(
        world
            .report()
            .to_string()
            .contains("\"against_base\":\"fixed\""),
        "{}",
        world.report()
    );
    assert_eq!(world.run(&["verify"]).await.code, Some(0));
}

#[tokio::test]
async fn a_task_may_make_what_its_gate_needs_where_the_plan_says_so() {
    let model = model().await;
    let world = World::new(
        &model,
        &plan("./fix.txt || grep -q right fix.txt", "preflight: false\n"),
    )
    .await;
    assert_eq!(world.run(&["run"]).await.code, Some(0));
    assert!(
        world
            .journal()
            .iter()
            .all(|line| line["fact"]["fact"] != "preflighted")
    );
}

#[tokio::test]
async fn omk_plan_check_finds_it_too_and_asks_for_nothing() {
    let model = model().await;
    let world = World::new(&model, &plan("cargoo test", "")).await;
    let ended = world.run(&["plan", "--check"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("gate test on HEAD: failed (exit 127) in "),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("a gate cannot run here"), "{ended:?}");
    let sound = plan("sh check.sh", "").replacen("gates", "env: { A: b }\ngates", 1);
    let agent = std::fs::read_to_string(world.at("repo/omk.yaml")).unwrap();
    let agent = agent.split("gates:").next().unwrap();
    std::fs::write(world.at("repo/omk.yaml"), format!("{agent}{sound}")).unwrap();
    let ended = world.run(&["plan", "--check"]).await;
    assert_eq!(
        (ended.code, ended.stdout.contains("a run can start")),
        (Some(0), true),
        "{ended:?}"
    );
    assert_eq!((model.asked().len(), world.runs().len()), (0, 0));
}
