//! `omk retry`: what completed is kept, the rest is done, and nothing leaves the result's branch
//! unsaid.

use omk_action::fact::{Fact, RunVerdict};

use crate::world::World;

/// Three tasks, of which `bad` fails until the file `go` lies beside the repository; `after` needs
/// it.
fn world() -> World {
    let world = World::new();
    world.plan(&plan(&world, "echo good > good.txt"));
    world
}

fn plan(world: &World, good: &str) -> String {
    let go = world.dir().join("go").display().to_string();
    format!(
        "gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
         tasks:\n\
         - {{ id: good, run: '{good}', write_set: [good.txt] }}\n\
         - {{ id: look, run: 'echo seen', write_set: [] }}\n\
         - {{ id: bad, run: 'test -e {go} && echo bad > bad.txt', write_set: [bad.txt] }}\n\
         - {{ id: after, run: 'echo after > after.txt', write_set: [after.txt], dependencies: [bad] }}\n"
    )
}

fn go(world: &World) {
    std::fs::write(world.dir().join("go"), "").unwrap();
}

/// The id of a run, by its directory.
fn id(run: &std::path::Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The tasks whose command was started in the newest run, in order of name.
fn worked(world: &World) -> Vec<String> {
    let of = |fact: Fact| match fact {
        Fact::Worked { task, evidence, .. } if evidence.command.is_some() => Some(task.to_string()),
        _ => None,
    };
    let mut tasks: Vec<String> = world.facts().into_iter().filter_map(of).collect();
    tasks.sort();
    tasks
}

#[test]
fn what_completed_stays_on_the_branch_and_is_not_done_again() {
    let world = world();
    world.run().exits(1).says("omk retry");
    assert_eq!(worked(&world), ["bad", "good", "look"]);
    go(&world);
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains("keeps good, look; does bad, after"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("4 tasks, 2 of them kept; up to 2 executions"),
        "{}",
        said.err
    );
    assert_eq!(worked(&world), ["after", "bad"]);
    world.ended(RunVerdict::Ready);
    let mut landed = world.landed_on("omk/run/story");
    landed.sort();
    assert_eq!(landed, ["after", "bad", "good"]);
    world.omk(&["verify"]).exits(0);
    world.omk(&["replay"]).exits(0);
}

#[test]
fn a_retry_that_ends_before_it_has_done_anything_loses_nothing() {
    let world = world();
    world.run().exits(1);
    world
        .omk(&["retry", "good", "bad", "--fail-fast", "--workers", "1"])
        .exits(1);
    assert_eq!(
        worked(&world),
        ["bad"],
        "it ended before it came to the others"
    );
    go(&world);
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains("keeps good (of run ") && said.err.contains("; does bad, after"),
        "{}",
        said.err
    );
    assert_eq!(worked(&world), ["after", "bad"]);
}

#[test]
fn a_retry_that_was_stopped_keeps_what_it_was_to_keep_when_it_is_resumed() {
    let world = world();
    world.run().exits(1);
    go(&world);
    world
        .omk(&["retry", "--limits", "time=1ms"])
        .exits(4)
        .says("omk resume");
    world.omk(&["resume", "--limits", "time=10m"]).exits(0);
    let worked = worked(&world);
    assert!(
        !worked.contains(&"good".to_owned()) && !worked.contains(&"look".to_owned()),
        "{worked:?}"
    );
    assert!(
        world
            .landed_on("omk/run/story")
            .contains(&"good".to_owned())
    );
    world.omk(&["replay"]).exits(0);
}

#[test]
fn named_tasks_and_what_is_built_on_them_start_anew() {
    let world = world();
    go(&world);
    world.run().exits(0);
    let said = world.omk(&["retry", "bad"]).exits(0);
    assert!(
        said.err.contains("keeps good, look; does bad, after"),
        "{}",
        said.err
    );
    assert_eq!(worked(&world), ["after", "bad"]);
    world
        .omk(&["retry", "bda"])
        .exits(2)
        .says("did you mean `bad`?");
}

#[test]
fn another_definition_or_another_base_keeps_nothing_of_it() {
    let world = world();
    world.run().exits(1);
    go(&world);
    world.write(
        "omk.yaml",
        &format!(
            "version: 1\nname: story\n{}",
            plan(&world, "echo better > good.txt")
        ),
    );
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains("keeps look; does good, bad, after"),
        "{}",
        said.err
    );
    assert_eq!(world.shows("omk/run/story", "good.txt"), "better");
    world.commit("another tree");
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err
            .contains("keeps nothing; does good, look, bad, after"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("its base has another tree"),
        "{}",
        said.err
    );
}

#[test]
fn a_run_of_some_tasks_says_what_leaves_the_branch_and_where_it_remains() {
    let world = world();
    world.run().exits(1);
    let run = id(&world.run_dir());
    go(&world);
    let said = world.omk(&["run", "bad"]).exits(0);
    let note = format!(
        "this run takes `good` off the branch `omk/run/story`, where run {run} landed it: it remains on `omk/task/story/good`, and \
         `omk retry` keeps what completed"
    );
    assert!(said.err.contains(&note), "{}", said.err);
    assert_eq!(world.shows("omk/task/story/good", "good.txt"), "good");
}

#[test]
fn what_leaves_the_branch_because_its_task_failed_is_said_at_the_end() {
    let world = world();
    go(&world);
    world.run().exits(0);
    let first = id(&world.run_dir());
    std::fs::remove_file(world.dir().join("go")).unwrap();
    let warning = format!(
        "this run took `bad`, `after` off the branch `omk/run/story`, where run {first} landed them: they remain on \
         `omk/task/story/bad`, `omk/task/story/after`, and `omk retry` keeps what completed"
    );
    world.run().exits(1).says(&warning);
    assert!(
        world.report()["warnings"].to_string().contains(&warning),
        "{}",
        world.report()
    );
    assert_eq!(world.shows("omk/task/story/bad", "bad.txt"), "bad");
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "bad (of run {first}), after (of run {first}); does nothing"
        )),
        "{}",
        said.err
    );
}

#[test]
fn what_leaves_the_branch_because_its_task_was_taken_out_is_said_at_the_end() {
    let world = World::with(
        "limits: { workers: 1 }\n\
         gates: [{ id: one-of-two, run: '! test -e x.txt || ! test -e y.txt' }]\n\
         defaults: { gates: [one-of-two], retry_policy: { max_attempts: 0 } }\n\
         tasks:\n\
         - { id: a, run: 'echo a > x.txt', write_set: [x.txt] }\n\
         - { id: b, run: 'echo b > y.txt', write_set: [y.txt] }\n",
    );
    world.omk(&["run", "b"]).exits(0);
    let (first, was) = (id(&world.run_dir()), world.rev("omk/run/story"));
    let said = world.run().exits(1);
    assert_eq!(world.landed_on("omk/run/story"), ["a"]);
    // Its own branch is at what this run made of it.
    said.says(&format!(
        "this run took `b` off the branch `omk/run/story`, where run {first} landed it: it remains at commit {}",
        &was[..12]
    ));
}

#[test]
fn a_run_of_some_tasks_between_them_takes_nothing_from_a_retry() {
    let world = world();
    world.run().exits(1);
    let first = id(&world.run_dir());
    go(&world);
    // More runs than a person remembers.
    for _ in 0..21 {
        world.omk(&["run", "look"]).exits(0);
    }
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "keeps good (of run {first}), look; does bad, after"
        )),
        "{}",
        said.err
    );
    assert_eq!(worked(&world), ["after", "bad"]);
    assert_eq!(world.landed_on("omk/run/story").len(), 3);
}

#[test]
fn a_change_that_was_made_on_another_change_of_its_dependency_is_not_called_kept() {
    let world = World::new();
    let made = world.dir().join("made");
    world.plan(&format!(
        "gates: [{{ id: ok, run: 'true' }}]\n\
         defaults: {{ gates: [ok] }}\n\
         tasks:\n\
         - {{ id: below, run: 'cat {} > below.txt', write_set: [below.txt] }}\n\
         - {{ id: above, run: 'echo above > above.txt', write_set: [above.txt], dependencies: [below] }}\n",
        made.display()
    ));
    std::fs::write(&made, "first\n").unwrap();
    world.run().exits(0);
    std::fs::write(&made, "second\n").unwrap();
    world.omk(&["run", "below"]).exits(0);
    let said = world.omk(&["retry"]).exits(0);
    assert!(said.err.contains("keeps below; does above"), "{}", said.err);
    assert_eq!(worked(&world), ["above"]);
}

#[test]
fn a_retry_says_which_run_it_cannot_read() {
    let world = world();
    world.run().exits(1);
    let first = id(&world.run_dir());
    world.omk(&["run", "look"]).exits(0);
    let second = world.run_dir();
    std::fs::remove_file(second.join("plan.yaml")).unwrap();
    go(&world);
    let said = world.omk(&["retry", "--limits", "time=1ms"]).exits(4);
    let unread = |run: &str| format!("run {run} cannot be read, so nothing of it is kept");
    assert!(said.err.contains(&unread(&id(&second))), "{}", said.err);
    assert!(
        said.err.contains(&format!(
            "retry of run {first}: keeps good, look; does bad, after"
        )),
        "{}",
        said.err
    );

    // What it was to keep is not done again unsaid.
    std::fs::remove_file(world.runs()[0].join("plan.yaml")).unwrap();
    let said = world.omk(&["resume", "--limits", "time=10m"]).exits(0);
    said.says(&unread(&first)).says(
        "this run was to keep `good`, `look` of an earlier run, and cannot read that any more",
    );
    for run in world.runs() {
        let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
        std::fs::write(
            run.join("journal.jsonl"),
            journal.replacen("\"seq\":1", "\"seq\":7", 1),
        )
        .unwrap();
    }
    let said = world
        .omk(&["retry"])
        .exits(2)
        .says("there is no earlier run of `story` to retry");
    said.says(&unread(&first)).says(&unread(&id(&second)));
}

#[test]
fn a_torn_change_is_not_called_kept() {
    let world = world();
    world.run().exits(1);
    let first = id(&world.run_dir());
    go(&world);
    let blob = world.rev("omk/task/story/good:good.txt");
    let git = world.repo().join(".git");
    let place = std::path::Path::new(&blob[..2]).join(&blob[2..]);
    let files = [
        git.join("objects").join(&place),
        git.join("omk/objects").join(&first).join(&place),
    ];
    let tear = |file: &std::path::Path| {
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, "torn").unwrap();
    };
    // Its second name brings it back.
    tear(&files[0]);
    let said = world.omk(&["retry", "--limits", "time=1ms"]).exits(4);
    assert!(
        said.err.contains("keeps good, look; does bad, after"),
        "{}",
        said.err
    );
    assert_eq!(world.git(&["cat-file", "-p", &blob]), "good");
    files.iter().for_each(|file| tear(file));
    let said = world.omk(&["retry"]).exits(0);
    said.says(&format!(
        "the change that run {first} made for `good` is gone from git's objects, or torn: it is not kept"
    ));
    assert_eq!(worked(&world), ["after", "bad", "good"]);
    assert_eq!(world.shows("omk/run/story", "good.txt"), "good");
}

#[test]
fn the_newest_run_is_the_last_one_even_if_the_clock_was_set_back() {
    let world = world();
    std::fs::create_dir_all(world.repo().join(".git/omk/runs/29990101t000000z-3e7fff")).unwrap();
    world.run().exits(1);
    let newest = id(&world.run_dir());
    assert!(newest.starts_with("29990101t000000z-3e8"), "{newest}");
    go(&world);
    let said = world.omk(&["retry"]).exits(0);
    assert!(
        said.err.contains(&format!(
            "retry of run {newest}: keeps good, look; does bad, after"
        )),
        "{}",
        said.err
    );
    let newest = id(&world.run_dir());
    assert!(newest.starts_with("29990101t000000z-3e9"), "{newest}");
}

#[test]
fn there_is_nothing_to_retry_before_a_first_run() {
    world()
        .omk(&["retry"])
        .exits(2)
        .says("there is no earlier run of `story` to retry")
        .says("omk run");
}
