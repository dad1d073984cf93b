//! Stories about the process that forks shepherds: what it holds, and what becomes of children if
//! somebody ends or stops it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use omk_action::exec::{Child, Ended, Ending, ExecError, Shepherd, Surroundings};
use rustix::process::{Pid, Signal, kill_process};

use crate::exec::{Yard, processes_with, text};
use crate::world::until;

/// A word that is nowhere as a whole but in the memory of those who were told it.
fn canary() -> String {
    format!("{}-{}", "canary", std::process::id())
}

fn shepherd() -> Shepherd {
    Shepherd::new(env!("CARGO_BIN_EXE_omk").into())
}

async fn run(shepherd: &Shepherd, child: &Child) -> Result<Ended, ExecError> {
    shepherd.run(child, &Surroundings::default()).await
}

/// The fork servers that this process has.
fn servers() -> Vec<i32> {
    let parent = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok())
    };
    let all = processes_with("--fork-server");
    all.iter()
        .filter(|pid| parent(pid) == Some(std::process::id()))
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Whether those bytes are anywhere in the memory of a process of ours.
fn remembers(pid: &str, needle: &[u8]) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let ranges = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        rest.starts_with("rw")
            .then(|| [from, to].map(|end| u64::from_str_radix(end, 16).unwrap()))
    });
    ranges.into_iter().any(|[from, to]| {
        let mut bytes = Vec::new();
        memory.seek(SeekFrom::Start(from)).unwrap();
        // What cannot be read is the kernel's own.
        let _ = std::io::Read::by_ref(&mut memory)
            .take(to - from)
            .read_to_end(&mut bytes);
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test]
async fn all_children_have_one_server_which_knows_nothing_of_them_and_ends_with_omk() {
    let (yard, shepherd) = (Yard::new(), shepherd());
    for _ in 0..3 {
        let mut child = yard.confined("echo \"$WORD\"");
        child.env.insert("WORD".into(), canary().into());
        assert_eq!(
            text(&run(&shepherd, &child).await.unwrap().head),
            format!("{}\n", canary())
        );
    }
    let [server] = servers()[..] else {
        panic!("{:?}", servers())
    };
    assert!(
        remembers("self", canary().as_bytes()),
        "it is looked for in the right way"
    );
    assert!(!remembers(&server.to_string(), canary().as_bytes()));
    assert_eq!(
        std::fs::read(format!("/proc/{server}/environ")).unwrap(),
        b""
    );
    let mut open: Vec<String> = std::fs::read_dir(format!("/proc/{server}/fd"))
        .unwrap()
        .map(|entry| {
            std::fs::read_link(entry.unwrap().path())
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .map(|file| {
            if file.starts_with("socket:") {
                "socket".to_owned()
            } else {
                file
            }
        })
        .collect();
    open.sort();
    assert_eq!(
        open,
        ["/dev/null", "/dev/null", "socket"],
        "nothing of a child"
    );
    drop(shepherd);
    assert_eq!(servers(), [0; 0]);
}

#[tokio::test]
async fn a_child_outlives_the_server_and_the_next_one_gets_another() {
    let (yard, shepherd) = (Yard::new(), shepherd());
    let (lines, mut said) = tokio::sync::mpsc::unbounded_channel();
    let around = Surroundings {
        stdout_lines: Some(lines),
        ..Surroundings::default()
    };
    let child = yard.confined("echo runs; while test ! -e go; do sleep 0.05; done; echo goes on");
    let running = {
        let shepherd = shepherd.clone();
        tokio::spawn(async move { shepherd.run(&child, &around).await })
    };
    said.recv().await.expect("it says that it runs");
    let [first] = servers()[..] else {
        panic!("{:?}", servers())
    };
    signal(first, Signal::KILL);
    until("it is gone", || servers().is_empty());
    std::fs::write(yard.path("slot/go"), "").unwrap();
    let ended = running.await.unwrap().unwrap();
    assert_eq!(
        (ended.ending, text(&ended.head).as_str()),
        (Ending::Exited(0), "runs\ngoes on\n")
    );
    // The one that finds it gone is started without it, the one after that by a new one.
    for script in ["exit 3", "exit 4"] {
        let child = Child {
            log: yard.path("second"),
            ..yard.confined(script)
        };
        let ended = run(&shepherd, &child).await.unwrap();
        assert_eq!(ended.ending, Ending::Exited(script[5..].parse().unwrap()));
    }
    let [second] = servers()[..] else {
        panic!("{:?}", servers())
    };
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_server_that_is_stopped_holds_nobody_up() {
    let (yard, shepherd) = (Yard::new(), shepherd().waiting(Duration::from_secs(1)));
    assert_eq!(
        run(&shepherd, &yard.confined("true")).await.unwrap().ending,
        Ending::Exited(0)
    );
    let [server] = servers()[..] else {
        panic!("{:?}", servers())
    };
    signal(server, Signal::STOP);
    let ended = run(&shepherd, &yard.confined("exit 5")).await.unwrap();
    assert_eq!(ended.ending, Ending::Exited(5));
    assert!(!servers().contains(&server), "it was ended");
}

#[tokio::test]
async fn a_machine_without_such_descriptors_gets_its_shepherds_in_the_usual_way() {
    let yard = Yard::new();
    // A server that always refuses, and is a shepherd otherwise.
    let refusing = yard.path("refusing");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = --fork-server ] || exec {} \"$@\"\nwhile [ -n \"$(head -c 1)\" ]; do printf - >&0; done\n",
        env!("CARGO_BIN_EXE_omk")
    );
    std::fs::write(&refusing, script).unwrap();
    std::fs::set_permissions(
        &refusing,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let shepherd = Shepherd::new(refusing);
    for _ in 0..2 {
        let ended = run(&shepherd, &yard.confined("exit 6")).await.unwrap();
        assert_eq!(ended.ending, Ending::Exited(6));
    }
}
