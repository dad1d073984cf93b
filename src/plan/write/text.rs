//! The lines of a YAML text: maps, lists, and scalars quoted as they need to be.

use serde_json::Value;

use crate::plan::scalar::{Scalar, ScalarMeaning};

/// Lists of words stay on one line up to this width, in characters.
const LINE: usize = 100;

/// Keys over this length, in bytes, need a `? ` before them; YAML's own limit is 1024 characters
/// with quotes.
const LONG_KEY: usize = 200;

/// Writes `key: value`, `indent` columns in.
pub(super) fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    let key = scalar(key);
    if key.len() > LONG_KEY {
        out.push_str(&format!("{margin}? {key}\n{margin}:"));
    } else {
        out.push_str(&format!("{margin}{key}:"));
    }
    tail(out, value, indent);
}

/// Writes what follows a `key:` or a `-` that is `indent` columns in, with the line end.
fn tail(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_literal(text) => literal(out, text, indent + 2),
        Value::Array(items) => match on_one_line(items) {
            Some(line) => out.push_str(&format!(" {line}\n")),
            None => {
                out.push('\n');
                items.iter().for_each(|value| item(out, value, indent + 2));
            }
        },
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            entries
                .iter()
                .for_each(|(key, value)| entry(out, key, value, indent + 2));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            out.push_str(&format!(" {}\n", atom(value)));
        }
    }
}

/// Writes `- value`. A map begins on the line of its dash.
fn item(out: &mut String, value: &Value, indent: usize) {
    let dash = out.len() + indent;
    if let Value::Object(entries) = value
        && !entries.is_empty()
    {
        entries
            .iter()
            .for_each(|(key, value)| entry(out, key, value, indent + 2));
        out.replace_range(dash..=dash, "-");
    } else {
        out.push_str(&format!("{}-", " ".repeat(indent)));
        tail(out, value, indent);
    }
}

fn on_one_line(items: &[Value]) -> Option<String> {
    if items.iter().any(|item| item.is_array() || item.is_object()) {
        return None;
    }
    let line = format!(
        "[{}]",
        items.iter().map(atom).collect::<Vec<_>>().join(", ")
    );
    (line.chars().count() <= LINE).then_some(line)
}

/// A scalar, or an empty list or map.
fn atom(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// Text without quotes where that is safe in every position, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    // Older readers of YAML take these for `true` and `false`.
    let older = ["y", "n", "yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let bare = (is_word(text) || is_quantity(text))
        && !older
        && Scalar {
            text: text.to_owned(),
            plain: true,
        }
        .meaning()
            == ScalarMeaning::Text;
    if bare {
        text.to_owned()
    } else {
        double_quoted(text)
    }
}

fn is_word(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-' | b' ');
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(inner)
        && !text.ends_with(' ')
}

fn is_quantity(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| {
            byte.is_ascii_digit()
                || matches!(
                    byte,
                    b'd' | b'h' | b'm' | b's' | b'K' | b'M' | b'G' | b'i' | b'B'
                )
        })
}

pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            special if !is_plain_character(special) => {
                out.push_str(&format!("\\U{:08X}", u32::from(special)))
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Printable in YAML, and neither a line break nor invisible.
fn is_plain_character(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether `|` gives the text back exactly, and reads better than quotes.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n'])
        && body.lines().last().is_some_and(|last| !last.is_empty())
        && !body.ends_with('\n')
        && body
            .split('\n')
            .all(|line| !line.ends_with(' ') && line.chars().all(is_plain_character))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let (body, mark) = text
        .strip_suffix('\n')
        .map_or((text, " |-\n"), |body| (body, " |\n"));
    out.push_str(mark);
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}
