//! The offline GitLab, used by a real client: what python-gitlab does there it reads back, errors
//! and pages too.

use std::process::{Command, Stdio};

use crate::forge_door::{rig, rig_tools};
use crate::gitlab_world::{GitLabWorld, SOURCE};

#[test]
fn the_real_client_tells_a_whole_story_and_reads_it_back() {
    let world = GitLabWorld::start();
    let mut python = Command::new("python3");
    python
        .arg(rig().join("gitlab_story.py"))
        .args([&world.door.site, &world.door.url, "acme/widget"])
        .env_clear();
    python
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("PYTHONPATH", rig_tools().join("python"));
    let output = python
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "told");
    // The story asks for one thing that GitLab does not know.
    world.forgive(1);
    let read = world.read();
    assert!(
        read["branches"]
            .as_array()
            .unwrap()
            .iter()
            .any(|branch| branch["name"] == SOURCE),
        "{read}"
    );
    assert!(
        read["merge_requests"].as_array().unwrap().len() > 1,
        "{read}"
    );
}
