//! Attempts to get out of the sandbox, each with a canary: what a hostile child does, and what must
//! be true afterwards.
//!
//! Attacks look only at processes that the test itself started.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use omk_action::exec::{Child, Ended, Program, Sandbox, Shepherd, Surroundings};
use omk_action::plan::RoomLevel;

/// Longer than any of these attempts takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Calls the kernel by number, as no shell can: `call NAME ARGUMENT…` prints what came of it.
const CALL: &str = r#"
import ctypes, os, sys, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *args):
    number = x86 if platform.machine() == "x86_64" else arm
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *args)
    return "allowed" if result >= 0 else os.strerror(ctypes.get_errno())
"#;

/// A place for one attempt: what a child gets, and a directory outside with a canary.
struct Yard {
    dir: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["slot", "home", "tmp", "cache/inner", "outside"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("outside/canary"), "alive").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn canary(&self) -> String {
        let mut names: Vec<String> = std::fs::read_dir(self.path("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        format!(
            "{}: {}",
            names.join(" "),
            std::fs::read_to_string(self.path("outside/canary")).unwrap()
        )
    }

    fn child(&self, script: &str) -> Child {
        let mut env = BTreeMap::from([("PATH".into(), std::env::var_os("PATH").unwrap())]);
        for (name, path) in [
            ("HOME", "home"),
            ("TMPDIR", "tmp"),
            ("OUTSIDE", "outside"),
            ("CACHE", "cache"),
        ] {
            env.insert(name.into(), self.path(path).into());
        }
        Child {
            program: Program::Shell(script.to_owned()),
            cwd: self.path("slot"),
            env,
            room: Some(Sandbox {
                writable: ["slot", "home", "tmp", "cache", "cache/inner"]
                    .map(|name| self.path(name))
                    .into(),
                ..Sandbox::default()
            }),
            timeout: LONG,
            idle_timeout: None,
            log: self.path("log"),
            log_cap: 1 << 20,
        }
    }

    async fn run(&self, script: &str) -> Option<Ended> {
        let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
        let ended = shepherd
            .run(&self.child(script), &Surroundings::default())
            .await
            .unwrap();
        if ended.containment.level == RoomLevel::None {
            eprintln!("skipped: there is no Landlock here");
            return None;
        }
        Some(ended)
    }

    async fn python(&self, script: &str) -> Option<String> {
        std::fs::write(self.path("slot/attack.py"), format!("{CALL}\n{script}")).unwrap();
        let ended = self.run("python3 attack.py").await?;
        Some(String::from_utf8_lossy(&ended.head).into_owned())
    }
}

#[tokio::test]
async fn a_link_swapped_into_a_nested_cache_opens_nothing_to_the_next_child() {
    let yard = Yard::new();
    if yard
        .run("rm -rf $CACHE/inner && ln -s / $CACHE/inner && test -L $CACHE/inner")
        .await
        .is_none()
    {
        return;
    }
    let ended = yard
        .run("echo dead > $OUTSIDE/canary; touch $OUTSIDE/more; true")
        .await
        .unwrap();
    assert_eq!(
        yard.canary(),
        "canary: alive",
        "{}",
        String::from_utf8_lossy(&ended.head)
    );
}

#[tokio::test]
async fn a_cache_that_is_a_link_opens_nothing() {
    let yard = Yard::new();
    std::fs::remove_dir_all(yard.path("cache")).unwrap();
    std::os::unix::fs::symlink(yard.path("outside"), yard.path("cache")).unwrap();
    let Some(_) = yard
        .run("echo dead > $OUTSIDE/canary; touch $CACHE/more; true")
        .await
    else {
        return;
    };
    assert_eq!(yard.canary(), "canary: alive");
}

#[tokio::test]
async fn the_limits_of_another_process_cannot_be_set() {
    let yard = Yard::new();
    // A process of the same user that this test started stands for omk.
    let mut victim = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let script = format!(
        "import struct\nlimit = struct.pack('QQ', 3, 3)\nprint(call(302, 261, {}, 7, limit, 0))\n\
         print(call(302, 261, os.getppid(), 7, limit, 0))\nprint(call(302, 261, 0, 7, limit, 0))",
        victim.id()
    );
    let seen = yard.python(&script).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", victim.id()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let Some(seen) = seen else { return };
    assert_eq!(
        seen,
        "Operation not permitted\nOperation not permitted\nallowed\n"
    );
    let files = limits
        .unwrap()
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap()
        .to_owned();
    assert!(!files.contains(" 3 "), "{files}");
}

#[tokio::test]
async fn a_blinded_shepherd_is_out_of_reach_and_leaves_no_daemon() {
    let yard = Yard::new();
    let script = "prlimit --pid $PPID --nofile=3:3; setsid sh -c 'echo $$ > daemon; while :; do sleep 0.1; done' sleeper-of-escape & \
                  while ! [ -s daemon ]; do sleep 0.05; done";
    let Some(ended) = yard.run(script).await else {
        return;
    };
    assert!(ended.stragglers > 0, "{ended:?}");
    let found = std::process::Command::new("pgrep")
        .args(["-f", "sleeper-of-escape"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "it lives on");
}

#[tokio::test]
async fn what_builds_need_is_not_refused() {
    let yard = Yard::new();
    let script = "mkfifo fifo && python3 -c '
import os, socket, threading, multiprocessing, resource, subprocess
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
threading.Thread(target=print).start()
multiprocessing.Lock()
a, b = socket.socketpair(); a.send(b\"x\"); assert b.recv(1) == b\"x\"
s = socket.socket(socket.AF_UNIX); s.bind(os.environ[\"TMPDIR\"] + \"/s\"); s.listen()
assert subprocess.run([\"true\"]).returncode == 0
print(\"worked\")'";
    let Some(ended) = yard.run(script).await else {
        return;
    };
    assert!(
        String::from_utf8_lossy(&ended.head).contains("worked"),
        "{}",
        String::from_utf8_lossy(&ended.head)
    );
}

/// Each call that is refused whoever asks, by its numbers on the two architectures, its arguments,
/// and the answer.
const CALLS: &[(&str, &str)] = &[
    (
        "call(133, 999, b'node', 0o020644, 0x700)",
        "Operation not permitted",
    ),
    (
        "call(259, 33, -100, b'node', 0o020644, 0x700)",
        "Operation not permitted",
    ),
    (
        "call(259, 33, -100, b'node', 0o060644, 0x700)",
        "Operation not permitted",
    ),
    ("call(272, 97, 0x10000000)", "Operation not permitted"),
    ("call(272, 97, 0x10020000)", "Operation not permitted"),
    (
        "call(56, 220, 0x10000011, 0, 0, 0, 0)",
        "Operation not permitted",
    ),
    ("call(435, 435, 0, 0)", "Function not implemented"),
    ("call(41, 198, 17, 3, 0)", "Operation not permitted"),
    ("call(41, 198, 38, 5, 0)", "Operation not permitted"),
    ("call(41, 198, 40, 1, 0)", "Operation not permitted"),
    ("call(308, 268, 0, 0)", "Operation not permitted"),
    (
        "call(165, 40, b'none', b'/', b'tmpfs', 0, 0)",
        "Operation not permitted",
    ),
    ("call(166, 39, b'/', 0)", "Operation not permitted"),
    ("call(155, 41, b'.', b'.')", "Operation not permitted"),
    ("call(161, 51, b'.')", "Operation not permitted"),
    ("call(428, 428, -100, b'/', 1)", "Operation not permitted"),
    (
        "call(429, 429, -1, b'', -1, b'', 0)",
        "Operation not permitted",
    ),
    ("call(430, 430, b'tmpfs', 0)", "Operation not permitted"),
    ("call(432, 432, -1, 0, 0)", "Operation not permitted"),
    (
        "call(442, 442, -100, b'/', 0, 0, 0)",
        "Operation not permitted",
    ),
    ("call(304, 265, -100, 0, 0)", "Operation not permitted"),
    ("call(321, 280, 0, 0, 0)", "Operation not permitted"),
    ("call(298, 241, 0, 0, -1, -1, 0)", "Operation not permitted"),
    ("call(323, 282, 0)", "Function not implemented"),
    ("call(250, 219, 0, -3, 0, 0, 0)", "Function not implemented"),
    (
        "call(248, 217, b'user', b'x', b'y', 1, -3)",
        "Function not implemented",
    ),
    (
        "call(249, 218, b'user', b'x', 0, 0)",
        "Function not implemented",
    ),
    ("call(425, 425, 1, 0)", "Function not implemented"),
    (
        "call(426, 426, 0, 0, 0, 0, 0, 0)",
        "Function not implemented",
    ),
    ("call(427, 427, 0, 0, 0, 0)", "Function not implemented"),
];

#[tokio::test]
async fn calls_that_reach_around_the_walls_are_refused() {
    let yard = Yard::new();
    let script: String = CALLS
        .iter()
        .map(|(call, _)| format!("print({call}, flush=True)\n"))
        .collect();
    let Some(seen) = yard.python(&script).await else {
        return;
    };
    let wanted: Vec<String> = CALLS
        .iter()
        .map(|(call, answer)| format!("{call} {answer}"))
        .collect();
    let got: Vec<String> = CALLS
        .iter()
        .zip(seen.lines())
        .map(|((call, _), line)| format!("{call} {line}"))
        .collect();
    // `mknod` itself exists on x86-64 alone.
    let first = usize::from(cfg!(not(target_arch = "x86_64")));
    assert_eq!(got[first..], wanted[first..]);
}

#[tokio::test]
async fn root_keeps_no_capability_that_reaches_outside() {
    let yard = Yard::new();
    let Some(ended) = yard.run("grep CapBnd /proc/self/status").await else {
        return;
    };
    let mask = String::from_utf8_lossy(&ended.head)
        .split_whitespace()
        .last()
        .unwrap()
        .to_owned();
    let bounding = u64::from_str_radix(&mask, 16).unwrap();
    if rustix::process::getuid().is_root() {
        // Owners, identities, signals and low ports: bits 0, 1, 3 to 7 and 10.
        assert_eq!(bounding & !0b100_1111_1011, 0, "{mask}");
    }
}

/// A program of 32 bits that ends with code 42.
fn program_of_32_bits() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let code = [0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];
    let mut program = b"\x7fELF\x01\x01\x01".to_vec();
    program.resize(16, 0);
    for half in [2_u16, 3] {
        program.extend(half.to_le_bytes());
    }
    for word in [1, BASE + 84, 52, 0, 0] {
        program.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        program.extend(half.to_le_bytes());
    }
    let size = 84 + u32::try_from(code.len()).unwrap();
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        program.extend(word.to_le_bytes());
    }
    program.extend(code);
    program
}

#[tokio::test]
async fn a_program_of_32_bits_dies_at_its_first_call() {
    use std::os::unix::fs::PermissionsExt as _;
    let yard = Yard::new();
    let program = yard.path("slot/program");
    std::fs::write(&program, program_of_32_bits()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let outside = std::process::Command::new(&program).status();
    if !outside.is_ok_and(|status| status.code() == Some(42)) {
        eprintln!("skipped: this machine runs no programs of 32 bits");
        return;
    }
    let Some(ended) = yard.run("exec 2>/dev/null; ./program; echo $?").await else {
        return;
    };
    // By the signal for a bad call: 128 and 31.
    assert_eq!(String::from_utf8_lossy(&ended.head), "159\n");
}
