//! The rooms of a run: what its children see of this machine, and what they do not.
//!
//! It refuses to know how a room is made, and it never shows what it hides: a directory of tools
//! that holds the user's checkout is not shown.

use std::path::{Path, PathBuf};

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::attempt::Interruption;
use super::caches::Seed;
use super::private;
use super::settings;
use super::stand_in::StandIn;
use super::{RunShared, Tools};
use crate::exec::egress::{self, Proxy};
use crate::exec::environment::{Caller, ChildEnv};
use crate::exec::{NetworkReach, Sandbox};
use crate::fact::Class;
use crate::gateway::{Pass, Tunnel};
use crate::plain_file;
use crate::plan::{Network, RoomLevel};

/// The longest list of alternates that is read, in bytes: ten thousand of them.
const LONGEST_LIST: u64 = 1 << 20;

/// Where Docker listens.
const DOCKER: &str = "/var/run/docker.sock";

/// The variables by which tools find their proxy. Some read only one of each pair.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Whom tools ask without a proxy: the room itself.
const NO_PROXY: &str = "127.0.0.1,::1,localhost";

/// The same for a room with a way to a name below `localhost`: to most tools `localhost` in that
/// list means these, too.
const NO_PROXY_BESIDE_NAMES: &str = "127.0.0.1,::1";

/// What must lie on the disk before a child can start in its room. A gate's private directories are
/// emptied before each execution, so it is made each time.
#[derive(Debug, Clone)]
pub(super) struct Furnishing {
    seeds: Vec<Seed>,
    /// A repository, if the user's cannot be copied.
    stand_in: Option<StandIn>,
    /// The repository, and where its settings go without their credentials.
    settings: (PathBuf, PathBuf),
}

impl Furnishing {
    /// Makes it. Blocks.
    pub(super) fn make(&self) {
        self.seeds.iter().for_each(Seed::make);
        self.stand_in.iter().for_each(StandIn::make);
        settings::leave_out_credentials(&self.settings.0, &self.settings.1);
    }
}

/// The room for a child of this run, and what is to be made first: it writes to `writable`;
/// `scratch` is a directory of its own. A cache that it cannot have as a copy becomes one of its
/// own, with a variable that leads there.
pub(super) fn room(
    shared: &RunShared,
    env: &mut ChildEnv,
    mut writable: Vec<PathBuf>,
    scratch: PathBuf,
    way: &Way,
) -> (Sandbox, Furnishing) {
    let tools = &shared.tools;
    let repository = tools.repo.common_dir();
    let view = shared.views.of(shared, env);
    for name in &view.unseen {
        env.vars.remove(std::ffi::OsStr::new(name));
    }
    let (borrowed, ours) = (alternates(repository), own_directories(tools));
    let docker = tools.plan.room.docker.then(|| PathBuf::from(DOCKER));
    let clones = settings::clones_of_submodules(repository);
    // Submodules in slots borrow from the user's clones, which may borrow in turn.
    let by_clones: Vec<PathBuf> = clones.iter().flat_map(|clone| alternates(clone)).collect();
    let shown = borrowed
        .iter()
        .chain(&by_clones)
        .filter(|path| may_be_seen(tools, &ours, path))
        .cloned();
    let shown: Vec<PathBuf> = view
        .programs
        .iter()
        .chain(&view.named)
        .cloned()
        .chain(shown)
        .chain(docker)
        .collect();
    let mut hidden = tools.caller.private_directories().to_vec();
    let (mut copied, mut seeds) = (view.copied.clone(), Vec::new());
    for (variable, theirs) in &view.replaced {
        let seed = Seed::new(variable, theirs.clone(), &scratch);
        env.vars.insert(variable.into(), seed.own().into());
        writable.push(seed.own().to_owned());
        seeds.push(seed);
    }
    hidden.extend(copied.iter().flat_map(|cache| private::in_cache(cache)));
    hidden.extend(
        view.programs
            .iter()
            .flat_map(|tool| private::beside_programs(tool)),
    );
    copied.push(repository.to_path_buf());
    let number = copied.len() - 1;
    let cannot_copy = tools.level == RoomLevel::Sealed && !shared.copies.has(repository);
    let stand_in =
        cannot_copy.then(|| StandIn::new(repository, &scratch, number, (borrowed, clones)));
    let changes = || scratch.join(Sandbox::changes_of(number));
    let settings = (
        repository.to_path_buf(),
        stand_in
            .as_ref()
            .map_or_else(changes, |own| own.path().to_owned()),
    );
    hidden.extend(ours);
    // Runs, their logs and journals lie in the repository.
    hidden.push(repository.join("omk"));
    hidden.extend(private::in_repository(repository));
    hidden.extend(settings::unread(repository));
    if stand_in.is_some() {
        // It has nothing that would have to be hidden, nor directories to lay something over.
        hidden.retain(|path| !path.starts_with(repository));
    }
    let least = tools.plan.room.demand([&way.network]).least();
    let (reach, scratch) = (way.reach.clone(), Some(scratch));
    let room = Sandbox {
        writable,
        copied,
        shown,
        hidden,
        scratch,
        reach,
        least,
        ..Sandbox::default()
    };
    (
        room,
        Furnishing {
            seeds,
            stand_in,
            settings,
        },
    )
}

/// What rooms show of what a child's environment points at.
#[derive(Debug)]
struct RoomView {
    programs: Vec<PathBuf>,
    /// What the plan or the caller names to be read.
    named: Vec<PathBuf>,
    /// Caches that a child gets a copy of.
    copied: Vec<PathBuf>,
    /// Caches in place of which it gets one of its own, with their variables.
    replaced: Vec<(&'static str, PathBuf)>,
    /// Variables of certificates that may not be seen.
    unseen: Vec<&'static str>,
}

/// The views of a run, by the environments that they are for: looking for one follows hundreds of
/// links.
#[derive(Debug, Default)]
pub(super) struct Views(Mutex<HashMap<PointedAt, Arc<RoomView>>>);

/// What an environment points at.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PointedAt {
    tools: Vec<PathBuf>,
    data: Vec<PathBuf>,
    caches: Vec<(&'static str, PathBuf)>,
    certificates: Vec<(&'static str, Vec<PathBuf>)>,
}

impl Views {
    fn of(&self, shared: &RunShared, env: &mut ChildEnv) -> Arc<RoomView> {
        let pointed_at = PointedAt {
            tools: env.tools.clone(),
            data: env.data.clone(),
            caches: std::mem::take(&mut env.caches),
            certificates: std::mem::take(&mut env.certificates),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.get(&pointed_at) {
            return Arc::clone(view);
        }
        let view = Arc::new(RoomView::new(shared, &pointed_at));
        known.insert(pointed_at, Arc::clone(&view));
        view
    }
}

impl RoomView {
    fn new(shared: &RunShared, at: &PointedAt) -> Self {
        let ours = own_directories(&shared.tools);
        let seen = |path: &&PathBuf| may_be_seen(&shared.tools, &ours, path);
        let all_seen =
            |(_, paths): &&(&'static str, Vec<PathBuf>)| paths.iter().all(|path| seen(&path));
        let (known, unseen): (Vec<_>, Vec<_>) = at.certificates.iter().partition(all_seen);
        let certificates = known.into_iter().flat_map(|(_, paths)| paths);
        let has_copy =
            |(_, cache): &&(&'static str, PathBuf)| shared.copies.has(cache) && seen(&cache);
        let (copied, replaced): (Vec<_>, Vec<_>) = at.caches.iter().partition(has_copy);
        Self {
            programs: at.tools.iter().filter(seen).cloned().collect(),
            named: at
                .data
                .iter()
                .filter(seen)
                .chain(certificates)
                .cloned()
                .collect(),
            copied: copied.into_iter().map(|(_, cache)| cache.clone()).collect(),
            replaced: replaced.into_iter().cloned().collect(),
            unseen: unseen.into_iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Where all slots are, and the user's checkouts.
fn own_directories(tools: &Tools) -> Vec<PathBuf> {
    let checkouts = tools
        .repo
        .checkouts()
        .unwrap_or_else(|_| vec![tools.repo.workdir().to_owned()]);
    std::iter::once(tools.pool.root().to_owned())
        .chain(checkouts)
        .map(real)
        .collect()
}

/// Whether something may lie over what a room hides, and so be seen; what holds something hidden
/// may, for that is hidden once more inside. A link counts for what it leads to. `ours` is what
/// [`own_directories`] says.
fn may_be_seen(tools: &Tools, ours: &[PathBuf], path: &Path) -> bool {
    let path = real(path);
    let holds_private = tools
        .caller
        .private_directories()
        .iter()
        .any(|private| private.starts_with(&path));
    !holds_private
        && !ours.contains(&path)
        && !ours[1..].iter().any(|checkout| path.starts_with(checkout))
}

/// The path without links, if it leads anywhere.
fn real(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Where a repository that borrows objects finds them. Those it borrows from may borrow, too; git
/// follows five.
fn alternates(repository: &Path) -> Vec<PathBuf> {
    let mut found = borrowed(&repository.join("objects"));
    for _ in 1..5 {
        let further: Vec<PathBuf> = found.iter().flat_map(|objects| borrowed(objects)).collect();
        found.extend(further);
        found.sort();
        found.dedup();
    }
    found
}

fn borrowed(objects: &Path) -> Vec<PathBuf> {
    let listed =
        plain_file::read(&objects.join("info/alternates"), LONGEST_LIST).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let found = listed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    found.map(|line| real(objects.join(line))).collect()
}

/// A child's way to the network: what its room lets through, and who serves it outside.
pub(super) struct Way {
    pub(super) reach: NetworkReach,
    network: Network,
    tunnel: Option<Tunnel>,
    /// The variables of the caller's proxy, for a child on the machine's network.
    proxies: Vec<(String, String)>,
    opened: UnboundedSender<TcpListener>,
    doors: UnboundedReceiver<TcpListener>,
}

impl Way {
    /// The way that a plan's network describes; `gateway` is the port of the model's, for an agent.
    /// Where the caller's machine has a proxy, the way leads through it.
    pub(super) async fn open(
        network: &Network,
        gateway: Option<u16>,
        caller: &Caller,
    ) -> Result<Self, Interruption> {
        let (tunnel, proxies) = match network {
            Network::Allow(hosts) => {
                let proxy = Proxy::of(caller);
                let proxy = proxy.map_err(|error| {
                    Interruption::new(Class::Config, format!("failed to {error}"))
                })?;
                let tunnel = Tunnel::start(hosts.clone(), proxy).await;
                (
                    Some(tunnel.map_err(|error| {
                        Interruption::new(Class::Host, format!("failed to {error}"))
                    })?),
                    Vec::new(),
                )
            }
            Network::Open => (None, egress::proxies(caller)),
            Network::None | Network::Model => (None, Vec::new()),
        };
        let ports: Vec<u16> = gateway
            .into_iter()
            .chain(tunnel.as_ref().map(Tunnel::port))
            .collect();
        let reach = match network {
            Network::Open => NetworkReach::Open,
            _ if ports.is_empty() => NetworkReach::Nothing,
            Network::None => NetworkReach::Nothing,
            Network::Model | Network::Allow(_) => NetworkReach::Doors(ports),
        };
        let (opened, doors) = unbounded_channel();
        Ok(Self {
            reach,
            network: network.clone(),
            tunnel,
            proxies,
            opened,
            doors,
        })
    }

    /// Where the room's listeners are to be sent.
    pub(super) fn doors(&self) -> UnboundedSender<TcpListener> {
        self.opened.clone()
    }

    /// Tells tools of the proxy, if there is one. Beside the caller's own, the plan may name
    /// another.
    pub(super) fn describe_in(&self, env: &mut BTreeMap<OsString, OsString>) {
        for (name, value) in &self.proxies {
            env.entry(name.into()).or_insert_with(|| value.into());
        }
        let Some(tunnel) = &self.tunnel else { return };
        for name in PROXY {
            env.insert(name.into(), tunnel.address().into());
        }
        let without = if tunnel.leads_here() {
            NO_PROXY_BESIDE_NAMES
        } else {
            NO_PROXY
        };
        for name in ["NO_PROXY", "no_proxy"] {
            env.insert(name.into(), without.into());
        }
        // Node.js reads them only if it is told to.
        env.insert("NODE_USE_ENV_PROXY".into(), "1".into());
    }

    /// Serves the room while the child in it runs. A listener that cannot be served leads nowhere,
    /// and the child says so.
    pub(super) async fn serve_while<T>(
        &mut self,
        pass: Option<&Pass>,
        running: impl Future<Output = T>,
    ) -> T {
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

    /// Hosts that are allowed and could not be reached, each with the reason.
    pub(super) fn unreached(&self) -> Vec<String> {
        self.tunnel
            .as_ref()
            .map(Tunnel::unreached)
            .unwrap_or_default()
    }

    /// Hosts that were asked for and are not allowed.
    pub(super) fn refused(&self) -> Vec<String> {
        self.tunnel
            .as_ref()
            .map(Tunnel::refused)
            .unwrap_or_default()
    }
}
