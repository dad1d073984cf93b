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
    lines: Option<Lines>,
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
            lines: lines.map(|to| Lines {
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
struct Lines {
    to: UnboundedSender<Vec<u8>>,
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capture(cap: u64, pieces: &[&[u8]]) -> (Captured, Vec<Vec<u8>>, Vec<u8>) {
        capture_without(&Scrubber::default(), cap, pieces)
    }

    fn capture_without(
        scrubber: &Scrubber,
        cap: u64,
        pieces: &[&[u8]],
    ) -> (Captured, Vec<Vec<u8>>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("deep/er/log");
        let (to, mut from) = tokio::sync::mpsc::unbounded_channel();
        let mut capture = Capture::create(&log, cap, scrubber, Some(to)).unwrap();
        for piece in pieces {
            capture.stdout(piece);
        }
        let captured = capture.finish().unwrap();
        let lines = std::iter::from_fn(|| from.try_recv().ok()).collect();
        (captured, lines, std::fs::read(log).unwrap())
    }

    #[test]
    fn a_line_over_eight_mebibytes_is_dropped_whole_and_the_next_is_not() {
        let long = vec![b'x'; LINE - 1];
        let (_, lines, _) = capture(0, &[b"a\n", &long, b"yz\nb\n", &long, b"y\nlast"]);
        let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 1, LINE, 4]);
    }

    #[test]
    fn the_log_ends_at_its_cap_and_the_count_goes_on() {
        let (captured, _, log) = capture(5, &[b"abc", b"defg", b"h"]);
        assert_eq!(log, b"abcde");
        assert_eq!(captured.bytes, 8);
        assert_eq!(captured.log_sha256, Sha256::of(b"abcde"));
        assert_eq!(captured.head, b"abcdefgh");
        assert_eq!(captured.tail, b"");
    }

    const SECRET: &str = "aB3dE5gH7jK9mN1pQ2rS";

    #[test]
    fn a_secret_is_kept_nowhere_wherever_the_output_is_cut() {
        let scrubber = Scrubber::new([SECRET]);
        let whole = format!("one {SECRET}\n{}two {SECRET}\n", "-".repeat(HEAD + TAIL));
        for size in [1, 7, 19, 4096] {
            for cap in [0, 10, 1000, u64::MAX] {
                let pieces: Vec<&[u8]> = whole.as_bytes().chunks(size).collect();
                let (captured, lines, log) = capture_without(&scrubber, cap, &pieces);
                let kept = [captured.head, captured.tail, log.clone()];
                for kept in kept.iter().map(|kept| String::from_utf8_lossy(kept)) {
                    assert!(
                        !kept.contains(&SECRET[..12]) && !kept.contains(&SECRET[8..]),
                        "{size} {cap}: {kept}"
                    );
                }
                assert!(
                    kept[0].starts_with(b"one ***\n-") && kept[1].ends_with(b"-two ***\n"),
                    "{size} {cap}"
                );
                assert_eq!(captured.log_sha256, Sha256::of(&log));
                assert_eq!(captured.bytes, whole.len() as u64);
                // What is read in memory is what was printed.
                assert_eq!(lines[0], format!("one {SECRET}").as_bytes());
            }
        }
    }

    #[test]
    fn a_secret_at_the_border_of_the_end_leaves_no_piece() {
        let scrubber = Scrubber::new([SECRET]);
        for after in TAIL - SECRET.len()..=TAIL + 1 {
            let whole = format!("{}{SECRET}{}", "a".repeat(4 * HEAD), "-".repeat(after));
            let pieces: Vec<&[u8]> = whole.as_bytes().chunks(1000).collect();
            let (captured, ..) = capture_without(&scrubber, 0, &pieces);
            let tail = String::from_utf8_lossy(&captured.tail).into_owned();
            assert!(
                tail.trim_matches('-')
                    .trim_start_matches('a')
                    .trim_matches('*')
                    .is_empty(),
                "{tail:.40}"
            );
        }
    }

    #[test]
    fn the_end_of_standard_error_has_no_secret_either() {
        let scrubber = Scrubber::new([SECRET]);
        let dir = tempfile::tempdir().unwrap();
        let mut capture = Capture::create(&dir.path().join("log"), 1000, &scrubber, None).unwrap();
        let (first, second) = SECRET.split_at(5);
        capture.stderr(first.as_bytes());
        capture.stdout(b"between");
        capture.stderr(second.as_bytes());
        let captured = capture.finish().unwrap();
        assert_eq!(captured.stderr_tail, b"***");
        assert_eq!(
            String::from_utf8_lossy(&captured.head),
            format!("{first}between***")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn head_and_tail_are_the_ends_however_it_was_cut(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40_000), 0..8)
        ) {
            let whole = pieces.concat();
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (captured, lines, log) = capture(u64::MAX, &slices);
            let (head, rest) = whole.split_at(whole.len().min(HEAD));
            prop_assert_eq!(captured.head, head);
            prop_assert_eq!(captured.tail, &rest[rest.len().saturating_sub(TAIL)..]);
            let mut expected: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(lines, expected);
            prop_assert_eq!(log, whole);
        }
    }
}
