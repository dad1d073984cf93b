//! Archives, from wherever a forge keeps them.
//!
//! A forge may answer with the address of another server, which is good for a minute and a secret.
//! That server gets no token, and no error names it. It refuses archives larger than the caller
//! says, whatever they claim.

use std::path::Path;

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::{Dialect, Failed, Speaker, doubt};
use crate::forge::ForgeError;
use crate::id::Sha256;

/// How often the other server may send us on.
const HOPS: usize = 3;

/// Where a forge keeps its archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forge) enum ArchivePlace {
    /// On another server, always.
    Elsewhere,
    /// On its own, or on another.
    Anywhere,
}

impl<D: Dialect> Speaker<D> {
    /// The archive at a path, refused where larger than `most` bytes; written to `to`, of which
    /// nothing is left where it fails. Its digest.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where it is gone or expired; [`ForgeError::Refused`] where it is
    /// too large; else where it does not come, or cannot be written.
    pub(in crate::forge) async fn archive(
        &self,
        (what, path): (&str, &str),
        kept: ArchivePlace,
        (most, to): (u64, &Path),
    ) -> Result<Sha256, ForgeError> {
        let load = self.repeat(what, || self.load((what, path), kept, (most, to)));
        let loaded = self.within(what, load).await;
        if loaded.is_err() {
            // A part of an archive is worse than none. That it is not there either is fine.
            drop(tokio::fs::remove_file(to).await);
        }
        match loaded {
            Err(ForgeError::Refused {
                what, status: 410, ..
            }) => Err(ForgeError::NotFound { what }),
            loaded => loaded,
        }
    }

    async fn load(
        &self,
        (what, path): (&str, &str),
        kept: ArchivePlace,
        (most, to): (u64, &Path),
    ) -> Result<Sha256, Failed> {
        let response = self.open(path).await?;
        if kept == ArchivePlace::Anywhere && response.status() == 200 {
            return self.store(what, response, (most, to)).await;
        }
        let Some(mut address) = leads_to(&response) else {
            let answer = self.receive(what, response, super::MOST_JSON).await?;
            let answer = self.judge(what, answer)?;
            return Err(self
                .nonsense(
                    what,
                    &format!("a redirect was expected, not {}", answer.status),
                )
                .into());
        };
        for _ in 0..HOPS {
            let response = self.ask_elsewhere(what, &address).await?;
            let Some(next) = leads_to(&response) else {
                return self.store(what, response, (most, to)).await;
            };
            address = next;
        }
        Err(doubt("the artifact's server sends us on and on"))
    }

    async fn ask_elsewhere(&self, what: &str, address: &str) -> Result<reqwest::Response, Failed> {
        let plain = self.api.starts_with("http://");
        let url = reqwest::Url::parse(address).ok();
        let url = url.filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"));
        let Some(url) = url else {
            return Err(self
                .nonsense(what, "the artifact's address is no https URL")
                .into());
        };
        self.http
            .get(url)
            .send()
            .await
            .map_err(|_| doubt("the artifact's server does not answer"))
    }

    async fn store(
        &self,
        what: &str,
        mut response: reqwest::Response,
        (most, to): (u64, &Path),
    ) -> Result<Sha256, Failed> {
        use sha2::Digest as _;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => {
                return Err(ForgeError::NotFound {
                    what: what.to_owned(),
                }
                .into());
            }
            // An address that is too old is answered with 403; there will be a fresh one.
            status => return Err(doubt(format!("the artifact's server answers {status}"))),
        }
        let too_large = || {
            let said = format!("it is larger than {most} bytes");
            Failed::from(ForgeError::Refused {
                what: what.to_owned(),
                status: 413,
                said,
            })
        };
        if response
            .content_length()
            .is_some_and(|claimed| claimed > most)
        {
            return Err(too_large());
        }
        let disk = |error: std::io::Error| {
            let said = format!("cannot write {}: {error}", to.display());
            Failed::from(ForgeError::Misconfigured {
                what: what.to_owned(),
                said,
            })
        };
        let mut file = File::create(to).await.map_err(disk)?;
        let (mut digest, mut read) = (sha2::Sha256::new(), 0_u64);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|_| doubt("the artifact broke off"))?
        {
            read += chunk.len() as u64;
            if read > most {
                return Err(too_large());
            }
            digest.update(&chunk);
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        Ok(Sha256::from_digest(&digest.finalize()))
    }
}

/// Where a redirect leads.
fn leads_to(response: &reqwest::Response) -> Option<String> {
    let location = response
        .headers()
        .get("location")
        .filter(|_| response.status().is_redirection())?;
    Some(location.to_str().unwrap_or_default().to_owned())
}
