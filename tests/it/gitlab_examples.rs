//! The example pipelines for GitLab and the image's recipe: everything pinned, no input that does
//! not exist, and README's words are the example's.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// All examples, by file name.
fn examples() -> Vec<(String, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab");
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "README.md").collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                serde_yaml::from_str(&text(&format!("examples/gitlab/{name}"))).unwrap(),
            )
        })
        .collect()
}

#[test]
fn there_is_an_example_for_each_way_to_start_and_the_page_names_it() {
    let names: Vec<String> = examples().into_iter().map(|(name, _)| name).collect();
    let wanted = [
        "comment-poll",
        "comment-webhook",
        "one-job",
        "plan-check",
        "schedule",
    ];
    assert_eq!(names, wanted.map(|name| format!("{name}.gitlab-ci.yml")));
    let page = text("examples/gitlab/README.md");
    assert_eq!(
        names
            .into_iter()
            .find(|name| !page.contains(&format!("]({name})"))),
        None
    );
}

#[test]
fn examples_pin_component_and_image_and_give_inputs_that_exist() {
    let header = text("templates/omk.yml")
        .split_once("\n---\n")
        .unwrap()
        .0
        .to_owned();
    let header: Value = serde_yaml::from_str(&header).unwrap();
    let known = header["spec"]["inputs"].as_object().unwrap();
    let mut including = 0;
    for (name, example) in examples() {
        for included in example["include"].as_array().into_iter().flatten() {
            including += 1;
            let component = included["component"].as_str().unwrap();
            let (path, commit) = component.split_once('@').unwrap();
            assert_eq!(path, "$CI_SERVER_FQDN/omk-action/omk-action/omk", "{name}");
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name}: {commit}"
            );
            let given = included["inputs"].as_object().unwrap();
            assert_eq!(
                given.keys().find(|input| !known.contains_key(*input)),
                None,
                "{name}"
            );
            pinned(&name, given["image"].as_str().unwrap());
        }
    }
    assert_eq!(including, 4);
    let placeholder = format!("/omk@{} # pin a release's commit", "0".repeat(40));
    let pinned = examples()
        .iter()
        .filter(|(name, _)| text(&format!("examples/gitlab/{name}")).contains(&placeholder))
        .count();
    assert_eq!(pinned, including, "nobody takes a placeholder for a commit");
}

fn pinned(name: &str, image: &str) {
    let (path, digest) = image
        .split_once("@sha256:")
        .unwrap_or_else(|| panic!("{name}: {image}"));
    assert!(
        path.starts_with("$CI_REGISTRY_IMAGE/") && digest.len() == 64,
        "{name}: {image}"
    );
}

#[test]
fn only_polling_looks_for_comments_and_only_a_merge_request_needs_no_token() {
    let of = |wanted: &str| {
        examples()
            .into_iter()
            .find(|(name, _)| name.starts_with(wanted))
            .unwrap()
            .1
    };
    let included = |wanted: &str| of(wanted)["include"][0].clone();
    assert_eq!(included("comment-poll")["inputs"]["poll"], true);
    assert!(included("comment-webhook")["inputs"]["poll"].is_null());
    assert!(
        included("comment-webhook")["rules"].is_null(),
        "notes, schedules, runs by hand and merge requests"
    );
    assert_eq!(
        included("plan-check")["rules"],
        json!([{"if": r#"$CI_PIPELINE_SOURCE == "merge_request_event""#}])
    );
    let schedule = r#"$CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "web""#;
    assert_eq!(included("schedule")["rules"], json!([{"if": schedule}]));
    assert_eq!(included("schedule")["inputs"]["plan-check"], false);
}

#[test]
fn one_job_has_one_environment_no_checkout_and_nothing_that_a_cancel_would_wait_for() {
    let example = examples()
        .into_iter()
        .find(|(name, _)| name.starts_with("one-job"))
        .unwrap()
        .1;
    let jobs = example.as_object().unwrap();
    assert_eq!(
        jobs.keys().collect::<Vec<_>>(),
        ["agents"],
        "not `omk`: a status of ours has that name"
    );
    let job = &jobs["agents"];
    pinned("one-job", job["image"].as_str().unwrap());
    assert_eq!(
        job["environment"],
        json!({"name": "omk/one-job", "action": "access"})
    );
    assert_eq!(job["variables"], json!({"GIT_STRATEGY": "empty"}));
    assert_eq!(job["script"], json!(["exec omk ci"]));
    assert!(job["resource_group"].is_null() && job["artifacts"]["reports"]["dotenv"].is_null());
    assert_eq!(
        job["inherit"],
        json!({"default": false, "variables": false})
    );
    assert_eq!(
        (&job["cache"], &job["interruptible"]),
        (&json!([]), &json!(false))
    );
    let (_, jobs) = text("templates/omk.yml")
        .split_once("\n---\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let component: Value = serde_yaml::from_str(&jobs).unwrap();
    assert_eq!(
        job["rules"][1], component["omk-run"]["rules"][0],
        "a run is started by the same as in four jobs"
    );
}

#[test]
fn what_the_readme_shows_is_the_example() {
    let readme = text("README.md");
    let (_, shown) = readme.split_once("# .gitlab-ci.yml\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let shown: Value = serde_yaml::from_str(shown).unwrap();
    let example = examples()
        .into_iter()
        .find(|(name, _)| name.starts_with("comment-webhook"))
        .unwrap()
        .1;
    assert_eq!(shown, example);
}

#[test]
fn the_page_names_every_environment_and_every_job() {
    let page = text("examples/gitlab/README.md");
    for job in crate::gitlab_component::JOBS {
        assert!(
            page.contains(&format!("| `{job}`, `{}` |", job.replace('-', "/"))),
            "{job}"
        );
    }
    let scopes: BTreeSet<&str> = page
        .split("| `OMK_TOKEN` | `")
        .skip(1)
        .map(|rest| rest.split('`').next().unwrap())
        .collect();
    assert_eq!(
        scopes,
        ["omk/intake", "omk/judge", "omk/publish", "omk/run"].into()
    );
}

#[test]
fn the_images_recipe_invents_no_digest_and_names_no_registry() {
    let recipe = text("gitlab/Dockerfile");
    let lines: Vec<&str> = recipe
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let from: Vec<&&str> = lines
        .iter()
        .filter(|line| line.starts_with("FROM"))
        .collect();
    assert_eq!(from, [&"FROM ${BASE}"]);
    assert!(
        lines.contains(&"ARG BASE") && lines.contains(&"ARG SHA256"),
        "without a default: the build refuses to guess"
    );
    assert!(recipe.contains("BASE must be pinned by digest"));
    assert!(recipe.contains("sha256sum --check --strict"));
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("ADD") || line.contains("curl") || line.contains("://")),
        "{recipe}"
    );
}
