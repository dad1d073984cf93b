//! What a child asks of the tunnel, and why it is not carried.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The head of a `CONNECT` has a name and a few lines; 8 KiB is what most servers take.
const LONGEST_HEAD: usize = 8 << 10;

/// Reads up to the empty line. Whoever sends more before the answer is not speaking HTTP.
pub(super) async fn read_head(from: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        head.push(from.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// A request that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TunnelRequest {
    /// In lower case.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) credentials: Option<String>,
}

/// Why a request is not carried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotCarried {
    /// What tools send to a proxy for `http://` in place of a `CONNECT`: anybody on the way could read and change it.
    PlainHttp(String),
    NotUnderstood(&'static str),
}

impl TunnelRequest {
    pub(super) fn parse(head: &str) -> Result<Self, NotCarried> {
        let not_understood = NotCarried::NotUnderstood;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or("").split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(not_understood("only CONNECT is carried: ask by https"));
        };
        if method != "CONNECT" {
            let host = target
                .strip_prefix("http://")
                .and_then(|rest| name(rest.split(['/', ':', '?', '#']).next()?));
            return Err(host.map_or(
                not_understood("only CONNECT is carried: ask by https"),
                NotCarried::PlainHttp,
            ));
        }
        let (host, port) = target
            .rsplit_once(':')
            .ok_or(not_understood("CONNECT takes a host and a port"))?;
        let port = port
            .parse()
            .map_err(|_| not_understood("CONNECT takes a host and a port"))?;
        let host = name(host).ok_or(not_understood("this is no name of a host"))?;
        let credentials =
            lines
                .filter_map(|line| line.split_once(':'))
                .find_map(|(name, value)| {
                    name.eq_ignore_ascii_case("proxy-authorization")
                        .then(|| value.trim().to_owned())
                });
        Ok(Self {
            host,
            port,
            credentials,
        })
    }
}

/// A name of DNS in lower case, without the final dot that some write. What it is not would be
/// shown to people.
pub(super) fn name(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_name =
        !host.is_empty() && host.len() <= 253 && host.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(host)
}
