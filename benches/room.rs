//! What a room costs: a child that does nothing, under a bare shepherd, behind Landlock, and in a
//! sealed room with the layers that a real one has, in turn. Medians, and what lies between two of
//! them.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use omk_action::exec::environment::{Caller, child_env};
use omk_action::exec::{Child, NetworkReach, Program, Sandbox, Shepherd, Surroundings};
use omk_action::plan::RoomLevel;

/// So often each.
const ROUNDS: usize = 200;

fn child(dir: &Path, room: Option<Sandbox>) -> Child {
    Child {
        program: Program::Direct("/bin/true".into(), Vec::new()),
        cwd: dir.join("slot"),
        env: BTreeMap::from([("PATH".into(), std::env::var_os("PATH").unwrap_or_default())]),
        room,
        timeout: Duration::from_secs(60),
        idle_timeout: None,
        log: dir.join("log"),
        log_cap: 1 << 20,
    }
}

fn main() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch directory");
    let dir = scratch.path();
    for name in ["slot", "home", "tmp", "repo/.git", "cache"] {
        std::fs::create_dir_all(dir.join(name)).expect("a directory");
    }
    let caller = Caller::read();
    let none = BTreeMap::new();
    let env = child_env(
        &caller,
        &dir.join("home"),
        &dir.join("tmp"),
        &none,
        &[],
        &none,
    );
    let room = |number: usize, most: RoomLevel, reach: NetworkReach| {
        let own = dir.join(format!("scratch-{number}"));
        std::fs::create_dir_all(&own).expect("a directory");
        Sandbox {
            writable: ["slot", "home", "tmp"].map(|name| dir.join(name)).into(),
            copied: env
                .caches
                .iter()
                .map(|(_, path)| path.clone())
                .chain([dir.join("repo/.git"), dir.join("cache")])
                .collect(),
            shown: env.tools.clone(),
            hidden: caller
                .private_directories()
                .iter()
                .cloned()
                .chain([dir.join("repo")])
                .collect(),
            scratch: Some(own),
            reach,
            most,
            ..Sandbox::default()
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let shepherd = Shepherd::new(env!("CARGO_BIN_EXE_omk").into());
    let mut times: [Vec<f64>; 4] = Default::default();
    for number in 0..ROUNDS {
        let rooms = [
            None,
            Some(room(number, RoomLevel::Landlock, NetworkReach::Open)),
            Some(room(number, RoomLevel::Sealed, NetworkReach::Open)),
            Some(room(
                number + ROUNDS,
                RoomLevel::Sealed,
                NetworkReach::Nothing,
            )),
        ];
        for (room, times) in rooms.into_iter().zip(&mut times) {
            let wanted = room.as_ref().map_or(RoomLevel::None, |room| room.most);
            let child = child(dir, room);
            let start = Instant::now();
            let ended = runtime
                .block_on(shepherd.run(&child, &Surroundings::default()))
                .expect("it runs");
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(
                ended.containment.level, wanted,
                "{:?}",
                ended.why_not_sealed
            );
        }
    }
    println!("a child that does nothing (median of {ROUNDS}, in turn)");
    let medians = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        (
            times[ROUNDS / 2],
            times[ROUNDS / 10],
            times[ROUNDS * 9 / 10],
        )
    });
    let names = ["bare shepherd", "Landlock", "sealed", "sealed, no network"];
    for (name, (median, low, high)) in names.into_iter().zip(medians) {
        let more = median - medians[0].0;
        println!("  {name:<20} {median:>7.2} ms  ({low:.2} to {high:.2})  {more:>+6.2} ms");
    }
}
