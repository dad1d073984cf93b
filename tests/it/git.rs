//! The git room against real repositories: what it refuses, what a slot survives, what lands.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what only tests call"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use omk_action::git::{
    Anchor, CommitMessage, EntryKind, Expected, GitError, MergeOutcome, MergedBase, Pool, Repo,
    Slot, Terms, Trailers,
};
use omk_action::id::{CommitId, Moment, RepoPath, Tip, TreeId};
use omk_action::plan::Size;
use omk_action::text::{Advised as _, Scrubber};

const WHEN: Moment = Moment::from_millis(1_700_000_000_000);

fn git_in(directory: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z");
    command.env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z");
    for setting in [
        "user.name=A",
        "user.email=a@b",
        "protocol.file.allow=always",
        "init.defaultBranch=main",
    ] {
        command.args(["-c", setting]);
    }
    let output = command.current_dir(directory).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// A repository with a few files and one commit, and a place for slots.
struct World {
    home: tempfile::TempDir,
}

impl World {
    fn empty() -> Self {
        let world = Self {
            home: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.top()).unwrap();
        git_in(&world.top(), &["init", "--quiet"]);
        world
    }

    fn new() -> Self {
        let world = Self::empty();
        world.write("a.txt", "a\n");
        world.write("src/lib.rs", "one\ntwo\nthree\n");
        world.write("src/deep/er/x", "x\n");
        world.write("run.sh", "#!/bin/sh\n");
        fs::set_permissions(
            world.top().join("run.sh"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        symlink("a.txt", world.top().join("link")).unwrap();
        world.write(".gitignore", "target/\n*.log\n");
        world.commit("first");
        world
    }

    fn top(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    fn git(&self, args: &[&str]) -> String {
        git_in(&self.top(), args)
    }

    fn write(&self, path: &str, text: &str) {
        put(&self.top(), path, text);
    }

    fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn repo(&self) -> Repo {
        Repo::discover(&self.top()).unwrap()
    }

    fn pool(&self) -> Pool {
        Pool::open(&self.repo(), &self.home.path().join("cache")).unwrap()
    }

    /// A slot holding HEAD.
    fn slot(&self) -> (Slot, Tip) {
        let slot = self.pool().acquire(None).unwrap();
        let head = self.repo().resolve("HEAD").unwrap();
        slot.reset(&head.commit, &[]).unwrap();
        (slot, head)
    }

    /// The slot is reset, and then holds exactly what `git` thinks HEAD holds.
    fn check_reset(&self, slot: &Slot, head: &Tip) {
        self.check_reset_after("the test", slot, head);
    }

    fn check_reset_after(&self, what: &str, slot: &Slot, head: &Tip) {
        slot.reset(&head.commit, &[]).unwrap();
        let expected = self.home.path().join("expected");
        let _ = fs::remove_dir_all(&expected);
        fs::create_dir(&expected).unwrap();
        let expected_text = expected.to_str().unwrap();
        let index = self.home.path().join("expected.index");
        let _ = fs::remove_file(&index);
        let mut command = Command::new("git");
        command
            .current_dir(self.top())
            .env("GIT_INDEX_FILE", &index)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.args([
            "--work-tree",
            expected_text,
            "checkout",
            head.commit.as_str(),
            "--",
            ".",
        ]);
        assert!(command.status().unwrap().success());
        assert_eq!(contents(slot.path()), contents(&expected), "after {what}");
        assert_eq!(
            git_in(slot.path(), &["status", "--porcelain", "--ignored"]),
            "",
            "after {what}"
        );
        assert_eq!(
            git_in(slot.path(), &["rev-parse", "HEAD"]),
            head.commit.as_str()
        );
        assert_eq!(slot.snapshot(head, &terms(&[])).unwrap(), head.tree);
    }

    /// A commit on `base` in which these files have these texts; `None` = removed.
    fn change(&self, base: &CommitId, files: &[(&str, Option<&str>)]) -> Tip {
        let (repo, slot) = (self.repo(), self.pool().acquire(None).unwrap());
        slot.reset(base, &[]).unwrap();
        for (path, text) in files {
            match text {
                Some(text) => put(slot.path(), path, text),
                None => fs::remove_file(slot.path().join(path)).unwrap(),
            }
        }
        let base = repo.tip(base).unwrap();
        let tree = slot.snapshot(&base, &terms(&[])).unwrap();
        let commit = repo
            .commit(&tree, &[base.commit], &message("change"), WHEN)
            .unwrap();
        Tip { commit, tree }
    }
}

/// Anything goes.
fn terms(keep: &[String]) -> Terms<'_> {
    Terms {
        keep,
        change_limit: Size::USUAL,
        may_write: &|_| true,
    }
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn message(subject: &str) -> CommitMessage {
    CommitMessage::new(
        subject,
        &"20261122t185155z-4f2a9c".parse().unwrap(),
        &"api".parse().unwrap(),
        1,
    )
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

/// Every file below a directory but `.git`: mode and bytes, or where a link leads.
fn contents(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if name == Path::new(".git") {
                continue;
            }
            let meta = fs::symlink_metadata(&path).unwrap();
            let text = if meta.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                todo.push(path.clone());
                "directory".to_owned()
            } else {
                format!(
                    "{:o} {:?}",
                    meta.permissions().mode() & 0o100,
                    fs::read(&path).unwrap()
                )
            };
            found.insert(name, text);
        }
    }
    found
}

fn refusal(directory: &Path) -> String {
    let error = Repo::discover(directory).unwrap_err();
    error
        .in_full()
        .replace(directory.to_str().unwrap(), "[DIR]")
}

#[test]
fn what_omk_cannot_work_with_is_refused_with_the_reason_and_the_next_step() {
    let outside = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(refusal(outside.path()), @"[DIR] is not inside a git repository; go to one, or make one with `git init` and a first commit");
    let world = World::empty();
    insta::assert_snapshot!(refusal(&world.top()), @"[DIR] has no commit at HEAD; make one first: `git add -A && git commit`");
    for (kind, options) in [
        ("bare", "--bare"),
        ("reftable", "--ref-format=reftable"),
        ("sha256", "--object-format=sha256"),
    ] {
        let directory = world.home.path().join(kind);
        git_in(world.home.path(), &["init", "--quiet", options, kind]);
        if kind != "bare" {
            git_in(
                &directory,
                &["commit", "--quiet", "--allow-empty", "-m", "x"],
            );
        }
        match kind {
            "bare" => {
                insta::assert_snapshot!(refusal(&directory), @"[DIR] is a bare repository, without files to work on; clone it (`git clone [DIR] work`) and run omk there")
            }
            "reftable" => {
                insta::assert_snapshot!(refusal(&directory), @"[DIR]/.git stores its refs as reftable, which omk cannot open; `git refs migrate --ref-format=files` converts it (git 2.46 or newer), or clone it with `--ref-format=files`")
            }
            _ => {
                insta::assert_snapshot!(refusal(&directory), @"[DIR]/.git names its objects by sha256, which omk cannot open; clone it from a repository that names them by SHA-1: no other works so far")
            }
        }
    }
}

#[test]
fn the_users_checkout_is_never_touched_though_it_is_dirty_and_in_the_middle_of_a_merge() {
    let world = World::new();
    world.git(&["checkout", "--quiet", "-b", "side"]);
    world.write("a.txt", "side\n");
    world.commit("side");
    world.git(&["checkout", "--quiet", "main"]);
    world.write("a.txt", "main\n");
    world.commit("main");
    let mut merge = Command::new("git");
    assert!(
        !merge
            .current_dir(world.top())
            .args(["-c", "user.name=A", "-c", "user.email=a@b", "merge", "side"])
            .output()
            .unwrap()
            .status
            .success()
    );
    world.write("dirty", "dirty\n");
    let state = || {
        let mut state = contents(&world.top());
        for file in [
            "HEAD",
            "index",
            "MERGE_HEAD",
            "MERGE_MSG",
            "config",
            "refs/heads/main",
            "refs/heads/side",
            "logs/HEAD",
        ] {
            let bytes = fs::read(world.top().join(".git").join(file)).unwrap();
            state.insert(file.into(), format!("{bytes:?}"));
        }
        state
    };
    let before = state();
    let (slot, head) = world.slot();
    put(slot.path(), "new", "new\n");
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    let repo = world.repo();
    let commit = repo
        .commit(
            &tree,
            std::slice::from_ref(&head.commit),
            &message("new"),
            WHEN,
        )
        .unwrap();
    let landed = repo
        .land(&head, &Tip { commit, tree }, &message("new"), WHEN)
        .unwrap();
    assert!(matches!(landed, MergeOutcome::Clean(_)));
    world.check_reset(&slot, &head);
    drop(slot);
    world.pool().remove_idle().unwrap();
    assert_eq!(state(), before);
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_slot_is_restored_whatever_the_last_holder_left() {
    type Vandal = fn(&Path, &Path);
    let vandals: &[(&str, Vandal)] = &[
        ("edits, removals, new and ignored files", |slot, _| {
            put(slot, "a.txt", "b\n");
            fs::remove_file(slot.join("src/lib.rs")).unwrap();
            put(slot, "new/file", "x");
            put(slot, "target/debug/x", "x");
            put(slot, "x.log", "x");
        }),
        ("same size, same modification time", |slot, _| {
            let file = slot.join("a.txt");
            let times = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, "z\n").unwrap();
            fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(times)
                .unwrap();
        }),
        (
            "a directory for a file and a file for a directory",
            |slot, _| {
                fs::remove_file(slot.join("a.txt")).unwrap();
                put(slot, "a.txt/x", "x");
                fs::remove_dir_all(slot.join("src")).unwrap();
                put(slot, "src", "x");
            },
        ),
        ("the .git file", |slot, _| {
            fs::remove_file(slot.join(".git")).unwrap()
        }),
        ("a repository in place of the .git file", |slot, _| {
            fs::remove_file(slot.join(".git")).unwrap();
            git_in(slot, &["init", "--quiet"]);
            git_in(slot, &["config", "core.worktree", "/"]);
        }),
        (
            "commits, another HEAD, a locked index, hooks and settings",
            |slot, admin| {
                put(slot, "a.txt", "b\n");
                git_in(slot, &["commit", "--quiet", "-am", "mine"]);
                git_in(slot, &["checkout", "--quiet", "-b", "mine"]);
                put(admin, "index.lock", "");
                put(admin, "config.worktree", "[core]\n\tworktree = /\n");
                put(admin, "hooks/post-checkout", "#!/bin/sh\nexit 1\n");
                put(
                    admin,
                    "MERGE_HEAD",
                    "0000000000000000000000000000000000000001\n",
                );
                put(admin, "commondir", "/\n");
                put(admin, "index", "not an index");
            },
        ),
        ("modes", |slot, _| {
            fs::set_permissions(slot.join("run.sh"), fs::Permissions::from_mode(0o600)).unwrap();
            fs::set_permissions(slot.join("a.txt"), fs::Permissions::from_mode(0o000)).unwrap();
            put(slot, "locked/in/here", "x");
            fs::set_permissions(slot.join("locked/in"), fs::Permissions::from_mode(0o500)).unwrap();
            fs::set_permissions(slot.join("src/deep"), fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("a repository of its own", |slot, _| {
            put(slot, "own/file", "x");
            git_in(&slot.join("own"), &["init", "--quiet"]);
            git_in(&slot.join("own"), &["add", "-A"]);
            git_in(&slot.join("own"), &["commit", "--quiet", "-m", "x"]);
        }),
        ("nothing at all", |slot, _| {
            fs::remove_dir_all(slot).unwrap()
        }),
        ("nothing of it in the repository", |_, admin| {
            fs::remove_dir_all(admin).unwrap()
        }),
        ("everything empty", |slot, _| {
            for entry in fs::read_dir(slot).unwrap() {
                let path = entry.unwrap().path();
                let _ = fs::remove_dir_all(&path);
                let _ = fs::remove_file(&path);
            }
        }),
        ("thousands of files", |slot, _| {
            for number in 0..3000 {
                put(slot, &format!("many/{}/{number}", number % 50), "x");
            }
        }),
        ("directories deeper than any path", |slot, _| {
            let mut shell = Command::new("sh");
            let name = "d".repeat(100);
            let script = format!(
                "i=0; while [ $i -lt 150 ]; do mkdir {name} && cd -P {name} || exit 0; i=$((i+1)); done"
            );
            assert!(
                shell
                    .current_dir(slot)
                    .args(["-c", &script])
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("pipes", |slot, _| {
            fs::remove_file(slot.join("a.txt")).unwrap();
            let made = Command::new("mkfifo")
                .current_dir(slot)
                .args(["a.txt", "src/pipe"])
                .status();
            assert!(made.unwrap().success());
        }),
        ("links in place of files and directories", |slot, _| {
            fs::remove_dir_all(slot.join("src")).unwrap();
            symlink(
                slot.parent().unwrap().join("../../../outside"),
                slot.join("src"),
            )
            .unwrap();
            symlink("/etc", slot.join("etc")).unwrap();
            fs::remove_file(slot.join("link")).unwrap();
            symlink("run.sh", slot.join("link")).unwrap();
        }),
    ];
    let world = World::new();
    let outside = world.home.path().join("outside");
    put(&outside, "deep/er/x", "precious");
    let (slot, head) = world.slot();
    for (what, vandal) in vandals {
        vandal(slot.path(), slot.git_dir());
        world.check_reset_after(what, &slot, &head);
        assert_eq!(
            fs::read_to_string(outside.join("deep/er/x")).unwrap(),
            "precious"
        );
    }
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_slot_replaced_by_a_link_is_neither_read_nor_cleared_through_it() {
    let world = World::new();
    let (slot, head) = world.slot();
    let outside = world.home.path().join("outside");
    put(&outside, "precious", "x");
    fs::remove_dir_all(slot.path()).unwrap();
    symlink(&outside, slot.path()).unwrap();
    assert_eq!(
        slot.snapshot(&head, &terms(&[])).unwrap(),
        world.repo().empty_tree().unwrap()
    );
    world.check_reset(&slot, &head);
    assert!(outside.join("precious").exists());
}

#[test]
fn a_snapshot_is_what_git_add_all_would_commit() {
    let world = World::new();
    let (slot, head) = world.slot();
    let root = slot.path();
    put(root, "a.txt", "changed\n");
    fs::remove_file(root.join("src/deep/er/x")).unwrap();
    fs::set_permissions(root.join("src/lib.rs"), fs::Permissions::from_mode(0o755)).unwrap();
    put(root, "with space/and\nnewline", "x");
    fs::write(root.join(OsStr::from_bytes(b"not-\xff-utf8")), b"x").unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    put(root, "link/now/a/directory", "x");
    put(root, "ignored.log", "x");
    put(root, "target/x", "x");
    put(root, ".gitignore", "target/\n!*.log\nsecret\n");
    put(root, "src/secret", "x");
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    git_in(root, &["add", "-A"]);
    assert_eq!(tree.as_str(), git_in(root, &["write-tree"]));
    let changed: Vec<String> = world
        .repo()
        .changed_paths(&head.tree, &tree)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(changed.join("\n"), @r#"
    .gitignore
    a.txt
    dangling
    ignored.log
    link
    link/now/a/directory
    "not-\377-utf8"
    src/deep/er/x
    src/lib.rs
    "with space/and\nnewline"
    "#);
    world.check_reset(&slot, &head);
}

#[test]
fn a_repository_made_in_a_slot_is_ordinary_files() {
    let world = World::new();
    let (slot, head) = world.slot();
    put(slot.path(), "own/file", "x");
    git_in(&slot.path().join("own"), &["init", "--quiet"]);
    git_in(&slot.path().join("own"), &["add", "-A"]);
    git_in(&slot.path().join("own"), &["commit", "--quiet", "-m", "x"]);
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    assert_eq!(
        world.repo().changed_paths(&head.tree, &tree).unwrap(),
        [path("own/file")]
    );
}

#[test]
fn kept_caches_stay_and_are_no_part_of_a_change() {
    let world = World::new();
    let (slot, head) = world.slot();
    let keep = [
        "target".to_owned(),
        "web/node_modules".to_owned(),
        "../escape".to_owned(),
    ];
    put(slot.path(), "target/debug/x", "x");
    put(slot.path(), "web/node_modules/y", "y");
    put(slot.path(), "web/other", "z");
    let tree = slot.snapshot(&head, &terms(&keep)).unwrap();
    assert_eq!(
        world.repo().changed_paths(&head.tree, &tree).unwrap(),
        [path("web/other")]
    );
    slot.reset(&head.commit, &keep).unwrap();
    assert!(
        slot.path().join("target/debug/x").exists()
            && slot.path().join("web/node_modules/y").exists()
    );
    assert!(!slot.path().join("web/other").exists());
    fs::remove_dir_all(slot.path().join("target")).unwrap();
    symlink("/tmp", slot.path().join("target")).unwrap();
    slot.reset(&head.commit, &keep).unwrap();
    assert!(
        fs::symlink_metadata(slot.path().join("target")).is_err(),
        "a link is no cache"
    );
}

#[test]
fn an_unchanged_file_is_not_written_again_by_this_process_or_the_next() {
    let world = World::new();
    let (slot, head) = world.slot();
    let modified = |slot: &Slot| {
        fs::metadata(slot.path().join("a.txt"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let first = modified(&slot);
    put(slot.path(), "src/lib.rs", "other\n");
    slot.reset(&head.commit, &[]).unwrap();
    assert_eq!(modified(&slot), first);
    drop(slot);
    let (slot, _) = world.slot();
    assert_eq!(modified(&slot), first);
}

#[test]
fn a_condemned_slot_is_taken_by_nobody_until_it_is_removed() {
    let world = World::new();
    let pool = world.pool();
    let slot = pool.acquire(None).unwrap();
    let name = slot.name();
    slot.condemn().unwrap();
    drop(slot);
    assert_ne!(pool.acquire(None).unwrap().name(), name);
    assert_ne!(
        world.pool().acquire(Some(name)).unwrap().name(),
        name,
        "nor in another process"
    );
    assert!(pool.remove_idle().unwrap().gone.contains(&name));
    assert_eq!(pool.acquire(None).unwrap().name(), name);
}

#[test]
fn two_holders_never_share_a_slot() {
    let world = World::new();
    let (pool, other) = (world.pool(), world.pool());
    let first = pool.acquire(None).unwrap();
    let second = other.acquire(Some(first.name())).unwrap();
    assert_ne!(first.name(), second.name());
    let name = second.name();
    assert_eq!(world.pool().remove_idle().unwrap().gone, []);
    drop((first, second));
    assert_eq!(pool.acquire(Some(name)).unwrap().name(), name);
    assert_eq!(pool.remove_idle().unwrap().gone.len(), 2);
    assert_eq!(
        fs::read_dir(world.top().join(".git/worktrees")).map_or(0, Iterator::count),
        0
    );
}

#[test]
fn trusted_paths_are_restored_and_strangers_among_them_removed_and_git_sees_none_of_it() {
    let world = World::new();
    world.write("scripts/test.sh", "real\n");
    world.write("scripts/old.sh", "real\n");
    world.write("words.txt", "real\n");
    symlink("../words.txt", world.top().join("scripts/words")).unwrap();
    let trusted = world.commit("scripts");
    let wanted =
        |path: &RepoPath| path.as_bytes() == b"scripts" || path.as_bytes().starts_with(b"scripts/");
    let laid_over = |what: &str| {
        let head = world.commit(what);
        let (slot, _) = world.slot();
        slot.reset(&head, &[]).unwrap();
        slot.lay_over_unseen(
            &world.repo().tip(&head).unwrap().tree,
            &trusted,
            &[],
            &wanted,
        )
        .unwrap();
        let at = |path: &str| fs::read_to_string(slot.path().join(path)).unwrap();
        assert_eq!(
            (at("scripts/test.sh"), at("scripts/words")),
            ("real\n".into(), "real\n".into()),
            "{what}"
        );
        assert!(!slot.path().join("scripts/evil.sh").exists(), "{what}");
        let git = Command::new("git")
            .args(["status", "--porcelain"])
            .current_dir(slot.path())
            .output()
            .unwrap();
        String::from_utf8(git.stdout).unwrap()
    };
    assert_eq!(laid_over("nothing else"), "");
    world.write("scripts/test.sh", "fake\n");
    world.write("scripts/evil.sh", "fake\n");
    world.write("words.txt", "fake\n");
    assert_eq!(laid_over("another text"), "");
    fs::remove_file(world.top().join("scripts/old.sh")).unwrap();
    assert_eq!(laid_over("one file less"), "?? scripts/old.sh\n");
    let outside = world.home.path().join("outside");
    put(&outside, "test.sh", "precious");
    fs::remove_dir_all(world.top().join("scripts")).unwrap();
    symlink(&outside, world.top().join("scripts")).unwrap();
    laid_over("a link in the place of the directory");
    assert_eq!(
        fs::read_to_string(outside.join("test.sh")).unwrap(),
        "precious"
    );
}

#[test]
fn line_ends_and_filters_are_those_of_git() {
    let world = World::new();
    world.write(
        ".gitattributes",
        "*.txt text eol=crlf\n*.up filter=upper\n*.lfs filter=lfs diff=lfs merge=lfs -text\n",
    );
    world.git(&["config", "filter.upper.clean", "tr a-z A-Z"]);
    world.git(&["config", "filter.upper.smudge", "tr A-Z a-z"]);
    world.git(&["config", "filter.lfs.clean", "cat"]);
    world.write("x.up", "hello\n");
    world.write(
        "big.lfs",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    );
    world.write("name with\nnewline.up", "x\n");
    world.commit("attributes");
    let (slot, head) = world.slot();
    assert_eq!(fs::read(slot.path().join("a.txt")).unwrap(), b"a\r\n");
    assert_eq!(fs::read(slot.path().join("x.up")).unwrap(), b"hello\n");
    world.check_reset(&slot, &head);
    put(slot.path(), "x.up", "world\n");
    put(slot.path(), "own/new.txt", "x\r\ny\r\n");
    git_in(&slot.path().join("own"), &["init", "--quiet"]);
    symlink("x.up", slot.path().join("l.up")).unwrap();
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    let text = |at: &str| world.git(&["cat-file", "-p", &format!("{tree}:{at}")]);
    assert_eq!(
        (text("x.up"), text("own/new.txt"), text("l.up")),
        ("WORLD".into(), "x\ny".into(), "x.up".into())
    );
    assert_eq!(
        world.repo().changed_paths(&head.tree, &tree).unwrap().len(),
        3
    );
    world.check_reset(&slot, &head);
    // The task takes the conversions away: a file that it writes counts as what it holds now, and
    // no other one.
    fs::remove_file(slot.path().join(".gitattributes")).unwrap();
    put(slot.path(), "x.up", "other\n");
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    let changed = world.repo().changed_paths(&head.tree, &tree).unwrap();
    assert_eq!(changed, [path(".gitattributes"), path("x.up")]);
    assert_eq!(
        world.git(&["cat-file", "-p", &format!("{tree}:x.up")]),
        "other"
    );
    // And brings others.
    world.check_reset(&slot, &head);
    put(slot.path(), ".gitattributes", "*.rs filter=upper\n");
    put(slot.path(), "src/lib.rs", "shout\n");
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    assert_eq!(
        world.git(&["cat-file", "-p", &format!("{tree}:src/lib.rs")]),
        "SHOUT"
    );
    world.git(&["config", "filter.lfs.required", "true"]);
    world.git(&["config", "filter.lfs.smudge", "no-such-program-here"]);
    world.git(&["config", "filter.lfs.clean", "no-such-program-here"]);
    fs::remove_file(slot.path().join("big.lfs")).unwrap();
    let error = slot.reset(&head.commit, &[]).unwrap_err().in_full();
    assert!(error.contains("git lfs install"), "{error}");
}

#[test]
fn crlf_in_the_base_stays_where_only_new_files_are_normalised() {
    let world = World::new();
    world.write("dos.txt", "x\r\ny\r\n");
    world.commit("dos");
    world.write(".gitattributes", "* text=auto\n");
    world.git(&["add", ".gitattributes"]);
    world.commit("auto");
    let (slot, head) = world.slot();
    put(slot.path(), "dos.txt", "x\r\ny\r\nz\r\n");
    put(slot.path(), "new.txt", "x\r\n");
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    git_in(slot.path(), &["add", "-A"]);
    assert_eq!(tree.as_str(), git_in(slot.path(), &["write-tree"]));
}

/// Put together here, so that no scanner takes it for a leak.
fn planted() -> String {
    ["aB3dE5gH7jK9", "mN1pQ2rS"].concat()
}

#[test]
fn a_known_secret_is_refused_before_it_is_an_object() {
    let world = World::new();
    let secret = planted();
    world.write("old.txt", &format!("{secret}\n"));
    world.write("crlf.txt", "x\n");
    world.write(".gitattributes", "crlf.txt text eol=crlf\n");
    world.commit("the base has one");
    let pool = world.pool().refusing(Scrubber::new([&secret]));
    let slot = pool.acquire(None).unwrap();
    let head = world.repo().resolve("HEAD").unwrap();
    let refused = |what: &str| {
        let error = slot.snapshot(&head, &terms(&[])).unwrap_err();
        assert!(
            error.is_scope() && error.to_string().contains(what),
            "{what}: {error}"
        );
        assert!(!error.to_string().contains(&secret), "{error}");
        slot.reset(&head.commit, &[]).unwrap();
    };
    slot.reset(&head.commit, &[]).unwrap();
    // What the base has is nobody's doing: not if the file was only touched, and not if its mode is
    // another.
    fs::write(slot.path().join("old.txt"), format!("{secret}\n")).unwrap();
    assert_eq!(slot.snapshot(&head, &terms(&[])).unwrap(), head.tree);
    put(slot.path(), "deep/new.txt", &format!("x{secret}"));
    refused("`deep/new.txt`: its content");
    put(slot.path(), "crlf.txt", &format!("x\r\n{secret}\r\n"));
    refused("`crlf.txt`: its content");
    put(slot.path(), &format!("a-{secret}/b.txt"), "x");
    refused("`a-***/b.txt`: its name");
    symlink(&secret, slot.path().join("link2")).unwrap();
    refused("`link2`: its content");
    fs::write(
        slot.path().join("large"),
        [vec![0; 17 << 20], secret.clone().into_bytes()].concat(),
    )
    .unwrap();
    refused("`large`: its content");
    let objects = world.git(&["cat-file", "--batch-all-objects", "--batch"]);
    assert_eq!(objects.matches(&secret).count(), 1, "the base's own");
}

#[test]
fn a_change_from_elsewhere_is_searched_for_secrets_in_its_objects() {
    let world = World::new();
    let (repo, secret) = (world.repo(), planted());
    let head = repo.resolve("HEAD").unwrap();
    let scrubber = Scrubber::new([&secret]);
    let check = |path: &str, text: &str| {
        let tip = world.change(&head.commit, &[(path, Some(text))]);
        repo.refuse_secrets(&head.tree, &tip.tree, &scrubber)
            .map_err(|error| error.to_string())
    };
    assert_eq!(check("plain.txt", "nothing"), Ok(()));
    assert!(
        check("held.txt", &secret)
            .unwrap_err()
            .contains("`held.txt`: its content")
    );
    assert!(
        check(&format!("{secret}.txt"), "x")
            .unwrap_err()
            .contains("`***.txt`: its name")
    );
}

#[test]
fn submodules_stay_what_they_were_and_files_in_them_are_refused() {
    let world = World::new();
    let inner = World::new();
    world.git(&[
        "submodule",
        "--quiet",
        "add",
        inner.top().to_str().unwrap(),
        "sub/module",
    ]);
    world.commit("submodule");
    // A clone that was made without its submodules.
    fs::remove_dir_all(world.top().join(".git/modules")).unwrap();
    let (slot, head) = world.slot();
    assert_eq!(
        world.repo().entry(&head.tree, &path("sub/module")).unwrap(),
        Some(EntryKind::Submodule)
    );
    assert_eq!(slot.snapshot(&head, &terms(&[])).unwrap(), head.tree);
    put(slot.path(), "sub/module/stray", "x");
    let error = slot.snapshot(&head, &terms(&[])).unwrap_err();
    assert!(
        error.is_scope() && error.to_string().contains("sub/module"),
        "{error}"
    );
    world.check_reset(&slot, &head);
    fs::remove_dir(slot.path().join("sub/module")).unwrap();
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    let changed = world.repo().changed(&head.tree, &tree).unwrap();
    assert!(
        changed.len() == 1 && changed[0].is_submodule() && changed[0].after.is_none(),
        "{changed:?}"
    );
}

#[test]
fn links_that_lead_out_are_found() {
    let world = World::new();
    let (slot, head) = world.slot();
    symlink("../../..", slot.path().join("src/up")).unwrap();
    symlink("deep/../lib.rs", slot.path().join("src/fine")).unwrap();
    symlink("/etc/passwd", slot.path().join("absolute")).unwrap();
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    assert_eq!(
        world.repo().escaping_symlinks(&head.tree, &tree).unwrap(),
        [path("absolute"), path("src/up")]
    );
    assert_eq!(world.repo().escaping_symlinks(&tree, &tree).unwrap(), []);
}

#[test]
fn pipes_in_place_of_rules_do_not_hold_a_snapshot_forever() {
    for name in [".gitignore", ".gitattributes"] {
        let world = World::new();
        let (slot, head) = world.slot();
        fs::create_dir(slot.path().join("new")).unwrap();
        put(slot.path(), "new/a", "x");
        assert!(
            Command::new("mkfifo")
                .arg(slot.path().join("new").join(name))
                .status()
                .unwrap()
                .success()
        );
        assert!(slot.snapshot(&head, &terms(&[])).unwrap_err().is_scope());
    }
}

#[test]
fn a_change_lands_as_one_commit_and_a_conflict_names_its_paths() {
    let world = World::new();
    let repo = world.repo();
    let base = repo.resolve("HEAD").unwrap();
    let one = world.change(&base.commit, &[("src/lib.rs", Some("ONE\ntwo\nthree\n"))]);
    let two = world.change(
        &base.commit,
        &[
            ("src/lib.rs", Some("one\ntwo\nTHREE\n")),
            ("new", Some("x")),
        ],
    );
    let clash = world.change(&base.commit, &[("src/lib.rs", Some("uno\ntwo\nthree\n"))]);
    let MergeOutcome::Clean(tip) = repo.land(&base, &one, &message("one"), WHEN).unwrap() else {
        panic!("one is clean")
    };
    assert_eq!(tip.tree, one.tree);
    let MergeOutcome::Clean(tip) = repo.land(&tip, &two, &message("two"), WHEN).unwrap() else {
        panic!("two is clean")
    };
    let read = |name: &str| {
        String::from_utf8(repo.read_file(&tip.commit, &path(name)).unwrap().unwrap()).unwrap()
    };
    assert_eq!(
        (read("src/lib.rs"), read("new")),
        ("ONE\ntwo\nTHREE\n".into(), "x".into())
    );
    assert_eq!(
        repo.land(&tip, &clash, &message("x"), WHEN).unwrap(),
        MergeOutcome::Conflict(vec![path("src/lib.rs")])
    );
    assert_eq!(
        repo.land(&tip, &one, &message("x"), WHEN).unwrap(),
        MergeOutcome::Empty
    );
    let run = "20261122t185155z-4f2a9c".parse().unwrap();
    Anchor::new(&repo, &run)
        .settle(&base.tree, &tip, WHEN)
        .unwrap();
    assert!(repo.is_whole(&tip.commit).unwrap());
    assert_eq!(
        Trailers::of(&repo.message(&tip.commit).unwrap())
            .unwrap()
            .task
            .unwrap()
            .as_str(),
        "api"
    );
    world.git(&["fsck", "--strict"]);
}

#[test]
fn a_renamed_file_takes_the_other_sides_edit_along() {
    let world = World::new();
    let long: String = (0..50).map(|number| format!("line {number}\n")).collect();
    world.write("old.rs", &long);
    let base = world.repo().tip(&world.commit("long")).unwrap();
    let renamed = world.change(&base.commit, &[("old.rs", None), ("new.rs", Some(&long))]);
    let edited = world.change(
        &base.commit,
        &[("old.rs", Some(&long.replace("line 7\n", "seven\n")))],
    );
    let MergeOutcome::Clean(tip) = world
        .repo()
        .land(&renamed, &edited, &message("x"), WHEN)
        .unwrap()
    else {
        panic!("clean")
    };
    let text = world
        .repo()
        .read_file(&tip.commit, &path("new.rs"))
        .unwrap()
        .unwrap();
    assert!(String::from_utf8(text).unwrap().contains("seven"));
    let paths = world
        .repo()
        .changed_paths(&base.tree, &renamed.tree)
        .unwrap();
    assert_eq!(paths, [path("new.rs"), path("old.rs")]);
}

#[test]
fn a_file_and_a_directory_of_one_name_are_a_conflict() {
    let world = World::new();
    let base = world.repo().resolve("HEAD").unwrap();
    let file = world.change(&base.commit, &[("thing", Some("x"))]);
    let directory = world.change(&base.commit, &[("thing/inside", Some("x"))]);
    let landed = world
        .repo()
        .land(&file, &directory, &message("x"), WHEN)
        .unwrap();
    assert!(matches!(landed, MergeOutcome::Conflict(paths) if !paths.is_empty()));
}

#[test]
fn a_base_of_results_is_the_same_commit_every_time() {
    let world = World::new();
    let repo = world.repo();
    let base = repo.resolve("HEAD").unwrap();
    let one = world.change(&base.commit, &[("one", Some("1"))]);
    let two = world.change(&base.commit, &[("two", Some("2"))]);
    let onto_one = world.change(&one.commit, &[("three", Some("3"))]);
    let of = |results: &[&Tip]| {
        let results: Vec<CommitId> = results.iter().map(|tip| tip.commit.clone()).collect();
        match repo.base_of(&base.commit, &results).unwrap() {
            MergedBase::Clean(tip) => tip,
            MergedBase::Conflict(paths) => panic!("{paths:?}"),
        }
    };
    assert_eq!(of(&[]), base);
    assert_eq!(of(&[&one]), one);
    assert_eq!(of(&[&one, &onto_one]), onto_one);
    assert_eq!(of(&[&onto_one, &one]), onto_one);
    let merged = of(&[&one, &two]);
    assert_eq!(merged, of(&[&one, &two]));
    let both = of(&[&onto_one, &two]);
    let names = world.git(&["ls-tree", "-r", "--name-only", both.tree.as_str()]);
    assert!(
        ["one", "two", "three"]
            .iter()
            .all(|name| names.lines().any(|line| line == *name)),
        "{names}"
    );
    // Two that were merged both ways, and so have two merge bases.
    let across = |results: [&Tip; 2]| {
        let onto = of(&results);
        world.change(
            &onto.commit,
            &[(if *results[0] == one { "left" } else { "right" }, Some("x"))],
        )
    };
    let crossed = of(&[&across([&one, &two]), &across([&two, &one])]);
    let names = world.git(&["ls-tree", "-r", "--name-only", crossed.tree.as_str()]);
    assert!(
        ["one", "two", "left", "right"]
            .iter()
            .all(|name| names.lines().any(|line| line == *name)),
        "{names}"
    );
    let clash = world.change(&base.commit, &[("one", Some("other"))]);
    let clashing = repo
        .base_of(&base.commit, &[one.commit, clash.commit])
        .unwrap();
    assert_eq!(clashing, MergedBase::Conflict(vec![path("one")]));
}

#[test]
fn a_branch_is_moved_only_from_where_it_was_expected() {
    let world = World::new();
    let repo = world.repo();
    let head = repo.resolve("HEAD").unwrap().commit;
    let ours = world.change(&head, &[("x", Some("x"))]).commit;
    let go = |to: &CommitId, expected: Expected| {
        repo.move_branch("omk/run/x", to, &expected, "omk: test", WHEN)
    };
    go(&head, Expected::Absent).unwrap();
    assert!(matches!(
        go(&ours, Expected::Absent),
        Err(GitError::BranchMoved { .. })
    ));
    assert!(matches!(
        go(&ours, Expected::At(ours.clone())),
        Err(GitError::BranchMoved { .. })
    ));
    go(&ours, Expected::At(head.clone())).unwrap();
    go(&head, Expected::Anything).unwrap();
    go(&ours, Expected::Anything).unwrap();
    assert_eq!(world.git(&["rev-parse", "omk/run/x"]), ours.as_str());
    assert!(world.git(&["reflog", "omk/run/x"]).contains("omk: test"));
    world.git(&["pack-refs", "--all"]);
    assert_eq!(repo.branch_tip("omk/run/x").unwrap(), Some(ours.clone()));
    assert_eq!(repo.omk_branches().unwrap().len(), 1);
    fs::create_dir_all(world.top().join(".git/refs/heads/omk/run")).unwrap();
    fs::write(world.top().join(".git/refs/heads/omk/run/x.lock"), "").unwrap();
    let error = go(&head, Expected::At(ours.clone())).unwrap_err();
    assert!(
        error.is_host() && error.to_string().contains(".git/refs/heads/omk/run/x.lock"),
        "{error:?}"
    );
    fs::remove_file(world.top().join(".git/refs/heads/omk/run/x.lock")).unwrap();
    assert!(
        repo.delete_branch("omk/run/x", &Expected::At(head))
            .is_err()
    );
    repo.delete_branch("omk/run/x", &Expected::At(ours.clone()))
        .unwrap();
    repo.delete_branch("omk/run/x", &Expected::At(ours))
        .unwrap();
    assert_eq!(repo.branch_tip("omk/run/x").unwrap(), None);
    assert!(matches!(
        repo.branch_tip("a..b"),
        Err(GitError::BadBranch { .. })
    ));
}

#[test]
fn a_branch_called_omk_and_a_branch_checked_out_elsewhere_are_seen() {
    let world = World::new();
    let repo = world.repo();
    assert!(!repo.branch_named_omk_exists().unwrap());
    world.git(&["branch", "omk"]);
    assert!(repo.branch_named_omk_exists().unwrap());
    let head = repo.resolve("HEAD").unwrap().commit;
    let error = repo
        .move_branch("omk/run/x", &head, &Expected::Absent, "x", WHEN)
        .unwrap_err();
    insta::assert_snapshot!(error.in_full(), @"a branch called `omk` makes branches below `omk/` impossible; rename it: `git branch -m omk omk-old`");
    world.git(&["branch", "-m", "omk", "other"]);
    let elsewhere = world.home.path().join("elsewhere");
    world.git(&[
        "worktree",
        "add",
        "--quiet",
        elsewhere.to_str().unwrap(),
        "other",
    ]);
    assert_eq!(
        repo.checked_out_anywhere("other").unwrap(),
        Some(elsewhere.clone())
    );
    assert_eq!(
        repo.checked_out_anywhere("main").unwrap(),
        Some(fs::canonicalize(world.top()).unwrap())
    );
    assert_eq!(repo.checked_out_anywhere("omk/run/x").unwrap(), None);
    let (slot, _) = world.slot();
    git_in(slot.path(), &["checkout", "--quiet", "-b", "omk/run/x"]);
    assert_eq!(
        repo.checked_out_anywhere("omk/run/x").unwrap(),
        None,
        "what a child did in a slot does not count"
    );
    let from_there = Repo::discover(&elsewhere).unwrap();
    assert_eq!(from_there.common_dir(), repo.common_dir());
    assert_eq!(from_there.workdir(), fs::canonicalize(elsewhere).unwrap());
}

#[test]
fn shallow_and_partial_clones_work() {
    let world = World::new();
    world.write("later", "x\n");
    world.commit("later");
    world.git(&["config", "uploadpack.allowFilter", "true"]);
    world.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", world.top().display());
    for option in ["--depth=1", "--filter=blob:none"] {
        let other = World {
            home: tempfile::tempdir().unwrap(),
        };
        git_in(
            other.home.path(),
            &["clone", "--quiet", option, "--no-checkout", &url, "repo"],
        );
        let (slot, head) = other.slot();
        other.check_reset(&slot, &head);
        let one = other.change(&head.commit, &[("one", Some("1"))]);
        let two = other.change(&head.commit, &[("two", Some("2"))]);
        let repo = other.repo();
        assert!(matches!(
            repo.land(&one, &two, &message("x"), WHEN).unwrap(),
            MergeOutcome::Clean(_)
        ));
        assert!(matches!(
            repo.base_of(&head.commit, &[one.commit, two.commit])
                .unwrap(),
            MergedBase::Clean(_)
        ));
    }
}

#[test]
fn settings_of_worktrees_do_not_reach_a_slot() {
    let world = World::new();
    world.git(&["config", "extensions.worktreeConfig", "true"]);
    world.git(&["sparse-checkout", "set", "src"]);
    let (slot, head) = world.slot();
    assert!(slot.path().join("src/deep/er/x").exists());
    put(
        slot.git_dir(),
        "config.worktree",
        "[core]\n\tworktree = /\n",
    );
    world.check_reset(&slot, &head);
}

#[test]
fn the_plan_is_read_at_a_commit() {
    let world = World::new();
    let (repo, first) = (world.repo(), world.repo().resolve("HEAD").unwrap().commit);
    world.write("a.txt", "changed\n");
    world.commit("second");
    assert_eq!(
        repo.read_file(&first, &path("a.txt")).unwrap().unwrap(),
        b"a\n"
    );
    assert_eq!(repo.read_file(&first, &path("nowhere/x")).unwrap(), None);
    assert_eq!(repo.read_file(&first, &path("link")).unwrap(), None);
    assert!(repo.head_differs(&path("a.txt"), b"a\n").unwrap());
    assert!(!repo.head_differs(&path("a.txt"), b"changed\n").unwrap());
    assert_eq!(
        repo.last_commit_with(&path("a.txt"), b"a\n").unwrap(),
        Some(first)
    );
    assert_eq!(
        repo.last_commit_with(&path("a.txt"), b"never").unwrap(),
        None
    );
    assert!(matches!(
        repo.resolve("no-such"),
        Err(GitError::UnknownRevision { .. })
    ));
}

#[test]
fn many_threads_use_the_room_at_once() {
    let world = World::new();
    let (repo, pool) = (world.repo(), world.pool());
    let head = repo.resolve("HEAD").unwrap();
    let trees: Vec<TreeId> = std::thread::scope(|scope| {
        let work = |number: u32| {
            let (pool, head) = (&pool, &head);
            move || {
                let slot = pool.acquire(None).unwrap();
                for round in 0..5 {
                    slot.reset(&head.commit, &[]).unwrap();
                    put(slot.path(), "mine", &format!("{number}"));
                    if round == 4 {
                        return slot.snapshot(head, &terms(&[])).unwrap();
                    }
                }
                unreachable!("the fifth round returns")
            }
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(work(number))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (number, tree) in trees.iter().enumerate() {
        assert_eq!(
            world.git(&["cat-file", "-p", &format!("{tree}:mine")]),
            number.to_string()
        );
    }
}

#[test]
fn a_git_file_that_leads_nowhere_is_named() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), ".git", "gitdir: /nowhere/x\n");
    fs::create_dir(outside.path().join("below")).unwrap();
    let error = Repo::discover(&outside.path().join("below"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("leads to no repository"), "{error}");
}

#[test]
fn locks_that_a_killed_omk_left_are_no_obstacle() {
    let world = World::new();
    world.write(".gitattributes", "*.txt eol=crlf\n");
    world.commit("attributes");
    let (slot, head) = world.slot();
    for kind in ["index", "known", "list"] {
        fs::write(slot.path().with_extension(format!("{kind}.lock")), "").unwrap();
    }
    put(slot.path(), "a.txt", "b\r\n");
    assert_ne!(slot.snapshot(&head, &terms(&[])).unwrap(), head.tree);
    world.check_reset(&slot, &head);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn what_is_ignored_is_what_git_ignores(
        rules in prop::collection::vec("(!)?(/)?(a|b|\\*|\\*\\*|a\\*|\\*b|\\?|\\[!a\\]|\\[ab\\])(/(a|b|\\*|\\*\\*|x))?(/)?", 0..5),
        nested in prop::collection::vec("(!)?(/)?(a|b|x|\\*)(/)?", 0..3),
        files in prop::collection::btree_set("([ab]/){0,3}(x|ab|aa)", 1..12),
    ) {
        let world = World::new();
        world.write("a/b/tracked", "x");
        world.commit("tracked");
        let (slot, head) = world.slot();
        put(slot.path(), ".gitignore", &rules.join("\n"));
        put(slot.path(), "a/.gitignore", &nested.join("\n"));
        for file in &files {
            put(slot.path(), file, file);
        }
        let tree = slot.snapshot(&head, &terms(&[])).unwrap();
        git_in(slot.path(), &["add", "-A"]);
        let by_git: TreeId = git_in(slot.path(), &["write-tree"]).parse().unwrap();
        prop_assert_eq!(world.repo().changed_paths(&by_git, &tree).unwrap(), []);
    }
}

#[test]
fn what_a_crash_lost_is_noticed() {
    let world = World::new();
    let repo = world.repo();
    let head = repo.resolve("HEAD").unwrap();
    let change = world.change(&head.commit, &[("new/file", Some("x"))]);
    assert!(repo.is_whole(&change.commit).unwrap());
    let blob = world.git(&["rev-parse", &format!("{}:new/file", change.tree)]);
    fs::remove_file(
        world
            .top()
            .join(".git/objects")
            .join(&blob[..2])
            .join(&blob[2..]),
    )
    .unwrap();
    assert!(!world.repo().is_whole(&change.commit).unwrap());
    assert!(
        !repo
            .is_whole(&"0123456789012345678901234567890123456789".parse().unwrap())
            .unwrap()
    );
}

#[test]
fn the_room_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(Repo, Pool, Slot, GitError)>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn landing_is_what_git_merges(
        ours in prop::collection::btree_map("[ab](/[ab])?", 0..4u8, 1..4),
        theirs in prop::collection::btree_map("[ab](/[ab])?", 0..4u8, 1..4),
    ) {
        let world = World::new();
        for directory in ["a", "b"] {
            world.write(&format!("{directory}/a"), &format!("{directory} first\nsecond\nthird\n"));
        }
        let base = world.repo().tip(&world.commit("base")).unwrap();
        // 0 = removed, else other bytes; of two that cannot both be, the later one is.
        let side = |name: &str, edits: &BTreeMap<String, u8>| {
            let (repo, slot) = (world.repo(), world.pool().acquire(None).unwrap());
            slot.reset(&base.commit, &[]).unwrap();
            for (path, edit) in edits {
                let at = slot.path().join(path);
                let _ = fs::remove_dir_all(&at);
                let _ = fs::remove_file(&at);
                let parent = at.parent().unwrap();
                if parent.is_file() {
                    fs::remove_file(parent).unwrap();
                }
                match edit {
                    0 => {}
                    // Only where it is an edit: similar bytes elsewhere would be a rename.
                    2 if path.ends_with("/a") => put(slot.path(), path, &format!("{} first\nsecond\n{name} third\n", &path[..1])),
                    3 => put(slot.path(), path, "the same\n"),
                    _ => put(slot.path(), path, &format!("{name} {path} {}\n", name.repeat(40))),
                }
            }
            let tree = slot.snapshot(&base, &terms(&[])).unwrap();
            let parent = std::slice::from_ref(&base.commit);
            let commit = repo.commit(&tree, parent, &message("side"), WHEN).unwrap();
            Tip { commit, tree }
        };
        let (ours, theirs) = (side("ours", &ours), side("theirs", &theirs));
        let mut git = Command::new("git");
        git.current_dir(world.top()).args(["merge-tree", "--write-tree", "--name-only", "-Xno-renames"]);
        git.args([ours.commit.as_str(), theirs.commit.as_str()]);
        let output = git.output().unwrap();
        let landed = world.repo().land(&ours, &theirs, &message("x"), WHEN).unwrap();
        let by_git = String::from_utf8(output.stdout).unwrap();
        match landed {
            MergeOutcome::Clean(tip) => prop_assert_eq!((true, tip.tree.as_str()), (output.status.success(), by_git.trim_end())),
            MergeOutcome::Empty => prop_assert_eq!((true, ours.tree.as_str()), (output.status.success(), by_git.trim_end())),
            MergeOutcome::Conflict(paths) => prop_assert!(!output.status.success() && !paths.is_empty(), "{paths:?} {by_git}"),
        }
    }
}

/// What an agent is instructed by, in these tests.
fn instructs(path: &RepoPath) -> bool {
    path.to_string().ends_with("AGENTS.md") || path.to_string().starts_with(".agents")
}

#[test]
fn another_commits_files_are_laid_over_a_slot_and_taken_off_without_a_trace() {
    let world = World::new();
    world.write("AGENTS.md", "trusted\n");
    world.write("sub/AGENTS.md", "trusted below\n");
    world.write("tools/skills/x.md", "trusted skill\n");
    world.write("docs/agent.md", "trusted words\n");
    symlink("tools", world.top().join(".agents")).unwrap();
    symlink("../docs/agent.md", world.top().join("src/AGENTS.md")).unwrap();
    let trusted = world.commit("trusted");
    world.write("AGENTS.md", "bad\n");
    world.write("new/AGENTS.md", "bad too\n");
    world.write("docs/agent.md", "bad words\n");
    world.write("tools/skills/x.md", "bad skill\n");
    fs::remove_file(world.top().join("sub/AGENTS.md")).unwrap();
    world.commit("theirs");
    let (slot, head) = world.slot();
    let before = contents(slot.path());

    let overlay = slot
        .lay_over(&head.tree, &trusted, &[], &instructs)
        .unwrap()
        .unwrap();
    let read = |path: &str| fs::read_to_string(slot.path().join(path)).unwrap_or_default();
    assert_eq!(read("AGENTS.md"), "trusted\n");
    assert_eq!(read("sub/AGENTS.md"), "trusted below\n");
    assert_eq!(read("new/AGENTS.md"), "");
    assert_eq!(read("src/AGENTS.md"), "trusted words\n", "through a link");
    assert_eq!(
        read(".agents/skills/x.md"),
        "trusted skill\n",
        "through a link to a directory"
    );
    assert_eq!(
        read("docs/agent.md"),
        "bad words\n",
        "an ordinary file stays what it was"
    );
    slot.take_off(&overlay, &[], &instructs).unwrap();
    assert_eq!(contents(slot.path()), before);
    assert_eq!(slot.snapshot(&head, &terms(&[])).unwrap(), head.tree);

    // What a child changes meanwhile is its change; the rest is put back.
    let overlay = slot
        .lay_over(&head.tree, &trusted, &[], &instructs)
        .unwrap()
        .unwrap();
    put(slot.path(), "AGENTS.md", "mine\n");
    put(slot.path(), "a.txt", "work\n");
    put(slot.path(), ".agents/skills/y.md", "mine\n");
    slot.take_off(&overlay, &[], &instructs).unwrap();
    let tree = slot.snapshot(&head, &terms(&[])).unwrap();
    let changed = world.repo().changed_paths(&head.tree, &tree).unwrap();
    let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
    assert_eq!(
        changed,
        [".agents", ".agents/skills/y.md", "AGENTS.md", "a.txt"]
    );

    // Nothing is done where there is nothing to do.
    slot.reset(&head.commit, &[]).unwrap();
    assert!(
        slot.lay_over(&head.tree, &head.commit, &[], &instructs)
            .unwrap()
            .is_none()
    );
}

#[test]
fn attributes_that_a_task_may_not_write_convert_nothing() {
    let world = World::new();
    world.write(
        ".gitattributes",
        "*.txt text eol=crlf\n.gitattributes text eol=crlf\n",
    );
    world.commit("rules");
    let ran = world.home.path().join("ran");
    let evil = format!("touch {}; cat", ran.display());
    world.git(&["config", "filter.evil.clean", &evil]);
    let (slot, head) = world.slot();
    let refused = Terms {
        keep: &[],
        change_limit: Size::USUAL,
        may_write: &|_| false,
    };
    // Laid out with other line ends, and nobody's change.
    put(slot.path(), "b.txt", "b\n");
    slot.snapshot(&head, &refused).unwrap();
    let attempts: [&dyn Fn(); 4] = [
        &|| put(slot.path(), ".gitattributes", "* filter=evil\n"),
        &|| put(slot.path(), "src/.gitattributes", "* filter=evil\n"),
        &|| {
            put(slot.path(), ".gitignore", ".gitattributes\n");
            put(slot.path(), "src/.gitattributes", "* filter=evil\n");
        },
        &|| fs::remove_file(slot.path().join(".gitattributes")).unwrap(),
    ];
    for attempt in attempts {
        slot.reset(&head.commit, &[]).unwrap();
        attempt();
        put(slot.path(), "src/c.txt", "c\n");
        let error = slot.snapshot(&head, &refused).unwrap_err();
        assert!(
            error.is_scope() && error.to_string().contains(".gitattributes` is protected"),
            "{error}"
        );
        assert!(!ran.exists());
    }
    // A task that names the file gets what it asks for.
    slot.reset(&head.commit, &[]).unwrap();
    put(slot.path(), "src/.gitattributes", "* filter=evil\n");
    put(slot.path(), "src/c.txt", "c\n");
    slot.snapshot(&head, &terms(&[])).unwrap();
    assert!(ran.exists());
}

#[test]
fn what_is_over_the_limit_is_refused_before_it_is_read() {
    let world = World::new();
    let (slot, head) = world.slot();
    let limit = Terms {
        keep: &[],
        change_limit: "1MB".parse().unwrap(),
        may_write: &|_| false,
    };
    let sparse = |name: &str, bytes: u64| {
        fs::File::create(slot.path().join(name))
            .unwrap()
            .set_len(bytes)
            .unwrap()
    };
    // A terabyte of nothing: reading it would take an hour.
    sparse("hole", 1 << 40);
    let said = |error: &GitError| (error.is_scope(), error.to_string());
    let error = slot.snapshot(&head, &limit).unwrap_err();
    let expected = "`hole` has 1099.6 GB, and one task may add 1MB (`change_limit`)";
    assert_eq!(said(&error), (true, expected.to_owned()));
    fs::remove_file(slot.path().join("hole")).unwrap();
    sparse("one", 600_000);
    sparse("two", 600_000);
    let error = slot.snapshot(&head, &limit).unwrap_err();
    let expected = "`two` is the largest of files with 1.2 MB in all, and one task may add 1MB (`change_limit`)";
    assert_eq!(said(&error), (true, expected.to_owned()));
}
