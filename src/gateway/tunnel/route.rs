//! The way to a host: straight or through the caller's proxy, and never back to this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::request::read_head;
use crate::exec::egress::Proxy;

/// Connects to an allowed host. A name that leads to this machine's own services, or to those of
/// its cloud, is not what the plan's author meant; names below `localhost` say so themselves (RFC
/// 6761, 6.3).
///
/// # Errors
/// Why it is not reached, in words.
pub(super) async fn connect(
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
) -> Result<TcpStream, String> {
    if is_below_localhost(host) {
        return TcpStream::connect(("127.0.0.1", port))
            .await
            .map_err(|error| in_words(&error));
    }
    // The proxy looks names up itself: behind one, this machine often cannot.
    if let Some(proxy) = proxy.filter(|proxy| proxy.is_for(host, port)) {
        return connect_through(proxy, host, port).await;
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| "its name is not known here".to_owned())?;
    let addresses: Vec<SocketAddr> = found.filter(|address| is_elsewhere(address.ip())).collect();
    if addresses.is_empty() {
        return Err("its name leads to no address outside of this machine".to_owned());
    }
    TcpStream::connect(&addresses[..])
        .await
        .map_err(|error| in_words(&error))
}

async fn connect_through(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, String> {
    let (name, at) = proxy.address();
    let told = |said: &str| format!("the proxy {name}:{at} of this machine {said}");
    let stream = TcpStream::connect((name, at)).await;
    let mut stream =
        stream.map_err(|error| told(&format!("is not reached: {}", in_words(&error))))?;
    let broke = |_| told("broke off");
    stream
        .write_all(proxy.request(host, port).as_bytes())
        .await
        .map_err(broke)?;
    let head = read_head(&mut stream).await.map_err(broke)?;
    match head.split(' ').nth(1).filter(|status| status.len() == 3) {
        Some("200") => Ok(stream),
        Some("407") => Err(told("wants another login: it answered 407")),
        Some(status) => Err(told(&format!("answered {status}"))),
        None => Err(told("answered something else than HTTP")),
    }
}

/// What a host is that did not answer in time.
pub(super) const UNANSWERED: &str = "it does not answer";

/// Why there is no connection. "Refused" is kept for what omk itself refuses.
pub(super) fn in_words(error: &std::io::Error) -> String {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "no way leads there",
        ErrorKind::TimedOut => UNANSWERED,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => "the connection broke off",
        // A proxy's name is looked up on the way.
        _ if error.raw_os_error().is_none() => "its name is not known here",
        _ => "the connection failed",
    };
    words.to_owned()
}

pub(super) fn is_below_localhost(host: &str) -> bool {
    host.ends_with(".localhost")
}

/// Whether an address is neither this machine nor only its own link's. Only an address of this
/// machine can be listened at.
pub(super) fn is_elsewhere(address: IpAddr) -> bool {
    is_public(address) && std::net::UdpSocket::bind((address, 0)).is_err()
}

pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !v4.is_loopback()
                && !v4.is_unspecified()
                && !v4.is_link_local()
                && !v4.is_broadcast()
                && !v4.is_multicast()
        }
        IpAddr::V6(v6) => {
            !v6.is_loopback()
                && !v6.is_unspecified()
                && !v6.is_unicast_link_local()
                && !v6.is_multicast()
        }
    }
}
