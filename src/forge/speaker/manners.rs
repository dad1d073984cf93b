//! How to ask and to write without being a nuisance: reads are repeated a few times, waits are
//! obeyed, writes are spaced, and none is sent again before somebody looked whether it was done.
//!
//! It refuses to wait for longer than its [`Patience`](super::Patience), and to read pages without
//! end.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Dialect, Failed, ForgeAnswer, RequestFailure, Speaker, Write};
use crate::forge::ForgeError;

/// How often a read is tried: a forge that fails three times in a row, seconds apart, has an
/// incident.
const TRIES: u32 = 3;

/// How often one request obeys a wish to wait; a limit that is still there after that will stay.
const WAITS: u32 = 5;

/// The pages of a list that are read: three thousand comments are a conversation that nobody has.
const MOST_PAGES: u32 = 30;

/// What a page holds at most.
const PAGE: usize = 100;

/// What is left of the willingness to wait.
struct WaitBudget {
    left: Duration,
    times: u32,
}

impl WaitBudget {
    async fn wait(&mut self, what: &str, wait: Duration) -> Result<(), ForgeError> {
        if wait > self.left || self.times == 0 {
            return Err(ForgeError::Limited {
                what: what.to_owned(),
                wait,
            });
        }
        self.left -= wait;
        self.times -= 1;
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl<D: Dialect> Speaker<D> {
    fn waits(&self) -> WaitBudget {
        WaitBudget {
            left: self.patience.wait,
            times: WAITS,
        }
    }

    /// The pause before something is tried once more: about a second, doubling; short where writes
    /// need no space.
    async fn pause(&self, tried: u32) {
        let first = self
            .spacing
            .clamp(Duration::from_millis(10), Duration::from_secs(2));
        tokio::time::sleep(first * 2_u32.pow(tried.min(3))).await;
    }

    /// Asks, and asks again where the forge has trouble.
    pub(in crate::forge) async fn read(
        &self,
        what: &str,
        path: &str,
        kind: (&str, usize),
    ) -> Result<ForgeAnswer, ForgeError> {
        self.repeat(what, || self.get(what, path, kind)).await
    }

    /// Asks a question by POST, which changes nothing, as often as a read.
    pub(in crate::forge) async fn query(
        &self,
        what: &str,
        url: &str,
        body: &Value,
    ) -> Result<ForgeAnswer, ForgeError> {
        self.repeat(what, || self.inquire(what, url, body)).await
    }

    /// Does a thing that changes nothing until it is done, a few times at most.
    pub(in crate::forge) async fn repeat<T, F>(
        &self,
        what: &str,
        ask: impl Fn() -> F,
    ) -> Result<T, ForgeError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let (mut waits, mut tried) = (self.waits(), 0);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Wait(wait)) => waits.wait(&self.shown(what), wait).await?,
                Err(Failed::Trouble(RequestFailure::Certain(error))) => return Err(error),
                Err(Failed::Trouble(RequestFailure::Doubt(said))) => {
                    tried += 1;
                    if tried == TRIES {
                        return Err(self.unavailable(what, &said));
                    }
                    self.pause(tried - 1).await;
                }
            }
        }
    }

    pub(in crate::forge) async fn read_json<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, ForgeError> {
        let answer = self.read(what, path, self.json()).await?;
        answer.json().map_err(|said| self.nonsense(what, &said))
    }

    /// `None` where there is no such thing.
    pub(in crate::forge) async fn find_json<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Option<T>, ForgeError> {
        absent(self.read_json(what, path).await)
    }

    /// One page of a list, counted from 1, and whether there is another.
    pub(in crate::forge) async fn page<P, T>(
        &self,
        (what, path): (&str, &str),
        number: u32,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<(Vec<T>, bool), ForgeError>
    where
        P: DeserializeOwned,
    {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}per_page={PAGE}&page={number}");
        let answer = self.read(what, &path, self.json()).await?;
        let items = items(answer.json().map_err(|said| self.nonsense(what, &said))?);
        let more = answer.has_next_page().unwrap_or(items.len() >= PAGE);
        Ok((items, more))
    }

    /// All of a list. One of more than thirty pages is an error: what is cut off silently is found
    /// missing later.
    pub(in crate::forge) async fn all<P, T>(
        &self,
        what: &str,
        path: &str,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, ForgeError>
    where
        P: DeserializeOwned,
    {
        let mut all = Vec::new();
        for number in 1..=MOST_PAGES {
            let (some, more) = self.page((what, path), number, &items).await?;
            all.extend(some);
            if !more {
                return Ok(all);
            }
        }
        Err(self.nonsense(
            what,
            &format!("the list has more than {MOST_PAGES} pages of {PAGE}; omk reads no more"),
        ))
    }

    /// The items of a list from its start that are wanted, out of at most thirty pages; whether the
    /// list ended.
    pub(in crate::forge) async fn first<P, T>(
        &self,
        (what, path): (&str, &str),
        items: impl Fn(P) -> Vec<T>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<(Vec<T>, bool), ForgeError>
    where
        P: DeserializeOwned,
    {
        let mut found = Vec::new();
        for number in 1..=MOST_PAGES {
            let (some, more) = self.page((what, path), number, &items).await?;
            found.extend(some.into_iter().filter(&wanted));
            if !more {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }

    /// Sends a write when it is its turn, and again after waits that the forge asked for.
    async fn send_in_turn(&self, write: &Write) -> Result<ForgeAnswer, RequestFailure> {
        let mut last = self.last_write.lock().await;
        let mut waits = self.waits();
        loop {
            if let Some(last) = &*last {
                tokio::time::sleep(self.spacing.saturating_sub(last.elapsed())).await;
            }
            *last = Some(self.clock.stopwatch());
            match self.send(write).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Trouble(trouble)) => return Err(trouble),
                Err(Failed::Wait(wait)) => {
                    waits
                        .wait(&self.shown(&write.what), wait)
                        .await
                        .map_err(RequestFailure::Certain)?;
                }
            }
        }
    }

    /// Writes. In doubt it looks whether the thing is there; only where it is not, it sends once
    /// more, and looks again.
    pub(in crate::forge) async fn write<T, F>(
        &self,
        write: &Write,
        look: impl Fn() -> F,
    ) -> Result<T, ForgeError>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<Option<T>, ForgeError>>,
    {
        let mut doubt = String::new();
        for tried in 0..2 {
            doubt = match self.send_in_turn(write).await {
                Ok(answer) => match answer.json() {
                    Ok(done) => return Ok(done),
                    Err(said) => said,
                },
                Err(RequestFailure::Certain(error)) => return Err(error),
                Err(RequestFailure::Doubt(said)) => said,
            };
            self.pause(tried).await;
            if let Some(there) = look().await? {
                return Ok(there);
            }
        }
        Err(self.unavailable(&write.what, &doubt))
    }
}

/// `None` where there is no such thing.
pub(in crate::forge) fn absent<T>(answer: Result<T, ForgeError>) -> Result<Option<T>, ForgeError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ForgeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
