//! Who the token is, and what others may do.
//!
//! It refuses to judge a permission: it hands on GitHub's own words.

use serde::Deserialize;

use super::GitHub;
use super::wire::{GitHubUser, encoded, segment};
use crate::forge::ForgeError;
use crate::trust::{Account, PermissionAnswer, Rights};

/// Who the token of a workflow's job is.
const ACTIONS: &str = "github-actions[bot]";

#[derive(Deserialize)]
struct RawPermission {
    #[serde(default)]
    permission: String,
    role_name: Option<String>,
    user: Option<Collaborator>,
}

#[derive(Deserialize)]
struct Collaborator {
    permissions: Option<Listed>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Listed {
    triage: bool,
    push: bool,
    maintain: bool,
    admin: bool,
}

impl From<RawPermission> for PermissionAnswer {
    fn from(answer: RawPermission) -> Self {
        let listed = answer.user.and_then(|user| user.permissions);
        let rights = listed.map(
            |Listed {
                 triage,
                 push,
                 maintain,
                 admin,
             }| Rights {
                triage,
                push,
                maintain,
                admin,
            },
        );
        Self {
            permission: answer.permission,
            role_name: answer.role_name,
            rights,
            bot: false,
        }
    }
}

impl GitHub {
    /// Who the token is; asked for once. A job's own token is `github-actions[bot]`; that of an App
    /// is known by [`GitHub::as_app`] alone, since GitHub tells the two apart nowhere.
    ///
    /// # Errors
    /// Where GitHub does not tell.
    pub async fn me(&self) -> Result<Account, ForgeError> {
        let ask = || self.within("tell who the token is", self.ask_who_i_am());
        self.me.get_or_try_init(ask).await.cloned()
    }

    async fn ask_who_i_am(&self) -> Result<Account, ForgeError> {
        if let Some(slug) = &self.app_slug {
            return self.user(&format!("{slug}[bot]")).await;
        }
        match self
            .speaker
            .read_json::<GitHubUser>("tell who the token is", "/user")
            .await
        {
            Ok(user) => Ok(user.into()),
            // "Resource not accessible by integration": an App's token, as that of a job is.
            Err(ForgeError::Forbidden { said, .. }) if said.contains("integration") => {
                self.user(ACTIONS).await
            }
            Err(error) => Err(error),
        }
    }

    async fn user(&self, login: &str) -> Result<Account, ForgeError> {
        let path = format!("/users/{}", encoded(login));
        let user: GitHubUser = self
            .speaker
            .read_json(&format!("look up the account {login}"), &path)
            .await?;
        Ok(user.into())
    }

    /// What somebody may do here. `None` where the forge does not know them.
    ///
    /// # Errors
    /// Where GitHub does not tell; that is no permission.
    pub async fn permission(&self, login: &str) -> Result<Option<PermissionAnswer>, ForgeError> {
        let what = format!("read the permission of {login}");
        let Some(name) = segment(login) else {
            return Ok(None);
        };
        let path = format!("{}/collaborators/{name}/permission", self.path);
        let found = self
            .within(&what, self.speaker.find_json::<RawPermission>(&what, &path))
            .await?;
        Ok(found.map(PermissionAnswer::from))
    }
}
