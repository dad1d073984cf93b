//! The real Kimi CLI in the real jobs of a pipeline: a comment, a cassette instead of a model, and
//! what people find afterwards.

use std::collections::BTreeSet;

use crate::ci_agent::{example, program};
use crate::gitlab_ci::{KEY, Site};
use crate::gitlab_world::{GitLabWorld, REQUEST};

#[tokio::test]
async fn a_comment_lets_the_agent_work_and_its_work_is_a_merge_request() {
    let (tools, _place) = crate::agent::installed().await;
    let files = program();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let cassette = format!(
        "args: \"--cassette '{}'\"",
        example().join("cassette").display()
    );
    let site = Site::new(
        GitLabWorld::with_files(&files),
        "comment-webhook",
        &[&cassette],
    );
    // The job's image has the CLI already; omk would get it from npm.
    for program in ["kimi", "node"] {
        let installed = tools
            .join("kimi-code-2.1.0/node_modules/.bin")
            .join(program);
        std::os::unix::fs::symlink(installed, site.runner.at("bin").join(program)).unwrap();
    }
    let world = &site.world;
    let note = world.comments("maintainer", "/omk run");
    let jobs = site.four(&world.hooked(&note));
    assert_eq!(
        world.awards(&note),
        "eyes, rocket",
        "{}{}",
        jobs[3].out,
        jobs[3].err
    );
    assert_eq!(jobs[3].dotenv("OMK_VERDICT"), "ready");
    assert!(
        jobs[3].dotenv("OMK_TOKENS").parse::<u64>().unwrap() > 1_000,
        "{}",
        jobs[3].files["omk.env"]
    );
    for job in &jobs {
        assert!(
            job.files.values().all(|text| !text.contains(KEY)),
            "the key is in no artifact"
        );
    }

    let result = world.tip("omk/run/mr-12");
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        &result,
        "main",
    ]);
    let log = world.git(&["log", "--format=%s", &format!("main..{result}")]);
    let subjects: BTreeSet<&str> = log.lines().filter(|line| *line != "A change").collect();
    insta::assert_snapshot!(Vec::from_iter(subjects).join("\n"), @r"
    Bring the price list up to date
    Give 5 % off from 20.00 on
    Print a receipt
    Show the program's own output in the README
    ");
    let replies = world.replies(REQUEST);
    assert!(
        replies[0].contains("4 of 4 tasks completed")
            && replies[0].contains("/-/merge_requests/13)"),
        "{}",
        replies[0]
    );
}
