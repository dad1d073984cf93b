//! Names of a tree as other file systems read them, and those that no task may store.
//!
//! A repository is checked out on macOS and Windows too. HFS+ skips invisible characters, both fold
//! case, NTFS drops dots and spaces at the end and has short names. It refuses to look at a disk.

use crate::id::RepoPath;

/// Directories inside each other that a path of a change may have. Real trees stay far below, and
/// each step of a walk costs stack.
pub const DEEPEST: usize = 128;

/// The most bytes of a path of a change: half of what Linux takes, which leaves the other half to
/// the slot's own place.
pub const LONGEST: usize = 2048;

/// What is said of a path beyond [`DEEPEST`].
pub(crate) const TOO_DEEP: &str = "is nested too deep: 128 directories are the most";

/// What is said of a path beyond [`LONGEST`].
pub(crate) const TOO_LONG: &str = "has too long a path: 2048 bytes are the most";

/// Why nothing at that path can be part of a change; `None` where it can. `link` = it is a symbolic
/// link.
#[must_use]
pub fn unstorable(path: &RepoPath, link: bool) -> Option<&'static str> {
    let bytes = path.as_bytes();
    if bytes.iter().filter(|&&byte| byte == b'/').count() > DEEPEST {
        return Some(TOO_DEEP);
    }
    if bytes.len() > LONGEST {
        return Some(TOO_LONG);
    }
    let parts = folded(bytes);
    if parts.iter().any(|part| is_same(part, ".git")) {
        return Some("has a name that git keeps for itself, on this system or another");
    }
    let last = parts.last().map_or("", String::as_str);
    if link && (is_same(last, ".gitmodules") || is_same(last, ".gitattributes")) {
        return Some("is a symbolic link, and git reads its settings only from a file");
    }
    None
}

/// Whether some file system takes this component of a path for `.git`.
#[must_use]
pub fn is_dot_git(component: &[u8]) -> bool {
    folded(component).iter().any(|part| is_same(part, ".git"))
}

/// The components of a path, each as all those file systems agree to read it.
pub(super) fn folded(path: &[u8]) -> Vec<String> {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
        .map(fold)
        .collect()
}

fn fold(component: &[u8]) -> String {
    let text = String::from_utf8_lossy(component);
    let visible = text.chars().filter(|character| !is_ignorable(*character));
    // Upper case first: a few letters have a plain one only there.
    let folded: String = visible
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    // What follows a colon names a stream of the same file.
    let name = folded.split(':').next().unwrap_or(&folded);
    name.trim_end_matches(['.', ' ']).to_owned()
}

/// Characters that HFS+ skips when it compares names; the list is git's.
fn is_ignorable(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether a folded component is that name, which is in lower case, or a short name that Windows
/// may give it.
pub(super) fn is_same(part: &str, name: &str) -> bool {
    part == name || is_short_name(part, name)
}

/// `gitmod~1` and `gi7eba~1` for `.gitmodules`, `agents~1.yam` for `agents.yaml`.
fn is_short_name(part: &str, name: &str) -> bool {
    let bare = name.trim_start_matches('.');
    let (stem, extension) = bare.rsplit_once('.').unwrap_or((bare, ""));
    if bare == name && stem.len() <= 8 && extension.len() <= 3 {
        // It is its own short name.
        return false;
    }
    let (short, short_extension) = part.rsplit_once('.').unwrap_or((part, ""));
    let Some((begin, number)) = short.rsplit_once('~') else {
        return false;
    };
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let stem: String = stem
        .chars()
        .filter(|character| !matches!(character, '.' | ' '))
        .collect();
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    // Where many names begin alike, Windows goes over to two letters and a checksum. git expects
    // that of long names.
    let hashed = stem.len() >= 6
        && begin.len() == 6
        && begin.starts_with(&cut(&stem, 2))
        && begin.bytes().skip(2).all(is_hex);
    numbered && short_extension == cut(extension, 3) && (begin == cut(&stem, 6) || hashed)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests;
