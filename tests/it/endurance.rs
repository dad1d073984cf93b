//! What a run endures: few open files, a directory named from elsewhere. Nothing is lost, or what could not be kept is named.

use crate::world::{Said, World};

const OMK: &str = env!("CARGO_BIN_EXE_omk");

/// Runs omk in a shell that first does something.
fn run_after(world: &World, first: &str, args: &[&str]) -> Said {
    let mut shell = world.command("sh");
    shell.args(["-c", &format!("{first} && exec \"$@\""), "sh", OMK]).args(args);
    World::start_command(shell).ends()
}

#[test]
fn omk_goes_once_to_the_directory_that_it_is_told_also_if_a_key_makes_it_start_itself_again() {
    let world = World::with("tasks: [{ id: one, run: 'echo 1 > one.txt' }]").env("KIMI_API_KEY", "sk-no-such-key");
    let repo = world.repo();
    let (above, name) = (repo.parent().unwrap(), repo.file_name().unwrap().to_str().unwrap());
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
    assert_eq!(world.files("omk/run/story").iter().filter(|name| name.starts_with('f')).count(), 1500);
}

#[test]
fn omk_takes_the_open_files_that_it_may_have_and_its_children_get_what_it_was_started_with() {
    let tasks: Vec<String> =
        (0..40).map(|n| format!("{{ id: t{n}, run: 'ulimit -Sn > t{n}; sleep 1', write_set: [t{n}] }}")).collect();
    let world = World::with(&format!("limits: {{ workers: 40 }}\ntasks: [{}]", tasks.join(", ")));
    run_after(&world, "ulimit -Sn 100", &["run"]).exits(0);
    assert_eq!(world.landed_on("omk/run/story").len(), 40);
    assert_eq!(world.shows("omk/run/story", "t0").trim(), "100");
}
