//! Paths and ids that differ from run to run, hidden behind placeholders in a recording.

use serde_json::Value;

/// Paths of this machine and the names they have in a cassette.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Places {
    by_length: Vec<(String, String)>,
}

impl Places {
    /// From pairs of placeholder and path.
    pub(in crate::gateway) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(placeholder, path)| !placeholder.is_empty() && path.len() > 1);
        // The longest first, so that a directory does not swallow a longer path below it.
        pairs.sort_by_key(|(_, path)| std::cmp::Reverse(path.len()));
        Self { by_length: pairs }
    }

    /// Paths become placeholders.
    pub(super) fn hide(&self, text: &str) -> String {
        self.by_length
            .iter()
            .fold(text.to_owned(), |text, (placeholder, path)| {
                replace_path(&text, path, placeholder)
            })
    }

    /// Placeholders become paths.
    pub(super) fn fill(&self, text: &str) -> String {
        self.by_length
            .iter()
            .fold(text.to_owned(), |text, (placeholder, path)| {
                text.replace(placeholder, path)
            })
    }
}

/// Replaces `path` where it is not the beginning of a longer name: `/slots/1` is not in
/// `/slots/10`.
fn replace_path(text: &str, path: &str, placeholder: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, from) = rest.split_at(at);
        let after = &from[path.len()..];
        let mut next = after.chars();
        let goes_on = match next.next() {
            Some('.') => next.next().is_some_and(|c| c.is_alphanumeric()),
            Some(c) => c.is_alphanumeric() || c == '_' || c == '-',
            None => false,
        };
        out.push_str(before);
        out.push_str(if goes_on { path } else { placeholder });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Applies `change` to every text in `value`.
pub(super) fn map_texts(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| map_texts(item, change)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, member)| (key.clone(), map_texts(member, change)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Applies `change` inside a document, or a text that holds one.
pub(super) fn map_json(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    if let Value::String(text) = value {
        map_json_text(text, change).into()
    } else {
        map_texts(value, change)
    }
}

/// Applies `change` inside a text that may itself be JSON; one that is not touched stays as it was,
/// byte for byte.
pub(super) fn map_json_text(text: &str, change: &dyn Fn(&str) -> String) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() || value.is_array() => {
            let changed = map_texts(&value, change);
            if changed == value {
                text.to_owned()
            } else {
                changed.to_string()
            }
        }
        Ok(_) | Err(_) => change(text),
    }
}
