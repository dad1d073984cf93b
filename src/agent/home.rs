//! The agent's own directories, one set per task: HOME, TMPDIR, and the CLI's settings and
//! sessions.
//!
//! It refuses to put a secret there: the agent can read all of it. The token in the settings is
//! good for one attempt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::AgentError;
use super::run::AgentOrder;
use super::wire::{INDEX, INDEX_MOST};
use crate::plain_file::Root;

/// The directories of one task's agent.
#[derive(Debug)]
pub(super) struct AgentHome {
    pub(super) home: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) kimi: PathBuf,
}

/// The CLI's settings.
const SETTINGS: &str = "config.toml";

/// Tries per model call, unless the caller says otherwise. The CLI's own 10 can take minutes; omk
/// retries the task.
const TRIES_PER_STEP: &str = "3";

impl AgentHome {
    /// Makes the directories where they are missing, and writes the settings anew.
    pub(super) fn prepare(errand: &AgentOrder) -> Result<Self, AgentError> {
        let home = Self {
            home: errand.state.join("home"),
            tmp: errand.state.join("tmp"),
            kimi: errand.state.join("kimi"),
        };
        for dir in [&home.home, &home.tmp, &home.kimi] {
            make_real(dir).map_err(io("make", dir))?;
        }
        make_sound(&home.kimi).map_err(io("make", &home.kimi))?;
        let path = home.kimi.join(SETTINGS);
        write_private(&home.kimi, &path, &settings(errand)).map_err(io("write", &path))?;
        Ok(home)
    }

    /// The whole environment of the CLI: the caller's, and what it needs beside.
    pub(super) fn env(
        &self,
        errand: &AgentOrder,
        path_end: &[PathBuf],
    ) -> BTreeMap<OsString, OsString> {
        let mut env = errand.env.clone();
        let mut default = |name: &str, value: &str| {
            env.entry(name.into()).or_insert_with(|| value.into());
        };
        default("LANG", "C.UTF-8");
        default("KIMI_LOOP_MAX_ATTEMPTS_PER_STEP", TRIES_PER_STEP);
        let steps = errand.max_steps.to_string();
        for (name, value) in [
            ("KIMI_LOOP_MAX_STEPS_PER_TURN", steps.as_str()),
            ("CI", "1"),
            ("NO_COLOR", "1"),
            ("KIMI_DISABLE_TELEMETRY", "1"),
            ("KIMI_CODE_NO_AUTO_UPDATE", "1"),
            ("KIMI_DISABLE_CRON", "1"),
        ] {
            env.insert(name.into(), value.into());
        }
        for (name, dir) in [
            ("HOME", &self.home),
            ("TMPDIR", &self.tmp),
            ("KIMI_CODE_HOME", &self.kimi),
        ] {
            env.insert(name.into(), dir.into());
        }
        // At the end of PATH: the project's own tools come first.
        let path = env
            .get(&OsString::from("PATH"))
            .cloned()
            .unwrap_or_default();
        let dirs = std::env::split_paths(&path).chain(path_end.iter().cloned());
        if let Ok(path) = std::env::join_paths(dirs) {
            env.insert("PATH".into(), path);
        }
        env
    }
}

/// Makes sure that there is a directory, and no link to one, in which its owner may do anything.
fn make_real(dir: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(dir) {
        Ok(meta) if meta.is_dir() => {
            let open = Permissions::from_mode(meta.permissions().mode() | 0o700);
            return std::fs::set_permissions(dir, open);
        }
        Ok(_) => set_aside(dir)?,
        Err(_) => {}
    }
    std::fs::create_dir_all(dir)
}

/// An agent can leave a pipe or a directory in the place of a file, and the CLI would wait for it,
/// or fail, in every attempt. It gets an empty directory then.
fn make_sound(kimi: &Path) -> std::io::Result<()> {
    if is_sound(kimi) {
        return Ok(());
    }
    set_aside(kimi)?;
    make_real(kimi)
}

/// Whether the files that omk and the CLI go by are plain files of a sensible size, or not there.
fn is_sound(kimi: &Path) -> bool {
    let Ok(root) = Root::open_real(kimi) else {
        return false;
    };
    [SETTINGS, INDEX]
        .into_iter()
        .all(|name| match root.file(Path::new(name)) {
            Ok(file) => file.size() <= INDEX_MOST,
            Err(why) => why.is_missing(),
        })
}

/// Renames what is there: unlike removing it, that is done at once, whatever is in it.
fn set_aside(path: &Path) -> std::io::Result<()> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let free = (1..).map(|number: u64| path.with_file_name(format!("{name}.{number}.spoiled")));
    let free = free
        .into_iter()
        .find(|aside| std::fs::symlink_metadata(aside).is_err());
    free.map_or(Ok(()), |free| std::fs::rename(path, free))
}

pub(super) fn io(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> AgentError {
    let what = format!("{verb} {}", path.display());
    move |source| AgentError::Io { what, source }
}

/// Writes a file whole, for its owner only.
fn write_private(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// `config.toml`.
fn settings(errand: &AgentOrder) -> String {
    let disabled: Vec<String> = errand
        .tools_disabled
        .iter()
        .map(|tool| quoted(tool))
        .collect();
    let capabilities = if errand.model.thinks {
        "\"thinking\", \"always_thinking\""
    } else {
        ""
    };
    format!(
        "default_model = \"m\"\ntelemetry = false\n\n\
         [providers.omk]\ntype = \"kimi\"\nbase_url = {}\napi_key = {}\n\n\
         [models.m]\nprovider = \"omk\"\nmodel = {}\nmax_context_size = {}\n\
         capabilities = [{capabilities}]\n\n\
         [tools]\ndisabled = [{}]\n",
        quoted(&errand.model.base_url),
        quoted(&errand.model.token),
        quoted(&errand.model.name),
        errand.model.context,
        disabled.join(", ")
    )
}

/// A TOML basic string. One that is not valid would silently undo all settings.
fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_agent_made_of_its_directory_the_next_attempt_has_a_good_one() {
        for script in [
            "mkfifo kimi/session_index.jsonl",
            "ln -s /dev/zero kimi/session_index.jsonl",
            "truncate -s 10G kimi/session_index.jsonl",
            "mkdir -p kimi/config.toml/a",
            "chmod 000 kimi",
            "rm -r kimi && ln -s / kimi",
            "rm -r kimi && mkfifo kimi",
        ] {
            let state = tempfile::tempdir().unwrap();
            let kimi = state.path().join("kimi");
            std::fs::create_dir(&kimi).unwrap();
            let mut shell = std::process::Command::new("sh");
            assert!(
                shell
                    .args(["-c", script])
                    .current_dir(state.path())
                    .status()
                    .unwrap()
                    .success(),
                "{script}"
            );
            make_real(&kimi).unwrap();
            make_sound(&kimi).unwrap();
            assert!(is_sound(&kimi), "{script}");
            write_private(&kimi, &kimi.join(SETTINGS), "a").unwrap();
            assert_eq!(
                std::fs::read(kimi.join(SETTINGS)).unwrap(),
                b"a",
                "{script}"
            );
        }
    }

    #[test]
    fn no_text_breaks_out_of_the_settings() {
        assert_eq!(
            quoted("a\"\nb = \"c\\\u{7f}é"),
            "\"a\\\"\\u000Ab = \\\"c\\\\\\u007Fé\""
        );
    }
}
