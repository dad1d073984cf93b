//! Bad plans, odd repositories, a world that breaks under a run: it works, or omk says precisely
//! why not; the journal stays whole, and the user's checkout as it was.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use omk_action::fact::{Class, RunVerdict};

use super::world::{FILTERS, Said, World};

const PLAN: &str = "gates: [{ id: ok, run: 'true' }]\ndefaults: { gates: [ok] }\ntasks:\n  - { id: one, run: 'echo one > one' }\n  - { id: two, run: 'cat one > two', dependencies: [one] }\n";

/// omk with so much memory (address space, in KiB), running the plan.
fn run_within(world: &World, kib: u64) -> Said {
    let omk = env!("CARGO_BIN_EXE_omk");
    let mut command = world.command("sh");
    command.args(["-c", &format!("ulimit -v {kib}; exec '{omk}' run")]);
    World::start_command(command).ends()
}

/// That a run works here as anywhere.
#[track_caller]
fn works(world: &World) {
    let before = world.checkout();
    world.run().exits(0);
    assert_eq!(world.checkout(), before, "the user's checkout was touched");
    assert_eq!(world.shows("omk/run/story", "two"), "one");
    world.omk(&["verify"]).exits(0);
    world.ended(RunVerdict::Ready);
}

/// That omk refuses, and leaves nothing behind.
#[track_caller]
fn refused(world: &World, code: i32) -> String {
    let before = world.checkout();
    let said = world.run().exits(code);
    assert_eq!(world.checkout(), before, "the user's checkout was touched");
    assert_eq!(world.runs(), Vec::<std::path::PathBuf>::new());
    world.plain(&said.err)
}

/// Enough for the program itself and its threads, and far from enough for what the file would
/// become.
const MEMORY_KIB: u64 = 400_000;

#[test]
fn a_plan_of_nuls_is_refused() {
    let world = World::new();
    std::fs::write(world.repo().join("omk.yaml"), vec![0; 4096]).unwrap();
    let said = run_within(&world, MEMORY_KIB).exits(2);
    insta::assert_snapshot!(said.err, @r"
    error: the file holds a NUL byte, so it is not text
      --> omk.yaml:1:1
      1 | ����������������������������������������������������������������������������������������������������…
        | ^ save it as UTF-8 text
    ");
}

#[test]
fn a_plan_of_100_megabytes_is_refused_without_reading_it() {
    let world = World::new();
    let file = std::fs::File::create(world.repo().join("omk.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    let said = run_within(&world, MEMORY_KIB).exits(2);
    insta::assert_snapshot!(said.err, @r"
    error: the plan is larger than 1 MiB
      --> omk.yaml
        = hint: split it into several plans
    ");
}

#[test]
fn an_alias_bomb_is_refused() {
    let world = World::new();
    let mut text = "version: 1\nmetadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let last = format!("*a{}", level - 1);
        let row = [last.as_str(); 9].join(", ");
        text.push_str(&format!("  a{level}: &a{level} [{row}]\n"));
    }
    text.push_str("tasks: *a39\n");
    world.write("omk.yaml", &text);
    let said = run_within(&world, MEMORY_KIB).exits(2);
    assert!(said.err.len() < 10_000, "{} bytes", said.err.len());
    insta::assert_snapshot!(said.err.lines().next().unwrap(), @"error: the aliases up to this one stand for more than 4 MiB");
}

#[test]
fn a_plan_that_is_no_file_is_refused() {
    let world = World::new();
    insta::assert_snapshot!(refused(&world, 2), @r"
    error: there is no plan: omk.yaml does not exist
      hint: write a first one with `omk init`, or name another with `--plan FILE`
    ");
    std::fs::create_dir(world.repo().join("omk.yaml")).unwrap();
    insta::assert_snapshot!(refused(&world, 2), @"error: failed to read the plan omk.yaml: it is not a file");
    std::fs::remove_dir(world.repo().join("omk.yaml")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.repo().join("omk.yaml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    insta::assert_snapshot!(refused(&world, 2), @"error: failed to read the plan omk.yaml: it is not a file");
}

#[test]
fn every_mistake_of_a_plan_is_told_and_nothing_is_touched() {
    let world = World::new();
    world.write("omk.yaml", "version: 1\ntask: []\ntasks:\n  - { id: A, run: x, prompt: y }\n  - { id: b, dependencies: [c], run: x }\n  - { id: b, run: x, timeout: 5 }\n");
    let text = refused(&world, 2);
    assert!(text.matches("error").count() >= 5, "{text}");
    assert!(!world.repo().join(".git/omk").exists());
}

#[test]
fn outside_a_repository_omk_says_so() {
    let world = World::empty();
    world.write("omk.yaml", "version: 1\ntasks: []\n");
    insta::assert_snapshot!(refused(&world, 2), @"
    error: [DIR]/repo is not inside a git repository
      hint: go to one, or make one with `git init` and a first commit
    ");
}

#[test]
fn a_repository_without_commits_is_refused() {
    let world = World::empty();
    world.git(&["init", "--quiet"]);
    world.write("omk.yaml", &format!("version: 1\n{PLAN}"));
    insta::assert_snapshot!(refused(&world, 2), @"
    error: [DIR]/repo has no commit at HEAD
      hint: make one first: `git add -A && git commit`
    ");
}

#[test]
fn a_bare_repository_is_refused() {
    let world = World::empty();
    world.git(&["init", "--quiet", "--bare", "."]);
    let said = world.run().exits(2);
    insta::assert_snapshot!(world.plain(&said.err), @"
    error: [DIR]/repo is a bare repository, without files to work on
      hint: clone it (`git clone [DIR]/repo work`) and run omk there
    ");
}

#[test]
fn a_reftable_repository_is_refused_with_that_reason() {
    let world = World::empty();
    let made = world
        .command("git")
        .args(["init", "--quiet", "--ref-format=reftable"])
        .status()
        .unwrap();
    if !made.success() {
        return;
    }
    world.write("omk.yaml", &format!("version: 1\nname: story\n{PLAN}"));
    world.commit("first");
    let said = world.run().exits(2);
    insta::assert_snapshot!(world.plain(&said.err), @"
    error: [DIR]/repo/.git stores its refs as reftable, which omk cannot open
      hint: `git refs migrate --ref-format=files` converts it (git 2.46 or newer), or clone it with `--ref-format=files`
    ");
}

#[test]
fn a_shallow_clone_works() {
    let origin = World::with(PLAN);
    origin.write("b.txt", "b\n");
    origin.commit("second");
    let world = World::empty();
    std::fs::remove_dir(world.repo()).unwrap();
    let url = format!("file://{}", origin.repo().display());
    let cloned = std::process::Command::new("git")
        .args(["clone", "--quiet", "--depth=1", &url])
        .arg(world.repo())
        .status();
    assert!(cloned.unwrap().success());
    works(&world);
}

#[test]
fn a_dirty_repository_in_the_middle_of_a_merge_works_and_stays_so() {
    let world = World::with(PLAN);
    world.git(&["checkout", "--quiet", "-b", "side"]);
    world.write("a.txt", "side\n");
    world.commit("side");
    world.git(&["checkout", "--quiet", "main"]);
    world.write("a.txt", "main\n");
    world.commit("main");
    let merge = world
        .command("git")
        .args(["merge", "side"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    world.write("src/lib.rs", "dirty\n");
    world.write("untracked", "new\n");
    world.write("staged", "staged\n");
    world.git(&["add", "staged"]);
    works(&world);
    assert!(!world.rev("MERGE_HEAD").is_empty());
    assert_eq!(world.shows("omk/run/story", "a.txt"), "main");
}

#[test]
fn a_repository_with_a_submodule_works() {
    let inner = World::new();
    let world = World::with(PLAN);
    let url = inner.repo().display().to_string();
    world.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
        "vendor/inner",
    ]);
    world.commit("submodule");
    assert!(!world.omk(&["plan"]).exits(0).err.contains("submodule"));
    works(&world);
    let entry = world.git(&["ls-tree", "omk/run/story", "vendor/inner"]);
    assert!(entry.starts_with("160000"), "{entry}");
}

#[test]
fn a_filter_that_is_missing_here_is_named_before_anything_is_started() {
    let world = World::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    world.write("big.bin", pointer);
    world.write(
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    world.write(
        "deep/.gitattributes",
        "*.up filter=upper\n*.none filter=none\n*.no filter=no\n*.no !filter\n",
    );
    world.write("deep/x.up", "X\n");
    world.write("deep/x.no", "X\n");
    world.plan(PLAN);
    insta::assert_snapshot!(refused(&world, 3), @"
    error: the attributes of the base ask for filters that git does not have here: `lfs` (for `big.bin`), `upper` (for `deep/x.up`); files would be committed without them
      hint: install Git LFS, then `git lfs install` and `git lfs fetch`
      hint: define it with `git config filter.upper.clean COMMAND`; with `cat`, files are taken as they are
    ");
    world
        .omk(&["plan"])
        .exits(0)
        .says("`omk run` would stop here")
        .says("`lfs` (for `big.bin`)");
    world.git(&["config", "filter.lfs.clean", "cat"]);
    world.git(&["config", "filter.upper.clean", "tr a-z A-Z"]);
    works(&world);
    assert_eq!(
        format!("{}\n", world.shows("omk/run/story", "big.bin")),
        pointer
    );
}

#[test]
fn a_filter_of_the_users_own_configuration_is_honoured() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        config.path(),
        "[filter \"upper\"]\n\tclean = tr a-z A-Z\n\tsmudge = tr A-Z a-z\n",
    )
    .unwrap();
    let world = World::new().env("GIT_CONFIG_GLOBAL", config.path().to_str().unwrap());
    world.write(".gitattributes", "one filter=upper\n*.up filter=upper\n");
    world.write("x.up", "x\n");
    world.plan(&PLAN.replace("echo one > one", "cat x.up > one"));
    world.run().exits(0);
    assert_eq!(
        (
            world.shows("HEAD", "x.up"),
            world.shows("omk/run/story", "one")
        ),
        ("X".into(), "X".into())
    );
    assert_eq!(
        world.shows("omk/run/story", "two"),
        "x",
        "a task finds what the filter lays out"
    );
}

#[test]
fn a_filter_that_does_not_work_fails_the_task_and_nothing_is_committed_without_it() {
    for required in ["false", "true"] {
        let world = World::new();
        world.write("a.sec", "secret\n");
        world.write(".gitattributes", "*.sec filter=crypt\n");
        let plan = PLAN.replace(
            "defaults: {",
            "defaults: { retry_policy: { max_attempts: 0 },",
        );
        world.plan(&plan.replace("echo one > one", "echo more >> a.sec"));
        // A program that omk finds, and that fails at work.
        world.git(&["config", "filter.crypt.clean", "sh -c nosuch-crypt"]);
        world.git(&["config", "filter.crypt.smudge", "cat"]);
        world.git(&["config", "filter.crypt.required", required]);
        world
            .run()
            .exits(3)
            .says("the filter `crypt` failed")
            .says("nosuch-crypt");
        assert_eq!(world.classes("one"), [Class::Config]);
        assert_eq!(world.rev("omk/run/story"), "");
        world.omk(&["replay"]).exits(0);
        world.no_child_is_left();
    }
}

#[test]
fn names_with_spaces_newlines_and_other_bytes_work() {
    let world = World::new();
    for name in [
        &b"with space"[..],
        b"new\nline",
        b"caf\xe9",
        "snowman \u{2603}".as_bytes(),
        b"-dash",
        b"quote\"'`$x",
    ] {
        let path = world.repo().join(std::ffi::OsStr::from_bytes(name));
        std::fs::write(path, "x\n").unwrap();
    }
    world.plan(PLAN);
    works(&world);
}

#[test]
fn a_repository_whose_own_path_is_odd_works() {
    let world = World::with(PLAN);
    let odd = world.dir().join("odd\n 'name\" $x");
    std::fs::rename(world.repo(), &odd).unwrap();
    let mut command = world.omk_command(&["run"]);
    command.current_dir(&odd);
    World::start_command(command).ends().exits(0);
    let mut command = world.omk_command(&["verify"]);
    command.current_dir(&odd);
    World::start_command(command).ends().exits(0);
}

#[test]
fn a_linked_worktree_and_a_directory_below_work() {
    let world = World::with(PLAN);
    let linked = world.dir().join("linked");
    world.git(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "other",
        &linked.display().to_string(),
    ]);
    std::fs::create_dir(linked.join("below")).unwrap();
    let mut command = world.omk_command(&["run"]);
    command.current_dir(linked.join("below"));
    World::start_command(command).ends().exits(0);
    assert_eq!(world.shows("omk/run/story", "two"), "one");
    works(&world);
}

#[test]
fn a_branch_named_omk_is_refused_before_anything_runs() {
    let world = World::with(PLAN);
    world.git(&["branch", "omk"]);
    insta::assert_snapshot!(refused(&world, 2), @r"
    error: a branch called `omk` is in the way of `omk/run/story`: git cannot have both
      hint: rename it: `git branch -m omk something-else`
    ");
}

#[test]
fn a_branch_above_or_below_one_of_omks_is_refused_before_anything_runs() {
    for (other, ours) in [
        ("omk/run", "omk/run/story"),
        ("omk/task", "omk/task/story/one"),
        ("omk/task/story", "omk/task/story/one"),
        ("omk/run/story/mine", "omk/run/story"),
        ("omk/task/story/two/mine", "omk/task/story/two"),
    ] {
        let world = World::with(PLAN);
        world.git(&["branch", other]);
        let said = refused(&world, 2);
        assert!(
            said.contains(&format!(
                "a branch called `{other}` is in the way of `{ours}`"
            )),
            "{said}"
        );
        assert!(
            said.contains(&format!(
                "rename it: `git branch -m {other} something-else`"
            )),
            "{said}"
        );
        assert!(world.runs().is_empty(), "nothing has begun");
        world.git(&["branch", "-m", other, "something-else"]);
        world.omk(&["run"]).exits(0);
    }
}

#[test]
fn a_result_branch_that_is_checked_out_is_refused_before_anything_runs() {
    let world = World::with(PLAN);
    let elsewhere = world.dir().join("elsewhere");
    world.git(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "omk/run/story",
        &elsewhere.display().to_string(),
    ]);
    insta::assert_snapshot!(refused(&world, 2), @r"
    error: the branch `omk/run/story` is checked out in [DIR]/elsewhere
      hint: omk is about to move it: switch to another branch there, with `git switch -`
    ");
    world.git(&["worktree", "remove", &elsewhere.display().to_string()]);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(refused(&world, 2), @r"
        error: the branch `omk/run/story` is at [COMMIT], a commit that is not omk's
          hint: somebody has worked on it: merge or rename it first, or replace it with `--force`
        ");
    });
    world.omk(&["run", "--force"]).exits(0);
}

#[test]
fn a_result_branch_that_a_person_moved_meanwhile_is_left_to_them() {
    let world = World::with(PLAN);
    world.run().exits(0);
    world.git(&["branch", "--force", "omk/run/story", "main"]);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(world.plain(&world.run().exits(2).err), @r"
        error: the branch `omk/run/story` is at [COMMIT], a commit that is not omk's
          hint: somebody has worked on it: merge or rename it first, or replace it with `--force`
        ");
    });
    assert_eq!(world.rev("omk/run/story"), world.rev("main"));
}

#[test]
fn a_git_that_is_too_old_to_merge_is_refused_before_anything_runs() {
    let world = World::with(PLAN);
    let old = world.dir().join("old");
    std::fs::create_dir(&old).unwrap();
    let path = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&path)
        .map(|dir| dir.join("git"))
        .find(|git| git.is_file())
        .unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo git version 2.34.1 || exec {} \"$@\"\n",
        real.display()
    );
    std::fs::write(old.join("git"), script).unwrap();
    std::fs::set_permissions(old.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let world = world.env("PATH", &format!("{}:{path}", old.display()));
    insta::assert_snapshot!(refused(&world, 3), @r"
    error: failed to merge with git version 2.34.1, which is too old
      hint: install git 2.38 or newer, and put it on PATH first
    ");
    let words = "failed to merge with git version 2.34.1, which is too old";
    let doctor = world.omk(&["doctor", "--json"]).exits(3);
    assert_eq!(doctor.out.matches(words).count(), 1, "{doctor:?}");
    world
        .omk(&["plan"])
        .exits(0)
        .says("`omk run` would stop here")
        .says(words);
    world.omk(&["plan", "--check"]).exits(3).says(words);
}

#[test]
fn a_commit_of_omks_that_a_person_amended_is_left_to_them() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'echo one > one', gates: [ok] }]",
    );
    world.run().exits(0);
    let amend = |branch: &str| {
        world.git(&["checkout", "--quiet", branch]);
        world.write("one", "better\n");
        world.git(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
        world.git(&["checkout", "--quiet", "main"]);
        world.rev(branch)
    };
    let task = amend("omk/task/story/one");
    world
        .run()
        .says("`omk/task/story/one` is at")
        .says("omk/task/story/one was not moved");
    assert_eq!(world.rev("omk/task/story/one"), task);
    let result = amend("omk/run/story");
    world.run().exits(2).says("a commit that is not omk's");
    world.omk(&["clean", "--all"]).exits(0);
    assert_eq!(
        [world.rev("omk/task/story/one"), world.rev("omk/run/story")],
        [task, result]
    );
}

#[test]
fn a_result_branch_that_a_person_moves_during_the_run_is_not_offered_as_the_result() {
    let world = World::new();
    let go = world.dir().join("go");
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\ndefaults: {{ gates: [ok] }}\ntasks:\n  - {{ id: one, run: 'echo one > one' }}\n  - {{ id: two, run: 'touch begun; while [ ! -e {} ]; do sleep 0.02; done; rm begun; cat one > two', dependencies: [one] }}\n",
        go.display()
    ));
    let running = world.start(&["run"]);
    world.until_file("two", "begun");
    world.git(&["branch", "--force", "omk/run/story", "main"]);
    std::fs::write(&go, "").unwrap();
    let said = running.ends().exits(1).says("someone else moved it");
    assert!(!said.out.contains("omk/run/story\n"), "{}", said.out);
    let look = said
        .out
        .lines()
        .find(|line| line.contains("look: "))
        .unwrap();
    let result = look.split_whitespace().next_back().unwrap();
    assert_eq!(world.shows(result, "two"), "one");
    assert_eq!(world.rev("omk/run/story"), world.rev("main"));
    world
        .omk(&["resume"])
        .exits(1)
        .says("someone else moved it");
    world.git(&["branch", "-D", "omk/run/story"]);
    world
        .omk(&["resume"])
        .exits(0)
        .says("git merge omk/run/story");
    assert_eq!(world.rev("omk/run/story"), world.rev(result));
    world.omk(&["verify"]).exits(0);
}

#[test]
fn a_slot_that_is_removed_under_a_running_task_fails_that_attempt_only() {
    let world = World::new();
    let go = world.dir().join("go");
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\ndefaults: {{ gates: [ok], retry_policy: {{ backoff_seconds: 0 }} }}\ntasks:\n  - {{ id: one, run: 'touch begun; while [ ! -e {} ]; do sleep 0.02; done; echo one > one; rm -f begun' }}\n",
        go.display()
    ));
    let running = world.start(&["run"]);
    let slot = world.until_file("one", "begun");
    std::fs::remove_dir_all(&slot).unwrap();
    std::fs::write(&go, "").unwrap();
    running.ends().exits(0);
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"]
    );
    world.ended(RunVerdict::Ready);
    world.run().exits(0);
}

#[test]
fn removed_caches_between_two_runs_are_made_again() {
    let world = World::with(PLAN);
    world.run().exits(0);
    std::fs::remove_dir_all(world.dir().join("cache")).unwrap();
    world.run().exits(0);
    world.git(&["worktree", "prune"]);
    world.run().exits(0);
}

#[test]
fn files_that_may_not_grow_end_the_run_clearly_and_the_journal_stays_whole() {
    // The journal meets the limit as it would meet a full disk; omk must not die of SIGXFSZ.
    let world = World::with(
        "tasks:\n  - { id: one, run: 'true' }\n  - { id: two, run: 'true', dependencies: [one] }\n  - { id: three, run: 'true', dependencies: [two] }\n",
    );
    for blocks in [1, 2, 3, 4, 6, 8] {
        let omk = env!("CARGO_BIN_EXE_omk");
        let mut command = world.command("bash");
        command.args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {blocks}; exec '{omk}' run"),
        ]);
        let said = World::start_command(command).ends();
        assert!(said.code == 5 || said.code == 0, "{blocks}: {said:?}");
        assert!(said.code == 0 || said.err.contains("error"), "{said:?}");
        world.no_child_is_left();
        if !world.facts().is_empty() {
            world.omk(&["replay"]).exits(0);
            let said = world.omk(&["resume"]);
            assert!(said.code == 0 || said.err.contains("is over"), "{said:?}");
        }
    }
}

#[test]
fn a_full_disk_is_said_and_the_run_goes_on_once_there_is_room() {
    let world = World::with(PLAN);
    let small = world.dir().join("cache");
    std::fs::create_dir(&small).unwrap();
    let mounted = world
        .command("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        return;
    }
    std::fs::write(small.join("ballast"), vec![1; 250 << 10]).unwrap();
    let said = world.run();
    let unmounted = world
        .command("umount")
        .arg("--lazy")
        .arg(&small)
        .status()
        .unwrap();
    assert!(unmounted.success());
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.err.contains("No space left on device")
            || said.out.contains("No space left on device"),
        "{said:?}"
    );
    world.no_child_is_left();
    if !world.runs().is_empty() {
        world.omk(&["replay"]).exits(0);
    }
    works(&world);
}

#[test]
fn a_read_only_directory_is_said() {
    let world = World::with(PLAN);
    let cache = world.dir().join("cache");
    std::fs::write(&cache, "a file where a directory should be").unwrap();
    world
        .run()
        .exits(3)
        .says(&cache.display().to_string())
        .says("hint: set XDG_CACHE_HOME");
    std::fs::remove_file(&cache).unwrap();
    world.git(&["status"]);
    // Root writes anywhere; then there is nothing to see here.
    let omk = world.repo().join(".git/omk");
    if omk.exists() {
        std::fs::remove_dir_all(&omk).unwrap();
    }
    std::fs::write(&omk, "in the way").unwrap();
    let before = world.checkout();
    let said = world.run().exits(5);
    insta::assert_snapshot!(world.plain(said.err.lines().last().unwrap_or_default()), @"error: failed to read [DIR]/repo/.git/omk/runs: Not a directory (os error 20)");
    assert_eq!(world.checkout(), before);
    std::fs::remove_file(&omk).unwrap();
    works(&world);
}

#[test]
fn a_repository_that_another_user_may_not_write_is_said() {
    let world = World::with(PLAN);
    let git = world.repo().join(".git");
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o555)).unwrap();
    let said = world.run();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Root may all the same.
    if rustix::process::geteuid().is_root() {
        said.exits(0);
    } else {
        said.exits(5).says("Permission denied");
    }
}

#[test]
fn a_changed_byte_in_the_middle_of_the_journal_is_refused_with_its_line() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let path = world.run_dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen("\"attempt\":1", "\"attempt\":2", 1);
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    for command in ["replay", "resume", "status", "report", "cancel"] {
        let said = world.omk(&[command]).exits(5);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.plain(&said.err), @r"
            error: failed to read the journal [DIR]/repo/.git/omk/runs/[RUN]/journal.jsonl: line 2 is damaged: it does not follow from the line before it (`prev` differs)
              hint: the journal was changed after it was written, so what it says cannot be trusted
            ");
        }
    }
}

#[test]
fn a_torn_tail_of_the_journal_is_dropped_with_a_warning() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let path = world.run_dir().join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let said = world.omk(&["replay"]).exits(0);
    insta::assert_snapshot!(said.err.lines().next().unwrap_or_default(), @"warning: the end of the journal was torn and is dropped: line 7 is damaged: it ends too early");
    world.omk(&["resume"]).exits(0).says("torn");
    world.ended(RunVerdict::Ready);
    assert_eq!(world.landed_on("omk/run/story"), ["one", "two"]);
}

#[test]
fn verify_names_what_was_tampered_with() {
    let world = World::with(&PLAN.replace("run: 'true'", "run: 'echo fine'"));
    world.run().exits(0);
    let run = world.run_dir();
    let tamper = |name: &str, from: &str, to: &str| {
        let path = run.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{name}");
        std::fs::write(&path, changed).unwrap();
        let said = world.omk(&["verify"]).exits(1);
        std::fs::write(&path, text).unwrap();
        let broken: Vec<&str> = said
            .out
            .lines()
            .filter(|line| !line.starts_with("holds") && !line.contains('('))
            .collect();
        world.plain(&broken.join("\n"))
    };
    let log = std::fs::read_dir(run.join("logs/one/1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .next()
        .unwrap();
    insta::with_settings!({filters => [FILTERS, &[(r"\b[0-9a-f]{64}\b", "[SHA256]")]].concat()}, {
        let tree = world.tree("omk/run/story");
        insta::assert_snapshot!(tamper("proofs/run.result.json", &tree, &world.tree("main")), @"
        BROKEN  run.result  commit [COMMIT], gates ok
                - the subjects of the statement are not the commit, tree and bundle it speaks of
        3 proofs checked, 1 does not hold
          all: unsigned
          all: judged_by: same-job, the job that ran the agent
        ");
        insta::assert_snapshot!(tamper("proofs/one.json", "\"passed\"", "\"failed\""), @"
        BROKEN  one         commit [COMMIT], gates ok
                - the required gate `ok` did not pass: failed
                - the proof says `ready`, which its evidence does not carry
        3 proofs checked, 1 does not hold
          all: unsigned
          all: judged_by: same-job, the job that ran the agent
        ");
        insta::assert_snapshot!(tamper(&format!("logs/one/1/{}", log.to_string_lossy()), "fine", "bad!"), @"
        BROKEN  one         commit [COMMIT], gates ok
                - the digest of logs/one/1/gate-ok-1.log is [SHA256], the proof says [SHA256]
        3 proofs checked, 1 does not hold
          all: unsigned
          all: judged_by: same-job, the job that ran the agent
        ");
    });
}

#[test]
fn verify_names_a_changed_plan() {
    let world = World::new();
    // Uncommitted: the run's own copy is all there is to hold the proof against.
    world.write("omk.yaml", &format!("version: 1\nname: story\n{PLAN}"));
    world.run().exits(0);
    world.omk(&["verify"]).exits(0);
    let path = world.run_dir().join("plan.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("'true'", "'exit 0'")).unwrap();
    world.omk(&["verify"]).exits(1).says("plan");
    std::fs::write(&path, text).unwrap();
    world.git(&["branch", "--list"]);
    world.omk(&["verify"]).exits(0);
}

#[test]
fn a_proof_whose_result_does_not_descend_from_its_base_does_not_hold() {
    let world = World::with("tasks: [{ id: one, run: echo 1 > one.txt }]\n");
    world.run();
    // A commit of the very same tree as the base, and without a history.
    let stranger = world.git(&[
        "commit-tree",
        &format!("{}^{{tree}}", world.rev("main")),
        "-m",
        "elsewhere",
    ]);
    let run = world.run_dir();
    let honest = std::fs::read_to_string(run.join("proofs/run.result.json")).unwrap();
    let lie = world.dir().join("lie.json");
    std::fs::write(&lie, honest.replace(&world.rev("main"), &stranger)).unwrap();
    world
        .omk(&["verify", lie.to_str().unwrap()])
        .exits(1)
        .says("is not built on the base");
    std::fs::write(&lie, honest).unwrap();
    assert!(
        !world
            .omk(&["verify", lie.to_str().unwrap()])
            .err
            .contains("is not built on the base")
    );
}

#[test]
fn a_journal_that_a_newer_omk_wrote_is_left_as_it_is() {
    let world = World::with(PLAN);
    world.run().exits(0);
    let path = world.run_dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replace("{\"v\":1,", "{\"v\":2,");
    let line = text.clone() + "{\"v\":2,\"count\":9}\n";
    for changed in [newer, line] {
        std::fs::write(&path, &changed).unwrap();
        for command in ["resume", "status", "verify"] {
            let said = world
                .omk(&[command])
                .exits(5)
                .says("was written by another version of omk: it is of version 2");
            said.says("go on with the omk that wrote it");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
    }
}

#[test]
fn runs_in_each_others_directories_are_refused() {
    let world = World::with(PLAN);
    world.run().exits(0);
    world.run().exits(0);
    let [first, second] = <[_; 2]>::try_from(world.runs()).unwrap();
    let aside = first.with_extension("aside");
    for (from, to) in [(&first, &aside), (&second, &first), (&aside, &second)] {
        std::fs::rename(from, to).unwrap();
    }
    let run = second.file_name().unwrap().to_str().unwrap();
    let said = format!(
        "it is that of run {}",
        first.file_name().unwrap().to_str().unwrap()
    );
    world.omk(&["status", run]).exits(5).says(&said);
    world.omk(&["verify", run]).exits(5).says(&said);
}

#[test]
fn verify_names_a_proof_that_was_removed() {
    let world = World::with(PLAN);
    world.run().exits(0);
    for name in ["run.result.json", "one.json"] {
        let path = world.run_dir().join("proofs").join(name);
        let proof = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let said = world.omk(&["verify"]).exits(1);
        let said = said
            .says("the proof is missing")
            .says("3 proofs checked, 1 does not hold");
        assert!(
            said.out
                .contains(&format!("BROKEN  {}", name.trim_end_matches(".json"))),
            "{}",
            said.out
        );
        std::fs::write(&path, proof).unwrap();
    }
    std::fs::write(world.run_dir().join("proofs/stranger.json"), "{}").unwrap();
    world
        .omk(&["verify"])
        .exits(0)
        .says("the run's journal knows of no such proof");
    std::fs::remove_dir_all(world.run_dir().join("proofs")).unwrap();
    world
        .omk(&["verify"])
        .exits(1)
        .says("3 proofs checked, 3 do not hold");
}

#[test]
fn a_proof_that_does_not_say_ready_holds_and_says_so() {
    let world = World::with("tasks: [{ id: one, run: 'echo one > one.txt' }]\n");
    world.run().exits(0);
    let said = world
        .omk(&["verify"])
        .exits(1)
        .says("holds: neutral")
        .says("all hold, 2 say that they are not ready");
    assert!(!said.out.contains("BROKEN"), "{}", said.out);
    let json = world.omk(&["verify", "--json"]).exits(1).out;
    let all: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(
        all.iter()
            .all(|proof| proof["holds"] == true && proof["ready"] == false),
        "{json}"
    );
    // It says nothing else than what is so.
    let path = world.run_dir().join("proofs/run.result.json");
    let proof = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, proof.replace("\"neutral\"", "\"ready\"")).unwrap();
    world.omk(&["verify"]).exits(1).says("BROKEN");
}
