//! Tools that fetch from their registries in a room whose network is a few names: cargo, npm, pip
//! and go, each from a stand-in for its own, and each without the name in the plan's list.
//!
//! What is fetched stays encrypted between the tool and the registry, as it is anywhere else: the
//! plan tells each tool of the authority that signed the stand-in's certificate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::work::{with_toolchain, world};
use crate::world::{Said, World};

/// Under this name the stand-in has its certificate.
const HOST: &str = "registry.localhost";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The authority that signed the stand-in's certificate.
pub(super) fn authority() -> String {
    file("it/registry-authority.pem").display().to_string()
}

/// A stand-in for all registries, until it is dropped.
pub(super) struct Registries {
    child: Child,
    port: String,
    log: PathBuf,
}

impl Registries {
    pub(super) fn start(world: &World) -> Self {
        let log = world.dir().join("requests");
        let mut python = Command::new("python3");
        python
            .arg(file("e2e/registries.py"))
            .arg(file("it/registry-server.pem"))
            .arg(&log);
        let mut child = python
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            child,
            port: port.trim().to_owned(),
            log,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port.parse().unwrap()
    }

    /// The address of one of them.
    fn of(&self, name: &str) -> String {
        format!("https://{HOST}:{}/{name}", self.port)
    }

    /// What was asked of it since the last time.
    pub(super) fn asked(&self) -> String {
        let asked = std::fs::read_to_string(&self.log).unwrap_or_default();
        std::fs::write(&self.log, "").unwrap();
        asked
    }
}

impl Drop for Registries {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// One tool: what it runs, with which variables, and what it says of a registry that it may not
/// reach.
struct Tool {
    run: &'static str,
    env: Vec<(&'static str, String)>,
    complaint: &'static str,
    fetches: &'static str,
}

impl Tool {
    /// A plan whose command and gate run the tool, each with that host in its list.
    fn plan(&self, world: &World, task: (&str, &str), gate: &str) {
        let env: String = self
            .env
            .iter()
            .map(|(name, value)| format!("  {name}: '{value}'\n"))
            .collect();
        let (run, (task, on)) = (self.run, task);
        world.plan(&format!(
            "env:\n  NONE: none\n{env}room: {{ network: {{ tasks: {{ allow: [{on}] }}, gates: {{ allow: [{gate}] }} }} }}\n\
             gates: [{{ id: fetch, run: '{run}' }}]\n\
             tasks: [{{ id: one, run: '{task} && echo 1 > one.txt', write_set: [one.txt], gates: [fetch], \
             retry_policy: {{ max_attempts: 0 }} }}]\n"
        ));
    }

    /// Works with the host in the list, and ends with its own error without it: in a command, and
    /// in a gate.
    #[track_caller]
    fn needs_its_host(&self, world: &World, registries: &Registries) {
        self.plan(world, (self.run, HOST), HOST);
        let said = world.run();
        assert_eq!(
            said.code,
            0,
            "{}\n{}\n{}",
            said.out,
            said.err,
            everything(world)
        );
        let asked = registries.asked();
        // The gate has nothing of what the command fetched.
        assert_eq!(asked.matches(self.fetches).count(), 2, "{asked}");

        self.plan(world, (self.run, "elsewhere.localhost"), HOST);
        let said = world.run().exits(1);
        let command = fact(world, "worked");
        assert_eq!(
            command["evidence"]["refused_hosts"],
            serde_json::json!([HOST]),
            "{command}"
        );
        self.complains(world, &said);
        assert_eq!(registries.asked(), "");

        self.plan(world, ("true", HOST), "elsewhere.localhost");
        let said = world.run().exits(1);
        let gate = fact(world, "worked").to_string();
        assert!(
            gate.contains(&format!("its network refused {HOST}")),
            "{gate}"
        );
        self.complains(world, &said);
        assert_eq!(registries.asked(), "");
    }

    #[track_caller]
    fn complains(&self, world: &World, said: &Said) {
        let everything = everything(world);
        assert!(
            everything.contains(self.complaint),
            "{}\n{}\n{everything}",
            said.out,
            said.err
        );
    }
}

/// The newest fact of that name.
fn fact(world: &World, name: &str) -> Value {
    let journal = std::fs::read_to_string(world.run_dir().join("journal.jsonl")).unwrap();
    let mut facts = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fact"].clone());
    facts.rfind(|fact| fact["fact"] == name).unwrap()
}

/// All logs of the newest run.
fn everything(world: &World) -> String {
    super::whole::logs_with(&world.run_dir(), "").join("\n")
}

#[test]
fn cargo_fetches_from_a_registry_that_is_allowed_and_from_no_other() {
    let world = world();
    let home = world.dir().join("home/.cargo");
    std::fs::create_dir_all(&home).unwrap();
    let world = world.env("CARGO_HOME", home.to_str().unwrap());
    let registries = Registries::start(&world);
    world.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nanswer = \"1\"\n",
    );
    world.write(
        "src/lib.rs",
        "#[test]\nfn answers() { assert_eq!(answer::answer(), 42) }\n",
    );
    let index = registries.of("crates");
    world.write(
        ".cargo/config.toml",
        &format!(
            "[source.crates-io]\nreplace-with = \"stand-in\"\n[source.stand-in]\nregistry = \"sparse+{index}/\"\n"
        ),
    );
    world.write(".gitignore", "target/\nCargo.lock\n");
    let tool = Tool {
        run: "cargo test",
        env: vec![
            ("CARGO_HTTP_CAINFO", authority()),
            ("CARGO_NET_RETRY", "0".to_owned()),
        ],
        complaint: "CONNECT tunnel failed, response 403",
        fetches: "GET /crates/crates/answer/1.0.0/download\n",
    };
    tool.needs_its_host(&world, &registries);
}

#[test]
fn npm_fetches_from_a_registry_that_is_allowed_and_from_no_other() {
    let world = world();
    let registries = Registries::start(&world);
    world.write(
        "package.json",
        r#"{ "name": "x", "version": "1.0.0", "dependencies": { "answer": "^1.0.0" } }"#,
    );
    world.write(".npmrc", &format!("registry={}/\n", registries.of("npm")));
    world.write(
        "check.js",
        "require('assert').equal(require('answer'), 42);\n",
    );
    world.write(".gitignore", "node_modules\npackage-lock.json\n");
    let tool = Tool {
        run: "npm install && node check.js",
        // NODE_EXTRA_CA_CERTS counts only where no npmrc of the machine has a list of its own.
        env: vec![
            ("npm_config_cafile", authority()),
            ("npm_config_fetch_retries", "0".to_owned()),
        ],
        complaint: "npm error",
        fetches: "GET /npm/answer/-/answer-1.0.0.tgz\n",
    };
    tool.needs_its_host(&world, &registries);
}

#[test]
fn pip_fetches_from_a_registry_that_is_allowed_and_from_no_other() {
    let world = world();
    let registries = Registries::start(&world);
    world.write(".gitignore", ".venv\n");
    let tool = Tool {
        run: "python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check --retries 1 answer==1.0.0 && \
              .venv/bin/python -c \"import answer; assert answer.answer == 42\"",
        env: vec![
            (
                "PIP_INDEX_URL",
                format!("{}/simple/", registries.of("pypi")),
            ),
            ("PIP_CERT", authority()),
        ],
        complaint: "Tunnel connection failed: 403 Forbidden",
        fetches: "GET /pypi/files/answer-1.0.0-py3-none-any.whl\n",
    };
    tool.needs_its_host(&world, &registries);
}

#[test]
fn plain_http_is_refused_with_a_word_and_leaves_a_trace() {
    let world = world();
    world.write(
        "ask.py",
        "import urllib.request, urllib.error\n\
         try: urllib.request.urlopen('http://registry.localhost:1/simple/')\n\
         except urllib.error.HTTPError as answer: print(answer.code, answer.read().decode())\n",
    );
    world.plan(
        "room: { network: { tasks: { allow: [registry.localhost] } } }\n\
         tasks: [{ id: one, run: python3 ask.py > one.txt, write_set: [one.txt], retry_policy: { max_attempts: 0 } }]\n",
    );
    world.run().exits(0);
    let said = world.shows("omk/run/story", "one.txt");
    let words = "403 omk: refused http://registry.localhost: only https is carried to the hosts that the plan allows";
    assert_eq!(said.trim(), words);
    let refused = &fact(&world, "worked")["evidence"]["refused_hosts"];
    assert_eq!(*refused, serde_json::json!(["http://registry.localhost"]));
}

#[test]
fn go_installs_from_a_proxy_that_is_allowed_and_from_no_other() {
    let world = with_toolchain(world());
    let registries = Registries::start(&world);
    let tool = Tool {
        run: "go install example.org/answer@v1.0.0 && test \"$(\"$(go env GOPATH)/bin/answer\")\" = 42",
        // There is no database of checksums but Go's own, which knows no stand-in.
        env: vec![
            ("GOPROXY", registries.of("go")),
            ("GOSUMDB", "off".to_owned()),
            ("GOTOOLCHAIN", "local".to_owned()),
            ("SSL_CERT_FILE", authority()),
        ],
        complaint: "Forbidden",
        fetches: "GET /go/example.org/answer/@v/v1.0.0.zip\n",
    };
    tool.needs_its_host(&world, &registries);
}
