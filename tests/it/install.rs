//! `scripts/install.sh`, as the action's first step starts it: releases by digest, the tool cache,
//! and building from source.
//!
//! The action here is a copy with a RELEASE of its own, omk a script of one line, cargo another
//! one, and the mirror a server on a loopback port.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const VERSION: &str = "1.2.3";

/// What the mirror gives.
#[derive(Debug, Clone, Copy)]
enum Mirror {
    /// The archive.
    Whole,
    /// Something else under its name.
    Changed,
    /// Less than it announces.
    BrokenOff,
    /// Nothing of that name.
    Empty,
}

/// A copy of the action, a runner's directories, and a mirror.
struct World {
    root: tempfile::TempDir,
    url: String,
    asked: Arc<AtomicUsize>,
}

/// How the installer ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    /// What the next step's `omk` says, where there is one.
    omk: Option<String>,
}

impl Ended {
    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(
            self.err.contains(text),
            "it does not say {text:?}\n{}\n{}",
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    fn installs(self, said: &str) -> Self {
        assert_eq!(
            (self.code, self.omk.as_deref()),
            (Some(0), Some(said)),
            "{}\n{}",
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    fn refuses(self) -> Self {
        assert_eq!(
            (self.code, &self.omk),
            (Some(1), &None),
            "{}\n{}",
            self.out,
            self.err
        );
        assert!(
            self.out
                .contains("::error title=omk could not be installed::"),
            "{}",
            self.out
        );
        self
    }
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn target() -> String {
    let vendor = if cfg!(target_os = "macos") {
        "apple-darwin"
    } else {
        "unknown-linux-musl"
    };
    format!("{}-{vendor}", std::env::consts::ARCH)
}

fn sha256(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    omk_action::id::Sha256::of(&bytes).to_string()
}

impl World {
    fn new(mirror: Mirror) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in [
            "action/scripts",
            "action/src",
            "temp",
            "cache",
            "made",
            "bin",
        ] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(
            top.join("scripts/install.sh"),
            at("action/scripts/install.sh"),
        )
        .unwrap();
        std::fs::write(
            at("action/Cargo.toml"),
            "[package]\nname = \"omk-action\"\nversion = \"9.9.9\"\n",
        )
        .unwrap();
        std::fs::write(at("action/Cargo.lock"), "").unwrap();
        std::fs::write(at("action/src/main.rs"), "").unwrap();
        script(&at("made/omk"), &format!("echo omk {VERSION}"));
        let tar = Command::new("tar")
            .args(["-czf", "omk.tar.gz", "omk"])
            .current_dir(at("made"))
            .status();
        assert!(tar.unwrap().success());
        let asked = Arc::new(AtomicUsize::new(0));
        let url = serve(
            std::fs::read(at("made/omk.tar.gz")).unwrap(),
            mirror,
            Arc::clone(&asked),
        );
        let world = Self { url, asked, root };
        world.release(&target(), &sha256(&world.at("made/omk.tar.gz")));
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn release(&self, target: &str, digest: &str) {
        let text = format!(
            "# about\nversion {VERSION}\nfrom {}/gone\n{target} {digest}\n",
            self.url
        );
        std::fs::write(self.at("action/RELEASE"), text).unwrap();
    }

    /// A cargo that builds at once, and says what it was asked.
    fn cargo(&self, version: &str) {
        let build = format!(
            "echo \"cargo $*\" >&2; while [ $# -gt 0 ]; do [ \"$1\" != --target-dir ] || dir=$2; shift; done\n\
             mkdir -p \"$dir/release\" && printf '#!/bin/sh\\necho omk {version}\\n' >\"$dir/release/omk\" && \
             chmod +x \"$dir/release/omk\""
        );
        script(&self.at("bin/cargo"), &build);
    }

    /// Runs the installer; PATH has the machine's directories, and no cargo but ours.
    fn install(&self, env: &[(&str, &str)]) -> Ended {
        let path = std::env::var("PATH").unwrap();
        let kept = path
            .split(':')
            .filter(|dir| !Path::new(dir).join("cargo").exists());
        let path = [self.at("bin").to_str().unwrap()]
            .into_iter()
            .chain(kept)
            .collect::<Vec<_>>()
            .join(":");
        std::fs::write(self.at("path"), "").unwrap();
        let mut command = Command::new("sh");
        command
            .arg(self.at("action/scripts/install.sh"))
            .env_clear()
            .env("PATH", path);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_PATH", self.at("path"))
            .env("OMK_MIRROR", &self.url);
        command
            .env("RUNNER_TEMP", self.at("temp"))
            .env("RUNNER_TOOL_CACHE", self.at("cache"));
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let omk = std::fs::read_to_string(self.at("path"))
            .unwrap()
            .lines()
            .last()
            .map(|dir| {
                let said = Command::new(Path::new(dir).join("omk"))
                    .arg("--version")
                    .output()
                    .unwrap();
                text(&said.stdout).trim_end().to_owned()
            });
        Ended {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            omk,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Serves the archive under its one name, until the test's process ends.
fn serve(archive: Vec<u8>, mirror: Mirror, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/releases", listener.local_addr().unwrap());
    let wanted = format!("GET /releases/omk-{VERSION}-{}.tar.gz ", target());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut read) = (stream.unwrap(), [0; 4096]);
            let size = stream.read(&mut read).unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            let (status, body, length) = match mirror {
                _ if !read[..size].starts_with(wanted.as_bytes()) => {
                    ("404 Not Found", &b"none"[..], 4)
                }
                Mirror::Whole => ("200 OK", &archive[..], archive.len()),
                Mirror::Changed => ("200 OK", &b"something else"[..], 14),
                Mirror::BrokenOff => ("200 OK", &archive[..archive.len() / 2], archive.len()),
                Mirror::Empty => ("404 Not Found", &b"none"[..], 4),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            // Who breaks off is not waited for.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        }
    });
    url
}

#[test]
fn a_release_is_installed_by_its_digest_and_kept() {
    let world = World::new(Mirror::Whole);
    world
        .install(&[])
        .installs("omk 1.2.3")
        .says("from http://127.0.0.1:");
    world
        .install(&[])
        .installs("omk 1.2.3")
        .says("from the tool cache");
    assert_eq!(world.asked(), 1);
    world
        .install(&[("OMK_VERSION", VERSION)])
        .installs("omk 1.2.3");
}

#[test]
fn two_jobs_on_one_machine_have_each_their_own_copy() {
    let world = World::new(Mirror::Whole);
    for _ in 0..2 {
        world.install(&[]).installs("omk 1.2.3");
    }
    let copies = std::fs::read_dir(world.at("temp")).unwrap().count();
    assert_eq!(copies, 2);
}

#[test]
fn another_archive_under_the_name_is_refused_and_not_kept() {
    let world = World::new(Mirror::Changed);
    let ended = world
        .install(&[])
        .refuses()
        .says("is not what this commit of the action names");
    ended.says(&format!(
        "wanted SHA-256 {}",
        sha256(&world.at("made/omk.tar.gz"))
    ));
    assert!(!world.at("cache/omk").exists());
}

#[test]
fn a_download_that_breaks_off_is_refused() {
    World::new(Mirror::BrokenOff)
        .install(&[])
        .refuses()
        .says("failed to download http://127.0.0.1:")
        .says("version: source");
}

#[test]
fn a_release_that_is_not_there_is_refused_with_a_way_out() {
    World::new(Mirror::Empty)
        .install(&[])
        .refuses()
        .says("failed to download")
        .says("the input `mirror`");
}

#[test]
fn a_changed_archive_in_the_tool_cache_is_not_used() {
    let world = World::new(Mirror::Whole);
    world.install(&[]).installs("omk 1.2.3");
    let kept = world.at(&format!(
        "cache/omk/{VERSION}/omk-{VERSION}-{}.tar.gz",
        target()
    ));
    std::fs::write(&kept, "changed").unwrap();
    world
        .install(&[])
        .installs("omk 1.2.3")
        .says("the archive in the tool cache is not what this commit names");
    assert_eq!(sha256(&kept), sha256(&world.at("made/omk.tar.gz")));
}

#[test]
fn without_an_archive_for_the_machine_omk_is_built_from_source_once() {
    let world = World::new(Mirror::Whole);
    world.release("sparc64-unknown-linux-gnu", "00");
    world.cargo("9.9.9");
    let first = world
        .install(&[])
        .installs("omk 9.9.9")
        .says("release 1.2.3 has no omk for")
        .says("cargo build --release --locked");
    assert!(
        first.err.contains("building it from source"),
        "{}",
        first.err
    );
    let second = world.install(&[]).installs("omk 9.9.9");
    assert!(!second.err.contains("cargo build"), "{}", second.err);
    assert_eq!(world.asked(), 0);
    std::fs::write(world.at("action/src/main.rs"), "// changed").unwrap();
    world.install(&[]).installs("omk 9.9.9").says("cargo build");
}

#[test]
fn before_the_first_release_and_on_request_it_is_built_from_source() {
    let world = World::new(Mirror::Whole);
    world.cargo("9.9.9");
    world
        .install(&[("OMK_VERSION", "source")])
        .installs("omk 9.9.9");
    std::fs::write(world.at("action/RELEASE"), "version none\n").unwrap();
    world.install(&[]).installs("omk 9.9.9");
    world
        .install(&[("RUNNER_TOOL_CACHE", world.at("other").to_str().unwrap())])
        .installs("omk 9.9.9")
        .says("no release exists yet");
}

#[test]
fn without_cargo_it_says_what_to_use() {
    let world = World::new(Mirror::Whole);
    world
        .install(&[("OMK_VERSION", "source")])
        .refuses()
        .says("there is no cargo")
        .says("x86-64 or arm64");
}

#[test]
fn another_version_is_of_another_commit() {
    let world = World::new(Mirror::Whole);
    world
        .install(&[("OMK_VERSION", "1.0.0")])
        .refuses()
        .says("pin the action to the commit of that release");
}

#[test]
fn what_does_not_say_its_version_is_not_installed() {
    let world = World::new(Mirror::Whole);
    world.cargo("8.8.8");
    world
        .install(&[("OMK_VERSION", "source")])
        .refuses()
        .says("should be \"omk 9.9.9\"");
}

#[test]
fn windows_is_told_what_to_use() {
    let world = World::new(Mirror::Whole);
    script(&world.at("bin/uname"), "echo MINGW64_NT-10.0");
    world
        .install(&[])
        .refuses()
        .says("omk does not run on Windows")
        .says("ubuntu-latest");
}

#[test]
fn a_release_is_packed_the_same_each_time_and_can_be_installed() {
    let world = World::new(Mirror::Whole);
    let pack = |to: &str| {
        std::fs::create_dir_all(world.at(to)).unwrap();
        let mut python = Command::new("python3");
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package.py"));
        python
            .arg(world.at("made/omk"))
            .args([VERSION, &target()])
            .arg(world.at(to));
        let output = python.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let digest = pack("first");
    // Another time, and another date of the binary.
    script(&world.at("made/omk"), &format!("echo omk {VERSION}"));
    assert_eq!(pack("second"), digest);
    let archive = world.at(&format!("first/omk-{VERSION}-{}.tar.gz", target()));
    assert_eq!(sha256(&archive), digest);
    let kept = world.at(&format!("cache/omk/{VERSION}"));
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::copy(&archive, kept.join(archive.file_name().unwrap())).unwrap();
    world.release(&target(), &digest);
    world
        .install(&[])
        .installs("omk 1.2.3")
        .says("from the tool cache");
}

#[test]
fn the_projects_own_release_file_is_one_that_the_installer_can_read() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("RELEASE")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        lines[0] == "version none" || lines[0] == concat!("version ", env!("CARGO_PKG_VERSION")),
        "{lines:?}"
    );
    assert!(
        lines.iter().all(|line| line.split(' ').count() == 2),
        "{lines:?}"
    );
}
