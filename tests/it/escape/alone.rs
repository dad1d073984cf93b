//! All attempts, from one child of a shepherd, without a run around it: at each level, as root and
//! as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use omk_action::exec::{Child, Ended, NetworkReach, Program, Sandbox, Shepherd, Surroundings};
use omk_action::plan::RoomLevel;

use super::battery::{Machine, OpenTo, Outcome, Said, attempts, program};
use super::ordinary;

/// All attempts take about ten seconds; a busy machine is slow.
const LONG: Duration = Duration::from_secs(240);

/// All attempts at a level, or nothing if this machine has no such room.
async fn made_at(level: RoomLevel, reach: NetworkReach) -> Option<Outcome> {
    let mut machine = Machine::alone();
    std::fs::write(machine.path("pool/slot/attempts.py"), program()).unwrap();
    std::fs::write(
        machine.path("pool/slot/machine.json"),
        machine.description(level),
    )
    .unwrap();
    let ended = run(&machine, level, reach, "run").await;
    if ended.containment.level != level {
        eprintln!(
            "skipped: a room of level {level} cannot be had here: {:?}",
            ended.why_not_sealed
        );
        return None;
    }
    let lines = std::fs::read_to_string(machine.path("log")).unwrap();
    Some(machine.outcome(&lines))
}

async fn run(machine: &Machine, level: RoomLevel, reach: NetworkReach, what: &str) -> Ended {
    let (slot, private) = (machine.path("pool/slot"), machine.path("pool/slot.private"));
    let mut env = BTreeMap::from([("PATH".into(), std::env::var_os("PATH").unwrap())]);
    env.insert("HOME".into(), private.join("home").into());
    env.insert("TMPDIR".into(), private.join("tmp").into());
    let room = Sandbox {
        writable: vec![slot.clone(), private.join("home"), private.join("tmp")],
        copied: vec![machine.places.git.clone(), machine.places.cache.clone()],
        // What is not even seen would prove little.
        shown: vec![machine.path("outside")],
        hidden: vec![
            machine.places.checkout.clone(),
            machine.places.pool.clone(),
            machine.places.user.clone(),
            machine.places.git.join("omk"),
            machine.places.cache.join("credentials.toml"),
        ],
        scratch: Some(private.join("scratch")),
        reach,
        ..Sandbox::default()
    };
    let child = Child {
        program: Program::Shell(format!("exec python3 attempts.py {what} machine.json")),
        cwd: slot.clone(),
        env,
        room: (level != RoomLevel::None).then_some(room),
        timeout: LONG,
        idle_timeout: None,
        log: machine.path("log"),
        log_cap: 16 << 20,
    };
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into()).at_most(level);
    shepherd
        .run(&child, &Surroundings::default())
        .await
        .unwrap()
}

impl Machine {
    /// What the last of several children without a room finds of the others, each in the same slot.
    pub(super) async fn stages(&self, marks: &[&str]) -> Vec<String> {
        let slot = self.path("pool/slot");
        std::fs::write(slot.join("attempts.py"), program()).unwrap();
        std::fs::write(slot.join("machine.json"), self.description(RoomLevel::None)).unwrap();
        std::fs::create_dir(slot.join("src")).unwrap();
        std::fs::create_dir(slot.join("docs")).unwrap();
        for name in ["a.txt", "src/lib.rs", "docs/b.txt", "omk.yaml"] {
            std::fs::write(slot.join(name), "as it was\n").unwrap();
        }
        let mut git = std::process::Command::new("sh");
        let script = "git init -q && git add -A && git -c user.name=t -c user.email=t@example.com commit -qm begin";
        assert!(
            git.args(["-c", script])
                .current_dir(&slot)
                .status()
                .unwrap()
                .success()
        );
        for mark in marks {
            run(
                self,
                RoomLevel::None,
                NetworkReach::Open,
                &format!("stage {mark}"),
            )
            .await;
        }
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        let said = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Said>(line).ok());
        said.filter(|said| said.said.starts_with("got "))
            .map(|said| said.name)
            .collect()
    }
}

#[tokio::test]
async fn a_sealed_room_holds_every_attempt() {
    if let Some(outcome) = made_at(RoomLevel::Sealed, NetworkReach::Nothing).await {
        outcome.assert_all_held();
    }
    ordinary::user_passes("escape::alone::a_sealed_room_holds_every_attempt");
}

#[tokio::test]
async fn a_sealed_room_on_the_machines_network_holds_all_that_is_not_the_network() {
    if let Some(mut outcome) = made_at(RoomLevel::Sealed, NetworkReach::Open).await {
        outcome
            .out
            .retain(|_, (kind, _)| !["a closed network", "network seen"].contains(&kind.as_str()));
        outcome.assert_all_held();
    }
    ordinary::user_passes(
        "escape::alone::a_sealed_room_on_the_machines_network_holds_all_that_is_not_the_network",
    );
}

/// The kinds of attempts that SECURITY.md says a room of level `landlock` does not hold.
pub(super) fn exceptions() -> BTreeSet<String> {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md")).unwrap();
    let (_, after) = page
        .split_once("### What Landlock alone does not hold\n")
        .unwrap();
    let list = after.split("\n#").next().unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    let root = rustix::process::getuid().is_root();
    let names = names.filter(|(_, words)| !(root && words.starts_with(" (not as root)")));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn what_landlock_alone_does_not_hold_is_what_security_says() {
    if let Some(outcome) = made_at(RoomLevel::Landlock, NetworkReach::Nothing).await {
        let kinds: BTreeSet<String> = outcome.kinds().into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(
            kinds,
            exceptions(),
            "{:#?}\n{:#?}",
            outcome.out,
            outcome.held
        );
    }
    ordinary::user_passes("escape::alone::what_landlock_alone_does_not_hold_is_what_security_says");
}

#[tokio::test]
async fn without_a_room_every_attempt_succeeds() {
    let outcome = made_at(RoomLevel::None, NetworkReach::Open).await.unwrap();
    let root = rustix::process::getuid().is_root();
    let open = |open_to: OpenTo| open_to == OpenTo::All || root && open_to == OpenTo::Root;
    let expected = attempts()
        .into_iter()
        .filter(|attempt| open(attempt.open_to));
    // A kernel without the call holds nothing.
    let unknown = |name: &str| {
        outcome
            .held
            .get(name)
            .is_some_and(|said| said.contains("Function not implemented"))
    };
    let weak: Vec<String> = expected
        .filter(|attempt| !unknown(&attempt.name))
        .filter(|attempt| {
            !outcome.out.contains_key(&attempt.name) && !outcome.not_here.contains(&attempt.name)
        })
        .map(|attempt| format!("{}: {:?}", attempt.name, outcome.held.get(&attempt.name)))
        .collect();
    assert!(
        weak.is_empty(),
        "these prove nothing, for nothing holds them: {weak:#?}\n{:?}",
        outcome.not_here
    );
    assert!(
        outcome.out.len() > if root { 200 } else { 120 },
        "{} of {}",
        outcome.out.len(),
        attempts().len()
    );
    ordinary::user_passes("escape::alone::without_a_room_every_attempt_succeeds");
}
