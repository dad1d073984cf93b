//! A small language for stories about the built binary: a repository, a plan, `omk` in a clean
//! environment, and what it leaves behind. It refuses to look into omk: it reads what a person
//! could read, and the journal.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use omk_action::fact::{Class, Fact, Failure, Outcome, RunVerdict};
use omk_action::journal;

/// How often something that is waited for is looked at, and for how long at most, on a busy
/// machine.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: u32 = 6000;

/// A directory of its own: a repository, a cache, a home.
pub(crate) struct World {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// That it ended so; all it said where it did not.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- out\n{}\n--- err\n{}",
            self.out, self.err
        );
        self
    }

    /// That a person can read this, on either stream, wherever lines are broken.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = [&self.out, &self.err]
            .iter()
            .any(|said| said.contains(text) || flat(said).contains(&flat(text)));
        assert!(
            said,
            "it does not say {text:?}\n--- out\n{}\n--- err\n{}",
            self.out, self.err
        );
        self
    }

    /// That nobody reads this, wherever lines are broken.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = [&self.out, &self.err]
            .iter()
            .any(|said| flat(said).contains(&flat(text)));
        assert!(
            !said,
            "it says {text:?}\n--- out\n{}\n--- err\n{}",
            self.out, self.err
        );
        self
    }
}

/// An `omk` under way.
pub(crate) struct Running {
    child: Child,
    ended: Receiver<(String, String)>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A signal to omk alone.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// Kills omk after that long, unless it ends before; what it said where it did.
    pub(crate) fn killed_after(mut self, moment: Duration) -> Option<Said> {
        match self.ended.recv_timeout(moment) {
            Err(RecvTimeoutError::Timeout) => {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                None
            }
            Ok((out, err)) => Some(said(self.child.wait().unwrap(), out, err)),
            Err(RecvTimeoutError::Disconnected) => panic!("nobody listens to omk"),
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(self) -> Said {
        self.killed_after(LOOK * LOOKS)
            .expect("omk ends within a minute")
    }
}

/// Whether a plan names a file outside of its repository, which a sealed room does not show.
pub(crate) fn reaches_out(plan: &str) -> bool {
    let below = std::env::temp_dir();
    plan.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)))
        .any(|word| Path::new(word).starts_with(&below))
}

fn said(status: ExitStatus, out: String, err: String) -> Said {
    Said {
        code: status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or(0)),
        out,
        err,
    }
}

/// Waits until that holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("waited in vain until {what}");
}

impl World {
    /// A repository with a commit: `a.txt`, `src/lib.rs`, and an ignored `target/`.
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same, below another directory than that of temporary files.
    pub(crate) fn below(parent: &Path) -> Self {
        let world = Self::empty_below(parent);
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.write("a.txt", "a\n");
        world.write("src/lib.rs", "one\ntwo\nthree\n");
        world.write(".gitignore", "target/\n");
        world.commit("first");
        world
    }

    /// No repository yet.
    pub(crate) fn empty() -> Self {
        Self::empty_below(&std::env::temp_dir())
    }

    fn empty_below(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("omk-story-")
            .tempdir_in(parent)
            .unwrap();
        for name in ["repo", "home", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self {
            dir,
            env: Vec::new(),
        }
    }

    /// A variable that omk is started with.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.rev("HEAD")
    }

    /// The plan `story`, committed.
    pub(crate) fn plan(&self, text: &str) {
        self.write("omk.yaml", &format!("version: 1\nname: story\n{text}"));
        self.commit("plan");
    }

    /// A world with that plan.
    pub(crate) fn with(plan: &str) -> Self {
        let world = Self::new();
        world.plan(plan);
        world
    }

    /// A command in the repository, with nothing of the caller's environment but the path.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.repo())
            .env_clear()
            .stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        for (name, value) in [
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
            ("TMPDIR", "tmp"),
        ] {
            command.env(name, self.dir.path().join(value));
        }
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "A Person"),
            ("GIT_AUTHOR_EMAIL", "person@example.org"),
            ("GIT_COMMITTER_NAME", "A Person"),
            ("GIT_COMMITTER_EMAIL", "person@example.org"),
            ("LANG", "C.UTF-8"),
            ("USER", "person"),
        ] {
            command.env(name, value);
        }
        // A plan of these stories that waits for a file beside the repository is about something
        // else than its room.
        let plan = self.repo().join("omk.yaml");
        if plan.is_file() && std::fs::read_to_string(&plan).is_ok_and(|plan| reaches_out(&plan)) {
            command.env("OMK_ROOM_AT_MOST", "landlock");
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Git in the repository; what it prints, without its last newline.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let out = self.command("git").args(args).output().unwrap();
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// The full name of a revision; empty where there is none.
    pub(crate) fn rev(&self, name: &str) -> String {
        let out = self
            .command("git")
            .args(["rev-parse", "--verify", "--quiet", name])
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// The tree of a revision; empty where there is none.
    pub(crate) fn tree(&self, name: &str) -> String {
        self.rev(&format!("{name}^{{tree}}"))
    }

    /// A file at a revision.
    #[track_caller]
    pub(crate) fn shows(&self, name: &str, path: &str) -> String {
        self.git(&["show", &format!("{name}:{path}")])
    }

    /// The paths at a revision.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let text = self.git(&["ls-tree", "-r", "--name-only", name]);
        text.lines().map(str::to_owned).collect()
    }

    /// The tasks whose commits are on a branch, oldest first, by their trailers.
    pub(crate) fn landed_on(&self, branch: &str) -> Vec<String> {
        if self.rev(branch).is_empty() {
            return Vec::new();
        }
        let format = "--format=%(trailers:key=Omk-Task,valueonly,separator=%x2c)";
        let text = self.git(&["log", "--reverse", "--first-parent", format, branch]);
        text.lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn omk_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_omk"));
        command.args(args);
        command
    }

    /// Runs omk to its end.
    #[track_caller]
    pub(crate) fn omk(&self, args: &[&str]) -> Said {
        self.start(args).ends()
    }

    /// Starts omk.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Self::start_command(self.omk_command(args))
    }

    /// Starts a command of ours, in a process group of its own.
    pub(crate) fn start_command(mut command: Command) -> Running {
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let reader = std::thread::spawn(move || {
                let mut text = Vec::new();
                err.read_to_end(&mut text).map(|_| text)
            });
            let mut text = Vec::new();
            out.read_to_end(&mut text).unwrap();
            let err = reader.join().unwrap().unwrap();
            // Nobody may wait any more.
            let _ = sender.send((lossy(&text), lossy(&err)));
        });
        Running { child, ended }
    }

    /// Runs `omk run` with no question asked.
    #[track_caller]
    pub(crate) fn run(&self) -> Said {
        self.omk(&["run"])
    }

    /// The directory of the newest run.
    #[track_caller]
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.runs().pop().expect("there has been a run")
    }

    /// The directories of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.repo().join(".git/omk/runs")) else {
            return Vec::new();
        };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    /// The facts of the newest run; none where it has not begun.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let Some(run) = self.runs().pop() else {
            return Vec::new();
        };
        let bytes = std::fs::read(run.join("journal.jsonl")).unwrap_or_default();
        journal::read(&bytes)
            .unwrap()
            .lines
            .into_iter()
            .map(|line| line.fact)
            .collect()
    }

    /// Waits until the newest run's journal holds such a fact.
    #[track_caller]
    pub(crate) fn until_fact(&self, what: &str, holds: impl Fn(&Fact) -> bool) {
        until(what, || self.facts().iter().any(&holds));
    }

    /// Waits until a task's attempt has its slot; the slot.
    #[track_caller]
    pub(crate) fn until_prepared(&self, id: &str) -> PathBuf {
        let mut found = None;
        until("it is prepared", || {
            found = self.facts().into_iter().rev().find_map(|fact| match fact {
                Fact::Prepared { task, slot, .. } if task.as_str() == id => {
                    Some(PathBuf::from(slot))
                }
                _ => None,
            });
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until a file of that name is in the task's slot: its command got so far.
    #[track_caller]
    pub(crate) fn until_file(&self, id: &str, file: &str) -> PathBuf {
        let slot = self.until_prepared(id);
        until("the command wrote its file", || slot.join(file).exists());
        slot
    }

    /// What the newest run's tasks are, by `omk status --json`.
    #[track_caller]
    pub(crate) fn records(&self) -> BTreeMap<String, serde_json::Value> {
        let said = self.omk(&["status", "--json"]).exits(0);
        let records: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
        records
            .into_iter()
            .map(|record| (record["id"].as_str().unwrap().to_owned(), record))
            .collect()
    }

    #[track_caller]
    pub(crate) fn state(&self, task: &str) -> String {
        self.records()[task]["state"].as_str().unwrap().to_owned()
    }

    /// How a task's attempts failed, oldest first.
    pub(crate) fn failures(&self, id: &str) -> Vec<Failure> {
        let failed = |fact| match fact {
            Fact::Worked {
                task,
                outcome: Outcome::Failed(failure),
                ..
            } if task.as_str() == id => Some(failure),
            _ => None,
        };
        self.facts().into_iter().filter_map(failed).collect()
    }

    /// The classes of a task's failures.
    pub(crate) fn classes(&self, id: &str) -> Vec<Class> {
        self.failures(id)
            .into_iter()
            .map(|failure| failure.class)
            .collect()
    }

    /// The tasks that landed, in order, by the journal.
    pub(crate) fn landings(&self) -> Vec<String> {
        let landed = |fact| match fact {
            Fact::Landed { task, .. } => Some(task.to_string()),
            _ => None,
        };
        self.facts().into_iter().filter_map(landed).collect()
    }

    /// The run's report, as JSON.
    #[track_caller]
    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::from_str(&self.omk(&["report", "--json"]).exits(0).out).unwrap()
    }

    /// That the newest run ended so, its journal folds again, and nothing of it lives on.
    #[track_caller]
    pub(crate) fn ended(&self, verdict: RunVerdict) {
        self.omk(&["replay"])
            .exits(0)
            .says(&format!("verdict: {}", verdict.as_str()));
        self.no_child_is_left();
    }

    /// Processes that work in this world or carry its name in their environment.
    pub(crate) fn children(&self) -> Vec<String> {
        let dir = self.dir.path().canonicalize().unwrap();
        let name = dir.as_os_str().as_bytes();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let path = entry.path();
            if entry.file_name().to_string_lossy().parse::<u32>().is_err() {
                continue;
            }
            let here = std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&dir));
            let environment = std::fs::read(path.join("environ")).unwrap_or_default();
            if here || environment.windows(name.len()).any(|window| window == name) {
                let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
                found.push(format!(
                    "{} {}",
                    entry.file_name().to_string_lossy(),
                    lossy(&command).replace('\0', " ")
                ));
            }
        }
        found
    }

    /// That no process of this world outlives it by more than the moment its shepherd needs.
    #[track_caller]
    pub(crate) fn no_child_is_left(&self) {
        let mut left = Vec::new();
        for _ in 0..500 {
            left = self.children();
            if left.is_empty() {
                return;
            }
            std::thread::park_timeout(LOOK);
        }
        panic!("still there: {left:#?}");
    }

    /// Everything about the user's checkout that omk must leave alone: files, modes, index, HEAD,
    /// branches, config.
    pub(crate) fn checkout(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        walk(&self.repo(), &self.repo(), &mut all);
        let git = self.repo().join(".git");
        if git.is_dir() {
            for name in [
                "HEAD",
                "index",
                "config",
                "MERGE_HEAD",
                "MERGE_MSG",
                "ORIG_HEAD",
                "FETCH_HEAD",
                "shallow",
            ] {
                if let Ok(bytes) = std::fs::read(git.join(name)) {
                    all.insert(
                        format!(".git/{name}"),
                        omk_action::id::Sha256::of(&bytes).to_string(),
                    );
                }
            }
            walk(&git.join("hooks"), &git.join("hooks"), &mut all);
        }
        let out = self
            .command("git")
            .args(["for-each-ref", "--format=%(refname) %(objectname)"])
            .output()
            .unwrap();
        for line in lossy(&out.stdout)
            .lines()
            .filter(|line| !line.contains("/omk/"))
        {
            all.insert("ref".to_owned() + line, String::new());
        }
        all
    }

    /// The same text without what differs between two runs: ids, times, paths, sizes of waits.
    pub(crate) fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.path().display().to_string(), "[DIR]");
        for run in self.runs() {
            text = text.replace(&*run.file_name().unwrap().to_string_lossy(), "[RUN]");
        }
        text
    }
}

/// What varies in texts for people: commits, durations, times, processes.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
    (r"\b[0-9a-f]{12}\b", "[COMMIT]"),
    (r" +\d+(\.\d+)? (ms|s|min)\b", " [TIME]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[MOMENT]"),
    (r"process \d+ on [^,\s]+", "process [PID] on [HOST]"),
    (r"process \d+", "process [PID]"),
    (r" +\n", "\n"),
    // Machines differ.
    (
        r"  room: sealed\n|warning: The children's room [^\n]*\n\n",
        "",
    ),
];

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below a directory but `.git`, with its mode and what is in it.
fn walk(root: &Path, dir: &Path, all: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = format!("{:?}", path.strip_prefix(root).unwrap());
        let meta = path.symlink_metadata().unwrap();
        if path.file_name() == Some(OsStr::new(".git")) && dir == root {
            continue;
        }
        let what = if meta.is_symlink() {
            format!("-> {:?}", std::fs::read_link(&path).unwrap())
        } else if meta.is_dir() {
            walk(root, &path, all);
            "directory".to_owned()
        } else if !meta.is_file() {
            "neither file nor directory".to_owned()
        } else {
            omk_action::id::Sha256::of(&std::fs::read(&path).unwrap_or_default()).to_string()
        };
        let stamp = format!("{:o} {} {}", meta.permissions().mode(), meta.mtime(), what);
        all.insert(
            name,
            if meta.is_dir() {
                format!("{:o} {what}", meta.permissions().mode())
            } else {
                stamp
            },
        );
    }
}
