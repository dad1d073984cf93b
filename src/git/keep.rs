//! The caches that stay in a slot between tasks.
//!
//! It refuses paths that leave the slot or name its `.git`: they are nobody's cache.

use std::fs::Metadata;

/// Paths relative to a slot, each with all below it.
#[derive(Default)]
pub(super) struct Keep(Vec<Vec<u8>>);

impl Keep {
    pub(super) fn new(paths: &[String]) -> Self {
        let clean = paths.iter().filter_map(|path| {
            let parts: Vec<&str> = path
                .split('/')
                .filter(|part| !matches!(*part, "" | "."))
                .collect();
            let sound = !parts.is_empty()
                && !parts
                    .iter()
                    .any(|part| *part == ".." || part.eq_ignore_ascii_case(".git"));
            sound.then(|| parts.join("/").into_bytes())
        });
        Self(clean.collect())
    }

    pub(super) fn covers(&self, path: &[u8]) -> bool {
        self.0.iter().any(|kept| {
            path.strip_prefix(kept.as_slice())
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        })
    }

    /// Whether a kept path lies below this one.
    pub(super) fn is_above(&self, path: &[u8]) -> bool {
        self.0.iter().any(|kept| {
            kept.strip_prefix(path)
                .is_some_and(|rest| rest.first() == Some(&b'/'))
        })
    }

    /// A symlink in the place of a cache would send the next task's cache elsewhere.
    pub(super) fn is_link(&self, path: &[u8], meta: &Metadata) -> bool {
        meta.is_symlink() && self.0.iter().any(|kept| kept == path)
    }
}
