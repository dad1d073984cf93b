//! Names without what differs from one execution to the next: addresses, temporary paths, ports,
//! random names.
//!
//! It refuses to look at anything that a person would call another name: numbers and words stay.

/// Where systems keep what is temporary.
const TEMPORARY: [&str; 5] = [
    "/private/var/folders/",
    "/var/folders/",
    "/private/tmp/",
    "/var/tmp/",
    "/tmp/",
];

/// What a port follows.
const HOSTS: [&str; 6] = [
    "127.0.0.1:",
    "0.0.0.0:",
    "localhost:",
    "[::1]:",
    "[::]:",
    "port ",
];

/// Hexadecimal digits of a UUID's five groups.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The text with `#` for each address, port and random name, and for each path below a temporary
/// directory.
pub(super) fn steady(text: &str, temporary: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(ch) = rest.chars().next() {
        let before = out.chars().next_back();
        let (kept, taken) = match varying(rest, before, temporary) {
            Some((kept, taken)) => (kept, taken),
            None => (ch.len_utf8(), ch.len_utf8()),
        };
        out.push_str(&rest[..kept]);
        if taken > kept {
            out.push('#');
        }
        rest = &rest[taken..];
    }
    out
}

/// How much of what begins here stays, and how much there is of it; `None` where nothing varies.
fn varying(rest: &str, before: Option<char>, temporary: &[String]) -> Option<(usize, usize)> {
    let begins = before.is_none_or(|ch| !ch.is_alphanumeric());
    if rest.starts_with('/') && begins {
        let own = temporary
            .iter()
            .find(|directory| rest.starts_with(directory.as_str()));
        let prefix = own.map(String::as_str).or_else(|| {
            TEMPORARY
                .into_iter()
                .find(|prefix| rest.starts_with(prefix))
        })?;
        // Whatever else of omk's own directory stands there is another's in the next slot.
        let kept = if own.is_some() { 0 } else { prefix.len() };
        return Some((kept, prefix.len() + path_length(&rest[prefix.len()..])));
    }
    if let Some(digits) = rest.strip_prefix("0x").filter(|_| begins) {
        let count = hexadecimal(digits);
        return (count >= 4).then_some((2, 2 + count));
    }
    if let Some(digits) = rest.strip_prefix('@') {
        // Java's way to print an object: `Session@1b6d3586`.
        let count = hexadecimal(digits);
        let ends = !digits[count..].starts_with(|ch: char| ch.is_alphanumeric() || ch == '.');
        let hash =
            (5..=16).contains(&count) && digits[..count].contains(|ch: char| ch.is_ascii_digit());
        return (hash && ends).then_some((1, 1 + count));
    }
    if !begins {
        return None;
    }
    if let Some(host) = HOSTS.into_iter().find(|host| rest.starts_with(host)) {
        let count = rest[host.len()..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        return (2..=5)
            .contains(&count)
            .then_some((host.len(), host.len() + count));
    }
    uuid(rest).map(|length| (0, length))
}

fn hexadecimal(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_hexdigit).count()
}

/// A path goes on to a blank, a quote, or a closing bracket.
fn path_length(text: &str) -> usize {
    let ends = |ch: char| ch.is_whitespace() || "\"'`)]}>,;:".contains(ch);
    text.find(ends).unwrap_or(text.len())
}

fn uuid(text: &str) -> Option<usize> {
    let mut length = 0;
    for (at, digits) in UUID.into_iter().enumerate() {
        if at > 0 {
            text.get(length..)?.strip_prefix('-')?;
            length += 1;
        }
        if hexadecimal(text.get(length..)?) != digits {
            return None;
        }
        length += digits;
    }
    Some(length)
}

#[cfg(test)]
mod tests;
