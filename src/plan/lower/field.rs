//! Reading the fields of a map, each as what it should be.
//!
//! It refuses to stop: a wrong value is complained of, and reads as `None`.

mod quantity;
mod list;

use std::str::FromStr;

use crate::id::BadName;
use crate::plan::complaint::{Critic, quoted};
use crate::plan::did_you_mean;
use crate::plan::excerpt::Span;
use crate::plan::raw::{MapEntry, Value, YamlNode};
use crate::plan::scalar::{Scalar, ScalarMeaning};
use crate::plan::size::{BadSize, Size};
use crate::text::beginning;

/// So many characters of what was written are shown in advice.
const SHOWN: usize = 40;

/// The fields of a map whose keys are all known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    entries: &'n [MapEntry],
    /// Where the map stands.
    pub(super) at: Span,
}

/// One field.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    /// Its key, or for an item the key of its list.
    pub(super) key: &'n str,
    /// Where the key stands; for an item the item itself.
    pub(super) key_at: Span,
    pub(super) node: &'n YamlNode,
}

impl<'n> Fields<'n> {
    /// The fields of `node`, which is `owner` ("task `api`"); complains where it is no map and
    /// about unknown keys.
    pub(super) fn open(
        node: &'n YamlNode,
        owner: &str,
        known: &[&str],
        critic: &mut Critic<'_>,
    ) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Broken => return None,
            Value::Scalar(_) | Value::List(_) => {
                let what = format!(
                    "{owner} must be a map of keys, but this is {}",
                    describe(node)
                );
                critic
                    .say(node.at, what)
                    .advise(format!("its keys are {}", known_keys(known)));
                return None;
            }
        };
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let hint = match critic.guess(&entry.key, known.iter().copied()) {
                Some(key) => did_you_mean(&key),
                None => format!("the keys here are {}", known_keys(known)),
            };
            critic
                .say(
                    entry.key_at,
                    format!("{owner} has no key {}", quoted(&entry.key)),
                )
                .advise(hint);
        }
        Some(Self {
            entries,
            at: node.at,
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Field {
            key: &entry.key,
            key_at: entry.key_at,
            node: &entry.node,
        })
    }
}

fn known_keys(known: &[&str]) -> String {
    known
        .iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// An example of what was expected.
fn like(expected: &str) -> String {
    let example = match expected {
        "a list" => "write it like `[a, b]`, or each item on a line of its own after `- `",
        VARIABLES => "write it like `{ NAME: \"value\" }`",
        "a size" => "write it like `500KB` or `100MB`",
        "a duration" => "write it like `90s`, `30m` or `5h30m`",
        "text" => "write one text, in quotes if need be",
        other => return format!("write {other}"),
    };
    example.to_owned()
}

/// What `env` must be.
const VARIABLES: &str = "a map of names and texts";

/// What a node is, with its article.
pub(super) fn describe(node: &YamlNode) -> &'static str {
    match &node.value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Broken => "unreadable",
        Value::Scalar(scalar) => match scalar.meaning() {
            ScalarMeaning::Nothing => "nothing",
            ScalarMeaning::Bool(_) => "`true` or `false`",
            ScalarMeaning::Whole(_) | ScalarMeaning::Number(_) => "a number",
            ScalarMeaning::Text => "text",
        },
    }
}

impl<'n> Field<'n> {
    /// The scalar that it holds; complains where it holds something else.
    fn scalar(self, expected: &str, critic: &mut Critic<'_>) -> Option<&'n Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) | Value::Broken => {
                self.wrong(expected, critic);
                None
            }
        }
    }

    /// Complains that it is not `expected`, and says what to write where that is plain.
    fn wrong(self, expected: &str, critic: &mut Critic<'_>) {
        if matches!(self.node.value, Value::Broken) {
            return;
        }
        let nothing = matches!(&self.node.value, Value::Scalar(scalar) if scalar.meaning() == ScalarMeaning::Nothing);
        let hint = if nothing {
            "give it a value, or remove the key".to_owned()
        } else {
            like(expected)
        };
        let what = format!(
            "`{}` must be {expected}, but this is {}",
            self.key,
            describe(self.node)
        );
        critic.say(self.pointed(), what).advise(hint);
    }

    /// Text of any length.
    pub(super) fn text(self, critic: &mut Critic<'_>) -> Option<String> {
        let scalar = self.scalar("text", critic)?;
        match scalar.meaning() {
            ScalarMeaning::Text if scalar.text.contains('\0') => {
                critic
                    .say(
                        self.node.at,
                        format!("`{}` holds a NUL character", self.key),
                    )
                    .advise("remove it");
                None
            }
            ScalarMeaning::Text => Some(scalar.text.clone()),
            ScalarMeaning::Nothing => {
                self.wrong("text", critic);
                None
            }
            ScalarMeaning::Bool(_) | ScalarMeaning::Whole(_) | ScalarMeaning::Number(_) => {
                let what = format!(
                    "`{}` must be text, but without quotes this is {}",
                    self.key,
                    describe(self.node)
                );
                critic
                    .say(self.node.at, what)
                    .advise(format!("write `\"{}\"`", beginning(&scalar.text, SHOWN)));
                None
            }
        }
    }

    /// Text that says something.
    pub(super) fn words(self, critic: &mut Critic<'_>) -> Option<String> {
        let text = self.text(critic)?;
        if text.trim().is_empty() {
            critic
                .say(self.pointed(), format!("`{}` is empty", self.key))
                .advise("write something, or remove the key");
            return None;
        }
        Some(text)
    }

    /// Where to point at: the value, or the key where the value cannot be seen.
    pub(super) fn pointed(self) -> Span {
        if self.node.at.start < self.node.at.end {
            self.node.at
        } else {
            self.key_at
        }
    }

    /// A name of one of our types.
    pub(super) fn name<T: FromStr<Err = BadName>>(self, critic: &mut Critic<'_>) -> Option<T> {
        let text = self.text(critic)?;
        text.parse()
            .map_err(|bad: BadName| {
                let BadName { expected, rule, .. } = bad;
                let complaint = critic.say(
                    self.pointed(),
                    format!("{} is not {expected}", quoted(&text)),
                );
                complaint.advise(rule.unwrap_or(expected));
            })
            .ok()
    }

    pub(super) fn boolean(self, critic: &mut Critic<'_>) -> Option<bool> {
        const EXPECTED: &str = "`true` or `false`";
        let scalar = self.scalar(EXPECTED, critic)?;
        match scalar.meaning() {
            ScalarMeaning::Bool(value) => return Some(value),
            ScalarMeaning::Text => {
                let meant = match scalar.text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "true" | "y" => Some("write `true`"),
                    "no" | "off" | "false" | "n" => Some("write `false`"),
                    _ => None,
                };
                let what = format!("`{}` must be {EXPECTED}, but this is text", self.key);
                critic
                    .say(self.pointed(), what)
                    .advise(meant.unwrap_or("write `true` or `false`"));
            }
            ScalarMeaning::Nothing | ScalarMeaning::Whole(_) | ScalarMeaning::Number(_) => {
                self.wrong(EXPECTED, critic)
            }
        }
        None
    }

    /// A size with its unit.
    pub(super) fn size(self, critic: &mut Critic<'_>) -> Option<Size> {
        let scalar = self.scalar("a size", critic)?;
        if scalar.meaning() == ScalarMeaning::Nothing
            || matches!(scalar.meaning(), ScalarMeaning::Bool(_))
        {
            self.wrong("a size", critic);
            return None;
        }
        let bad: BadSize = match scalar.text.parse() {
            Ok(size) => return Some(size),
            Err(bad) => bad,
        };
        let hint = match &bad {
            BadSize::NoUnit if scalar.text.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("write `{}MB`", beginning(&scalar.text, SHOWN))
            }
            BadSize::UnknownUnit(_) => {
                "the units are `KB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`".to_owned()
            }
            BadSize::OutOfRange => "it goes from `1KB` to `1000GB`".to_owned(),
            BadSize::NoUnit | BadSize::Malformed => "write it like `500KB` or `100MB`".to_owned(),
        };
        critic
            .say(
                self.pointed(),
                format!("the size {} {bad}", quoted(&scalar.text)),
            )
            .advise(hint);
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        self,
        choices: &[(&str, T)],
        critic: &mut Critic<'_>,
    ) -> Option<T> {
        let text = self.text(critic)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all = choices
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let hint = match critic.guess(&text, choices.iter().map(|(word, _)| *word)) {
            Some(word) => did_you_mean(&word),
            None if choices.len() == 1 => format!("it can only be {all}"),
            None => format!("it is one of {all}"),
        };
        critic
            .say(
                self.pointed(),
                format!("`{}` cannot be {}", self.key, quoted(&text)),
            )
            .advise(hint);
        None
    }
}
