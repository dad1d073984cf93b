//! The rooms of a run: what its children see of this machine, and what they do not.
//!
//! It refuses to know how a room is made, and it never shows what it hides: a directory of tools that holds the user's
//! checkout is not shown.

use std::path::{Path, PathBuf};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::attempt::Trouble;
use super::{Tools, caches};
use crate::exec::environment::ChildEnv;
use crate::exec::{Reach, Sandbox};
use crate::fact::Class;
use crate::gateway::{Pass, Tunnel};
use crate::plain_file;
use crate::plan::{Network, RoomLevel};

/// The longest settings of a repository that are read: a thousand times those of a big project.
const LONGEST_SETTINGS: u64 = 1 << 20;

/// The variables by which tools find their proxy. Some read only one of each pair.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Whom tools ask without a proxy: the room itself.
const NO_PROXY: &str = "127.0.0.1,localhost,::1";

/// The room for a child of this run: it writes to `writable`, `scratch` is an empty directory of its own. Where it cannot
/// be sealed, the child is pointed at caches of its own. Blocks.
pub(super) fn room(
    tools: &Tools,
    env: &mut ChildEnv,
    mut writable: Vec<PathBuf>,
    scratch: PathBuf,
    reach: Reach,
) -> Sandbox {
    if tools.level < RoomLevel::Sealed {
        writable.extend(caches::make_private(env, &scratch));
    }
    let repository = tools.repo.common_dir();
    let ours = [tools.repo.workdir(), tools.pool.root()];
    let mut hidden = tools.caller.private_directories();
    // What lies over something hidden would show it; what holds it does not, for that is hidden once more inside.
    let may_be_seen = |path: &PathBuf| {
        let holds_private = hidden.iter().any(|private| private.starts_with(path));
        !holds_private && !ours.contains(&path.as_path()) && !path.starts_with(tools.repo.workdir())
    };
    let shown = env.tools.iter().cloned().chain(alternates(repository)).filter(may_be_seen).collect();
    let mut copied: Vec<PathBuf> =
        env.caches.iter().map(|(_, path)| path).filter(|path| may_be_seen(path)).cloned().collect();
    copied.push(repository.to_path_buf());
    hidden.extend(ours.map(Path::to_path_buf));
    let changes = scratch.join(Sandbox::changes_of(copied.len() - 1));
    leave_out_credentials(&repository.join("config"), &changes.join("config"));
    // Runs, their logs and journals lie in the repository.
    hidden.push(repository.join("omk"));
    hidden.extend(credentials(env));
    let least = tools.plan.room.least.unwrap_or(RoomLevel::None);
    Sandbox { writable, copied, shown, hidden, scratch: Some(scratch), reach, least, ..Sandbox::default() }
}

/// Files in the caches of tools that hold what only their user may have.
fn credentials(env: &ChildEnv) -> impl Iterator<Item = PathBuf> {
    const NAMES: [&str; 3] = ["credentials", "credentials.toml", "_auth"];
    env.caches.iter().flat_map(|(_, cache)| NAMES.map(|name| cache.join(name)))
}

/// Writes the repository's settings as children see them, if there are credentials in them: a checkout action leaves a
/// token there, and people write one into a remote's address. If they cannot be written, the copy has no settings at all.
fn leave_out_credentials(settings: &Path, instead: &Path) {
    let Ok(text) = plain_file::read(settings, LONGEST_SETTINGS) else { return };
    let text = String::from_utf8_lossy(&text);
    let without: String =
        text.lines().filter(|line| !is_credential(line)).map(|line| without_user(line) + "\n").collect();
    if without.trim_end() == text.trim_end() {
        return;
    }
    let written =
        instead.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(instead, without));
    if written.is_err() {
        let _ = std::fs::File::create(instead);
    }
}

/// Whether a line of git's settings is there for a credential.
fn is_credential(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or("").trim().to_ascii_lowercase();
    ["extraheader", "helper", "password", "token", "sslkey", "cookiefile"].iter().any(|part| name.contains(part))
}

/// The line without the user and password in its address: `https://user:token@host/…`.
fn without_user(line: &str) -> String {
    let Some((before, after)) = line.split_once("://") else { return line.to_owned() };
    let end = after.find(['/', '"', ' ']).unwrap_or(after.len());
    let host = after[..end].rfind('@').map_or(after, |at| &after[at + 1..]);
    format!("{before}://{host}")
}

/// Where a repository that borrows objects finds them.
fn alternates(repository: &Path) -> Vec<PathBuf> {
    let objects = repository.join("objects");
    let listed = plain_file::read(&objects.join("info/alternates"), LONGEST_SETTINGS).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    listed.lines().filter(|line| !line.starts_with('#')).map(|line| objects.join(line)).collect()
}

/// A child's way to the network: what its room lets through, and who serves it outside.
pub(super) struct Way {
    pub(super) reach: Reach,
    tunnel: Option<Tunnel>,
    opened: UnboundedSender<TcpListener>,
    doors: UnboundedReceiver<TcpListener>,
}

impl Way {
    /// The way that a plan's network describes; `gateway` is the port of the model's, for an agent.
    pub(super) async fn open(network: &Network, gateway: Option<u16>) -> Result<Self, Trouble> {
        let tunnel = match network {
            Network::Allow(hosts) => Some(
                Tunnel::start(hosts.clone())
                    .await
                    .map_err(|error| Trouble::new(Class::Host, format!("failed to {error}")))?,
            ),
            Network::None | Network::Model | Network::Open => None,
        };
        let ports: Vec<u16> = gateway.into_iter().chain(tunnel.as_ref().map(Tunnel::port)).collect();
        let reach = match network {
            Network::Open => Reach::Open,
            _ if ports.is_empty() => Reach::Nothing,
            Network::None => Reach::Nothing,
            Network::Model | Network::Allow(_) => Reach::Doors(ports),
        };
        let (opened, doors) = unbounded_channel();
        Ok(Self { reach, tunnel, opened, doors })
    }

    /// Where the room's listeners are to be sent.
    pub(super) fn doors(&self) -> UnboundedSender<TcpListener> {
        self.opened.clone()
    }

    /// Tells tools of the proxy, if there is one.
    pub(super) fn describe_in(&self, env: &mut BTreeMap<OsString, OsString>) {
        let Some(tunnel) = &self.tunnel else { return };
        for name in PROXY {
            env.insert(name.into(), tunnel.address().into());
        }
        for name in ["NO_PROXY", "no_proxy"] {
            env.insert(name.into(), NO_PROXY.into());
        }
        // Node.js reads them only if it is told to.
        env.insert("NODE_USE_ENV_PROXY".into(), "1".into());
    }

    /// Serves the room while the child in it runs. A listener that cannot be served leads nowhere, and the child says so.
    pub(super) async fn serve_while<T>(&mut self, pass: Option<&Pass>, running: impl Future<Output = T>) -> T {
        tokio::pin!(running);
        loop {
            tokio::select! {
                ended = &mut running => return ended,
                Some(door) = self.doors.recv() => {
                    let port = door.local_addr().map_or(0, |address| address.port());
                    let _ = match (&self.tunnel, pass) {
                        (Some(tunnel), _) if tunnel.port() == port => tunnel.serve(door),
                        (_, Some(pass)) => pass.serve(door),
                        (_, None) => Ok(()),
                    };
                }
            }
        }
    }

    /// Hosts that were asked for in vain.
    pub(super) fn refused(&self) -> Vec<String> {
        self.tunnel.as_ref().map(Tunnel::refused).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lose_their_credentials_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, instead) = (dir.path().join("config"), dir.path().join("upper/config"));
        let plain = "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://host.example/a.git\n";
        std::fs::write(&settings, plain).unwrap();
        leave_out_credentials(&settings, &instead);
        assert!(!instead.exists(), "there is nothing to leave out");
        let secret = "[core]\n\tbare = false\n[http \"https://host.example/\"]\n\textraheader = AUTHORIZATION: basic c2VjcmV0\n\
                      [url \"https://me:secret@host.example/\"]\n\tinsteadOf = https://host.example/\n\
                      [remote \"origin\"]\n\turl = https://me:se@cret@host.example/a.git\n\
                      [credential]\n\thelper = store --file /secret\n[branch \"a@b\"]\n\tremote = origin\n";
        std::fs::write(&settings, secret).unwrap();
        leave_out_credentials(&settings, &instead);
        assert_eq!(
            std::fs::read_to_string(&instead).unwrap(),
            "[core]\n\tbare = false\n[http \"https://host.example/\"]\n[url \"https://host.example/\"]\n\
             \tinsteadOf = https://host.example/\n[remote \"origin\"]\n\turl = https://host.example/a.git\n\
             [credential]\n[branch \"a@b\"]\n\tremote = origin\n"
        );
    }
}
