//! Where answers come from: the provider, or a cassette. Both give the same [`UpstreamResponse`].
//!
//! It refuses to follow redirects, and shows the key to nobody but the provider.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde_json::json;

use super::cassette::Recording;
use super::{AnswerEnding, Config, GatewayError, ProviderError, ProviderKey, Timeouts, Upstream};
use crate::model::ProviderRefusal;

/// An answer on its way.
pub(super) struct UpstreamResponse {
    pub(super) status: u16,
    /// The headers that matter to an agent, in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: BoxStream<'static, Result<Bytes, ()>>,
    /// How long it may fall silent; `None` = for ever.
    pub(super) stall: Option<Duration>,
    /// What is wrong with it, where that is not to be read from its body.
    pub(super) error: Option<ProviderError>,
}

impl UpstreamResponse {
    /// What stands in for an answer that has not come.
    pub(super) fn none() -> Self {
        Self {
            status: 200,
            headers: BTreeMap::new(),
            body: stream::pending().boxed(),
            stall: None,
            error: None,
        }
    }
}

/// Headers of an answer that matter to an agent, or to omk.
const KEPT: [&str; 4] = ["content-type", "retry-after", "retry-after-ms", "date"];

/// Headers of a request that a provider may want to see. The rest tells of the machine, or is ours
/// to say.
const PASSED_ON: [&str; 4] = ["accept", "user-agent", "x-msh-platform", "x-msh-version"];

/// Where answers come from.
#[derive(Debug)]
pub(super) enum AnswerSource {
    Live {
        client: reqwest::Client,
        url: String,
        key: ProviderKey,
        timeouts: Timeouts,
    },
    Cassette,
}

impl AnswerSource {
    pub(super) fn new(config: &Config) -> Result<Self, GatewayError> {
        match &config.upstream {
            Upstream::Cassette { dir: _ } => Ok(Self::Cassette),
            Upstream::Live { base_url, key } => {
                let url = format!("{}/chat/completions", base_url.trim_end_matches('/'));
                let client = client(base_url, config.timeouts)?;
                Ok(Self::Live {
                    client,
                    url,
                    key: key.clone(),
                    timeouts: config.timeouts,
                })
            }
        }
    }

    /// The key, so that it can be taken out of what a provider echoes.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Live { key, .. } => Some(key.reveal()).filter(|key| !key.is_empty()),
            Self::Cassette => None,
        }
    }
}

pub(super) fn client(base_url: &str, timeouts: Timeouts) -> Result<reqwest::Client, GatewayError> {
    // Another part of the program may have been first; all of them mean ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = reqwest::Url::parse(base_url)
        .ok()
        .filter(|url| url.has_host());
    let address = address.ok_or_else(|| GatewayError::BaseUrl(base_url.to_owned()))?;
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeouts.connect)
        .tcp_nodelay(true);
    match address.scheme() {
        "https" => {}
        // Without TLS no roots are needed, and a bare container has none.
        "http" => builder = builder.tls_certs_only([]),
        _ => return Err(GatewayError::BaseUrl(base_url.to_owned())),
    }
    if matches!(
        address.host_str(),
        Some("127.0.0.1" | "localhost" | "[::1]")
    ) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(GatewayError::Client)
}

/// Asks the provider. Trouble on the way becomes an answer that the agent understands.
pub(super) async fn ask_live(
    (client, url, key, timeouts): (&reqwest::Client, &str, &ProviderKey, Timeouts),
    headers: &HeaderMap,
    body: Bytes,
) -> UpstreamResponse {
    let mut request = client
        .post(url)
        .bearer_auth(key.reveal())
        .header("content-type", "application/json");
    request = request.header("accept-encoding", "identity");
    for name in PASSED_ON {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    match tokio::time::timeout(timeouts.answer, request.body(body).send()).await {
        Err(_) => {
            let waited = timeouts.answer.as_secs();
            refusal(
                504,
                "silent",
                &format!("the model's provider gave no answer in {waited} s"),
            )
        }
        Ok(Err(error)) if error.is_connect() => refusal(
            502,
            "connect",
            &format!(
                "the model's provider at {} could not be reached: {}",
                host(url),
                cause(&error)
            ),
        ),
        Ok(Err(error)) => refusal(
            502,
            "dropped",
            &format!(
                "the connection to the model's provider broke: {}",
                cause(&error)
            ),
        ),
        Ok(Ok(response)) if response.status().is_redirection() => refusal(
            400,
            "redirect",
            "the model's provider answers with a redirect; correct `base_url`",
        ),
        Ok(Ok(response)) => UpstreamResponse {
            status: response.status().as_u16(),
            headers: kept(response.headers()),
            body: response
                .bytes_stream()
                .map(|chunk| chunk.map_err(|_| ()))
                .boxed(),
            stall: Some(timeouts.stall),
            error: None,
        },
    }
}

/// The part of an address that a person knows it by: scheme, host and port.
fn host(url: &str) -> String {
    reqwest::Url::parse(url)
        .map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}

/// Why a request came to nothing, in a few words of ours.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    let mut said = String::new();
    while let Some(source) = innermost.source() {
        innermost = source;
        said = format!("{said}\n{innermost}");
        if let Some(known) = innermost
            .downcast_ref::<std::io::Error>()
            .and_then(|error| of_machine(error.kind()))
        {
            return known.to_owned();
        }
    }
    let said = said.to_lowercase();
    let known = [
        ("dns error", "its name is not known"),
        ("certificate", "its certificate is not trusted here"),
        ("invalid http", "it does not speak HTTP"),
        ("invalid message", "it does not speak TLS"),
        ("corrupt message", "it does not speak TLS"),
        ("connection closed", "the connection was closed"),
        ("incompletemessage", "the connection was closed"),
    ];
    if error.is_timeout() {
        return "there was no answer".to_owned();
    }
    let known = known
        .iter()
        .find(|(sign, _)| said.contains(sign))
        .map(|(_, words)| (*words).to_owned());
    known.unwrap_or_else(|| {
        said.trim()
            .lines()
            .next_back()
            .unwrap_or("for no reason that it gave")
            .to_owned()
    })
}

/// What the machine itself says of a connection.
fn of_machine(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => "the connection was cut",
        ErrorKind::UnexpectedEof => "the connection was closed",
        ErrorKind::TimedOut => "there was no answer",
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "there is no way to it",
        _ => return None,
    })
}

pub(super) fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let one = |name: &&str| {
        Some((
            (*name).to_owned(),
            headers.get(*name)?.to_str().ok()?.to_owned(),
        ))
    };
    KEPT.iter().filter_map(one).collect()
}

/// An answer that omk itself gives.
pub(super) fn refusal(status: u16, kind: &str, message: &str) -> UpstreamResponse {
    let body = json!({"error": {"message": format!("omk: {message}"), "type": kind}}).to_string();
    let told = matches!(kind, "silent" | "connect" | "dropped");
    let error = ProviderError {
        status: (!told).then_some(status),
        retry_after: None,
        kind: kind.to_owned(),
        message: message.to_owned(),
    };
    UpstreamResponse {
        status,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: stream::iter([Ok(Bytes::from(body))]).boxed(),
        stall: None,
        error: Some(error),
    }
}

/// A recorded answer as one on its way.
pub(super) fn play(recording: &Recording, key: &str, wants_stream: bool) -> UpstreamResponse {
    let seed = key.replace('/', "-");
    let (content_type, chunks) = match &recording.turn {
        Some(turn) if wants_stream => ("text/event-stream", turn.to_events(&seed, recording.end)),
        Some(turn) => (
            "application/json",
            vec![turn.to_completion(&seed).to_string()],
        ),
        None => ("application/json", vec![recording.body_text()]),
    };
    let mut headers = recording.headers.clone();
    if recording.turn.is_some() {
        headers.insert("content-type".to_owned(), content_type.to_owned());
    } else {
        headers
            .entry("content-type".to_owned())
            .or_insert_with(|| content_type.to_owned());
    }
    let chunks = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))));
    let body = match recording.end {
        AnswerEnding::Complete => chunks.boxed(),
        AnswerEnding::Dropped => chunks.chain(stream::iter([Err(())])).boxed(),
        // The agent went away then; so it will now, by its own clock.
        AnswerEnding::Cancelled => chunks.chain(stream::pending()).boxed(),
    };
    UpstreamResponse {
        status: recording.status,
        headers,
        body,
        stall: None,
        error: None,
    }
}

/// Reads what a provider says of its own trouble.
pub(super) fn read_error(
    status: u16,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    hide: &dyn Fn(&str) -> String,
) -> ProviderError {
    let ProviderRefusal { kind, message } = ProviderRefusal::read(body).shown(hide);
    ProviderError {
        status: Some(status),
        retry_after: retry_after(headers),
        kind,
        message,
    }
}

/// `retry-after` in seconds or as a date, the latter counted from the answer's own date; or
/// `retry-after-ms`.
fn retry_after(headers: &BTreeMap<String, String>) -> Option<Duration> {
    if let Some(millis) = headers
        .get("retry-after-ms")
        .and_then(|text| text.trim().parse().ok())
    {
        return Some(Duration::from_millis(millis));
    }
    let text = headers.get("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let now = chrono::DateTime::parse_from_rfc2822(headers.get("date")?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests;
