//! A file that nobody touched is no change, whatever git's conversions make of it, and it is not
//! written again.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use omk_action::git::{Pool, Repo, Slot, Terms};
use omk_action::id::{RepoPath, Tip};
use omk_action::plan::Size;

use super::world::World;

/// Rules under which git calls the base modified after a checkout, and what such a base holds.
const DIRTY: [(&str, &str); 5] = [
    ("*.txt text", "x\r\ny\r\n"),
    ("*.txt eol=crlf", "x\r\ny\n"),
    ("*.txt ident", "$Id: of another file $\n"),
    ("*.txt filter=pointer", "not a pointer\n"),
    ("* text=auto", "x\r\n\r\n"),
];

/// A repository whose files were committed before the rules.
fn dirty(rules: &str, text: &str) -> World {
    let world = World::new();
    for number in 0..30 {
        world.write(format!("dirty/{number}.txt"), text);
    }
    world.commit("files");
    world.git(&["config", "filter.pointer.clean", "sed 's/^/pointer: /'"]);
    world.git(&["config", "filter.pointer.smudge", "sed 's/^/content: /'"]);
    world.write(".gitattributes", &format!("{rules}\n"));
    world.git(&["add", ".gitattributes"]);
    world.git(&["commit", "--quiet", "--message", "rules"]);
    world
}

/// A slot as a process of its own finds it.
fn slot(world: &World) -> (Slot, Tip) {
    let repo = Repo::discover(&world.repo()).unwrap();
    let slot = Pool::open(&repo, &world.dir().join("cache"))
        .unwrap()
        .acquire(None)
        .unwrap();
    let head = repo.resolve("HEAD").unwrap();
    slot.reset(&head.commit, &[]).unwrap();
    (slot, head)
}

/// The paths that count as changed.
fn changed(world: &World, slot: &Slot, head: &Tip) -> Vec<String> {
    let terms = Terms {
        keep: &[],
        change_limit: Size::USUAL,
        may_write: &|_| true,
    };
    let tree = slot.snapshot(head, &terms).unwrap();
    let changed = Repo::discover(&world.repo())
        .unwrap()
        .changed_paths(&head.tree, &tree)
        .unwrap();
    changed.iter().map(RepoPath::to_string).collect()
}

/// When each file was written, and which file it is.
fn written(slot: &Slot) -> Vec<(i64, i64, u64)> {
    let files = (0..30).map(|number| slot.path().join(format!("dirty/{number}.txt")));
    let looked_at = files.map(|file| fs::metadata(file).unwrap());
    looked_at
        .map(|meta| (meta.mtime(), meta.mtime_nsec(), meta.ino()))
        .collect()
}

/// Writes a file's own bytes into it.
fn touch(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_file_that_holds_what_was_laid_out_is_no_change() {
    for (rules, text) in DIRTY {
        let world = dirty(rules, text);
        let (slot, head) = slot(&world);
        assert_eq!(changed(&world, &slot, &head), [""; 0], "{rules}");
        for number in 0..20 {
            touch(&slot.path().join(format!("dirty/{number}.txt")));
        }
        assert_eq!(changed(&world, &slot, &head), [""; 0], "{rules}: touched");
        let moved = slot.path().join("dirty/moved");
        fs::copy(slot.path().join("dirty/1.txt"), &moved).unwrap();
        fs::rename(&moved, slot.path().join("dirty/1.txt")).unwrap();
        fs::set_permissions(
            slot.path().join("dirty/2.txt"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        fs::write(slot.path().join("dirty/3.txt"), "other\n").unwrap();
        assert_eq!(
            changed(&world, &slot, &head),
            ["dirty/2.txt", "dirty/3.txt"],
            "{rules}"
        );
        assert_eq!(
            world.git(&["cat-file", "-p", "HEAD:dirty/2.txt"]),
            text.trim_end(),
            "{rules}"
        );
    }
}

#[test]
fn other_rules_do_not_change_files_that_nobody_touched() {
    let world = dirty("*.txt eol=crlf", "x\r\ny\n");
    let (slot, head) = slot(&world);
    fs::write(slot.path().join(".gitattributes"), "*.txt text eol=lf\n").unwrap();
    touch(&slot.path().join("dirty/7.txt"));
    fs::write(slot.path().join("dirty/8.txt"), "z\r\n").unwrap();
    assert_eq!(
        changed(&world, &slot, &head),
        [".gitattributes", "dirty/8.txt"]
    );
}

#[test]
fn the_next_process_writes_nothing_again_and_finds_no_change() {
    for (rules, text) in DIRTY {
        let world = dirty(rules, text);
        let (first, _) = slot(&world);
        let before = written(&first);
        drop(first);
        let (second, head) = slot(&world);
        assert_eq!(written(&second), before, "{rules}");
        assert_eq!(changed(&world, &second, &head), [""; 0], "{rules}");
        // Rules for other files are no reason either.
        drop(second);
        world.write(".gitattributes", &format!("{rules}\n*.md text\n"));
        world.git(&["add", ".gitattributes"]);
        world.git(&["commit", "--quiet", "--message", "more"]);
        let (third, head) = slot(&world);
        assert_eq!(written(&third), before, "{rules}");
        assert_eq!(changed(&world, &third, &head), [""; 0], "{rules}");
    }
}

#[test]
fn a_killed_process_leaves_what_it_knew_of_what_it_had_laid_out() {
    for (rules, text) in DIRTY {
        let world = dirty(rules, text);
        let (first, _) = slot(&world);
        let before = written(&first);
        let known = first.path().with_extension("known");
        let left = fs::read(&known).unwrap();
        fs::write(first.path().join("dirty/3.txt"), "a task was here\n").unwrap();
        drop(first);
        // What a process writes at its end is not written by one that is killed.
        fs::write(&known, left).unwrap();
        let (second, head) = slot(&world);
        let same: Vec<bool> = written(&second)
            .iter()
            .zip(&before)
            .map(|(now, before)| now == before)
            .collect();
        assert_eq!(
            same.iter().filter(|same| !**same).count(),
            1,
            "{rules}: {same:?}"
        );
        assert_eq!(changed(&world, &second, &head), [""; 0], "{rules}");
    }
}

/// It changes a file through memory: on a disk that is in memory itself, the file keeps its times.
const THROUGH_MEMORY: &str = "
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
before = os.fstat(file)
view = mmap.mmap(file, 0)
view[0:1]
view[0:6] = b'exit 0'
view.close()
print('its times are', 'the same' if os.fstat(file).st_ctime_ns == before.st_ctime_ns else 'others')
";

#[test]
fn a_trusted_script_that_is_changed_through_memory_is_restored() {
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let cache = shared.path().to_str().unwrap();
    let world = World::new()
        .env("XDG_CACHE_HOME", cache)
        .env("OMK_ROOM_AT_MOST", "landlock");
    world.write("check.sh", "grep -q BAD a.txt && exit 1\nexit 0\n");
    world.write("change.py", THROUGH_MEMORY);
    world.plan(
        "gates: [{id: check, run: sh ./check.sh, trusted: [check.sh]}]\n\
         tasks: [{id: bad, write_set: [a.txt, check.sh], gates: [check], retry_policy: {max_attempts: 0},\n\
         \x20 run: 'echo BAD > a.txt; python3 change.py check.sh'}]\n",
    );
    world.omk(&["run"]).exits(1).says("gate `check`");
    let run = fs::read_dir(world.repo().join(".git/omk/runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let log = fs::read_to_string(run.join("logs/bad/1/command.log")).unwrap();
    assert!(
        log.contains("its times are the same"),
        "this machine's disk in memory tells: {log}"
    );
}
