//! Repositories that have not all of their objects, and fetching those that are missing.

use std::collections::BTreeSet;
use std::path::Path;

use git2::Repository;

use super::Git;
use crate::git::error::GitError;
use crate::git::repo::Repo;
use crate::git::tree::Listing;

/// Fetches the blobs that a partial clone does not have, all at once.
pub(in crate::git) fn fetch_missing(
    repo: &Repo,
    objects: &Repository,
    listing: &Listing,
    list: &Path,
) -> Result<(), GitError> {
    let config = objects
        .config()
        .map_err(GitError::lib("read git's configuration"))?;
    let Some(remote) = promisor(&config) else {
        return Ok(());
    };
    let odb = objects
        .odb()
        .map_err(GitError::lib("open the object store"))?;
    let wanted = listing
        .files()
        .filter(|(_, entry)| !entry.is_submodule() && !odb.exists(entry.oid));
    let lines: BTreeSet<String> = wanted
        .map(|(_, entry)| format!("{}\n", entry.oid))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    std::fs::write(list, lines.into_iter().collect::<String>())
        .map_err(GitError::io("write", list))?;
    let git = Git::on_network(repo, "fetch what this partial clone does not have", "fetch");
    let options = [
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--recurse-submodules=no",
        "--filter=blob:none",
    ];
    git.args(options)
        .args(["--stdin", "--", &remote])
        .run(list)?;
    odb.refresh()
        .map_err(GitError::lib("open the object store"))
}

/// Whether a repository may lack objects, and fetches them when they are wanted.
pub(in crate::git) fn is_partial(objects: &Repository) -> bool {
    objects
        .config()
        .is_ok_and(|config| promisor(&config).is_some())
}

/// The remote that a partial clone gets missing objects from.
fn promisor(config: &git2::Config) -> Option<String> {
    if let Ok(remote) = config.get_string("extensions.partialclone") {
        return Some(remote);
    }
    let mut found = None;
    let entries = config.entries(Some("^remote\\..*\\.promisor$")).ok()?;
    let _ = entries.for_each(|entry| {
        let name = String::from_utf8_lossy(entry.name_bytes());
        let remote = name
            .strip_prefix("remote.")
            .and_then(|rest| rest.strip_suffix(".promisor"));
        if entry.value_bytes() == b"true" && found.is_none() {
            found = remote.map(str::to_owned);
        }
    });
    found
}
