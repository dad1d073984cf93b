//! What a bundle's commits say beside their change, forged piece by piece; and trees that are small
//! only in a pack.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use omk_action::bundle::BundleRefused;
use omk_action::plan::Event;

use crate::bundle_commits::message as message_of;
use crate::bundle_world::{ONE, Ran};
use crate::world::World;

/// Stores an object as it is, whatever git thinks of it.
pub(crate) fn object(world: &World, kind: &str, bytes: &[u8]) -> String {
    let mut git = world.command("git");
    git.args(["hash-object", "-w", "--literally", "-t", kind, "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut git = git.spawn().unwrap();
    git.stdin.take().unwrap().write_all(bytes).unwrap();
    let out = git.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}

/// The commit again, its raw text changed.
pub(crate) fn again(world: &World, old: &str, change: impl Fn(&str) -> String) -> String {
    let raw = world
        .command("git")
        .args(["cat-file", "commit", old])
        .output()
        .unwrap()
        .stdout;
    object(
        world,
        "commit",
        change(&String::from_utf8(raw).unwrap()).as_bytes(),
    )
}

/// The commit again with another message, at the very time of the first one.
fn dated(world: &World, old: &str, text: &str) -> String {
    again(world, old, |raw| {
        let (headers, _) = raw.split_once("\n\n").unwrap();
        format!("{headers}\n\n{}\n", text.trim_end())
    })
}

/// The run's commit again, its raw text changed.
fn forged(ran: &Ran, change: impl Fn(&str) -> String) -> BundleRefused {
    ran.refused(&ran.with_commit(|world, old| {
        let raw = world
            .command("git")
            .args(["cat-file", "commit", old])
            .output()
            .unwrap()
            .stdout;
        let raw = String::from_utf8(raw).unwrap();
        let changed = change(&raw);
        assert_ne!(raw, changed);
        object(world, "commit", changed.as_bytes())
    }))
}

/// The seconds that a commit's text names.
fn moment(raw: &str) -> &str {
    let line = raw
        .lines()
        .find(|line| line.starts_with("committer "))
        .unwrap();
    line.rsplit(' ').nth(1).unwrap()
}

#[test]
fn every_forged_piece_of_a_commit_is_refused() {
    let ran = Ran::new(ONE);
    ran.admit(&ran.bundle()).unwrap();
    let header =
        |line: &'static str| move |raw: &str| raw.replacen("\n\n", &format!("\n{line}\n\n"), 1);
    let message = |from: &'static str, to: &'static str| move |raw: &str| raw.replacen(from, to, 1);
    let later = |who: &'static str, by: i64, zone: &'static str| {
        move |raw: &str| {
            let at = moment(raw);
            let shifted = format!("{} {zone}", at.parse::<i64>().unwrap() + by);
            let lines = raw.lines().map(|line| {
                let here = line.starts_with(who);
                if here {
                    line.replace(&format!("{at} +0000"), &shifted)
                } else {
                    line.to_owned()
                }
            });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }
    };
    type Change<'a> = &'a dyn Fn(&str) -> String;
    let (headers, words) = (
        "has headers that omk does not write",
        "has another message than omk gives it",
    );
    let time = "is of a time at which the run was not under way";
    let both =
        |raw: &str| later("author", 100_000, "+0000")(&later("committer", 100_000, "+0000")(raw));
    let cases: [(&str, Change<'_>, &str); 14] = [
        (
            "subject",
            &message("\n\none\n", "\n\none [skip ci]\n"),
            words,
        ),
        (
            "body",
            &message("\n\none\n\n", "\n\none\n\nfixes #1\n\n"),
            words,
        ),
        (
            "escapes",
            &message("\n\none\n", "\n\n\u{1b}[2Jone\n"),
            words,
        ),
        ("end", &|raw| format!("{raw}\n"), words),
        (
            "spaces",
            &message("Omk-Attempt: 1\n", "Omk-Attempt: 1 \n"),
            words,
        ),
        (
            "attempt",
            &message("Omk-Attempt: 1", "Omk-Attempt: 2"),
            "is of attempt 2, and its task had 1",
        ),
        (
            "no attempt",
            &message("Omk-Attempt: 1", "Omk-Attempt: 0"),
            "is of attempt 0, and its task had 1",
        ),
        (
            "signature",
            &header("gpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----"),
            headers,
        ),
        ("encoding", &header("encoding ISO-8859-1"), headers),
        ("any header", &header("note hello"), headers),
        ("author's time", &later("author", 100_000, "+0000"), headers),
        (
            "committer's time",
            &later("committer", 100_000, "+0000"),
            time,
        ),
        ("both times", &both, time),
        ("zone", &later("author", 0, "+0100"), headers),
    ];
    let ran = Ran::new(ONE);
    for (name, change, says) in cases {
        let refused = forged(&ran, change);
        assert!(
            matches!(refused, BundleRefused::Commit { .. }) && refused.to_string().contains(says),
            "{name}: {refused}"
        );
    }
}

/// A tree of so many levels, each of which names the next one so many times.
fn nested(world: &World, levels: usize, names: usize) -> String {
    let raw = |id: &str| {
        (0..40)
            .step_by(2)
            .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap())
            .collect::<Vec<u8>>()
    };
    let blob = object(world, "blob", b"x");
    let mut tree = object(
        world,
        "tree",
        &[b"100644 x\0".as_slice(), &raw(&blob)].concat(),
    );
    for _ in 0..levels {
        let entries: Vec<u8> = (0..names)
            .flat_map(|n| [format!("40000 d{n}\0").into_bytes(), raw(&tree)].concat())
            .collect();
        tree = object(world, "tree", &entries);
    }
    tree
}

#[test]
fn a_tree_of_more_paths_than_memory_holds_is_refused_at_once() {
    for (levels, names, says) in [
        (10, 10, "has a tree of more paths than a run may add"),
        (40, 2, "has a tree of more paths than a run may add"),
        (1000, 1, "is nested deeper than any path that can be opened"),
    ] {
        let ran = Ran::new(ONE);
        let dir = ran.with_commit(|world, old| {
            let raw = world
                .command("git")
                .args(["cat-file", "commit", old])
                .output()
                .unwrap()
                .stdout;
            let bomb = nested(world, levels, names);
            let raw = String::from_utf8(raw)
                .unwrap()
                .replace(&world.tree(old), &bomb);
            object(world, "commit", raw.as_bytes())
        });
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| send.send(ran.refused(&dir)).unwrap());
            let refused = receive
                .recv_timeout(Duration::from_secs(30))
                .expect("it is refused soon");
            assert!(
                refused.to_string().contains(says),
                "{levels} {names}: {refused}"
            );
        });
    }
}

#[test]
fn requested_by_and_signed_off_by_are_those_of_the_request_and_of_omk() {
    let by_comment = |who: Option<&'static str>| {
        let mut ran = Ran::new(ONE);
        ran.request.trigger.event = Event::Comment;
        let requested = who.map_or_else(|| ran.request.trigger.actor.clone(), str::to_owned);
        let old = ran.world.rev("omk/run/story");
        let text = format!(
            "{}\nRequested-by: {requested}\n",
            message_of(&ran.world, &old).trim_end()
        );
        let made = dated(&ran.world, &old, &text);
        ran.admit(&ran.dressed(&[
            (&old, &made),
            ("\"event\":\"manual\"", "\"event\":\"comment\""),
        ]))
    };
    by_comment(None).expect("that is who asked");
    let refused = by_comment(Some("somebody")).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("carries a trailer that omk did not write"),
        "{refused}"
    );

    let signed =
        |from: &'static str, to: &'static str| {
            let ran = Ran::new(&format!("{ONE}deliver: {{ sign_off: true }}\n"));
            ran.admit(&ran.with_commit(|world, old| {
                dated(world, old, &message_of(world, old).replace(from, to))
            }))
        };
    signed("", "").expect("so omk signs off");
    let refused = signed("Signed-off-by: omk[bot]", "Signed-off-by: Ana").unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("carries a trailer that omk did not write"),
        "{refused}"
    );
}
