//! The door: who may ask, and for what.
//!
//! It refuses every other host, path and method, tokens it did not give out, and requests that are
//! too long.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::attempt::AdmittedAttempt;
use super::cassette::{request_for_people, turns_since_user};
use super::relay::{Relay, Tape, refuse};
use super::upstream::{self, AnswerSource, UpstreamResponse};
use super::{GatewayShared, Scrub};
use crate::fact::Limit;
use crate::id::Sha256;
use crate::model::Wire;

/// Moonshot takes 2 MiB of messages; a longer request than this is not one. It is read into a tree
/// of values, which takes up to forty times as much memory.
const LONGEST_REQUEST: usize = 16 << 20;

/// Members by which some providers choose another model than the one that was asked for.
const OTHER_MODELS: [&str; 2] = ["models", "route"];

/// A listener, and for whom it is.
#[derive(Clone)]
struct Door {
    inner: Arc<GatewayShared>,
    /// The attempt in whose room it is; `None` = it is this machine's.
    room: Option<Arc<AdmittedAttempt>>,
}

/// Serves until the gateway is dropped, or the attempt whose `room` the listener is in is over.
pub(super) fn spawn(
    listener: tokio::net::TcpListener,
    inner: Arc<GatewayShared>,
    room: Option<Arc<AdmittedAttempt>>,
) {
    let stop = room
        .as_ref()
        .map_or_else(|| inner.stop.clone(), |attempt| attempt.closed.clone());
    let router = Router::new()
        .fallback(answer)
        .with_state(Door { inner, room });
    tokio::spawn(async move {
        let serving = axum::serve(listener, router);
        tokio::select! {
            () = stop.cancelled() => {}
            // It only ends by itself if the listener is gone.
            _ = serving.into_future() => {}
        }
    });
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    let inner = &door.inner;
    let (head, body) = request.into_parts();
    if !is_ours(&head.headers, inner.port) {
        return refuse(421, "this door is for this machine only");
    }
    let Some(attempt) = admitted(inner, &head.headers).filter(|attempt| door.is_of(attempt)) else {
        return refuse(401, "this token is not, or no longer, admitted");
    };
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/chat/completions") => {}
        (&Method::GET, "/v1/models") => return models(inner),
        _ => return refuse(404, "only POST /v1/chat/completions is served here"),
    }
    let Ok(body) = axum::body::to_bytes(body, LONGEST_REQUEST).await else {
        return refuse(413, "the request is too long, or broke off");
    };
    // One at a time: many large requests at once must not take all memory.
    let asked = {
        let _turn = inner.reading.lock().await;
        ModelRequest::read(
            &body,
            inner.config.model.as_deref(),
            inner.config.wire.as_ref(),
        )
    };
    drop(body);
    match asked {
        Ok(asked) => pass_on(inner, &attempt, &head.headers, asked).await,
        Err(why) => refuse(400, &why),
    }
}

impl Door {
    /// Whether an attempt is served here.
    fn is_of(&self, attempt: &Arc<AdmittedAttempt>) -> bool {
        match &self.room {
            Some(room) => Arc::ptr_eq(room, attempt),
            None => !attempt.has_room.load(std::sync::atomic::Ordering::Acquire),
        }
    }
}

/// Another page's script may reach a loopback port under a name of its own; the host tells.
fn is_ours(headers: &HeaderMap, port: u16) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}")
}

fn admitted(inner: &GatewayShared, headers: &HeaderMap) -> Option<Arc<AdmittedAttempt>> {
    let token = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    inner
        .admitted()
        .get(&Sha256::of(token.as_bytes()))
        .map(Arc::clone)
}

fn models(inner: &GatewayShared) -> Response {
    let models = inner
        .config
        .model
        .iter()
        .map(|id| json!({"id": id, "object": "model"}));
    let list = json!({"object": "list", "data": models.collect::<Vec<_>>()}).to_string();
    let head = Response::builder().header(header::CONTENT_TYPE, "application/json");
    head.body(Body::from(list)).unwrap_or_default()
}

/// A request that was understood.
struct ModelRequest {
    body: Bytes,
    said: Value,
    streams: bool,
}

impl ModelRequest {
    fn read(body: &[u8], model: Option<&str>, wire: Option<&Wire>) -> Result<Self, String> {
        let said: Value =
            serde_json::from_slice(body).map_err(|_| "the request is not JSON".to_owned())?;
        let Value::Object(mut request) = said else {
            return Err("the request is not a JSON object".to_owned());
        };
        let wanted = request.get("model").and_then(Value::as_str).unwrap_or("");
        if let Some(model) = model.filter(|model| *model != wanted) {
            return Err(format!("the plan's model is `{model}`, not `{wanted}`"));
        }
        // Some providers take more than a boolean for one, and would stream what is not counted.
        let streams = match request.get("stream") {
            None | Some(Value::Null) => false,
            Some(stream) => stream
                .as_bool()
                .ok_or_else(|| "`stream` is true or false".to_owned())?,
        };
        for name in OTHER_MODELS {
            request.remove(name);
        }
        if streams {
            // What is not counted is not served.
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if let Some(wire) = wire {
            wire.translate(&mut request);
        }
        // Written again even if nothing changed: of two members with one name, the provider must
        // read the one that was judged here.
        let said = Value::Object(request);
        Ok(Self {
            body: said.to_string().into(),
            said,
            streams,
        })
    }
}

async fn pass_on(
    inner: &GatewayShared,
    attempt: &Arc<AdmittedAttempt>,
    headers: &HeaderMap,
    asked: ModelRequest,
) -> Response {
    if inner.ledger.broken().borrow().is_some() {
        attempt.over_budget();
        return refuse(402, "the run's budget is used up");
    }
    attempt.asked(Instant::now());
    let turns = turns_since_user(&asked.said);
    let words = words_of(&asked);
    // From here on the answer is accounted for, even if the agent goes away before it comes.
    let mut relay = Relay::new(Arc::clone(attempt), scrub(inner));
    let meter = Arc::clone(relay.meter());
    let going_out = async {
        meter.reserve(words).await?;
        meter.ask().await;
        Ok::<(), Limit>(())
    };
    tokio::select! {
        () = attempt.closed.cancelled() => return refuse(401, "the attempt is over"),
        gone = going_out => if gone.is_err() {
            attempt.over_budget();
            return refuse(402, "the run's budget is used up");
        },
    }
    meter.sent();
    if let Some(shelf) = &attempt.recorded {
        relay.record_as(Tape {
            key: shelf.next_key(turns),
            request: request_for_people(&asked.said),
            scrub: scrub(inner),
        });
    }
    let ModelRequest {
        body,
        said,
        streams,
    } = asked;
    drop(said);
    let answer = match &inner.source {
        AnswerSource::Live {
            client,
            url,
            key,
            timeouts,
        } => {
            let asking = upstream::ask_live((client, url, key, *timeouts), headers, body);
            tokio::select! {
                () = attempt.closed.cancelled() => return refuse(401, "the attempt is over"),
                answer = asking => answer,
            }
        }
        AnswerSource::Cassette => played(attempt, turns, streams),
    };
    relay.arrived(answer);
    relay.into_response(inner.source.key()).await
}

/// A picture counts as so many bytes of words: providers take about a thousand tokens for one,
/// however many bytes it has.
const PICTURE: u64 = 4_000;

/// How much there is to read in a request, in bytes of words.
fn words_of(asked: &ModelRequest) -> u64 {
    let mut rest = vec![&asked.said];
    let mut words = asked.body.len() as u64;
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(parts) => rest.extend(parts),
            Value::Object(parts) => rest.extend(parts.values()),
            Value::String(text) if text.starts_with("data:") => {
                words = words
                    .saturating_sub(text.len() as u64)
                    .saturating_add(PICTURE.min(text.len() as u64));
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    words
}

/// The recorded answer; a miss is one that the CLI does not retry.
fn played(attempt: &AdmittedAttempt, turns: u32, streams: bool) -> UpstreamResponse {
    let Some(shelf) = &attempt.played else {
        return upstream::refusal(400, "cassette", "there is no cassette");
    };
    let key = shelf.next_key(turns);
    match shelf.load(&key) {
        Ok(recording) => upstream::play(&recording, &key, streams),
        Err(error) => {
            attempt.missed(error.to_string());
            upstream::refusal(400, "cassette", &error.to_string())
        }
    }
}

fn scrub(inner: &GatewayShared) -> Scrub {
    let further = Arc::clone(&inner.config.scrub);
    match inner.source.key().map(str::to_owned) {
        Some(key) => Arc::new(move |text| further(&text.replace(&key, "***"))),
        None => further,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_count_as_so_many_words_however_deep_they_lie() {
        let words = |said: Value| {
            words_of(&ModelRequest {
                body: said.to_string().into(),
                said,
                streams: true,
            })
        };
        let with = |text: &str| json!({"messages": [{"content": [{"image_url": {"url": text}}, {"text": text}]}]});
        let frame = words(with(""));
        for (text, counts) in [
            (format!("data:{}", "A".repeat(100_000)), PICTURE),
            (format!("data:{}", "A".repeat(95)), 100),
            (format!(" data:{}", "A".repeat(99_994)), 100_000),
        ] {
            assert_eq!(words(with(&text)), frame + 2 * counts);
        }
    }
}
