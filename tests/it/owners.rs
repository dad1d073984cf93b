//! Repositories and caches that a sealed room cannot copy, or that lie elsewhere than usual: git
//! works in a room all the same, and nothing of the user's changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::Path;
use std::process::Command;

use crate::world::{Said, World};

const OMK: &str = env!("CARGO_BIN_EXE_omk");

/// A user and a group that own nothing, on every machine.
const NOBODY: &str = "65534";
const OTHERS: &str = "12345";

/// What git does in a slot: it writes an index, objects, a commit, a branch, a stash, and reads
/// history.
const PLAN: &str = r#"room: { level: sealed }
gates:
  - { id: test, run: "git add --all && git write-tree && test -e one.txt && test -z \"$(git branch --list inside)\"" }
tasks:
  - id: one
    run: |
      set -e
      export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
      ! git config --list | grep hush
      echo 1 > one.txt
      git add one.txt
      git commit --quiet --message inside
      git branch inside
      echo 2 > a.txt
      git stash --quiet
      git checkout --quiet HEAD~1
      git show inside:one.txt main:a.txt
      git log --oneline main | grep first
      git update-ref -m moved refs/heads/main HEAD
      mkdir -p "$CARGO_HOME/registry/new"
      echo x > "$CARGO_HOME/registry/new/file"
      echo 1 > one.txt
    write_set: [one.txt]
    gates: [test]
    retry_policy: { max_attempts: 0 }
"#;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root gives files away");
    }
    root
}

fn sh(script: &str) {
    let said = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(
        said.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
}

/// A world with a cache and a token in the repository's settings.
fn world() -> World {
    let world = World::with(PLAN);
    std::fs::create_dir_all(world.dir().join("home/.cargo/registry/index")).unwrap();
    std::fs::create_dir_all(world.dir().join("cache")).unwrap();
    world.git(&[
        "config",
        "http.https://host.example/.extraheader",
        "AUTHORIZATION: hush",
    ]);
    world
}

/// Everything in the repository that a person could miss, with omk's own left out.
fn listing(world: &World) -> String {
    let all = world.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    all.lines()
        .filter(|line| !line.contains("/omk"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs omk through a command, and looks at what came of it.
fn runs(world: &World, wrapper: &[&str], before: &str) {
    let omk = |does: &str| {
        let mut command = world.command(wrapper[0]);
        command.args(&wrapper[1..]).args([OMK, does]);
        World::start_command(command).ends().exits(0)
    };
    omk("doctor")
        .says("git works there in a repository of their own")
        .says("they get a cache of their own");
    omk("run");
    sh(&format!("chown -R 0:0 '{}'", world.dir().display()));
    assert_eq!(world.shows("omk/run/story", "one.txt"), "1");
    assert_eq!(listing(world), before);
    assert_eq!(world.git(&["stash", "list"]), "");
    assert!(!world.dir().join("home/.cargo/registry/new").exists());
    assert_eq!(left_in_pool(world), [""; 0]);
}

/// What lies in the private directories of slots, but for empty directories of omk's own.
fn left_in_pool(world: &World) -> Vec<String> {
    fn files(directory: &Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let usual = ["home", "tmp", "room", "gate", "var", "upper", "upper.work"];
            let name = entry.file_name().into_string().unwrap();
            if !entry.file_type().unwrap().is_dir()
                || !(usual.contains(&name.as_str()) || name.starts_with("copy-"))
            {
                into.push(entry.path().display().to_string());
            } else {
                files(&entry.path(), into);
            }
        }
    }
    let pools = std::fs::read_dir(world.dir().join("cache/omk/slots"))
        .unwrap()
        .map(|pool| pool.unwrap().path());
    let entries = pools
        .flat_map(|pool| std::fs::read_dir(pool).unwrap())
        .map(|entry| entry.unwrap().path());
    let mut left = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("try-") {
            left.push(path.display().to_string());
        } else if name.ends_with(".private") {
            files(&path, &mut left);
        }
    }
    left
}

/// Runs it as an ordinary user, who owns everything but what `gives_away` gives to others.
fn user_runs(gives_away: &str) {
    if !is_root() {
        return;
    }
    let world = world();
    let before = listing(&world);
    let dir = world.dir().display();
    sh(&format!(
        "chown -R {NOBODY}:{NOBODY} '{dir}'; cd '{dir}'; {gives_away}"
    ));
    runs(
        &world,
        &[
            "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--groups", OTHERS,
        ],
        &before,
    );
}

#[test]
fn a_repository_that_a_group_shares_can_be_worked_in() {
    user_runs(&format!(
        "chown -R {NOBODY}:{OTHERS} home/.cargo; git -c safe.directory='*' -C repo config core.sharedRepository group; chown -R {NOBODY}:{OTHERS} repo/.git; \
         find repo/.git -type d -exec chmod g+s {{}} +"
    ));
}

#[test]
fn files_that_sudo_left_in_a_repository_or_a_cache_do_not_matter() {
    user_runs("chown 0:0 repo/.git/index repo/.git/logs/refs/heads/main home/.cargo/registry");
}

#[test]
fn git_finds_a_submodule_where_the_repository_cannot_be_copied() {
    if !is_root() {
        return;
    }
    let (world, inner) = (World::new(), World::new());
    let url = inner.repo().display().to_string();
    world.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        "--name",
        "near",
        &url,
        "sub",
    ]);
    let look = "git -C sub log --format=%s -1 | grep first && test -z \"$(git status --porcelain)\" && \
                ! git submodule status | grep \"^[-+]\"";
    world.plan(&format!(
        "room: {{ level: sealed }}\ngates: [{{ id: look, run: '{look}' }}]\n\
         tasks: [{{ id: one, run: '{look} && git submodule update --init && echo 1 > one.txt', gates: [look] }}]\n"
    ));
    let dir = world.dir().display();
    sh(&format!(
        "mkdir -p '{dir}/cache'; chown -R {NOBODY}:{NOBODY} '{dir}'; chown 0:0 '{dir}/repo/.git/logs/HEAD'"
    ));
    let mut command = world.command("setpriv");
    command.args([
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        OMK,
        "run",
    ]);
    World::start_command(command).ends().exits(0);
}

#[test]
fn root_works_in_a_repository_and_with_a_cache_of_another_user() {
    if !is_root() {
        return;
    }
    let world = world();
    let before = listing(&world);
    std::fs::write(
        world.dir().join("home/.gitconfig"),
        "[safe]\n\tdirectory = *\n",
    )
    .unwrap();
    sh(&format!(
        "cd '{}'; chown -R {NOBODY}:{NOBODY} repo home/.cargo",
        world.dir().display()
    ));
    runs(&world, &["env"], &before);
}

#[test]
fn on_a_disk_that_is_an_overlay_itself_git_works_in_a_room() {
    if !is_root()
        || !Command::new("unshare")
            .args(["-m", "true"])
            .status()
            .is_ok_and(|made| made.success())
    {
        return;
    }
    let world = world();
    let layers = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (dir, layers) = (world.dir().display(), layers.path().display());
    let mount = format!(
        "mkdir '{layers}/upper' '{layers}/work' && \
         mount -t overlay none -o 'lowerdir={dir},upperdir={layers}/upper,workdir={layers}/work' '{dir}' && cd '{dir}/repo' && \
         \"$@\" && test \"$(git show omk/run/story:one.txt)\" = 1 && test -z \"$(git stash list)\" && \
         ! test -e ../home/.cargo/registry/new"
    );
    let mut command = world.command("unshare");
    command.args(["-m", "sh", "-c", &mount, "sh", OMK, "run"]);
    World::start_command(command).ends().exits(0);
}

/// Runs omk in a directory of the world.
fn run_in(world: &World, directory: &Path) -> Said {
    let mut command = world.omk_command(&["run"]);
    command.current_dir(directory);
    World::start_command(command).ends()
}

#[test]
fn a_repository_apart_from_its_files_runs_a_plan() {
    let world = world();
    world.git(&[
        "init",
        "--quiet",
        "--separate-git-dir",
        world.dir().join("apart").to_str().unwrap(),
    ]);
    assert!(world.repo().join(".git").is_file());
    run_in(&world, &world.repo()).exits(0);
    assert_eq!(world.shows("omk/run/story", "one.txt"), "1");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_linked_worktree_runs_a_plan() {
    let world = world();
    let linked = world.dir().join("linked");
    world.git(&["worktree", "add", "--quiet", linked.to_str().unwrap()]);
    run_in(&world, &linked.join("src")).exits(0);
    assert_eq!(world.shows("omk/run/story", "one.txt"), "1");
    assert_eq!(
        world.git(&["-C", linked.to_str().unwrap(), "status", "--porcelain"]),
        ""
    );
}

#[test]
fn from_a_linked_worktree_the_main_checkout_is_out_of_reach_as_well() {
    let world = world();
    world.write("tool/bin/tool", "#!/bin/sh\n");
    let linked = world.dir().join("linked");
    world.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        linked.to_str().unwrap(),
    ]);
    let mut command = world.omk_command(&["run"]);
    let path = format!(
        "{}:{}",
        world.repo().join("tool/bin").display(),
        std::env::var("PATH").unwrap()
    );
    command.current_dir(&linked).env("PATH", path);
    World::start_command(command)
        .ends()
        .exits(3)
        .says("which is on PATH, lies in the checkout");
}

#[test]
fn nothing_of_an_attempt_is_left_beside_its_slot() {
    let world = world();
    world.omk(&["run"]).exits(0);
    assert_eq!(left_in_pool(&world), [""; 0]);
    // A run that was killed could not do so.
    let pool = std::fs::read_dir(world.dir().join("cache/omk/slots"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::create_dir_all(pool.join("1.private/home/.config")).unwrap();
    std::fs::write(pool.join("1.private/home/.config/left"), "left").unwrap();
    world.omk(&["clean"]).exits(0);
    assert_eq!(left_in_pool(&world), [""; 0]);
}

/// Private directories are used again, and the next child sees nothing of what was done to them.
#[test]
fn the_next_attempt_finds_its_private_directories_as_the_first_did() {
    let world = World::new();
    world.write("look.sh", LOOK);
    world.write("stir.sh", STIR);
    let task = |id: &str, after: &str| {
        format!(
            "- {{id: {id}, dependencies: [{after}], write_set: [{id}.txt], run: 'sh look.sh > {id}.txt; sh stir.sh'}}\n"
        )
    };
    let tasks = [task("one", ""), task("two", "one"), task("three", "two")].concat();
    world.plan(&format!("limits: {{workers: 1}}\ntasks:\n{tasks}"));
    world.omk(&["run"]).exits(0);
    let seen = |file: &str| world.shows("omk/run/story", file);
    assert!(seen("one.txt").lines().count() >= 3, "{}", seen("one.txt"));
    assert_eq!(seen("one.txt"), seen("two.txt"));
    assert_eq!(seen("two.txt"), seen("three.txt"));
}

/// Test suites make commits, also on machines of CI, where nobody has a name.
#[test]
fn a_command_and_a_gate_can_commit_without_a_name_of_their_own_and_a_repositorys_name_wins() {
    let commits = "git init -q $TMPDIR/new && git -C $TMPDIR/new commit -q --allow-empty -m one && git -C $TMPDIR/new log -1 --format=%an,%ae";
    let own = format!(
        "{commits} && git -C $TMPDIR/new config user.name Own && git -C $TMPDIR/new commit -q --allow-empty -m two && git -C $TMPDIR/new log -1 --format=%an"
    );
    let world = World::with(&format!(
        "gates: [{{ id: commits, run: '{commits}' }}]\n\
         tasks: [{{ id: one, run: '({own}) > one.txt', write_set: [one.txt], gates: [commits] }}]\n"
    ));
    world.omk(&["run"]).exits(0);
    assert_eq!(
        world.shows("omk/run/story", "one.txt"),
        "omk task,task@omk.invalid\nOwn"
    );
}

/// All that a child sees of its private directories, but for the time at which a new one was made.
const LOOK: &str = r#"for directory in "$HOME" "$TMPDIR" /var/tmp; do
  stat --format '%n %A %u %g %h %s' "$directory"
  test "$(stat --format %Y "$directory")" = 1580601600 && echo the time that was left
  ls -A "$directory"
  if command -v lsattr > /dev/null; then lsattr -d "$directory" 2> /dev/null | cut -d ' ' -f 1; fi
done
true
"#;

/// It leaves much, grows the directories, and gives them another mode and time.
const STIR: &str = r#"for directory in "$HOME" "$TMPDIR" /var/tmp; do
  for number in $(seq 400); do mkdir "$directory/a-directory-with-a-long-name-$number"; done
  echo left > "$directory/left"
  mkdir -p "$directory/deep/er" "$directory/room/tmp"
  chattr +dS "$directory" 2> /dev/null
  chmod 0711 "$directory"
  TZ=UTC touch -d 2020-02-02 "$directory"
done
true
"#;
