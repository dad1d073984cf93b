//! GitHub Apps: from a private key to a token for one repository.
//!
//! It refuses to ask for more than this repository, whatever the App is installed on.

use std::time::Duration;

use octocrab::auth::{EncodingKey, create_jwt};
use serde::Deserialize;
use serde_json::json;

use super::{GitHub, Patience, owner_and_name};
use crate::exec::secret::Secret;
use crate::forge::ForgeError;
use crate::forge::speaker::{Verb, Write};

/// What is wrong with a key that is none.
const NO_KEY: &str = "the App's private key is not the PEM file of an RSA key, as GitHub hands it out: it \
                                 begins with `-----BEGIN RSA PRIVATE KEY-----`, and its lines matter";

/// An App, where it is installed on the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Good for an hour, and for nothing but the repository.
    pub token: Secret,
    /// What the App is called in addresses; its account is `slug[bot]`. For [`GitHub::as_app`].
    pub slug: String,
}

#[derive(Deserialize)]
struct RawInstallation {
    id: u64,
    app_slug: String,
}

#[derive(Deserialize)]
struct RawToken {
    token: String,
}

impl GitHub {
    /// A token of the App's installation on the repository, good for an hour, for nothing but this
    /// repository.
    ///
    /// # Errors
    /// As [`GitHub::installation`].
    pub async fn app_token(
        api: &str,
        repository: &str,
        app: u64,
        private_key: &Secret,
    ) -> Result<Secret, ForgeError> {
        Self::installation(api, repository, app, private_key)
            .await
            .map(|installation| installation.token)
    }

    /// The App's installation on the repository, with a token for nothing but this repository.
    ///
    /// # Errors
    /// [`ForgeError::Misconfigured`] where the key is none; [`ForgeError::Unauthorized`] where it
    /// is not that App's; [`ForgeError::NotFound`] where the App is not installed on the
    /// repository.
    pub async fn installation(
        api: &str,
        repository: &str,
        app: u64,
        private_key: &Secret,
    ) -> Result<Installation, ForgeError> {
        let (owner, name) = owner_and_name(repository)?;
        let patience = Patience::default();
        let speaker =
            super::dialect::speaker(api, signature(app, private_key)?, Duration::ZERO, patience)?;
        let mint = async {
            let what = format!("find where the App {app} is installed on {repository}");
            let path = format!("/repos/{owner}/{name}/installation");
            let found: RawInstallation = speaker.read_json(&what, &path).await?;
            let write = Write {
                what: format!(
                    "get a token of the App `{}` for {repository}",
                    found.app_slug
                ),
                verb: Verb::Post,
                path: format!("/app/installations/{}/access_tokens", found.id),
                body: json!({ "repositories": [name] }),
            };
            // A token that got lost on the way is nobody's, and ends within the hour: there is
            // nothing to look for.
            let minted: RawToken = speaker.write(&write, || async { Ok(None) }).await?;
            Ok(Installation {
                token: Secret::new(minted.token),
                slug: found.app_slug,
            })
        };
        match tokio::time::timeout(patience.call, mint).await {
            Ok(minted) => minted,
            Err(_) => Err(speaker.unavailable("get a token of the App", "given up")),
        }
    }
}

/// What proves to GitHub, for nine minutes, that the App asks.
fn signature(app: u64, private_key: &Secret) -> Result<Secret, ForgeError> {
    // A PEM file that went through an environment file has its line ends spelt out.
    let pem = Secret::new(private_key.expose().trim().replace("\\n", "\n"));
    let key = EncodingKey::from_rsa_pem(pem.expose().as_bytes());
    let signed = key.and_then(|key| create_jwt(app.into(), &key));
    let unusable = || ForgeError::Misconfigured {
        what: "sign as the App".into(),
        said: NO_KEY.into(),
    };
    signed.map(Secret::new).map_err(|_| unusable())
}
