//! The ground of a report: the tree that the gate ran on, in which the paths of a report are looked
//! up.
//!
//! Tools name a file as they please: from the directory that they ran in, absolute, as a URI, with
//! backslashes. It refuses to guess: a path that is no file of the tree, or could be several, has
//! no place.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::fact::Location;

/// Where paths are looked up, and what differs from one execution to the next.
pub struct Ground<'a> {
    /// The directories of the tree as tools may spell them, the longest first, each with `/` at
    /// its end.
    roots: Vec<String>,
    /// Directories of one execution, as HOME and TMPDIR: what lies there has another name the next
    /// time.
    temporary: Vec<String>,
    holds: &'a dyn Fn(&str) -> bool,
    all: &'a dyn Fn() -> Vec<String>,
    by_name: OnceCell<HashMap<String, Vec<String>>>,
}

/// The line that a report gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ReportedLine {
    /// None: the first line stands for the file.
    Missing,
    /// As a report has it.
    Line(f64),
    /// Something that is no line of a file.
    Odd,
}

impl ReportedLine {
    /// The line, from 1; `None` for an odd one. Zero is the first: some tools count from there.
    fn line(self) -> Option<Option<u32>> {
        match self {
            Self::Missing => Some(None),
            Self::Line(line)
                if line.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&line) =>
            {
                // The range was just checked.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole and in range"
                )]
                Some(Some((line as u32).max(1)))
            }
            Self::Line(_) | Self::Odd => None,
        }
    }
}

/// A path as a report has it, with `/` between its parts and none of them `.` or `..`.
enum Reported {
    /// Below the tree's top.
    Inside(String),
    /// From a directory that is not known.
    Relative(String),
    /// Absolute, and elsewhere: where a container has the tree, maybe.
    Elsewhere(String),
}

impl<'a> Ground<'a> {
    /// `holds` says whether a relative path is a file of the tree; `all` lists the files, and is
    /// asked only for a path that is none from the top.
    #[must_use]
    pub fn new(
        roots: &[String],
        holds: &'a dyn Fn(&str) -> bool,
        all: &'a dyn Fn() -> Vec<String>,
    ) -> Self {
        // The longest first, so that `/tmp/a` does not spoil `/tmp/a/b`.
        Self {
            roots: prefixes(roots),
            temporary: Vec::new(),
            holds,
            all,
            by_name: OnceCell::new(),
        }
    }

    /// The same, with directories that only this execution had.
    #[must_use]
    pub fn with_temporary(mut self, directories: &[String]) -> Self {
        self.temporary = prefixes(directories);
        self
    }

    pub(super) fn roots(&self) -> &[String] {
        &self.roots
    }

    pub(super) fn temporary(&self) -> &[String] {
        &self.temporary
    }

    /// A directory below the top, relative to it; `None` for one elsewhere.
    pub(super) fn directory(&self, path: &str) -> Option<String> {
        match self.reported(&format!("{}/x", path.trim_end_matches('/')))? {
            Reported::Inside(path) => Some(path.strip_suffix("/x").unwrap_or("").to_owned()),
            Reported::Relative(_) | Reported::Elsewhere(_) => None,
        }
    }

    /// The file that a path means. `base`: the directory that it is said to be relative to, or one
    /// below that.
    pub(super) fn file(&self, path: &str, base: Option<&str>) -> Option<String> {
        match self.reported(path)? {
            Reported::Inside(path) => (self.holds)(&path).then_some(path),
            Reported::Relative(path) => match base {
                Some(base) => self.from(base, &path).or_else(|| self.anywhere(&path)),
                None => self.anywhere(&path),
            },
            Reported::Elsewhere(path) => self.by_its_end(&path),
        }
    }

    /// A place in that file; none where the file or a line is not one.
    pub(super) fn place(
        &self,
        path: &str,
        base: Option<&str>,
        line: ReportedLine,
        end_line: ReportedLine,
    ) -> Option<Location> {
        let (line, end_line) = (line.line()?.unwrap_or(1), end_line.line()?);
        let path = self.file(path, base)?;
        Some(Location {
            path,
            line,
            end_line: end_line.unwrap_or(line).max(line),
        })
    }

    /// In `base`, else in the nearest directory above it.
    fn from(&self, base: &str, path: &str) -> Option<String> {
        let mut base = Some(base).filter(|base| !base.is_empty());
        while let Some(directory) = base {
            let inside = format!("{directory}/{path}");
            if (self.holds)(&inside) {
                return Some(inside);
            }
            base = directory.rsplit_once('/').map(|(above, _)| above);
        }
        (self.holds)(path).then(|| path.to_owned())
    }

    /// From the top, else the only file that ends so: the gate changed its directory.
    fn anywhere(&self, path: &str) -> Option<String> {
        if (self.holds)(path) {
            return Some(path.to_owned());
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = format!("/{path}");
        let mut found = self
            .by_name()
            .get(name)?
            .iter()
            .filter(|file| file.ends_with(&ending));
        let only = found.next()?;
        found.next().is_none().then(|| only.clone())
    }

    /// The longest end of an absolute path that is a file here. A bare name would say too little.
    fn by_its_end(&self, path: &str) -> Option<String> {
        let mut end = path;
        while let Some((_, rest)) = end.split_once('/') {
            if !rest.contains('/') {
                return None;
            }
            if (self.holds)(rest) {
                return Some(rest.to_owned());
            }
            end = rest;
        }
        None
    }

    fn by_name(&self) -> &HashMap<String, Vec<String>> {
        self.by_name.get_or_init(|| {
            let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
            for file in (self.all)() {
                let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
                by_name.entry(name).or_default().push(file);
            }
            by_name
        })
    }

    fn reported(&self, path: &str) -> Option<Reported> {
        let path = path.trim();
        let path = path
            .strip_prefix("file://localhost/")
            .map_or_else(|| path.to_owned(), |path| format!("/{path}"));
        let path = path
            .strip_prefix("file://")
            .or_else(|| path.strip_prefix("file:"))
            .unwrap_or(&path);
        let drive = |path: &str| {
            path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic()
        };
        // `file:///C:/x` has a slash before its drive.
        let path = path
            .strip_prefix('/')
            .filter(|rest| drive(rest))
            .unwrap_or(path);
        let slashes = if drive(path) || !path.contains('/') {
            path.replace('\\', "/")
        } else {
            path.to_owned()
        };
        if let Some(inside) = self
            .roots
            .iter()
            .find_map(|root| slashes.strip_prefix(root.as_str()))
        {
            return resolved(inside).map(Reported::Inside);
        }
        if drive(&slashes) {
            return resolved(&slashes[2..]).map(|path| Reported::Elsewhere(format!("/{path}")));
        }
        let path = resolved(&slashes)?;
        Some(if slashes.starts_with('/') {
            Reported::Elsewhere(format!("/{path}"))
        } else {
            Reported::Relative(path)
        })
    }
}

fn prefixes(directories: &[String]) -> Vec<String> {
    let with_end = |directory: &String| format!("{}/", directory.trim_end_matches('/'));
    let mut prefixes: Vec<String> = directories
        .iter()
        .map(with_end)
        .filter(|prefix| prefix != "/")
        .collect();
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
    prefixes
}

/// Without empty parts, `.` and `..`; what leads upwards begins where it got to. `None` for what
/// names no file here.
fn resolved(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part if part.eq_ignore_ascii_case(".git") => return None,
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let sound = !path.is_empty() && !path.contains(|ch: char| ch.is_control() || ch == ':');
    sound.then_some(path)
}

#[cfg(test)]
mod tests;
