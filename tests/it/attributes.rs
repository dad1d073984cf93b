//! The attributes that count when files are laid out and read: those of the tree in question, never
//! those that lie around.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use git2::{Index, IndexEntry, IndexTime};

use omk_action::git::{GitError, Pool, Repo, Slot, Terms};
use omk_action::id::{RepoPath, Tip, TreeId};
use omk_action::plan::Size;
use omk_action::text::Advised as _;

use super::world::World;

/// How git's index marks a submodule.
const SUBMODULE: u32 = 0o160_000;

/// A repository with these files.
fn world(files: &[(&str, &str)]) -> World {
    let world = World::new();
    files
        .iter()
        .for_each(|(name, text)| world.write(name, text));
    world.commit("files");
    world
}

/// A slot as a process of its own finds it, with the base in it.
fn slot(world: &World, keep: &[String]) -> (Slot, Tip) {
    let repo = Repo::discover(&world.repo()).unwrap();
    let slot = Pool::open(&repo, &world.dir().join("cache"))
        .unwrap()
        .acquire(None)
        .unwrap();
    let head = repo.resolve("HEAD").unwrap();
    slot.reset(&head.commit, keep).unwrap();
    (slot, head)
}

fn snapshot(slot: &Slot, base: &Tip, keep: &[String]) -> Result<TreeId, GitError> {
    slot.snapshot(
        base,
        &Terms {
            keep,
            change_limit: Size::USUAL,
            may_write: &|_| true,
        },
    )
}

/// Has a task append a line to the attributes; its tree is in the slot, as gates find it.
fn change_attributes(slot: &Slot, base: &Tip, line: &str) -> TreeId {
    let file = slot.path().join(".gitattributes");
    let text = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, format!("{text}{line}\n")).unwrap();
    let tree = snapshot(slot, base, &[]).unwrap();
    slot.checkout_tree(&base.commit, &tree, &[]).unwrap();
    tree
}

/// Lays a trusted file over the tree that is in the slot.
fn restore(slot: &Slot, under: &TreeId, base: &Tip, name: &str) {
    let name: RepoPath = name.parse().unwrap();
    slot.lay_over_unseen(under, &base.commit, &[], &|path| *path == name)
        .unwrap();
}

fn read(slot: &Slot, name: &str) -> String {
    fs::read_to_string(slot.path().join(name)).unwrap()
}

/// Which file it is, and when it was written.
fn written(slot: &Slot, name: &str) -> (u64, i64, i64) {
    let meta = fs::metadata(slot.path().join(name)).unwrap();
    (meta.ino(), meta.mtime(), meta.mtime_nsec())
}

/// The files of which git's own index of the slot says something else than the disk. git then calls
/// them changed, or reads them to find out.
pub(super) fn misfits(slot: &Slot) -> Vec<String> {
    let index = Index::open(&slot.git_dir().join("index")).unwrap();
    let differs = |entry: &IndexEntry| {
        let meta = fs::symlink_metadata(slot.path().join(OsStr::from_bytes(&entry.path))).unwrap();
        let time = |time: IndexTime| (i64::from(time.seconds()), i64::from(time.nanoseconds()));
        let of_index = (
            time(entry.ctime),
            time(entry.mtime),
            u64::from(entry.ino),
            u64::from(entry.file_size),
        );
        let of_disk = (
            (meta.ctime(), meta.ctime_nsec()),
            (meta.mtime(), meta.mtime_nsec()),
        );
        of_index
            != (
                of_disk.0,
                of_disk.1,
                meta.ino() & u64::from(u32::MAX),
                meta.size(),
            )
    };
    let files = index
        .iter()
        .filter(|entry| entry.mode != SUBMODULE && differs(entry));
    files
        .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
        .collect()
}

#[test]
fn trusted_files_are_laid_out_by_the_attributes_of_their_own_tree() {
    let world = world(&[
        ("deny.txt", "evil\n"),
        (".gitattributes", "*.bat eol=crlf\n"),
    ]);
    let (slot, base) = slot(&world, &[]);
    let tree = change_attributes(&slot, &base, "deny.txt eol=crlf");
    assert_eq!(read(&slot, "deny.txt"), "evil\r\n");
    restore(&slot, &tree, &base, "deny.txt");
    assert_eq!(read(&slot, "deny.txt"), "evil\n");
    slot.checkout_tree(&base.commit, &tree, &[]).unwrap();
    assert_eq!(read(&slot, "deny.txt"), "evil\r\n");
}

#[test]
fn what_one_task_made_of_line_ends_is_in_no_other_tasks_slot() {
    let files = [
        ("x.cfg", "1\n"),
        ("y.cfg", "1\n"),
        (".gitattributes", "*.cfg text eol=crlf\n"),
    ];
    let world = world(&files);
    let (first, base) = slot(&world, &[]);
    let tree = change_attributes(&first, &base, "*.cfg text eol=lf");
    restore(&first, &tree, &base, "x.cfg");
    assert_eq!(
        (read(&first, "x.cfg"), read(&first, "y.cfg")),
        ("1\r\n".into(), "1\n".into())
    );
    first.reset(&base.commit, &[]).unwrap();
    assert_eq!(
        (read(&first, "x.cfg"), read(&first, "y.cfg")),
        ("1\r\n".into(), "1\r\n".into())
    );
    let tree = change_attributes(&first, &base, "*.cfg text eol=lf");
    restore(&first, &tree, &base, "x.cfg");
    drop(first);
    let (second, _) = slot(&world, &[]);
    assert_eq!(
        (read(&second, "x.cfg"), read(&second, "y.cfg")),
        ("1\r\n".into(), "1\r\n".into())
    );
}

#[test]
fn rules_that_stay_the_same_for_a_file_are_no_reason_to_write_it() {
    let world = world(&[
        ("a.txt", "a\n"),
        ("w.bat", "w\n"),
        ("x.cfg", "1\n"),
        (".gitattributes", "*.bat eol=crlf\n"),
    ]);
    let (first, base) = slot(&world, &[]);
    let all = |slot: &Slot| ["a.txt", "w.bat"].map(|name| written(slot, name));
    let before = all(&first);
    let tree = change_attributes(&first, &base, "# a comment\nx.cfg eol=crlf");
    assert_eq!(read(&first, "x.cfg"), "1\r\n");
    restore(&first, &tree, &base, "x.cfg");
    assert_eq!(all(&first), before, "a partial restoration");
    first.checkout_tree(&base.commit, &tree, &[]).unwrap();
    assert_eq!(all(&first), before, "and back");
    drop(first);
    let (second, _) = slot(&world, &[]);
    assert_eq!(all(&second), before, "in the next process");
    assert_eq!(
        (read(&second, "x.cfg"), read(&second, "w.bat")),
        ("1\n".into(), "w\r\n".into())
    );
}

#[test]
fn gits_own_index_fits_the_files_whatever_a_child_touched() {
    let world = world(&[
        ("a.txt", "a\n"),
        ("d.txt", "d\n"),
        ("w.bat", "w\n"),
        (".gitattributes", "*.bat eol=crlf\n"),
    ]);
    let (slot, base) = slot(&world, &[]);
    assert_eq!(misfits(&slot), [""; 0]);
    for name in ["a.txt", "w.bat"] {
        fs::write(slot.path().join(name), read(&slot, name)).unwrap();
        slot.reset(&base.commit, &[]).unwrap();
        assert_eq!(misfits(&slot), [""; 0], "{name}");
    }
    fs::write(slot.path().join("d.txt"), "d\n").unwrap();
    slot.reset(&base.commit, &[]).unwrap();
    assert_eq!(misfits(&slot), [""; 0]);
}

#[test]
fn rules_that_a_cache_holds_have_no_say() {
    let world = world(&[
        ("vendor/a.txt", "v1\n"),
        ("b.bat", "b\n"),
        (".gitattributes", "*.bat eol=crlf\n"),
    ]);
    let keep = ["vendor".to_owned(), "own/.gitignore".to_owned()];
    let (slot, base) = slot(&world, &keep);
    let write = |name: &str, text: &str| fs::write(slot.path().join(name), text).unwrap();
    fs::create_dir_all(slot.path().join("vendor/pkg")).unwrap();
    fs::create_dir(slot.path().join("own")).unwrap();
    for (name, text) in [
        ("vendor/.gitattributes", "* text eol=crlf\n"),
        ("own/.gitignore", "*\n"),
        ("vendor/pkg/x", "x"),
    ] {
        write(name, text);
    }
    write("vendor/a.txt", "v2\r\n");
    write("own/new.txt", "new\n");
    let terms = Terms {
        keep: &keep,
        change_limit: Size::USUAL,
        may_write: &|_| false,
    };
    let tree = slot.snapshot(&base, &terms).unwrap();
    assert_eq!(
        world.git(&["diff", "--name-only", base.tree.as_str(), tree.as_str()]),
        "own/new.txt\nvendor/a.txt"
    );
    assert_eq!(
        world.git(&["cat-file", "-s", &format!("{tree}:vendor/a.txt")]),
        "4",
        "no rule converts it"
    );
    slot.checkout_tree(&base.commit, &tree, &keep).unwrap();
    assert_eq!(
        (
            read(&slot, "vendor/a.txt"),
            read(&slot, "vendor/.gitattributes")
        ),
        ("v2\r\n".into(), "* text eol=crlf\n".into())
    );
    // git would wait for a writer.
    fs::remove_file(slot.path().join("vendor/.gitattributes")).unwrap();
    let pipe = slot.path().join("vendor/.gitattributes");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    write("vendor/a.txt", "v3\n");
    slot.snapshot(&base, &terms).unwrap();
    assert!(fs::symlink_metadata(pipe).is_ok(), "what is kept stays");
}

#[test]
fn a_filter_that_does_not_work_fails_though_git_goes_on_without_it() {
    for (kind, command) in [
        ("clean", "nosuch-crypt"),
        ("clean", "nosuch-crypt %f"),
        ("clean", "f() { exit 3; }; f"),
        ("smudge", "nosuch-crypt"),
        ("process", "nosuch-crypt"),
    ] {
        for required in ["false", "true"] {
            let world = world(&[
                ("a.sec", "secret\n"),
                (".gitattributes", "*.sec filter=crypt\n"),
            ]);
            world.git(&["config", &format!("filter.crypt.{kind}"), command]);
            world.git(&["config", "filter.crypt.required", required]);
            // git refuses a required filter of which half is missing.
            let other = if kind == "clean" { "smudge" } else { "clean" };
            world.git(&["config", &format!("filter.crypt.{other}"), "cat"]);
            let repo = Repo::discover(&world.repo()).unwrap();
            let slot = Pool::open(&repo, &world.dir().join("cache"))
                .unwrap()
                .acquire(None)
                .unwrap();
            let base = repo.resolve("HEAD").unwrap();
            let outcome = slot.reset(&base.commit, &[]).and_then(|_| {
                fs::write(slot.path().join("a.sec"), "new secret\n").unwrap();
                snapshot(&slot, &base, &[])
            });
            let error = outcome.unwrap_err();
            assert!(
                error.is_config() && !error.is_host(),
                "{kind} {command} {required}: {error}"
            );
            assert!(
                error.to_string().contains("the filter `crypt` failed"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_filter_that_only_a_change_asks_for_is_refused_if_a_file_matches() {
    let world = world(&[("a.txt", "a\n")]);
    let (slot, base) = slot(&world, &[]);
    let lines =
        "*.ipynb filter=nbstripout\n\"a filter=q b\" text\n*.txt filter=own\n*.txt !filter\n";
    fs::write(slot.path().join(".gitattributes"), lines).unwrap();
    let tree = snapshot(&slot, &base, &[]).unwrap();
    let repo = Repo::discover(&world.repo()).unwrap();
    assert_eq!(repo.missing_filters(&tree).unwrap(), []);
    fs::write(slot.path().join("x.ipynb"), "{}\n").unwrap();
    let error = snapshot(&slot, &base, &[]).unwrap_err();
    assert!(error.is_config(), "{error}");
    insta::assert_snapshot!(error.in_full(), @"take `x.ipynb`: it asks for the filter `nbstripout`, which git does not have here; define it with `git config filter.nbstripout.clean COMMAND`; with `cat`, files are taken as they are");
}

#[test]
fn a_filter_whose_program_changed_lays_its_files_out_again() {
    let world = world(&[
        ("a.up", "a\n"),
        ("b.txt", "b\n"),
        (".gitattributes", "*.up filter=own\n"),
    ]);
    let program = world.dir().join("own filter");
    let write = |text: &str| {
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("#!/bin/sh\nsed 's/^/first: /'\n");
    world.git(&[
        "config",
        "filter.own.smudge",
        &format!("'{}'", program.display()),
    ]);
    world.git(&["config", "filter.own.clean", "sed 's/^[a-z]*: //'"]);
    let (first, _) = slot(&world, &[]);
    let before = ["a.up", "b.txt"].map(|name| written(&first, name));
    assert_eq!(read(&first, "a.up"), "first: a\n");
    drop(first);
    let (second, _) = slot(&world, &[]);
    assert_eq!(["a.up", "b.txt"].map(|name| written(&second, name)), before);
    drop(second);
    write("#!/bin/sh\nsed 's/^/second: /'\n");
    let (third, base) = slot(&world, &[]);
    assert_eq!(read(&third, "a.up"), "second: a\n");
    assert_eq!(written(&third, "b.txt"), before[1]);
    assert_eq!(snapshot(&third, &base, &[]).unwrap(), base.tree);
}
