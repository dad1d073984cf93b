//! What a person meets first, word for word: omk alone, and a run that lacks something. Nothing is
//! written by then.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of its own, and whatever the test puts there.
struct Desk {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("desk")).unwrap();
        let path = std::fs::canonicalize(dir.path()).unwrap().join("desk");
        Self { path, _dir: dir }
    }

    /// A repository with a commit that holds those files.
    fn with(files: &[(&str, &str)]) -> Self {
        let desk = Self::bare();
        desk.git(&["init", "--quiet", "--initial-branch=main"]);
        for (name, text) in files {
            std::fs::write(desk.path().join(name), text).unwrap();
        }
        desk.git(&["add", "--all"]);
        desk.git(&["commit", "--quiet", "--allow-empty", "--message", "first"]);
        desk
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "-c",
            "commit.gpgsign=false",
        ]);
        assert!(
            git.args(arguments)
                .current_dir(self.path())
                .status()
                .unwrap()
                .success(),
            "{arguments:?}"
        );
    }

    /// What omk says, and its exit code; in an environment without a key, a CLI or settings.
    fn omk(&self, arguments: &[&str], env: &[(&str, &str)]) -> String {
        let mut omk = Command::new(env!("CARGO_BIN_EXE_omk"));
        let path = std::env::var_os("PATH").unwrap();
        // Without the directory of a CLI that this machine may have.
        let path = std::env::split_paths(&path).filter(|dir| !dir.join("kimi").exists());
        omk.args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap());
        omk.env("HOME", self.path())
            .env("XDG_CACHE_HOME", self.path().join(".git/cache"))
            .envs(env.iter().copied());
        let out = omk.output().unwrap();
        let said = [
            String::from_utf8(out.stdout).unwrap(),
            String::from_utf8(out.stderr).unwrap(),
        ]
        .concat();
        let said = said.replace(self.path().to_str().unwrap(), "[desk]");
        format!("{}\n[exit {}]", said.trim_end(), out.status.code().unwrap())
    }

    /// Nothing of omk is in the repository.
    fn is_untouched(&self) {
        let left = std::fs::read_dir(self.path().join(".git/omk/runs"))
            .into_iter()
            .flatten()
            .count();
        assert_eq!(left, 0, "a run was left behind");
    }
}

const PROMPT: &str = "version: 1\nname: desk\ntasks: [{ id: api, prompt: Split it. }]\n";

#[test]
fn omk_alone_tells_what_there_is() {
    insta::assert_snapshot!(Desk::bare().omk(&[], &[]), @"
    Runs coding agents so that their work can be trusted: a plan, gates, worktrees, proofs

    Usage: omk [OPTIONS] <COMMAND>

    Commands:
      init         Write a first omk.yaml, or convert omk 0.5.0's records to one
      plan         Check the plan and show what a run would do
      run          Run the plan, or some of its tasks with their dependencies
      retry        Start a new run that keeps the completed tasks of earlier runs, and does the rest
      resume       Continue a run that was interrupted, killed, or blocked by an external cause
      cancel       Cancel a run, or some of its tasks, for good
      status       Show where the tasks of a run stand
      replay       Read a run's journal again, check every decision, and print the timeline
      verify       Check proofs against the repository, offline
      judge        Judge a run from another job's bundle, without trusting it
      publish      Deliver a run from another job's bundle, as far as its judgement allows
      report       Render a run
      ci           Handle the event of a CI job; the action and the component run this
      schema       Print the JSON Schema of omk.yaml
      doctor       Check that this machine has what a run needs, and how to fix what is missing
      agent        Install or check the coding agent that the plan pins
      clean        Remove old runs, worktrees, and merged branches
      completions  Print completions for a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Everywhere:
      -C, --directory <DIR>  Run as if omk was started in this directory
          --color <WHEN>     When to use colours [default: auto] [possible values: auto, always, never]

    Start with `omk init`, check with `omk plan`, then `omk run`.
    [exit 2]
    ");
}

#[test]
fn outside_a_repository() {
    insta::assert_snapshot!(Desk::bare().omk(&["run"], &[("GIT_CEILING_DIRECTORIES", "/")]), @"
    error: [desk] is not inside a git repository
      hint: go to one, or make one with `git init` and a first commit
    [exit 2]
    ");
}

#[test]
fn before_the_first_commit() {
    let desk = Desk::bare();
    desk.git(&["init", "--quiet"]);
    insta::assert_snapshot!(desk.omk(&["run"], &[]), @"
    error: [desk] has no commit at HEAD
      hint: make one first: `git add -A && git commit`
    [exit 2]
    ");
}

#[test]
fn without_a_plan() {
    insta::assert_snapshot!(Desk::with(&[]).omk(&["run"], &[]), @"
    error: there is no plan: omk.yaml does not exist
      hint: write a first one with `omk init`, or name another with `--plan FILE`
    [exit 2]
    ");
}

#[test]
fn with_a_plan_full_of_mistakes() {
    let plan = "version: 1\ntaks: []\ntasks:\n  - id: api\n    prompt: Split it.\n    run: make\n    dependencies: [db]\n    timeout: 30\n  - id: web\n    run: make web\n    gates: [tset]\ngates:\n  - { id: test, run: make test }\n";
    let desk = Desk::with(&[("omk.yaml", plan)]);
    insta::assert_snapshot!(desk.omk(&["run"], &[]), @"
    error: a plan has no key `taks`
      --> omk.yaml:2:1
      2 | taks: []
        | ^^^^ did you mean `tasks`?

    error: task `api` has both `prompt` and `run`
      --> omk.yaml:6:5
      6 |     run: make
        |     ^^^ keep one, or make two tasks
        = note: `prompt` is at omk.yaml:5:5

    error: task `api` needs `db`, which is not in this plan
      --> omk.yaml:7:20
      7 |     dependencies: [db]
        |                    ^^ add a task with this id, or remove the name

    error: the duration `30` has no unit
      --> omk.yaml:8:14
      8 |     timeout: 30
        |              ^^ write `30s` or `30m`

    error: task `web` names the gate `tset`, which is not in this plan
       --> omk.yaml:11:13
      11 |     gates: [tset]
         |             ^^^^ did you mean `test`?
    [exit 2]
    ");
    desk.is_untouched();
}

#[test]
fn without_a_key() {
    let desk = Desk::with(&[("omk.yaml", PROMPT)]);
    insta::assert_snapshot!(desk.omk(&["run", "--yes"], &[]), @r"
    error: there is no key for the model: the variable KIMI_API_KEY is not set
      hint: keys for https://api.moonshot.ai/v1 are made at https://platform.kimi.ai/console/api-keys; no other keys work there
      hint: set KIMI_API_KEY for omk alone: no child of omk sees it
      hint: or serve recorded answers with `--cassette DIR`, which needs no key
    [exit 3]
    ");
    desk.is_untouched();
}

#[test]
fn without_the_cli() {
    let desk = Desk::with(&[("omk.yaml", PROMPT)]);
    insta::assert_snapshot!(desk.omk(&["run", "--yes"], &[("KIMI_API_KEY", "not-a-key-of-anyone")]), @"
    error: failed to find the Kimi Code CLI 2.1.0: it is neither on PATH nor in [desk]/.git/cache/omk/tools/kimi-code-2.1.0
      hint: run `omk agent install`
    [exit 3]
    ");
    desk.is_untouched();
}

#[test]
fn with_a_cassette_that_is_not_there() {
    let desk = Desk::with(&[("omk.yaml", PROMPT)]);
    insta::assert_snapshot!(desk.omk(&["run", "--cassette", "recorded"], &[]), @"
    error: there is no cassette: recorded is not a directory
      hint: each run keeps its own in `.git/omk/runs/RUN/cassette`
    [exit 2]
    ");
    desk.is_untouched();
}

#[test]
fn with_a_task_that_is_almost_there() {
    let desk = Desk::with(&[("omk.yaml", PROMPT)]);
    insta::assert_snapshot!(desk.omk(&["run", "apo"], &[]), @"
    error: there is no task `apo` in this plan
      hint: did you mean `api`?
    [exit 2]
    ");
    desk.is_untouched();
}

#[test]
fn before_the_first_run() {
    let desk = Desk::with(&[("omk.yaml", PROMPT)]);
    insta::assert_snapshot!(desk.omk(&["verify"], &[]), @"
    error: there has been no run here yet
      hint: start one with `omk run`
    [exit 2]
    ");
}

#[test]
fn a_first_plan_is_made_and_can_be_run() {
    let desk = Desk::with(&[("Makefile", "test:\n\t@true\n")]);
    insta::assert_snapshot!(desk.omk(&["init"], &[]), @"
    Wrote omk.yaml. Look at it, then:

      omk plan   # what a run would do
      omk run    # do it
    [exit 0]
    ");
    insta::assert_snapshot!(desk.omk(&["plan"], &[]), @"
    desk: 1 task, up to 3 executions

       task   priority  executions  after  name
    1  hello         0  up to 3

    1 wave, if there are workers enough:
      1. hello

    critical path, 1 task:
      hello
    [exit 0]
    ");
    let said = desk.omk(&["run"], &[]);
    assert!(
        said.contains("ready (1 of 1 task completed") && said.ends_with("[exit 0]"),
        "{said}"
    );
}
