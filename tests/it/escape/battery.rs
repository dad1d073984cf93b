//! The language of attempts: a machine with canaries, services and processes around a room, and
//! what became of them.
//!
//! It refuses to believe an attempt: what counts is what is seen from outside, and what the kernel
//! answered.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use omk_action::plan::RoomLevel;
use serde::Deserialize;
use serde_json::json;

use super::canary::{furnish, furnish_for_root, is_as_furnished, victim};
use super::places::{Places, plant, watched};
use super::services::Services;
use super::snapshot::{Process, Snapshot, of_process};

/// All attempts, one program: each kind is a part of it.
const PARTS: [&str; 8] = [
    "language",
    "files",
    "reading",
    "processes",
    "sockets",
    "kernel",
    "places",
    "chains",
];

/// The program with all attempts.
pub(super) fn program() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/escape/attempts");
    let parts =
        PARTS.map(|part| std::fs::read_to_string(dir.join(part).with_extension("py")).unwrap());
    format!("{}\n\nmain()\n", parts.join("\n\n"))
}

/// Who succeeds with an attempt where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenTo {
    All,
    Root,
    /// It depends on the machine.
    Some,
}

/// One attempt.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) name: String,
    pub(super) kind: String,
    /// It is proven by what it says, for instance by the kernel's answer.
    pub(super) by_answer: bool,
    pub(super) open_to: OpenTo,
}

/// What one attempt said.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) said: String,
    pub(super) printed: String,
}

impl Said {
    fn claims(&self) -> bool {
        self.said.starts_with("got ")
    }
}

/// What became of all attempts.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Those that came through, with their kinds and words.
    pub(super) out: BTreeMap<String, (String, String)>,
    /// Those that the machine has nothing for.
    pub(super) not_here: BTreeSet<String>,
    /// What the others said.
    pub(super) held: BTreeMap<String, String>,
    /// Where shared places changed.
    pub(super) changed: Vec<String>,
}

impl Outcome {
    /// The kinds of what came through.
    pub(super) fn kinds(&self) -> BTreeSet<&str> {
        self.out.values().map(|(kind, _)| kind.as_str()).collect()
    }

    /// That nothing came through.
    #[track_caller]
    pub(super) fn assert_all_held(&self) {
        assert!(
            self.out.is_empty() && self.changed.is_empty(),
            "not held: {:#?}\n{:#?}",
            self.out,
            self.changed
        );
    }
}

/// A machine with everything that attempts aim at.
pub(super) struct Machine {
    pub(super) dir: tempfile::TempDir,
    pub(super) places: Places,
    attempts: Vec<Attempt>,
    services: Services,
    victims: BTreeMap<String, (std::process::Child, Process)>,
    secret: String,
    nonce: String,
    before: Snapshot,
}

/// Where machines are laid out: on a disk that a room shows, unlike `/tmp`.
pub(super) fn yards() -> PathBuf {
    std::env::var_os("OMK_TEST_YARDS")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

fn listed(what: &str) -> String {
    let mut python = Command::new("python3");
    let listed = python.args(["-c", &program(), what]).output().unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout).unwrap()
}

/// All ways from one child to a later one, as the program lists them.
pub(super) fn chains() -> Vec<String> {
    listed("chains").lines().map(ToOwned::to_owned).collect()
}

/// All attempts, as the program lists them.
pub(super) fn attempts() -> Vec<Attempt> {
    let text = listed("list");
    let parse = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap().to_owned();
        let (name, proof, open_to, kind) = (word(), word(), word(), word());
        let open_to = match open_to.as_str() {
            "all" => OpenTo::All,
            "root" => OpenTo::Root,
            "some" => OpenTo::Some,
            other => panic!("{name} is open to {other}"),
        };
        Attempt {
            name,
            kind,
            by_answer: proof == "answer",
            open_to,
        }
    };
    text.lines().map(parse).collect()
}

impl Machine {
    /// A machine of its own for children without a run: all places are in it.
    pub(super) fn alone() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("e")
            .tempdir_in(yards())
            .unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "pool/slot",
            "pool/slot.private/home",
            "pool/slot.private/tmp",
            "pool/slot.private/scratch",
        ] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        let places = Places {
            checkout: at("repo"),
            git: at("repo/.git"),
            user: at("user"),
            pool: at("pool"),
            cache: at("cache"),
        };
        std::fs::create_dir(&places.checkout).unwrap();
        std::fs::write(places.checkout.join("a.txt"), "a\n").unwrap();
        for args in [
            &["init", "-q"][..],
            &["add", "-A"],
            &[
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.com",
                "commit",
                "-qm",
                "begin",
            ],
        ] {
            let mut git = Command::new("git");
            git.args(args)
                .current_dir(&places.checkout)
                .env("GIT_CONFIG_GLOBAL", "/dev/null");
            assert!(git.status().unwrap().success());
        }
        Self::around(dir, places)
    }

    /// The same around places that are there.
    pub(super) fn around(dir: tempfile::TempDir, places: Places) -> Self {
        let attempts = attempts();
        let nonce = random();
        let secret = format!("SECRET-{}", random());
        let mut victims = BTreeMap::new();
        std::fs::create_dir_all(dir.path().join("outside")).unwrap();
        let source = program();
        for attempt in &attempts {
            let own = dir.path().join("outside").join(&attempt.name);
            furnish(&own, &secret);
            if attempt.name == "a_set_user_id_program_runs"
                || attempt.name == "a_file_of_another_user_is_read_by_root"
            {
                furnish_for_root(&own);
            }
            if uses_victim(&source, &attempt.name) {
                let mut started = victim(&own, &secret);
                let before = of_process(&mut started);
                victims.insert(attempt.name.clone(), (started, before));
            }
        }
        plant(&places, &secret);
        let services = Services::start(&dir.path().join("sockets"), &nonce, &secret);
        let before = Snapshot::of(&watched(&places));
        Self {
            dir,
            places,
            attempts,
            services,
            victims,
            secret,
            nonce,
            before,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// From now on nothing may change.
    pub(super) fn begin(&mut self) {
        self.before = Snapshot::of(&watched(&self.places));
    }

    /// Where things lie, as attempts are told.
    pub(super) fn description(&self, level: RoomLevel) -> String {
        let victims: BTreeMap<&String, u32> = self
            .victims
            .iter()
            .map(|(name, (child, _))| (name, child.id()))
            .collect();
        let places = &self.places;
        let mut described = json!({
            "outside": self.path("outside"), "checkout": places.checkout, "git": places.git, "user": places.user,
            "pool": places.pool, "cache": places.cache,
            "victims": victims, "nonce": self.nonce, "sealed": level == RoomLevel::Sealed,
            "landlock": level != RoomLevel::None,
        });
        described
            .as_object_mut()
            .unwrap()
            .extend(self.services.described());
        described.to_string()
    }

    /// What became of the attempts that said this, in lines.
    pub(super) fn outcome(&mut self, lines: &str) -> Outcome {
        std::fs::write(self.path("outside/a_daemon_writes_after_the_end/over"), "").unwrap();
        // A daemon looks ten times a second.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let said: BTreeMap<String, Said> = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(|said: Said| (said.name.clone(), said))
            .collect();
        let changed = self.before.changes(&Snapshot::of(&watched(&self.places)));
        let mut outcome = Outcome {
            out: BTreeMap::new(),
            not_here: BTreeSet::new(),
            held: BTreeMap::new(),
            changed: changed.clone(),
        };
        for attempt in self.attempts.clone() {
            let Some(said) = said.get(&attempt.name) else {
                panic!("{} was not made:\n{lines}", attempt.name)
            };
            let seen = self.seen(&attempt, said, !changed.is_empty());
            let words = said.said.clone();
            if let Some(seen) = seen {
                outcome
                    .out
                    .insert(attempt.name, (attempt.kind, format!("{seen}: {words}")));
            } else if words.starts_with("not-here") {
                outcome.not_here.insert(attempt.name);
            } else {
                outcome.held.insert(attempt.name, words);
            }
        }
        outcome
    }

    /// What is seen of an attempt from outside, if anything is.
    fn seen(
        &mut self,
        attempt: &Attempt,
        said: &Said,
        shared_changed: bool,
    ) -> Option<&'static str> {
        let own = self.path("outside").join(&attempt.name);
        if attempt.by_answer && said.claims() {
            return Some("it says so");
        }
        if said.printed.contains(&self.secret) {
            return Some("it knows a secret");
        }
        if self.services.heard(&attempt.name) {
            return Some("a service heard it");
        }
        if !is_as_furnished(&own, &self.secret) {
            return Some("its canary changed");
        }
        if self
            .victims
            .get_mut(&attempt.name)
            .is_some_and(|(victim, before)| of_process(victim) != *before)
        {
            return Some("its victim changed");
        }
        let everywhere = ["/tmp", "/var/tmp", "/dev/shm", "/dev", "/run/lock"];
        let left =
            everywhere.map(|dir| Path::new(dir).join(format!("{}-{}", self.nonce, attempt.name)));
        let found = left.iter().filter(|path| path.exists()).count();
        left.iter()
            .for_each(|path| drop(std::fs::remove_file(path)));
        if found > 0 {
            return Some("it left a file");
        }
        // What it claims to have done in a place that all share is believed if anything changed
        // there.
        let shares = ["caches", "git", "homes", "metadata"].contains(&attempt.kind.as_str());
        (shares && shared_changed && said.claims() && uses_shared(&attempt.name))
            .then_some("a shared place changed")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for (victim, _) in self.victims.values_mut() {
            // It may have been ended by an attempt.
            let _ = victim.kill();
            let _ = victim.wait();
        }
    }
}

/// Whether the attempt's own part of the program says `victim()`.
fn uses_victim(program: &str, name: &str) -> bool {
    body(program, name).contains("victim()")
}

fn uses_shared(name: &str) -> bool {
    !body(&program(), name).contains("own(")
}

fn body<'a>(program: &'a str, name: &str) -> &'a str {
    let (_, rest) = program.split_once(&format!("def {name}():")).unwrap();
    rest.split("\n\n\n").next().unwrap_or(rest)
}

fn random() -> String {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(
        &mut std::fs::File::open("/dev/urandom").unwrap(),
        &mut bytes,
    )
    .unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
