//! What an earlier job, or somebody in it, may have left where the next one looks.

use super::*;

fn json(pipeline: u64, repository: &str) -> String {
    serde_json::json!({
        "version": 1, "run": "20261122t185155z-4f2a9c", "scope": "mr-12", "forge": "gitlab",
        "trigger": {"event": "comment", "actor": "x"}, "ask": {"what": "run", "tasks": []},
        "repository": repository, "base": "1".repeat(40), "default_branch": "main", "rules": "2".repeat(40),
        "plan": {"path": "omk.yaml", "digest": "3".repeat(64), "commit": null, "uncommitted": false},
        "workflow": {"id": pipeline, "attempt": 1, "url": "https://gitlab.example/x/-/pipelines/77"},
    })
    .to_string()
}

fn runner(dir: &Path, command: &str) -> Runner {
    let set = [
        ("GITLAB_CI", "true"),
        ("CI_SERVER_URL", "https://gitlab.example"),
        ("CI_PROJECT_ID", "9"),
        ("CI_PROJECT_PATH", "acme/widget"),
        ("CI_PROJECT_DIR", dir.to_str().unwrap()),
        ("CI_PIPELINE_ID", "77"),
        ("CI_PIPELINE_SOURCE", "trigger"),
        ("OMK_COMMAND", command),
    ];
    let caller = set
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Runner::parse(&caller, std::collections::BTreeMap::new(), false).unwrap()
}

fn taken_over(
    command: &str,
    prepare: impl FnOnce(&Path),
) -> (Result<Option<Request>, CommandFailure>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("omk-out");
    prepare(&out);
    let request = take_over(&runner(dir.path(), command));
    let names =
        std::fs::read_dir(&out).map(|entries| entries.map(|entry| entry.unwrap().file_name()));
    let names = names
        .map(|names| {
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    (request, names)
}

fn given(text: &str) -> Result<Option<Request>, CommandFailure> {
    taken_over("run", |out| {
        std::fs::create_dir(out).unwrap();
        std::fs::write(out.join(REQUEST), text).unwrap();
    })
    .0
}

#[test]
fn the_request_of_this_pipeline_is_taken_over() {
    assert_eq!(
        given(&json(77, "acme/widget"))
            .unwrap()
            .unwrap()
            .scope
            .as_str(),
        "mr-12"
    );
    assert!(given("null\n").unwrap().is_none());
    assert!(taken_over("run", |_| {}).0.unwrap().is_none());
}

#[test]
fn a_request_of_another_pipeline_or_project_or_shape_is_refused() {
    let of_github = json(77, "acme/widget").replace("gitlab\"", "github\"");
    for (text, why) in [
        (json(78, "acme/widget"), "another pipeline"),
        (of_github, "another pipeline"),
        (json(77, "acme/other"), "another repository"),
        ("[]".to_owned(), "omk-out/request.json"),
        (String::new(), "omk-out/request.json"),
        (" ".repeat(2 << 20), "holds more than 1 MiB"),
    ] {
        let failure = given(&text).unwrap_err();
        assert!(failure.render().contains(why), "{}", failure.render());
    }
}

#[test]
fn nothing_that_an_earlier_job_left_stays() {
    for command in ["", "gate", "run", "judge", "publish"] {
        let (request, names) = taken_over(command, |out| {
            std::fs::create_dir_all(out.join("bundle")).unwrap();
            std::fs::write(out.join("omk.env"), "LD_PRELOAD=x\n").unwrap();
            std::fs::write(out.join("bundle/bundle.json"), "{}").unwrap();
        });
        assert!(
            request.unwrap().is_none() && names.is_empty(),
            "{command}: {names:?}"
        );
    }
}

#[test]
fn links_and_pipes_are_not_followed_and_what_they_lead_to_stays() {
    let elsewhere = tempfile::tempdir().unwrap();
    let kept = elsewhere.path().join("request.json");
    std::fs::write(&kept, json(77, "acme/widget")).unwrap();
    let (request, _) = taken_over("run", |out| {
        std::fs::create_dir(out).unwrap();
        std::os::unix::fs::symlink(&kept, out.join(REQUEST)).unwrap();
    });
    assert!(request.is_err());
    let (_, names) = taken_over("gate", |out| {
        std::os::unix::fs::symlink(elsewhere.path(), out).unwrap()
    });
    assert!(names.is_empty() && kept.is_file());
    let (request, _) = taken_over("run", |out| {
        std::fs::create_dir_all(out.join(REQUEST)).unwrap()
    });
    assert!(request.is_err());
    let (request, _) = taken_over("run", |out| {
        std::fs::create_dir(out).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(out.join(REQUEST))
            .status()
            .unwrap();
        assert!(made.success());
    });
    assert!(request.is_err());
}
