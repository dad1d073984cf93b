//! Stories about children: real processes under the real `omk` as their shepherd.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use omk_action::exec::environment::{Caller, child_env};
use omk_action::exec::secret::shed_secrets;
use omk_action::exec::{
    Child, Ended, Ending, ExecError, Program, Pulse, Sandbox, Shepherd, Surroundings,
};
use omk_action::id::Sha256;
use omk_action::plan::RoomLevel;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// Longer than any of these stories takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A place for one story: a directory with a slot, a HOME and a TMPDIR.
pub(crate) struct Yard {
    dir: tempfile::TempDir,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["slot", "home", "tmp", "outside"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn child(&self, script: &str) -> Child {
        let none = BTreeMap::new();
        let caller = Caller::read();
        let env = child_env(
            &caller,
            &self.path("home"),
            &self.path("tmp"),
            &none,
            &[],
            &none,
        );
        Child {
            program: Program::Shell(script.to_owned()),
            cwd: self.path("slot"),
            env: env.vars,
            room: None,
            timeout: LONG,
            idle_timeout: None,
            log: self.path("log"),
            log_cap: 1 << 20,
        }
    }

    /// A child that may write where the contract says, and nowhere else.
    pub(crate) fn confined(&self, script: &str) -> Child {
        let none = BTreeMap::new();
        let caller = Caller::read();
        let env = child_env(
            &caller,
            &self.path("home"),
            &self.path("tmp"),
            &none,
            &[],
            &none,
        );
        std::fs::create_dir_all(self.path("scratch")).unwrap();
        let sandbox = Sandbox {
            writable: ["slot", "home", "tmp"].map(|name| self.path(name)).into(),
            copied: env.caches.into_iter().map(|(_, path)| path).collect(),
            shown: env.tools,
            hidden: caller.private_directories().to_vec(),
            scratch: Some(self.path("scratch")),
            ..Sandbox::default()
        };
        Child {
            room: Some(sandbox),
            ..self.child(script)
        }
    }
}

async fn run(child: &Child) -> Ended {
    run_in(child, &Surroundings::default()).await
}

async fn run_in(child: &Child, around: &Surroundings) -> Ended {
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    tokio::time::timeout(LONG, shepherd.run(child, around))
        .await
        .expect("it takes less than a minute")
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a process of that number lives; a zombie does not.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z')
    })
}

/// Every living process that has `needle` in its arguments.
pub(crate) fn processes_with(needle: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| text(&line).contains(needle))
        })
        .filter(|pid| lives(pid))
        .collect()
}

#[tokio::test]
async fn a_child_ends_with_its_code_and_its_output_is_kept() {
    let yard = Yard::new();
    let ended = run(&yard.child("echo out; echo err >&2; pwd; exit 7")).await;
    assert_eq!(ended.ending, Ending::Exited(7));
    let log = yard.read("log");
    for line in ["out", "err", yard.path("slot").to_str().unwrap()] {
        assert!(log.lines().any(|found| found == line), "{line} is in {log}");
    }
    assert_eq!(text(&ended.head), log);
    assert_eq!(
        (ended.tail.len(), text(&ended.stderr_tail).as_str()),
        (0, "err\n")
    );
    assert_eq!(ended.bytes, log.len() as u64);
    assert_eq!(ended.log_sha256, Sha256::of(log.as_bytes()));
    assert_eq!(ended.stragglers, 0);
    assert_eq!(ended.containment.subreaper, cfg!(target_os = "linux"));
    assert!(
        ended.containment.level == RoomLevel::None,
        "it was not asked for"
    );
    assert!(ended.duration < LONG);
}

#[tokio::test]
async fn a_program_is_found_on_the_childs_own_path() {
    let yard = Yard::new();
    std::fs::write(yard.path("slot/mine"), "#!/bin/sh\necho \"mine: $1\"\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(yard.path("slot/mine"), executable).unwrap();
    let mut child = yard.child("");
    child.program = Program::Direct("mine".into(), vec!["a b".into()]);
    child.env.insert("PATH".into(), yard.path("slot").into());
    assert_eq!(text(&run(&child).await.head), "mine: a b\n");
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let yard = Yard::new();
    let mut child = yard.child("");
    child.program = Program::Direct("no-such-program".into(), Vec::new());
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    let error = shepherd
        .run(&child, &Surroundings::default())
        .await
        .unwrap_err();
    let ExecError::Io { what, source } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (what.as_str(), source.kind()),
        ("start `no-such-program`", std::io::ErrorKind::NotFound)
    );

    let lost = Child {
        cwd: yard.path("nowhere"),
        ..yard.child("true")
    };
    let error = shepherd
        .run(&lost, &Surroundings::default())
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("enter `/"), "{error}");
}

#[tokio::test]
async fn a_signal_that_omk_did_not_send_is_told_apart() {
    let yard = Yard::new();
    assert_eq!(
        run(&yard.child("kill -SEGV $$")).await.ending,
        Ending::Signalled(11)
    );
    assert_eq!(
        run(&yard.child("kill -TERM $$")).await.ending,
        Ending::Signalled(15)
    );
}

#[tokio::test]
async fn a_child_is_ended_at_its_deadline_and_may_tidy_up() {
    let yard = Yard::new();
    let script = "trap 'echo tidy; exit 0' TERM; echo $$ > pid; sleep 1000 & wait";
    let child = Child {
        timeout: Duration::from_millis(300),
        ..yard.child(script)
    };
    let ended = run(&child).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert_eq!(text(&ended.head), "tidy\n");
    assert!(!lives(&yard.read("slot/pid")));
}

#[tokio::test]
async fn a_child_that_ignores_the_request_is_killed() {
    let yard = Yard::new();
    let script = "trap '' TERM; echo $$ > pid; while :; do sleep 1; done";
    let child = Child {
        timeout: Duration::from_millis(300),
        ..yard.child(script)
    };
    let ended = run(&child).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert!(
        ended.duration >= Duration::from_secs(2),
        "it had its grace: {:?}",
        ended.duration
    );
    assert!(!lives(&yard.read("slot/pid")));
}

#[tokio::test]
async fn a_stopped_child_hears_the_request_too() {
    let yard = Yard::new();
    let script = "trap 'echo tidy; exit 0' TERM; kill -STOP $$; while :; do :; done";
    let child = Child {
        timeout: Duration::from_millis(300),
        ..yard.child(script)
    };
    let ended = run(&child).await;
    assert_eq!(
        (ended.ending, text(&ended.head).as_str()),
        (Ending::TimedOut, "tidy\n")
    );
}

#[tokio::test]
async fn a_silent_child_is_hung_and_a_talking_one_is_not() {
    let yard = Yard::new();
    let patience = Some(Duration::from_millis(400));
    let ended = run(&Child {
        idle_timeout: patience,
        ..yard.child("echo once; sleep 1000")
    })
    .await;
    assert_eq!(ended.ending, Ending::Hung);

    let talks = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done";
    let ended = run(&Child {
        idle_timeout: patience,
        ..yard.child(talks)
    })
    .await;
    assert_eq!(ended.ending, Ending::Exited(0));
}

#[tokio::test]
async fn model_traffic_winds_the_idle_clock() {
    let yard = Yard::new();
    let pulse = Pulse::default();
    let around = Surroundings {
        pulse: pulse.clone(),
        ..Surroundings::default()
    };
    let beats = tokio::spawn(async move {
        for _ in 0..30 {
            pulse.beat();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let child = Child {
        idle_timeout: Some(Duration::from_millis(300)),
        ..yard.child("sleep 1.2; echo done")
    };
    let ended = run_in(&child, &around).await;
    assert_eq!(
        (ended.ending, text(&ended.head).as_str()),
        (Ending::Exited(0), "done\n")
    );
    beats.await.unwrap();
}

#[tokio::test]
async fn a_child_is_stopped_on_request_and_its_lines_come_at_once() {
    let yard = Yard::new();
    let (to, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let around = Surroundings {
        stdout_lines: Some(to),
        ..Surroundings::default()
    };
    let stop = around.stop.clone();
    let listener = tokio::spawn(async move {
        let first = lines.recv().await.unwrap();
        stop.cancel();
        first
    });
    let ended = run_in(&yard.child("echo first; exec sleep 1000"), &around).await;
    assert_eq!(ended.ending, Ending::Stopped);
    assert_eq!(listener.await.unwrap(), b"first");
}

#[tokio::test]
async fn a_gigabyte_of_output_stays_in_bounds() {
    let yard = Yard::new();
    let ended = run(&yard.child("head -c 1000000000 /dev/zero; echo the end")).await;
    assert_eq!(ended.ending, Ending::Exited(0));
    assert_eq!(ended.bytes, 1_000_000_008);
    assert_eq!(std::fs::metadata(yard.path("log")).unwrap().len(), 1 << 20);
    assert_eq!((ended.head.len(), ended.tail.len()), (16 * 1024, 48 * 1024));
    assert!(ended.tail.ends_with(b"\0the end\n"));
    assert_eq!(
        ended.log_sha256,
        Sha256::of(&std::fs::read(yard.path("log")).unwrap())
    );
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_the_child() {
    let yard = Yard::new();
    let child = Child {
        log: "/dev/full".into(),
        ..yard.child("echo $$ > pid; echo something; exec sleep 1000")
    };
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    let error = shepherd
        .run(&child, &Surroundings::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("write the log /dev/full: No space left"),
        "{error}"
    );
    assert!(!lives(&yard.read("slot/pid")));
}

#[tokio::test]
async fn a_detached_daemon_does_not_outlive_its_child() {
    let yard = Yard::new();
    // A double fork into a session of its own, which holds the output open and ignores polite
    // requests.
    let script = "setsid -f sh -c 'trap \"\" TERM HUP; echo $$ > pid; while :; do sleep 1; done'
        nohup sleep 1000 & echo $! > other
        while ! [ -s pid ]; do :; done
        echo over";
    let ended = run(&yard.child(script)).await;
    assert_eq!(ended.ending, Ending::Exited(0));
    assert!(ended.stragglers >= 2, "{}", ended.stragglers);
    assert!(text(&ended.head).contains("over"));
    assert!(!lives(&yard.read("slot/pid")) && !lives(&yard.read("slot/other")));
}

#[tokio::test]
async fn the_end_of_a_pipeline_may_finish_by_itself() {
    let yard = Yard::new();
    let ended = run(&yard.child("(sleep 0.02; echo late > late) & exit 3")).await;
    assert_eq!((ended.ending, ended.stragglers), (Ending::Exited(3), 0));
    assert_eq!(yard.read("slot/late"), "late\n");
}

#[tokio::test]
async fn a_process_that_flees_from_session_to_session_is_caught() {
    let yard = Yard::new();
    let hare = yard.path("slot/hare");
    std::fs::write(
        &hare,
        "#!/bin/sh\n[ $1 -lt 300 ] || exit\nsetsid -f \"$0\" $(($1 + 1)) &\nsetsid -f \"$0.leaf\" &\n",
    )
    .unwrap();
    std::fs::write(yard.path("slot/hare.leaf"), "#!/bin/sh\nsleep 1000\n").unwrap();
    let executable: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    for name in ["slot/hare", "slot/hare.leaf"] {
        std::fs::set_permissions(yard.path(name), executable.clone()).unwrap();
    }
    let ended = run(&yard.child("./hare 0; ./hare 0; exec \"$PWD/hare\" 0")).await;
    assert!(ended.stragglers > 0);
    assert_eq!(processes_with(hare.to_str().unwrap()), [""; 0]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_calls_itself_a_zombie_but_runs_on_is_ended() {
    let yard = Yard::new();
    // Its first thread ends by itself; the second goes on, and /proc says Z.
    let exit = if cfg!(target_arch = "aarch64") {
        93
    } else {
        60
    };
    let undead = format!(
        "import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
open('pid', 'w').write(str(os.getpid()))
ctypes.CDLL(None).syscall({exit}, 0)"
    );
    std::fs::write(yard.path("slot/undead.py"), undead).unwrap();
    let script = "python3 undead.py &
        while ! [ -s pid ] || ! grep -q '^State:.Z' \"/proc/$(cat pid)/status\"; do :; done";
    let ended = run(&yard.child(script)).await;
    assert_eq!(ended.ending, Ending::Exited(0));
    assert!(!Path::new("/proc").join(yard.read("slot/pid")).exists());
}

#[tokio::test]
async fn a_dropped_child_is_ended() {
    let yard = Yard::new();
    let mut witness = Witness::new(&yard);
    let child = yard.child(&witness.keep_open("echo ready >&3; exec sleep 1000"));
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    let running = tokio::spawn(async move {
        shepherd
            .run(&child, &Surroundings::default())
            .await
            .map(|_| ())
    });
    witness.says("ready").await;
    running.abort();
    witness.falls_silent().await;
}

/// A pipe that every descendant holds open: it falls silent when the last is gone.
struct Witness {
    path: PathBuf,
    ears: pipe::Receiver,
    /// Keeps the pipe from being silent before anybody has opened it.
    mouth: pipe::Sender,
    seen: Vec<u8>,
}

impl Witness {
    fn new(yard: &Yard) -> Self {
        let path = yard.path("witness");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let ears = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mouth = pipe::OpenOptions::new().open_sender(&path).unwrap();
        Self {
            path,
            ears,
            mouth,
            seen: Vec::new(),
        }
    }

    fn keep_open(&self, script: &str) -> String {
        format!("exec 3> '{}'\n{script}", self.path.display())
    }

    async fn says(&mut self, word: &str) {
        while !text(&self.seen).contains(word) {
            let read = tokio::time::timeout(LONG, self.ears.read_buf(&mut self.seen)).await;
            read.unwrap_or_else(|_| panic!("it says {word}, not only {:?}", text(&self.seen)))
                .unwrap();
        }
    }

    async fn falls_silent(mut self) {
        drop(self.mouth);
        let read = tokio::time::timeout(LONG, self.ears.read_to_end(&mut self.seen)).await;
        read.expect("every process that holds the pipe ends")
            .unwrap();
    }
}

/// This very test binary in the role of omk, with one child; the script comes in a variable.
fn omk_with_child(yard: &Yard, script: &str) -> std::process::Command {
    let mut omk = std::process::Command::new(std::env::current_exe().unwrap());
    omk.args(["exec::role_of_omk", "--exact", "--ignored", "--nocapture"]);
    omk.env(ROLE, yard.dir.path())
        .env("OMK_TEST_SCRIPT", script);
    omk
}

const ROLE: &str = "OMK_TEST_YARD";

#[test]
#[ignore = "a role in other tests, which start it"]
fn role_of_omk() {
    let Some(dir) = std::env::var_os(ROLE) else {
        return;
    };
    let secrets = shed_secrets(&["OMK_TEST_API_KEY", "OMK_TEST_ABSENT"]).unwrap();
    let lengths: Vec<String> = secrets
        .iter()
        .map(|(name, secret)| format!("{name}:{}", secret.expose().len()))
        .collect();
    let dir = PathBuf::from(dir);
    let env: BTreeMap<OsString, OsString> = [
        ("PATH".into(), std::env::var_os("PATH").unwrap()),
        ("HELD".into(), lengths.join(" ").into()),
    ]
    .into();
    let confined = std::env::var_os("OMK_TEST_CONFINED").is_some();
    let child = Child {
        program: Program::Shell(std::env::var("OMK_TEST_SCRIPT").unwrap()),
        cwd: dir.join("slot"),
        env,
        room: confined.then(|| Sandbox {
            writable: vec![dir.join("slot")],
            ..Sandbox::default()
        }),
        timeout: LONG,
        idle_timeout: None,
        log: dir.join("log"),
        log_cap: 1 << 20,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&child));
}

#[tokio::test]
async fn omk_killed_leaves_no_process_behind() {
    let yard = Yard::new();
    let mut witness = Witness::new(&yard);
    let script = witness.keep_open(
        "setsid -f sh -c 'trap \"\" TERM HUP; echo daemon >&3; while :; do sleep 1; done'
         trap '' TERM
         (trap '' TERM; echo ready >&3; sleep 1000)
         while :; do sleep 1; done",
    );
    let mut omk = omk_with_child(&yard, &script).spawn().unwrap();
    witness.says("ready").await;
    witness.says("daemon").await;
    omk.kill().unwrap();
    assert_eq!(omk.wait().unwrap().signal(), Some(9));
    witness.falls_silent().await;
}

#[tokio::test]
async fn a_shepherd_survives_the_signals_that_end_omk() {
    let yard = Yard::new();
    // The child's parent is its shepherd.
    let ended =
        run(&yard
            .child("kill -TERM $PPID; kill -INT $PPID; kill -HUP $PPID; sleep 0.1; echo alive"))
        .await;
    assert_eq!(
        (ended.ending, text(&ended.head).as_str()),
        (Ending::Exited(0), "alive\n")
    );
    // And the child itself does not inherit that deafness.
    let ended = run(&yard.child("sh -c 'kill -HUP $$'; echo $?")).await;
    assert!(
        text(&ended.head).lines().any(|line| line == "129"),
        "{}",
        text(&ended.head)
    );
}

#[tokio::test]
async fn a_shepherd_that_is_killed_is_reported_and_its_child_is_not_left() {
    let yard = Yard::new();
    let mut witness = Witness::new(&yard);
    let script = witness.keep_open("sleep 1000 & echo ready >&3; kill -KILL $PPID; sleep 1000");
    let child = yard.child(&script);
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    let running = tokio::spawn(async move { shepherd.run(&child, &Surroundings::default()).await });
    witness.says("ready").await;
    let error = running.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("ended before the child"),
        "{error}"
    );
    witness.falls_silent().await;
}

#[tokio::test]
async fn a_child_finds_nothing_open_but_0_1_and_2() {
    let yard = Yard::new();
    // omk itself is started with files left open by a careless caller.
    let script = "for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do [ -e /proc/$$/fd/$n ] && echo $n >> fds; done
        if read line; then echo input; else echo closed; fi";
    let inner = format!(
        "exec 7</dev/null 8>{0} 9<>{0}; exec \"$@\"",
        yard.path("open").display()
    );
    let omk = omk_with_child(&yard, script);
    let mut careless = std::process::Command::new("sh");
    careless
        .args(["-c", &inner, "sh"])
        .arg(omk.get_program())
        .args(omk.get_args());
    careless.envs(
        omk.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    assert!(
        careless
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(yard.read("slot/fds"), "0\n1\n2\n");
    assert_eq!(yard.read("log"), "closed\n");
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let yard = Yard::new();
    let mut child = yard.child("");
    child.program = Program::Direct("/usr/bin/env".into(), vec!["-0".into()]);
    let ended = run(&child).await;
    let mut found: Vec<String> = text(&ended.head)
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    found.sort();
    let expected: Vec<String> = child
        .env
        .iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect();
    assert_eq!(found, expected);
}

/// Looks through what a process can see of its ancestors, and of everybody, for a text.
const LOOK: &str = r#"
    pid=$$; while [ "$pid" -gt 1 ]; do
      pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status); [ "$pid" -gt 0 ] || break
      if cat /proc/$pid/environ 2>/dev/null | tr '\0' '\n' | grep -q 'hunter''2'; then echo "found in environ of $pid"; fi
      if cat /proc/$pid/cmdline 2>/dev/null | tr '\0' ' ' | grep -q 'hunter''2'; then echo "found in cmdline of $pid"; fi
    done
    if env | grep -q 'hunter''2'; then echo "found in its own environment"; fi
    echo "held $HELD"; echo "looked"
"#;

#[test]
fn a_secret_is_out_of_sight_of_children() {
    let yard = Yard::new();
    let mut omk = omk_with_child(&yard, LOOK);
    omk.env("OMK_TEST_API_KEY", "hunter2")
        .env("OMK_TEST_ABSENT", "")
        .stdout(std::process::Stdio::null());
    assert!(omk.status().unwrap().success());
    assert_eq!(yard.read("log"), "held OMK_TEST_API_KEY:7\nlooked\n");
}

#[test]
fn a_made_up_handover_of_secrets_is_ignored() {
    let yard = Yard::new();
    for file in ["0", "99", "-1", "x"] {
        let mut omk = omk_with_child(&yard, "echo \"held $HELD\"");
        omk.env("OMK_SECRETS_FD", file)
            .stdout(std::process::Stdio::null());
        assert!(omk.status().unwrap().success());
        assert_eq!(yard.read("log"), "held \n");
    }
}

#[test]
fn the_look_finds_a_secret_that_is_not_shed() {
    let yard = Yard::new();
    let mut omk = omk_with_child(&yard, LOOK);
    omk.env("ANOTHER_NAME", "hunter2")
        .stdout(std::process::Stdio::null());
    assert!(omk.status().unwrap().success());
    assert!(
        yard.read("log").contains("found in environ"),
        "{}",
        yard.read("log")
    );
}

/// Skips what needs Landlock where the kernel has none, and says so.
macro_rules! landlock_or_return {
    ($ended:expr) => {
        if $ended.containment.level == RoomLevel::None {
            eprintln!("skipped: this kernel has no Landlock");
            return;
        }
    };
}

#[test]
fn a_confined_child_of_root_cannot_look_into_omk_at_all() {
    let yard = Yard::new();
    let mut omk = omk_with_child(
        &yard,
        &format!("{LOOK}; cat /proc/$PPID/environ > seen 2>&1 && echo read"),
    );
    omk.env("ANOTHER_NAME", "hunter2")
        .env("OMK_TEST_CONFINED", "1")
        .stdout(std::process::Stdio::null());
    assert!(omk.status().unwrap().success());
    let log = yard.read("log");
    if !Path::new("/sys/kernel/security/landlock").exists() && log.contains("\nread") {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    assert!(
        !log.contains("found in") && !log.contains("\nread"),
        "{log}"
    );
}

#[tokio::test]
async fn a_confined_child_writes_only_where_it_may() {
    let yard = Yard::new();
    std::fs::write(yard.path("outside/old"), "old").unwrap();
    let script = "
        echo a > in-slot && echo b > \"$HOME/in-home\" && echo c > \"$TMPDIR/in-tmp\" && mkdir -p d/e && mv in-slot d/e/f &&
        echo x > /dev/null && echo shown > /dev/stderr && python3 -c 'import multiprocessing as m; m.Lock()' && echo inside
        export SHEPHERD=$PPID
        for try in 'echo x > ../outside/new' 'echo x >> ../outside/old' ': > ../outside/old' 'rm ../outside/old' \
                   'mv ../outside/old .' 'ln -s /x ../outside/link' 'mkdir ../outside/dir' 'echo x > /tmp/omk-outside' \
                   'truncate -s 0 ../outside/old' 'kill -0 $SHEPHERD'; do
            if sh -c \"$try\" 2>/dev/null; then echo \"allowed: $try\"; fi
        done
        cat ../outside/old";
    let ended = run(&yard.confined(script)).await;
    landlock_or_return!(ended);
    let said = text(&ended.head);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    // What is out of sight cannot be read, either.
    let sealed = ended.containment.level == RoomLevel::Sealed;
    let wanted: &[&str] = if sealed {
        &["allowed: echo x > /tmp/omk-outside", "inside", "shown"]
    } else {
        &["inside", "old", "shown"]
    };
    lines.retain(|line| !line.contains("outside/old: No such file"));
    assert_eq!(lines, wanted, "{said}");
    assert!(!Path::new("/tmp/omk-outside").exists());
    assert_eq!(std::fs::read_dir(yard.path("outside")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_confined_child_and_its_daemons_can_still_be_ended() {
    let yard = Yard::new();
    let needle = format!("daemon-of-{}", std::process::id());
    let script = format!(
        "setsid -f sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' {needle}
        while ! [ -s pid ]; do :; done; exec sleep 1000"
    );
    let child = Child {
        timeout: Duration::from_secs(1),
        ..yard.confined(&script)
    };
    let ended = run(&child).await;
    assert_eq!(ended.ending, Ending::TimedOut);
    assert_eq!(processes_with(&needle), [""; 0]);
}

#[tokio::test]
async fn toolchains_work_in_a_private_home() {
    let yard = Yard::new();
    std::fs::create_dir(yard.path("slot/src")).unwrap();
    std::fs::write(
        yard.path("slot/Cargo.toml"),
        "[package]\nname = \"x\"\nversion = \"0.0.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    std::fs::write(
        yard.path("slot/src/main.rs"),
        "fn main() { println!(\"built\"); }",
    )
    .unwrap();
    let script = "
        try() { command -v \"$1\" > /dev/null || return 0; \"$@\" || echo \"failed: $*\"; }
        try cargo run -q --offline; try npm --version; try node --version; try python3 -c 'print(1)'; try go version; try git --version
        echo done";
    for child in [yard.child(script), yard.confined(script)] {
        let ended = run(&child).await;
        let said = text(&ended.head);
        assert!(
            !said.contains("failed: ") && said.contains("built") && said.contains("done"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn new_privileges_are_forgone() {
    let yard = Yard::new();
    let ended = run(&yard.child("grep NoNewPrivs /proc/self/status")).await;
    assert_eq!(
        text(&ended.head).split_whitespace().collect::<Vec<_>>(),
        ["NoNewPrivs:", "1"]
    );
}

#[tokio::test]
async fn many_children_at_once_do_not_hold_each_others_pipes() {
    let yard = Yard::new();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..16 {
        let script = format!("echo {number}; [ {number} -gt 0 ] || exec sleep 0.5");
        let child = Child {
            log: yard.path(&format!("log-{number}")),
            ..yard.child(&script)
        };
        running.spawn(async move { (number, run(&child).await) });
    }
    while let Some(ended) = running.join_next().await {
        let (number, ended) = ended.unwrap();
        assert_eq!(
            (ended.ending, text(&ended.head)),
            (Ending::Exited(0), format!("{number}\n"))
        );
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_ended_is_told_apart_from_one_that_failed() {
    let yard = Yard::new();
    // A shepherd that starts nobody, and does not hear that it is to end them.
    let stubborn = yard.path("stubborn");
    let started = r#"{"Started":{"level":"sealed","why_not":null,"subreaper":true}}"#;
    std::fs::write(
        &stubborn,
        format!("#!/bin/sh\necho '{started}' >&0\nexec >&- 2>&-; sleep 20\n"),
    )
    .unwrap();
    std::fs::set_permissions(
        &stubborn,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let shepherd = Shepherd::new(stubborn).waiting(Duration::from_millis(200));
    let child = Child {
        timeout: Duration::from_millis(100),
        ..yard.child("true")
    };
    let error = shepherd
        .run(&child, &Surroundings::default())
        .await
        .unwrap_err();
    assert!(error.is_outlived() && !error.is_setup(), "{error}");
    assert!(
        error.to_string().contains("may still be at work"),
        "{error}"
    );
}

/// The shepherds of this process's children, and the first processes of their rooms before them.
fn shepherds() -> Vec<i32> {
    let parent = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok())
    };
    let all = processes_with("__shepherd");
    let number = |pid: &String| pid.parse::<i32>().unwrap();
    let below = |parents: &[i32]| -> Vec<i32> {
        all.iter()
            .filter(|pid| parent(pid).is_some_and(|parent| parents.contains(&parent)))
            .map(number)
            .collect()
    };
    let fork_servers = below(&[i32::try_from(std::process::id()).unwrap()]);
    let outside = below(&fork_servers);
    below(&outside).into_iter().chain(outside.clone()).collect()
}

fn signal(pids: &[i32], signal: rustix::process::Signal) {
    for pid in pids {
        rustix::process::kill_process(rustix::process::Pid::from_raw(*pid).unwrap(), signal)
            .unwrap();
    }
}

/// Runs a child of a shepherd that is stopped, or its first process inside, too, as soon as the
/// child says so.
async fn run_stopped(child: Child, who: impl Fn(Vec<i32>) -> Vec<i32>) -> Result<Ended, ExecError> {
    let shepherd =
        Shepherd::new(env!("CARGO_BIN_EXE_omk").into()).waiting(Duration::from_millis(500));
    let (lines, mut said) = tokio::sync::mpsc::unbounded_channel();
    let around = Surroundings {
        stdout_lines: Some(lines),
        ..Surroundings::default()
    };
    let running = tokio::spawn(async move { shepherd.run(&child, &around).await });
    said.recv().await.expect("it says that it runs");
    let stopped = who(shepherds());
    assert!(!stopped.is_empty());
    signal(&stopped, rustix::process::Signal::STOP);
    let ended = tokio::time::timeout(LONG, running)
        .await
        .expect("every wait has an end")
        .unwrap();
    assert_eq!(shepherds(), [0; 0]);
    ended
}

#[tokio::test]
async fn a_shepherd_that_is_stopped_does_not_hold_up_the_end_of_its_room() {
    let yard = Yard::new();
    // The last of them waits outside, if there is a room.
    let ended = run_stopped(yard.confined("echo runs; sleep 1"), |mut all| {
        all.split_off(all.len() - 1)
    })
    .await;
    match ended {
        Ok(ended) => assert_eq!(ended.ending, Ending::Exited(0)),
        Err(error) => assert!(error.is_outlived(), "{error}"),
    }
}

#[tokio::test]
async fn a_room_whose_shepherd_is_stopped_is_ended_by_force_after_the_deadline() {
    let yard = Yard::new();
    let needle = format!("deaf-{}", std::process::id());
    let script = format!("echo runs; exec sh -c 'sleep 1000; :' {needle}");
    let child = Child {
        timeout: Duration::from_secs(2),
        ..yard.confined(&script)
    };
    let ended = run_stopped(child, |all| all).await;
    match ended {
        // On a busy machine it is stopped before it could say what it made.
        Ok(ended) => {
            assert_eq!(ended.ending, Ending::TimedOut);
            assert!(
                matches!(ended.containment.level, RoomLevel::Sealed | RoomLevel::None),
                "{:?}",
                ended.containment
            );
        }
        Err(error) => assert!(error.is_outlived(), "{error}"),
    }
    assert_eq!(processes_with(&needle), [""; 0]);
    // Outside of a sealed room a daemon may be left, so that is said.
    let mut child = Child {
        timeout: Duration::from_secs(2),
        ..yard.confined(&script)
    };
    child.room.as_mut().unwrap().most = RoomLevel::Landlock;
    let error = run_stopped(child, |all| all).await.unwrap_err();
    assert!(error.is_outlived(), "{error}");
    crate::world::until("the child has followed its shepherd", || {
        processes_with(&needle).is_empty()
    });
}

#[tokio::test]
async fn a_sealed_child_has_a_short_tmpdir_that_is_thrown_away() {
    let yard = Yard::new();
    let mut child = yard.confined("python3 -c 'import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind(os.environ[\"TMPDIR\"] + \"/socket\")' && test -S $TMPDIR/socket && echo bound");
    let deep = yard.path("tmp").join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    child.env.insert("TMPDIR".into(), deep.clone().into());
    let ended = run(&child).await;
    if ended.containment.level < RoomLevel::Sealed {
        eprintln!("skipped: there is no sealed room here");
        return;
    }
    assert_eq!(
        (ended.ending, text(&ended.head).as_str()),
        (Ending::Exited(0), "bound\n")
    );
    assert!(yard.path("scratch/tmp/socket").exists() && !Path::new("/tmp/socket").exists());
}

#[tokio::test]
async fn a_room_below_the_least_level_is_refused_before_anything_starts() {
    let yard = Yard::new();
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into()).at_most(RoomLevel::Landlock);
    let mut child = yard.confined("touch begun");
    child.room.as_mut().unwrap().least = RoomLevel::Sealed;
    let error = shepherd
        .run(&child, &Surroundings::default())
        .await
        .unwrap_err();
    assert!(
        error.is_setup()
            && error
                .to_string()
                .starts_with("make a room of level `sealed`"),
        "{error}"
    );
    assert!(!yard.path("slot/begun").exists());
}

#[tokio::test]
async fn what_a_copy_would_have_begun_with_lies_over_the_original_where_there_is_no_copy() {
    let yard = Yard::new();
    for (path, text) in [
        ("repo/config", "token"),
        ("repo/other", "as it was"),
        ("scratch/copy-0/upper/config", "clean"),
        // In the way of what an overlay needs.
        ("scratch/copy-0/upper.work", ""),
    ] {
        std::fs::create_dir_all(yard.path(path).parent().unwrap()).unwrap();
        std::fs::write(yard.path(path), text).unwrap();
    }
    let mut child =
        yard.confined("cat ../repo/config ../repo/other; echo x > ../repo/new || echo read-only");
    child.room.as_mut().unwrap().copied = vec![yard.path("repo")];
    let ended = run(&child).await;
    if ended.containment.level < RoomLevel::Sealed {
        eprintln!("skipped: there is no sealed room here");
        return;
    }
    let said = text(&ended.head);
    assert!(
        said.starts_with("cleanas it was") && said.contains("read-only\n"),
        "{said}"
    );
}
