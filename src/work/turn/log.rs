//! Logs of a child's work, and what of them is evidence.

use super::AttemptWork;
use crate::exec::Ended;
use crate::fact::{Class, LogEvidence};
use crate::id::Sha256;
use crate::text;
use crate::work::attempt::Interruption;

/// How much of a log's start and end is kept as evidence, in bytes.
const HEAD: usize = 2 << 10;
const TAIL: usize = 6 << 10;

impl AttemptWork<'_> {
    /// The log's path, its directory made.
    pub(super) fn make_log(&self, name: &str) -> Result<std::path::PathBuf, Interruption> {
        let path = self.shared.tools.run_dir.path().join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.map_err(|error| {
            Interruption::new(
                Class::Host,
                format!("failed to make {}: {error}", path.display()),
            )
        })?;
        Ok(path)
    }

    pub(super) fn log_evidence(&self, ended: &Ended, path: String) -> LogEvidence {
        let scrub = |bytes: &[u8]| self.shared.tools.scrubber.scrub(&text::printable(bytes));
        let (head, tail) = if ended.tail.is_empty() && ended.head.len() <= HEAD + TAIL {
            (scrub(&ended.head), String::new())
        } else {
            let tail = if ended.tail.is_empty() {
                &ended.head
            } else {
                &ended.tail
            };
            (
                scrub(&ended.head[..HEAD.min(ended.head.len())]),
                scrub(&tail[tail.len().saturating_sub(TAIL)..]),
            )
        };
        LogEvidence {
            path,
            sha256: ended.log_sha256.clone(),
            bytes: ended.bytes,
            head,
            tail,
        }
    }

    /// A transcript is evidence by its digest; what it says is for those who may read the run's
    /// directory.
    pub(super) fn transcript(&self, ended: &Ended, path: String) -> LogEvidence {
        let (head, tail) = (String::new(), String::new());
        let sha256: Sha256 = ended.log_sha256.clone();
        LogEvidence {
            path,
            sha256,
            bytes: ended.bytes,
            head,
            tail,
        }
    }
}
