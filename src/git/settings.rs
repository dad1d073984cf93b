//! What this machine's configuration says of conversions: line ends, filters, where attributes are.
//!
//! It asks the git binary, which knows every file that configuration may come from
//! (`GIT_CONFIG_GLOBAL`, includes under conditions). It refuses to ask twice in one process.

use std::path::PathBuf;
use std::time::Duration;

use super::binary::Git;
use super::error::GitError;
use super::repo::Repo;

/// Reading a few small files takes git milliseconds; a minute is for a disk that has to wake up.
const AT_MOST: Duration = Duration::from_secs(60);

/// The settings that have a say, as git matches names: in lower case but for the middle part.
const NAMES: &str =
    r"^(filter\..*|core\.(autocrlf|eol|attributesfile|ignorecase|checkroundtripencoding))$";

impl Repo {
    /// The settings of conversions, least important first.
    pub(super) fn conversion_settings(&self) -> Result<&Settings, GitError> {
        if let Some(known) = self.settings_cell().get() {
            return Ok(known);
        }
        let found = ask(self)?;
        Ok(self.settings_cell().get_or_init(|| found))
    }
}

/// What was found in git's configuration: names and values, least important first.
pub(super) type Settings = [(String, String)];

/// What settings make of line ends where attributes say nothing of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineEnds {
    /// Whether a blob may get others than its file has.
    pub(super) are_read: bool,
    /// Whether a file may get others than its blob has.
    pub(super) are_laid_out: bool,
    /// Whether files that are text get those of Windows.
    pub(super) are_foreign: bool,
}

impl LineEnds {
    pub(super) fn of(settings: &Settings) -> Self {
        let automatic = value(settings, "core.autocrlf")
            .unwrap_or("false")
            .to_ascii_lowercase();
        let are_read = !matches!(automatic.as_str(), "" | "false" | "no" | "off" | "0");
        let are_foreign =
            value(settings, "core.eol").is_some_and(|eol| eol.eq_ignore_ascii_case("crlf"));
        Self {
            are_read,
            are_laid_out: (are_read && automatic != "input") || are_foreign,
            are_foreign,
        }
    }
}

/// The last value of a setting is the one that counts.
pub(super) fn value<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// Attributes that are in no tree: the repository's own, the user's, the system's.
pub(super) fn attributes_files(repo: &Repo, settings: &Settings) -> Vec<PathBuf> {
    let mut files = vec![
        repo.common_dir().join("info/attributes"),
        PathBuf::from("/etc/gitattributes"),
    ];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    if let Some(path) = value(settings, "core.attributesfile") {
        files.extend(match path.strip_prefix("~/") {
            Some(rest) => below_home(rest),
            None => Some(PathBuf::from(path)),
        });
        return files;
    }
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    files.extend(
        base.or_else(|| below_home(".config"))
            .map(|base| base.join("git/attributes")),
    );
    files
}

fn ask(repo: &Repo) -> Result<Vec<(String, String)>, GitError> {
    let git = Git::settings_of_files(repo, "read git's configuration").args([
        "-z",
        "--get-regexp",
        NAMES,
    ]);
    let heard = git.hear(AT_MOST, None)?;
    // git exits with 1 where nothing matches.
    let finds_nothing = heard.out.is_empty() && heard.err.is_empty();
    if !heard.succeeded() && !finds_nothing {
        return Err(heard.failure());
    }
    let text = String::from_utf8_lossy(&heard.out).into_owned();
    let parts = text.split('\0').filter(|part| !part.is_empty());
    // A name alone is a setting that is true.
    let pairs = parts.map(|part| part.split_once('\n').unwrap_or((part, "true")));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
