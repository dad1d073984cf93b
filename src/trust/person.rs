//! Who: what a forge says somebody may do, held against what the plan asks for.
//!
//! Nothing but the repository's permission counts: not who opened the pull request, not what a
//! forge calls their association. It refuses to read a custom role's name as a right.

use super::{Account, Comment, PermissionAnswer, Refusal};
use crate::command;
use crate::id::Sha256;
use crate::plan::{Commands, Permission};

/// The right that the forge's answer shows; `None` = none that counts, or none that is known.
///
/// The rights one by one decide where the forge lists them. Elsewhere `permission` says admin or
/// write, and the role's name tells only maintain from write and triage from read: any other name
/// may be a custom role.
#[must_use]
pub fn granted(answer: &PermissionAnswer) -> Option<Permission> {
    if let Some(rights) = answer.rights {
        let listed = [
            (rights.admin, Permission::Admin),
            (rights.maintain, Permission::Maintain),
            (rights.push, Permission::Write),
            (rights.triage, Permission::Triage),
        ];
        return listed
            .into_iter()
            .find(|(has, _)| *has)
            .map(|(_, right)| right);
    }
    match (answer.permission.as_str(), answer.role_name.as_deref()) {
        ("admin", _) => Some(Permission::Admin),
        ("write", Some("maintain")) => Some(Permission::Maintain),
        ("write", _) => Some(Permission::Write),
        ("read", Some("triage")) => Some(Permission::Triage),
        _ => None,
    }
}

/// Whether somebody may give commands. `answer` is what the forge says of the author now; `None` =
/// it does not know them, or did not answer.
pub fn may(
    commands: &Commands,
    author: Option<&Account>,
    me: &Account,
    answer: Option<&PermissionAnswer>,
) -> Result<(), Refusal> {
    let author = author.ok_or(Refusal::Gone)?;
    if author.id == me.id || author.login.eq_ignore_ascii_case(&me.login) {
        return Err(Refusal::Ours);
    }
    if commands
        .bots
        .iter()
        .any(|bot| bot.id == author.id && bot.login == author.login)
    {
        return Ok(());
    }
    if author.bot || answer.is_some_and(|answer| answer.bot) || author.login.ends_with("[bot]") {
        return Err(Refusal::Bot {
            login: author.login.clone(),
            id: author.id,
        });
    }
    if answer
        .and_then(granted)
        .is_some_and(|right| right >= commands.permission)
    {
        return Ok(());
    }
    let said = answer.map(|answer| {
        answer
            .role_name
            .as_ref()
            .unwrap_or(&answer.permission)
            .clone()
    });
    Err(Refusal::Permission {
        login: author.login.clone(),
        needs: commands.permission,
        said,
    })
}

/// An edited comment never counts: nobody knows any more what it said when it was read.
pub fn unedited(comment: &Comment) -> Result<(), Refusal> {
    if comment.updated == comment.created {
        Ok(())
    } else {
        Err(Refusal::Edited)
    }
}

/// The comments that approve the plan of that digest, oldest first. Each author is to be judged
/// with [`may`], as of now, before the approval counts.
#[must_use]
pub fn approved_by<'c>(digest: &Sha256, comments: &'c [Comment]) -> Vec<&'c Comment> {
    let approves = |comment: &&Comment| {
        unedited(comment).is_ok()
            && command::approvals(&comment.body).any(|named| named.begins(digest))
    };
    comments.iter().filter(approves).collect()
}
