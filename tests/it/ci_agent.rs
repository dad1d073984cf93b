//! The real Kimi CLI in the real jobs: a comment, a cassette instead of a model, and what people find afterwards.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::forge_act::KEY;
use crate::forge_world::{ForgeWorld, PULL, steady};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

/// The example's program, with its plan.
fn program() -> Vec<(String, String)> {
    let (mut files, mut stack) = (Vec::new(), vec![example().join("program")]);
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            let name = path.strip_prefix(example().join("program")).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    files.push(("omk.yaml".to_owned(), std::fs::read_to_string(example().join("omk.yaml")).unwrap()));
    files
}

#[tokio::test]
async fn a_comment_lets_the_agent_work_and_its_work_is_a_pull_request() {
    let (tools, _place) = crate::agent::installed().await;
    let files = program();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let world = ForgeWorld::with_files(&files);
    std::fs::create_dir_all(world.at("cache/omk")).unwrap();
    std::os::unix::fs::symlink(tools, world.at("cache/omk/tools")).unwrap();

    let event = world.comments("maintainer", "/omk run");
    let cassette = format!("--cassette '{}'", example().join("cassette").display());
    let acted = world.act("comment.yml", &event, &[("run", "args", &cassette)]).green();
    assert_eq!(world.reactions(&event), "eyes, rocket", "{}", acted.log);
    assert!(!acted.log.contains(KEY), "the key is in no log");

    let result = world.tip("omk/run/pr-12");
    let clone = world.checkout("read-back", &result);
    let subjects = world.gh("/pulls/13/commits", r#".[].commit.message | split("\n")[0]"#);
    let checks = world.gh(&format!("/commits/{result}/check-runs"), r#".check_runs[] | .name + ": " + .conclusion"#);
    steady(|| {
        insta::assert_snapshot!(subjects, @"");
        insta::assert_snapshot!(checks, @"");
        insta::assert_snapshot!(world.replies(PULL)[0], @"");
    });
    // What was promised is in the tree, and the tests that the agent wrote pass there.
    let mut python = std::process::Command::new("python3");
    python.args(["-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."]);
    assert!(python.current_dir(&clone).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap().status.success());
    assert!(clone.join("tests/test_receipt.py").exists());
    assert_eq!(world.state()["artifacts"].as_object().unwrap().len(), 1, "{:#?}", json!(world.state()["artifacts"]));
}
