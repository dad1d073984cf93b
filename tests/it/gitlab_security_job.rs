//! What a job at GitLab leaves for the next, when an agent or a gate had a hand in it; and what its
//! children can find.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io::Write as _;
use std::process::Command;

use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::gitlab_job::{LabJob, Pipeline, name_of};
use crate::gitlab_world::{GitLabWorld, REQUEST};

/// An archive of files; one whose text begins with `->` is a symlink.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        match text.strip_prefix(b"->") {
            Some(to) => zip
                .add_symlink(
                    *name,
                    String::from_utf8_lossy(to),
                    SimpleFileOptions::default(),
                )
                .unwrap(),
            None => {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(text).unwrap();
            }
        }
    }
    zip.finish().unwrap().into_inner()
}

/// A world in which a run was accepted.
fn accepted() -> (GitLabWorld, Pipeline) {
    let world = GitLabWorld::start();
    let pipeline = world.hooked(&world.comments("maintainer", "/omk run"));
    world.omk_ci("intake", &pipeline, &[]).exits(0);
    (world, pipeline)
}

/// A job of that name, tried again; it does nothing but to upload that archive.
fn leaves(world: &GitLabWorld, pipeline: &mut Pipeline, command: &str, archive: &[u8]) {
    again(world, pipeline, command);
    let (omk, place) = world.job(command, pipeline, &[]);
    let token = omk
        .get_envs()
        .find(|(name, _)| *name == "CI_JOB_TOKEN")
        .and_then(|(_, value)| value)
        .unwrap();
    let job = pipeline.jobs[&name_of(command)];
    let _ = std::fs::remove_dir_all(place.join("omk-out"));
    let done = Command::new("true").output().unwrap();
    assert_eq!(world.uploads(job, token.to_str().unwrap(), archive), 201);
    world.ended(command, pipeline, &place, &done);
}

/// Another job of the same name, as when a person tries one again.
fn again(world: &GitLabWorld, pipeline: &mut Pipeline, command: &str) {
    let name = name_of(command);
    let told = world.door.control(
        "add_jobs",
        &json!({"pipeline": pipeline.id, "jobs": [[name, command]]}),
    );
    pipeline
        .jobs
        .insert(name.clone(), told["jobs"][&name].as_u64().unwrap());
}

/// Publishes what there is; nothing may be pushed.
fn published(world: &GitLabWorld, pipeline: &mut Pipeline) -> LabJob {
    again(world, pipeline, "publish");
    let publish = world.omk_ci("publish", pipeline, &[]);
    assert_ne!(publish.code, Some(0), "{publish:#?}");
    assert!(
        !world.refs().keys().any(|name| name.contains("omk")),
        "{:#?}",
        world.refs()
    );
    assert_ne!(publish.dotenv("OMK_VERDICT"), "ready", "{publish:#?}");
    publish
}

#[test]
fn a_hostile_archive_of_the_run_does_nothing() {
    let hostile: [(&str, &[(&str, &[u8])]); 4] = [
        ("a link", &[("omk-out/bundle", b"->/etc")]),
        ("a way out", &[("omk-out/../../../evil", b"x")]),
        (
            "a file for a directory",
            &[("omk-out/bundle", b"{}"), ("omk-out/request.json", b"{}")],
        ),
        (
            "nothing of ours",
            &[
                (".git/config", b"[core]\n"),
                ("omk-out/bundle/bundle.json", b"{}"),
            ],
        ),
    ];
    let (world, mut pipeline) = accepted();
    for (what, files) in hostile {
        leaves(&world, &mut pipeline, "run", &archive(files));
        again(&world, &mut pipeline, "judge");
        let judge = world.omk_ci("judge", &pipeline, &[]);
        assert_ne!(judge.code, Some(0), "{what}: {judge:#?}");
        assert!(judge.files.is_empty(), "{what}: {judge:#?}");
        let publish = published(&world, &mut pipeline);
        assert!(!publish.err.contains("panicked"), "{what}: {publish:#?}");
        assert!(!world.at("evil").exists() && !world.at("temp").join("evil").exists());
    }
    leaves(&world, &mut pipeline, "run", b"no archive at all");
    published(&world, &mut pipeline);
    assert!(
        world.replies(REQUEST)[0].contains("failed infra"),
        "{:#?}",
        world.replies(REQUEST)
    );
    let left: Vec<_> = std::fs::read_dir(world.at("temp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_request_among_the_runs_artifacts_is_nobodys_request() {
    let (world, pipeline) = accepted();
    world.omk_ci("run", &pipeline, &[]).exits(0);
    // What a runner would extract, were the run's artifacts wanted here.
    let (mut omk, place) = world.job("publish", &pipeline, &[]);
    let forged = std::fs::read_to_string(place.join("omk-out/request.json")).unwrap();
    let forged = forged
        .replace("mr-12", "mr-99")
        .replace(&format!("\"id\":{}", pipeline.id), "\"id\":4711");
    std::fs::write(place.join("omk-out/request.json"), forged).unwrap();
    let output = omk.output().unwrap();
    let publish = world
        .ended("publish", &pipeline, &place, &output)
        .exits(2)
        .says("another pipeline");
    assert!(
        publish.files.get("omk.env").is_none_or(String::is_empty),
        "{publish:#?}"
    );
    assert!(!world.refs().keys().any(|name| name.contains("omk")));
}

#[test]
fn a_forged_judgement_does_not_make_it_ready() {
    let (world, mut pipeline) = accepted();
    world.omk_ci("run", &pipeline, &[]).exits(0);
    for judgement in [&b"{}"[..], b"null", &[b'['; 4096], b"->/etc/passwd"] {
        leaves(
            &world,
            &mut pipeline,
            "judge",
            &archive(&[("omk-out/judgement.json", judgement)]),
        );
        published(&world, &mut pipeline);
    }
}

#[test]
fn what_a_run_says_of_its_trouble_is_shown_as_text() {
    let (world, mut pipeline) = accepted();
    let trouble = b"no key\x1b[31m\n::error::x @all <!-- omk:sticky:mr-12 --> [x](http://evil)\n";
    leaves(
        &world,
        &mut pipeline,
        "run",
        &archive(&[("omk-out/trouble.txt", trouble)]),
    );
    published(&world, &mut pipeline);
    let reply = &world.replies(REQUEST)[0];
    assert!(
        reply.contains("no key") && !reply.contains('\x1b') && !reply.contains("](http://evil)"),
        "{reply}"
    );
    assert_eq!(reply.matches("<!-- omk:sticky").count(), 1, "{reply}");
}

#[test]
fn no_token_reaches_a_child_and_none_stays_in_a_checkout() {
    let plan = "\
version: 1
name: widget
gates:
  - { id: test, run: 'env > seen.txt; true' }
tasks:
  - { id: look, run: 'env | sort > env.txt; tr \"\\0\" \"\\n\" < /proc/$PPID/environ >> env.txt; true', write_set: [env.txt], gates: [test] }
deliver: { as: branches }
";
    let world = GitLabWorld::with_plan(plan);
    let pipeline = world.hooked(&world.comments("maintainer", "/omk run"));
    world.omk_ci("intake", &pipeline, &[]).exits(0);
    let (mut omk, place) = world.job(
        "run",
        &pipeline,
        &[
            ("CI_REGISTRY_PASSWORD", "hush-hush"),
            ("CI_DEPLOY_USER", "me"),
        ],
    );
    let token = omk
        .get_envs()
        .find(|(name, _)| *name == "CI_JOB_TOKEN")
        .and_then(|(_, value)| value)
        .unwrap();
    let token = token.to_str().unwrap().to_owned();
    let url = format!("http://gitlab-ci-token:{token}@host/acme/widget.git");
    omk.env("CI_REPOSITORY_URL", &url)
        .env("GIT_CONFIG_VALUE_0", &url);
    std::fs::create_dir(place.join(".git")).unwrap();
    std::fs::write(
        place.join(".git/config"),
        format!("[remote \"origin\"]\n\turl = {url}\n"),
    )
    .unwrap();
    let output = omk.output().unwrap();
    let run = world
        .ended("run", &pipeline, &place, &output)
        .exits(0)
        .says("the job's token was taken out of");
    let config = std::fs::read_to_string(place.join(".git/config")).unwrap();
    assert_eq!(
        config,
        "[remote \"origin\"]\n\turl = http://host/acme/widget.git\n"
    );
    assert!(
        run.files
            .values()
            .all(|text| !text.contains(&token) && !text.contains("hush-hush")),
        "{run:#?}"
    );
    for command in ["judge", "publish"] {
        world.omk_ci(command, &pipeline, &[]).exits(0);
    }
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/mr-12",
    ]);
    let seen = world.git(&["show", "FETCH_HEAD:env.txt"]);
    assert!(
        seen.contains("PATH=") && !seen.contains(&token) && !seen.contains("glpat"),
        "{seen}"
    );
    assert!(!seen.contains("CI_") && !seen.contains("hush"), "{seen}");
}

#[test]
fn a_job_without_its_token_says_which_one_and_how_to_get_it() {
    let (world, pipeline) = accepted();
    world
        .omk_ci("run", &pipeline, &[("OMK_TOKEN", "")])
        .exits(0);
    for (command, scope) in [("judge", "read_api"), ("publish", "write_repository")] {
        let job = world
            .omk_ci(command, &pipeline, &[("OMK_TOKEN", "")])
            .exits(3);
        assert!(
            job.err.contains(scope) && job.err.contains(&format!("omk/{command}")),
            "{job:#?}"
        );
    }
    let other = world.hooked(&world.comments("maintainer", "/omk help"));
    world
        .omk_ci("intake", &other, &[("OMK_TOKEN", "")])
        .exits(3)
        .says("omk/intake");
}

#[test]
fn a_token_that_can_write_is_refused_where_agents_and_gates_work() {
    let (world, mut pipeline) = accepted();
    let wide = [("OMK_TOKEN", "glpat-publish")];
    for command in ["run", "judge"] {
        let job = world.omk_ci(command, &pipeline, &wide).exits(2);
        assert!(
            job.err
                .contains(&format!("OMK_TOKEN of the job `omk-{command}` can write")),
            "{job:#?}"
        );
        assert!(
            job.err.contains("`read_api` alone") && job.err.contains("scope `*`"),
            "{job:#?}"
        );
    }
    world.omk_ci("publish", &pipeline, &[]);
    let told = &world.replies(REQUEST)[0];
    assert!(
        told.contains("can write, and what works in that job could take it"),
        "{told}"
    );
    again(&world, &mut pipeline, "run");
    world
        .omk_ci("run", &pipeline, &[wide[0], ("OMK_UNSAFE_ONE_JOB", "true")])
        .exits(0)
        .says("says that it may");
    // An older GitLab does not tell, and one in trouble cannot.
    for status in [404, 502] {
        world
            .fault(&json!({"path": "/personal_access_tokens/self$", "times": 9, "status": status}));
        again(&world, &mut pipeline, "judge");
        world
            .omk_ci("judge", &pipeline, &[])
            .exits(0)
            .says("can write");
    }
}
