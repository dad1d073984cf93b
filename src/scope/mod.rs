//! Who may touch what: a change held against its task's write set and the protected paths.
//!
//! It refuses to look at the repository; the caller says what changed.

use crate::glob::Glob;
use crate::id::RepoPath;
use crate::plan::WriteSet;

/// Paths that decide what runs with whose rights. No task writes them unless its write set holds that very path.
/// From the contract's section on enforcement; compared without regard to case, since some file systems have none.
const PROTECTED: [&str; 12] = [
    ".github/**",
    ".gitlab-ci.yml",
    ".gitlab/**",
    "omk.yaml",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitmodules",
    ".gitattributes",
    "**/.gitattributes",
    ".husky/**",
    ".githooks/**",
    ".git/**",
];

/// One path of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub path: RepoPath,
    /// What about it is special.
    pub kind: TouchedKind,
}

/// What about a changed path is special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedKind {
    /// A file or a harmless link.
    Plain,
    /// A submodule, before or after.
    Submodule,
    /// A symbolic link that leads out of the tree.
    EscapingLink,
}

/// A path that its task may not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub path: RepoPath,
    /// Why not, as a clause: "is outside its write set".
    pub why: &'static str,
}

/// What a task may write.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The task's write set.
    pub write_set: &'a WriteSet,
    /// The plan's further protected paths.
    pub protect: &'a [Glob],
    /// Where the plan itself is, relative to the repository's top.
    pub plan_path: &'a str,
}

impl Scope<'_> {
    /// Every path of a change that the task may not touch.
    #[must_use]
    pub fn violations(&self, change: &[Touched]) -> Vec<Violation> {
        let protected: Vec<Glob> = PROTECTED.iter().filter_map(|text| text.parse().ok()).collect();
        let why = |touched: &Touched| self.violation(touched, &protected);
        change
            .iter()
            .filter_map(|touched| why(touched).map(|why| Violation { path: touched.path.clone(), why }))
            .collect()
    }

    fn violation(&self, touched: &Touched, protected: &[Glob]) -> Option<&'static str> {
        let named = self.names(&touched.path.to_string());
        match touched.kind {
            TouchedKind::Submodule if !named => return Some("is a submodule"),
            TouchedKind::EscapingLink if !named => return Some("is a symbolic link that leads out of the repository"),
            TouchedKind::Plain | TouchedKind::Submodule | TouchedKind::EscapingLink => {}
        }
        if !named
            && (touched.path.to_string() == self.plan_path
                || lower(&touched.path).is_some_and(|path| any(protected, &path)))
        {
            return Some("is protected: its write set must name that very path");
        }
        let permitted = |glob: &&Glob| named || self.names(glob.as_str());
        if self.protect.iter().filter(|glob| !permitted(glob)).any(|glob| glob.matches(&touched.path)) {
            return Some("is protected by the plan");
        }
        match self.write_set {
            WriteSet::Unknown => None,
            WriteSet::Declared(globs) if any(globs, &touched.path) => None,
            WriteSet::Declared(globs) if globs.is_empty() => Some("was changed, and this task may write nothing"),
            WriteSet::Declared(_) => Some("is outside its write set"),
        }
    }

    /// Whether the write set holds that very text.
    fn names(&self, text: &str) -> bool {
        match self.write_set {
            WriteSet::Unknown => false,
            WriteSet::Declared(globs) => globs.iter().any(|glob| glob.as_str().trim_start_matches("./") == text),
        }
    }
}

fn any(globs: &[Glob], path: &RepoPath) -> bool {
    globs.iter().any(|glob| glob.matches(path))
}

/// The path in lower case, with the two names that are written in capitals put back.
fn lower(path: &RepoPath) -> Option<RepoPath> {
    let lower = path.as_bytes().to_ascii_lowercase();
    let text = String::from_utf8_lossy(&lower).replace("codeowners", "CODEOWNERS");
    RepoPath::from_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write_set: Option<&[&str]>, protect: &[&str], path: &str) -> Option<&'static str> {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Glob>>();
        let write_set = write_set.map_or(WriteSet::Unknown, |texts| WriteSet::Declared(globs(texts)));
        let protect = globs(protect);
        let scope = Scope { write_set: &write_set, protect: &protect, plan_path: "ci/plan.yaml" };
        let touched = Touched { path: path.parse().unwrap(), kind: TouchedKind::Plain };
        scope.violations(&[touched]).first().map(|violation| violation.why)
    }

    #[test]
    fn a_path_outside_the_write_set_is_named() {
        assert_eq!(check(Some(&["src/**"]), &[], "src/a.rs"), None);
        assert_eq!(check(Some(&["src/**"]), &[], "docs/a.md"), Some("is outside its write set"));
        assert_eq!(check(Some(&[]), &[], "docs/a.md"), Some("was changed, and this task may write nothing"));
        assert_eq!(check(None, &[], "docs/a.md"), None);
    }

    #[test]
    fn protected_paths_want_their_very_name() {
        let refused = Some("is protected: its write set must name that very path");
        for path in
            [".github/workflows/ci.yml", "omk.yaml", ".GitHub/x", "sub/.gitattributes", "CodeOwners", "ci/plan.yaml"]
        {
            assert_eq!(check(None, &[], path), refused, "{path}");
            assert_eq!(check(Some(&["**"]), &[], path), refused, "{path}");
            assert_eq!(check(Some(&[path]), &[], path), None, "{path}");
        }
    }

    #[test]
    fn the_plans_own_protection_yields_to_the_same_text() {
        let refused = Some("is protected by the plan");
        assert_eq!(check(Some(&["**"]), &["migrations/**"], "migrations/1.sql"), refused);
        assert_eq!(check(Some(&["migrations/**"]), &["migrations/**"], "migrations/1.sql"), None);
        assert_eq!(check(Some(&["migrations/1.sql"]), &["migrations/**"], "migrations/1.sql"), None);
    }

    #[test]
    fn submodules_and_escaping_links_want_their_very_name() {
        let scope = Scope { write_set: &WriteSet::Unknown, protect: &[], plan_path: "omk.yaml" };
        for kind in [TouchedKind::Submodule, TouchedKind::EscapingLink] {
            let touched = Touched { path: "vendor/x".parse().unwrap(), kind };
            assert_eq!(scope.violations(&[touched]).len(), 1);
        }
    }
}
