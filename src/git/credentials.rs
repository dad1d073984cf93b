//! Credentials that a checkout keeps where whoever works in it can read them.
//!
//! It refuses to say what they are: only where.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::binary::Git;
use super::error::GitError;
use super::repo::Repo;

/// Reading settings takes milliseconds.
const MOST: Duration = Duration::from_secs(30);

/// One setting, and the file it is in.
struct Setting {
    file: String,
    key: String,
    value: String,
}

/// Whose settings they are.
enum SettingsOwner {
    /// The repository's or the work tree's own.
    Own,
    /// The person's, the machine's, or a file's that only some work trees read.
    Other,
}

impl Repo {
    /// Where this checkout keeps credentials, in words; `None` where it keeps none. Looked for are
    /// headers with an authorization, also in files that settings include only for some
    /// directory (as actions/checkout does it), a credential helper or a key of the
    /// repository's own, and addresses with a password.
    ///
    /// # Errors
    /// Where git cannot read its settings.
    pub fn persisted_credentials(&self) -> Result<Option<String>, GitError> {
        let git = Git::settings_of(self, "read git's settings");
        let out = git
            .args([
                "--list",
                "-z",
                "--show-scope",
                "--show-origin",
                "--includes",
            ])
            .hear(MOST, None)?
            .ok()?;
        for (scope, setting) in parse(&out, self.common_dir()) {
            let whose = if matches!(scope.as_str(), "local" | "worktree") {
                SettingsOwner::Own
            } else {
                SettingsOwner::Other
            };
            if let Some(what) = what_it_keeps(&setting, &whose) {
                return Ok(Some(format!("{what} in {}", setting.file)));
            }
            if let Some(path) = included(&setting)
                && let Some(found) = self.in_file(&path)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What a file keeps that is included on some condition.
    fn in_file(&self, path: &Path) -> Result<Option<String>, GitError> {
        if !path.is_file() {
            return Ok(None);
        }
        let git = Git::settings_of(self, "read git's settings").args([
            "--list",
            "-z",
            "--no-includes",
            "--file",
        ]);
        let heard = git.args([path]).hear(MOST, None)?;
        // What git cannot read it does not use either.
        let Ok(out) = heard.ok() else { return Ok(None) };
        let settings = out.split(|&byte| byte == 0).filter(|part| !part.is_empty());
        let keeps = settings.filter_map(|part| {
            what_it_keeps(
                &setting(&path.display().to_string(), part),
                &SettingsOwner::Own,
            )
        });
        Ok(keeps
            .map(|what| format!("{what} in {}", path.display()))
            .next())
    }
}

/// Pairs of scope and setting, as `git config --show-scope --show-origin -z` writes them.
fn parse(out: &[u8], directory: &Path) -> Vec<(String, Setting)> {
    let mut parts = out
        .split(|&byte| byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned());
    let mut found = Vec::new();
    while let (Some(scope), Some(origin), Some(text)) = (parts.next(), parts.next(), parts.next()) {
        let file = origin.strip_prefix("file:").unwrap_or(&origin);
        let file = directory.join(file).display().to_string();
        found.push((scope, setting(&file, text.as_bytes())));
    }
    found
}

fn setting(file: &str, text: &[u8]) -> Setting {
    let text = String::from_utf8_lossy(text);
    let (key, value) = text.split_once('\n').unwrap_or((&text, ""));
    Setting {
        file: file.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn what_it_keeps(setting: &Setting, whose: &SettingsOwner) -> Option<String> {
    let key = setting.key.to_ascii_lowercase();
    let value = setting.value.trim();
    if key.starts_with("http.")
        && key.ends_with("extraheader")
        && value.to_ascii_lowercase().contains("authorization")
    {
        return Some(format!(
            "a header with an authorization (`{}`)",
            without_password(&setting.key)
        ));
    }
    let own = match whose {
        SettingsOwner::Own => true,
        SettingsOwner::Other => false,
    };
    if own && key.starts_with("credential.") && key.ends_with("helper") && !value.is_empty() {
        return Some(format!(
            "a credential helper (`{}`)",
            without_password(&setting.key)
        ));
    }
    if own && key == "core.sshcommand" && value.contains(" -i") {
        return Some("an SSH key (`core.sshCommand`)".to_owned());
    }
    let rewritten =
        key.starts_with("url.") && (key.ends_with(".insteadof") || key.ends_with(".pushinsteadof"));
    let address =
        key.starts_with("remote.") && (key.ends_with(".url") || key.ends_with(".pushurl"));
    if rewritten && has_password(&setting.key) || address && has_password(value) {
        return Some(format!(
            "an address with a password (`{}`)",
            without_password(&setting.key)
        ));
    }
    None
}

/// Whether `https://user:password@host` or `https://token@host` is in it; `ssh://git@host` is harmless.
fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let user = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .rsplit_once('@')
        .map(|(user, _)| user);
    let scheme = scheme.to_ascii_lowercase();
    let over_http = scheme.ends_with("http") || scheme.ends_with("https");
    user.is_some_and(|user| over_http || user.contains(':'))
}

/// A key, without the user part of an address in it.
fn without_password(key: &str) -> String {
    match (key.find("://"), key.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}***{}", &key[..scheme + 3], &key[at..])
        }
        (_, _) => key.to_owned(),
    }
}

/// The file that a setting includes, on whatever condition.
fn included(setting: &Setting) -> Option<PathBuf> {
    let key = setting.key.to_ascii_lowercase();
    if !(key.starts_with("include.") || key.starts_with("includeif.")) || !key.ends_with(".path") {
        return None;
    }
    let path = Path::new(&setting.value);
    // `~/x` is the person's own file, which git reads as such; what it includes for one place only
    // lies elsewhere.
    let directory = Path::new(&setting.file).parent().unwrap_or(Path::new("/"));
    Some(directory.join(path))
}

/// The text without the user and password of each address in it: `https://user:token@host/…`, `user:token@host/…`.
#[must_use]
pub fn without_login(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(['/', '"', ' ', '?', '#']).unwrap_or(after.len());
        // A password may have a slash in it, which only an `@` further on shows.
        let at = after
            .find([' ', '"'])
            .map_or(after, |space| &after[..space])
            .rfind('@');
        let host = match (after[..end].rfind('@'), at) {
            (Some(at), _) => at + 1,
            (None, Some(at)) if after[..at].contains(':') => at + 1,
            (None, _) => 0,
        };
        rest = &after[host..];
    }
    // Without a scheme, what stands before the host is a login only if it has a password in it: not
    // in `git@host:path`.
    let login = rest
        .split_once('@')
        .filter(|(login, _)| login.contains(':') && !login.contains([' ', '/', '.']));
    out.push_str(
        login
            .filter(|_| out.is_empty())
            .map_or(rest, |(_, host)| host),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(key: &str, value: &str) -> Option<String> {
        let setting = Setting {
            file: "x".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        what_it_keeps(&setting, &SettingsOwner::Own)
    }

    #[test]
    fn what_holds_a_secret_is_told_without_it() {
        let header = keeps(
            "http.https://github.com/.extraheader",
            "AUTHORIZATION: basic abc",
        )
        .unwrap();
        assert_eq!(
            header,
            "a header with an authorization (`http.https://github.com/.extraheader`)"
        );
        let url = keeps(
            "url.https://x:hush@github.com/.insteadof",
            "https://github.com/",
        )
        .unwrap();
        assert!(
            url.contains("***@github.com") && !url.contains("hush"),
            "{url}"
        );
        assert!(keeps("remote.origin.url", "https://ghs_hush@github.com/a/b").is_some());
        assert!(keeps("credential.helper", "store").is_some());
        assert!(keeps("core.sshcommand", "ssh -i /x/key").is_some());
    }

    #[test]
    fn what_holds_none_is_fine() {
        assert_eq!(keeps("remote.origin.url", "https://github.com/a/b"), None);
        assert_eq!(keeps("remote.origin.url", "ssh://git@github.com/a/b"), None);
        assert_eq!(keeps("remote.origin.url", "git@github.com:a/b"), None);
        assert_eq!(
            keeps("url.https://github.com/.insteadof", "git@github.com:"),
            None
        );
        assert_eq!(keeps("http.https://github.com/.extraheader", ""), None);
        assert_eq!(keeps("credential.helper", ""), None);
    }
}
