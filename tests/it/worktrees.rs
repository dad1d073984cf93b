//! Branches at work in somebody's worktree: omk sees what git sees, and git is asked in the same
//! breath.

use std::path::{Path, PathBuf};

use omk_action::fact::RunVerdict;
use omk_action::git::{Pool, Repo};

use crate::world::World;

const BRANCH: &str = "omk/run/story";

/// A repository with the branch of a result, one commit behind `main`.
fn world() -> World {
    let world = World::new();
    world.plan("tasks:\n- { id: one, run: 'echo one > one.txt', write_set: [one.txt] }\n");
    world.git(&["commit", "--quiet", "--allow-empty", "--message", "more"]);
    world.git(&["branch", BRANCH, "HEAD~1"]);
    world
}

fn repo(world: &World) -> Repo {
    Repo::discover(&world.repo()).unwrap()
}

fn elsewhere(world: &World) -> PathBuf {
    std::fs::canonicalize(world.dir())
        .unwrap()
        .join("elsewhere")
}

fn add_worktree(world: &World, branch: &str) -> PathBuf {
    let place = elsewhere(world);
    world.git(&[
        "worktree",
        "add",
        "--quiet",
        place.to_str().unwrap(),
        branch,
    ]);
    place
}

fn git_at(world: &World, place: &Path, args: &[&str]) -> bool {
    world
        .command("git")
        .arg("-C")
        .arg(place)
        .args(args)
        .output()
        .unwrap()
        .status
        .success()
}

/// omk says that the branch is at work there, and git refuses to move it for that reason.
fn is_held(world: &World, how: &str, place: Option<&Path>) {
    assert_eq!(
        repo(world).checked_out_anywhere(BRANCH).unwrap().as_deref(),
        place,
        "{how}"
    );
    let moved = world
        .command("git")
        .args(["branch", "--force", BRANCH, BRANCH])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert_eq!(moved.status.success(), place.is_none(), "{how}: {said}");
}

#[test]
fn a_branch_that_is_bisected_rebased_or_named_by_another_is_as_git_sees_it() {
    for how in [
        "free",
        "checked out",
        "bisected",
        "rebased",
        "rebased with others",
        "by another name",
        "by two others",
    ] {
        let world = world();
        let commit = |place: &Path, text: &str| {
            std::fs::write(place.join("same.txt"), text).unwrap();
            assert!(git_at(&world, place, &["add", "--all"]));
            assert!(git_at(
                &world,
                place,
                &["commit", "--quiet", "--message", text]
            ));
        };
        let place = match how {
            "free" => add_worktree(&world, "HEAD"),
            "bisected" => {
                let place = add_worktree(&world, BRANCH);
                assert!(git_at(&world, &place, &["bisect", "start"]));
                assert!(git_at(&world, &place, &["switch", "--quiet", "--detach"]));
                place
            }
            "rebased" => {
                let place = add_worktree(&world, BRANCH);
                commit(&place, "there");
                commit(&world.repo(), "here");
                assert!(!git_at(&world, &place, &["rebase", "main"]), "a conflict");
                place
            }
            "rebased with others" => {
                let place = add_worktree(&world, BRANCH);
                commit(&place, "there");
                commit(&world.repo(), "here");
                assert!(git_at(
                    &world,
                    &place,
                    &["switch", "--quiet", "--create", "above"]
                ));
                commit(&place, "above");
                assert!(
                    !git_at(&world, &place, &["rebase", "--update-refs", "main"]),
                    "a conflict"
                );
                place
            }
            "by another name" | "by two others" => {
                world.git(&[
                    "symbolic-ref",
                    "refs/heads/one",
                    &format!("refs/heads/{BRANCH}"),
                ]);
                world.git(&["symbolic-ref", "refs/heads/two", "refs/heads/one"]);
                let place = add_worktree(&world, "HEAD");
                let name = if how == "by another name" {
                    "refs/heads/one"
                } else {
                    "refs/heads/two"
                };
                assert!(git_at(&world, &place, &["symbolic-ref", "HEAD", name]));
                place
            }
            _ => add_worktree(&world, BRANCH),
        };
        is_held(&world, how, Some(&*place).filter(|_| how != "free"));
    }
}

#[test]
fn a_run_leaves_a_branch_alone_that_is_being_bisected() {
    let world = world();
    let place = add_worktree(&world, BRANCH);
    git_at(&world, &place, &["bisect", "start"]);
    git_at(&world, &place, &["switch", "--quiet", "--detach"]);
    let was = world.rev(BRANCH);
    world
        .omk(&["run"])
        .exits(2)
        .says(&format!("`{BRANCH}` is checked out in {}", place.display()));
    assert_eq!(world.rev(BRANCH), was);
    git_at(&world, &place, &["bisect", "reset"]);
    git_at(&world, &place, &["switch", "--quiet", "--detach"]);
    world.omk(&["run", "--force"]).exits(0);
    world.ended(RunVerdict::Neutral);
}

#[test]
fn a_worktree_that_is_called_like_a_slot_is_its_owners() {
    let world = world();
    let repo = repo(&world);
    let cache = world.dir().join("pool");
    let pool = Pool::open(&repo, &cache).unwrap();
    let slot = pool.acquire(None).unwrap();
    slot.reset(&repo.resolve("HEAD").unwrap().commit, &[])
        .unwrap();
    let called = slot
        .git_dir()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    for name in [
        "omk-slot-1-abcdef01",
        "omk-slot-",
        "omk-slot-mine",
        &called.replace("slot-1", "slot-2"),
    ] {
        let place = elsewhere(&world).with_file_name(name);
        world.git(&[
            "worktree",
            "add",
            "--quiet",
            place.to_str().unwrap(),
            BRANCH,
        ]);
        assert!(
            world.repo().join(".git/worktrees").join(name).is_dir(),
            "{name}"
        );
        is_held(&world, name, Some(&place));
        assert!(repo.checkouts().unwrap().contains(&place), "{name}");
        world.git(&["worktree", "remove", place.to_str().unwrap()]);
    }
    // What a child does in its slot holds nothing, wherever it says that its files are.
    std::fs::write(
        slot.git_dir().join("HEAD"),
        format!("ref: refs/heads/{BRANCH}\n"),
    )
    .unwrap();
    let inside = slot.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join(".git"), "gitdir: here\n").unwrap();
    for place in [
        slot.path().join(".git"),
        inside.join(".git"),
        world.dir().join("nowhere/.git"),
        PathBuf::new(),
    ] {
        std::fs::write(
            slot.git_dir().join("gitdir"),
            format!("{}\n", place.display()),
        )
        .unwrap();
        assert_eq!(
            repo.checked_out_anywhere(BRANCH).unwrap(),
            None,
            "{}",
            place.display()
        );
        assert!(
            !repo
                .checkouts()
                .unwrap()
                .iter()
                .any(|top| top.starts_with(&cache))
        );
    }
}

#[test]
fn a_worktree_with_a_relative_place_is_seen_where_it_is() {
    let world = world();
    let place = add_worktree(&world, BRANCH);
    // As `worktree.useRelativePaths` has it, since git 2.48.
    let link = world.repo().join(".git/worktrees/elsewhere/gitdir");
    std::fs::write(link, "../../../../elsewhere/.git\n").unwrap();
    let found = repo(&world).checked_out_anywhere(BRANCH).unwrap().unwrap();
    assert_eq!(
        std::fs::canonicalize(&found).unwrap(),
        place,
        "{}",
        found.display()
    );
    let tops = repo(&world).checkouts().unwrap();
    assert!(
        tops.iter()
            .any(|top| std::fs::canonicalize(top).unwrap() == place),
        "{tops:?}"
    );
}

#[test]
fn a_branch_that_is_not_born_yet_and_called_like_a_directory_stops_nothing() {
    let world = world();
    let place = add_worktree(&world, "HEAD");
    assert!(git_at(
        &world,
        &place,
        &["symbolic-ref", "HEAD", "refs/heads/omk"]
    ));
    is_held(&world, "not born", None);
}

#[test]
fn a_worktree_whose_head_cannot_be_read_is_an_error() {
    let world = world();
    add_worktree(&world, "HEAD");
    let head = world.repo().join(".git/worktrees/elsewhere/HEAD");
    std::fs::remove_file(&head).unwrap();
    std::fs::create_dir(&head).unwrap();
    let error = repo(&world).checked_out_anywhere(BRANCH).unwrap_err();
    assert!(
        error.to_string().contains("worktrees/elsewhere/HEAD"),
        "{error}"
    );
}
