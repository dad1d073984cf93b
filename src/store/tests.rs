//! Tests of `store`.

use super::*;
use crate::fact::Fact;
use crate::id::Moment;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::new(dir.path());
    (dir, store)
}

fn run(store: &Store, day: u32) -> RunDir {
    store.dir(
        &format!("202601{day:02}t000000z-000000")
            .parse()
            .expect("a run's id"),
    )
}

fn write_line(journal: &mut JournalFile) {
    journal
        .push(Moment::from_millis(1), &Fact::Woke, &[])
        .expect("a line");
    journal.sync().expect("it is on the disk");
}

#[test]
fn the_newest_run_is_the_newest_that_has_begun() {
    let (_dir, store) = store();
    let (old, new, never) = (run(&store, 1), run(&store, 2), run(&store, 3));
    for run in [&old, &new] {
        write_line(&mut run.create(b"tasks: []").expect("its directory"));
    }
    drop(never.create(b"tasks: []").expect("its directory"));
    assert_eq!(store.find(None).expect("a run").run(), new.run());
    assert_eq!(
        store
            .find(Some("20260103"))
            .expect("the one that is named")
            .run(),
        never.run()
    );
    for run in [&old, &new] {
        fs::remove_dir_all(run.path()).expect("it is gone");
    }
    assert!(matches!(store.find(None), Err(StoreError::NoSuchRun(_))));
}

#[test]
fn runs_that_cannot_be_listed_are_an_error() {
    let (_dir, store) = store();
    assert_eq!(store.runs().expect("there is nothing yet"), []);
    fs::create_dir(store.root()).expect("a directory");
    fs::write(store.root().join("runs"), "").expect("a file");
    assert!(matches!(
        store.runs(),
        Err(StoreError::Io { doing: "read", .. })
    ));
}

#[test]
fn an_open_journal_ends_where_its_readers_find_the_end() {
    let (_dir, store) = store();
    let run = run(&store, 1);
    let mut journal = run.create(b"tasks: []").expect("its directory");
    let mut heads = vec![journal.chain().head().clone()];
    for _ in 0..2 {
        write_line(&mut journal);
        heads.push(journal.chain().head().clone());
        assert_eq!(
            heads.last(),
            Some(run.journal().expect("it is sound").chain.head())
        );
    }
    drop(journal);
    let (read, journal) = run.reopen().expect("it is sound");
    assert_eq!(
        (read.chain.head(), journal.chain().head()),
        (&heads[2], &heads[2])
    );
    heads.dedup();
    assert_eq!(heads.len(), 3, "each line has a head of its own");
}
