//! A repository's settings as children see them: without credentials.
//!
//! A checkout action leaves a token in them, people write one into a remote's address, and helpers
//! and keys are named there. They are read as git reads them, with what they include. It refuses to
//! pass on what it cannot read: then a child's repository has the few settings without which git
//! would not take it for one.

use std::path::{Path, PathBuf};

use git2::Config;

use crate::exec::credential;
use crate::git::without_login;
use crate::plain_file;

/// The longest settings of a repository that are read: a thousand times those of a big project.
const LONGEST: u64 = 1 << 20;

/// How many repositories of submodules are looked at, and how deep below `modules` their names may
/// lead.
const MOST_MODULES: usize = 1_000;
const DEEPEST: usize = 8;

/// Settings that run a program or bring in other files, and whose text may hold anything.
const SECTIONS: [&str; 4] = ["alias.", "credential.", "include.", "includeif."];

/// Writes the settings of a repository, of its worktrees and of its submodules below `instead`,
/// each where it lies in the repository, if there are credentials in them. Blocks.
pub(super) fn leave_out_credentials(repository: &Path, instead: &Path) {
    for file in files(repository) {
        let place = file
            .strip_prefix(repository)
            .map(|file| instead.join(file))
            .unwrap_or_default();
        let cleaned = match clean(&file) {
            Some(Cleaned::Same) => continue,
            Some(Cleaned::Without(text)) => text,
            None => "[core]\n\trepositoryformatversion = 0\n".to_owned(),
        };
        write(&place, &cleaned);
    }
    let mut left = LOGGED;
    for file in logs(repository) {
        let place = file
            .strip_prefix(repository)
            .map(|file| instead.join(file))
            .unwrap_or_default();
        // git writes there where a branch was fetched from, as the user said it.
        let text = plain_file::read(&file, left)
            .ok()
            .map(|text| String::from_utf8_lossy(&text).into_owned());
        left = left.saturating_sub(text.as_ref().map_or(0, |text| text.len() as u64));
        let lines = || text.iter().flat_map(|text| text.split_inclusive('\n'));
        if text.is_none() || lines().any(|line| without_login(line) != line) {
            write(&place, &lines().map(without_login).collect::<String>());
        }
    }
}

/// How much of reflogs is looked through before each child, in bytes; what is more is not shown.
const LOGGED: u64 = 4 << 20;

/// The reflogs of a repository and of the user's clones of submodules.
fn logs(repository: &Path) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![repository.join("logs")]);
    todo.extend(
        clones_of_submodules(repository)
            .iter()
            .map(|clone| clone.join("logs")),
    );
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

/// What of a repository holds settings that git does not read: copies that editors and people
/// leave, and places of remotes from before there were settings for them.
pub(super) fn unread(repository: &Path) -> Vec<PathBuf> {
    let directories =
        std::iter::once(repository.to_owned()).chain(clones_of_submodules(repository));
    let is_unread = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        let is_read = matches!(&*name, "config" | "config.worktree");
        !is_read
            && (name.trim_start_matches('.').starts_with("config")
                || matches!(&*name, "remotes" | "branches"))
    };
    let entries = directories
        .flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    entries
        .filter(|entry| is_unread(&entry.file_name()))
        .map(|entry| entry.path())
        .collect()
}

/// All files of settings that a child's git would read.
fn files(repository: &Path) -> Vec<PathBuf> {
    let mut directories = vec![repository.to_owned()];
    for entry in std::fs::read_dir(repository.join("worktrees"))
        .into_iter()
        .flatten()
        .flatten()
    {
        directories.push(entry.path());
        modules(&entry.path().join("modules"), 0, &mut directories);
    }
    directories.extend(clones_of_submodules(repository));
    let files = directories
        .iter()
        .flat_map(|directory| ["config", "config.worktree"].map(|name| directory.join(name)));
    files
        .filter(|file| file.symlink_metadata().is_ok())
        .collect()
}

/// The user's clones of submodules, as far as they are looked for.
pub(super) fn clones_of_submodules(repository: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    modules(&repository.join("modules"), 0, &mut found);
    found
}

/// The repositories of submodules, whose names may have slashes in them.
fn modules(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if depth > DEEPEST {
        return;
    }
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if found.len() > MOST_MODULES || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if path.join("HEAD").exists() {
            modules(&path.join("modules"), depth + 1, found);
            found.push(path);
        } else {
            modules(&path, depth + 1, found);
        }
    }
}

enum Cleaned {
    /// There is no credential in it.
    Same,
    Without(String),
}

/// The settings in a file without their credentials; `None` if they cannot be read.
fn clean(file: &Path) -> Option<Cleaned> {
    let text = plain_file::read(file, LONGEST).ok()?;
    let config = Config::open(file).ok()?;
    let (mut without, mut same) = (String::new(), true);
    let mut entries = config.entries(None).ok()?;
    while let Some(entry) = entries.next() {
        let entry = entry.ok()?;
        // What an included file holds is hidden or cleaned with the rest, so it stands here.
        same &= entry.include_depth() == 0;
        let (Ok(name), value) = (
            std::str::from_utf8(entry.name_bytes()),
            entry.has_value().then(|| entry.value_bytes()),
        ) else {
            same = false;
            continue;
        };
        let value = value.map(String::from_utf8_lossy);
        match is_credential(name) {
            true => same = false,
            false => {
                let (name, value) = (
                    without_login(name),
                    value.map(|value| without_login(&value)),
                );
                same &= name == entry.name().unwrap_or_default()
                    && value
                        .as_deref()
                        .is_none_or(|value| value.as_bytes() == entry.value_bytes());
                push(&mut without, &name, value.as_deref());
            }
        }
    }
    // A comment may hold what was commented out.
    let is_commented = |line: &&[u8]| matches!(line.trim_ascii_start().first(), Some(b'#' | b';'));
    same &= !text
        .split(|&byte| byte == b'\n')
        .filter(is_commented)
        .any(|line| {
            let line = String::from_utf8_lossy(line).to_ascii_lowercase();
            is_credential(&line) || without_login(&line) != line
        });
    Some(if same && !text.contains(&b'\\') {
        Cleaned::Same
    } else {
        Cleaned::Without(without)
    })
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECTIONS.iter().any(|section| name.starts_with(section))
        || name.rsplit('.').next().is_some_and(credential::is_setting)
}

/// One setting, as git reads it.
fn push(to: &mut String, name: &str, value: Option<&str>) {
    let Some((section, rest)) = name.split_once('.') else {
        return;
    };
    let (sub, key) = rest
        .rsplit_once('.')
        .map_or((None, rest), |(sub, key)| (Some(sub), key));
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    match sub {
        Some(sub) => to.push_str(&format!("[{section} \"{}\"]\n", quoted(sub))),
        None => to.push_str(&format!("[{section}]\n")),
    }
    match value {
        Some(value) => {
            let value = quoted(value).replace('\n', "\\n").replace('\t', "\\t");
            to.push_str(&format!("\t{key} = \"{value}\"\n"));
        }
        None => to.push_str(&format!("\t{key}\n")),
    }
}

fn write(place: &Path, text: &str) {
    // A stand-in's settings are a copy with the original's mode, which may not let anybody write.
    let _ = std::fs::remove_file(place);
    let made = place.parent().map_or(Ok(()), std::fs::create_dir_all);
    if made.and_then(|()| std::fs::write(place, text)).is_err() {
        let _ = std::fs::File::create(place);
    }
}

#[cfg(test)]
mod tests;
