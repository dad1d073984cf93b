//! The key while the real Kimi CLI works for the built omk: who can see it, and what is left when
//! omk is killed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::e2e_world::{OTHER_SECRET, World, bash, until};
use crate::gateway::KEY;
use crate::model::{Model, Turn};

const SNOOP: &str = r#"
gates: [{ id: check, run: "env > seen-by-gate.txt; sh check.sh" }]
tasks: [{ id: snoop, prompt: do snoop, write_set: [snoop.txt], gates: [check], retry_policy: { max_attempts: 0 } }]
"#;

/// Writes down the command line and the environment, as far as it is let, of every process above it
/// up to omk. The test's own process and what is above that are nobody's business here.
fn look_up() -> String {
    format!(
        "p=$$; while [ $p -gt 1 ] && [ $p -ne {} ]; do tr '\\0' '\\n' < /proc/$p/cmdline; echo; \
         tr '\\0' '\\n' < /proc/$p/environ; p=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$p/status); done > snoop.txt 2>&1; \
         env >> snoop.txt",
        std::process::id()
    )
}

fn secrets() -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = [KEY, OTHER_SECRET]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    secrets.push(STANDARD.encode(KEY).into_bytes());
    secrets
}

fn is_leaked(bytes: &[u8]) -> bool {
    secrets()
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|window| window == secret))
}

#[tokio::test]
async fn nobody_but_the_provider_sees_the_key_and_a_killed_omk_leaves_nobody_behind() {
    let look_up = look_up();
    let stay =
        format!("{look_up}; nohup setsid sleep 5001 >/dev/null 2>&1 & touch snooping; sleep 5002");
    let look = Turn::OneByOne(vec![bash(&stay), bash(&look_up)]);
    let model = Model::start(vec![("do snoop", vec![look, Turn::Say("done")])]).await;
    let world = World::new(&model, SNOOP).await;

    let mut omk = world.omk(&["run"]).spawn().unwrap();
    let slot = || {
        let journal = world.journal();
        let prepared = journal
            .iter()
            .find(|line| line["fact"]["fact"] == "prepared")?;
        Some(std::path::PathBuf::from(prepared["fact"]["slot"].as_str()?))
    };
    until("the agent is at work", || {
        slot().is_some_and(|slot| slot.join("snooping").exists())
    })
    .await;
    // omk, its shepherd, the CLI and two sleepers.
    assert!(world.alive().len() >= 5, "{:?}", world.alive());
    for process in world.alive() {
        assert!(
            !is_leaked(&process.read("environ")) && !is_leaked(&process.read("cmdline")),
            "{process:?}"
        );
    }
    omk.start_kill().unwrap();
    let killed = omk.wait_with_output().await.unwrap();
    assert_eq!(killed.status.code(), None, "it was killed");
    assert!(!is_leaked(&killed.stdout) && !is_leaked(&killed.stderr));
    world.assert_nobody_is_left().await;
    // What a killed omk leaves of an agent's own files; the next one removes it.
    let left = world.files();
    assert!(
        left.iter()
            .any(|(path, _)| path.ends_with("kimi/config.toml")),
        "it was not looked at"
    );
    assert!(left.iter().all(|(_, bytes)| !is_leaked(bytes)));

    let ended = world.run(&["resume"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!is_leaked(ended.stdout.as_bytes()) && !is_leaked(ended.stderr.as_bytes()));
    assert_eq!(
        world.git(&["log", "--format=%s", "main..omk/run/e2e"]),
        "snoop"
    );
    assert_eq!(world.record("snoop").await["retry_count"], 0);
    let looked = world.git(&["show", "omk/run/e2e:snoop.txt"]);
    // From a sealed room there is nothing else to be seen.
    let is_sealed = world
        .journal()
        .iter()
        .any(|line| line["fact"]["evidence"]["containment"]["level"] == "sealed");
    let outside = if is_sealed {
        &[][..]
    } else {
        &["__shepherd", "\nresume\n"]
    };
    for word in ["KIMI_CODE_HOME=", "kimi-code"].iter().chain(outside) {
        assert!(
            looked.contains(word),
            "it did not look far: {word:?} is missing"
        );
    }

    assert!(
        model
            .asked()
            .iter()
            .all(|asked| asked.authorization == format!("Bearer {KEY}"))
    );
    assert!(
        model
            .asked()
            .iter()
            .all(|asked| !asked.body.to_string().contains(KEY))
    );
    let files = world.files();
    for needed in [
        "journal.jsonl",
        "report.html",
        "cassette/snoop/0-0.json",
        "proofs/snoop.json",
    ] {
        assert!(
            files.iter().any(|(path, _)| path.ends_with(needed)),
            "{needed} was not looked at"
        );
    }
    for (path, bytes) in files {
        assert!(!is_leaked(&bytes), "{}", path.display());
    }
    let objects = world.git(&["cat-file", "--batch", "--batch-all-objects"]);
    assert!(objects.contains("KIMI_CODE_HOME=") && !is_leaked(objects.as_bytes()));
}
