//! The examples are sound plans, and their previews hold no surprise; the quickstart's answers fit its prompts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use omk_action::gateway::Recording;
use omk_action::plan::{Plan, Work};
use omk_action::report::preview::Preview;

use crate::plan::sound;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn plan_of(name: &str) -> Plan {
    sound(&std::fs::read_to_string(example(name).join("omk.yaml")).unwrap())
}

#[test]
fn every_example_has_a_sound_plan_and_a_readme_and_a_test() {
    let entries = std::fs::read_dir(example(".")).unwrap();
    let names: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["maintenance", "quickstart", "refactor"].map(str::to_owned).into());
    for name in names {
        let plan = plan_of(&name);
        assert_eq!(plan.name.as_str(), name);
        assert!(example(&name).join("README.md").is_file());
        assert!(plan.gates.iter().any(|gate| gate.required), "without a required gate nothing is ever ready");
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

/// The answers of a task's cassette, by failures so far and assistant messages so far.
fn answers(task: &str) -> BTreeSet<(u32, u32)> {
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(example("quickstart").join("cassette").join(task)).unwrap() {
        let path = entry.unwrap().path();
        let recording: Result<Recording, _> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
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
    let recorded: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(recorded, prompts);
    // A red gate lies between the two conversations of `discount`.
    assert_eq!(answers("discount"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)].into());
    assert_eq!(answers("receipt"), [(0, 0), (0, 1), (0, 2), (0, 3)].into());
}
