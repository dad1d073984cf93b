//! What GitLab's answers share: accounts and seconds.
//!
//! Answers are read leanly: what omk does not use is not looked at, so that it cannot be wrong. It
//! refuses to know a bot from a person where GitLab does not tell: an account in a list has but its
//! name.

use serde::Deserialize;

use crate::id::{CommitId, Moment};
use crate::trust::Account;

/// Somebody, as GitLab tells of them.
#[derive(Debug, Deserialize)]
pub(super) struct GitLabUser {
    pub(super) id: u64,
    username: String,
    /// Told where one is asked for, not in lists.
    bot: Option<bool>,
}

impl From<GitLabUser> for Account {
    fn from(user: GitLabUser) -> Self {
        let bot = user.bot == Some(true) || is_named_like_a_bot(&user.username);
        Self {
            id: user.id,
            login: user.username,
            bot,
        }
    }
}

/// Whether it is named as GitLab names the accounts of project and group access tokens:
/// `project_7_bot_4f2a`.
fn is_named_like_a_bot(username: &str) -> bool {
    let rest = username
        .strip_prefix("project_")
        .or_else(|| username.strip_prefix("group_"));
    let parts = rest.and_then(|rest| rest.split_once("_bot"));
    parts.is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The second that a moment is in, at its start.
pub(super) fn second(moment: Moment) -> Moment {
    Moment::from_millis(moment.as_millis().div_euclid(1000) * 1000)
}

/// The id of no commit, where GitLab does not tell one: nothing is equal to it that anybody could
/// have pushed.
pub(super) fn no_commit() -> CommitId {
    "0".repeat(40)
        .parse()
        .expect("forty zeros are the id of a commit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_s_account_is_known_by_its_name() {
        for bot in [
            "project_7_bot",
            "project_123_bot_4f2a9c",
            "group_9_bot_0a",
            "project_7_bot2",
        ] {
            assert!(is_named_like_a_bot(bot), "{bot}");
        }
        for person in [
            "ann",
            "project_x_bot",
            "robot",
            "project_7",
            "my_project_7_bot",
            "project__bot",
        ] {
            assert!(!is_named_like_a_bot(person), "{person}");
        }
    }

    #[test]
    fn times_are_cut_to_the_second() {
        assert_eq!(
            second(Moment::from_millis(1_999)),
            Moment::from_millis(1_000)
        );
        assert_eq!(second(Moment::from_millis(-1)), Moment::from_millis(-1_000));
    }
}
