//! The room that a run's children had, in words: its level, why it is no better one, and what it
//! does not hold.
//!
//! It refuses to guess: the level and the reason are those that children met, and the list is the
//! one of SECURITY.md.

use crate::fact::Containment;
use crate::plan::RoomLevel;

/// A kind of attempt to get out that a room of level `landlock` does not stop, and a sealed one
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Its name, in reports and in SECURITY.md.
    pub name: &'static str,
    /// Whom it concerns: everybody, or children of a user who is not root.
    pub open_to: OpenTo,
    /// What a child can do, as a sentence.
    pub words: &'static str,
}

/// Whom an [`Exception`] concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenTo {
    /// Every user's children.
    All,
    /// Children of users other than root: root's have lost the capability that it would take.
    Ordinary,
}

/// All that Landlock alone does not hold. Tests compare it with SECURITY.md, and SECURITY.md with
/// some 300 attempts.
pub const EXCEPTIONS: [Exception; 8] = [
    Exception {
        name: "metadata",
        open_to: OpenTo::All,
        words: "a child can change modes, times and attributes of the user's files, and as root their owner.",
    },
    Exception {
        name: "network seen",
        open_to: OpenTo::All,
        words: "a child sees the machine's interfaces and open connections, also if it can reach none of them.",
    },
    Exception {
        name: "private files",
        open_to: OpenTo::All,
        words: "a child can read all that the user can read: the checkout, other slots, credentials, omk's state.",
    },
    Exception {
        name: "processes seen",
        open_to: OpenTo::All,
        words: "a child sees other processes and their command lines, but not their memory, environment or files.",
    },
    Exception {
        name: "scheduling of processes",
        open_to: OpenTo::Ordinary,
        words: "a child can slow down other processes of the user.",
    },
    Exception {
        name: "shared memory",
        open_to: OpenTo::All,
        words: "a child can use System V memory, queues and semaphores of the user, and files in `/dev/shm`.",
    },
    Exception {
        name: "sockets by name",
        open_to: OpenTo::All,
        words: "a child can talk to services that listen at a path: Docker, ssh-agent, D-Bus; and hand an open file of its \
                slot to another task.",
    },
    Exception {
        name: "terminals",
        open_to: OpenTo::All,
        words: "a child can write to the user's terminals.",
    },
];

impl Exception {
    /// Its name, and whom it concerns if not everybody: `scheduling of processes (not as root)`.
    #[must_use]
    pub fn in_short(&self) -> String {
        match self.open_to {
            OpenTo::All => self.name.to_owned(),
            OpenTo::Ordinary => format!("{} (not as root)", self.name),
        }
    }
}

/// What rooms of that level do not hold, by name. Empty for a sealed one, which has no exceptions,
/// and for none at all, which holds nothing.
#[must_use]
pub fn exceptions(level: RoomLevel) -> Vec<String> {
    match level {
        RoomLevel::Landlock => EXCEPTIONS.iter().map(Exception::in_short).collect(),
        RoomLevel::Sealed | RoomLevel::None => Vec::new(),
    }
}

/// What a person must know of a room that is not sealed; `None` for one that is.
pub(super) fn warning(room: &Containment) -> Option<String> {
    let why = room
        .why_not
        .as_ref()
        .map_or_else(String::new, |why| format!(" ({why})"));
    match room.level {
        RoomLevel::Sealed => None,
        RoomLevel::Landlock => Some(format!(
            "The children's room was of level landlock, not sealed{why}. Landlock alone does not hold: {}. SECURITY.md \
             explains each; `omk doctor` says what to do.",
            exceptions(room.level).join(", ")
        )),
        RoomLevel::None => Some(format!(
            "The children's room was of level none{why}: they could do all that the user can, and nothing confined their \
             writes. `omk doctor` says what to do."
        )),
    }
}

#[cfg(test)]
mod tests;
