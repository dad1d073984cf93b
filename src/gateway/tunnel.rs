//! The way of a closed room to a few hosts by name: a proxy that knows `CONNECT` and nothing else.
//!
//! What goes through it stays encrypted between the child and the host. It refuses every other
//! host, addresses in place of names, and names that lead back to this machine; each refusal is
//! remembered, and why a host was not reached.

mod request;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{GatewayError, random_token};
use crate::exec::egress::Proxy;
use crate::plan::HostName;
use request::{NotCarried, TunnelRequest, read_head};
use route::{UNANSWERED, connect, is_below_localhost};

/// How long a head may take to come, and a host to be connected to: as long as browsers wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections at once: npm opens 15 and cargo a few dozen; omk has 1,024 files in all.
const CONNECTIONS: usize = 128;

/// Hosts that are remembered as refused, and as many that were not reached; a child that asks for
/// more is not building anything.
const REMEMBERED: usize = 50;

/// A proxy for one child. Dropping it ends all its connections.
pub struct Tunnel {
    shared: Arc<TunnelShared>,
    port: u16,
    token: String,
    _stop: DropGuard,
}

struct TunnelShared {
    allowed: Vec<HostName>,
    /// The way of this machine itself to other hosts.
    proxy: Option<Proxy>,
    refused: Mutex<BTreeSet<String>>,
    /// Allowed hosts that were not reached, and why not, the last time.
    unreached: Mutex<BTreeMap<String, String>>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("port", &self.port)
            .field("allowed", &self.shared.allowed)
            .finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Starts one on a free port of 127.0.0.1, where only who knows its token is served. It reaches
    /// other hosts through `proxy`, if this machine has one.
    ///
    /// # Errors
    /// Where there is no port, or no random bytes for the token.
    pub async fn start(allowed: Vec<HostName>, proxy: Option<Proxy>) -> Result<Self, GatewayError> {
        let token = random_token()?;
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(GatewayError::Listen)?;
        let port = listener.local_addr().map_err(GatewayError::Listen)?.port();
        let stop = CancellationToken::new();
        let shared = Arc::new(TunnelShared {
            allowed,
            proxy,
            refused: Mutex::default(),
            unreached: Mutex::default(),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            stop: stop.clone(),
        });
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("omk:{token}"));
        tokio::spawn(serve(
            listener,
            Arc::clone(&shared),
            Some(format!("Basic {credentials}")),
        ));
        Ok(Self {
            shared,
            port,
            token,
            _stop: stop.drop_guard(),
        })
    }

    /// The port that it listens at, outside and in a room.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What tools take as their proxy: `http://omk:TOKEN@127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://omk:{}@127.0.0.1:{}", self.token, self.port)
    }

    /// Whether a host that it leads to is a name below `localhost`, which is this machine.
    #[must_use]
    pub fn leads_here(&self) -> bool {
        self.shared
            .allowed
            .iter()
            .any(|host| is_below_localhost(host.as_str()))
    }

    /// Serves a room's own listener, too. Whoever reaches that needs no token.
    ///
    /// # Errors
    /// Where the runtime cannot take the listener.
    pub fn serve(&self, room: std::net::TcpListener) -> Result<(), GatewayError> {
        room.set_nonblocking(true).map_err(GatewayError::Listen)?;
        let listener = TcpListener::from_std(room).map_err(GatewayError::Listen)?;
        tokio::spawn(serve(listener, Arc::clone(&self.shared), None));
        Ok(())
    }

    /// The hosts that were asked for and are not allowed, in order of their names.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// The allowed hosts that could not be reached, in order of their names: `a.example (it does
    /// not answer)`.
    #[must_use]
    pub fn unreached(&self) -> Vec<String> {
        let unreached = self
            .shared
            .unreached
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unreached
            .iter()
            .map(|(host, why)| format!("{host} ({why})"))
            .collect()
    }
}

impl TunnelShared {
    fn remember(&self, host: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REMEMBERED {
            refused.insert(host.to_owned());
        }
    }

    /// Remembers it as not reached; a child that tried again and had success forgets that, too.
    fn remember_unreached(&self, host: &str, why: Option<&str>) {
        let mut unreached = self
            .unreached
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unreached.remove(host);
        if let Some(why) = why.filter(|_| unreached.len() < REMEMBERED) {
            unreached.insert(host.to_owned(), why.to_owned());
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<TunnelShared>, credentials: Option<String>) {
    let credentials = credentials.map(Arc::new);
    loop {
        let place = tokio::select! {
            () = shared.stop.cancelled() => return,
            place = Arc::clone(&shared.places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // Out of files, for instance: some will be closed soon.
        let Ok((child, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (shared, credentials) = (Arc::clone(&shared), credentials.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                // What breaks off breaks off at both ends; nobody else needs to know.
                _ = carry(child, &shared, credentials.as_deref().map(String::as_str)) => {}
            }
            drop(place);
        });
    }
}

async fn carry(
    mut child: TcpStream,
    shared: &TunnelShared,
    credentials: Option<&str>,
) -> std::io::Result<()> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let head = tokio::time::timeout(PATIENCE, read_head(&mut child))
        .await
        .map_err(late)??;
    let asked = match TunnelRequest::parse(&head) {
        Ok(asked) => asked,
        Err(NotCarried::PlainHttp(host)) => {
            let what = format!("http://{host}");
            shared.remember(&what);
            let why =
                format!("refused {what}: only https is carried to the hosts that the plan allows");
            return refuse(child, 403, &why).await;
        }
        Err(NotCarried::NotUnderstood(why)) => return refuse(child, 400, why).await,
    };
    if credentials.is_some() && asked.credentials.as_deref() != credentials {
        return refuse(child, 407, "this way is another child's").await;
    }
    if !shared
        .allowed
        .iter()
        .any(|host| host.as_str() == asked.host)
    {
        shared.remember(&asked.host);
        let why = format!(
            "refused {}: the plan's network does not allow it",
            asked.host
        );
        return refuse(child, 403, &why).await;
    }
    let connected = tokio::time::timeout(
        PATIENCE,
        connect(&asked.host, asked.port, shared.proxy.as_ref()),
    )
    .await;
    let mut host = match connected.unwrap_or_else(|_| Err(UNANSWERED.to_owned())) {
        Ok(host) => host,
        Err(why) => {
            shared.remember_unreached(&asked.host, Some(&why));
            return refuse(
                child,
                502,
                &format!("failed to reach {}: {why}", asked.host),
            )
            .await;
        }
    };
    shared.remember_unreached(&asked.host, None);
    child
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    tokio::io::copy_bidirectional(&mut child, &mut host).await?;
    Ok(())
}

async fn refuse(mut child: TcpStream, status: u16, why: &str) -> std::io::Result<()> {
    let reason = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        407 => "Proxy Authentication Required",
        _ => "Bad Gateway",
    };
    let body = format!("omk: {why}\n");
    let length = body.len();
    // git sends what it knows only when it is asked for it.
    let ask = if status == 407 {
        "Proxy-Authenticate: Basic realm=\"omk\"\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\n{ask}Content-Type: text/plain\r\nContent-Length: {length}\r\n"
    );
    child
        .write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
        .await?;
    child.shutdown().await
}

#[cfg(test)]
mod tests;
