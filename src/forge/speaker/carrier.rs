//! What carries requests: no redirects, so that no token goes astray, and an end for everything.
//!
//! It refuses addresses that hold a password, and files of certificates that hold none.

use std::path::Path;
use std::time::Duration;

use crate::forge::ForgeError;

/// The largest file of certificates that is read: a system's whole list has a quarter of that.
const MOST_AUTHORITIES: u64 = 1 << 20;

/// How long a forge is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub silence: Duration,
    /// In all, for one request, where the forge asks to be left alone. Longer wishes end as
    /// [`ForgeError::Limited`].
    pub wait: Duration,
    /// For one call with all its requests, pauses and waits.
    pub call: Duration,
}

impl Default for Patience {
    /// GitHub itself gives up on a request after 10 seconds; two minutes of waiting fit into what a
    /// job may idle.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            wait: Duration::from_secs(120),
            call: Duration::from_secs(600),
        }
    }
}

/// A client for the API at that address; `what` names the forge, `variable` what holds the address.
pub(super) fn carrier(
    (what, variable): (&str, &str),
    api: &str,
    patience: Patience,
    authorities: Option<&Path>,
) -> Result<reqwest::Client, ForgeError> {
    let unfit = |said: String| ForgeError::Misconfigured {
        what: what.to_owned(),
        said,
    };
    // Another part of the program may have been first; all of them mean ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = reqwest::Url::parse(api).ok();
    let url =
        url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    let Some(url) =
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
    else {
        return Err(unfit(format!(
            "the API's address is no plain http(s) URL; {variable} holds it"
        )));
    };
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience.connect)
        .read_timeout(patience.silence)
        .tcp_nodelay(true);
    if url.scheme() == "http" {
        // Without TLS no roots are needed, and a bare container has none.
        builder = builder.tls_certs_only([]);
    } else if let Some(file) = authorities {
        builder = builder.tls_certs_merge(certificates(file).map_err(unfit)?);
    }
    if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        builder = builder.no_proxy();
    }
    let said = "the HTTP client cannot start: are there certificates and a sound proxy setting?";
    builder.build().map_err(|_| unfit(said.to_owned()))
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    use std::io::Read as _;
    let named = file.display();
    let opened = std::fs::File::open(file);
    let read = opened.and_then(|opened| {
        let mut bytes = Vec::new();
        opened
            .take(MOST_AUTHORITIES)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    });
    let bytes =
        read.map_err(|error| format!("cannot read the certificates in {named}: {error}"))?;
    let found = reqwest::Certificate::from_pem_bundle(&bytes).unwrap_or_default();
    if found.is_empty() {
        return Err(format!(
            "{named} holds no certificates as PEM (`-----BEGIN CERTIFICATE-----`)"
        ));
    }
    Ok(found)
}
