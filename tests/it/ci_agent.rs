//! The real Kimi CLI in the real jobs: a comment, a cassette instead of a model, and what people
//! find afterwards.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::e2e_world::write;
use crate::forge_act::KEY;
use crate::forge_world::{ForgeWorld, HEAD, PULL, git, steady};
use crate::model::{Model, Turn};

pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

/// The example's program, with its plan.
pub(crate) fn program() -> Vec<(String, String)> {
    let (mut files, mut stack) = (Vec::new(), vec![example().join("program")]);
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            let name = path
                .strip_prefix(example().join("program"))
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    files.push((
        "omk.yaml".to_owned(),
        std::fs::read_to_string(example().join("omk.yaml")).unwrap(),
    ));
    files
}

#[tokio::test]
async fn a_comment_lets_the_agent_work_and_its_work_is_a_pull_request() {
    let (tools, _place) = crate::agent::installed().await;
    let files = program();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let world = ForgeWorld::with_files(&files);
    // The job's machine has the CLI already; omk would get it from npm.
    for program in ["kimi", "node"] {
        let installed = tools
            .join("kimi-code-2.1.0/node_modules/.bin")
            .join(program);
        std::os::unix::fs::symlink(installed, world.at("bin").join(program)).unwrap();
    }

    let event = world.comments("maintainer", "/omk run");
    let cassette = format!("--cassette '{}'", example().join("cassette").display());
    let acted = world
        .act("comment.yml", &event, &[("run", "args", &cassette)])
        .green();
    assert_eq!(world.reactions(&event), "eyes, rocket", "{}", acted.log);
    assert!(!acted.log.contains(KEY), "the key is in no log");

    let result = world.tip("omk/run/pr-12");
    let clone = world.checkout("read-back", &result);
    // Tasks land in the order in which they end.
    let log = git(
        &world.door.git,
        &["log", "--format=%s", "feature..omk/run/pr-12"],
    );
    let subjects: std::collections::BTreeSet<&str> = log.lines().collect();
    let checks = world.gh(
        &format!("/commits/{result}/check-runs"),
        r#".check_runs[] | .name + ": " + .conclusion"#,
    );
    steady(|| {
        insta::assert_snapshot!(Vec::from_iter(subjects).join("\n"), @r#"
        Bring the price list up to date
        Give 5 % off from 20.00 on
        Print a receipt
        Show the program's own output in the README
        "#);
        insta::assert_snapshot!(checks, @r#"
        omk / test: success
        omk: success
        "#);
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\d+k tokens, \$0\.\d+", "[number]k tokens, [cost]");
        let _bound = settings.bind_to_scope();
        insta::assert_snapshot!(world.replies(PULL)[0], @r#"
        <!-- omk:sticky:pr-12 -->
        <!-- omk:data {"run":"[run]","base":"[commit]","state":"ended","verdict":"ready","workflow":4001} -->
        ### ✅ omk `quickstart`: ready

        4 of 4 tasks completed · [time] · [number]k tokens, [cost]

        **Delivered** as pull request [#13]([site]/acme/widget/pull/13).

        - Look at it here: `git fetch origin omk/run/pr-12 && git diff [short] FETCH_HEAD`
        - Review it as you would a colleague's, and merge it.

        <details><summary>4 tasks: graph and table</summary>

        ```mermaid
        flowchart LR
          t0["✓ prices<br/>completed"]:::good
          t1["✓ discount<br/>completed"]:::good
          t2["✓ receipt<br/>completed"]:::good
          t3["✓ usage<br/>completed"]:::good
          t0 --> t1
          t0 --> t3
          classDef good fill:#dafbe1,stroke:#1a7f37,color:#0b2e13
          classDef bad fill:#ffebe9,stroke:#cf222e,color:#4c0a0f
          classDef busy fill:#ddf4ff,stroke:#0969da,color:#042551
          classDef idle fill:#f6f8fa,stroke:#8c959f,color:#424a53
        ```

        | | task | state | tries | time | gates | |
        |-|-|-|-:|-:|-|-|
        | ✅ | `prices` Bring the price list up to date | completed | 1 | [time] | `test` passed | 1 file |
        | ✅ | `discount` Give 5 % off from 20.00 on | completed | 2 | [time] | `test` passed | 2 files |
        | ✅ | `receipt` Print a receipt | completed | 1 | [time] | `test` passed | 4 files |
        | ✅ | `usage` Show the program's own output in the README | completed | 1 | [time] | `test` passed | 1 file |

        </details>

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/[run]
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        <sub>[workflow run 4001]([site]/acme/widget/actions/runs/4001), attempt 1, artifact `omk-pr-12-[run]`</sub>

        <sub>run `[run]` · base `[short]` · plan omk.yaml `[short]` · asked for by maintainer · judged_by: separate-job · room: [level] · omk 0.6.0</sub>
        "#);
    });
    // What was promised is in the tree, and the tests that the agent wrote pass there.
    let mut python = std::process::Command::new("python3");
    python.args([
        "-m",
        "unittest",
        "discover",
        "--start-directory",
        "tests",
        "--top-level-directory",
        ".",
    ]);
    assert!(
        python
            .current_dir(&clone)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(clone.join("tests/test_receipt.py").exists());
    assert_eq!(
        world.state()["artifacts"].as_object().unwrap().len(),
        1,
        "{:#?}",
        json!(world.state()["artifacts"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_requests_instructions_do_not_reach_the_agent() {
    let (tools, _place) = crate::agent::installed().await;
    let script = vec![(
        "do work",
        vec![write("work.txt", "done\n"), Turn::Say("done")],
    )];
    let model = Model::start(script).await;
    let plan = format!(
        "version: 1\nname: widget\nagent: {{ version: \"2.1.0\", base_url: \"{}\", max_steps: 5 }}\n\
         gates: [{{ id: test, run: \"grep -q swayed AGENTS.md && test -e new/AGENTS.md\" }}]\n\
         tasks: [{{ id: work, prompt: do work, write_set: [\"**\"], gates: [test], retry_policy: {{ max_attempts: 0 }} }}]\n",
        model.base_url
    );
    let world = ForgeWorld::with_files(&[
        ("omk.yaml", &plan),
        ("AGENTS.md", "The words are trusted\n"),
    ]);
    let theirs = [
        ("AGENTS.md", "The words are swayed\n"),
        ("new/AGENTS.md", "Swayed anew\n"),
    ];
    world.pushes("contributor", HEAD, &theirs);
    let cache = world.at("tools");
    std::fs::create_dir(&cache).unwrap();
    std::os::unix::fs::symlink(tools, cache.join("omk-agents")).unwrap();
    let env = [
        ("KIMI_API_KEY", crate::gateway::KEY),
        ("RUNNER_TOOL_CACHE", cache.to_str().unwrap()),
    ];
    let event = world.comments("maintainer", "/omk run");
    let jobs = tokio::task::block_in_place(|| world.jobs(&event, &env));

    let asked: Vec<String> = model
        .asked()
        .iter()
        .map(|asked| asked.body["messages"].to_string())
        .collect();
    let first = asked
        .iter()
        .find(|messages| messages.contains("do work"))
        .unwrap_or_else(|| panic!("{jobs:?}"));
    assert!(first.contains("words are trusted"), "{first}");
    assert!(
        asked
            .iter()
            .all(|messages| !messages.contains("words are swayed")),
        "{asked:?}"
    );
    // The gate, the judge and the result have the pull request's own files, and nothing of it is a
    // change.
    let result = world.tip("omk/run/pr-12");
    let shown = |path: &str| git(&world.door.git, &["show", &format!("{result}:{path}")]);
    assert_eq!(
        (shown("AGENTS.md"), shown("new/AGENTS.md")),
        ("The words are swayed".into(), "Swayed anew".into())
    );
    assert_eq!(
        git(
            &world.door.git,
            &["diff", "--name-only", "feature", &result]
        ),
        "work.txt"
    );
}
