//! The program as a whole: `omk run` of 200 command tasks on a small repository against a shell
//! loop of `git worktree add`, commit, `git worktree remove`, side by side; a thousand commands
//! that do nothing, at each level of the room, side by side; a run whose gates need not run again;
//! `omk --version`, `omk plan`, and the binary's size.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// So many tasks in the comparison.
const TASKS: usize = 200;

/// So many commands that do nothing.
const COMMANDS: usize = 1000;

/// So many tasks with a gate: their gates alone take some seconds.
const GATED: usize = 50;

const LOOP: &str = r#"
set -e
i=0
while [ $i -lt $1 ]; do
  git worktree add -q -b "task-$i" "$2/slot" main
  (cd "$2/slot" && sh -c "echo $i > out-$i.txt" && git add -A && git commit -q -m "task $i")
  git worktree remove --force "$2/slot"
  i=$((i + 1))
done
"#;

fn omk() -> Command {
    Command::new(env!("CARGO_BIN_EXE_omk"))
}

/// Runs to the end; seconds of wall time.
fn seconds(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let taken = start.elapsed().as_secs_f64();
    assert!(status.expect("it starts").success(), "{command:?} succeeds");
    taken
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn git(repo: &Path, arguments: &[&str]) {
    let identity = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.invalid",
    ];
    assert!(
        Command::new("git")
            .current_dir(repo)
            .args(identity)
            .args(arguments)
            .status()
            .expect("git")
            .success()
    );
}

/// A repository of twenty small files, with a plan of so many commands that each write a file.
fn repository(at: &Path, tasks: usize) {
    let task = |index| {
        format!(
            "- {{id: t{index}, run: 'echo {index} > out-{index}.txt', write_set: [out-{index}.txt]}}\n"
        )
    };
    repository_with(at, &(0..tasks).map(task).collect::<String>());
}

fn repository_with(at: &Path, tasks: &str) {
    std::fs::create_dir_all(at.join("src")).expect("a directory");
    for index in 0..20 {
        std::fs::write(
            at.join(format!("src/file-{index}.txt")),
            "text\n".repeat(50),
        )
        .expect("a file");
    }
    let plan = format!("version: 1\nname: bench\nlimits: {{workers: 2}}\ntasks:\n{tasks}");
    std::fs::write(at.join("omk.yaml"), plan).expect("a plan");
    git(at, &["init", "-q", "-b", "main"]);
    git(at, &["config", "user.name", "bench"]);
    git(at, &["config", "user.email", "bench@example.invalid"]);
    git(at, &["add", "-A"]);
    git(at, &["commit", "-q", "-m", "begin"]);
}

fn compare() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let scratch =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
        let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
        repository(&one, TASKS);
        repository(&other, TASKS);
        let run = seconds(
            omk()
                .current_dir(&one)
                .args(["run", "--yes"])
                .env("XDG_CACHE_HOME", scratch.path().join("cache")),
        );
        ours.push(run);
        let slots = scratch.path().join("slots");
        std::fs::create_dir_all(&slots).expect("a directory");
        let mut shell = Command::new("sh");
        shell
            .current_dir(&other)
            .args(["-c", LOOP, "loop", &TASKS.to_string()])
            .arg(&slots);
        theirs.push(seconds(&mut shell));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{TASKS} command tasks on a small repository (median of 3, run in turn)");
    println!(
        "  omk run      {ours:>8.2} s   {:>6.1} ms a task",
        ours * 1e3 / TASKS as f64
    );
    println!(
        "  shell loop   {theirs:>8.2} s   {:>6.1} ms a task",
        theirs * 1e3 / TASKS as f64
    );
    println!("  ratio        {:>8.2}", ours / theirs);
}

/// Files in the repository whose conversions are measured.
const FILES: usize = 20_000;

/// A run of one task with a gate on a large repository, by the rules that convert its files: on a
/// machine that has never seen it, and again with what the run before left.
fn conversions() {
    println!("one task, one gate, {FILES} files (median of 3, run in turn)");
    let rules = ["", "* text=auto\n", "* text=auto eol=crlf\n"];
    let mut times = vec![(Vec::new(), Vec::new()); rules.len()];
    for _ in 0..3 {
        for (rules, (first, again)) in rules.iter().zip(&mut times) {
            let scratch =
                tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
            let repo = scratch.path().join("repo");
            for directory in 0..FILES / 100 {
                let directory = repo.join(format!("files/{directory}"));
                std::fs::create_dir_all(&directory).expect("a directory");
                for file in 0..100 {
                    std::fs::write(directory.join(format!("{file}.txt")), "text\n".repeat(50))
                        .expect("a file");
                }
            }
            repository(&repo, 0);
            let plan = "version: 1\nname: bench\ngates: [{id: ok, run: 'true'}]\ntasks: [{id: t, gates: [ok], run: 'echo 1 > out.txt'}]\n";
            std::fs::write(repo.join("omk.yaml"), plan).expect("a plan");
            std::fs::write(repo.join(".gitattributes"), rules).expect("attributes");
            git(&repo, &["add", "-A"]);
            git(&repo, &["commit", "-q", "-m", "rules"]);
            let run = || {
                seconds(
                    omk()
                        .current_dir(&repo)
                        .args(["run", "--yes"])
                        .env("XDG_CACHE_HOME", scratch.path().join("cache")),
                )
            };
            first.push(run());
            again.push(run());
        }
    }
    let medians: Vec<(f64, f64)> = times
        .into_iter()
        .map(|(first, again)| (median(first), median(again)))
        .collect();
    for (rules, (first, again)) in rules.iter().zip(&medians) {
        let name = if rules.is_empty() {
            "no rules"
        } else {
            rules.trim()
        };
        let (of_first, of_again) = (first / medians[0].0, again / medians[0].1);
        println!(
            "  {name:<22} first {first:>6.2} s ({of_first:.2}x)   again {again:>6.2} s ({of_again:.2}x)"
        );
    }
}

/// What rooms cost a run as a whole.
fn levels() {
    let tasks: String = (0..COMMANDS)
        .map(|index| format!("- {{id: t{index}, run: 'true', write_set: []}}\n"))
        .collect();
    let levels = ["none", "landlock", "sealed"];
    let mut times = levels.map(|_| Vec::new());
    for _ in 0..3 {
        for (level, times) in levels.iter().zip(&mut times) {
            let scratch =
                tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
            let repo = scratch.path().join("repo");
            repository_with(&repo, &tasks);
            let cache = scratch.path().join("cache");
            let mut run = omk();
            run.current_dir(&repo)
                .args(["run", "--yes"])
                .env("XDG_CACHE_HOME", cache)
                .env("OMK_ROOM_AT_MOST", level);
            times.push(seconds(&mut run));
        }
    }
    println!("{COMMANDS} commands that do nothing, 2 workers (median of 3, run in turn)");
    let medians = times.map(median);
    for (level, time) in levels.iter().zip(medians) {
        let each = time * 1e3 / COMMANDS as f64;
        println!(
            "  {level:<10} {time:>8.2} s   {each:>6.2} ms a task   {:>5.2} times none",
            time / medians[0]
        );
    }
}

/// Gates that read the same: in the second run none of them has to run.
fn reuse() {
    let task = |index| {
        format!(
            "- {{id: t{index}, run: 'echo {index} > out-{index}.txt', write_set: [out-{index}.txt], gates: [slow]}}\n"
        )
    };
    let tasks: String = (0..GATED).map(task).collect();
    let plan = format!("{tasks}gates: [{{id: slow, run: 'sleep 0.1', inputs: [src]}}]\n");
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let scratch =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
        let repo = scratch.path().join("repo");
        repository_with(&repo, &plan);
        let cache = scratch.path().join("cache");
        let run = || {
            seconds(
                omk()
                    .current_dir(&repo)
                    .args(["run", "--yes"])
                    .env("XDG_CACHE_HOME", &cache),
            )
        };
        first.push(run());
        again.push(run());
    }
    let (first, again) = (median(first), median(again));
    println!(
        "{GATED} tasks, each with a gate of 0.1 s that has `inputs` (median of 3, run in turn)"
    );
    println!(
        "  first {first:>6.2} s   again {again:>6.2} s ({:.2}x)",
        again / first
    );
}

fn main() {
    if std::env::args().any(|argument| argument == "reuse") {
        return reuse();
    }
    if std::env::args().any(|argument| argument == "conversions") {
        return conversions();
    }
    if std::env::args().any(|argument| argument == "levels") {
        return levels();
    }
    compare();
    conversions();
    levels();
    reuse();
    let version = median((0..21).map(|_| seconds(omk().arg("--version"))).collect());
    println!(
        "omk --version            {:>8.1} ms (median of 21)",
        version * 1e3
    );
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
    let repo = scratch.path().join("plan");
    repository(&repo, 1000);
    let plan = median(
        (0..11)
            .map(|_| seconds(omk().current_dir(&repo).arg("plan")))
            .collect(),
    );
    println!(
        "omk plan, 1,000 tasks    {:>8.1} ms (median of 11)",
        plan * 1e3
    );
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_omk"))
        .expect("the binary")
        .len();
    println!(
        "this binary              {:>8.1} MB (the release profile also strips it)",
        size as f64 / 1e6
    );
}
