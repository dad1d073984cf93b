//! A scripted model: a server that speaks `/chat/completions` and answers from a script.
//!
//! Which script is told by a text in the user's prompt; which answer, by the number of assistant
//! messages since that prompt, so that parallel and resumed runs get the same ones. It thinks
//! before it speaks, and says everything in small pieces. It refuses what the real providers refuse
//! (`provider`), and to make answers up: past the end of a script it says so with status 418.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::provider;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// Words.
    Say(&'static str),
    /// Tools: (name, arguments).
    Use(Vec<(&'static str, Value)>),
    /// An HTTP status with a header and an error's type and message.
    Status(
        u16,
        Option<(&'static str, &'static str)>,
        &'static str,
        &'static str,
    ),
    /// Words, with another reason to stop.
    Finish(&'static str, &'static str),
    /// A web page.
    Page,
    /// Reasoning and nothing else, with that reason to stop.
    Reason(&'static str),
    /// Whatever: status, content type, body.
    Raw(u16, &'static str, &'static str),
    /// Nothing at all, with a good end.
    Nothing,
    /// A piece of reasoning every so many milliseconds, so many times, and then the words.
    Ponder(u64, u32, &'static str),
    /// A stream that is not one.
    Malformed,
    /// A stream that ends without its end.
    Truncated,
    /// A stream whose connection breaks.
    Dropped,
    /// No answer at all.
    Hanging,
    /// A first word and then nothing.
    Stalled,
    /// The first time the first, then the second, and so on; the last for ever.
    OneByOne(Vec<Turn>),
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) authorization: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// What the server does when it is asked for its models.
#[derive(Debug, Clone, Default)]
pub(crate) enum Offer {
    /// It lists those of the Kimi Platform.
    #[default]
    Platform,
    /// It is the subscription's address: other models, and only agents that it knows.
    Subscription,
    /// It gives this answer: status, content type, body.
    Other(u16, &'static str, String),
    /// It gives no answer at all.
    Silent,
}

#[derive(Debug)]
struct Inner {
    offer: Offer,
    /// Whether it refuses what Moonshot refuses.
    strict: bool,
    /// How often it was asked for its models.
    looked_up: Mutex<Vec<String>>,
    scripts: Vec<(&'static str, Vec<Turn>)>,
    asked: Mutex<Vec<Asked>>,
    times: Mutex<HashMap<(usize, usize), usize>>,
    /// How many answers were given up by the other side before their end.
    given_up: watch::Sender<usize>,
}

/// A running one; it ends with the test.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) base_url: String,
    inner: Arc<Inner>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Model {
    /// Starts one with scripts: (a text in the prompt, the answers).
    pub(crate) async fn start(scripts: Vec<(&'static str, Vec<Turn>)>) -> Self {
        Self::offering(Offer::Platform, scripts).await
    }

    /// A provider of other models, which takes any request.
    pub(crate) async fn unruly(offer: Offer, scripts: Vec<(&'static str, Vec<Turn>)>) -> Self {
        Self::serving(offer, false, scripts).await
    }

    /// The same, with another answer to `GET /models`.
    pub(crate) async fn offering(offer: Offer, scripts: Vec<(&'static str, Vec<Turn>)>) -> Self {
        Self::serving(offer, true, scripts).await
    }

    async fn serving(offer: Offer, strict: bool, scripts: Vec<(&'static str, Vec<Turn>)>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let given_up = watch::Sender::new(0);
        let (asked, times, looked_up) = (Mutex::default(), Mutex::default(), Mutex::default());
        let inner = Arc::new(Inner {
            offer,
            strict,
            looked_up,
            scripts,
            asked,
            times,
            given_up,
        });
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self {
            base_url,
            inner,
            serving,
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// The paths at which it was asked for its models.
    pub(crate) fn looked_up(&self) -> Vec<String> {
        self.inner.looked_up.lock().unwrap().clone()
    }

    /// Waits until so many answers were given up by the other side.
    pub(crate) async fn given_up(&self, times: usize) {
        self.inner
            .given_up
            .subscribe()
            .wait_for(|count| *count >= times)
            .await
            .unwrap();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.method == Method::GET {
        return look_up(&inner, head.uri.path()).await;
    }
    if head.uri.path() != "/v1/chat/completions" {
        return refused(&(
            404,
            "resource_not_found_error",
            "The requested resource was not found".to_owned(),
        ));
    }
    let authorization = head
        .headers
        .get("authorization")
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let body: Value =
        serde_json::from_slice(&axum::body::to_bytes(body, usize::MAX).await.unwrap()).unwrap();
    let asked = Asked {
        authorization,
        headers: head.headers.clone(),
        body: body.clone(),
    };
    inner.asked.lock().unwrap().push(asked);
    let subscription = matches!(inner.offer, Offer::Subscription);
    if inner.strict
        && let Some(refusal) = provider::refusal(subscription, &head.headers, &body)
    {
        return refused(&refusal);
    }
    let turn = choose(&inner, &body);
    perform(&inner, turn).await
}

async fn look_up(inner: &Inner, path: &str) -> Response {
    inner.looked_up.lock().unwrap().push(path.to_owned());
    let (status, kind, body) = match &inner.offer {
        Offer::Silent => std::future::pending().await,
        Offer::Other(status, kind, body) => (*status, *kind, body.clone()),
        Offer::Platform | Offer::Subscription if path != "/v1/models" => (
            404,
            "application/json",
            json!({"error": {"message": "not found", "type": "resource_not_found_error"}})
                .to_string(),
        ),
        Offer::Platform => (200, "application/json", provider::models(false).to_string()),
        Offer::Subscription => (200, "application/json", provider::models(true).to_string()),
    };
    let head = Response::builder().status(StatusCode::from_u16(status).unwrap());
    head.header("content-type", kind)
        .body(Body::from(body))
        .unwrap()
}

fn refused((status, kind, message): &provider::Refusal) -> Response {
    let body = json!({"error": {"message": message, "type": kind}}).to_string();
    let head = Response::builder().status(StatusCode::from_u16(*status).unwrap());
    head.header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap()
}

fn text_of(message: &Value) -> String {
    if let Some(text) = message["content"].as_str() {
        return text.to_owned();
    }
    message["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"].as_str())
        .collect()
}

fn choose(inner: &Inner, body: &Value) -> Turn {
    let (mut script, mut place) = (None, 0);
    for message in body["messages"].as_array().unwrap() {
        let text = text_of(message);
        match message["role"].as_str() {
            Some("user") if !text.trim_start().starts_with("<system-reminder>") => {
                let named = inner
                    .scripts
                    .iter()
                    .position(|(marker, _)| text.contains(marker));
                script = named.or(script);
                place = 0;
            }
            Some("assistant") => place += 1,
            _ => {}
        }
    }
    let over = Turn::Status(418, None, "script", "the script is over");
    // A compaction asks without the prompt; where there is only one script, it can be no other.
    let Some(script) = script.or((inner.scripts.len() == 1).then_some(0)) else {
        return over;
    };
    let turn = inner.scripts[script].1.get(place).cloned().unwrap_or(over);
    let mut times = inner.times.lock().unwrap();
    let time = times.entry((script, place)).or_insert(0);
    *time += 1;
    if let Turn::OneByOne(turns) = &turn {
        turns[(*time - 1).min(turns.len() - 1)].clone()
    } else {
        turn
    }
}

/// Counts an answer that is dropped before its end.
struct Open<'a>(&'a watch::Sender<usize>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

async fn perform(inner: &Arc<Inner>, turn: Turn) -> Response {
    match turn {
        Turn::Say(text) => events(spoken(text, "stop")),
        Turn::Finish(text, finish) => events(spoken(text, finish)),
        Turn::Use(calls) => events(used(&calls)),
        Turn::Status(status, header, kind, message) => {
            let mut response = refused(&(status, kind, message.to_owned()));
            if let Some((name, value)) = header {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Turn::Reason(finish) => events(vec![
            thought(),
            event(&json!({}), Some(finish)),
            "data: [DONE]\n\n".to_owned(),
        ]),
        Turn::Raw(status, kind, body) => {
            let head = Response::builder().status(StatusCode::from_u16(status).unwrap());
            head.header("content-type", kind)
                .body(Body::from(body))
                .unwrap()
        }
        Turn::Nothing => events(vec![
            event(&json!({}), Some("stop")),
            "data: [DONE]\n\n".to_owned(),
        ]),
        Turn::Ponder(pause, times, text) => {
            let pause = std::time::Duration::from_millis(pause);
            let thoughts = stream::iter(0..times).then(move |_| async move {
                tokio::time::sleep(pause).await;
                thought()
            });
            stream_of(
                thoughts
                    .chain(stream::iter(spoken(text, "stop")))
                    .map(Ok::<_, std::io::Error>),
            )
        }
        Turn::Page => Response::builder()
            .header("content-type", "text/html")
            .body(Body::from("<html>hi"))
            .unwrap(),
        Turn::Malformed => events(vec![
            "data: {\"choices\": [\n\n".to_owned(),
            "\u{0}garbage\n\n".to_owned(),
        ]),
        Turn::Truncated => events(spoken("par", "stop").into_iter().take(3).collect()),
        Turn::Dropped => {
            let first = spoken("par", "stop").into_iter().take(3).map(Ok);
            // The pause lets the server send what it has.
            let rest = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("the cable is out"))
            });
            stream_of(stream::iter(first).chain(rest))
        }
        Turn::Hanging => {
            let _open = Open(&inner.given_up);
            std::future::pending().await
        }
        Turn::Stalled => {
            let inner = Arc::clone(inner);
            let first = spoken("par", "stop")
                .into_iter()
                .take(3)
                .map(Ok::<_, std::io::Error>);
            let rest = stream::once(async move {
                let _open = Open(&inner.given_up);
                std::future::pending().await
            });
            stream_of(stream::iter(first).chain(rest))
        }
        Turn::OneByOne(_) => unreachable!("`choose` resolves it"),
    }
}

fn events(events: Vec<String>) -> Response {
    stream_of(stream::iter(
        events.into_iter().map(Ok::<_, std::io::Error>),
    ))
}

fn stream_of(
    chunks: impl stream::Stream<Item = std::io::Result<String>> + Send + 'static,
) -> Response {
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(chunks))
        .unwrap()
}

fn event(delta: &Value, finish: Option<&str>) -> String {
    let mut chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    if finish.is_some() {
        chunk["usage"] = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cached_tokens": 40,
            "completion_tokens_details": {"reasoning_tokens": 4}});
    }
    format!("data: {chunk}\n\n")
}

/// A piece of reasoning.
fn thought() -> String {
    event(&json!({"reasoning_content": "Let me see. "}), None)
}

/// Pieces of at most five characters, so that no path comes in one.
fn pieces(text: &str) -> Vec<String> {
    text.chars()
        .collect::<Vec<_>>()
        .chunks(5)
        .map(|piece| piece.iter().collect())
        .collect()
}

fn spoken(text: &str, finish: &str) -> Vec<String> {
    let mut events = vec![
        event(&json!({"role": "assistant", "content": ""}), None),
        thought(),
    ];
    events.extend(
        pieces(text)
            .iter()
            .map(|piece| event(&json!({"content": piece}), None)),
    );
    events.push(event(&json!({}), Some(finish)));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn used(calls: &[(&str, Value)]) -> Vec<String> {
    let mut events = vec![
        event(&json!({"role": "assistant", "content": ""}), None),
        thought(),
    ];
    for (index, (name, arguments)) in calls.iter().enumerate() {
        let head = json!({"index": index, "id": format!("{name}:{index}"), "type": "function",
            "function": {"name": name, "arguments": ""}});
        events.push(event(&json!({"tool_calls": [head]}), None));
        for piece in pieces(&arguments.to_string()) {
            let more = json!({"index": index, "function": {"arguments": piece}});
            events.push(event(&json!({"tool_calls": [more]}), None));
        }
    }
    events.push(event(&json!({}), Some("tool_calls")));
    events.push("data: [DONE]\n\n".to_owned());
    events
}
