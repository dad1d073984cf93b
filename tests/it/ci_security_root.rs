//! Ways to root on a hosted runner: sudo and Docker are gone before anything of the repository
//! runs, in every job that runs something of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::os::unix::fs::PermissionsExt as _;

use crate::ci_flow_split::Split;
use crate::ci_security::{one_job, pushes_later};
use crate::forge_job::Job;
use crate::forge_world::{ForgeWorld, PLAN};

/// What omk asks sudo, where the socket goes too.
const BOTH: &str =
    "-n sh -c chmod 0600 /var/run/docker.sock 2>/dev/null; rm -f /etc/sudoers.d/runner";

/// And where Docker stays.
const SUDO_ALONE: &str = "-n sh -c rm -f /etc/sudoers.d/runner";

/// Works without a password until it is asked to remove its file; writes down what it is asked. It
/// does none of it.
const SUDO: &str = r#"#!/bin/sh
echo "$*" >> ROOT/asked
case "$*" in *rm*sudoers*) touch ROOT/gone ;; esac
[ ! -e ROOT/gone ]
"#;

/// A hosted runner's machine, as far as omk looks at it.
struct Hosted<'w> {
    world: &'w ForgeWorld,
    path: String,
}

impl<'w> Hosted<'w> {
    fn of(world: &'w ForgeWorld) -> Self {
        let tools = world.at("tools");
        std::fs::create_dir_all(&tools).unwrap();
        let root = world.at("").display().to_string();
        std::fs::write(
            tools.join("sudo"),
            SUDO.replace("ROOT", root.trim_end_matches('/')),
        )
        .unwrap();
        std::fs::set_permissions(tools.join("sudo"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        Self {
            world,
            path: format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()),
        }
    }

    /// The fake keeps its state where a sealed room does not show it.
    fn env(&self) -> [(&'static str, &str); 4] {
        let machine = [
            ("RUNNER_ENVIRONMENT", "github-hosted"),
            ("ImageVersion", "20261101.1.0"),
        ];
        [
            ("PATH", &self.path),
            ("OMK_ROOM_AT_MOST", "landlock"),
            machine[0],
            machine[1],
        ]
    }

    /// What sudo was asked to do since the last time, without whether it works; a new machine.
    fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.world.at("asked")).unwrap_or_default();
        for file in ["asked", "gone"] {
            let _ = std::fs::remove_file(self.world.at(file));
        }
        asked
            .lines()
            .filter(|line| !["-n true", "-n -k"].contains(line))
            .map(str::to_owned)
            .collect()
    }
}

/// A plan whose task and gate fail where sudo still works.
fn plan(rest: &str) -> String {
    let plan = PLAN
        .replace("sh check.sh", "'! sudo -n true'")
        .replace("run: echo", "run: '! sudo -n true && echo");
    format!("{}{rest}", plan.replace("> fix.txt,", "> fix.txt',"))
}

#[test]
fn a_plan_of_commands_has_no_sudo_and_no_docker_in_one_job() {
    let world = ForgeWorld::with_plan(&plan(""));
    let hosted = Hosted::of(&world);
    let (_, job) = one_job(
        &world,
        &world.comments("maintainer", "/omk run"),
        &hosted.env(),
    );
    assert_eq!(job.exits(0).output("verdict"), "ready");
    assert_eq!(hosted.asked(), [BOTH]);
}

#[test]
fn run_and_judge_take_sudo_and_docker_away_and_the_jobs_without_children_do_not() {
    let world = ForgeWorld::with_plan(&plan(""));
    let hosted = Hosted::of(&world);
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.env = hosted.env().to_vec();
    let of = |job: Job| (job.exits(0), hosted.asked()).1;
    assert_eq!(of(split.intake()), Vec::<String>::new());
    assert_eq!(of(split.run()), [BOTH]);
    assert_eq!(of(split.judge()), [BOTH]);
    assert_eq!(of(split.publish()), Vec::<String>::new());
}

#[test]
fn docker_stays_where_the_default_branch_says_so_and_sudo_does_not() {
    let world = ForgeWorld::with_plan(&plan("room: { docker: true }\n"));
    let hosted = Hosted::of(&world);
    let (_, job) = one_job(
        &world,
        &world.comments("maintainer", "/omk run"),
        &hosted.env(),
    );
    let job = job
        .exits(0)
        .says("children of this job can become root and take the token that can write");
    assert_eq!(
        (job.output("verdict"), hosted.asked()),
        ("ready", vec![SUDO_ALONE.to_owned()])
    );
}

#[test]
fn a_pull_request_whose_plan_was_approved_does_not_get_docker_by_it() {
    let world = ForgeWorld::with_plan(&plan(""));
    let hosted = Hosted::of(&world);
    let theirs = plan("room: { docker: true }\n");
    pushes_later(&world, 1800, &[("omk.yaml", &theirs)]);
    let digest = omk_action::id::Sha256::of(theirs.as_bytes());
    world.comments("contributor", &format!("/omk approve {digest}"));
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    split.env = hosted.env().to_vec();
    split.intake().exits(0);
    assert!(
        split.request.contains(digest.as_str()),
        "the plan that was approved is used: {}",
        split.request
    );
    split.run().exits(0);
    assert_eq!(hosted.asked(), [BOTH]);
}
