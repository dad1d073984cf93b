//! Who the token is, and what others may do.
//!
//! It refuses to give rights to whom GitLab has blocked, and to anybody whose membership is over.

use serde::Deserialize;

use super::GitLab;
use super::wire::GitLabUser;
use crate::forge::ForgeError;
use crate::trust::{Account, PermissionAnswer, Rights};

/// What GitLab calls its access levels, highest first.
const LEVELS: [(u64, &str); 7] = [
    (50, "Owner"),
    (40, "Maintainer"),
    (30, "Developer"),
    (20, "Reporter"),
    (15, "Planner"),
    (10, "Guest"),
    (5, "Minimal Access"),
];

#[derive(Deserialize)]
struct Member {
    id: u64,
    state: String,
    access_level: u64,
    /// A day, at whose beginning the membership ends.
    expires_at: Option<String>,
    membership_state: Option<String>,
}

#[derive(Deserialize)]
struct OwnJob {
    user: GitLabUser,
}

#[derive(Deserialize)]
struct OwnToken {
    scopes: Vec<String>,
}

/// Scopes of a token that let nobody change anything.
const READING: [&str; 5] = [
    "read_api",
    "read_user",
    "read_repository",
    "read_registry",
    "read_virtual_registry",
];

impl Member {
    /// Whether the membership counts on that day, written like `2026-11-22`.
    fn is_active(&self, today: &str) -> bool {
        self.state == "active"
            && self
                .membership_state
                .as_deref()
                .is_none_or(|state| state == "active")
            && self.expires_at.as_deref().is_none_or(|day| day > today)
    }
}

fn rights(level: u64) -> Rights {
    Rights {
        triage: level >= 20,
        push: level >= 30,
        maintain: level >= 40,
        admin: level >= 50,
    }
}

fn word(level: u64) -> &'static str {
    LEVELS
        .iter()
        .find(|(least, _)| level >= *least)
        .map_or("none", |(_, word)| word)
}

impl GitLab {
    /// Who the token is; asked for once. A job's token is whoever started the job.
    ///
    /// # Errors
    /// Where GitLab does not tell.
    pub async fn me(&self) -> Result<Account, ForgeError> {
        let ask = || {
            self.speaker
                .within("tell who the token is", self.ask_who_i_am())
        };
        self.me.get_or_try_init(ask).await.cloned()
    }

    async fn ask_who_i_am(&self) -> Result<Account, ForgeError> {
        let what = "tell who the token is";
        if self.of_job {
            return Ok(self
                .speaker
                .read_json::<OwnJob>(what, "/job")
                .await?
                .user
                .into());
        }
        Ok(self
            .speaker
            .read_json::<GitLabUser>(what, "/user")
            .await?
            .into())
    }

    /// Whether the token's scopes let it change anything; `None` where GitLab does not tell. A
    /// job's token is not asked about. Source: <https://docs.gitlab.com/api/personal_access_tokens>.
    ///
    /// # Errors
    /// Where GitLab does not answer.
    pub async fn may_write(&self) -> Result<Option<bool>, ForgeError> {
        if self.of_job {
            return Ok(Some(false));
        }
        let what = "tell what the token is for";
        let asked = self
            .speaker
            .find_json::<OwnToken>(what, "/personal_access_tokens/self");
        let token = match self.speaker.within(what, asked).await {
            Err(ForgeError::Forbidden { .. }) => None,
            answer => answer?,
        };
        Ok(token.map(|token| {
            token
                .scopes
                .iter()
                .any(|scope| !READING.contains(&scope.as_str()))
        }))
    }

    /// What somebody may do here, by the number of their account. `None` where they are no member.
    ///
    /// # Errors
    /// Where GitLab does not tell; that is no permission.
    pub async fn permission(&self, account: u64) -> Result<Option<PermissionAnswer>, ForgeError> {
        let what = format!("read the permission of the account {account}");
        self.speaker
            .within(&what, self.ask_permission(&what, account))
            .await
    }

    async fn ask_permission(
        &self,
        what: &str,
        account: u64,
    ) -> Result<Option<PermissionAnswer>, ForgeError> {
        let path = format!("{}/members/all/{account}", self.path);
        let Some(member) = self.speaker.find_json::<Member>(what, &path).await? else {
            return Ok(None);
        };
        if member.id != account {
            return Err(self
                .speaker
                .nonsense(what, &format!("it is about the account {}", member.id)));
        }
        let today = self
            .speaker
            .clock
            .now()
            .to_utc()
            .format("%Y-%m-%d")
            .to_string();
        if !member.is_active(&today) {
            let permission = "none".to_owned();
            return Ok(Some(PermissionAnswer {
                permission,
                rights: Some(Rights::default()),
                ..Default::default()
            }));
        }
        let user: GitLabUser = self
            .speaker
            .read_json(what, &format!("/users/{account}"))
            .await?;
        Ok(Some(PermissionAnswer {
            permission: word(member.access_level).to_owned(),
            role_name: None,
            rights: Some(rights(member.access_level)),
            bot: Account::from(user).bot,
        }))
    }
}
