//! The patterns of `.gitignore`, as git matches them, in bounded time.

/// git's `wildmatch`: with `paths`, `*` and `?` stop at slashes and `**` between slashes does not.
pub(super) fn wild(pattern: &[u8], text: &[u8], paths: bool) -> bool {
    // Positions of the text that the pattern so far can have reached; no backtracking, so no
    // pattern is slow.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let (next, width) = match pattern[at] {
            b'*' => {
                let stars = pattern[at..]
                    .iter()
                    .take_while(|&&byte| byte == b'*')
                    .count();
                let starts = at == 0 || pattern[at - 1] == b'/';
                let ends = matches!(pattern.get(at + stars), None | Some(b'/'));
                let deep = !paths || (stars > 1 && starts && ends);
                let slash = pattern.get(at + stars) == Some(&b'/');
                if paths && deep && slash {
                    (directories(&reached, text), stars + 1)
                } else {
                    (run(&reached, text, deep), stars)
                }
            }
            _ => {
                let Some((width, class)) = atom(&pattern[at..]) else {
                    return false;
                };
                let mut next = vec![false; text.len() + 1];
                for (index, &byte) in text.iter().enumerate() {
                    let fits = class.holds(byte) && !(paths && byte == b'/' && !class.is_literal());
                    next[index + 1] = reached[index] && fits;
                }
                (next, width)
            }
        };
        if !next.contains(&true) {
            return false;
        }
        reached = next;
        at += width;
    }
    reached[text.len()]
}

/// `*`, or with `deep` `**` at an end.
fn run(reached: &[bool], text: &[u8], deep: bool) -> Vec<bool> {
    let mut next = reached.to_vec();
    for (index, &byte) in text.iter().enumerate() {
        next[index + 1] |= next[index] && (deep || byte != b'/');
    }
    next
}

/// `**/`: nothing, or any directories.
fn directories(reached: &[bool], text: &[u8]) -> Vec<bool> {
    let mut next = reached.to_vec();
    let mut open = false;
    for (index, &byte) in text.iter().enumerate() {
        open |= reached[index];
        next[index + 1] |= open && byte == b'/';
    }
    next
}

/// What one character may be.
enum CharClass {
    Any,
    Literal(u8),
    Set {
        negated: bool,
        members: Box<[bool; 256]>,
    },
}

impl CharClass {
    fn holds(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => *literal == byte,
            Self::Set { negated, members } => members[usize::from(byte)] != *negated,
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }
}

/// The first atom of a pattern that does not begin with `*`, and its width; `None` where it is
/// malformed, and so matches nothing.
fn atom(pattern: &[u8]) -> Option<(usize, CharClass)> {
    match pattern {
        [b'?', ..] => Some((1, CharClass::Any)),
        [b'\\', byte, ..] => Some((2, CharClass::Literal(*byte))),
        [b'\\'] => None,
        [b'[', ..] => set(pattern),
        [byte, ..] => Some((1, CharClass::Literal(*byte))),
        [] => None,
    }
}

fn set(pattern: &[u8]) -> Option<(usize, CharClass)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut members = Box::new([false; 256]);
    let mut at = first;
    let mut previous: Option<u8> = None;
    loop {
        let byte = *pattern.get(at)?;
        if byte == b']' && at > first {
            return Some((at + 1, CharClass::Set { negated, members }));
        }
        if byte == b'[' && pattern.get(at + 1) == Some(&b':') {
            let rest = pattern.get(at + 2..)?;
            let end = rest.windows(2).position(|pair| pair == b":]")?;
            add_named(&mut members, &rest[..end])?;
            at += end + 4;
            previous = None;
            continue;
        }
        let range =
            byte == b'-' && previous.is_some() && !matches!(pattern.get(at + 1), None | Some(b']'));
        if range {
            at += 1;
        }
        let (width, byte) = match *pattern.get(at)? {
            b'\\' => (2, *pattern.get(at + 1)?),
            byte => (1, byte),
        };
        let from = if range {
            previous.unwrap_or(byte)
        } else {
            byte
        };
        (from..=byte).for_each(|member| members[usize::from(member)] = true);
        previous = if range { None } else { Some(byte) };
        at += width;
    }
}

/// `[:alpha:]` and its like.
fn add_named(members: &mut [bool; 256], name: &[u8]) -> Option<()> {
    let belongs: fn(u8) -> bool = match name {
        b"alnum" => |byte| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte| byte.is_ascii_alphabetic(),
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte| byte.is_ascii_control(),
        b"digit" => |byte| byte.is_ascii_digit(),
        b"graph" => |byte| byte.is_ascii_graphic(),
        b"lower" => |byte| byte.is_ascii_lowercase(),
        b"print" => |byte| byte.is_ascii_graphic() || byte == b' ',
        b"punct" => |byte| byte.is_ascii_punctuation(),
        b"space" => |byte| byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => |byte| byte.is_ascii_uppercase(),
        b"xdigit" => |byte| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    (0..=255)
        .filter(|&byte| belongs(byte))
        .for_each(|byte| members[usize::from(byte)] = true);
    Some(())
}
