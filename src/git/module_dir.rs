//! A submodule's own git directory in a slot: made again each time that the slot is filled, below
//! the worktree's own.
//!
//! It borrows the objects of the user's clone, and has its recorded commit, its tags and the few
//! settings by which git finds it. It refuses to read what an earlier child left there, and to
//! write to the user's clone.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use git2::{ConfigLevel, Repository};

use super::credentials::without_login;
use super::error::GitError;
use super::facts::{SlotFacts, write_index_below};
use super::module::{Module, SlotLayout};
use super::pool::Slot;
use super::slot::calm_file;
use super::walk::below;
use crate::plain_file;

/// Directories without which git does not call it a repository.
const DIRECTORIES: [&str; 4] = ["objects/info", "objects/pack", "refs/heads", "refs/tags"];

/// Settings of a clone that say what its files look like on this disk.
const TAKEN: [&str; 5] = ["autocrlf", "eol", "filemode", "ignorecase", "symlinks"];

/// The longest list of a shallow clone's last commits that is read: some 25,000 of them.
const SHALLOW: u64 = 1 << 20;

/// Tags that git finds in a submodule of a slot; large projects have some thousands.
const TAGS: usize = 20_000;

impl Slot {
    fn module_dir(&self, module: &Module) -> PathBuf {
        self.git_dir().join(&module.place)
    }

    /// Writes the `.git` files that make git see repositories in the submodules of the slot.
    pub(super) fn link_modules(&self, layout: &SlotLayout) -> Result<(), GitError> {
        for module in &layout.modules {
            let mut text = b"gitdir: ".to_vec();
            text.extend(self.module_dir(module).as_os_str().as_bytes());
            text.push(b'\n');
            let link = below(self.path(), &module.path).join(".git");
            self.write_exactly(&link, &text)?;
            calm_file(&link)?;
        }
        Ok(())
    }

    /// Makes the git directories of the slot's submodules. Nothing of earlier ones is there: the
    /// slot was just registered.
    pub(super) fn make_module_dirs(
        &self,
        layout: &SlotLayout,
        facts: &SlotFacts,
    ) -> Result<(), GitError> {
        for module in &layout.modules {
            let git_dir = self.module_dir(module);
            for directory in DIRECTORIES {
                let directory = git_dir.join(directory);
                std::fs::create_dir_all(&directory).map_err(GitError::io("make", &directory))?;
            }
            let mut borrowed = module
                .repo
                .common_dir()
                .join("objects")
                .into_os_string()
                .into_encoded_bytes();
            borrowed.push(b'\n');
            let settings = module.repo.with(|objects| Ok(settings(module, objects)))?;
            let tags = module.repo.with(tags)?;
            write_new(&git_dir.join("objects/info/alternates"), &borrowed)?;
            write_new(&git_dir.join("config"), settings.as_bytes())?;
            write_new(&git_dir.join("packed-refs"), &tags)?;
            write_new(
                &git_dir.join("HEAD"),
                format!("{}\n", module.commit).as_bytes(),
            )?;
            if let Ok(shallow) =
                plain_file::read(&module.repo.common_dir().join("shallow"), SHALLOW)
            {
                write_new(&git_dir.join("shallow"), &shallow)?;
            }
            write_index_below(
                &git_dir.join("index"),
                &module.path,
                module.listing.files(),
                facts,
            )?;
        }
        Ok(())
    }
}

/// The settings of a submodule. Its work tree is where its `.git` lies: git writes a
/// `core.worktree` again that is there.
fn settings(module: &Module, clone: &Repository) -> String {
    let mut text = String::from("[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
    let own = clone
        .config()
        .and_then(|config| config.open_level(ConfigLevel::Local));
    let own = |name: &str| own.as_ref().ok().and_then(|own| own.get_string(name).ok());
    for key in TAKEN {
        if let Some(value) = own(&format!("core.{key}")) {
            let _ = writeln!(text, "\t{key} = {}", quoted(&value));
        }
    }
    if let Some(url) = own("remote.origin.url") {
        let fetch = "+refs/heads/*:refs/remotes/origin/*";
        let url = quoted(&without_login(&url));
        let _ = writeln!(
            text,
            "[remote \"origin\"]\n\turl = {url}\n\tfetch = {fetch}"
        );
    }
    for one in &module.inside {
        // Without them, git takes a submodule in there for one that nobody asked for.
        let (name, url) = (quoted(&one.name), quoted(&without_login(&one.url)));
        let _ = writeln!(text, "[submodule {name}]\n\tactive = true\n\turl = {url}");
    }
    text
}

/// The tags of a clone, as git packs refs.
fn tags(clone: &Repository) -> Result<Vec<u8>, GitError> {
    let found = clone
        .references_glob("refs/tags/*")
        .map_err(GitError::lib("list the tags of a submodule"))?;
    let mut text = Vec::new();
    for tag in found.take(TAGS).flatten() {
        if let Some(target) = tag.target() {
            text.extend(format!("{target} ").bytes());
            text.extend(tag.name_bytes());
            text.push(b'\n');
        }
    }
    Ok(text)
}

/// A value, or the name of a section, as git reads it.
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{text}\"")
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    let write = || File::create_new(path)?.write_all(bytes);
    write().map_err(GitError::io("write", path))
}
