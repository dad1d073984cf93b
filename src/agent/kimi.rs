//! Finding the Kimi Code CLI of the pinned version, with a Node.js that can run it.
//!
//! omk's own tool cache comes first: it holds exactly the pinned version. Then the caller's PATH.
//! It refuses another version, and it never puts its own Node.js on the agent's PATH, where the
//! project's tools must win.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::AgentError;
use super::inquiry::{Purpose, ask};
use crate::exec::{Ending, Shepherd};
use crate::plain_file;
use crate::text;

/// The largest `package.json` that is read, in bytes.
const MANIFEST: u64 = 1 << 20;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Locate {
    /// The pinned version.
    pub version: String,
    /// omk's tool cache: `$XDG_CACHE_HOME/omk/tools`.
    pub tools: PathBuf,
    /// The caller's environment, as far as children may see it; PATH is looked through.
    pub env: BTreeMap<OsString, OsString>,
    /// What no child may see: the user's home and checkout, and what else is the user's alone.
    pub private: Vec<PathBuf>,
}

/// A CLI that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The pinned version; it is the one that is there.
    pub version: String,
    /// Whether `rg` is there. Without it the CLI's Grep and Glob fail offline, though its turns go
    /// on.
    pub has_ripgrep: bool,
    pub(super) program: OsString,
    pub(super) first_args: Vec<OsString>,
    /// Directories for the end of the agent's PATH.
    pub(super) path_end: Vec<PathBuf>,
}

/// Finds the CLI.
///
/// # Errors
/// Where it is missing, of another version, broken, or its Node.js is too old; each says what to
/// do.
pub async fn locate(shepherd: &Shepherd, wanted: &Locate) -> Result<Installed, AgentError> {
    let dir = tool_dir(&wanted.tools, &wanted.version);
    if let Some(installed) = in_cache(&dir, wanted) {
        if !installed.program_is_below(&dir) {
            super::install::check_node(shepherd, wanted).await?;
        }
        return Ok(installed);
    }
    let Some(path) = on_path(&wanted.env, "kimi") else {
        return Err(AgentError::Missing {
            wanted: wanted.version.clone(),
            cache: dir,
        });
    };
    let found = ask_version(shepherd, &path, Vec::new(), wanted).await?;
    if found != wanted.version {
        return Err(AgentError::OtherVersion {
            path,
            found,
            wanted: wanted.version.clone(),
        });
    }
    let has_ripgrep = on_path(&wanted.env, "rg").is_some();
    let version = wanted.version.clone();
    Ok(Installed {
        version,
        has_ripgrep,
        program: path.into(),
        first_args: Vec::new(),
        path_end: Vec::new(),
    })
}

impl Installed {
    /// What must be seen for it to run, beside what is on PATH.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let named = std::iter::once(&self.program)
            .chain(&self.first_args)
            .map(PathBuf::from);
        // It may be a link that npm has put on PATH.
        let with_real = named
            .flat_map(|path| [std::fs::canonicalize(&path).ok(), Some(path)])
            .flatten();
        let directories = with_real
            .filter(|path| path.is_absolute())
            .filter_map(|path| root_of(&path));
        directories.chain(self.path_end.iter().cloned())
    }

    /// Whether the cache holds its Node.js too, rather than the machine.
    pub(super) fn program_is_below(&self, dir: &Path) -> bool {
        Path::new(&self.program).starts_with(dir)
    }
}

/// The directory that a program was installed to: what holds `node_modules`, or `bin`, or else its
/// own.
fn root_of(program: &Path) -> Option<PathBuf> {
    let named = |name: &str| {
        program
            .ancestors()
            .filter(|dir| dir.ends_with(name))
            .last()
            .map(Path::to_path_buf)
    };
    let own = program.parent()?;
    Some(named("node_modules").unwrap_or_else(|| own.to_path_buf()))
}

pub(super) fn tool_dir(tools: &Path, version: &str) -> PathBuf {
    tools.join(format!("kimi-code-{version}"))
}

/// What lies in that directory of the tool cache, if it is whole and of the wanted version.
pub(super) fn in_cache(dir: &Path, wanted: &Locate) -> Option<Installed> {
    let modules = dir.join("node_modules");
    let package = modules.join("@moonshot-ai/kimi-code");
    let manifest = plain_file::read(&package.join("package.json"), MANIFEST).ok()?;
    let manifest: Value = serde_json::from_slice(&manifest).ok()?;
    if manifest.get("version").and_then(Value::as_str) != Some(&wanted.version) {
        return None;
    }
    let main = package.join(manifest.pointer("/bin/kimi").and_then(Value::as_str)?);
    let node = super::install::node_package().map(|(name, _)| modules.join(name).join("bin/node"));
    let node = node
        .filter(|node| node.is_file())
        .or_else(|| on_path(&wanted.env, "node"))?;
    let ripgrep = super::install::ripgrep_package().map(|name| modules.join(name).join("bin"));
    let ripgrep = ripgrep.filter(|dir| dir.join("rg").is_file());
    Some(Installed {
        version: wanted.version.clone(),
        has_ripgrep: ripgrep.is_some() || on_path(&wanted.env, "rg").is_some(),
        program: node.into(),
        first_args: vec![main.into()],
        path_end: ripgrep.into_iter().collect(),
    })
}

/// The program of that name on the PATH in `env`.
pub(super) fn on_path(env: &BTreeMap<OsString, OsString>, name: &str) -> Option<PathBuf> {
    let path = env.get(&OsString::from("PATH"))?;
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// What the CLI says its version is.
pub(super) async fn ask_version(
    shepherd: &Shepherd,
    program: &Path,
    mut arguments: Vec<OsString>,
    wanted: &Locate,
) -> Result<String, AgentError> {
    arguments.push("--version".into());
    let (ended, said) = ask(
        shepherd,
        program,
        arguments,
        wanted,
        Purpose::Version,
        ANSWER_TIME,
    )
    .await?;
    let said = said.trim();
    if ended.ending == Ending::Exited(0) && is_version(said) {
        return Ok(said.to_owned());
    }
    let stderr = String::from_utf8_lossy(&ended.stderr_tail);
    if stderr.contains("createZstdDecompress") || stderr.contains("requires Node") {
        let found = stderr
            .lines()
            .find_map(|line| line.trim().strip_prefix("Node.js "))
            .map(str::to_owned);
        return Err(AgentError::OldNode { found });
    }
    let last = stderr.trim().lines().next_back().unwrap_or(said);
    Err(AgentError::Broken {
        path: program.to_owned(),
        said: text::clip(last, 300),
    })
}

/// The CLI takes 2 s to say its version on an idle machine, and machines are not idle.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// `2.1.0`, perhaps with a suffix.
pub(super) fn is_version(text: &str) -> bool {
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, "0"));
    let numbers: Vec<&str> = numbers.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_suffix = !suffix.is_empty()
        && suffix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    numbers.len() == 3 && numbers.iter().all(is_number) && is_suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        for good in ["2.1.0", "0.43.1", "3.0.0-beta.1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "",
            "2",
            "2.1",
            "latest",
            "2.1.0 ",
            "../x",
            "2.1.x",
            "2.1.0-",
            "1.2.3-a/b",
            "^2.1.0",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn relative_directories_on_path_are_not_looked_into() {
        let env = BTreeMap::from([(OsString::from("PATH"), OsString::from(".:target:"))]);
        assert_eq!(on_path(&env, "sh"), None);
    }
}
