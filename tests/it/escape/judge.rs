//! The judge job: gates of a change that nobody trusts, on a machine that never saw the agent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use omk_action::fact::{GateVerdict, RunVerdict};
use omk_action::plan::RoomLevel;
use omk_action::request::Judgement;

use super::battery::yards;
use super::ordinary;
use crate::bundle_world::Ran;
use crate::world::World;

/// What the gates of a judge try: a name, and a script that succeeds only if it came through. `$W`
/// is the directory in which everything lies.
const ATTEMPTS: [(&str, &str); 16] = [
    (
        "an-output-of-the-job",
        "echo 'verdict=ready' >> $W/job/output",
    ),
    (
        "a-variable-of-the-job",
        "echo 'LD_PRELOAD=/evil.so' >> $W/job/env",
    ),
    ("a-path-of-the-job", "echo /evil >> $W/job/path"),
    ("the-summary-of-the-job", "echo fine >> $W/job/summary"),
    ("the-event-of-the-job", "echo '{}' > $W/job/event.json"),
    ("the-bundle", "echo x >> $W/bundle/bundle.json"),
    ("the-journal-in-the-bundle", "rm $W/bundle/journal.jsonl"),
    ("the-request", "echo '{}' > $W/request.json"),
    (
        "a-hook-of-the-clone",
        "echo evil > $W/clone/.git/hooks/post-checkout",
    ),
    (
        "the-settings-of-the-clone",
        "git config --file $W/clone/.git/config core.fsmonitor evil",
    ),
    ("the-checkout-of-the-clone", "echo evil > $W/clone/a.txt"),
    (
        "the-checkout-is-read",
        "grep -q private $W/clone/private.txt",
    ),
    (
        "a-secret-of-the-job-is-read",
        "grep -q ghs_hush $W/home/.netrc",
    ),
    ("the-token-is-in-the-environment", "env | grep -q ghs_hush"),
    (
        "a-branch-of-the-clone",
        "git -C $W/clone update-ref refs/heads/main HEAD~1",
    ),
    ("the-next-gates-cache", "echo evil > $CARGO_HOME/evil"),
];

/// Files that belong to the job, with what is in them.
const JOB: [&str; 5] = ["output", "env", "path", "summary", "event.json"];

fn judge_at(level: RoomLevel) {
    let world = World::below(&yards())
        .env("OMK_ROOM_AT_MOST", &level.to_string())
        .env("GITHUB_TOKEN", "ghs_hush");
    let root = world.dir().display().to_string();
    for dir in ["job", "home/.cargo"] {
        std::fs::create_dir_all(world.dir().join(dir)).unwrap();
    }
    let mut gates = String::new();
    for (name, script) in ATTEMPTS {
        let script = script.replace("$W", &root);
        // In the run there is no job yet: only the judge's gates are looked at.
        writeln!(
            gates,
            "  - {{ id: {name}, run: \"test -e {root}/job/output || exit 0; if {script}; then exit 1; fi\" }}"
        )
        .unwrap();
    }
    world.plan(&format!(
        "gates:\n{gates}tasks: [{{ id: one, run: 'echo 1 > one.txt', write_set: [one.txt], gates: [{}] }}]\n",
        ATTEMPTS.map(|(name, _)| name).join(", ")
    ));
    world.run().exits(0);
    let ran = Ran::of(world);
    let dir = ran.bundle();
    let clone = ran.clone();
    std::fs::write(clone.join("private.txt"), "private").unwrap();
    let at = |name: &str| ran.world.dir().join(name);
    std::fs::write(at("home/.netrc"), "ghs_hush").unwrap();
    for name in JOB {
        std::fs::write(at("job").join(name), "as it was").unwrap();
    }
    let config = std::fs::read(clone.join(".git/config")).unwrap();
    let head = ran.world.git(&[
        "-C",
        clone.to_str().unwrap(),
        "rev-parse",
        "refs/heads/main",
    ]);
    let bundle = std::fs::read(dir.join("bundle.json")).unwrap();
    // All are to try, whoever succeeds first.
    let said = ran.judge(&dir, &["--json", "--keep-going"]);
    let judgement: Option<Judgement> = serde_json::from_str(&said.out).ok();
    let judgement = judgement.unwrap_or_else(|| panic!("{}", said.err));
    let through = judgement
        .gates
        .iter()
        .filter(|gate| gate.verdict != GateVerdict::Passed);
    let through: Vec<String> = through.map(|gate| gate.gate.to_string()).collect();
    // In a sealed room some succeed in a copy that is thrown away: what counts is below.
    let readable = ["the-checkout-is-read", "a-secret-of-the-job-is-read"];
    let in_a_copy = [
        "a-hook-of-the-clone",
        "the-settings-of-the-clone",
        "a-branch-of-the-clone",
        "the-next-gates-cache",
    ];
    let expected = |name: &str| match level {
        RoomLevel::Sealed => in_a_copy.contains(&name),
        // A cache of the gate's own, where it cannot have a copy.
        RoomLevel::Landlock | RoomLevel::None => {
            readable.contains(&name) || name == "the-next-gates-cache"
        }
    };
    let unexpected: Vec<&String> = through.iter().filter(|name| !expected(name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}: {}", said.err);
    assert_eq!(judgement.verdict == RunVerdict::Ready, through.is_empty());
    for name in JOB {
        assert_eq!(
            std::fs::read_to_string(at("job").join(name)).unwrap(),
            "as it was",
            "{name}"
        );
    }
    assert_eq!(std::fs::read(clone.join(".git/config")).unwrap(), config);
    assert!(!clone.join(".git/hooks/post-checkout").exists());
    assert_eq!(
        ran.world.git(&[
            "-C",
            clone.to_str().unwrap(),
            "rev-parse",
            "refs/heads/main"
        ]),
        head
    );
    assert_eq!(std::fs::read(dir.join("bundle.json")).unwrap(), bundle);
    assert_eq!(std::fs::read_to_string(clone.join("a.txt")).unwrap(), "a\n");
    assert!(!at("home/.cargo/evil").exists());
    // Without a room every one of them succeeds.
    for (name, script) in ATTEMPTS {
        let mut sh = ran.world.command("sh");
        sh.args(["-c", &script.replace("$W", &root)])
            .env("CARGO_HOME", at("home/.cargo"));
        assert!(
            sh.status().unwrap().success(),
            "{name} proves nothing, for nothing holds it"
        );
    }
}

#[test]
fn gates_of_a_judge_in_sealed_rooms_reach_nothing_of_the_job() {
    judge_at(RoomLevel::Sealed);
    ordinary::user_passes(
        "escape::judge::gates_of_a_judge_in_sealed_rooms_reach_nothing_of_the_job",
    );
}

#[test]
fn gates_of_a_judge_under_landlock_change_nothing_of_the_job() {
    judge_at(RoomLevel::Landlock);
    ordinary::user_passes(
        "escape::judge::gates_of_a_judge_under_landlock_change_nothing_of_the_job",
    );
}
