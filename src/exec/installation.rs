//! What belongs to a directory of programs on PATH: the installation around it, and what its links
//! lead to.
//!
//! It refuses to show a home, a directory of everybody's, and what has the name of something
//! private.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::credential;
use super::environment::{Caller, is_of_the_system};

/// Directories of programs in a home, by the name of which their neighbours are part of the same
/// installation.
const PROGRAMS: [&str; 4] = ["bin", "sbin", "shims", "condabin"];

/// What an installation has beside its programs.
const INSTALLED: [&str; 8] = [
    "lib",
    "lib64",
    "libexec",
    "share",
    "include",
    "pkg",
    "pyvenv.cfg",
    "conda-meta",
];

/// What only a home has.
const HOMELY: [&str; 6] = [".ssh", ".config", ".cache", ".bashrc", ".profile", ".zshrc"];

/// What programs in `~/.local/bin` are links into.
const LOCAL: [&str; 10] = [
    "lib",
    "pipx",
    "share/pipx",
    "share/uv",
    "share/pnpm",
    "share/mise",
    "share/fnm",
    "share/nvm",
    "share/virtualenvs",
    "state/fnm_multishells",
];

/// What belongs to a directory of programs: the installation around it, and whatever its links lead
/// to.
pub(super) fn installation(caller: &Caller, programs: &Path) -> Vec<PathBuf> {
    if !programs.is_absolute() {
        return Vec::new();
    }
    let known = || {
        caller
            .found
            .installations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(found) = known().get(programs) {
        return found.clone();
    }
    // One that is not there yet may be made by the next child.
    let Ok(real) = std::fs::canonicalize(programs) else {
        return Vec::new();
    };
    let found = look_for_installation(caller, programs, &real);
    known().insert(programs.to_owned(), found.clone());
    found
}

fn look_for_installation(caller: &Caller, programs: &Path, real: &Path) -> Vec<PathBuf> {
    let home = caller
        .get("HOME")
        .and_then(|home| std::fs::canonicalize(home).ok());
    let local = home.as_ref().map(|home| home.join(".local"));
    let mut found = Vec::new();
    if !is_of_the_system(programs) {
        // The directory itself too: what is around it may hold something that is hidden.
        found.extend([programs.to_owned(), around(real, home.as_deref())]);
    }
    if let Some(local) = local.filter(|local| local.join("bin") == *real) {
        found.extend(LOCAL.iter().map(|name| local.join(name)));
    }
    let entries = std::fs::read_dir(programs).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    // `/usr/bin` has hundreds of links, and most of them name a neighbour.
    let leads_away = |link: &PathBuf| {
        !std::fs::read_link(link)
            .is_ok_and(|target| target.components().count() == 1 && target.is_relative())
    };
    let targets = links.map(|entry| entry.path()).filter(leads_away);
    let targets = targets.filter_map(|link| std::fs::canonicalize(link).ok());
    let targets = targets.filter(|target| !is_of_the_system(target) && !target.starts_with(real));
    let mut elsewhere: Vec<PathBuf> = targets
        .map(|target| around(package_of(&target, home.as_deref()), home.as_deref()))
        .collect();
    elsewhere.sort();
    elsewhere.dedup();
    found.extend(elsewhere);
    found
}

/// Where a program and what it is made of lie: all packages beside it, or its own directory. A
/// directory at the machine's root, as `/srv`, a whole home, and what is private are no program's
/// own.
fn package_of<'a>(program: &'a Path, home: Option<&Path>) -> &'a Path {
    let packages = program
        .ancestors()
        .filter(|directory| directory.ends_with("node_modules"))
        .last();
    let is_own = |own: &&Path| {
        own.parent().is_some_and(|above| above.parent().is_some())
            && !is_home(own, home)
            && !own
                .components()
                .any(|part| credential::is_private(part.as_os_str()))
    };
    packages
        .or(program.parent().filter(is_own))
        .unwrap_or(program)
}

/// The installation that a directory of programs is part of; not a whole home, nor a directory of
/// everybody's.
fn around(programs: &Path, home: Option<&Path>) -> PathBuf {
    let is_usual = programs
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|name| PROGRAMS.contains(&name));
    let is_installation = |parent: &&Path| {
        let above = parent.parent();
        let is_top = above.is_some_and(|above| above.parent().is_none());
        above.is_some()
            && (!is_top || INSTALLED.iter().any(|name| parent.join(name).exists()))
            && !is_home(parent, home)
            && home.is_none_or(|home| **parent != home.join(".local"))
    };
    let parent = programs
        .parent()
        .filter(|parent| is_usual && is_installation(parent));
    parent.unwrap_or(programs).to_path_buf()
}

/// Whether a directory is the caller's home, or looks like somebody's.
fn is_home(directory: &Path, home: Option<&Path>) -> bool {
    let homes = ["/home", "/Users", "/var/home", "/export/home"].map(Path::new);
    home == Some(directory)
        || directory == Path::new("/root")
        || homes
            .iter()
            .any(|homes| directory == *homes || directory.parent() == Some(*homes))
        || HOMELY.iter().any(|name| directory.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_on_path_leads_to_is_shown_and_no_directory_of_everybodys() {
        let dir = tempfile::tempdir().unwrap();
        let top = std::fs::canonicalize(dir.path()).unwrap();
        for (link, target) in [("one", "tools/one/bin/one"), ("near", "one")] {
            let target = top.join(target);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(&target, "").unwrap();
            std::fs::create_dir_all(top.join("bin")).unwrap();
            std::os::unix::fs::symlink(&target, top.join("bin").join(link)).unwrap();
        }
        let found = installation(&Caller::default(), &top.join("bin"));
        assert!(found.contains(&top.join("tools/one")), "{found:?}");
        let home = Path::new("/homes/u");
        let own = top.join("somebody");
        std::fs::create_dir_all(own.join(".ssh")).unwrap();
        for (programs, shown) in [
            (own.join("bin"), own.join("bin")),
            (
                Path::new("/home").join("other/bin"),
                Path::new("/home").join("other/bin"),
            ),
            (
                "/no-such-directory/bin".into(),
                "/no-such-directory/bin".into(),
            ),
            (top.join("tools/one/bin"), top.join("tools/one")),
        ] {
            assert_eq!(around(&programs, Some(home)), shown);
        }
        for (program, package) in [
            ("/homes/u/.ssh/tool", "/homes/u/.ssh/tool"),
            ("/homes/u/.config/gh/ext", "/homes/u/.config/gh/ext"),
            ("/srv/tool", "/srv/tool"),
            ("/srv/tools/tool", "/srv/tools"),
            ("/homes/u/tool", "/homes/u/tool"),
            ("/homes/u/node_modules/a/cli.js", "/homes/u/node_modules"),
        ] {
            assert_eq!(
                package_of(Path::new(program), Some(home)),
                Path::new(package)
            );
        }
    }
}
