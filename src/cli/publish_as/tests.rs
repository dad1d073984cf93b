//! Tests of `cli::publish_as`.

use super::*;

fn request(forge: &str) -> Request {
    let json = serde_json::json!({
        "version": 1, "run": "20261122t185155z-4f2a9c", "scope": "mr-12", "forge": forge,
        "trigger": {"event": "comment", "actor": "x"}, "ask": {"what": "run", "tasks": []},
        "repository": "acme/tools/widget", "base": "1".repeat(40), "default_branch": "main", "rules": "2".repeat(40),
        "plan": {"path": "omk.yaml", "digest": "3".repeat(64), "commit": null, "uncommitted": false},
        "workflow": {"id": 77, "attempt": 1, "url": "https://gitlab.example/x/-/pipelines/77"},
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn each_forge_is_spoken_to_by_its_own_variables() {
    let caller: Caller = [
        ("CI_SERVER_URL", "https://gitlab.example/git/"),
        ("CI_PROJECT_ID", "9"),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect();
    let secrets = |name: &str| {
        BTreeMap::from([(name.to_owned(), Secret::new("glpat-1234567890".to_owned()))])
    };
    let (forge, remote) = speak(&caller, &secrets("GITLAB_TOKEN"), &request("gitlab")).unwrap();
    assert_eq!(forge.kind(), ForgeKind::GitLab);
    assert_eq!(
        remote.url(),
        "https://gitlab.example/git/acme/tools/widget.git"
    );
    assert!(speak(&caller, &secrets("GITHUB_TOKEN"), &request("gitlab")).is_err());
    let nowhere = speak(
        &Caller::default(),
        &secrets("OMK_TOKEN"),
        &request("gitlab"),
    )
    .unwrap_err();
    assert!(
        nowhere.render().contains("CI_PROJECT_ID"),
        "{}",
        nowhere.render()
    );
    let none = speak(&caller, &BTreeMap::new(), &request("gitlab")).unwrap_err();
    assert!(
        none.render().contains("OMK_TOKEN or GITLAB_TOKEN"),
        "{}",
        none.render()
    );
    let at_github = Request {
        repository: "acme/widget".to_owned(),
        ..request("github")
    };
    assert_eq!(
        speak(&caller, &secrets("GITHUB_TOKEN"), &at_github)
            .unwrap()
            .0
            .kind(),
        ForgeKind::GitHub
    );
}
