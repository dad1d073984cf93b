//! One world: a tool of the user's that leads into the checkout is named before anything starts, on
//! a laptop and where a bundle is judged; and what leads elsewhere is left alone.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use omk_action::exec::environment::Caller;
use omk_action::plan::{Plan, parse};
use omk_action::work::checkout::{leads, off_path};

use crate::bundle_world::{ONE, Ran};
use crate::world::{Said, World};

/// A package whose test a bad change breaks.
const BREAKS: &str = r#"
gates: [{ id: test, run: "python3 -m unittest discover -s tests" }]
tasks: [{ id: one, run: "echo 'def total(a, b): return a - b' > src/shop/__init__.py", write_set: ["src/**"], gates: [test], retry_policy: { max_attempts: 0 } }]
"#;

fn shop() -> World {
    let world = World::new();
    world.write(
        "setup.py",
        "from setuptools import setup\nsetup(name='shop', version='1.0', packages=['shop'], package_dir={'': 'src'})\n",
    );
    world.write("src/shop/__init__.py", "def total(a, b): return a + b\n");
    world.write(
        "tests/test_shop.py",
        "import unittest, shop\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(shop.total(1, 2), 3)\n",
    );
    world.write(".gitignore", ".venv/\n*.egg-info/\nbuild/\n");
    world.plan(BREAKS);
    world
}

/// A real environment with the checkout installed as pip does it; pip needs a setuptools, which
/// newer Pythons lack, and then the file is written as it would have been.
fn editable(world: &World, at: &Path, checkout: &Path) {
    let ran = |command: &mut std::process::Command| command.output().unwrap();
    assert!(
        ran(world.command("python3").args(["-m", "venv"]).arg(at))
            .status
            .success()
    );
    let mut pip = world.command(at.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-build-isolation",
        "--editable",
    ])
    .arg(checkout);
    if !ran(&mut pip).status.success() {
        let said = ran(world
            .command(at.join("bin/python"))
            .args(["-c", "import site; print(site.getsitepackages()[0])"]));
        let site = PathBuf::from(String::from_utf8(said.stdout).unwrap().trim());
        std::fs::write(
            site.join("__editable__.shop-1.0.pth"),
            format!("{}/src\n", checkout.display()),
        )
        .unwrap();
    }
    let mut imports = world.command(at.join("bin/python"));
    assert!(
        ran(imports.current_dir("/").args(["-c", "import shop"]))
            .status
            .success(),
        "it is installed"
    );
}

/// Omk, with a directory before all others on PATH.
fn omk(world: &World, first: &Path, args: &[&str]) -> Said {
    let path = std::env::join_paths([first.to_owned()].into_iter().chain(paths())).unwrap();
    let mut omk = world.omk_command(args);
    omk.env("PATH", path);
    World::start_command(omk).ends()
}

fn paths() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect()
}

#[test]
fn an_editable_install_of_the_checkout_stops_the_run_and_a_path_in_the_tree_does_not() {
    let world = shop();
    let inside = world.repo().join(".venv");
    editable(&world, &inside, &world.repo());
    let said = omk(&world, &inside.join("bin"), &["run"]).exits(3);
    insta::assert_snapshot!(world.plain(&said.err), @"
    error: gates and commands would see your checkout, and not the change that they judge: `[DIR]/repo/.venv/bin`, which is on PATH, lies in the checkout
      hint: deactivate that environment, and make one outside of the checkout (`python3 -m venv ~/.venvs/NAME`), or let the task or gate make its own
    ");
    let outside = world.dir().join("venv");
    editable(&world, &outside, &world.repo());
    let said = omk(&world, &outside.join("bin"), &["run"]).exits(3);
    let said = said
        .says("venv/lib/")
        .says("is installed from the checkout")
        .says("env: { PYTHONPATH: src }");
    assert!(!said.err.contains("lies in the checkout"), "{}", said.err);
    let doctor = omk(&world, &outside.join("bin"), &["doctor"]).exits(3);
    doctor
        .says("missing  checkout  the Python package")
        .says("a run cannot start");
    assert_eq!(world.runs().len(), 0, "nothing has begun");

    world.plan(&format!("env: {{ PYTHONPATH: src }}\n{BREAKS}"));
    world.run().exits(1).says("AssertionError: -1 != 3");
}

#[test]
fn a_bundle_is_not_judged_beside_an_editable_install_of_the_clone() {
    let ran = Ran::new(ONE);
    let (bundle, clone, venv) = (ran.bundle(), ran.clone(), ran.world.dir().join("venv"));
    let site = venv.join("lib/python3.11/site-packages");
    std::fs::create_dir_all(venv.join("bin")).unwrap();
    std::fs::create_dir_all(&site).unwrap();
    std::fs::write(site.join("shop.pth"), format!("{}\n", clone.display())).unwrap();
    let request = ran.asked();
    let args = [
        "-C",
        clone.to_str().unwrap(),
        "judge",
        bundle.to_str().unwrap(),
        "--request",
        request.to_str().unwrap(),
    ];
    omk(&ran.world, &venv.join("bin"), &args)
        .exits(3)
        .says("site-packages/shop.pth")
        .says("installed from the checkout");
    ran.judge(&bundle, &[]).exits(0);
}

#[test]
fn the_programs_of_the_checkouts_own_packages_are_off_the_path_of_children() {
    let world = World::new();
    let bin = world.repo().join("node_modules/.bin");
    world.write("node_modules/.bin/of-the-checkout", "#!/bin/sh\n");
    std::fs::set_permissions(
        bin.join("of-the-checkout"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    world.write(".gitignore", "node_modules/\n");
    world.plan(
        "gates: [{ id: test, run: '! command -v of-the-checkout' }]\ntasks: [{ id: one, run: '! command -v of-the-checkout && echo 1 > one.txt', write_set: [one.txt], gates: [test] }]\n",
    );
    omk(&world, &bin, &["run"]).exits(0);
}

/// A machine: a checkout, a home, a directory of programs, and what children get of the caller.
struct Machine {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
    plan: &'static str,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "src/shop/lib",
            "user/.local",
            "cache",
            "opt/bin",
            "opt/lib/python3.12/site-packages",
        ] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        Self {
            root,
            variables: Vec::new(),
            plan: "",
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(
            path,
            text.replace("TOP", self.at("src/shop").to_str().unwrap()),
        )
        .unwrap();
    }

    fn link(&self, name: &str, to: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(
            to.replace("TOP", self.at("src/shop").to_str().unwrap()),
            path,
        )
        .unwrap();
    }

    fn sets(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("TOP", self.at("src/shop").to_str().unwrap());
        self.variables.push((name.to_owned(), value));
        self
    }

    fn caller(&self) -> Caller {
        let usual = [("PATH", self.at("opt/bin")), ("HOME", self.at("user"))];
        let usual = usual.map(|(name, value)| (OsString::from(name), value.into_os_string()));
        usual
            .into_iter()
            .chain(
                self.variables
                    .iter()
                    .map(|(name, value)| (name.into(), value.into())),
            )
            .collect()
    }

    fn plan(&self) -> Plan {
        let text = format!(
            "version: 1\nname: story\n{}tasks: [{{ id: one, run: make }}]\n",
            self.plan
        );
        parse(
            text.replace("TOP", self.at("src/shop").to_str().unwrap())
                .as_bytes(),
            "omk.yaml",
            "story",
        )
        .unwrap()
    }

    /// What leads into the checkout, in short.
    fn found(&self) -> Vec<String> {
        let found = leads(
            &self.caller(),
            &self.plan(),
            &[self.at("src/shop")],
            &self.at("cache"),
        );
        assert!(found.iter().all(|lead| !lead.next.is_empty()));
        let root = self.root.path().display().to_string();
        found
            .into_iter()
            .map(|lead| lead.what.replace(&root, ""))
            .collect()
    }
}

const SITE: &str = "opt/lib/python3.12/site-packages";

#[test]
fn each_form_of_an_editable_install_is_found() {
    let forms = [
        ("__editable__.shop-1.0.pth", "TOP/src\n"),
        ("_shop.pth", "# by a build tool\n../../../../src/shop/src\n"),
        ("shop.pth", "import sys; sys.path.insert(0, 'TOP/src')\n"),
        (
            "__editable___shop_1_0_finder.py",
            "MAPPING = {'shop': 'TOP/src/shop'}\n",
        ),
        ("shop.egg-link", "TOP/src\n../"),
        (
            "shop-1.0.dist-info/direct_url.json",
            r#"{"dir_info": {"editable": true}, "url": "file://TOP"}"#,
        ),
    ];
    for (name, text) in forms {
        let machine = Machine::new();
        machine.write(&format!("{SITE}/{name}"), text);
        let entry = name.split('/').next().unwrap();
        assert_eq!(
            machine.found(),
            [format!(
                "the Python package `/{SITE}/{entry}` is installed from the checkout"
            )]
        );
    }
    let machine = Machine::new();
    machine.link(&format!("{SITE}/shop"), "TOP/src/shop");
    std::fs::create_dir_all(machine.at("src/shop/src/shop")).unwrap();
    machine.write(
        "user/.local/lib/python3.12/site-packages/shop.pth",
        "TOP/src\n",
    );
    assert_eq!(machine.found().len(), 2, "{:?}", machine.found());
}

#[test]
fn the_environment_of_a_tool_is_found_through_the_link_on_path() {
    let machine = Machine::new();
    machine.write("pipx/venvs/shop/pyvenv.cfg", "home = /usr/bin\n");
    machine.write("pipx/venvs/shop/bin/shop", "#!/bin/sh\n");
    machine.write(
        "pipx/venvs/shop/lib/python3.12/site-packages/shop.pth",
        "TOP/src\n",
    );
    assert_eq!(machine.found(), Vec::<String>::new());
    machine.link("opt/bin/shop", "../../pipx/venvs/shop/bin/shop");
    assert_eq!(machine.found().len(), 1, "{:?}", machine.found());
}

#[test]
fn links_workspaces_settings_and_variables_are_found() {
    let machine = Machine::new();
    machine.write("src/shop/cli.js", "");
    machine.link("opt/lib/node_modules/shop", "TOP");
    machine.link("opt/lib/node_modules/@acme/lib", "TOP/lib");
    machine.link("opt/bin/shop", "../lib/node_modules/shop/cli.js");
    machine.link("opt/bin/other", "TOP/cli.js");
    machine.write(
        "src/go.work",
        "go 1.22\n\nuse (\n\t./other // theirs\n\t./shop\n)\n",
    );
    machine.write(
        "user/.cargo/config.toml",
        "[build]\ntarget-dir = \"TOP/target\"\n",
    );
    let machine = Machine {
        plan: "pass_env: [NODE_PATH, CFLAGS]\nenv: { PYTHONPATH: TOP/src }\n",
        ..machine
    }
    .sets("NODE_PATH", "/usr/lib/node:TOP/node_modules")
    .sets("CFLAGS", "-O2 -ITOP/include")
    .sets("CARGO_TARGET_DIR", "TOP/target");
    insta::assert_snapshot!(machine.found().join("\n"), @"
    Cargo's settings, `/user/.cargo/config.toml`, lead into the checkout
    `/opt/bin/other`, which is on PATH, is a link to `/src/shop/cli.js` in the checkout
    the Go workspace `/src/go.work` has the checkout in it
    the npm package `/opt/lib/node_modules/@acme/lib` is a link to `/src/shop/lib` in the checkout
    the npm package `/opt/lib/node_modules/shop` is a link to `/src/shop` in the checkout
    the variable CFLAGS leads into the checkout
    the variable NODE_PATH leads into the checkout
    the variable PYTHONPATH leads into the checkout
    ");
}

#[test]
fn what_leads_elsewhere_or_reaches_no_child_is_left_alone() {
    let machine = Machine::new();
    machine.write(&format!("{SITE}/shop.pth"), "TOP-two/src\n/elsewhereTOP\n");
    machine.write(
        &format!("{SITE}/a-1.0.dist-info/direct_url.json"),
        r#"{"url": "file://TOP"}"#,
    );
    machine.write("src/go.work", "use ./other // ./shop\n");
    machine.link("opt/bin/gone", "TOP-two/gone");
    let machine = Machine {
        plan: "env: { PYTHONPATH: src, GOWORK: 'off' }\n",
        ..machine
    }
    .sets("VIRTUAL_ENV", "TOP/.venv")
    .sets("CARGO_TARGET_DIR", "TOP/target");
    assert_eq!(machine.found(), Vec::<String>::new());
    machine.write("src/go.work", "use ./shop\n");
    assert_eq!(
        machine.found(),
        Vec::<String>::new(),
        "the plan has switched workspaces off"
    );
}

#[test]
fn a_go_workspace_that_a_variable_names_is_read() {
    let machine = Machine::new();
    machine.write("elsewhere/go.work", "use ../src/shop\n");
    let machine = Machine {
        plan: "pass_env: [GOWORK]\n",
        ..machine
    };
    let named = machine.at("elsewhere/go.work").display().to_string();
    assert_eq!(
        machine.sets("GOWORK", &named).found(),
        ["the Go workspace `/elsewhere/go.work` has the checkout in it"]
    );
}

#[test]
fn only_the_checkouts_own_directories_of_packages_are_taken_off_path() {
    let machine = Machine::new();
    let wanted = format!(
        "{0}/node_modules/.bin:{0}/bin:/usr/lib/node_modules/.bin",
        machine.at("src/shop").display()
    );
    let caller: Caller = [("PATH".into(), wanted.into())].into_iter().collect();
    let path = off_path(&caller, &[machine.at("src/shop")])
        .text("PATH")
        .unwrap()
        .to_owned();
    assert_eq!(
        path,
        format!(
            "{}/bin:/usr/lib/node_modules/.bin",
            machine.at("src/shop").display()
        )
    );
}
