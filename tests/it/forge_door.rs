//! The front door of an emulated GitHub as a child process: `tests/e2e/front_door.py` says what is
//! behind it.
//!
//! It speaks HTTP over a bare socket, so that async and other tests can use it alike, and refuses
//! to know omk.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// The directory of the rig's own files.
pub(crate) fn rig() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")
}

/// The packages of the rig, put there on first need.
pub(crate) fn rig_tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e-tools");
        let status = Command::new("python3")
            .arg(rig().join("install.py"))
            .arg(&target)
            .status()
            .unwrap();
        assert!(
            status.success(),
            "the tools of the end-to-end tests are not to be had"
        );
        target
    })
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Its JSON; null where it has none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A front door under way; it ends with this value.
pub(crate) struct Door {
    child: Child,
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The private key of both Apps, as PEM.
    pub(crate) key: String,
    /// The bare repository.
    pub(crate) git: PathBuf,
}

impl Door {
    /// Opens one; its repository lies in `directory`.
    pub(crate) fn open(directory: &Path) -> Self {
        let mut command = Command::new("python3");
        command
            .arg(rig().join("front_door.py"))
            .args([rig_tools(), directory])
            .arg("--prism");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told: Value = serde_json::from_str(&line).expect("the front door opens");
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self {
            child,
            url: text("url"),
            key: text("key"),
            git: text("git").into(),
        }
    }

    /// Its address without the scheme: `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// One request, with raw bytes as its body.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        kind: &str,
        body: &[u8],
    ) -> Answer {
        let mut socket = TcpStream::connect(self.host()).unwrap();
        let who = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{who}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
            self.host()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(body).unwrap();
        let mut read = Vec::new();
        socket.read_to_end(&mut read).unwrap();
        let end = read
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("an answer has a head");
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("an answer has a status");
        Answer {
            status,
            body: read.split_off(end + 4),
        }
    }

    /// A request to the API, as whoever holds the token.
    pub(crate) fn api(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let sent = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, path, Some(token), "application/json", &sent)
    }

    /// What nobody but a test may do: `door.control("faults", json!({…}))`.
    #[track_caller]
    pub(crate) fn control(&self, what: &str, body: &Value) -> Value {
        let sent = body.to_string();
        let answer = self.send(
            "POST",
            &format!("/_test/{what}"),
            None,
            "application/json",
            sent.as_bytes(),
        );
        assert_eq!(
            answer.status,
            200,
            "{what}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    /// A job's token, with exactly these permissions.
    pub(crate) fn token(&self, permissions: &[(&str, &str)]) -> String {
        let permissions: serde_json::Map<_, _> = permissions
            .iter()
            .map(|(name, right)| ((*name).to_owned(), json!(right)))
            .collect();
        self.control("tokens", &json!({"permissions": permissions}))["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// All requests so far: method, path, who, body, status, and what GitHub's API description says
    /// against them.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.control("log", &json!({})).as_array().unwrap().clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
