//! What must work in a room with default settings: the tools that people build and test with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::e2e_world;
use crate::forge_door::rig;
use crate::model::{Model, Turn};
use crate::world::World;

/// A world whose user has this machine's toolchains.
pub(super) fn world() -> World {
    let mut world = World::below(&super::battery::yards()).env("OMK_ROOM_AT_MOST", "sealed");
    for (name, below) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
        if let Some(found) = toolchain(name, below) {
            world = world.env(name, &found);
        }
    }
    world
}

fn toolchain(name: &str, below: &str) -> Option<String> {
    let named = std::env::var_os(name).map(std::path::PathBuf::from);
    let found =
        named.or_else(|| Some(std::path::Path::new(&std::env::var_os("HOME")?).join(below)))?;
    found.is_dir().then(|| found.display().to_string())
}

/// The same world, whose user has pytest and Go as well: a virtual environment, put there on first
/// need.
pub(super) fn with_toolchain(world: World) -> World {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("toolchain");
    let mut install = std::process::Command::new("python3");
    let installed = install
        .arg(rig().join("install.py"))
        .arg(&target)
        .arg("toolchain")
        .status()
        .unwrap();
    assert!(
        installed.success(),
        "the tools of children are not to be had"
    );
    let path = std::env::var("PATH").unwrap();
    world.env("PATH", &format!("{}:{path}", target.join("bin").display()))
}

/// Runs a command and the same as a gate, in rooms of the default kind, and expects both to
/// succeed.
#[track_caller]
fn both_work(world: &World, run: &str) {
    // A room shows what the plan names: a library beside the repository, for one.
    let library = world.dir().join("library");
    let named = if library.exists() {
        format!("env: {{ LIBRARY: {} }}\n", library.display())
    } else {
        String::new()
    };
    world.plan(&format!(
        "{named}gates: [{{ id: work, run: '{run}' }}]\n\
         tasks: [{{ id: one, run: '{run} && echo 1 > one.txt', write_set: [one.txt], gates: [work], \
         retry_policy: {{ max_attempts: 0 }} }}]\n"
    ));
    let said = world.run();
    assert_eq!(said.code, 0, "{run}:\n{}\n{}", said.out, said.err);
}

#[test]
fn cargo_works() {
    let world = world();
    world.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    world.write(
        "Cargo.lock",
        "version = 3\n\n[[package]]\nname = \"x\"\nversion = \"0.1.0\"\n",
    );
    world.write(
        "src/lib.rs",
        "#[test]\nfn sums() { assert_eq!(1 + 1, 2) }\n",
    );
    both_work(&world, "cargo test --locked --offline");
}

#[test]
fn npm_and_node_work() {
    let world = world();
    world.write("package.json", r#"{ "name": "x", "version": "1.0.0", "scripts": { "test": "node --test" }, "dependencies": { "dep": "file:dep" } }"#);
    world.write(
        "dep/package.json",
        r#"{ "name": "dep", "version": "1.0.0", "main": "i.js" }"#,
    );
    world.write("dep/i.js", "module.exports = 2;\n");
    let test = "const t = require('node:test'); const a = require('node:assert'); const http = require('node:http');\n\
        t('sums', () => a.equal(require('dep'), 2));\n\
        t('interfaces', () => a.ok(require('node:os').networkInterfaces()));\n\
        t('serves', async () => { const s = http.createServer((q, r) => r.end('ok')).listen(0, '127.0.0.1');\n\
        await new Promise(r => s.on('listening', r));\n\
        a.equal(await (await fetch('http://127.0.0.1:' + s.address().port)).text(), 'ok'); s.close(); });\n";
    world.write("x.test.js", test);
    world.write(".gitignore", "node_modules\npackage-lock.json\n");
    both_work(
        &world,
        "npm install --offline --no-audit --no-fund && npm test",
    );
}

#[test]
fn python_and_pip_work() {
    // In a short place: a socket in TMPDIR, as of a manager of processes, has a name of 107 bytes
    // at most.
    let world = World::new();
    // A package as the registry would give it.
    let wheel = "import zipfile\nw = zipfile.ZipFile('pkg-1.0-py3-none-any.whl', 'w')\nw.writestr('pkg.py', 'two = 2\\n')\n\
        w.writestr('pkg-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: pkg\\nVersion: 1.0\\n')\n\
        w.writestr('pkg-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        w.writestr('pkg-1.0.dist-info/RECORD', '')\nw.close()\n";
    assert!(
        world
            .command("python3")
            .args(["-c", wheel])
            .status()
            .unwrap()
            .success()
    );
    world.write("tests/test_x.py", "import unittest, multiprocessing, pkg\nclass T(unittest.TestCase):\n  def test_sums(self): self.assertEqual(pkg.two, 2)\n  def test_manager(self):\n    with multiprocessing.Manager() as m: self.assertEqual(list(m.list([1])), [1])\n  def test_pool(self):\n    with multiprocessing.Pool(2) as p: self.assertEqual(p.map(abs, [-1]), [1])\n");
    world.write(".gitignore", ".venv\n*.egg-info\nbuild\n__pycache__\n");
    both_work(
        &world,
        "python3 -m venv .venv && .venv/bin/pip install -q --no-index ./pkg-1.0-py3-none-any.whl && .venv/bin/python -m unittest discover -s tests",
    );
}

/// A suite that needs of a room what pytest and its users do: files of its own, processes, a cache.
/// It runs at most one failed test again, which is in the cache.
const SUITE: &str = "
import multiprocessing, pathlib, pytest
@pytest.mark.parametrize(\"number\", [1, 2])
def test_files(tmp_path, number):
    (tmp_path / \"a\").write_text(str(number))
    assert (tmp_path / \"a\").read_text() == str(number)
def test_processes():
    with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
    with multiprocessing.Manager() as manager: assert list(manager.list([1])) == [1]
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=(1,))
    process.start(); assert queue.get(timeout=30) == 1; process.join()
def test_cache(cache):
    cache.set(\"seen/number\", 42)
    assert cache.get(\"seen/number\", None) == 42
    assert (pathlib.Path.cwd() / \".pytest_cache/v/seen/number\").is_file()
def test_answer():
    changed = pathlib.Path(\"one.txt\")
    assert not changed.exists() or int(changed.read_text()) == 1
";

#[test]
fn pytest_passes_and_fails_as_its_suite_does() {
    // In a short place, for sockets in TMPDIR.
    let world = with_toolchain(World::new()).env("OMK_ROOM_AT_MOST", "sealed");
    world.write("tests/test_suite.py", SUITE);
    world.write(".gitignore", ".pytest_cache\n__pycache__\n");
    let plan = |run: &str| {
        format!(
            "gates: [{{ id: test, run: pytest --junit-xml=report.xml, report: {{ format: junit, path: report.xml }} }}]\n\
             tasks: [{{ id: one, run: '{run}', write_set: [one.txt], gates: [test], \
             retry_policy: {{ max_attempts: 0 }} }}]\n"
        )
    };
    world.plan(&plan("echo 1 > one.txt"));
    world.run().exits(0);
    world.plan(&plan("echo 2 > one.txt"));
    world.run().exits(1).says("test_answer");
    // The one that should, and no other.
    let report = std::fs::read_to_string(world.run_dir().join("report.json")).unwrap();
    assert!(
        !["test_files", "test_processes", "test_cache"]
            .iter()
            .any(|name| report.contains(name)),
        "{report}"
    );
}

#[test]
fn git_works_and_nothing_gets_out() {
    let world = world();
    let library = world.dir().join("library");
    std::fs::create_dir(&library).unwrap();
    let there = library.to_str().unwrap().to_owned();
    world.git(&["init", "-q", "-b", "main", &there]);
    std::fs::write(library.join("l.txt"), "l\n").unwrap();
    world.git(&["-C", &there, "add", "-A"]);
    world.git(&["-C", &there, "commit", "-qm", "library"]);
    world.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &there,
        "library",
    ]);
    let git = "git config user.name a && git config user.email a@example.com && echo x >> a.txt && git stash -q && \
        git stash pop -q && git add -A && git commit -qm mine && git checkout -q -b mine && git branch other && \
        git -c protocol.file.allow=always submodule update --init -q && test -e library/l.txt && git checkout -q --detach HEAD~1 && git gc -q && \
        git status --porcelain && git fsck --connectivity-only && git branch -D mine other && rm -f one.txt";
    world.commit("with a submodule");
    let before = world.checkout();
    both_work(&world, git);
    let after = world.checkout();
    let differ: Vec<&String> = after
        .keys()
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    assert!(
        differ.iter().all(|name| name.contains("omk.yaml")
            || name.contains("index")
            || name.starts_with("ref")),
        "{differ:?}"
    );
    assert_eq!(world.git(&["stash", "list"]), "");
    assert_eq!(world.git(&["branch", "--list", "mine", "other"]), "");
}

#[test]
fn eight_gates_that_bind_one_port_at_once_pass() {
    let world = World::new();
    let serve = "import socket, time
s = socket.socket()
s.bind((\"127.0.0.1\", 18473))
s.listen()
time.sleep(1)
\
        socket.create_connection(s.getsockname()).close()
";
    world.write("serve.py", serve);
    let gates: String = (1..=8)
        .map(|n| format!("  - {{ id: g{n}, network: none, run: python3 serve.py }}\n"))
        .collect();
    let names: Vec<String> = (1..=8).map(|n| format!("g{n}")).collect();
    world.plan(&format!(
        "limits: {{ workers: 8 }}\ngates:\n{gates}tasks: [{{ id: one, run: 'echo 1 > one.txt', write_set: [one.txt], gates: [{}], \
         retry_policy: {{ max_attempts: 0 }} }}]\n",
        names.join(", ")
    ));
    world.run().exits(0);
}

#[tokio::test]
async fn the_agents_shell_has_cargo() {
    let command = "cargo --version > cargo.txt && git add -A && git stash -q && git stash pop -q && echo fine >> cargo.txt";
    let model = Model::start(vec![(
        "do one",
        vec![e2e_world::bash(command), Turn::Say("done")],
    )])
    .await;
    let rest = "tasks: [{ id: one, prompt: do one, write_set: [cargo.txt], retry_policy: { max_attempts: 0 } }]\n";
    let world = e2e_world::World::new(&model, rest).await;
    let mut omk = world.omk(&["run"]);
    for (name, below) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
        if let Some(found) = toolchain(name, below) {
            omk.env(name, found);
        }
    }
    let ended = world.end_of(omk).await;
    let shown = world.git(&["show", "omk/run/e2e:cargo.txt"]);
    assert!(
        shown.starts_with("cargo 1.") && shown.ends_with("fine"),
        "{shown}: {ended:?}"
    );
}

#[test]
fn a_child_that_cannot_have_a_copy_of_a_cache_gets_one_of_its_own() {
    for level in ["sealed", "landlock"] {
        let world = World::new().env("OMK_ROOM_AT_MOST", level);
        // One in the user's home, and one in the checkout, as some CI jobs have it.
        let npm = world.dir().join("home/.npm");
        std::fs::create_dir_all(&npm).unwrap();
        let pip = world.repo().join(".pip");
        std::fs::create_dir_all(&pip).unwrap();
        world.write(".gitignore", ".pip\n");
        let world = world.env("PIP_CACHE_DIR", pip.to_str().unwrap());
        both_work(
            &world,
            r#"for cache in "$npm_config_cache" "$PIP_CACHE_DIR"; do echo x > "$cache/new" && rm "$cache/new" || exit 1; done"#,
        );
        assert_eq!(
            std::fs::read_dir(npm).unwrap().count() + std::fs::read_dir(pip).unwrap().count(),
            0
        );
    }
}

#[test]
fn credentials_in_the_repositorys_settings_are_out_of_sight() {
    let world = World::new();
    world.git(&[
        "remote",
        "add",
        "origin",
        "https://me:hush-hush-1@host.example/a.git",
    ]);
    world.git(&[
        "config",
        "http.https://host.example/.extraheader",
        "AUTHORIZATION: basic hush-hush-2",
    ]);
    both_work(
        &world,
        r#"! grep hush "$(git rev-parse --git-common-dir)/config" && git remote get-url origin"#,
    );
}

#[test]
fn names_are_resolved_where_the_machine_keeps_its_settings_behind_a_link() {
    // Of the files that are links on some machines, none may dangle.
    let world = World::new();
    both_work(
        &world,
        "for file in resolv.conf hosts ssl/certs; do test ! -e /etc/$file && test -L /etc/$file && exit 1; done; true",
    );
}
