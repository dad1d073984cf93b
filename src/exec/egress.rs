//! How the caller's machine reaches the rest of the network, as its variables say: certificates and
//! proxies.
//!
//! It refuses to hand a proxy's user and password to children: who needs those gets a way through
//! omk itself.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;

use super::environment::Caller;

/// Variables that name certificates to trust: a file, or a list of directories.
pub(crate) const CERTIFICATES: [&str; 8] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
];

/// Variables that name a proxy, in lower case; upper case counts, too.
const PROXIES: [&str; 3] = ["https_proxy", "http_proxy", "all_proxy"];

/// Whom nobody asks through a proxy: this machine, where omk's gateway listens.
const THIS_MACHINE: &str = "127.0.0.1,localhost,::1";

/// The certificates that the caller trusts: each variable, and what it leads to, without links. A
/// variable that leads nowhere is left out, for most tools end with an error then.
pub(crate) fn certificates(caller: &Caller) -> Vec<(&'static str, Vec<PathBuf>)> {
    let found = CERTIFICATES.into_iter().filter_map(|name| {
        let value = caller.text(name)?;
        let paths: Vec<PathBuf> = if name == "SSL_CERT_DIR" {
            std::env::split_paths(value).collect()
        } else {
            vec![value.into()]
        };
        let real = paths
            .iter()
            .filter(|path| path.is_absolute())
            .filter_map(|path| std::fs::canonicalize(path).ok());
        let real: Vec<PathBuf> = real.filter(|path| path.parent().is_some()).collect();
        (!real.is_empty()).then_some((name, real))
    });
    found.collect()
}

/// The variables by which a child on the machine's network finds the caller's proxy. One with a
/// user or a password in it is left out.
#[must_use]
pub fn proxies(caller: &Caller) -> Vec<(String, String)> {
    let spelled = PROXIES
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()]);
    let set = spelled.filter_map(|name| Some((caller.text(&name)?.to_owned(), name)));
    let mut found: Vec<(String, String)> = set
        .filter(|(value, _)| !has_login(value))
        .map(|(value, name)| (name, value))
        .collect();
    if found.is_empty() {
        return found;
    }
    let except = caller.text("no_proxy").or_else(|| caller.text("NO_PROXY"));
    let except = except.map_or(THIS_MACHINE.to_owned(), |except| {
        format!("{except},{THIS_MACHINE}")
    });
    found.extend(["no_proxy", "NO_PROXY"].map(|name| (name.to_owned(), except.clone())));
    // Node.js reads the others only if it is told to.
    found.extend(
        caller
            .text("NODE_USE_ENV_PROXY")
            .map(|value| ("NODE_USE_ENV_PROXY".to_owned(), value.to_owned())),
    );
    found
}

/// The caller's variables that [`proxies`] leaves out, for they hold a user or a password.
#[must_use]
pub fn withheld(caller: &Caller) -> Vec<String> {
    let spelled = PROXIES
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()]);
    spelled
        .filter(|name| caller.text(name).is_some_and(has_login))
        .collect()
}

/// Whether a variable of that name and value is a proxy's address with a user or a password in it.
pub(crate) fn is_proxy_with_login(name: &str, value: &str) -> bool {
    name.to_ascii_lowercase().contains("proxy") && has_login(value)
}

/// Whether an address may hold a user or a password. A password may have any character in it, so an
/// `@` anywhere is enough.
fn has_login(address: &str) -> bool {
    address.contains('@')
}

/// The caller's proxy for `https`, as omk itself uses it for its children.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    login: Option<String>,
    except: Vec<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A proxy that omk cannot speak to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("use the proxy in {variable}: omk speaks only to one of `http://HOST:PORT`")]
pub struct UnknownProxy {
    variable: String,
}

impl Proxy {
    /// The proxy that the caller's variables name, if one does.
    ///
    /// # Errors
    /// Where it is not a proxy of HTTP without TLS, which is what omk can speak to.
    pub fn of(caller: &Caller) -> Result<Option<Self>, UnknownProxy> {
        // In the order in which curl looks.
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let Some((variable, address)) = names
            .iter()
            .find_map(|name| Some((*name, caller.text(name)?)))
        else {
            return Ok(None);
        };
        let unknown = || UnknownProxy {
            variable: variable.to_owned(),
        };
        let whole = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let url = reqwest::Url::parse(&whole)
            .ok()
            .filter(|url| url.scheme() == "http")
            .ok_or_else(unknown)?;
        let host = url
            .host_str()
            .ok_or_else(unknown)?
            .trim_matches(['[', ']'])
            .to_owned();
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let mut login = decoded(url.username());
            login.push(b':');
            login.extend(decoded(url.password().unwrap_or("")));
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(login)
            )
        });
        let except = caller
            .text("no_proxy")
            .or_else(|| caller.text("NO_PROXY"))
            .unwrap_or("");
        let except = except
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty());
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Some(Self {
            host,
            port,
            login,
            except: except.collect(),
        }))
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Whether it is asked for that host, in lower case; if not, the caller's list says so.
    #[must_use]
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        !self.except.iter().any(|except| {
            let (name, only) = match except.rsplit_once(':') {
                Some((name, only)) if only.parse::<u16>().is_ok() => {
                    (name, only.parse::<u16>().ok())
                }
                _ => (except.as_str(), None),
            };
            let name = name.trim_start_matches('*').trim_start_matches('.');
            let matches = except == "*"
                || (!name.is_empty()
                    && host
                        .strip_suffix(name)
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
            matches && only.is_none_or(|only| only == port)
        })
    }

    /// The request by which it makes a connection to a host.
    #[must_use]
    pub fn request(&self, host: &str, port: u16) -> String {
        let login = self
            .login
            .as_ref()
            .map(|login| format!("Proxy-Authorization: {login}\r\n"))
            .unwrap_or_default();
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n")
    }
}

/// What `%40` and the like stand for.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests;
