//! GitLabs that people run themselves: below a path, with an authority of their own, without TLS,
//! with proxies, with deep groups, and with projects that move.

use std::path::Path;

use serde_json::json;

use crate::gitlab_fault_steps::Steps;
use crate::gitlab_world::{BOT, GitLabWorld, PROJECT, REQUEST};

/// A path as groups and projects may have one.
const DEEP: &str = "acme.inc/sub-group/deep_er/my.widget-2";

#[test]
fn a_project_in_deep_groups_is_served_like_any_other() {
    let world = GitLabWorld::start();
    world.door.control("rename_project", &json!({"to": DEEP}));
    let url = format!("{}/{DEEP}", world.door.site);
    let mut steps = Steps::start(&world);
    steps.env = vec![
        ("CI_PROJECT_PATH", DEEP),
        ("CI_PROJECT_NAME", "my.widget-2"),
        ("CI_PROJECT_URL", &url),
    ];
    steps.all();
    steps.is_whole();
    assert!(
        steps.reply().contains(&format!("{url}/-/merge_requests/")),
        "{}",
        steps.reply()
    );
    let target = world.state()["statuses"][0]["target_url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        target,
        format!("{url}/-/pipelines/{}#omk/mr-12/", steps.pipeline.id)
            + target.rsplit_once("mr-12/").unwrap().1
    );
}

#[test]
fn a_project_that_was_renamed_meanwhile_is_the_same_project() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    steps.job("intake").exits(0);
    world.door.control("rename_project", &json!({"to": DEEP}));
    // Jobs that GitLab had given their variables before.
    for command in ["run", "judge", "publish"] {
        steps.job(command).exits(0);
    }
    steps.is_whole();
    // Jobs that are tried again later get the new name, and that is no other project's request.
    let url = format!("{}/{DEEP}", world.door.site);
    steps.env = vec![("CI_PROJECT_PATH", DEEP), ("CI_PROJECT_URL", &url)];
    steps.again("publish").exits(2).says("another repository");
    steps.again("intake").exits(0).says("answered already");
}

#[test]
fn an_authority_of_ones_own_is_trusted_by_api_and_git() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let world = GitLabWorld::start();
    let certificate = tests.join("gitlab-server.pem");
    let port = world
        .door
        .control("tls", &json!({"certificate": certificate}))["port"]
        .as_u64()
        .unwrap();
    let site = format!("https://127.0.0.1:{port}/gitlab");
    let (api, url) = (format!("{site}/api/v4"), format!("{site}/{PROJECT}"));
    let authority = tests.join("gitlab-authority.pem").display().to_string();
    let mut steps = Steps::start(&world);
    steps.env = vec![
        ("CI_API_V4_URL", &api),
        ("CI_SERVER_URL", &site),
        ("CI_PROJECT_URL", &url),
    ];
    // Without it nobody is spoken to, and no token is shown.
    let ours = || {
        world
            .door
            .log()
            .into_iter()
            .filter(|entry| entry["who"] == BOT)
            .count()
    };
    let job = steps.job("intake");
    assert!(matches!(job.code, Some(2 | 5)), "{job:#?}");
    assert_eq!(ours(), 0);
    steps.env.push(("CI_SERVER_TLS_CA_FILE", &authority));
    steps.again("intake").exits(0);
    for command in ["run", "judge", "publish"] {
        steps.job(command).exits(0);
    }
    steps.is_whole();
}

#[test]
fn proxies_are_not_asked_about_a_gitlab_on_this_machine() {
    let world = GitLabWorld::start();
    let mut steps = Steps::start(&world);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        steps.env.push((name, "http://127.0.0.1:9"));
    }
    steps.all();
    steps.is_whole();
    assert_eq!(world.replies(REQUEST).len(), 1);
}
