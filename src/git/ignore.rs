//! Which untracked files git ignores: `.gitignore` files, `info/exclude` and the user's own
//! excludes.
//!
//! It refuses to read a `.gitignore` that is not a plain file, as git does. Written by hand because
//! libgit2 drops some negated patterns, and with them files that a task made; a test compares it
//! with git itself.

mod pattern;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use git2::Repository;

use super::content::Files;
use super::error::GitError;
use pattern::wild;

/// Comparisons for one work tree: some seconds of a slow machine. A hundred thousand files under a
/// hundred patterns with wildcards need half of it.
const STEPS: u64 = 2_000_000_000;

/// Whether a file of rules is not to be read.
pub(super) type Unread<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// The rules for one work tree. Files are read as directories are asked about, each once.
pub(super) struct Ignores<'a> {
    files: Files<'a>,
    is_unread: &'a Unread<'a>,
    /// The user's excludes, then the repository's; the later one wins.
    machine: Vec<Vec<IgnoreRule>>,
    /// The rules of the directories on the way to the last path, outermost first.
    stack: Vec<IgnoreDirectory>,
    /// How many comparisons of a pattern's character with a path's may still be made.
    steps: Cell<u64>,
}

struct IgnoreDirectory {
    /// With its slash at the end; empty for the root.
    path: Vec<u8>,
    rules: Vec<IgnoreRule>,
    /// Whether it is ignored itself, and with it all untracked files below.
    ignored: bool,
}

struct IgnoreRule {
    pattern: Vec<u8>,
    negated: bool,
    directories_only: bool,
    /// Matched against the whole path below the rule's directory, not only the name.
    anchored: bool,
}

impl<'a> Ignores<'a> {
    /// `.gitignore` files that `is_unread` accepts have no say.
    pub(super) fn new(
        repo: &Repository,
        root: &'a Path,
        is_unread: &'a Unread<'a>,
    ) -> Result<Self, GitError> {
        let config = repo
            .config()
            .map_err(GitError::lib("read git's configuration"))?;
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
        let base = || {
            let named = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
            named
                .map(PathBuf::from)
                .or_else(home)
                .map(|base| base.join("git/ignore"))
        };
        let own = config.get_path("core.excludesfile").ok().or_else(base);
        let files = own
            .into_iter()
            .chain([repo.commondir().join("info/exclude")]);
        let machine = files
            .map(|file| {
                std::fs::read(file)
                    .map(|text| rules(&text))
                    .unwrap_or_default()
            })
            .collect();
        Ok(Self {
            files: Files::of(root)?,
            is_unread,
            machine,
            stack: Vec::new(),
            steps: Cell::new(STEPS),
        })
    }

    /// Whether an untracked path is ignored, by itself or with a directory above it.
    pub(super) fn covers(&mut self, path: &[u8], is_directory: bool) -> Result<bool, GitError> {
        self.enter(path)?;
        Ok(self.stack.last().is_some_and(|directory| directory.ignored)
            || self.decides(path, is_directory)?)
    }

    /// What the last rule that matches says.
    fn decides(&self, path: &[u8], is_directory: bool) -> Result<bool, GitError> {
        let in_tree = self
            .stack
            .iter()
            .rev()
            .map(|directory| (directory.path.len(), &directory.rules));
        let machine = self.machine.iter().rev().map(|rules| (0, rules));
        for (length, rules) in in_tree.chain(machine) {
            let relative = path.get(length..).unwrap_or(path);
            for rule in rules.iter().rev() {
                if rule.matches(relative, is_directory, &self.steps)? {
                    return Ok(!rule.negated);
                }
            }
        }
        Ok(false)
    }

    /// Brings the stack to the directory of `path`.
    fn enter(&mut self, path: &[u8]) -> Result<(), GitError> {
        self.stack
            .retain(|directory| path.starts_with(&directory.path));
        let slashes = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(slash, _)| slash + 1);
        for end in std::iter::once(0).chain(slashes) {
            if self
                .stack
                .iter()
                .any(|directory| directory.path.len() == end)
            {
                continue;
            }
            let above = self.stack.last().is_some_and(|directory| directory.ignored);
            let ignored = above || (end > 0 && self.decides(&path[..end - 1], true)?);
            let file = [&path[..end], b".gitignore"].concat();
            let text = if (self.is_unread)(&file) {
                Vec::new()
            } else {
                self.files.rules(&file)?
            };
            self.stack.push(IgnoreDirectory {
                path: path[..end].to_vec(),
                rules: rules(&text),
                ignored,
            });
        }
        Ok(())
    }
}

impl IgnoreRule {
    /// Whether it is about that path; what that may have cost comes off `steps`.
    fn matches(
        &self,
        path: &[u8],
        is_directory: bool,
        steps: &Cell<u64>,
    ) -> Result<bool, GitError> {
        if self.directories_only && !is_directory {
            return Ok(false);
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        let text = if self.anchored { path } else { name };
        // Nearly all rules of nearly all projects end here.
        let special = |byte: &u8| b"*?[\\".contains(byte);
        let literal = self
            .pattern
            .iter()
            .position(special)
            .unwrap_or(self.pattern.len());
        if !text.starts_with(&self.pattern[..literal]) {
            return Ok(false);
        }
        if literal == self.pattern.len() {
            return Ok(text.len() == literal);
        }
        let cost = (self.pattern.len() as u64 + 1).saturating_mul(text.len() as u64 + 1);
        let Some(left) = steps.get().checked_sub(cost) else {
            let path = ".gitignore".to_owned();
            return Err(GitError::Unstorable {
                path,
                why: "its patterns take too long to compare with all the paths",
            });
        };
        steps.set(left);
        Ok(wild(&self.pattern, text, self.anchored))
    }
}

fn rules(text: &[u8]) -> Vec<IgnoreRule> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|&byte| byte == b'\n').filter_map(rule).collect()
}

fn rule(line: &[u8]) -> Option<IgnoreRule> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.first() == Some(&b'#') {
        return None;
    }
    let mut pattern = without_trailing_spaces(line);
    let negated = pattern.first() == Some(&b'!');
    if negated {
        pattern = &pattern[1..];
    }
    let directories_only = pattern.last() == Some(&b'/');
    if directories_only {
        pattern = &pattern[..pattern.len() - 1];
    }
    let anchored = pattern.contains(&b'/');
    pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
    (!pattern.is_empty()).then(|| IgnoreRule {
        pattern: pattern.to_vec(),
        negated,
        directories_only,
        anchored,
    })
}

/// Spaces at the end do not count, unless one is escaped.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'\\' => {
                at += 2;
                end = at.min(line.len());
            }
            b' ' => at += 1,
            _ => {
                at += 1;
                end = at;
            }
        }
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(line: &str, path: &str) -> bool {
        rule(line.as_bytes()).is_some_and(|rule| {
            rule.matches(path.as_bytes(), false, &Cell::new(STEPS))
                .unwrap()
        })
    }

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        for (line, path) in [
            ("*.log", "a/b.log"),
            ("/a", "a"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/x/y/b"),
            ("**/b", "b"),
            ("a/**", "a/x/y"),
            ("[[:digit:]]x", "7x"),
            ("[a-c-]", "-"),
            ("[]x]", "]"),
            ("a\\ ", "a "),
            ("a   ", "a"),
            ("\\#a", "#a"),
            ("\\!a", "!a"),
            ("a\r", "a"),
            ("**a", "xa"),
        ] {
            assert!(ignored(line, path), "{line:?} {path:?}");
        }
        for (line, path) in [
            ("/a", "b/a"),
            ("a/*", "a/b/c"),
            ("a/**/b", "a/xb"),
            ("a?b/c", "a/b/c"),
            ("#a", "#a"),
            ("[a", "[a"),
            ("a/", "a"),
            ("x/a**b", "x/a/b"),
            ("a\\", "a"),
        ] {
            assert!(!ignored(line, path), "{line:?} {path:?}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        assert!(!ignored(
            &format!("{}b", "a*".repeat(200)),
            &"a".repeat(4000)
        ));
    }
}
