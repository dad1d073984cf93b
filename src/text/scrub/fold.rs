//! A text as its reader would take it: escapes undone, what cannot be seen left out, upper and
//! lower case the same.
//!
//! The two alphabets of base64 become one here. It refuses to undo an escape twice: `%2541` is
//! `%41`.

/// The longest sequence that moves a terminal's cursor or sets its colour; a longer one is text.
const LONGEST_CONTROL: usize = 32;

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes that count as nothing.
    Nothing(usize),
    /// So many bytes that stand for one byte.
    Byte(u8, usize),
    /// So many bytes that stand for a character beyond ASCII.
    Char(char, usize),
    /// What comes next decides.
    Unsure,
}

/// What most bytes stand for, looked up: a byte, or one of the two below.
pub(super) const PLAIN: [u16; 256] = plain();

/// In [`PLAIN`]: it counts as nothing.
pub(super) const NOTHING: u16 = 256;

/// In [`PLAIN`]: ask [`next`].
const ASK: u16 = 257;

const fn plain() -> [u16; 256] {
    let mut table = [ASK; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            0x1b | b'%' | b'\\' | 0xc2..=0xf4 => ASK,
            0..=b' ' | 0x7f => NOTHING,
            byte => fold(byte) as u16,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// Reads the piece at the beginning of `text`, which is not empty. `last` = nothing follows.
#[inline]
pub(super) fn next(text: &[u8], last: bool) -> Piece {
    match text[0] {
        0x1b => known(control(text), last, Piece::Nothing(1)),
        b'%' => known(percent(text), last, Piece::Byte(b'%', 1)),
        b'\\' => known(escape(text), last, Piece::Byte(b'\\', 1)),
        byte @ 0xc2..=0xf4 => known(beyond(text), last, Piece::Byte(byte, 1)),
        byte => match PLAIN[usize::from(byte)] {
            NOTHING => Piece::Nothing(1),
            _ => Piece::Byte(fold(byte), 1),
        },
    }
}

/// `None` = the text ends too early to say.
fn known(piece: Option<Piece>, last: bool, otherwise: Piece) -> Piece {
    match piece {
        Some(piece) => piece,
        None if last => otherwise,
        None => Piece::Unsure,
    }
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        _ => byte.to_ascii_lowercase(),
    }
}

/// A character that an escape stands for, `length` bytes long.
fn decoded(code: u32, length: usize) -> Piece {
    match char::from_u32(code) {
        Some(c) if is_nothing(c) => Piece::Nothing(length),
        Some(c) => match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => Piece::Byte(fold(byte), length),
            Ok(_) | Err(_) => Piece::Char(c, length),
        },
        None => Piece::Nothing(length),
    }
}

/// Spaces, controls, and what no reader can see.
fn is_nothing(c: char) -> bool {
    let unseen = matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
    unseen || c.is_whitespace() || c.is_control()
}

/// A number of `count` digits of that base at `at`. `Some(None)` = there is none.
fn number(text: &[u8], at: usize, count: usize, base: u32) -> Option<Option<u32>> {
    let mut value = 0;
    for index in at..at + count {
        match char::from(*text.get(index)?).to_digit(base) {
            Some(digit) => value = value * base + digit,
            None => return Some(None),
        }
    }
    Some(Some(value))
}

/// `%41`.
fn percent(text: &[u8]) -> Option<Piece> {
    Some(match number(text, 1, 2, 16)? {
        // A byte of a longer character: the value's own bytes are compared.
        Some(byte @ 0x80..) => Piece::Byte(u8::try_from(byte).unwrap_or(b'%'), 3),
        Some(code) => decoded(code, 3),
        None => Piece::Byte(b'%', 1),
    })
}

/// `\n`, `\"`, `\u0041`, `\u{41}`, `\x41`, `\101`.
fn escape(text: &[u8]) -> Option<Piece> {
    let number = match text.get(1)? {
        b'u' if *text.get(2)? == b'{' => return braced(text),
        b'u' => (number(text, 2, 4, 16)?, 6),
        b'x' => (number(text, 2, 2, 16)?, 4),
        b'0'..=b'3' => (number(text, 1, 3, 8)?, 4),
        b'n' | b'r' | b't' | b'b' | b'f' => return Some(Piece::Nothing(2)),
        &byte @ (b'"' | b'\'' | b'\\' | b'/') => return Some(Piece::Byte(byte, 2)),
        _ => (None, 0),
    };
    Some(match number {
        (Some(code), length) => decoded(code, length),
        (None, _) => Piece::Byte(b'\\', 1),
    })
}

/// `\u{41}`, of at most six digits.
fn braced(text: &[u8]) -> Option<Piece> {
    let mut code = 0;
    for at in 3..10 {
        match text.get(at)? {
            b'}' if at > 3 => return Some(decoded(code, at + 1)),
            &byte => match char::from(byte).to_digit(16) {
                Some(digit) => code = code * 16 + digit,
                None => break,
            },
        }
    }
    Some(Piece::Byte(b'\\', 1))
}

/// `ESC [ 31 m` and its like.
fn control(text: &[u8]) -> Option<Piece> {
    match text.get(1)? {
        b'[' => {
            for at in 2..LONGEST_CONTROL {
                match text.get(at)? {
                    b' '..=b'?' => {}
                    b'@'..=b'~' => return Some(Piece::Nothing(at + 1)),
                    _ => break,
                }
            }
            Some(Piece::Nothing(1))
        }
        b'(' | b')' => text.get(2).map(|_| Piece::Nothing(3)),
        _ => Some(Piece::Nothing(1)),
    }
}

/// A character beyond ASCII, by its first byte.
fn beyond(text: &[u8]) -> Option<Piece> {
    let length = match text[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let known = &text[..text.len().min(length)];
    match std::str::from_utf8(known) {
        Ok(text) if known.len() == length => {
            let nothing = text.chars().all(is_nothing);
            Some(if nothing {
                Piece::Nothing(length)
            } else {
                Piece::Byte(known[0], 1)
            })
        }
        Err(error) if error.error_len().is_none() && known.len() < length => None,
        Ok(_) | Err(_) => Some(Piece::Byte(known[0], 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let (mut rest, mut folded) = (text.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let length = match next(rest, true) {
                Piece::Nothing(length) => length,
                Piece::Byte(byte, length) => {
                    folded.push(byte);
                    length
                }
                Piece::Char(c, length) => {
                    folded.extend(c.to_string().bytes());
                    length
                }
                Piece::Unsure => panic!("{text:?} has an end"),
            };
            rest = &rest[length..];
        }
        assert_eq!(String::from_utf8(folded).unwrap(), expect, "{text:?}");
    }

    #[test]
    fn escapes_are_undone_once() {
        check("%41%7a%2541 100% %4", "az%41100%%4");
        check(
            r"\u0041\x42\103\u{44}\u00e9 \n\t\/ \q \u12",
            r"abcdé/\q\u12",
        );
    }

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        check("a\u{200b}b\u{feff}c\u{ad}d\r\n\te\0f é", "abcdefé");
        check("a\u{1b}[1;31mb\u{1b}[0m\u{1b}(Bc\u{1b}", "abc");
    }

    #[test]
    fn what_comes_next_decides() {
        for text in ["%4", "\\", "\\u00", "\\u{4", "\u{1b}", "\u{1b}[3"] {
            assert_eq!(next(text.as_bytes(), false), Piece::Unsure, "{text:?}");
        }
        assert_eq!(next(&[0xe2, 0x80], false), Piece::Unsure);
        assert_eq!(next(&[0xe2, b'a'], false), Piece::Byte(0xe2, 1));
    }
}
