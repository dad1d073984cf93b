//! What looks like a secret: tokens of well-known services, private keys, passwords in URLs and
//! headers.
//!
//! Every rule reads on only where a word begins, and no further than the word, so all of it is one
//! pass. It refuses to guess by entropy: a digest is no secret.

/// A token that is known by how it begins.
struct Prefix {
    start: &'static str,
    /// Characters that must follow at least.
    least: usize,
    /// Whether there must be a digit among them, where the beginning could be a word.
    digit: bool,
}

const fn prefix(start: &'static str, least: usize) -> Prefix {
    Prefix {
        start,
        least,
        digit: false,
    }
}

/// GitHub, GitLab, model providers, Slack, Google, npm, PyPI, Hugging Face, Stripe, DigitalOcean.
const PREFIXES: &[Prefix] = &[
    prefix("ghp_", 20),
    prefix("gho_", 20),
    prefix("ghu_", 20),
    prefix("ghs_", 20),
    prefix("ghr_", 20),
    prefix("github_pat_", 20),
    prefix("glpat-", 16),
    prefix("gldt-", 16),
    prefix("glrt-", 16),
    prefix("glcbt-", 16),
    prefix("glptt-", 16),
    prefix("glft-", 16),
    prefix("glsoat-", 16),
    prefix("glagent-", 16),
    prefix("GR1348941", 16),
    Prefix {
        start: "sk-",
        least: 16,
        digit: true,
    },
    prefix("sk_live_", 16),
    prefix("rk_live_", 16),
    prefix("xoxa-", 10),
    prefix("xoxb-", 10),
    prefix("xoxe-", 10),
    prefix("xoxo-", 10),
    prefix("xoxp-", 10),
    prefix("xoxr-", 10),
    prefix("xoxs-", 10),
    prefix("xapp-", 10),
    prefix("AIza", 35),
    prefix("npm_", 36),
    prefix("pypi-", 50),
    prefix("hf_", 30),
    prefix("dop_v1_", 40),
];

/// Names whose value is a secret wherever it is assigned.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "client_secret",
    "api_key",
    "apikey",
    "access_token",
    "auth_token",
    "refresh_token",
    "private_token",
    "secret_access_key",
];

/// Names whose value is a secret in the query of a URL, and too common elsewhere.
const QUERY_NAMES: &[&str] = &[
    "token",
    "key",
    "sig",
    "signature",
    "code",
    "x-amz-signature",
];

/// Headers whose value is a secret.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "private-token",
    "job-token",
    "x-api-key",
    "api-key",
];

/// The largest private key in use is a quarter of this; a beginning without an end must not hide
/// all that follows.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// Where something looks like a secret, as start and end.
pub(super) fn find(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let span = if bytes[at..].starts_with(b"-----BEGIN ") {
            private_key(text, at)
        } else if bytes[at..].starts_with(b"://") {
            user_of_url(bytes, at + 3)
        } else if bytes[at].is_ascii_alphanumeric() && (at == 0 || !is_word(bytes[at - 1])) {
            token(bytes, at).or_else(|| named_value(bytes, at))
        } else {
            None
        };
        match span {
            Some((start, end)) if end > at => {
                found.push((start, end));
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

/// What a token may hold, so that none begins behind one of these.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// How many bytes from `at` on are `wanted`.
fn run(bytes: &[u8], at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().take_while(|&&byte| wanted(byte)).count()
}

fn starts_with_ignoring_case(bytes: &[u8], at: usize, word: &str) -> bool {
    bytes
        .get(at..at + word.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

fn token(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    for known in PREFIXES {
        if !bytes[at..].starts_with(known.start.as_bytes()) {
            continue;
        }
        let start = at + known.start.len();
        let body = run(bytes, start, is_word);
        if body >= known.least
            && (!known.digit || bytes[start..start + body].iter().any(u8::is_ascii_digit))
        {
            return Some((at, start + body + dotted_tail(bytes, start + body)));
        }
    }
    aws_key(bytes, at).or_else(|| web_token(bytes, at))
}

/// Newer tokens go on behind dots: `.01.abc`.
fn dotted_tail(bytes: &[u8], at: usize) -> usize {
    let mut length = 0;
    while bytes.get(at + length) == Some(&b'.') {
        let part = run(bytes, at + length + 1, is_word);
        if part == 0 {
            break;
        }
        length += part + 1;
    }
    length
}

/// `AKIA` or `ASIA` and 16 capitals or digits.
fn aws_key(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let known = bytes[at..].starts_with(b"AKIA") || bytes[at..].starts_with(b"ASIA");
    let long = known
        && run(bytes, at, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        }) == 20;
    long.then_some((at, at + 20))
}

/// `eyJ….….…`: a JSON Web Token.
fn web_token(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    if !bytes[at..].starts_with(b"eyJ") {
        return None;
    }
    let head = at + run(bytes, at, is_word);
    if head < at + 10 || bytes.get(head) != Some(&b'.') {
        return None;
    }
    let body = head + 1 + run(bytes, head + 1, is_word);
    if body < head + 5 {
        return None;
    }
    let signature = if bytes.get(body) == Some(&b'.') {
        1 + run(bytes, body + 1, is_word)
    } else {
        0
    };
    Some((at, body + signature))
}

/// From `-----BEGIN … PRIVATE KEY-----` to its end.
fn private_key(text: &str, at: usize) -> Option<(usize, usize)> {
    // The kind of a key is at most `ENCRYPTED `, `OPENSSH ` or the like.
    let header = text.as_bytes()[at..]
        .iter()
        .take(60)
        .position(|&byte| byte == b'\n')
        .unwrap_or(60);
    let header = &text.as_bytes()[at..(at + header).min(text.len())];
    let private = b"PRIVATE KEY";
    if !header
        .windows(private.len())
        .any(|window| window == private)
    {
        return None;
    }
    let rest = &text[at..crate::text::floor_boundary(text, at.saturating_add(MAX_KEY_BYTES))];
    let end = rest.find("-----END ").and_then(|end| {
        let dashes = rest[end + 9..].find("-----")?;
        Some(end + 9 + dashes + 5)
    });
    // Where its end was cut off, everything that could be its body.
    let body = |byte: u8| is_credential(byte) || matches!(byte, b'\n' | b'\r' | b'\\');
    let cut_off = header.len() + run(rest.as_bytes(), header.len(), body);
    Some((at, at + end.unwrap_or(cut_off)))
}

/// The `user:password` before the `@` of a URL; `at` is behind its `://`.
fn user_of_url(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let ends = |byte: u8| byte.is_ascii_whitespace() || b"/?#\"'`<>()[]{}\\,;".contains(&byte);
    let authority = run(bytes, at, |byte| !ends(byte));
    let user = bytes[at..at + authority]
        .iter()
        .rposition(|&byte| byte == b'@')?;
    // `git@` and its like are no secret.
    let secret = bytes[at..at + user].contains(&b':') || user >= 16;
    secret.then_some((at, at + user))
}

/// The value of a header, an assignment or a query's part whose name begins at `at`.
fn named_value(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let name_end = at + run(bytes, at, is_word);
    let name = &bytes[at..name_end];
    let is_one_of = |names: &[&str]| {
        names
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    if is_one_of(HEADERS) {
        return header_value(bytes, name_end);
    }
    if name.eq_ignore_ascii_case(b"bearer") {
        let start = name_end + run(bytes, name_end, |byte| byte == b' ');
        let length = run(bytes, start, is_credential);
        return (start > name_end && length >= 16).then_some((start, start + length));
    }
    let in_query = at > 0 && matches!(bytes[at - 1], b'?' | b'&') && is_one_of(QUERY_NAMES);
    let secret_name = SECRET_NAMES.iter().any(|known| {
        // `DB_PASSWORD` and `db-password` are passwords, too.
        name.len() >= known.len() && starts_with_ignoring_case(bytes, name_end - known.len(), known)
    });
    if in_query || secret_name {
        assigned_value(bytes, name_end)
    } else {
        None
    }
}

fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// `: Bearer x`, `": "Basic x"`, `: x`.
fn header_value(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let quote = |byte: u8| byte == b'"' || byte == b'\'';
    let at = at + run(bytes, at, quote);
    if !matches!(bytes.get(at), Some(b':' | b'=')) {
        return None;
    }
    let mut start = at + 1 + run(bytes, at + 1, |byte| byte == b' ' || quote(byte));
    for scheme in ["bearer ", "basic ", "token ", "digest "] {
        if starts_with_ignoring_case(bytes, start, scheme) {
            start += scheme.len();
            start += run(bytes, start, |byte| byte == b' ');
            break;
        }
    }
    let length = run(bytes, start, is_credential);
    (length >= 4).then_some((start, start + length))
}

/// `=x`, `="x"`, `": "x"`; of at least 6 characters, and no call or placeholder.
fn assigned_value(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let quote = |byte: u8| byte == b'"' || byte == b'\'';
    let open = at + run(bytes, at, quote);
    let start = match bytes.get(open)? {
        b'=' => open + 1 + run(bytes, open + 1, quote),
        b':' if open > at => open + 1 + run(bytes, open + 1, |byte| byte == b' ' || quote(byte)),
        _ => return None,
    };
    let ends = |byte: u8| byte.is_ascii_whitespace() || b"\"'`&;,<>(){}$\\".contains(&byte);
    let length = run(bytes, start, |byte| !ends(byte));
    let is_call = matches!(bytes.get(start + length), Some(b'(' | b'{' | b'$' | b'<'));
    (length >= 6 && !is_call).then_some((start, start + length))
}

#[cfg(test)]
mod tests;
