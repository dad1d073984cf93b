//! A power cut while the agent is installed, or right after: the next installation finds it whole,
//! or makes it again.

use super::super::kill::Chance;
use super::super::world::World;
use super::disk::Loss;
use super::{files, followed};

/// What `npm` and `node` are here. The program that is installed is read by `sh`.
const NPM: &str = r#"mkdir -p "$3/node_modules/@moonshot-ai/kimi-code"; cd "$3/node_modules/@moonshot-ai/kimi-code"
echo '{"version": "2.1.0", "bin": {"kimi": "main.js"}}' > package.json; echo 'echo 2.1.0' > main.js"#;
const NODE: &str = r#"if [ "$1" = --version ]; then echo v24.0.0; else exec sh "$@"; fi"#;

fn script(world: &World, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = world.dir().join("bin").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_installed_agent_is_whole_or_is_installed_again() {
    let world = World::new();
    let path = format!("{}:/bin:/usr/bin", world.dir().join("bin").display());
    let world = world.env("PATH", &path);
    script(&world, "npm", NPM);
    script(&world, "node", NODE);
    let (code, recorder) = followed(&world, &["agent", "install"], None);
    assert_eq!(code, 0);
    let program = |world: &World| {
        let files = files::read(&world.dir().join("cache"));
        files
            .into_iter()
            .find(|(path, _)| path.ends_with("main.js"))
            .map(|(_, found)| found)
    };
    let whole = program(&world);
    assert!(whole.is_some());
    // Right after the end, and so late that all names may be there.
    for seed in 0..12 {
        files::restore(
            world.dir(),
            &recorder.cut(recorder.syncs(), true, Loss::Contents, &mut Chance(seed)),
        );
        world.omk(&["agent", "install"]).exits(0).says("is ready");
        assert_eq!(program(&world), whole, "seed {seed}");
    }
}
