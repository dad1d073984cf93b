//! Tasks that misbehave, each as a command: they end in their class, with a message that a person
//! understands, and the user's checkout never notices.

use omk_action::fact::{Class, RunVerdict};

use super::world::World;

/// Runs one task that may fail once only; its classes are known then, and everything else is as it
/// was.
fn misbehaves(task: &str, exit: i32) -> World {
    let plan = format!(
        "defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         gates: [{{ id: ok, run: 'true' }}]\n\
         tasks:\n  - {{ id: bad, {task} }}\n"
    );
    let world = World::with(&plan);
    let before = world.checkout();
    world.run().exits(exit);
    assert_eq!(world.checkout(), before, "the user's checkout was touched");
    world.omk(&["replay"]).exits(0);
    world.no_child_is_left();
    world
}

/// The one failure's class, and its message.
#[track_caller]
fn failed(world: &World, class: Class) -> String {
    assert_eq!(
        world.classes("bad"),
        [class],
        "{:#?}",
        world.failures("bad")
    );
    assert_eq!(world.state("bad"), "failed");
    assert_eq!(world.rev("omk/run/story"), "");
    let message = world.failures("bad").remove(0).message;
    let first = message.lines().next().unwrap().to_owned();
    world
        .omk(&["status"])
        .exits(0)
        .says(&first[..first.len().min(60)]);
    message
}

#[test]
fn deleting_everything_is_a_change_outside_the_set() {
    let world = misbehaves(
        r#"run: "rm -rf * .??*; echo gone > src", write_set: ["src/**"]"#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @".gitignore is outside its write set; a.txt is outside its write set; omk.yaml is protected: its write set must name that very path; src is outside its write set");
}

#[test]
fn deleting_everything_without_a_write_set_still_keeps_what_is_protected() {
    let world = misbehaves(r#"run: "rm -rf * .??*""#, 1);
    insta::assert_snapshot!(failed(&world, Class::Scope), @"omk.yaml is protected: its write set must name that very path");
}

#[test]
fn writing_outside_the_set_fails_and_names_the_path() {
    let world = misbehaves(
        r#"run: "echo x > src/new.rs; echo y > elsewhere.txt; echo z >> a.txt", write_set: ["src/**"]"#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @"a.txt is outside its write set; elsewhere.txt is outside its write set");
}

#[test]
fn a_workflow_may_not_be_written() {
    let world = misbehaves(
        r#"run: "mkdir -p .github/workflows; echo on > .github/workflows/x.yml", write_set: ["**"]"#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @".github/workflows/x.yml is protected: its write set must name that very path");
}

#[test]
fn a_link_that_leads_out_may_not_be_added() {
    let world = misbehaves(
        r#"run: "ln -s /etc/passwd link; ln -s ../../out other; ln -s a.txt fine""#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @"link is a symbolic link that leads out of the repository; other is a symbolic link that leads out of the repository");
}

#[test]
fn commits_of_a_task_are_refused_or_taken_as_its_change() {
    let world = misbehaves(
        r#"run: "echo one > one; git add one; git -c user.name=x -c user.email=x@y commit -qm mine; echo two > two""#,
        0,
    );
    assert_eq!(
        world.files("omk/run/story"),
        [
            ".gitignore",
            "a.txt",
            "omk.yaml",
            "one",
            "src/lib.rs",
            "two"
        ]
    );
    assert_eq!(world.landed_on("omk/run/story"), ["bad"]);
    assert_eq!(
        world.git(&["log", "--format=%an", "-1", "omk/run/story"]),
        "omk[bot]"
    );
}

#[test]
fn a_broken_dot_git_is_the_tasks_own_trouble() {
    for run in [
        "rm -rf .git; echo one > one",
        "rm .git; mkdir .git; echo nonsense > .git/HEAD; echo one > one",
        "echo gitdir: /nowhere > .git; echo one > one",
        "rm .git; git init -q; git -c user.name=x -c user.email=x@y commit -qm own --allow-empty; echo one > one",
    ] {
        let world = misbehaves(&format!("run: \"{run}\""), 0);
        assert_eq!(
            world.files("omk/run/story"),
            [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"],
            "{run}"
        );
        world.git(&["fsck", "--no-progress"]);
    }
}

#[test]
fn the_repositorys_own_git_directory_survives_a_task_that_finds_it() {
    // Through `.git` in the slot a task finds the common directory. What it may not do there it
    // cannot, or nobody believes.
    let world = misbehaves(
        r#"run: "d=$(git rev-parse --git-dir); echo '[core] hooksPath = /tmp/evil' > $d/config.worktree; echo garbage > $d/index; echo x > $d/locked; mkdir -p $d/hooks; printf '#!/bin/sh\ntouch hooked' > $d/hooks/post-checkout; echo one > one""#,
        0,
    );
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"]
    );
    // The slot is good for the next run.
    world.run().exits(0);
}

#[test]
fn daemons_end_with_the_attempt() {
    let world = misbehaves(
        r#"run: "setsid sleep 900 & (trap '' TERM HUP INT; setsid sh -c 'while :; do sleep 1; done' &) ; nohup sleep 901 >/dev/null 2>&1 & echo one > one""#,
        0,
    );
    assert_eq!(world.files("omk/run/story").len(), 5);
}

#[test]
fn a_flood_of_output_is_bounded_on_disk_and_in_the_report() {
    let world = misbehaves(
        r#"run: "yes 0123456789012345678901234567890123456789 | head -c 1000000000; echo the end; exit 1""#,
        1,
    );
    let message = failed(&world, Class::Command);
    assert!(
        message.contains("the end") && message.len() < 10_000,
        "{} bytes",
        message.len()
    );
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    assert!(size(&world.run_dir().join("logs/bad/1/command.log")) <= 17 << 20);
    assert!(size(&world.run_dir().join("journal.jsonl")) < 100_000);
    for report in ["report.md", "report.json", "report.html", "junit.xml"] {
        let size = size(&world.run_dir().join(report));
        assert!(size > 0 && size < 200_000, "{report} has {size} bytes");
    }
}

#[test]
fn a_secret_is_in_no_child_and_in_nothing_that_is_written() {
    let secret = "s3cr3t-value-of-this-story";
    let plan = r#"
gates: [{ id: look, run: "env; echo $FOO_TOKEN; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a FOO_TO; true" }]
defaults: { gates: [look] }
tasks:
  - { id: one, run: "env > seen; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a FOO_TO >> seen; true" }
  - { id: tells, run: "cat LEAK; exit 1", retry_policy: { max_attempts: 0 } }
"#;
    let world = World::new()
        .env("FOO_TOKEN", secret)
        .env("GITHUB_TOKEN", "ghp_0123456789012345678901234567890123456")
        .env("CI", "true");
    // A secret that leaked another way: the task reads it from a file and prints it.
    let leak = world.dir().join("leak");
    std::fs::write(&leak, format!("the secret is {secret}!\n")).unwrap();
    world.plan(&plan.replace("LEAK", &leak.display().to_string()));
    let said = world.run().exits(1);
    assert!(
        !said.out.contains(secret) && !said.err.contains(secret),
        "{said:?}"
    );
    let seen = world.shows("omk/run/story", "seen");
    assert!(
        !seen.contains(secret) && !seen.contains("FOO_TOKEN") && !seen.contains("ghp_"),
        "{seen}"
    );
    let run = world.run_dir();
    for path in files_below(&run) {
        // Logs hold what was printed, as it was; nothing that is reported does.
        if !path.starts_with(run.join("logs")) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(
                !text.contains(secret),
                "{} holds the secret",
                path.display()
            );
        } else if path.ends_with("look.log") {
            assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(secret));
        }
    }
    for command in [
        &["status"][..],
        &["report", "--format", "markdown"],
        &["replay"],
        &["status", "--json"],
    ] {
        let said = world.omk(command).exits(0);
        assert!(!said.out.contains(secret), "{command:?}");
    }
}

fn files_below(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path))
        } else {
            found.push(path)
        }
    }
    found
}

#[test]
fn silence_is_hung() {
    let world = misbehaves(r#"run: "echo hello; sleep 600", idle_timeout: 300ms"#, 1);
    insta::assert_snapshot!(failed(&world, Class::Hung), @"it was silent for 300 ms");
}

#[test]
fn too_long_is_a_timeout() {
    let world = misbehaves(
        r#"run: "while :; do echo still here; sleep 0.05; done", timeout: 300ms"#,
        1,
    );
    assert!(failed(&world, Class::Timeout).starts_with("it took longer than 300 ms"));
}

#[test]
fn doing_nothing_where_a_change_is_required_is_no_change() {
    let world = misbehaves(r#"run: "echo thinking", change: required"#, 1);
    insta::assert_snapshot!(failed(&world, Class::NoChange), @"a change was required, and none was made");
}

#[test]
fn doing_nothing_is_fine_otherwise_and_proves_nothing() {
    let world = misbehaves(r#"run: "echo thinking""#, 0);
    world.ended(RunVerdict::Neutral);
    world.omk(&["verify"]).exits(1).says("nothing to check");
}

#[test]
fn a_task_that_is_killed_says_so() {
    let world = misbehaves(r#"run: "kill -9 $$""#, 5);
    insta::assert_snapshot!(failed(&world, Class::Host), @"its command was killed");
    let world = misbehaves(r#"run: "kill -SEGV $$""#, 1);
    insta::assert_snapshot!(failed(&world, Class::Command), @"command `kill -SEGV $$` was ended by signal 11");
}

#[test]
fn a_command_that_does_not_exist_is_said_in_the_shells_words() {
    let world = misbehaves(r#"run: "no-such-program --now""#, 1);
    insta::assert_snapshot!(failed(&world, Class::Command), @"command `no-such-program --now` exited with 127");
    world.omk(&["report"]).exits(0).says("no-such-program: ");
}

#[test]
fn a_gate_that_litters_and_edits_is_no_part_of_the_result() {
    let world = World::with(
        r#"
gates:
  - { id: litter, run: "echo litter > litter; echo more >> a.txt; rm src/lib.rs" }
  - { id: clean, run: "test ! -e litter && test -e src/lib.rs" }
defaults: { gates: [litter, clean] }
tasks: [{ id: one, run: "echo one > one" }]
"#,
    );
    world.run().exits(0);
    assert_eq!(
        world.files("omk/run/story"),
        [".gitignore", "a.txt", "omk.yaml", "one", "src/lib.rs"]
    );
    assert_eq!(world.shows("omk/run/story", "a.txt"), "a");
}

#[test]
fn a_nested_repository_is_taken_as_its_files() {
    let world = misbehaves(
        r#"run: "mkdir inner; cd inner; git init -q; echo x > x; git add x; git -c user.name=x -c user.email=x@y commit -qm inner""#,
        0,
    );
    let files = world.git(&["ls-tree", "-r", "omk/run/story"]);
    assert!(
        files.contains("\tinner/x") && !files.contains("160000") && !files.contains(".git/"),
        "{files}"
    );
}

#[test]
fn odd_names_and_kinds_of_files_do_not_stop_a_run() {
    let world = misbehaves(
        r#"run: "mkfifo pipe; touch \"$(printf 'new\\nline')\" \"$(printf 'caf\\351')\" ' lead' 'tab\there' ./-dash; ln -s a.txt ok; chmod 000 a.txt; chmod +x src/lib.rs; mkdir empty""#,
        0,
    );
    let files = world.git(&["ls-tree", "-r", "-z", "--name-only", "omk/run/story"]);
    assert!(
        files.contains("new\nline") && files.contains("-dash") && !files.contains("pipe"),
        "{files:?}"
    );
    world.omk(&["verify"]).exits(0);
    world.omk(&["report", "--format", "html"]).exits(0);
    world.run().exits(0);
}

#[test]
fn directories_nested_without_end_are_the_tasks_own_doing() {
    let world = misbehaves(
        r#"run: "i=0; while [ $i -lt 3000 ]; do mkdir d; cd d; i=$((i+1)); done; echo x > x""#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @"`d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d…` is nested too deep: 128 directories are the most");
    // The slot is good for the next run.
    world.plan(
        "tasks: [{ id: good, run: 'echo x > x' }]\ngates: [{ id: ok, run: 'true' }]\ndefaults: { gates: [ok] }\n",
    );
    world.run().exits(0);
}

#[test]
fn paths_that_no_system_call_takes_are_the_tasks_own_doing() {
    let world = misbehaves(
        r#"run: "n=$(printf '%0250d' 0); i=0; while [ $i -lt 20 ]; do mkdir $n; cd $n; i=$((i+1)); done; echo x > x""#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @"`00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000…` has too long a path: 2048 bytes are the most");
}

#[test]
fn names_that_another_system_takes_for_gits_own_are_refused_by_the_run() {
    let world = misbehaves(
        r#"run: "d=$(printf '.g\\342\\200\\214it'); mkdir -p $d m; echo x > $d/config; ln -s ../a.txt m/.gitmodules""#,
        1,
    );
    insta::assert_snapshot!(failed(&world, Class::Scope), @"`.g[U+200C]it/config` has a name that git keeps for itself, on this system or another");
}

#[test]
fn what_is_over_the_change_limit_fails_and_names_file_and_size() {
    let world = World::with(
        "change_limit: 1MB\ndefaults: { gates: [ok], retry_policy: { max_attempts: 0 } }\n\
         gates: [{ id: ok, run: 'true' }]\n\
         tasks:\n  - { id: bad, run: 'head -c 1500000 /dev/zero > big.bin; echo x > x' }\n  \
         - { id: good, run: 'head -c 900000 /dev/zero > small.bin' }\n",
    );
    world.run().exits(1);
    insta::assert_snapshot!(failed_alone(&world), @"`big.bin` has 1.5 MB, and one task may add 1MB (`change_limit`)");
    assert_eq!(world.landed_on("omk/run/story"), ["good"]);
    world
        .omk(&["plan"])
        .exits(0)
        .says("one task may add up to 1MB");
}

/// The message of the one failure among other tasks.
#[track_caller]
fn failed_alone(world: &World) -> String {
    assert_eq!(
        world.classes("bad"),
        [Class::Scope],
        "{:#?}",
        world.failures("bad")
    );
    world.failures("bad").remove(0).message
}

#[test]
fn the_plan_warns_of_write_sets_that_can_never_be_used() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }]\nprotect: [\"migrations/**\"]\n\
         tasks: [{ id: ci, run: 'true', write_set: [\".github/**\", \"src/**\", \"migrations/*.sql\"] }]\n",
    );
    let said = world.omk(&["plan"]).exits(0).out;
    let (_, warned) = said.split_once("\nwrite sets").unwrap();
    let (warned, _) = warned.split_once("\n\n").unwrap();
    insta::assert_snapshot!(warned, @"
    that can never be used:
     ci: .github/** means protected paths only: name each file
     ci: migrations/*.sql means only paths that the plan protects: write the same text as in `protect`, or name each file
    ");
}

#[test]
fn links_that_lead_out_through_links_of_the_base_are_refused_whatever_the_write_set_names() {
    let plan = "defaults: { gates: [ok], retry_policy: { max_attempts: 0 } }\ngates: [{ id: ok, run: 'true' }]\n\
                tasks: [{ id: bad, run: 'ln -s up/secret named; ln -s deep/x/../../../.. other', write_set: [\"**\", named] }]\n";
    let world = World::with(plan);
    std::fs::create_dir_all(world.repo().join("deep/x")).unwrap();
    world.write("deep/x/y", "y\n");
    std::os::unix::fs::symlink("../outside", world.repo().join("up")).unwrap();
    world.commit("links");
    world.run().exits(1);
    insta::assert_snapshot!(failed_alone(&world), @"named is a symbolic link that leads out of the repository; other is a symbolic link that leads out of the repository");
}
