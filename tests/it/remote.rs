//! Remotes over real git HTTP: `git http-backend` behind a small server that checks the token and
//! can be out of order.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use omk_action::exec::secret::Secret;
use omk_action::git::{FetchTarget, GitError, RefUpdate, Remote, RemoteRule, Repo};
use omk_action::id::CommitId;

use crate::world::World;

const TOKEN: &str = "ghs_a_token_of_the_test";
const RUN: &str = "refs/heads/omk/run/pr-1";
const PROOF: &str = "refs/omk/proofs/20261122t185155z-4f2a9c";

/// What a server does instead of, or after, what it was asked for.
enum Fault {
    /// Answers with that status at once.
    Instead(&'static str),
    /// Does it, and answers with that status.
    Afterwards(&'static str),
    /// Says nothing, until nobody listens any more.
    Silence,
    /// Does this to the served repository first.
    First(Box<dyn FnOnce(&Path) + Send>),
}

#[derive(Default)]
struct State {
    /// Used up by requests to receive a pack, one each.
    faults: VecDeque<Fault>,
    /// The `Authorization` headers of every request.
    seen: Vec<Vec<String>>,
}

/// A served bare repository.
struct Served {
    dir: tempfile::TempDir,
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Served {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("a.git");
        git(dir.path(), &["init", "--quiet", "--bare", "a.git"]);
        git(&bare, &["config", "http.receivepack", "true"]);
        git(&bare, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (root, shared) = (dir.path().to_owned(), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (root, shared) = (root.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &root, &shared));
            }
        });
        Self { dir, port, state }
    }

    fn bare(&self) -> PathBuf {
        self.dir.path().join("a.git")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/a.git", self.port)
    }

    fn remote(&self) -> Remote {
        Remote::new(&self.url(), Some(Secret::new(TOKEN.to_owned()))).unwrap()
    }

    fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.bare().join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Where a ref is; empty where there is none.
    fn at(&self, name: &str) -> String {
        git(
            &self.bare(),
            &["for-each-ref", "--format=%(objectname)", name],
        )
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null());
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

fn serve(stream: TcpStream, root: &Path, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap().to_owned(),
        words.next().unwrap().to_owned(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| {
        headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let known: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name == "authorization")
        .map(|(_, value)| value.clone())
        .collect();
    let good = known
        == [format!(
            "basic {}",
            STANDARD.encode(format!("x-access-token:{TOKEN}"))
        )];
    let receives = target.ends_with("/git-receive-pack");
    let fault = {
        let mut state = state.lock().unwrap();
        state.seen.push(known);
        if receives {
            state.faults.pop_front()
        } else {
            None
        }
    };
    if target.starts_with("/moved.git") {
        let to = format!("Location: {}\r\n", target.replace("/moved.git", "/a.git"));
        return answer(stream, "301 Moved Permanently", &to, b"");
    }
    if !good {
        return answer(
            stream,
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
            b"",
        );
    }
    let mut instead = None;
    match fault {
        Some(Fault::Instead(status)) => return answer(stream, status, "", b""),
        Some(Fault::Silence) => {
            let _ = reader.read_to_end(&mut Vec::new());
            return;
        }
        Some(Fault::Afterwards(status)) => instead = Some(status),
        Some(Fault::First(act)) => act(&root.join("a.git")),
        None => {}
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    backend
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "x");
    backend
        .env("REQUEST_METHOD", &method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query);
    backend.env("CONTENT_LENGTH", body.len().to_string());
    backend.env("CONTENT_TYPE", header("content-type").unwrap_or_default());
    backend.env(
        "HTTP_CONTENT_ENCODING",
        header("content-encoding").unwrap_or_default(),
    );
    backend.env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default());
    let mut backend = backend
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let said = backend.wait_with_output().unwrap().stdout;
    if let Some(status) = instead {
        return answer(stream, status, "", b"");
    }
    let end = said
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&said[..end + 2]).into_owned();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK")
        .to_owned();
    answer(stream, &status, &head, &said[end + 4..]);
}

fn answer(mut stream: TcpStream, status: &str, head: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// A repository with two commits on `main`, the second one new.
fn world() -> (World, Repo, CommitId, CommitId) {
    let world = World::new();
    let first = world.rev("HEAD").parse().unwrap();
    world.write("b.txt", "b\n");
    let second = world.commit("second").parse().unwrap();
    let repo = Repo::discover(&world.repo()).unwrap();
    (world, repo, first, second)
}

fn update(name: &str, to: Option<&CommitId>, expected: Option<&CommitId>) -> RefUpdate {
    RefUpdate {
        name: name.to_owned(),
        to: to.cloned(),
        expected: expected.cloned(),
    }
}

#[test]
fn refs_are_pushed_looked_at_fetched_moved_and_deleted_with_a_token() {
    let (_world, repo, first, second) = world();
    let (served, other) = (Served::new(), World::new());
    let remote = served.remote();
    assert_eq!(repo.ls_remote(&remote, &[]).unwrap(), []);
    repo.push(
        &remote,
        &[
            update(RUN, Some(&first), None),
            update(PROOF, Some(&first), None),
        ],
    )
    .unwrap();
    repo.push(&remote, &[update(RUN, Some(&second), Some(&first))])
        .unwrap();
    let refs = repo.ls_remote(&remote, &[RUN, "refs/omk/*"]).unwrap();
    assert_eq!(
        refs,
        [
            (RUN.to_owned(), second.clone()),
            (PROOF.to_owned(), first.clone())
        ]
    );
    let fetching = Repo::discover(&other.repo()).unwrap();
    let got = fetching
        .fetch(
            &remote,
            &[
                FetchTarget::Commit(second.clone()),
                FetchTarget::Ref(PROOF.to_owned()),
            ],
        )
        .unwrap();
    assert_eq!(got, [second.clone(), first.clone()]);
    assert_eq!(
        other.rev(&format!("refs/omk/fetched/commit/{second}")),
        second.as_str()
    );
    assert_eq!(
        other.rev(&PROOF.replace("refs/", "refs/omk/fetched/")),
        first.as_str()
    );
    repo.push(&remote, &[update(PROOF, None, Some(&first))])
        .unwrap();
    assert_eq!(
        (served.at(PROOF), served.at(RUN)),
        (String::new(), second.to_string())
    );
    // What is as it should be already can be said again.
    repo.push(&remote, &[update(RUN, Some(&second), Some(&first))])
        .unwrap();
    repo.push(
        &remote,
        &[update(PROOF, None, None), update(PROOF, None, Some(&first))],
    )
    .unwrap();
    repo.push(&remote, &[update(RUN, Some(&second), Some(&second))])
        .unwrap();
    let stays = repo
        .push(&remote, &[update(RUN, Some(&first), Some(&first))])
        .unwrap_err();
    assert!(
        matches!(stays, GitError::RemoteMoved { .. }),
        "what is not to move must be where it was expected: {stays}"
    );
}

#[test]
fn a_push_is_all_or_nothing_and_only_from_where_the_refs_were_expected() {
    let (_world, repo, first, second) = world();
    let served = Served::new();
    repo.push(&served.remote(), &[update(RUN, Some(&first), None)])
        .unwrap();
    for expected in [None, Some(&second)] {
        let to = expected.map_or(&second, |_| &first);
        let updates = [
            update(PROOF, Some(&first), None),
            update(
                RUN,
                if expected.is_none() { Some(to) } else { None },
                expected,
            ),
        ];
        let error = repo.push(&served.remote(), &updates).unwrap_err();
        let GitError::RemoteMoved { name, now, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((name.as_str(), now.as_ref()), (RUN, Some(&first)));
        assert_eq!(
            (served.at(RUN), served.at(PROOF)),
            (first.to_string(), String::new())
        );
    }
}

#[test]
fn a_ref_that_is_moved_while_it_is_pushed_is_not_overwritten() {
    let (world, repo, first, second) = world();
    world.write("c.txt", "c\n");
    let third: CommitId = world.commit("third").parse().unwrap();
    let served = Served::new();
    repo.push(
        &served.remote(),
        &[
            update(RUN, Some(&first), None),
            update(PROOF, Some(&third), None),
        ],
    )
    .unwrap();
    let theirs = third.to_string();
    served.fault(Fault::First(Box::new(move |bare| {
        drop(git(bare, &["update-ref", RUN, &theirs]))
    })));
    let error = repo
        .push(
            &served.remote(),
            &[update(RUN, Some(&second), Some(&first))],
        )
        .unwrap_err();
    assert!(
        matches!(&error, GitError::RemoteMoved { now: Some(now), .. } if *now == third),
        "{error}"
    );
    assert_eq!(served.at(RUN), third.as_str());
}

#[test]
fn a_push_whose_answer_is_lost_is_looked_at_before_it_is_tried_again() {
    let (_world, repo, first, second) = world();
    let served = Served::new();
    served.fault(Fault::Afterwards("502 Bad Gateway"));
    repo.push(&served.remote(), &[update(RUN, Some(&first), None)])
        .unwrap();
    served.fault(Fault::Instead("503 Service Unavailable"));
    repo.push(
        &served.remote(),
        &[update(RUN, Some(&second), Some(&first))],
    )
    .unwrap();
    assert_eq!(served.at(RUN), second.as_str());
    served.fault(Fault::Silence);
    let remote = served.remote().within(Duration::from_secs(4));
    repo.push(&remote, &[update(PROOF, Some(&first), None)])
        .unwrap();
    assert_eq!(served.at(PROOF), first.as_str());
}

#[test]
fn a_forge_that_stays_down_is_said_to_be() {
    let (_world, repo, first, _) = world();
    let served = Served::new();
    for _ in 0..3 {
        served.fault(Fault::Instead("502 Bad Gateway"));
    }
    let error = repo
        .push(&served.remote(), &[update(RUN, Some(&first), None)])
        .unwrap_err();
    assert!(
        matches!(error, GitError::RemoteUnavailable { .. }),
        "{error}"
    );
    assert_eq!(served.at(RUN), "");
}

#[test]
fn refusals_are_told_apart() {
    let (_world, repo, first, _) = world();
    let served = Served::new();
    let push = || {
        repo.push(
            &served.remote(),
            &[
                update(RUN, Some(&first), None),
                update(PROOF, Some(&first), None),
            ],
        )
    };
    for (hook, script, expected) in [
        (
            "pre-receive",
            "echo 'error: GH006: Protected branch update failed for refs/heads/main.'; exit 1",
            RemoteRule::Protected,
        ),
        (
            "pre-receive",
            "echo 'GH013: Repository rule violations found'; exit 1",
            RemoteRule::Protected,
        ),
        (
            "pre-receive",
            "echo 'refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without `workflows` permission'; exit 1",
            RemoteRule::Workflow,
        ),
        (
            "update",
            "test $1 != refs/heads/omk/run/pr-1",
            RemoteRule::Other,
        ),
    ] {
        let _ = std::fs::remove_file(served.bare().join("hooks/pre-receive"));
        served.hook(hook, script);
        let error = push().unwrap_err();
        let GitError::RemoteRefused { why, name, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*why, name.as_str()), (expected, RUN), "{error}");
        assert_eq!(
            (served.at(RUN), served.at(PROOF)),
            (String::new(), String::new())
        );
    }
}

#[test]
fn a_bad_token_a_missing_repository_and_a_redirect_are_told_apart_and_show_no_token() {
    let (_world, repo, first, _) = world();
    let served = Served::new();
    let secret = || Some(Secret::new("ghs_another_token".to_owned()));
    let at = |path: &str, token: Option<Secret>| {
        Remote::new(&format!("http://127.0.0.1:{}/{path}", served.port), token).unwrap()
    };
    let good = || Some(Secret::new(TOKEN.to_owned()));
    let nowhere: CommitId = "1".repeat(40).parse().unwrap();
    let lacks = repo
        .fetch(&served.remote(), &[FetchTarget::Commit(nowhere)])
        .unwrap_err();
    assert!(matches!(lacks, GitError::RemoteLacks { .. }), "{lacks}");
    let refused = repo.ls_remote(&at("a.git", secret()), &[]).unwrap_err();
    assert!(
        matches!(refused, GitError::RemoteUnauthorised { .. }),
        "{refused}"
    );
    let refused = repo
        .push(&at("a.git", None), &[update(RUN, Some(&first), None)])
        .unwrap_err();
    assert!(
        matches!(refused, GitError::RemoteUnauthorised { .. }),
        "{refused}"
    );
    served.fault(Fault::Instead("403 Forbidden"));
    let forbidden = repo
        .push(&served.remote(), &[update(RUN, Some(&first), None)])
        .unwrap_err();
    assert!(
        matches!(forbidden, GitError::RemoteUnauthorised { .. }),
        "{forbidden}"
    );
    let missing = repo.ls_remote(&at("b.git", good()), &[]).unwrap_err();
    assert!(
        matches!(missing, GitError::RemoteNotFound { .. }),
        "{missing}"
    );
    let moved = repo.ls_remote(&at("moved.git", good()), &[]).unwrap_err();
    assert!(matches!(moved, GitError::RemoteRedirects { .. }), "{moved}");
    for error in [lacks, refused, forbidden, missing, moved] {
        assert!(!format!("{error} {error:?}").contains("ghs_"), "{error:?}");
    }
}

#[test]
fn nobody_else_s_header_goes_along_and_the_token_stays_in_no_file() {
    let (world, repo, first, _) = world();
    let served = Served::new();
    for key in [
        "http.extraheader".to_owned(),
        format!("http.http://127.0.0.1:{}/.extraheader", served.port),
    ] {
        world.git(&["config", &key, "AUTHORIZATION: basic c29tZWJvZHk6ZWxzZQ=="]);
    }
    world.git(&[
        "config",
        &format!("http.{}.extraheader", served.url()),
        "AUTHORIZATION: basic b3RoZXI=",
    ]);
    repo.push(&served.remote(), &[update(RUN, Some(&first), None)])
        .unwrap();
    let state = served.state.lock().unwrap();
    assert!(
        !state.seen.is_empty() && state.seen.iter().all(|headers| headers.len() == 1),
        "{:?}",
        state.seen
    );
    let found = Command::new("grep")
        .args(["-rlE", "ghs_a_token|eC1hY2Nlc3M"])
        .arg(world.dir())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn what_a_checkout_persists_is_found_wherever_it_is() {
    let keeps = |configure: &dyn Fn(&World)| {
        let world = World::new();
        configure(&world);
        Repo::discover(&world.repo())
            .unwrap()
            .persisted_credentials()
            .unwrap()
    };
    assert_eq!(keeps(&|_| {}), None);
    let header = "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46aHVzaA==";
    let found = keeps(&|world| {
        drop(world.git(&["config", "http.https://github.com/.extraheader", header]))
    })
    .unwrap();
    assert!(
        found.contains("extraheader") && found.ends_with(".git/config") && !found.contains("eC1h"),
        "{found}"
    );
    // As actions/checkout v6 does it: in a file elsewhere, included for some directories only.
    for condition in ["gitdir:/nowhere/.git", "gitdir:**/.git"] {
        let found = keeps(&|world| {
            let file = world.dir().join("credentials.config");
            std::fs::write(
                &file,
                format!("[http \"https://github.com/\"]\n\textraheader = {header}\n"),
            )
            .unwrap();
            world.git(&[
                "config",
                &format!("includeIf.{condition}.path"),
                file.to_str().unwrap(),
            ]);
        });
        assert!(
            found
                .as_ref()
                .is_some_and(|found| found.ends_with("credentials.config")),
            "{condition}: {found:?}"
        );
    }
    assert!(keeps(&|world| drop(world.git(&["config", "credential.helper", "store"]))).is_some());
    let url = "https://x:hush@example.org/a.git";
    let found = keeps(&|world| drop(world.git(&["remote", "add", "origin", url]))).unwrap();
    assert!(!found.contains("hush"), "{found}");
}
