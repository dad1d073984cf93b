//! An offline GitLab as a child process: `tests/e2e/gitlab_server.py` says what is behind it.
//!
//! It speaks HTTP over a bare socket, so that async and other tests can use it alike, and refuses
//! to know omk.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::forge_door::rig;

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Its JSON; null where it has none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Its body, where it has the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self.json()
    }
}

/// A GitLab under way; it ends with this value.
pub(crate) struct GitLabDoor {
    child: Child,
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The same with the path that it lies below, if any: `CI_SERVER_URL`.
    pub(crate) site: String,
}

impl GitLabDoor {
    /// Opens one; its repositories lie in `directory`, and it lies below `root` (`/gitlab`, or
    /// nothing).
    pub(crate) fn open(directory: &Path, root: &str) -> Self {
        let mut command = Command::new("python3");
        command
            .arg(rig().join("gitlab_server.py"))
            .arg(directory)
            .env_clear();
        if !root.is_empty() {
            command.args(["--root", root]);
        }
        command
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
        let told: Value = serde_json::from_str(&line).expect("the offline GitLab opens");
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self {
            child,
            url: text("url"),
            site: text("site"),
        }
    }

    /// Its address without the scheme: `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The API's base: `CI_API_V4_URL`.
    pub(crate) fn api_url(&self) -> String {
        format!("{}/api/v4", self.site)
    }

    /// One request, with headers and raw bytes as its body; `path` is the whole one.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        let mut socket = TcpStream::connect(self.host()).unwrap();
        let given: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let (host, length) = (self.host(), body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{given}Content-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(body).unwrap();
        let mut read = Vec::new();
        socket.read_to_end(&mut read).unwrap();
        let end = read.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("an answer has a status");
        let pairs = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        let headers = pairs
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Some(Reply {
            status,
            headers,
            body: read.split_off(end + 4),
        })
    }

    /// A request to the API, as whoever holds the token: `door.api("glpat-reader", "GET",
    /// "/projects/7", &Value::Null)`.
    #[track_caller]
    pub(crate) fn api(&self, token: &str, method: &str, path: &str, body: &Value) -> Reply {
        self.api_with(&[("PRIVATE-TOKEN", token)], method, path, body)
    }

    /// The same with other headers.
    #[track_caller]
    pub(crate) fn api_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: &Value,
    ) -> Reply {
        let sent = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let path = format!("{}/api/v4{path}", &self.site[self.url.len()..]);
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        self.send(method, &path, &headers, &sent)
            .expect("an answer")
    }

    /// What nobody but a test may do: `door.control("faults", &json!({…}))`;
    /// `tests/e2e/gitlab_api/control.py` says what.
    #[track_caller]
    pub(crate) fn control(&self, what: &str, body: &Value) -> Value {
        let sent = body.to_string();
        let reply = self
            .send("POST", &format!("/_test/{what}"), &[], sent.as_bytes())
            .expect("an answer");
        assert_eq!(
            reply.status,
            200,
            "{what}: {}",
            String::from_utf8_lossy(&reply.body)
        );
        reply.json()
    }

    /// A job's artifacts as they lie there; empty where there are none.
    #[track_caller]
    pub(crate) fn artifacts(&self, job: u64) -> Vec<u8> {
        self.send("POST", &format!("/_test/artifacts?job={job}"), &[], b"")
            .expect("an answer")
            .body
    }

    /// Puts a job's artifacts in place, whatever lay there.
    pub(crate) fn put_artifacts(&self, job: u64, archive: &[u8]) {
        self.send("POST", &format!("/_test/artifacts?job={job}"), &[], archive)
            .expect("an answer");
    }

    /// All requests so far: `method`, `path`, `who`, `job`, `body` as text, `status`, `violations`.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.control("log", &json!({})).as_array().unwrap().clone()
    }

    /// What no well-behaved client sends, and what the server itself failed at.
    pub(crate) fn violations(&self) -> Vec<Value> {
        let wrong = |entry: &Value| entry["violations"] != json!([]) || entry["status"].is_null();
        self.log().into_iter().filter(wrong).collect()
    }
}

impl Drop for GitLabDoor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
