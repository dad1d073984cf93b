//! What a run needs of its machine: `omk run` stops where `omk plan` and `omk doctor` say that it
//! would, in the same words.
//!
//! It refuses to try one of them alone.

use serde_json::Value;

use crate::world::World;

const ONE: &str = "tasks: [{ id: one, run: echo 1 > one.txt, write_set: [one.txt] }]\n";

/// What `omk doctor` found, all points in one text.
fn doctor(world: &World, code: i32) -> String {
    let json: Value =
        serde_json::from_str(&world.omk(&["doctor", "--json"]).exits(code).out).unwrap();
    let words =
        |point: &Value| format!("{}\n{}\n", point["found"].as_str().unwrap(), point["next"]);
    json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(words)
        .collect()
}

/// That nothing starts, and that everybody says why and what to do.
#[track_caller]
fn stops(world: &World, words: &[&str]) {
    let said = doctor(world, 3);
    let plan = world
        .omk(&["plan"])
        .exits(0)
        .says("`omk run` would stop here");
    let check = world.omk(&["plan", "--check"]).exits(3).says("hint: ");
    let run = world.omk(&["run"]).exits(3).says("hint: ");
    for word in words {
        assert!(said.contains(word), "doctor does not say {word:?}:\n{said}");
        assert!(
            plan.err.contains(word),
            "plan does not say {word:?}:\n{}",
            plan.err
        );
        assert!(
            check.err.contains(word),
            "plan --check does not say {word:?}:\n{}",
            check.err
        );
        assert!(
            run.err.contains(word),
            "run does not say {word:?}:\n{}",
            run.err
        );
    }
    assert_eq!(world.runs().len(), 0, "nothing has begun");
}

/// That a run starts, and that everybody says this before.
#[track_caller]
fn warns(world: &World, words: &str) {
    let said = doctor(world, 0);
    assert!(said.contains(words), "{said}");
    world
        .omk(&["plan"])
        .exits(0)
        .says(&format!("note: {words}"));
    world
        .omk(&["plan", "--check"])
        .exits(0)
        .says(&format!("note: {words}"));
    world.omk(&["run"]).exits(0).says(&format!("note: {words}"));
}

#[test]
fn a_network_that_no_room_here_can_close() {
    let world = World::with(&format!("room: {{ network: {{ tasks: none }} }}\n{ONE}"))
        .env("OMK_ROOM_AT_MOST", "none");
    stops(&world, &["the plan closes the network of a task or gate"]);
    world.plan(&format!(
        "room: {{ level: none, network: {{ tasks: none }} }}\n{ONE}"
    ));
    world.omk(&["run"]).exits(0);
}

#[test]
fn a_proxy_that_omk_cannot_speak_to() {
    for proxy in ["socks5://127.0.0.1:9", "https://127.0.0.1:9"] {
        let world = World::with(&format!(
            "room: {{ network: {{ tasks: {{ allow: [a.example] }} }} }}\n{ONE}"
        ));
        let world = world.env("HTTPS_PROXY", proxy);
        stops(
            &world,
            &["use the proxy in HTTPS_PROXY", "`http://HOST:PORT`"],
        );
        world.plan(ONE);
        world.omk(&["run"]).exits(0);
    }
}

#[test]
fn a_filter_whose_program_is_not_installed() {
    let world = World::with(ONE);
    world.write("big.bin", "big\n");
    world.write(".gitattributes", "*.bin filter=own\n");
    world.commit("attributes");
    world.git(&["config", "filter.own.clean", "no-such-filter clean -- %f"]);
    world.git(&["config", "filter.own.smudge", "cat"]);
    stops(
        &world,
        &[
            "`own` (for `big.bin`; its program `no-such-filter` is not on PATH)",
            "install `no-such-filter`",
        ],
    );
}

#[test]
fn a_cache_that_cannot_be_written() {
    let world = World::with(ONE);
    std::fs::write(world.dir().join("file"), "").unwrap();
    let cache = world.dir().join("file/cache").display().to_string();
    stops(
        &world.env("XDG_CACHE_HOME", &cache),
        &[
            "omk cannot write to its cache",
            "set XDG_CACHE_HOME to a directory",
        ],
    );
}

#[test]
fn a_toolchain_that_rustup_has_not_installed() {
    let world = World::with(ONE);
    std::fs::create_dir_all(world.dir().join("rustup/toolchains")).unwrap();
    world.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.80.0\"\n");
    world.commit("toolchain");
    let rustup = world.dir().join("rustup").display().to_string();
    warns(
        &world.env("RUSTUP_HOME", &rustup),
        "rust-toolchain.toml asks for 1.80.0, which is not installed",
    );
}

#[test]
fn a_level_that_is_none_is_an_error() {
    let world = World::with(ONE).env("OMK_ROOM_AT_MOST", "Landlock");
    let words = "the variable OMK_ROOM_AT_MOST is `Landlock`: a room's level is `sealed`, `landlock` or `none`";
    world.omk(&["run"]).exits(2).says(words);
    assert_eq!(world.runs().len(), 0, "nothing has begun");
}
