//! A filter that hangs for ever, and big merges: whatever stops an attempt or a run ends them at
//! any moment, nobody is left behind, and the next run works.
//!
//! `OMK_TEST_INTERRUPTS` says at how many moments a run with big merges and a hanging filter is
//! interrupted, and `OMK_TEST_SEED` names the first.

#![expect(
    clippy::print_stdout,
    reason = "where a moment finds a fault, a person must know which it was"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use omk_action::clock::{Clock, Stopwatch};
use omk_action::fact::{Class, Fact, RunVerdict};
use rustix::process::Signal;

use super::bundle_world::{ONE, Ran};
use super::world::{Said, World, until};

/// Everything is promised within 2 s. A busy machine with a build for tests gets as much again.
const PROMISED: Duration = Duration::from_secs(4);

/// Called as `filter KIND`; it is slow at nothing but hangs, with a child, from the call on that
/// the file `KIND` names. Neither of the two ends when it is asked to.
const FILTER: &str = r#"#!/bin/sh
trap '' TERM
dir=$(dirname "$0")
echo call >> "$dir/$1-calls"
if [ -e "$dir/$1" ] && [ "$(wc -l < "$dir/$1-calls")" -ge "$(cat "$dir/$1")" ]; then
    sleep 1000 &
    echo hung >> "$dir/hung"
    wait
fi
cat
"#;

/// A world with two files, `x.up` and `y.up`, that are laid out and read by that filter.
fn world(plan: &str) -> World {
    let world = World::with(plan);
    configure(&world, &world.repo());
    world.write(".gitattributes", "*.up filter=up\n");
    world.write("x.up", "x\n");
    world.write("y.up", "y\n");
    world.commit("files with a filter");
    for calls in ["clean-calls", "smudge-calls"] {
        let _ = std::fs::remove_file(world.dir().join(calls));
    }
    world
}

/// Has git know the filter in a repository of that world.
fn configure(world: &World, repository: &Path) {
    let filter = world.dir().join("filter");
    std::fs::write(&filter, FILTER).unwrap();
    let set = |key: &str, value: &str| {
        world.git(&["-C", repository.to_str().unwrap(), "config", key, value])
    };
    for kind in ["clean", "smudge"] {
        set(
            &format!("filter.up.{kind}"),
            &format!("sh '{}' {kind}", filter.display()),
        );
    }
    set("filter.up.required", "true");
}

/// Has the filter hang from that call on.
fn hangs(world: &World, kind: &str, call: u32) {
    std::fs::write(world.dir().join(kind), call.to_string()).unwrap();
}

fn until_hung(world: &World) -> Stopwatch {
    until("the filter hangs", || world.dir().join("hung").exists());
    Clock::start().stopwatch()
}

/// That it was over in time, with nobody left.
#[track_caller]
fn in_time(world: &World, since: &Stopwatch, allowed: Duration) {
    let took = since.elapsed();
    assert!(took < allowed + PROMISED, "it took {took:?}");
    world.no_child_is_left();
}

/// That the world works as soon as the filter does: nothing that was left in the way stops it.
#[track_caller]
fn works_again(world: &World, command: &str) {
    for kind in ["clean", "smudge"] {
        let _ = std::fs::remove_file(world.dir().join(kind));
    }
    // Whatever limit of time the plan has: it is the filter that must not be in the way any more.
    world.omk(&[command, "--limits", "time=10m"]).exits(0);
    world.ended(RunVerdict::Ready);
}

const SOUND: &str = "gates:\n  - { id: sound, run: test -s x.up }\n";

/// Both files are changed, each by a task, so that the result is another tree than either change.
fn changes(settings: &str, more: &str) -> String {
    format!(
        "{settings}\nlimits: {{ workers: 1 {more} }}\n\
         defaults: {{ gates: [sound], retry_policy: {{ max_attempts: 0 }} }}\n{SOUND}tasks:\n  \
         - {{ id: a, run: echo a >> x.up, write_set: [x.up] }}\n  - {{ id: b, run: echo b >> y.up, write_set: [y.up] }}\n"
    )
}

fn stopped_by(signal: Signal, kind: &str, call: u32) -> World {
    let world = world(&changes("", ""));
    hangs(&world, kind, call);
    let run = world.start(&["run"]);
    let since = until_hung(&world);
    run.signal(signal);
    run.ends().exits(130);
    in_time(&world, &since, Duration::ZERO);
    world
}

#[test]
fn ctrl_c_ends_a_filter_that_hangs_while_a_slot_is_laid_out() {
    let world = stopped_by(Signal::INT, "smudge", 1);
    assert!(
        world.failures("a").is_empty(),
        "it was interrupted, and has not failed"
    );
    works_again(&world, "resume");
}

#[test]
fn sigterm_ends_a_filter_that_hangs_while_a_change_is_read() {
    let world = stopped_by(Signal::TERM, "clean", 1);
    works_again(&world, "resume");
}

/// The last call of the filter in a whole run: it lays out the result, which is another tree than
/// either change.
fn last_call() -> u32 {
    let world = world(&changes("", ""));
    world.run().exits(0);
    let calls = std::fs::read_to_string(world.dir().join("smudge-calls"))
        .unwrap()
        .lines()
        .count();
    assert!(
        calls > 2,
        "the result is laid out by the filter, too: {calls}"
    );
    u32::try_from(calls).unwrap()
}

/// Both changes have landed, so nothing but the judgement is under way.
fn is_judged(world: &World) -> bool {
    world
        .facts()
        .iter()
        .filter(|fact| matches!(fact, Fact::Landed { .. }))
        .count()
        == 2
}

#[test]
fn ctrl_c_a_limit_and_omk_cancel_end_a_filter_that_hangs_before_the_result_is_judged() {
    let last = last_call();
    let interrupted = stopped_by(Signal::INT, "smudge", last);
    assert!(is_judged(&interrupted), "{:#?}", interrupted.facts());
    works_again(&interrupted, "resume");
    let limited = world(&changes("", ", time: 6s"));
    hangs(&limited, "smudge", last);
    let watch = Clock::start().stopwatch();
    limited.run().exits(4);
    in_time(&limited, &watch, Duration::from_secs(6));
    assert!(is_judged(&limited), "{:#?}", limited.facts());
    let cancelled = world(&changes("", ""));
    hangs(&cancelled, "smudge", last);
    let run = cancelled.start(&["run"]);
    let since = until_hung(&cancelled);
    cancelled.omk(&["cancel"]).exits(0);
    run.ends().exits(130);
    in_time(&cancelled, &since, Duration::ZERO);
    works_again(&cancelled, "run");
}

#[test]
fn ctrl_c_ends_a_filter_that_hangs_between_two_executions_of_a_gate() {
    let plan = "defaults: { gates: [touches], retry_policy: { max_attempts: 0 } }\n\
                gates:\n  - { id: touches, run: 'echo more >> x.up; exit 1', retries: 1 }\n\
                tasks:\n  - { id: a, run: echo b > b.txt }\n";
    let world = world(plan);
    hangs(&world, "smudge", 3);
    let run = world.start(&["run"]);
    let since = until_hung(&world);
    run.signal(Signal::INT);
    run.ends().exits(130);
    in_time(&world, &since, Duration::ZERO);
    assert!(world.failures("a").is_empty());
}

#[test]
fn an_attempt_whose_filter_hangs_ends_at_its_timeout() {
    for (kind, what) in [
        ("smudge", "laying out its files"),
        ("clean", "reading its files back"),
    ] {
        let world =
            world(&changes("", "").replace("max_attempts: 0 }", "max_attempts: 0 }, timeout: 3s"));
        hangs(&world, kind, 1);
        let watch = Clock::start().stopwatch();
        let said = world
            .run()
            .exits(1)
            .says(&format!("{what} took longer than 3.0 s"))
            .says("a filter");
        // Both tasks, one after the other.
        in_time(&world, &watch, Duration::from_secs(3 * 2 + 2));
        assert_eq!(world.classes("a"), [Class::Timeout], "{said:?}");
        hangs(&world, kind, 100);
        works_again(&world, "run");
    }
}

#[test]
fn the_time_limit_of_a_run_ends_a_filter_that_hangs() {
    let world = world(&changes("", ", time: 3s"));
    hangs(&world, "smudge", 1);
    let watch = Clock::start().stopwatch();
    world.run().exits(4);
    in_time(&world, &watch, Duration::from_secs(3));
    works_again(&world, "run");
}

#[test]
fn omk_cancel_ends_a_filter_that_hangs_in_one_task_and_in_a_run() {
    let world = world(&changes("", ""));
    hangs(&world, "clean", 1);
    let run = world.start(&["run"]);
    let since = until_hung(&world);
    let _ = std::fs::remove_file(world.dir().join("clean"));
    world.omk(&["cancel", "--task", "a"]).exits(0);
    let over = run.ends();
    // The other task has its whole life after that.
    in_time(&world, &since, Duration::from_secs(5));
    assert_eq!(
        (world.state("a"), world.state("b")),
        ("cancelled".to_owned(), "completed".to_owned()),
        "{over:?}"
    );
    let _ = std::fs::remove_file(world.dir().join("hung"));
    std::fs::remove_file(world.dir().join("clean-calls")).unwrap();
    hangs(&world, "clean", 1);
    let run = world.start(&["run"]);
    let since = until_hung(&world);
    world.omk(&["cancel"]).exits(0);
    run.ends().exits(130);
    in_time(&world, &since, Duration::ZERO);
    works_again(&world, "run");
}

#[test]
fn a_killed_omk_leaves_no_git_and_no_filter() {
    for kind in ["clean", "smudge"] {
        let world = world(&changes("", ""));
        hangs(&world, kind, 1);
        let run = world.start(&["run"]);
        let since = until_hung(&world);
        until("it has a child", || {
            world
                .children()
                .iter()
                .any(|child| child.contains("sleep 1000"))
        });
        assert!(run.killed_after(Duration::ZERO).is_none());
        in_time(&world, &since, Duration::ZERO);
        works_again(&world, "resume");
    }
}

#[test]
fn a_second_signal_leaves_no_git_and_no_filter() {
    let world = world(&changes("", ""));
    hangs(&world, "smudge", 1);
    let run = world.start(&["run"]);
    let since = until_hung(&world);
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    run.ends().exits(130);
    in_time(&world, &since, Duration::ZERO);
    works_again(&world, "resume");
}

#[test]
fn a_signal_before_a_run_has_begun_leaves_no_git_and_no_filter() {
    let world = world(&changes("", ""));
    // git reads a file again that has another time, to say what is not committed.
    std::fs::write(world.repo().join("x.up"), "x\n").unwrap();
    hangs(&world, "clean", 1);
    let run = world.start(&["plan"]);
    let hung: PathBuf = world.dir().join("hung");
    until("the filter hangs, or git did not ask for it", || {
        hung.exists() || world.children().is_empty()
    });
    run.signal(Signal::INT);
    let since = Clock::start().stopwatch();
    let said: Said = run.ends();
    in_time(&world, &since, Duration::ZERO);
    assert!(hung.exists(), "{said:?}");
}

#[test]
fn sigterm_ends_a_filter_that_hangs_while_a_bundle_is_judged() {
    let ran = Ran::new(ONE);
    let (bundle, clone, request) = (ran.bundle(), ran.clone(), ran.asked());
    configure(&ran.world, &clone);
    std::fs::write(clone.join(".git/info/attributes"), "a.txt filter=up\n").unwrap();
    hangs(&ran.world, "smudge", 1);
    let args = [
        "-C",
        clone.to_str().unwrap(),
        "judge",
        bundle.to_str().unwrap(),
        "--request",
        request.to_str().unwrap(),
    ];
    let judge = ran.world.start(&args);
    let since = until_hung(&ran.world);
    judge.signal(Signal::TERM);
    judge.ends().exits(5).says("judging was interrupted");
    in_time(&ran.world, &since, Duration::ZERO);
    std::fs::remove_file(ran.world.dir().join("smudge")).unwrap();
    ran.world.omk(&args).exits(0);
}

/// How many files each task of the law changes, and how many tasks there are.
const FILES: u32 = 2000;
const TASKS: u32 = 30;

/// Moments in the suite; `scripts/soak interrupts` tries more.
const MOMENTS: u64 = 3;

/// Tasks that write 2,000 files each, and some that merge all of that. A few write a file that has
/// a filter, too.
fn big() -> World {
    let mut plan =
        "limits: { workers: 2 }\ndefaults: { retry_policy: { max_attempts: 0 } }\ntasks:\n"
            .to_owned();
    for task in 0..TASKS {
        let write = format!(
            "mkdir -p d{task}; for n in $(seq {FILES}); do echo {task} > d{task}/$n.txt; done"
        );
        let filtered = if task % 5 == 0 {
            format!("; echo > d{task}/a.up")
        } else {
            String::new()
        };
        let before = (task - task % 10..task)
            .map(|other| format!("t{other}"))
            .collect::<Vec<_>>()
            .join(", ");
        let needs = if task % 10 == 9 {
            format!(", dependencies: [{before}]")
        } else {
            String::new()
        };
        let set = format!("write_set: ['d{task}/**']");
        plan.push_str(&format!(
            "  - {{ id: t{task}, run: '{write}{filtered}', {set}{needs} }}\n"
        ));
    }
    world(&plan)
}

#[test]
fn a_run_with_big_merges_ends_in_time_wherever_it_is_interrupted() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let (seed, count) = (
        number("OMK_TEST_SEED").unwrap_or(1),
        number("OMK_TEST_INTERRUPTS").unwrap_or(MOMENTS),
    );
    let (mut world, mut started) = (big(), false);
    for moment in 0..count {
        // Spread over half a minute, at moments that no other seed has.
        let after = Duration::from_millis(500 + (seed * 7919 + moment * 10_007) % 15_000);
        // Every third one finds a filter that hangs.
        let _ = std::fs::remove_file(world.dir().join("hung"));
        for kind in ["clean", "smudge"] {
            let _ = std::fs::remove_file(world.dir().join(kind));
            if moment % 3 == 2 {
                hangs(&world, kind, 1);
            }
        }
        let run = world.start(&[if started { "resume" } else { "run" }]);
        std::thread::sleep(after);
        let since = Clock::start().stopwatch();
        run.signal(Signal::INT);
        let said = run.ends();
        let took = since.elapsed();
        println!(
            "seed {seed}, moment {moment}: SIGINT after {after:?}, over after {took:?} with {}",
            said.code
        );
        in_time(&world, &since, Duration::ZERO);
        assert!([0, 130].contains(&said.code), "{said:?}");
        started = said.code == 130;
        if !started {
            // It has come to its end meanwhile.
            world = big();
        }
    }
}
