//! What instructs the real Kimi CLI: the trusted commit's files, whatever an earlier task made of
//! them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use crate::e2e_world::{World, write};
use crate::model::{Model, Turn};

const PLAN: &str = r#"
gates: [{ id: check, run: "grep -q -e swayed -e settled AGENTS.md && test -e new/AGENTS.md" }]
defaults: { retry_policy: { max_attempts: 0 } }
tasks:
  - id: sway
    run: "echo The words are swayed > AGENTS.md; mkdir new; echo Swayed anew > new/AGENTS.md"
    write_set: [AGENTS.md, new/AGENTS.md]
  - { id: work, prompt: do work, dependencies: [sway], write_set: ["**"], gates: [check] }
  - { id: own, prompt: do own, dependencies: [work], write_set: [AGENTS.md], gates: [check] }
  - { id: bend, prompt: do bend, dependencies: [sway], write_set: ["**"] }
"#;

/// Everything that the model was sent in the first request about a prompt.
fn first_asked(model: &Model, prompt: &str) -> String {
    let sent = model
        .asked()
        .into_iter()
        .map(|asked| asked.body["messages"].to_string());
    sent.into_iter()
        .find(|messages| messages.contains(prompt))
        .unwrap()
}

#[tokio::test]
async fn an_agent_is_instructed_by_the_base_and_not_by_an_earlier_task() {
    let scripts = vec![
        (
            "do work",
            vec![write("work.txt", "done\n"), Turn::Say("done")],
        ),
        (
            "do own",
            vec![
                write("AGENTS.md", "The words are settled\n"),
                Turn::Say("done"),
            ],
        ),
        (
            "do bend",
            vec![
                write("AGENTS.md", "The words are bent\n"),
                Turn::Say("done"),
            ],
        ),
    ];
    let model = Model::start(scripts).await;
    let world = World::new(&model, PLAN).await;
    std::fs::write(world.at("repo/AGENTS.md"), "The words are trusted\n").unwrap();
    world.git(&["add", "-A"]);
    world.git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit",
        "-qm",
        "instruct",
    ]);
    let ended = world.run(&["run"]).await;

    let asked = first_asked(&model, "do work");
    assert!(
        asked.contains("words are trusted") && !asked.contains("words are swayed"),
        "{asked}"
    );
    // Its own file is the task's to read and to write.
    let asked = first_asked(&model, "do own");
    assert!(
        asked.contains("words are swayed") && !asked.contains("words are trusted"),
        "{asked}"
    );

    // Nothing of it is a change, the gate found what the earlier task had made, and so does
    // everybody else.
    assert_eq!(world.attempts("work"), "changed", "{ended:?}");
    let changed =
        |task: &str| world.git(&["diff", "--name-only", &format!("omk/task/e2e/{task}^!")]);
    assert_eq!(changed("work"), "work.txt");
    assert_eq!(changed("own"), "AGENTS.md");
    assert_eq!(
        world.git(&["show", "omk/run/e2e:AGENTS.md"]),
        "The words are settled"
    );
    assert_eq!(
        world.git(&["show", "omk/run/e2e:new/AGENTS.md"]),
        "Swayed anew"
    );
    // What an agent writes there all the same is found.
    assert_eq!(
        (world.attempts("bend"), ended.code),
        ("scope".to_owned(), Some(1))
    );
    assert_eq!(
        world.message("bend"),
        "AGENTS.md is protected: its write set must name that very path"
    );
}
