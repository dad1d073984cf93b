//! What a run endures: few open files, a directory named from elsewhere. Nothing is lost, or what
//! could not be kept is named.

use crate::world::{Said, World};

const OMK: &str = env!("CARGO_BIN_EXE_omk");

/// Runs omk in a shell that first does something.
fn run_after(world: &World, first: &str, args: &[&str]) -> Said {
    let mut shell = world.command("sh");
    shell
        .args(["-c", &format!("{first} && exec \"$@\""), "sh", OMK])
        .args(args);
    World::start_command(shell).ends()
}

#[test]
fn omk_goes_once_to_the_directory_that_it_is_told_also_if_a_key_makes_it_start_itself_again() {
    let world = World::with("tasks: [{ id: one, run: 'echo 1 > one.txt' }]")
        .env("KIMI_API_KEY", "sk-no-such-key");
    let repo = world.repo();
    let (above, name) = (
        repo.parent().unwrap(),
        repo.file_name().unwrap().to_str().unwrap(),
    );
    let mut omk = world.omk_command(&["-C", name, "run"]);
    omk.current_dir(above);
    World::start_command(omk).ends().exits(0);
    assert_eq!(world.landed_on("omk/run/story"), ["one"]);
}

#[test]
fn a_landing_of_more_files_than_may_be_open_is_written_through_whole() {
    let world = World::with(
        "tasks: [{ id: many, run: 'for n in $(seq 1500); do echo $n > f$n; done; ulimit -n > limit', write_set: ['f*', limit] }]",
    );
    // Soft and hard, so that omk cannot have more.
    run_after(&world, "ulimit -n 256", &["run"]).exits(0);
    assert_eq!(
        world
            .files("omk/run/story")
            .iter()
            .filter(|name| name.starts_with('f'))
            .count(),
        1500
    );
}

#[test]
fn omk_takes_the_open_files_that_it_may_have_and_its_children_get_what_it_was_started_with() {
    let tasks: Vec<String> = (0..40)
        .map(|n| format!("{{ id: t{n}, run: 'ulimit -Sn > t{n}; sleep 1', write_set: [t{n}] }}"))
        .collect();
    let world = World::with(&format!(
        "limits: {{ workers: 40 }}\ntasks: [{}]",
        tasks.join(", ")
    ));
    run_after(&world, "ulimit -Sn 100", &["run"]).exits(0);
    assert_eq!(world.landed_on("omk/run/story").len(), 40);
    assert_eq!(world.shows("omk/run/story", "t0").trim(), "100");
}

#[test]
fn the_status_of_a_run_that_was_killed_says_that_nobody_works_on_it() {
    let world = World::with(
        "tasks: [{ id: one, run: 'echo 1 > one.txt; while test ! -e go; do sleep 0.1; done' }]",
    );
    let omk = world.start(&["run"]);
    let slot = world.until_file("one", "one.txt");
    let working = world.omk(&["status"]).exits(0);
    assert!(
        !working.out.contains("nobody works on it"),
        "{}",
        working.out
    );
    omk.signal(rustix::process::Signal::KILL);
    omk.ends();
    world
        .omk(&["status"])
        .exits(0)
        .says("nobody works on it any more; `omk resume ")
        .says("` goes on from here");
    std::fs::write(slot.join("go"), "").unwrap();
}

#[test]
fn nothing_fails_while_git_tidies_up_beside_the_run() {
    let tasks: Vec<String> = (0..8)
        .map(|n| {
            format!("{{ id: t{n}, run: 'for f in $(seq 60); do echo $f {n} > t{n}-$f; done', write_set: ['t{n}-*'] }}")
        })
        .collect();
    let world = World::with(&format!(
        "limits: {{ workers: 2 }}\ndefaults: {{ retry_policy: {{ max_attempts: 0 }} }}\ntasks: [{}]",
        tasks.join(", ")
    ));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                world.git(&["prune-packed", "-q"]);
                world.git(&["repack", "-q", "-d"]);
            }
        });
        let said = world.run();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        said.exits(0);
    });
    assert_eq!(world.landed_on("omk/run/story").len(), 8);
}
