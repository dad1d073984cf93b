//! An answer passing through: counted, timed, recorded, and cut where it must be.
//!
//! It refuses to hold bytes back, but for what may be the beginning of the key: what has come goes
//! on at once. A stream that ends without its own end is broken off towards the agent too, since
//! the CLI takes a truncated answer for a whole one.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::Instant;

use super::attempt::{AdmittedAttempt, Meter};
use super::cassette::Recording;
use super::turn::AnswerEnding;
use super::upstream::{UpstreamResponse, read_error};
use super::{ProviderError, Scrub};
use crate::model::ProviderRefusal;
use crate::text::{ScrubStream, Scrubber};

/// An answer that is not a stream is small; one over this many bytes is broken.
const LONGEST_WHOLE: usize = 16 << 20;

/// What to keep of an answer, and under which key.
pub(super) struct Tape {
    pub(super) key: String,
    pub(super) request: Value,
    pub(super) scrub: Scrub,
}

/// An answer on its way to the agent.
pub(super) struct Relay {
    attempt: Arc<AdmittedAttempt>,
    meter: Arc<Meter>,
    answer: UpstreamResponse,
    tape: Option<Tape>,
    /// The text of an answer that is not a stream.
    whole: Option<String>,
    ending: Option<AnswerEnding>,
    /// Takes secrets out of what the provider says of its own trouble.
    scrub: Scrub,
    /// Takes the key out of a stream: an agent keeps records of what it is sent.
    mask: Option<ScrubStream>,
}

/// What came next.
enum Next {
    Chunk(Bytes),
    End,
    Broken(&'static str),
    /// The pass was closed, or a limit is used up.
    Cut,
}

impl Relay {
    /// One whose answer has not come yet.
    pub(super) fn new(attempt: Arc<AdmittedAttempt>, scrub: Scrub) -> Self {
        let meter = attempt.open_meter();
        Self {
            attempt,
            meter,
            answer: UpstreamResponse::none(),
            tape: None,
            whole: None,
            ending: None,
            scrub,
            mask: None,
        }
    }

    /// Keeps the answer.
    pub(super) fn record_as(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    /// Counts the answer.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The answer has come. A request that was turned down costs nothing.
    pub(super) fn arrived(&mut self, answer: UpstreamResponse) {
        if !(200..300).contains(&answer.status) {
            self.meter.turned_down();
        }
        self.answer = answer;
    }

    /// The response to the agent, without `key`.
    pub(super) async fn into_response(mut self, key: Option<&str>) -> Response {
        let content_type = self
            .answer
            .headers
            .get("content-type")
            .map_or_else(String::new, |kind| kind.to_lowercase());
        self.mask = key.map(|key| Scrubber::new([key]).prompt_stream());
        if (200..300).contains(&self.answer.status) && content_type.starts_with("text/event-stream")
        {
            self.pass_stream()
        } else {
            self.pass_whole().await
        }
    }

    fn head(&self) -> axum::http::response::Builder {
        let status = StatusCode::from_u16(self.answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let shown = self
            .answer
            .headers
            .iter()
            .filter(|(name, _)| name.as_str() != "date");
        shown.fold(Response::builder().status(status), |head, (name, value)| {
            head.header(name, value)
        })
    }

    fn pass_stream(self) -> Response {
        let head = self.head();
        let chunks = stream::unfold(Some(self), |relay| async {
            let mut relay = relay?;
            match relay.next().await {
                Next::Chunk(chunk) => Some((Ok(relay.without_key(chunk)), Some(relay))),
                Next::End => relay.rest().map(|rest| (Ok(rest), None)),
                Next::Broken(_) | Next::Cut => {
                    // A pause, in which the server sends what it has; an error would make it drop
                    // that.
                    tokio::task::yield_now().await;
                    Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
                }
            }
        });
        head.body(Body::from_stream(chunks)).unwrap_or_default()
    }

    fn without_key(&mut self, chunk: Bytes) -> Bytes {
        let Some(mask) = &mut self.mask else {
            return chunk;
        };
        let mut clean = Vec::with_capacity(chunk.len());
        mask.push(&chunk, &mut clean);
        clean.into()
    }

    /// What was held back at the end, as it could have been the beginning of the key.
    fn rest(&mut self) -> Option<Bytes> {
        let mut rest = Vec::new();
        self.mask.as_mut()?.finish(&mut rest);
        (!rest.is_empty()).then(|| rest.into())
    }

    async fn next(&mut self) -> Next {
        let next = self.pull().await;
        match &next {
            Next::Chunk(chunk) => {
                self.attempt.heard(Instant::now());
                self.meter.look_at(chunk);
                self.until_told().await;
            }
            Next::End if self.meter.refusal().is_some() || self.meter.is_complete() => {
                self.ending = Some(AnswerEnding::Complete);
                self.judge_complete();
            }
            Next::End => return self.broke("dropped", "the model's answer broke off"),
            Next::Broken(kind) => return self.broke(kind, "the model's answer broke off"),
            Next::Cut => self.ending = Some(AnswerEnding::Cancelled),
        }
        next
    }

    /// Before the agent has the end of an answer, the journal has its count.
    fn until_told(&self) -> impl Future<Output = ()> + use<> {
        let (attempt, meter) = (Arc::clone(&self.attempt), Arc::clone(&self.meter));
        async move {
            tokio::select! {
                () = attempt.closed.cancelled() => {}
                () = meter.tell() => {}
            }
        }
    }

    /// A whole answer may still hold an error, or nothing to act on.
    fn judge_complete(&self) {
        let empty = || {
            let empty = self.meter.turn().emptiness()?;
            Some(ProviderRefusal {
                kind: empty.as_str().to_owned(),
                message: empty.in_words().to_owned(),
            })
        };
        match self
            .meter
            .refusal()
            .map(|refusal| refusal.shown(&*self.scrub))
            .or_else(empty)
        {
            None => self.attempt.answered_well(),
            Some(ProviderRefusal { kind, message }) => {
                let status = Some(self.answer.status);
                self.attempt.failed(ProviderError {
                    status,
                    retry_after: None,
                    kind,
                    message,
                });
            }
        }
    }

    fn broke(&mut self, kind: &'static str, message: &str) -> Next {
        self.ending = Some(AnswerEnding::Dropped);
        let message = message.to_owned();
        self.attempt.failed(ProviderError {
            status: None,
            retry_after: None,
            kind: kind.to_owned(),
            message,
        });
        Next::Broken(kind)
    }

    async fn pull(&mut self) -> Next {
        let mut broken = self.attempt.ledger.broken();
        let body = &mut self.answer.body;
        let stall = self.answer.stall;
        let complete = self.meter.is_complete();
        let chunk = async {
            match stall {
                Some(stall) => tokio::time::timeout(stall, body.next())
                    .await
                    .map_err(|_| ()),
                None => Ok(body.next().await),
            }
        };
        tokio::select! {
            biased;
            () = self.attempt.closed.cancelled() => Next::Cut,
            _ = broken.wait_for(Option::is_some), if !complete => {
                self.attempt.over_budget();
                Next::Cut
            }
            chunk = chunk => match chunk {
                Ok(Some(Ok(chunk))) => Next::Chunk(chunk),
                Ok(None) => Next::End,
                // Some providers close the connection hard after their last word.
                Ok(Some(Err(()))) if complete => Next::End,
                Ok(Some(Err(()))) => Next::Broken("dropped"),
                Err(()) => Next::Broken("stalled"),
            },
        }
    }

    async fn pass_whole(mut self) -> Response {
        let mut body = Vec::new();
        let broken = loop {
            match self.pull().await {
                Next::Chunk(chunk) if body.len() + chunk.len() <= LONGEST_WHOLE => {
                    self.attempt.heard(Instant::now());
                    body.extend_from_slice(&chunk);
                }
                Next::Chunk(_) => break Some("not-an-answer"),
                Next::End => break None,
                Next::Broken(kind) => break Some(kind),
                Next::Cut => break Some("cut"),
            }
        };
        if let Some(kind) = broken {
            self.broke(kind, "the model's answer broke off");
            return refuse(502, "the model's answer broke off");
        }
        self.judge_whole(&body);
        self.until_told().await;
        let clean = [
            self.without_key(body.into()),
            self.rest().unwrap_or_default(),
        ]
        .concat();
        let text = String::from_utf8_lossy(&clean).into_owned();
        let response = self
            .head()
            .body(Body::from(text.clone()))
            .unwrap_or_default();
        self.whole = Some(text);
        self.ending = Some(AnswerEnding::Complete);
        response
    }

    fn judge_whole(&mut self, body: &[u8]) {
        let status = self.answer.status;
        if (200..300).contains(&status) {
            self.meter.look_at_whole(body);
            if self.meter.is_complete() {
                return self.judge_complete();
            }
        }
        let error = self.answer.error.take();
        let mut error =
            error.unwrap_or_else(|| read_error(status, &self.answer.headers, body, &*self.scrub));
        if error.message.is_empty() && (200..300).contains(&status) {
            "something came that is not a model's answer".clone_into(&mut error.message);
        }
        self.attempt.failed(error);
    }

    fn record(&mut self) {
        let (Some(tape), Some(shelf)) = (self.tape.take(), &self.attempt.recorded) else {
            return;
        };
        let mut recording = Recording {
            v: 1,
            request: Some(tape.request),
            status: self.answer.status,
            headers: self
                .answer
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), (self.scrub)(value)))
                .collect(),
            end: self.ending.unwrap_or(AnswerEnding::Cancelled),
            ..Recording::default()
        };
        recording.headers.remove("date");
        match self.whole.take() {
            Some(whole) if !self.meter.is_complete() => recording.body = Some(Value::String(whole)),
            Some(_) | None => recording.turn = Some(self.meter.turn()),
        }
        if let Err(error) = shelf.save(&tape.key, recording, &*tape.scrub) {
            self.attempt.unrecorded(error.to_string());
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.record();
        self.attempt.close_meter(&self.meter);
    }
}

/// A refusal of omk's own, in the provider's form.
pub(super) fn refuse(status: u16, message: &str) -> Response {
    let body = serde_json::json!({"error": {"message": format!("omk: {message}"), "type": "omk"}})
        .to_string();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let head = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    head.body(Body::from(body)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
