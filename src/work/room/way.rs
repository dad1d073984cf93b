//! The way out of a room: its network, its proxy and the variables that say so.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::exec::NetworkReach;
use crate::exec::egress::{self, Proxy};
use crate::exec::environment::Caller;
use crate::fact::Class;
use crate::gateway::{Pass, Tunnel};
use crate::plan::Network;
use crate::work::attempt::Interruption;

/// The variables by which tools find their proxy. Some read only one of each pair.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Whom tools ask without a proxy: the room itself.
const NO_PROXY: &str = "127.0.0.1,::1,localhost";

/// The same for a room with a way to a name below `localhost`: to most tools `localhost` in that
/// list means these, too.
const NO_PROXY_BESIDE_NAMES: &str = "127.0.0.1,::1";

/// A child's way to the network: what its room lets through, and who serves it outside.
pub(in crate::work) struct Way {
    pub(in crate::work) reach: NetworkReach,
    pub(super) network: Network,
    tunnel: Option<Tunnel>,
    /// The variables of the caller's proxy, for a child on the machine's network.
    proxies: Vec<(String, String)>,
    opened: UnboundedSender<TcpListener>,
    doors: UnboundedReceiver<TcpListener>,
}

impl Way {
    /// The way that a plan's network describes; `gateway` is the port of the model's, for an agent.
    /// Where the caller's machine has a proxy, the way leads through it.
    pub(in crate::work) async fn open(
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
    pub(in crate::work) fn doors(&self) -> UnboundedSender<TcpListener> {
        self.opened.clone()
    }

    /// Tells tools of the proxy, if there is one. Beside the caller's own, the plan may name
    /// another.
    pub(in crate::work) fn describe_in(&self, env: &mut BTreeMap<OsString, OsString>) {
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
    pub(in crate::work) async fn serve_while<T>(
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
    pub(in crate::work) fn unreached(&self) -> Vec<String> {
        self.tunnel
            .as_ref()
            .map(Tunnel::unreached)
            .unwrap_or_default()
    }

    /// Hosts that were asked for and are not allowed.
    pub(in crate::work) fn refused(&self) -> Vec<String> {
        self.tunnel
            .as_ref()
            .map(Tunnel::refused)
            .unwrap_or_default()
    }
}
