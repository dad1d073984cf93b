//! The law of merges: the same two changes merge to the same commit from every checkout, in a clone
//! without one, and for a judge, and that commit's tree is what `git merge` makes of them in a
//! clean checkout.
//!
//! A case comes from a number, which is printed if the law fails. `OMK_TEST_SEED` names the first
//! one, and `OMK_TEST_MERGES` says how many follow.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![expect(
    clippy::print_stdout,
    reason = "if a merge breaks the law, a person must know which it was"
)]

use std::collections::BTreeSet;
use std::fs;

use omk_action::git::{CommitMessage, MergeOutcome, MergedBase, Repo};
use omk_action::id::{CommitId, Moment, RepoPath, Tip};

use super::merges_world::{Files, World, file, first_files, git_in, lines, put, side, text};
use super::odd_repositories::Chance;

/// Cases in a run of all tests: some seconds. `scripts/soak` takes 3,000, which is some minutes.
const SAMPLE: u64 = 30;

const WHEN: Moment = Moment::from_millis(1_700_000_000_000);

/// Rules that are in no tree, or not in the one that counts.
const ELSEWHERE: &str = "*.txt merge=union\n*.c merge=mine\n*.sh -merge\n";

fn message() -> CommitMessage {
    CommitMessage::new(
        "change",
        &"20261122t185155z-4f2a9c".parse().unwrap(),
        &"api".parse().unwrap(),
        1,
    )
}

/// What omk makes of two results of one base; its commit, or its conflicts.
fn merged_by_omk(
    repo: &Repo,
    base: &Tip,
    ours: &Tip,
    theirs: &Tip,
) -> Result<Tip, BTreeSet<String>> {
    match repo
        .base_of(&base.commit, &[ours.commit.clone(), theirs.commit.clone()])
        .unwrap()
    {
        MergedBase::Clean(tip) => Ok(tip),
        MergedBase::Conflict(paths) => Err(names(&paths)),
    }
}

fn names(paths: &[RepoPath]) -> BTreeSet<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn numbers() -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("OMK_TEST_SEED").unwrap_or(1);
    let count = number("OMK_TEST_MERGES").unwrap_or(SAMPLE);
    (0..count).map(move |index| first.wrapping_add(index))
}

/// Names the case if what follows panics.
struct Case(u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "this was case {0}: OMK_TEST_SEED={0} OMK_TEST_MERGES=1",
                self.0
            );
        }
    }
}

#[test]
fn two_changes_merge_as_git_merges_them_wherever_omk_is_started() {
    let (mut clean, mut conflicts) = (0, 0);
    for number in numbers() {
        let case = Case(number);
        let chance = &mut Chance(number);
        let world = World::new();
        let files = first_files(chance);
        let base = world.commit("main", &files, &[]);
        let ours = world.commit("ours", &side(&files, "ours", chance), &[&base]);
        let theirs = world.commit("theirs", &side(&files, "theirs", chance), &[&base]);
        let expected = world.merged_by_git("ours", "theirs");
        world.check_out("main");
        let merged = merged_by_omk(&world.repo(), &base, &ours, &theirs);
        match (&merged, &expected) {
            (Err(paths), Err(unnamed)) if unnamed.is_empty() => assert!(!paths.is_empty()),
            (merged, expected) => {
                let merged = merged
                    .as_ref()
                    .map(|tip| tip.tree.to_string())
                    .map_err(Clone::clone);
                assert_eq!(merged, *expected);
            }
        }

        // A user in the middle of something, with settings and a driver of their own.
        world.check_out("theirs");
        let _ = fs::remove_file(world.top().join(".gitattributes"));
        fs::write(world.top().join(".gitattributes"), ELSEWHERE).unwrap();
        fs::create_dir_all(world.top().join(".git/info")).unwrap();
        fs::write(world.top().join(".git/info/attributes"), ELSEWHERE).unwrap();
        let settings = [
            ("merge.mine.driver", "touch ran; true"),
            ("merge.renames", "false"),
            ("merge.directoryRenames", "true"),
        ];
        for (name, value) in settings
            .into_iter()
            .chain([("merge.renormalize", "true"), ("merge.default", "union")])
        {
            world.git(&["config", name, value]);
        }
        assert_eq!(merged_by_omk(&world.repo(), &base, &ours, &theirs), merged);

        // A judge's clone, without a checkout.
        let clone = world.dir.path().join("clone");
        let from = world.top();
        git_in(
            world.dir.path(),
            &[
                "clone",
                "--quiet",
                "--no-checkout",
                &from.display().to_string(),
                "clone",
            ],
        );
        let judge = Repo::discover(&clone).unwrap();
        assert_eq!(merged_by_omk(&judge, &base, &ours, &theirs), merged);
        if let Ok(tip) = &merged {
            assert!(
                judge
                    .is_merge_of_results(&base.commit, &tip.commit)
                    .unwrap()
            );
        }

        // A landing is the same merge.
        let landed = match judge.land(&ours, &theirs, &message(), WHEN).unwrap() {
            MergeOutcome::Clean(tip) => Ok(tip.tree),
            MergeOutcome::Empty => Ok(ours.tree.clone()),
            MergeOutcome::Conflict(paths) => Err(names(&paths)),
        };
        assert_eq!(landed, merged.map(|tip| tip.tree));
        if landed.is_ok() {
            clean += 1
        } else {
            conflicts += 1
        }
        drop(case);
    }
    println!("{clean} merges were clean, {conflicts} were not");
    let some = std::env::var_os("OMK_TEST_MERGES").is_some() || (clean > 3 && conflicts > 3);
    assert!(
        some,
        "the sample has both kinds: {clean} clean, {conflicts} not"
    );
}

/// A history as a run makes it: each task built on the merge of some earlier results, or on another
/// task if these do not fit. Each writes files of its own, and rewrites or renames some that it
/// found.
fn run(world: &World, chance: &mut Chance) -> (Tip, Vec<Tip>) {
    let mut files: Files = (0..6)
        .map(|number| (format!("f{number}.txt"), file(lines(&format!("f{number}")))))
        .collect();
    files.insert("d/x.txt".to_owned(), file(lines("x")));
    let base = world.commit("main", &files, &[]);
    let repo = world.repo();
    let mut tips: Vec<Tip> = Vec::new();
    for task in 0..12 {
        let onto: BTreeSet<usize> = (0..chance.below(4))
            .map(|_| chance.below(tips.len()))
            .collect();
        let onto: Vec<CommitId> = onto
            .iter()
            .filter_map(|index| tips.get(*index))
            .map(|tip| tip.commit.clone())
            .collect();
        let at = match repo.base_of(&base.commit, &onto).unwrap() {
            MergedBase::Clean(tip) => tip,
            MergedBase::Conflict(_) => tips.last().cloned().unwrap(),
        };
        let mut files = world.files(&at);
        files.insert(
            format!("own/{task}.txt"),
            file(lines(&format!("task {task}"))),
        );
        for _ in 0..chance.below(3) {
            let names: Vec<String> = files.keys().cloned().collect();
            let name = &names[chance.below(names.len())];
            let (mode, bytes) = files[name].clone();
            match chance.below(8) {
                0 => {
                    files.remove(name);
                }
                1 => {
                    files.remove(name);
                    put(&mut files, &format!("renamed-{task}.txt"), (mode, bytes));
                }
                _ => {
                    let mut edited: Vec<String> = String::from_utf8(bytes)
                        .unwrap()
                        .lines()
                        .map(str::to_owned)
                        .collect();
                    let at = chance.below(edited.len());
                    edited[at] = format!("task {task} wrote this");
                    files.insert(
                        name.clone(),
                        (mode, (edited.join("\n") + "\n").into_bytes()),
                    );
                }
            }
        }
        tips.push(world.commit(&format!("task-{task}"), &files, &[&at]));
    }
    (base, tips)
}

#[test]
fn results_that_were_merged_before_merge_as_git_merges_them() {
    let (mut clean, mut conflicts, mut crossed) = (0, 0, 0);
    for number in numbers().step_by(5) {
        let case = Case(number);
        let chance = &mut Chance(number);
        let world = World::new();
        let (base, tips) = run(&world, chance);
        let repo = world.repo();
        for _ in 0..12 {
            let (ours, theirs) = (
                &tips[chance.below(tips.len())],
                &tips[chance.below(tips.len())],
            );
            let bases = text(&world.git(&[
                "merge-base",
                "--all",
                ours.commit.as_str(),
                theirs.commit.as_str(),
            ]));
            if bases == ours.commit.as_str() || bases == theirs.commit.as_str() {
                continue;
            }
            let merged = merged_by_omk(&repo, &base, ours, theirs);
            assert_eq!(
                merged_by_omk(&world.repo(), &base, ours, theirs),
                merged,
                "without what was known before"
            );
            let by_git = world.git(&[
                "merge-tree",
                "--write-tree",
                "--no-messages",
                ours.commit.as_str(),
                theirs.commit.as_str(),
            ]);
            match &merged {
                Ok(tip) => {
                    assert_eq!(text(&by_git), tip.tree.as_str(), "bases: {bases}");
                    assert!(repo.is_merge_of_results(&base.commit, &tip.commit).unwrap());
                    clean += 1;
                }
                // git invents a base with both versions where several bases conflict among
                // themselves; omk does not.
                Err(_) => {
                    assert!(
                        !by_git.status.success() || bases.contains('\n'),
                        "{merged:?}"
                    );
                    conflicts += 1;
                }
            }
            crossed += u32::from(bases.contains('\n'));
        }
        drop(case);
    }
    println!("{clean} merges were clean, {conflicts} were not; {crossed} had several bases");
    let some = std::env::var_os("OMK_TEST_MERGES").is_some() || (clean > 10 && crossed > 3);
    assert!(some, "{clean} clean, {conflicts} not, {crossed} crossed");
}

/// A base of these rules and `a.txt`, and two sides that change it.
fn sides(rules: &str, ours: &str, theirs: &str) -> (World, Tip, Tip) {
    let world = World::new();
    let of = |text: &str| {
        let rules = (".gitattributes".to_owned(), file(rules));
        Files::from([("a.txt".to_owned(), file(text)), rules])
    };
    let base = world.commit("main", &of(&lines("a")), &[]);
    let ours = world.commit(
        "ours",
        &of(&lines("a").replace("a has line 3", ours)),
        &[&base],
    );
    let theirs = world.commit(
        "theirs",
        &of(&lines("a").replace("a has line 3", theirs)),
        &[&base],
    );
    (world, ours, theirs)
}

#[test]
fn attributes_that_no_commit_holds_do_not_let_a_conflict_land() {
    let (world, ours, theirs) = sides("", "ours", "theirs");
    let land = || world.repo().land(&ours, &theirs, &message(), WHEN).unwrap();
    let conflict = MergeOutcome::Conflict(vec!["a.txt".parse().unwrap()]);
    assert_eq!(land(), conflict);
    world.check_out("main");
    fs::write(world.top().join(".gitattributes"), "a.txt merge=union\n").unwrap();
    fs::create_dir_all(world.top().join(".git/info")).unwrap();
    fs::write(
        world.top().join(".git/info/attributes"),
        "a.txt merge=union\n",
    )
    .unwrap();
    assert_eq!(land(), conflict);
    let (world, ours, theirs) = sides("*.txt merge=union\n", "ours", "theirs");
    let MergeOutcome::Clean(tip) = world.repo().land(&ours, &theirs, &message(), WHEN).unwrap()
    else {
        panic!("a union")
    };
    assert!(String::from_utf8_lossy(&world.files(&tip)["a.txt"].1).contains("ours\ntheirs\n"));
}

#[test]
fn a_merge_driver_of_the_users_never_runs() {
    let (world, ours, theirs) = sides("*.txt merge=mine\n", "ours", "theirs");
    let ran = world.dir.path().join("ran");
    world.check_out("ours");
    world.git(&[
        "config",
        "merge.mine.driver",
        &format!("touch {}", ran.display()),
    ]);
    let landed = world.repo().land(&ours, &theirs, &message(), WHEN).unwrap();
    assert_eq!(
        landed,
        MergeOutcome::Conflict(vec!["a.txt".parse().unwrap()])
    );
    assert!(!ran.exists());
    // It is there for `git merge`.
    world.git(&["merge", "--quiet", "theirs"]);
    assert!(ran.exists());
}

#[test]
fn a_new_file_in_a_directory_that_was_renamed_is_a_conflict() {
    let world = World::new();
    let of = |names: &[&str]| {
        names
            .iter()
            .map(|name| ((*name).to_owned(), file(lines(&name[name.len() - 1..]))))
            .collect()
    };
    let base = world.commit("main", &of(&["old/a", "old/b", "c"]), &[]);
    let renamed = world.commit("renamed", &of(&["new/a", "new/b", "c"]), &[&base]);
    let added = world.commit("added", &of(&["old/a", "old/b", "c", "old/d"]), &[&base]);
    for (ours, theirs) in [(&renamed, &added), (&added, &renamed)] {
        let landed = world.repo().land(ours, theirs, &message(), WHEN).unwrap();
        assert!(matches!(landed, MergeOutcome::Conflict(paths) if !paths.is_empty()));
    }
}
