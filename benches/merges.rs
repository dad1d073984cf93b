//! What merges cost a run in layers, each task built on three of the layer before: bases and
//! landings, without agents, gates and slots. First every task writes a file of its own, then each
//! also rewrites a file of a task it is built on.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::path::Path;
use std::time::Duration;

use git2::{Oid, Repository, Signature, Time, build::TreeUpdateBuilder};

use omk_action::git::{CommitMessage, MergeOutcome, MergedBase, Repo};
use omk_action::id::{CommitId, Moment, Tip};

/// Tasks in a layer.
const LAYER: usize = 20;

/// Dependencies of a task.
const EACH: usize = 3;

/// So many tasks: 50 layers.
const TASKS: usize = 1_000;

/// What merges of one task may cost, in milliseconds of one core.
const MOST: f64 = 15.0;

fn oid(text: &str) -> Oid {
    Oid::from_str(text).expect("hex")
}

/// What this process has had of a core so far: other work on the machine does not count.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("no time before the start"),
        time.tv_nsec.try_into().expect("less than a second"),
    )
}

/// A commit on that tip in which these files have that text.
fn commit(objects: &Repository, onto: Option<&Tip>, files: &[String], text: &str) -> Tip {
    let blob = objects.blob(text.as_bytes()).expect("a blob");
    let empty = || {
        objects
            .treebuilder(None)
            .and_then(|builder| builder.write())
            .expect("a tree")
    };
    let tree = objects
        .find_tree(onto.map_or_else(empty, |tip| oid(tip.tree.as_str())))
        .expect("a tree");
    let mut update = TreeUpdateBuilder::new();
    for file in files {
        update.upsert(file.as_str(), blob, git2::FileMode::Blob);
    }
    let tree = update.create_updated(objects, &tree).expect("a tree");
    let by = Signature::new(
        "bench",
        "bench@example.invalid",
        &Time::new(1_700_000_000, 0),
    )
    .expect("a name");
    let parent = onto.map(|tip| {
        objects
            .find_commit(oid(tip.commit.as_str()))
            .expect("a commit")
    });
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let tree_found = objects.find_tree(tree).expect("a tree");
    let head = onto.is_none().then_some("HEAD");
    let commit = objects
        .commit(head, &by, &by, text, &tree_found, &parents)
        .expect("a commit");
    Tip {
        commit: commit.to_string().parse().expect("hex"),
        tree: tree.to_string().parse().expect("hex"),
    }
}

fn file(task: usize) -> String {
    format!("out/{:02}/task-{task}.txt", task % 17)
}

fn layers(at: &Path, rewrites: bool) {
    let objects = Repository::init(at).expect("a repository");
    let base: Vec<String> = (0..200)
        .map(|number| format!("src/{}/file-{number}.txt", number % 9))
        .collect();
    let base = commit(&objects, None, &base, "base\n");
    let repo = Repo::discover(at).expect("it is one");
    let (mut results, mut tip, mut conflicts): (Vec<Tip>, Tip, usize) =
        (Vec::new(), base.clone(), 0);
    let (mut bases, mut landings, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for task in 0..TASKS {
        let above = (task / LAYER).checked_sub(1);
        let needs: Vec<usize> = above.map_or_else(Vec::new, |layer| {
            (0..EACH)
                .map(|k| layer * LAYER + (task + k * 7) % LAYER)
                .collect()
        });
        let onto: Vec<CommitId> = needs
            .iter()
            .map(|&other| results[other].commit.clone())
            .collect();
        let start = spent();
        let at = match repo.base_of(&base.commit, &onto).expect("a base") {
            MergedBase::Clean(at) => at,
            MergedBase::Conflict(_) => {
                conflicts += 1;
                tip.clone()
            }
        };
        let base_took = spent().saturating_sub(start);
        let mut files = vec![file(task)];
        files.extend(needs.first().filter(|_| rewrites).map(|&other| file(other)));
        let change = commit(&objects, Some(&at), &files, &format!("task {task}\n"));
        let message = CommitMessage::new(
            "bench",
            &"20261122t185155z-4f2a9c".parse().expect("an id"),
            &"t".parse().expect("an id"),
            1,
        );
        let start = spent();
        match repo
            .land(
                &tip,
                &change,
                &message,
                Moment::from_millis(1_700_000_000_000),
            )
            .expect("a landing")
        {
            MergeOutcome::Clean(new) => tip = new,
            MergeOutcome::Empty => {}
            MergeOutcome::Conflict(_) => conflicts += 1,
        }
        let landing_took = spent().saturating_sub(start);
        bases += base_took;
        landings += landing_took;
        slowest = slowest.max(base_took + landing_took);
        results.push(change);
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / TASKS as f64;
    let what = if rewrites {
        "rewrites of earlier files"
    } else {
        "files of their own"
    };
    println!(
        "{TASKS} tasks in layers of {LAYER}, {EACH} dependencies each, {what} ({conflicts} conflicts)"
    );
    println!("  bases      {:>8.2} ms a task", each(bases));
    println!("  landings   {:>8.2} ms a task", each(landings));
    println!("  slowest    {:>8.2} ms", slowest.as_secs_f64() * 1e3);
    println!(
        "  of at most {:>8.2} ms: {:.2}",
        MOST,
        each(bases + landings) / MOST
    );
}

fn main() {
    for rewrites in [false, true] {
        let scratch =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
        layers(scratch.path(), rewrites);
    }
}
