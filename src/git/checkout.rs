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
mod tests {
    use super::*;

    fn token() -> Secret {
        Secret::new("glcbt-64_hushhush".to_owned())
    }

    fn checkout(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn holds(dir: &Path) -> bool {
        let pair = STANDARD.encode("gitlab-ci-token:glcbt-64_hushhush");
        let mut stack = vec![dir.to_owned()];
        while let Some(directory) = stack.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    stack.push(entry.path());
                } else if kind.is_file() {
                    let text = std::fs::read_to_string(entry.path()).unwrap();
                    if text.contains("hushhush") || text.contains(&pair) {
                        return true;
                    }
                }
            }
        }
        false
    }

    #[test]
    fn the_token_goes_from_every_place_where_a_runner_leaves_it() {
        let pair = STANDARD.encode("gitlab-ci-token:glcbt-64_hushhush");
        let own = format!(
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://gitlab-ci-token:glcbt-64_hushhush@host/a/b.git\n\
             \tfetch = +refs/heads/*:refs/remotes/origin/*\n[http \"https://host/\"]\n\textraheader = AUTHORIZATION: basic {pair}\n\
             [include]\n\tpath = ../../b.tmp/.gitlab-runner.ext.conf\n[includeIf \"gitdir:/x/\"]\n\tPATH = \"more.conf\"\n"
        );
        let rewritten = "[url \"https://gitlab-ci-token:glcbt-64_hushhush@host\"]\n\tinsteadOf = https://host\n[user]\n\tname = x\n";
        let helper = "[credential]\n\thelper = \"!f(){ echo password=${CI_JOB_TOKEN}; };f\"\n\tuseHttpPath = true\n";
        let dir = checkout(&[
            ("b/.git/config", &own),
            ("b.tmp/.gitlab-runner.ext.conf", rewritten),
            ("b/.git/more.conf", helper),
            ("b/.git/modules/deep/one/HEAD", "ref: refs/heads/main\n"),
            (
                "b/.git/modules/deep/one/config",
                "[remote \"o\"]\nurl=http://gitlab-ci-token:glcbt-64_hushhush@h/x\n",
            ),
        ]);
        let mut changed = take_token_out(&dir.path().join("b"), &token()).unwrap();
        changed.sort();
        assert_eq!(changed.len(), 4, "{changed:?}");
        assert!(!holds(dir.path()));
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(read("b/.git/config").contains("url = https://host/a/b.git\n"));
        assert!(
            read("b/.git/config").contains("bare = false")
                && !read("b/.git/config").contains("extraheader")
        );
        assert!(read("b.tmp/.gitlab-runner.ext.conf").contains("[url \"https://host\"]"));
        assert_eq!(
            read("b/.git/more.conf"),
            "[credential]\n\tuseHttpPath = true\n"
        );
        assert!(
            take_token_out(&dir.path().join("b"), &token())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn nothing_else_is_changed_and_no_link_is_followed() {
        let other = "[remote \"origin\"]\n\turl = https://me:mine@host/a.git\n[credential]\n\thelper = store\n";
        let dir = checkout(&[("b/.git/config", other), ("far", "glcbt-64_hushhush\n")]);
        std::os::unix::fs::symlink(
            dir.path().join("far"),
            dir.path().join("b/.git/config.worktree"),
        )
        .unwrap();
        assert!(
            take_token_out(&dir.path().join("b"), &token())
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            std::fs::read_to_string(dir.path().join("b/.git/config")).unwrap(),
            other
        );
        assert!(holds(dir.path()));
        assert!(
            take_token_out(&dir.path().join("nowhere"), &token())
                .unwrap()
                .is_empty()
        );
    }
}
