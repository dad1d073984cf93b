//! Where an e-mail's history begins, which some programs put below a reply without marking it as a
//! quote.
//!
//! What others wrote there must not be taken for the words of whoever answered. It refuses to know
//! any other way of quoting: that is Markdown's.

/// How many lines behind `From:` are looked at for the rest of a letter's head; addresses may be
/// wrapped.
const HEAD: usize = 8;

/// Words that begin the other lines of such a head. A letter has two of them at least, a sentence
/// that begins with `From:` seldom more than one.
const FIELDS: [&str; 4] = ["sent:", "date:", "to:", "subject:"];

/// Lines with their offset, without their end: CR LF, LF, or CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let end = match &rest.as_bytes()[length..] {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            [_, ..] => 1,
        };
        let line = (at, &rest[..length]);
        at += length + end;
        Some(line)
    })
}

/// Where the history begins; the end of the text where there is none.
pub(super) fn start(text: &str) -> usize {
    let mut head: Option<LetterHead> = None;
    for (at, line) in lines(text) {
        let line = plain(line);
        if line.starts_with("-----original message-----") {
            return at;
        }
        if line.starts_with("from:") {
            head = Some(LetterHead {
                at,
                lines: 0,
                fields: 0,
            });
        } else if let Some(seen) = &mut head {
            seen.lines += 1;
            seen.fields += usize::from(FIELDS.iter().any(|field| line.starts_with(field)));
            if seen.fields == 2 {
                return seen.at;
            }
            if seen.lines == HEAD {
                head = None;
            }
        }
    }
    text.len()
}

/// What may be the head of a letter.
struct LetterHead {
    at: usize,
    lines: usize,
    fields: usize,
}

/// The line's beginning in lower case, without Markdown's bold and without blanks.
fn plain(line: &str) -> String {
    let line = line.trim_start_matches([' ', '\t', '*', '_']);
    line.chars()
        .take(30)
        .filter(|c| *c != '*')
        .collect::<String>()
        .to_lowercase()
}
