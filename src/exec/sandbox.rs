//! What a child may see, touch and reach, as whoever starts it asks for it, and how the files of a
//! room lie over those of the machine.
//!
//! It refuses to touch anything: [`layers`] only says what goes where. Putting it there is the
//! business of `furnish`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plan::RoomLevel;

/// What a child may see, touch and reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// What it may write: its slot, HOME, TMPDIR. What a link leads to is left out.
    #[serde(with = "any_bytes")]
    pub writable: Vec<PathBuf>,
    /// What it sees as its own copy: changes are gone when it has ended. Read-only if there is no
    /// `scratch`, or if the room cannot be sealed.
    #[serde(with = "any_bytes")]
    pub copied: Vec<PathBuf>,
    /// What it sees, although it lies below something hidden.
    #[serde(with = "any_bytes")]
    pub shown: Vec<PathBuf>,
    /// What it finds empty, if the room can be sealed.
    #[serde(with = "any_bytes")]
    pub hidden: Vec<PathBuf>,
    /// An empty directory on a real disk for copies, `/tmp` and `/var/tmp`; whoever made it
    /// removes it.
    pub scratch: Option<PathBuf>,
    /// What it reaches on the network.
    pub reach: NetworkReach,
    /// The least level that is accepted; below it the child is not started.
    pub least: RoomLevel,
    /// The best level that is tried.
    pub most: RoomLevel,
}

impl Sandbox {
    /// Where changes to the copy of that number in `copied` are kept, relative to `scratch`. What
    /// lies there before is part of the copy from the beginning.
    #[must_use]
    pub fn changes_of(copy: usize) -> PathBuf {
        PathBuf::from(format!("copy-{copy}/upper"))
    }

    /// A directory there, relative to `scratch`, is what lies in the place of the copy of that
    /// number, to be written: for a directory that cannot be copied. In its
    /// [`Sandbox::BORROWED`] lie directories of the original, each over the one of its name, to
    /// be read.
    #[must_use]
    pub fn stand_in_of(copy: usize) -> PathBuf {
        PathBuf::from(format!("copy-{copy}/instead"))
    }

    /// Where a stand-in has directories of the original.
    pub const BORROWED: &str = "borrowed";
}

impl Default for Sandbox {
    /// The best that the machine has, with nothing to be written and everything to be seen.
    fn default() -> Self {
        let paths = Vec::new;
        Self {
            writable: paths(),
            copied: paths(),
            shown: paths(),
            hidden: paths(),
            scratch: None,
            reach: NetworkReach::Open,
            least: RoomLevel::None,
            most: RoomLevel::Sealed,
        }
    }
}

/// What a child reaches on the network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NetworkReach {
    /// The machine's network.
    #[default]
    Open,
    /// Nothing but itself.
    Nothing,
    /// Itself, and these ports of 127.0.0.1, which omk serves; never none.
    Doors(Vec<u16>),
}

/// How one path of the machine appears in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// As it is, to be written.
    Writable,
    /// A copy of its own.
    Copied,
    /// As it is, to be read.
    Shown,
    /// As an empty directory for everybody's temporary files.
    Shared,
    /// As an empty directory, or an empty file.
    Hidden,
}

/// What of a machine's root is its system: programs, libraries and their settings. All else there
/// is somebody's own, and so is most of `/var`; services keep their sockets and their data in such
/// places.
pub(super) const SYSTEM: [&str; 15] = [
    "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu", "snap",
    "dev", "proc", "sys",
];

/// What of `/var` belongs to installed programs.
const OF_VAR: [&str; 13] = [
    "/var/cache",
    "/var/lib/apk",
    "/var/lib/dpkg",
    "/var/lib/emacsen-common",
    "/var/lib/gems",
    "/var/lib/ghc",
    "/var/lib/haskell-packages",
    "/var/lib/pacman",
    "/var/lib/python",
    "/var/lib/rpm",
    "/var/lib/sgml-base",
    "/var/lib/texmf",
    "/var/lib/xml-core",
];

/// What no build needs of the kernel's own state.
const HIDDEN: [&str; 3] = ["/sys/kernel", "/sys/firmware", "/sys/fs/bpf"];

/// Where everybody may leave files, and finds those of others.
pub(super) const SHARED: [&str; 2] = ["/tmp", "/var/tmp"];

/// Files of every machine that only root reads, and root's children could.
const HIDDEN_FILES: [&str; 4] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
];

/// What lies where in a room of a machine whose root has those directories, parents first. What
/// changes nothing is left out: what its nearest parent shows or hides already.
pub(super) fn layers(room: &Sandbox, root: &[OsString]) -> Vec<(PathBuf, Layer)> {
    // For one path the earlier layer wins: what may be written is not hidden.
    let mut wanted: BTreeMap<PathBuf, Layer> = BTreeMap::new();
    let mut want = |path: &Path, layer: Layer| {
        let known = wanted.entry(path.to_owned()).or_insert(layer);
        *known = layer.min(*known);
    };
    for (paths, layer) in [
        (&room.writable, Layer::Writable),
        (&room.copied, Layer::Copied),
        (&room.shown, Layer::Shown),
        (&room.hidden, Layer::Hidden),
    ] {
        for path in paths
            .iter()
            .filter(|path| path.is_absolute() && path.parent().is_some())
        {
            want(path, layer);
        }
    }
    for path in HIDDEN.iter().chain(&HIDDEN_FILES) {
        want(Path::new(path), Layer::Hidden);
    }
    for name in root
        .iter()
        .filter(|name| !SYSTEM.iter().any(|system| name == system))
    {
        want(&Path::new("/").join(name), Layer::Hidden);
    }
    for path in OF_VAR {
        want(Path::new(path), Layer::Shown);
    }
    for path in SHARED {
        want(Path::new(path), Layer::Shared);
    }
    // `Path` is ordered by its components, so parents stand before what is in them.
    let mut inside: Vec<(PathBuf, Layer)> = Vec::new();
    let mut kept = Vec::new();
    for (path, layer) in wanted {
        while inside
            .last()
            .is_some_and(|(parent, _)| !path.starts_with(parent))
        {
            inside.pop();
        }
        let around = inside.last().map(|(_, layer)| *layer);
        let changes_nothing = match (layer, around) {
            (Layer::Hidden, Some(Layer::Hidden | Layer::Shared)) => true,
            (Layer::Shown, None | Some(Layer::Shown | Layer::Writable | Layer::Copied)) => true,
            (Layer::Writable, Some(Layer::Writable)) | (Layer::Copied, Some(Layer::Copied)) => true,
            (Layer::Hidden | Layer::Shown | Layer::Writable | Layer::Copied | Layer::Shared, _) => {
                false
            }
        };
        if !changes_nothing {
            inside.push((path.clone(), layer));
            kept.push((path, layer));
        }
    }
    kept
}

/// Paths as they are, also where they are not text.
mod any_bytes {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.iter().map(|path| path.as_os_str()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::<OsString>::deserialize(from)?
            .into_iter()
            .map(PathBuf::from)
            .collect())
    }
}

#[cfg(test)]
mod tests;
