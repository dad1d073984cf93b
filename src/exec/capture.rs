//! What a child prints, in bounded memory: its beginning and end, a log file up to a cap, and its
//! lines as they come.
//!
//! Known secrets are taken out of everything that is kept, wherever they are cut; only the lines,
//! which are read in memory, come as they were printed. It refuses to understand any of it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use sha2::Digest as _;
use tokio::sync::mpsc::UnboundedSender;

use crate::id::Sha256;
use crate::text::{ScrubStream, Scrubber};

/// The beginning that is kept: the command's banner and first error.
const HEAD: usize = 16 * 1024;

/// The end that is kept: most tools print their summary last.
const TAIL: usize = 48 * 1024;

/// The end of standard error that is kept by itself.
const STDERR_TAIL: usize = 16 * 1024;

/// How much before an end is looked at, too, so that a secret which the end cuts is found: more
/// than any token, and as much as a private key.
const MARGIN: usize = 16 * 1024;

/// The longest line that is delivered; the Kimi CLI prints a tool's whole result as one.
const LINE: usize = 8 * 1024 * 1024;

/// The output of one child, as it comes.
#[derive(Debug)]
pub(super) struct Capture {
    log: File,
    room: u64,
    failure: Option<io::Error>,
    digest: sha2::Sha256,
    bytes: u64,
    head: Vec<u8>,
    tail: Tail,
    stderr_tail: Tail,
    lines: Option<LineCutter>,
    scrubber: Scrubber,
    /// `None` once the log and the beginning are full: of the rest only the end is kept, and
    /// searched once.
    stream: Option<ScrubStream>,
}

/// What is left of the output in the end.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) stderr_tail: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) log_sha256: Sha256,
}

impl Capture {
    /// Begins the log file anew, with room for `cap` bytes; its directory is made where it is
    /// missing. `scrubber` knows what must not be kept.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub(super) fn create(
        log: &Path,
        cap: u64,
        scrubber: &Scrubber,
        lines: Option<UnboundedSender<Vec<u8>>>,
    ) -> io::Result<Self> {
        if let Some(directory) = log.parent() {
            std::fs::create_dir_all(directory)?;
        }
        Ok(Self {
            log: File::create(log)?,
            room: cap,
            failure: None,
            digest: sha2::Sha256::new(),
            bytes: 0,
            head: Vec::new(),
            tail: Tail::new(TAIL),
            stderr_tail: Tail::new(STDERR_TAIL),
            lines: lines.map(|to| LineCutter {
                to,
                line: Vec::new(),
                too_long: false,
            }),
            scrubber: scrubber.clone(),
            stream: Some(scrubber.stream()),
        })
    }

    /// Takes bytes of standard output.
    pub(super) fn stdout(&mut self, bytes: &[u8]) {
        if let Some(lines) = &mut self.lines {
            lines.take(bytes);
        }
        self.both(bytes);
    }

    /// Takes bytes of standard error.
    pub(super) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr_tail.take(bytes);
        self.both(bytes);
    }

    /// Whether the log could not be written; the child need not go on then.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The end: an unfinished last line counts as a line.
    ///
    /// # Errors
    /// Where the log could not be written.
    pub(super) fn finish(mut self) -> io::Result<Captured> {
        if let Some(lines) = self.lines.take() {
            lines.finish();
        }
        if let Some(mut stream) = self.stream.take() {
            let mut rest = Vec::new();
            stream.finish(&mut rest);
            self.keep(&rest);
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        Ok(Captured {
            head: self.head,
            tail: self.tail.finish(&self.scrubber),
            stderr_tail: self.stderr_tail.finish(&self.scrubber),
            bytes: self.bytes,
            log_sha256: Sha256::from_digest(&self.digest.finalize()),
        })
    }

    fn both(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Some(mut stream) = self.stream.take() else {
            self.tail.take(bytes);
            return;
        };
        let mut clean = Vec::with_capacity(bytes.len());
        stream.push(bytes, &mut clean);
        self.keep(&clean);
        if self.room > 0 || self.head.len() < HEAD {
            self.stream = Some(stream);
        } else {
            self.tail.take(&stream.into_held());
        }
    }

    /// Takes bytes without secrets to where they are kept.
    fn keep(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.take(rest);

        let fits = usize::try_from(self.room)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        if fits == 0 || self.has_failed() {
            return;
        }
        match self.log.write_all(&bytes[..fits]) {
            Ok(()) => {
                self.room -= fits as u64;
                self.digest.update(&bytes[..fits]);
            }
            Err(error) => self.failure = Some(error),
        }
    }
}

/// The last bytes of a stream, and some before them.
#[derive(Debug)]
struct Tail {
    bytes: Vec<u8>,
    keep: usize,
}

impl Tail {
    fn new(keep: usize) -> Self {
        Self {
            bytes: Vec::new(),
            keep,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let most = self.keep + MARGIN;
        self.bytes
            .extend_from_slice(&bytes[bytes.len().saturating_sub(most)..]);
        // Twice as much before it is cut, so that small pieces do not move the whole each time.
        if self.bytes.len() > 2 * most {
            self.bytes.drain(..self.bytes.len() - most);
        }
    }

    /// The end itself, without secrets.
    fn finish(self, scrubber: &Scrubber) -> Vec<u8> {
        let (mut stream, mut clean) = (scrubber.stream(), Vec::with_capacity(self.bytes.len()));
        stream.push(&self.bytes, &mut clean);
        stream.finish(&mut clean);
        clean.split_off(clean.len().saturating_sub(self.keep))
    }
}

/// Cuts a stream into lines and sends them on.
#[derive(Debug)]
struct LineCutter {
    to: UnboundedSender<Vec<u8>>,
    line: Vec<u8>,
    too_long: bool,
}

impl LineCutter {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.too_long |= self.line.len() + text.len() > LINE;
            if self.too_long {
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(text);
            }
            if ends {
                self.send();
            }
        }
    }

    fn send(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.too_long) {
            // Nobody may be listening any more; the child goes on all the same.
            let _ = self.to.send(line);
        }
    }

    fn finish(mut self) {
        if !self.line.is_empty() {
            self.send();
        }
    }
}

#[cfg(test)]
mod tests;
