//! The examples are sound plans, and their previews hold no surprise; the quickstart runs with the
//! real Kimi CLI.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use omk_action::gateway::Recording;
use omk_action::plan::{Plan, Work};
use omk_action::report::preview::Preview;

use crate::plan::sound;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn plan_of(name: &str) -> Plan {
    sound(&std::fs::read_to_string(example(name).join("omk.yaml")).unwrap())
}

#[test]
fn every_example_has_a_sound_plan_and_a_readme_and_a_test() {
    let entries = std::fs::read_dir(example(".")).unwrap();
    let names: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "gitlab",
            "maintenance",
            "quickstart",
            "refactor",
            "workflows"
        ]
        .map(str::to_owned)
        .into()
    );
    // Workflows and pipelines have tests of their own.
    for name in names
        .into_iter()
        .filter(|name| name != "workflows" && name != "gitlab")
    {
        let plan = plan_of(&name);
        assert_eq!(plan.name.as_str(), name);
        assert!(example(&name).join("README.md").is_file());
        assert!(
            plan.gates.iter().any(|gate| gate.required),
            "without a required gate nothing is ever ready"
        );
    }
}

#[test]
fn the_quickstart_has_all_that_is_worth_showing() {
    insta::assert_snapshot!(Preview::of(&plan_of("quickstart")).terminal(), @r"
    quickstart: 4 tasks, up to 12 executions
    limits: 3 workers

       task      priority  executions  after   name
    1  receipt         10  up to 3             Print a receipt
    2  prices           0  up to 3             Bring the price list up to date
    3  discount         0  up to 3     prices  Give 5 % off from 20.00 on
    4  usage            0  up to 3     prices  Show the program's own output in the README

    2 waves, if there are workers enough:
      1. prices, receipt
      2. discount, usage

    critical path, 2 tasks:
      prices -> discount

    1 overlap, never at the same time:
      receipt and usage: both write README.md
    ");
}

#[test]
fn maintenance_is_small_and_mostly_optional() {
    insta::assert_snapshot!(Preview::of(&plan_of("maintenance")).terminal(), @r"
    maintenance: 4 tasks, up to 8 executions
    limits: 2 workers, 2h 00m, 1500000 tokens

       task       priority  executions  after               name
    1  lockfile          0  up to 2                         Update Cargo.lock within the versions that Carg…
    2  warnings          0  up to 2     lockfile            Fix what clippy complains about
    3  changelog         0  up to 2     lockfile, warnings  Say what was done
    4  docs              0  up to 2                         Let README and code agree (conditional)

    3 waves, if there are workers enough:
      1. lockfile, docs
      2. warnings
      3. changelog

    critical path, 3 tasks:
      lockfile -> warnings -> changelog

    1 overlap, never at the same time:
      warnings and docs: src/** is written, src/** is read
    ");
}

#[test]
fn refactor_overlaps_on_purpose() {
    insta::assert_snapshot!(Preview::of(&plan_of("refactor")).terminal(), @r"
    refactor: 5 tasks, up to 15 executions
    limits: 3 workers, 4000000 tokens

       task    priority  executions  after               name
    1  types         20  up to 3                         Give ids a type of their own
    2  api            0  up to 3     types               Split the API by resource
    3  store          0  up to 3     types               Split the store by table
    4  errors        -1  up to 3     types               One error type for each module
    5  clean          0  up to 3     api, store, errors  Take out what nobody uses any more

    3 waves, if there are workers enough:
      1. types
      2. api, store, errors
      3. clean

    critical path, 3 tasks:
      types -> api -> clean

    2 overlaps, never at the same time:
      api and errors: src/api.rs and src/{api,store}.rs are written
      store and errors: src/store.rs and src/{api,store}.rs are written
    ");
}

#[test]
fn the_plan_in_the_readme_is_sound_and_has_ten_lines() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, from) = readme.split_once("## A plan in ten lines").unwrap();
    let (_, from) = from.split_once("```yaml\n").unwrap();
    let (plan, _) = from.split_once("```").unwrap();
    assert_eq!(plan.lines().count(), 10);
    assert_eq!(sound(plan).tasks.len(), 2);
}

#[test]
fn the_workflow_in_the_readme_is_the_short_example() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, from) = readme
        .split_once("# .github/workflows/agents.yml\n")
        .unwrap();
    let shown: serde_json::Value = serde_yaml::from_str(from.split_once("```").unwrap().0).unwrap();
    let example = crate::workflows::parsed("examples/workflows/short.yml");
    for part in ["name", "on", "permissions"] {
        assert_eq!(shown[part], example[part], "{part}");
    }
    for part in ["uses", "permissions", "secrets"] {
        assert_eq!(
            shown["jobs"]["agents"][part], example["jobs"]["agents"][part],
            "{part}"
        );
    }
}

/// The answers of a task's cassette, by failures so far and assistant messages so far.
fn answers(task: &str) -> BTreeSet<(u32, u32)> {
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(example("quickstart").join("cassette").join(task)).unwrap() {
        let path = entry.unwrap().path();
        let recording: Result<Recording, _> =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
        assert!(recording.unwrap().turn.is_some(), "{}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (failures, messages) = name.split_once('-').unwrap();
        keys.insert((failures.parse().unwrap(), messages.parse().unwrap()));
    }
    keys
}

#[test]
fn the_quickstarts_cassette_answers_its_prompts_and_nothing_else() {
    let prompts: BTreeSet<String> = plan_of("quickstart")
        .tasks
        .iter()
        .filter(|task| matches!(task.work, Work::Prompt(_)))
        .map(|task| task.id.to_string())
        .collect();
    let entries = std::fs::read_dir(example("quickstart").join("cassette")).unwrap();
    let recorded: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(recorded, prompts);
    // A red gate lies between the two conversations of `discount`.
    assert_eq!(
        answers("discount"),
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)].into()
    );
    assert_eq!(answers("receipt"), [(0, 0), (0, 1), (0, 2), (0, 3)].into());
}

/// A command in that directory, with nothing of the caller's but PATH.
fn command(program: &str, dir: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home);
    command
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LANG", "C.UTF-8");
    command
}

fn said(mut command: Command) -> String {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{command:?}\n{said}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    said
}

#[tokio::test]
async fn the_quickstart_keeps_the_promises_of_the_demo() {
    let (tools, _place) = crate::agent::installed().await;
    let root = tempfile::tempdir().unwrap();
    let (home, till, result) = (
        root.path().join("home"),
        root.path().join("till"),
        root.path().join("result"),
    );
    std::fs::create_dir_all(home.join("cache/omk")).unwrap();
    std::os::unix::fs::symlink(tools, home.join("cache/omk/tools")).unwrap();
    let run = |program: &str, dir: &Path, arguments: &[&str]| {
        let mut command = command(program, dir, &home);
        command.args(arguments);
        said(command)
    };
    let (omk, text) = (env!("CARGO_BIN_EXE_omk"), |path: &Path| {
        path.to_str().unwrap().to_owned()
    });

    run(
        "cp",
        root.path(),
        &["-R", &text(&example("quickstart").join("program")), "till"],
    );
    run(
        "cp",
        root.path(),
        &[&text(&example("quickstart").join("omk.yaml")), "till"],
    );
    run("git", &till, &["init", "--quiet", "--initial-branch=main"]);
    run("git", &till, &["add", "--all"]);
    run(
        "git",
        &till,
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "commit",
            "--quiet",
            "--message=A till",
        ],
    );
    run(
        omk,
        &till,
        &[
            "run",
            "--cassette",
            &text(&example("quickstart").join("cassette")),
        ],
    );
    assert!(run(omk, &till, &["verify"]).contains("\n5 proofs checked, all hold\n"));
    let report = run(omk, &till, &["report", "--json"]);
    run(
        "git",
        root.path(),
        &[
            "clone",
            "--quiet",
            "--branch",
            "omk/run/quickstart",
            "till",
            "result",
        ],
    );

    let promises = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo_promises.py");
    let mut python = command("python3", root.path(), &home);
    python
        .arg(promises)
        .arg(result)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(report.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(
        out.status.success(),
        "{}\n{report}",
        String::from_utf8_lossy(&out.stderr)
    );
}
