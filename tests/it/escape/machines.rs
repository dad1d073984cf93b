//! Machines that do not have all that a sealed room needs: what becomes of a run there, and what
//! its users learn.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

use omk_action::exec::{Child, Ended, ExecError, Program, Sandbox, Shepherd, Surroundings};
use omk_action::plan::RoomLevel;

use crate::e2e_world;
use crate::model::{Model, Turn};
use crate::world::{Said, World};

const OMK: &str = env!("CARGO_BIN_EXE_omk");

fn no_namespaces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/no_namespaces.py")
}

/// A child of a shepherd that is started through `wrapper`.
async fn child_of(wrapper: &str, least: RoomLevel, script: &str) -> Result<Ended, ExecError> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let shepherd = dir.path().join("shepherd");
    std::fs::write(&shepherd, format!("#!/bin/sh\n{wrapper} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&shepherd, std::fs::Permissions::from_mode(0o755)).unwrap();
    let slot = dir.path().join("slot");
    std::fs::create_dir(&slot).unwrap();
    let child = Child {
        program: Program::Shell(script.to_owned()),
        cwd: slot.clone(),
        env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
        room: Some(Sandbox {
            writable: vec![slot],
            least,
            ..Sandbox::default()
        }),
        timeout: std::time::Duration::from_secs(60),
        idle_timeout: None,
        log: dir.path().join("log"),
        log_cap: 1 << 20,
    };
    Shepherd::new(shepherd)
        .run(&child, &Surroundings::default())
        .await
}

fn without_namespaces() -> String {
    format!("exec python3 {} {OMK}", no_namespaces().display())
}

#[tokio::test]
async fn without_namespaces_the_room_is_of_level_landlock_and_says_which_step_failed() {
    let ended = child_of(&without_namespaces(), RoomLevel::None, "echo works > file")
        .await
        .unwrap();
    assert_eq!(ended.containment.level, RoomLevel::Landlock);
    assert_eq!(
        ended.why_not_sealed.as_deref(),
        Some("make namespaces: Operation not permitted (os error 1)")
    );
}

#[tokio::test]
async fn without_namespaces_a_room_that_must_be_sealed_is_refused() {
    let refused = child_of(
        &without_namespaces(),
        RoomLevel::Sealed,
        "echo works > file",
    )
    .await
    .unwrap_err();
    assert!(refused.is_setup());
    assert_eq!(
        refused.to_string(),
        "make a room of level `sealed`: make namespaces: Operation not permitted (os error 1)"
    );
}

/// Runs omk in a world through a wrapper.
fn run_through(world: &World, wrapper: &[&str]) -> Said {
    let mut wrapped = world.command(wrapper[0]);
    wrapped.args(&wrapper[1..]).args([OMK, "run"]);
    World::start_command(wrapped).ends()
}

const PLAN: &str = "gates: [{ id: test, run: test -e one.txt }]\n\
    tasks: [{ id: one, run: 'echo 1 > one.txt', write_set: [one.txt], gates: [test], \
    retry_policy: { max_attempts: 3 } }]\n";

#[test]
fn a_plan_that_demands_a_sealed_room_ends_as_config_where_there_is_none() {
    let world = World::with(&format!("room: {{ level: sealed }}\n{PLAN}"));
    run_through(&world, &["python3", no_namespaces().to_str().unwrap()])
        .exits(3)
        .says("sealed")
        .says("make namespaces");
    // Before any child was started.
    assert_eq!(world.classes("one"), []);
}

#[test]
fn a_plan_that_takes_what_there_is_runs_without_namespaces() {
    let world = World::with(PLAN);
    run_through(&world, &["python3", no_namespaces().to_str().unwrap()]).exits(0);
    let journal = std::fs::read_to_string(world.run_dir().join("journal.jsonl")).unwrap();
    assert!(
        journal.contains("\"level\":\"landlock\"") && !journal.contains("\"level\":\"sealed\""),
        "{journal}"
    );
}

#[test]
fn a_container_that_forbids_threads_is_named_and_nothing_panics() {
    let world = World::with(PLAN);
    let said = run_through(
        &world,
        &["python3", no_namespaces().to_str().unwrap(), "--old"],
    )
    .exits(5);
    insta::assert_snapshot!(said.err, @"
    error: failed to start a thread: Operation not permitted (os error 1)
      hint: this container refuses the system call `clone3` to every program, as Docker does before version 20.10.10
      hint: update Docker and libseccomp, or start the container with `--security-opt seccomp=unconfined`
    ");
}

/// Runs omk in a world with something of its own mounted at those places, which `lay_out` fills.
fn run_among(world: &World, places: &str, lay_out: &str) -> Said {
    let script = format!(
        "for place in {places}; do mount -t tmpfs none $place || exit 9; done; {lay_out}; exec \"$@\""
    );
    run_through(world, &["unshare", "-m", "sh", "-c", &script, "sh"])
}

#[test]
fn what_others_cannot_read_in_the_system_is_out_of_sight_of_roots_children_too() {
    if !own_mounts() {
        return;
    }
    let tasks = "tasks: [{ id: one, run: 'for f in /usr/local/etc/key /usr/local/etc/private/key /opt/runners/1/.credentials \
                 /opt/runners/1/.netrc /opt/runners/1/.docker/config.json; \
                 do if grep -q hush $f; then exit 7; fi; done; \
                 grep -q plain /usr/local/etc/settings && grep -q plain /opt/runners/1/main.js && echo 1 > one.txt', \
                 write_set: [one.txt], retry_policy: { max_attempts: 0 } }]\n";
    let world = World::with(&format!("room: {{ level: sealed }}\n{tasks}"));
    let lay_out = "cd /usr/local/etc && mkdir private && echo hush | tee key > private/key && echo plain > settings && \
                   chmod 640 key && chmod 711 . && chmod 700 private && mkdir -p /opt/runners/1 && cd /opt/runners/1 && \
                   mkdir .docker && echo hush | tee .credentials .netrc > .docker/config.json && chmod 700 .docker && \
                   echo plain > main.js && chmod 600 .credentials .netrc .docker/config.json main.js && cd";
    run_among(
        &world,
        "/usr/local/etc /opt",
        &format!("here=$PWD; {lay_out} $here"),
    )
    .exits(0);
    assert_eq!(world.shows("omk/run/story", "one.txt"), "1");
}

#[test]
fn a_name_that_is_private_in_one_place_is_out_of_sight_in_every_place() {
    use std::os::unix::fs::PermissionsExt as _;
    if !own_mounts() {
        return;
    }
    let world = World::new();
    let at = |path: &str| world.dir().join(path).display().to_string();
    let (cargo, kit) = (at("cargo"), at("kit"));
    let secrets = [
        world.repo().join(".git/.netrc").display().to_string(),
        format!("{cargo}/.netrc"),
        format!("{cargo}/credentials.toml"),
        format!("{kit}/id_ed25519"),
        format!("{kit}/.pgpass"),
    ];
    std::fs::create_dir_all(format!("{kit}/bin")).unwrap();
    std::fs::create_dir_all(&cargo).unwrap();
    std::fs::write(format!("{kit}/word"), "plain").unwrap();
    for secret in &secrets {
        std::fs::write(secret, "hush").unwrap();
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    world.plan(&format!(
        "room: {{ level: sealed }}\ntasks: [{{ id: one, run: 'for f in {}; do if grep -q hush $f; then echo $f; exit 7; fi; done; \
         grep -q plain {kit}/word && echo 1 > one.txt', write_set: [one.txt], retry_policy: {{ max_attempts: 0 }} }}]\n",
        secrets.join(" ")
    ));
    let path = format!("{kit}/bin:{}", std::env::var("PATH").unwrap());
    // The plan names paths outside, and is about the room.
    let world = world
        .env("CARGO_HOME", &cargo)
        .env("PATH", &path)
        .env("OMK_ROOM_AT_MOST", "sealed");
    world.run().exits(0);
    assert_eq!(world.shows("omk/run/story", "one.txt"), "1");
}

#[test]
fn a_link_of_the_system_to_a_tool_elsewhere_does_not_dangle() {
    if !own_mounts() {
        return;
    }
    let tasks = "tasks: [{ id: one, run: 'omk-story-tool > one.txt && ! ls /srv/other', write_set: [one.txt] }]\n";
    let world = World::with(&format!("room: {{ level: sealed }}\n{tasks}"));
    let lay_out = "mkdir -p /srv/kit/bin /srv/other && printf '#!/bin/sh\ncat /srv/kit/word\n' > /srv/kit/bin/tool && \
                   echo works > /srv/kit/word && chmod +x /srv/kit/bin/tool && \
                   ln -s /srv/kit/bin/tool /usr/local/sbin/omk-story-tool";
    let path = format!("PATH=/usr/local/sbin:$PATH; export PATH; {lay_out}");
    run_among(&world, "/usr/local/sbin /srv", &path).exits(0);
    assert_eq!(world.shows("omk/run/story", "one.txt"), "works");
}

#[tokio::test]
async fn an_agent_that_needs_a_sealed_room_costs_nothing_where_there_is_none() {
    let model = Model::start(vec![("do one", vec![Turn::Say("never asked")])]).await;
    let rest =
        "room: { level: sealed }\ntasks: [{ id: one, prompt: do one, write_set: [one.txt] }]\n";
    let world = e2e_world::World::new(&model, rest).await;
    let omk = world.omk(&["run"]);
    let mut wrapped = tokio::process::Command::new("python3");
    wrapped
        .arg(no_namespaces())
        .arg(omk.as_std().get_program())
        .args(omk.as_std().get_args());
    wrapped
        .env_clear()
        .current_dir(world.at("repo"))
        .kill_on_drop(true);
    for (name, value) in omk.as_std().get_envs() {
        wrapped.env(name, value.unwrap());
    }
    let ended = world.end_of(wrapped).await;
    assert_eq!((ended.code, model.asked().len()), (Some(3), 0), "{ended:?}");
}

/// Whether mounts of one's own can be made here, as root can.
fn own_mounts() -> bool {
    let made = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|made| made.status.success());
    if !made {
        eprintln!("skipped: only root makes mounts of its own");
    }
    made
}

#[tokio::test]
async fn under_a_masked_proc_there_is_still_a_room() {
    if !own_mounts() {
        return;
    }
    // As in containers: something lies over a part of it, so that no new one may be mounted.
    let masked =
        format!("exec unshare -m sh -c 'mount -t tmpfs none /proc/sys; exec {OMK} \"$@\"' sh");
    let ended = child_of(&masked, RoomLevel::Landlock, "echo works > file")
        .await
        .unwrap();
    if ended.containment.level == RoomLevel::Landlock {
        assert_eq!(
            ended.why_not_sealed.as_deref(),
            Some("mount /proc: Operation not permitted (os error 1)")
        );
    }
}

#[test]
fn a_read_only_or_full_tmp_keeps_nothing_from_working() {
    if Path::new(OMK).starts_with("/tmp") {
        eprintln!("skipped: this build lies below /tmp, which is covered here");
        return;
    }
    if !own_mounts() {
        return;
    }
    for options in ["ro", "size=4k"] {
        let world = World::below(Path::new(env!("CARGO_TARGET_TMPDIR")));
        world.plan(PLAN);
        let fill = "mount -t tmpfs -o $0 none /tmp; head -c 8192 /dev/zero > /tmp/full 2>/dev/null; exec \"$@\"";
        run_through(&world, &["unshare", "-m", "sh", "-c", fill, options]).exits(0);
    }
}
