//! Who may touch what: a change held against its task's write set and the protected paths.
//!
//! The run that makes a change and the job that judges it ask the same function. It refuses to look
//! at the repository; the caller says what changed.

pub mod name;
mod protected;
mod useless;

use std::borrow::Cow;

use crate::glob::Glob;
use crate::id::RepoPath;
use crate::plan::{Size, WriteSet, format_bytes};

pub use protected::is_instruction;
pub use useless::{lies_in, never_used};

/// What is said of a protected path.
pub const PROTECTED: &str = "is protected: its write set must name that very path";

/// One path of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub path: RepoPath,
    /// What is there now.
    pub kind: TouchedKind,
    /// Bytes that it adds to the repository: the whole file, unless the repository had it
    /// somewhere in the base's.
    pub adds: u64,
    /// The other names of the path, through links of the tree that was there before.
    pub names: Vec<RepoPath>,
}

/// What is at a changed path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedKind {
    /// A file.
    Plain,
    /// Nothing any more.
    Removed,
    /// A symbolic link that stays inside the tree.
    Link,
    /// A submodule, or there was one before.
    Submodule,
    /// A symbolic link that leads out of the tree.
    EscapingLink,
}

impl TouchedKind {
    fn is_link(self) -> bool {
        matches!(self, Self::Link | Self::EscapingLink)
    }

    /// Whether whatever belongs below the path would come from elsewhere.
    fn stands_in(self) -> bool {
        matches!(self, Self::Link | Self::EscapingLink | Self::Submodule)
    }
}

/// A path that its task may not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub path: RepoPath,
    /// Why not, as a clause: "is outside its write set".
    pub why: Cow<'static, str>,
}

/// What a task may write.
#[derive(Debug, Clone, Copy)]
pub struct WriteRights<'a> {
    /// The task's write set.
    pub write_set: &'a WriteSet,
    /// The plan's further protected paths.
    pub protect: &'a [Glob],
    /// Where the plan itself is, relative to the repository's top.
    pub plan_path: &'a str,
    /// The largest file, and the largest sum, that the task may add.
    pub change_limit: Size,
}

impl WriteRights<'_> {
    /// Every path of a change that the task may not touch.
    #[must_use]
    pub fn violations(&self, change: &[Touched]) -> Vec<Violation> {
        let protect = Protect::new(self);
        let of = |touched: &Touched| {
            let why = self
                .violation(touched, &protect)
                .map(Cow::Borrowed)
                .or_else(|| self.too_large(touched));
            why.map(|why| Violation {
                path: touched.path.clone(),
                why,
            })
        };
        let mut found: Vec<Violation> = change.iter().filter_map(of).collect();
        found.extend(self.too_much(change).filter(|_| found.is_empty()));
        found
    }

    fn too_large(&self, touched: &Touched) -> Option<Cow<'static, str>> {
        (touched.adds > self.change_limit.bytes())
            .then(|| Cow::Owned(over(touched.adds, self.change_limit)))
    }

    /// The largest file of a change that is too large as a whole.
    fn too_much(&self, change: &[Touched]) -> Option<Violation> {
        let sum = change
            .iter()
            .fold(0_u64, |sum, touched| sum.saturating_add(touched.adds));
        let largest = change.iter().max_by_key(|touched| touched.adds)?;
        (sum > self.change_limit.bytes()).then(|| {
            let why = Cow::Owned(over_in_all(sum, self.change_limit));
            Violation {
                path: largest.path.clone(),
                why,
            }
        })
    }

    fn violation(&self, touched: &Touched, protect: &Protect<'_>) -> Option<&'static str> {
        let (path, kind) = (&touched.path, touched.kind);
        // What has a name that may not be is best removed.
        if kind != TouchedKind::Removed
            && let Some(why) = name::unstorable(path, kind.is_link())
        {
            return Some(why);
        }
        if kind == TouchedKind::EscapingLink {
            return Some("is a symbolic link that leads out of the repository");
        }
        let named = self.names(path);
        if kind == TouchedKind::Submodule && !named {
            return Some("is a submodule");
        }
        if !named && protected::is_protected(path, kind.stands_in(), self.plan_path) {
            return Some(PROTECTED);
        }
        if !named && protect.covers(path) {
            return Some("is protected by the plan");
        }
        let mut others = touched
            .names
            .iter()
            .filter(|name| !named && !self.names(name));
        if others.any(|name| {
            protected::is_protected(name, kind.stands_in(), self.plan_path) || protect.covers(name)
        }) {
            return Some("is what a link at a protected path leads to");
        }
        match self.write_set {
            WriteSet::Unknown => None,
            WriteSet::Declared(globs) if globs.iter().any(|glob| glob.matches(path)) => None,
            WriteSet::Declared(globs) if globs.is_empty() => {
                Some("was changed, and this task may write nothing")
            }
            WriteSet::Declared(_) => Some("is outside its write set"),
        }
    }

    /// Whether the write set holds that very path, without wildcards.
    #[must_use]
    pub fn names(&self, path: &RepoPath) -> bool {
        match self.write_set {
            WriteSet::Unknown => false,
            WriteSet::Declared(globs) => globs.iter().any(|glob| is_path(glob, path)),
        }
    }
}

/// What is said of a file over the limit.
#[must_use]
pub fn over(bytes: u64, limit: Size) -> String {
    format!(
        "has {}, and one task may add {limit} (`change_limit`)",
        format_bytes(bytes)
    )
}

/// What is said of the largest of several files that are over the limit together.
#[must_use]
pub fn over_in_all(bytes: u64, limit: Size) -> String {
    format!(
        "is the largest of files with {} in all, and one task may add {limit} (`change_limit`)",
        format_bytes(bytes)
    )
}

/// Whether a glob is just the spelling of that path.
fn is_path(glob: &Glob, path: &RepoPath) -> bool {
    glob.is_literal() && glob.literal_prefix().join("/").as_bytes() == path.as_bytes()
}

/// The plan's own protected paths that a write set does not free by holding the same text.
struct Protect<'a> {
    globs: Vec<&'a Glob>,
    /// The same without regard to case.
    folded: Vec<Glob>,
}

impl<'a> Protect<'a> {
    fn new(scope: &WriteRights<'a>) -> Self {
        let same_text = |glob: &&Glob| match scope.write_set {
            WriteSet::Unknown => false,
            WriteSet::Declared(globs) => globs.iter().any(|own| plain(own) == plain(glob)),
        };
        let globs: Vec<&Glob> = scope
            .protect
            .iter()
            .filter(|glob| !same_text(glob))
            .collect();
        let folded = globs
            .iter()
            .filter_map(|glob| glob.as_str().to_lowercase().parse().ok())
            .collect();
        Self { globs, folded }
    }

    fn covers(&self, path: &RepoPath) -> bool {
        let folded = RepoPath::from_bytes(name::folded(path.as_bytes()).join("/").as_bytes());
        self.globs.iter().any(|glob| glob.matches(path))
            || folded.is_some_and(|path| self.folded.iter().any(|glob| glob.matches(&path)))
    }
}

/// The text of a glob without what does not matter.
fn plain(glob: &Glob) -> &str {
    let text = glob.as_str();
    text.strip_prefix("./")
        .unwrap_or(text)
        .trim_end_matches('/')
}

#[cfg(test)]
mod tests;
