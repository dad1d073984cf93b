//! What `omk plan` says will go wrong, beside mistakes of the plan: in words, and as JSON.

use super::submodules::add;
use super::world::World;

const PLAN: &str = "gates: [{ id: ok, run: 'true' }]\ntasks: [{ id: one, run: 'true', gates: [ok], write_set: [] }]\n";

fn json(world: &World) -> serde_json::Value {
    serde_json::from_str(&world.omk(&["plan", "--json"]).exits(0).out).unwrap()
}

#[test]
fn changes_that_were_not_committed_are_counted_and_the_first_named() {
    let world = World::with(PLAN);
    let clean = world.omk(&["plan"]).exits(0);
    assert!(!clean.err.contains("uncommitted"), "{}", clean.err);
    let nothing = serde_json::json!({ "tracked": 0, "untracked": 0, "first": [] });
    assert_eq!(json(&world)["here"]["uncommitted"], nothing);
    world.write("a.txt", "other\n");
    std::fs::remove_file(world.repo().join("src/lib.rs")).unwrap();
    for number in 1..=5 {
        world.write(format!("new/{number}"), "");
    }
    world.write("target/built", "");
    // The plan is read as it lies there.
    world.write(
        "omk.yaml",
        &format!("version: 1\nname: story\n{PLAN}# more\n"),
    );
    let before = world.checkout();
    let note = "a run starts from HEAD and does not see uncommitted changes of 2 tracked files and 5 untracked files: \
                `a.txt`, `src/lib.rs`, `new/1`, `new/2`, `new/3` and 2 more; commit what tasks and gates need";
    world.omk(&["plan"]).exits(0).says(&format!("note: {note}"));
    world
        .omk(&["plan", "--check"])
        .exits(0)
        .says(&format!("note: {note}"));
    let json = json(&world);
    let first = ["a.txt", "src/lib.rs", "new/1", "new/2", "new/3"];
    assert_eq!(
        json["here"]["uncommitted"],
        serde_json::json!({ "tracked": 2, "untracked": 5, "first": first })
    );
    let points = json["here"]["points"].as_array().unwrap();
    assert!(
        points
            .iter()
            .any(|point| point["check"] == "uncommitted" && point["state"] == "warn"),
        "{points:?}"
    );
    assert_eq!(world.checkout(), before, "the checkout is only read");
}

#[test]
fn files_that_a_sparse_checkout_leaves_out_are_no_changes() {
    let world = World::with(PLAN);
    world.git(&["sparse-checkout", "set", "--no-cone", "omk.yaml", "a.txt"]);
    assert!(!world.repo().join("src/lib.rs").exists());
    assert!(!world.omk(&["plan"]).exits(0).err.contains("uncommitted"));
}

#[test]
fn what_stops_a_run_is_in_the_json_too() {
    let world = World::new();
    world.write(".gitattributes", "*.bin filter=lfs\n");
    world.write("big.bin", "pointer\n");
    world.plan(PLAN);
    let points = json(&world)["here"]["points"].clone();
    let filters = points
        .as_array()
        .unwrap()
        .iter()
        .find(|point| point["check"] == "filters")
        .cloned()
        .unwrap();
    assert_eq!(filters["state"], "missing");
    assert!(
        filters["found"]
            .as_str()
            .unwrap()
            .contains("`lfs` (for `big.bin`)"),
        "{filters}"
    );
}

#[test]
fn gates_and_tasks_that_do_not_meet_are_listed() {
    let world = World::with(
        "gates: [{ id: ok, run: 'true' }, { id: whole, run: 'true' }, { id: never, run: 'true', required: false }]\n\
         tasks:\n  - { id: one, run: 'true', gates: [ok], write_set: [] }\n  - { id: two, run: 'true', write_set: [] }\n",
    );
    let said = world.omk(&["plan"]).exits(0);
    for line in [
        "gates of no task, which judge only the result: whole\n",
        "gates that never run, for no task names them and they are not required: never\n",
        "tasks without a gate, whose changes are judged only in the result: two\n",
    ] {
        assert!(said.out.contains(line), "{}", said.out);
    }
    let json = json(&world);
    let unused = serde_json::json!([{ "id": "whole", "required": true }, { "id": "never", "required": false }]);
    assert_eq!(
        (&json["unused_gates"], &json["ungated"]),
        (&unused, &serde_json::json!(["two"]))
    );
}

#[test]
fn write_sets_inside_a_submodule_or_of_protected_paths_can_never_be_used() {
    let (world, inner) = (World::new(), World::new());
    add(&world, &inner, "near", "sub");
    world.plan(
        "gates: [{ id: ok, run: 'true' }]\ntasks:\n  \
         - { id: one, run: 'true', gates: [ok], write_set: [\"sub/**\", sub/a.txt, sub, \".github/**\", a.txt] }\n",
    );
    let why = "lies in a submodule, where no change can be kept";
    let said = world.omk(&["plan"]).exits(0);
    assert!(
        said.out.contains(&format!("one: sub/** {why}")),
        "{}",
        said.out
    );
    let json = json(&world);
    let useless: Vec<&str> = json["useless"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["glob"].as_str().unwrap())
        .collect();
    assert_eq!(useless, [".github/**", "sub/**", "sub/a.txt"]);
}
