//! Two secrets that omk holds, printed and written in every way by commands and gates: nothing of
//! them is left on disk.
//!
//! No child can know them by itself, so the repository holds them backwards, which is no form that
//! omk looks for.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use omk_action::fact::Class;
use omk_action::text::Scrubber;
use serde_json::json;

use crate::e2e_world;
use crate::forge_job::Jobs;
use crate::forge_world::ForgeWorld;
use crate::gateway::KEY;
use crate::model::{Model, Turn};
use crate::world::World;

/// Put together here, so that no scanner takes them for leaks.
fn key() -> String {
    format!("sk-{}{}", "aB3dE5gH7jK9", "mN1pQ2rS4tU6vW8x")
}

fn token() -> String {
    format!("deploy/{}+{}", "Zy9Xw8Vu7Ts6", "Rq5Po4Nm3Lk2")
}

/// Prints both secrets in every form, over the borders of what is read at once, and in pieces.
const SAY: &str = r#"
import base64, json, os, sys
out = os.fdopen(1, "wb", 0)
for backwards in ("KEY", "TOKEN"):
    secret = backwards[::-1]
    plain, hexed = secret.encode(), secret.encode().hex()
    wrapped = lambda text, by: by.join(text[at:at + 9] for at in range(0, len(text), 9))
    forms = [secret, secret.upper(), secret.lower(), hexed, hexed.upper(), wrapped(hexed, " "), secret[:17], secret[11:]]
    forms += ["".join("%%%02x" % byte for byte in plain), "".join("\\u%04X" % byte for byte in plain)]
    forms += [wrapped(secret, by) for by in ("\x1b[31m", "\u200b", "\r\n", "\x00")]
    for before in (b"", b"u", b"us"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(before + plain).decode()
            forms += [encoded, wrapped(encoded, "\n"), wrapped(encoded, "\r\n  ")]
    for form in forms:
        out.write(("<" + form + ">\n").encode())
    for border in (4096, 65536):
        for piece in (b"." * (border - 9), plain[:5], plain[5:], b"\n"):
            out.write(piece)
    for byte in plain:
        out.write(bytes([byte]))
    out.write(b"\n")
"#;

/// Prints one of the secrets, with nothing behind it.
const ONE: &str =
    "import sys\nsys.stdout.write({'key': 'KEY', 'token': 'TOKEN'}[sys.argv[1]][::-1])\n";

fn scripts() -> [(&'static str, String); 2] {
    let backwards = |text: String| text.chars().rev().collect::<String>();
    let planted = |script: &str| {
        script
            .replace("KEY", &backwards(key()))
            .replace("TOKEN", &backwards(token()))
    };
    [("say.py", planted(SAY)), ("one.py", planted(ONE))]
}

const PLAN: &str = r#"
defaults: { retry_policy: { max_attempts: 0 } }
gates:
  - { id: says, run: "python3 say.py; python3 say.py >&2; python3 say.py > $HOME/left; python3 say.py > kept.tmp" }
  - id: reports
    run: |
      printf '<testsuite><testcase name="a" file="src/%s.rs"><failure message="%s"/></testcase></testsuite>' \
          "$(python3 one.py key)" "$(python3 one.py token)" > junit.xml
      exit 1
    report: { format: junit, path: junit.xml }
    required: false
tasks:
  - id: loud
    run: python3 say.py; python3 say.py >&2; python3 say.py > "$HOME/left"; mkdir "$TMPDIR/$(python3 one.py key)"; echo ok > loud.txt
    gates: [says, reports]
  - { id: fails, run: "python3 say.py; exit 1" }
  - { id: named, run: 'touch "x-$(python3 one.py key).txt"' }
  - { id: held, run: "python3 one.py key | base64 > held.txt" }
  - { id: linked, run: 'ln -s "$(python3 one.py token)" linked' }
  - { id: large, run: "head -c 20000000 /dev/zero > large.bin; python3 one.py token >> large.bin" }
"#;

/// All that is below a directory: paths with where links lead, and contents.
fn everything(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let mut bytes = path.file_name().unwrap().as_bytes().to_vec();
            bytes.push(b'\n');
            if meta.is_dir() {
                open.push(path.clone());
            } else if meta.is_symlink() {
                bytes.extend_from_slice(std::fs::read_link(&path).unwrap().as_os_str().as_bytes());
            } else if meta.is_file() {
                bytes.extend(std::fs::read(&path).unwrap());
            }
            found.push((path, bytes));
        }
    }
    found
}

/// Whether a secret is in there: by the scrubber, and by a plain search that does not believe it.
fn holds(bytes: &[u8]) -> bool {
    let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    let plainly = [key(), token()].into_iter().any(|secret| {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let encoded =
            [STANDARD.encode(&secret), URL_SAFE.encode(&secret)].map(|text| text[..36].to_owned());
        [secret, hex]
            .iter()
            .chain(&encoded)
            .any(|form| has(form.as_bytes()))
    });
    plainly || Scrubber::new([key(), token()]).is_in(bytes)
}

#[track_caller]
fn assert_clean(what: &str, found: Vec<(PathBuf, Vec<u8>)>) {
    assert!(!found.is_empty(), "{what}: nothing was looked at");
    let leaked: Vec<PathBuf> = found
        .into_iter()
        .filter(|(_, bytes)| holds(bytes))
        .map(|(path, _)| path)
        .collect();
    assert!(leaked.is_empty(), "{what}: {leaked:#?}");
}

#[test]
fn a_secret_that_children_print_and_write_is_left_nowhere() {
    let world = World::new()
        .env("KIMI_API_KEY", &key())
        .env("DEPLOY_TOKEN", &token());
    for (name, script) in scripts() {
        world.write(name, &script);
    }
    world.write(".gitignore", "*.tmp\njunit.xml\n");
    world.plan(PLAN);
    let bundle = world.dir().join("bundle");
    let said = world
        .omk(&["run", "--bundle", bundle.to_str().unwrap()])
        .exits(1);
    assert!(
        !holds(said.out.as_bytes()) && !holds(said.err.as_bytes()),
        "{}\n{}",
        said.out,
        said.err
    );
    assert_eq!(world.landings(), ["loud"]);
    for (task, path, what) in [
        ("named", "x-***.txt", "its name"),
        ("held", "held.txt", "its content"),
        ("linked", "linked", "its content"),
        ("large", "large.bin", "its content"),
    ] {
        assert_eq!(world.classes(task), [Class::Scope], "{task}");
        let message = &world.failures(task)[0].message;
        assert!(
            message.contains(&format!("`{path}`: {what} holds a key or a token")),
            "{message}"
        );
    }
    let logs = world.run_dir().join("logs");
    for log in [
        "loud/1/command.log",
        "fails/1/command.log",
        "loud/1/gate-says-1.log",
    ] {
        let text = std::fs::read_to_string(logs.join(log)).unwrap();
        assert!(text.matches("***").count() > 40, "{log} was not looked at");
    }

    for command in [
        &["status", "--json"][..],
        &["report"],
        &["report", "--json"],
        &["logs", "loud"],
        &["logs", "fails"],
    ] {
        let said = world.omk(command);
        assert!(
            !holds(said.out.as_bytes()) && !holds(said.err.as_bytes()),
            "{command:?}: {}",
            said.out
        );
    }
    let objects = world
        .command("git")
        .args(["cat-file", "--batch-all-objects", "--batch"])
        .output()
        .unwrap()
        .stdout;
    assert!(
        objects.windows(7).any(|window| window == b"one.py\0"),
        "trees were not looked at"
    );
    assert_clean("git's objects", vec![(".git".into(), objects)]);
    assert_clean("the bundle", everything(&bundle));
    assert_clean("everything else", everything(world.dir()));
}

const FORGE_PLAN: &str = r#"version: 1
name: widget
gates:
  - { id: test, run: sh check.sh }
  # The judge's job does not know the key, and what it runs there could not either.
  - { id: says, run: "python3 say.py; exit 1", required: false }
tasks:
  - id: fix
    run: python3 say.py; mkdir -p "$HOME/$(python3 one.py key)"; echo right > fix.txt
    write_set: [fix.txt]
    gates: [test, says]
  - { id: held, run: "python3 one.py key > held.txt", retry_policy: { max_attempts: 0 } }
deliver: { as: pull-request, partial: true }
"#;

#[test]
fn a_secret_reaches_neither_an_artifact_nor_the_forge() {
    let [say, one] = scripts();
    let check = "grep -q right fix.txt\n";
    let files = [
        ("omk.yaml", FORGE_PLAN),
        ("README.md", "A widget.\n"),
        ("check.sh", check),
        (say.0, &say.1),
        (one.0, &one.1),
    ];
    let world = ForgeWorld::with_files(&files);
    let event = world.comments("maintainer", "/omk run");
    let env = [("KIMI_API_KEY", key()), ("DEPLOY_TOKEN", token())];
    let env: Vec<(&str, &str)> = env
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let Jobs {
        intake,
        run,
        judge,
        publish,
        number,
    } = world.jobs(&event, &env);
    let told = format!("{intake:#?}{run:#?}{judge:#?}{publish:#?}");
    assert!(!holds(told.as_bytes()), "{told}");
    let bundle = world.at(&format!("job-{number}-run/bundle"));
    let log = std::fs::read_to_string(bundle.join("logs/fix/1/command.log")).unwrap();
    assert!(log.matches("***").count() > 20, "{log}");
    assert_clean("the artifact", everything(&bundle));
    assert_clean(
        "what the run job left",
        everything(&world.at(&format!("job-{number}-run"))),
    );
    let state = world.state().to_string() + &json!(world.door.log()).to_string();
    assert!(state.contains("held"), "nothing was sent: {state}");
    assert_clean(
        "what the forge was sent",
        vec![("state".into(), state.into_bytes())],
    );
}

const ECHO: &str = "tasks: [{ id: echo, prompt: do echo, write_set: [echo.txt], retry_policy: { max_attempts: 0 } }]\n";

#[tokio::test]
async fn a_key_that_the_provider_sends_back_is_in_no_transcript_and_no_record_of_the_agent() {
    let write = e2e_world::write("echo.txt", "nothing\n");
    let look = e2e_world::bash(&format!("echo {KEY} > $HOME/seen; echo {KEY}"));
    let turns = vec![look, write, Turn::Say(KEY)];
    let model = Model::start(vec![("do echo", turns)]).await;
    let world = e2e_world::World::new(&model, ECHO).await;
    let ended = world.run(&["run"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let transcript = world.runs().pop().unwrap().join("transcripts/echo/1.jsonl");
    assert!(
        std::fs::read_to_string(transcript).unwrap().contains("***"),
        "the key was not sent back"
    );
    let scrubber = Scrubber::new([KEY]);
    let leaked = world
        .files()
        .into_iter()
        .filter(|(_, bytes)| scrubber.is_in(bytes))
        .map(|(path, _)| path);
    assert_eq!(leaked.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn a_token_in_an_address_is_in_no_log_of_git_no_copy_of_settings_and_no_clone_that_a_child_sees() {
    let (world, inner) = (World::new(), World::new());
    crate::submodules::add(&world, &inner, "lib", "lib");
    world.git(&[
        "-C",
        "lib",
        "config",
        "remote.origin.url",
        "https://me:hush-module@h.example/lib.git",
    ]);
    let git = world.repo().join(".git");
    let line = "0000000000000000000000000000000000000000 0000000000000000000000000000000000000000 a <a@b> 1 +0000\tpull \
                https://me:hush-log@h.example/x.git main: Fast-forward\n";
    std::fs::write(git.join("logs/HEAD"), line).unwrap();
    std::fs::create_dir_all(git.join("remotes")).unwrap();
    for name in ["config~", ".config.swp", "config.bak", "remotes/origin"] {
        std::fs::write(
            git.join(name),
            "url = https://me:hush-copy@h.example/x.git\n",
        )
        .unwrap();
    }
    let look = "! grep -r hush- \"$(git rev-parse --git-common-dir)\" lib && git stash list && git -C lib status";
    world.plan(&format!(
        "room: {{ level: sealed }}\nlimits: {{ workers: 3 }}\n\
         defaults: {{ retry_policy: {{ max_attempts: 0 }}, gates: [a, b, c] }}\n\
         gates: [{{ id: a, run: '{look}' }}, {{ id: b, run: 'sleep 0.3; {look}' }}, {{ id: c, run: '{look}' }}]\n\
         tasks: [{{ id: one, run: '{look} && echo 1 > one', write_set: [one] }}]\n"
    ));
    world.run().exits(0);
}
