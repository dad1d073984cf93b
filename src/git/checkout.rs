//! A CI job's token, taken out of the checkout that a runner of GitLab's made with it.
//!
//! The runner leaves it in the checkout's settings: in the remote's address, in a rewriting of
//! addresses, in a header, or in a file that those include. It refuses to change anything else, and
//! to follow a link.

use std::collections::BTreeSet;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::GitError;
use crate::exec::secret::Secret;
use crate::plain_file;

/// Files that are looked at; a checkout has one, and one for each submodule.
const FILES: usize = 200;

/// A file of settings is shorter.
const LARGEST: u64 = 1 << 20;

/// The user whose password a job's token is.
const USER: &str = "gitlab-ci-token";

/// The variable that holds it, which a credential helper may name instead.
const NAME: &str = "CI_JOB_TOKEN";

/// Takes the token out of the settings of the checkout in `dir`, and of what they include; the
/// files that were changed. Nothing where there is no checkout.
///
/// # Errors
/// Where a file that holds the token cannot be written.
pub fn take_token_out(dir: &Path, token: &Secret) -> Result<Vec<PathBuf>, GitError> {
    let mut wanted = settings_of(&dir.join(".git"));
    let (mut seen, mut changed) = (BTreeSet::new(), Vec::new());
    while let Some(file) = wanted.pop() {
        if seen.len() == FILES || !seen.insert(file.clone()) {
            continue;
        }
        let Some(text) = read(&file) else { continue };
        wanted.extend(included(&text, file.parent().unwrap_or(dir)));
        let without = without(&text, token);
        if without != text {
            write(&file, &without).map_err(GitError::io("take the job's token out of", &file))?;
            changed.push(file);
        }
    }
    Ok(changed)
}

/// The checkout's own settings, those of its work tree, and those of its submodules.
fn settings_of(git: &Path) -> Vec<PathBuf> {
    let mut files = vec![git.join("config"), git.join("config.worktree")];
    let mut directories = vec![git.join("modules")];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            if directories.len() + files.len() >= FILES {
                break;
            }
            let inside = entry.path();
            if inside.join("HEAD").is_file() {
                files.push(inside.join("config"));
                directories.push(inside.join("modules"));
            } else {
                directories.push(inside);
            }
        }
    }
    files
}

fn read(file: &Path) -> Option<String> {
    String::from_utf8(plain_file::read(file, LARGEST).ok()?).ok()
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(flags)
        .open(file)?;
    out.write_all(text.as_bytes())
}

/// The files that a file of settings includes, on whatever condition.
fn included(text: &str, directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.to_ascii_lowercase().starts_with("include");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside)
            && key.trim().eq_ignore_ascii_case("path")
        {
            found.push(directory.join(value.trim().trim_matches('"')));
        }
    }
    found
}

/// The same settings without the token: an address keeps all but its user, a line that cannot do
/// without it goes.
fn without(text: &str, token: &Secret) -> String {
    let token = token.expose();
    let pair = STANDARD.encode(format!("{USER}:{token}"));
    // A header's value may be cut where three bytes end.
    let telling = [token, pair.trim_end_matches('=')];
    let of_user = format!("{USER}:{token}@");
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = line.replace(&of_user, "");
        let helper =
            line.trim_start().to_ascii_lowercase().starts_with("helper") && line.contains(NAME);
        if helper || telling.iter().any(|secret| line.contains(secret)) {
            continue;
        }
        out.push_str(&line);
    }
    out
}

#[cfg(test)]
mod tests;
