//! Submodules in whole runs: what is said of those that are not there, and what tasks in rooms can
//! do to those that are.

use std::fs;

use omk_action::fact::{Class, RunVerdict};

use super::bundle_world::Ran;
use super::submodules::{add, contents, nested};
use super::world::World;

const PLAN: &str =
    "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'ls sub > one', gates: [ok] }]\n";

#[test]
fn a_submodule_that_was_not_fetched_is_named_with_what_fetches_it() {
    let (world, inner) = (World::with(PLAN), World::new());
    add(&world, &inner, "near", "sub");
    world.omk(&["plan"]).exits(0);
    assert!(!world.omk(&["plan"]).err.contains("submodule"));
    fs::remove_dir_all(world.repo().join(".git/modules/near")).unwrap();
    for said in [world.omk(&["plan"]), world.run()] {
        said.exits(0)
            .says("note: tasks and gates find an empty directory in the place of 1 submodule: `sub` (there is no clone of it here)")
            .says("`git submodule update --init --recursive` fetches what is missing");
    }
    assert_eq!(world.shows("omk/run/story", "one"), "");
}

#[test]
fn a_judgement_in_a_clone_without_the_submodule_says_so() {
    let (world, inner) = (World::with(PLAN), World::new());
    add(&world, &inner, "near", "sub");
    world.run().exits(0);
    assert!(world.shows("omk/run/story", "one").contains("a.txt"));
    let ran = Ran::of(world);
    let dir = ran.bundle();
    let (said, judgement) = ran.judged(&dir);
    assert_eq!(said.code, 0, "{}", said.err);
    let warnings = judgement.unwrap().warnings;
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("`sub` (there is no clone of it here)")),
        "{warnings:?}"
    );
}

#[test]
fn a_filter_that_a_submodule_asks_for_is_named_before_the_run() {
    let (world, inner) = (World::with(PLAN), World::new());
    inner.write(".gitattributes", "*.bin filter=lfs\n");
    inner.write("big.bin", "pointer\n");
    inner.commit("large");
    add(&world, &inner, "near", "sub");
    world.run().exits(3).says("`lfs` (for `sub/big.bin`)");
    world
        .omk(&["plan"])
        .exits(0)
        .says("`omk run` would stop here");
}

/// In rooms of both kinds: one task does it, and the next one and its gate find nothing of it.
fn in_rooms(deed: &str, then: &str, class: Option<Class>) {
    for level in ["sealed", "landlock"] {
        let world = nested().env("OMK_ROOM_AT_MOST", level);
        world.plan(&format!(
            "limits: {{ workers: 1 }}\ndefaults: {{ gates: [ok], retry_policy: {{ max_attempts: 0 }} }}\n\
             gates: [{{ id: ok, run: \"{then}\" }}]\ntasks:\n  - {{ id: one, run: \"{deed}\" }}\n  \
             - {{ id: two, run: \"{then} && echo 2 > two\", dependencies: [one], on_dependency_failure: run }}\n"
        ));
        let (before, clones) = (
            world.checkout(),
            contents(&world.repo().join(".git/modules")),
        );
        let said = world.run();
        assert_eq!(
            world.state("two"),
            "completed",
            "{level}: {}{}",
            said.out,
            said.err
        );
        assert_eq!(world.classes("one"), Vec::from_iter(class), "{level}");
        assert_eq!(
            contents(&world.repo().join(".git/modules")),
            clones,
            "{level}"
        );
        assert_eq!(world.checkout(), before, "{level}");
        world.ended(if class.is_none() {
            RunVerdict::Ready
        } else {
            RunVerdict::NotReady
        });
    }
}

const LOOK: &str = "test -z \\\"$(git status --porcelain --ignore-submodules=none)\\\" && git submodule update --init --recursive \
                    && ! git submodule status --recursive | grep -q '^[-+U]' && test -z \\\"$(git -C sub/near status --porcelain)\\\" \
                    && test $(git -C sub/near describe --tags) = v1 && test ! -e ../marker && test ! -e $HOME/marker";

#[test]
fn a_task_that_bends_a_submodules_repository_bends_it_for_itself() {
    let deed = "cd sub/near; git config core.fsmonitor 'touch $HOME/marker; false'; git config core.hooksPath /tmp; \
                d=$(git rev-parse --git-dir); mkdir -p $d/hooks; echo evil > $d/hooks/post-checkout; \
                echo /tmp > $d/objects/info/alternates; rm -f .git; git init -q .; git config core.fsmonitor 'touch ../marker; false'; cd ../..; \
                echo 1 > one";
    in_rooms(deed, LOOK, None);
}

#[test]
fn a_task_that_changes_a_submodule_fails_and_leaves_nothing_of_it() {
    in_rooms(
        "echo more >> sub/near/a.txt; git -C sub/near commit -qam more; echo 1 > one",
        LOOK,
        Some(Class::Scope),
    );
}

#[test]
fn a_link_in_the_place_of_a_submodule_is_not_followed() {
    in_rooms(
        "rm -rf sub/near; ln -s / sub/near; echo 1 > one",
        LOOK,
        Some(Class::Scope),
    );
}
