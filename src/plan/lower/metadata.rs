//! Metadata of a task: free, kept as JSON, and flattened into the task's record.
//!
//! It refuses keys that the record has itself, and numbers that JSON could not hold exactly.

use serde_json::{Map, Number, Value as Json};

use super::field::Field;
use super::keys;
use crate::plan::complaint::{Critic, quoted};
use crate::plan::excerpt::Span;
use crate::plan::raw::{Value, YamlNode};
use crate::plan::scalar::{Scalar, ScalarMeaning};

pub(super) fn metadata(field: Field<'_>, critic: &mut Critic<'_>) -> Option<Map<String, Json>> {
    let Value::Map(entries) = &field.node.value else {
        if !matches!(field.node.value, Value::Broken) {
            let what = format!(
                "`metadata` must be a map, but this is {}",
                super::field::describe(field.node)
            );
            critic
                .say(field.node.at, what)
                .advise("write it like `metadata: { role: backend }`");
        }
        return None;
    };
    let mut metadata = Map::new();
    for entry in entries {
        if keys::RECORD.contains(&entry.key.as_str()) {
            let what = format!(
                "metadata cannot have the key `{}`: the task's record has a field of that name",
                entry.key
            );
            critic.say(entry.key_at, what).advise("choose another name");
        }
        if let Some(value) = json(&entry.node, critic) {
            metadata.insert(entry.key.clone(), value);
        }
    }
    Some(metadata)
}

/// Recursion is bounded: the tree is at most 64 deep.
fn json(node: &YamlNode, critic: &mut Critic<'_>) -> Option<Json> {
    match &node.value {
        Value::Scalar(scalar) => scalar_json(scalar, node.at, critic),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| json(item, critic)).collect();
            items
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Json::Array)
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node, critic)))
                .collect();
            entries
                .into_iter()
                .map(|(key, value)| Some((key, value?)))
                .collect::<Option<Map<_, _>>>()
                .map(Json::Object)
        }
        Value::Broken => None,
    }
}

fn scalar_json(scalar: &Scalar, at: Span, critic: &mut Critic<'_>) -> Option<Json> {
    let number = match scalar.meaning() {
        ScalarMeaning::Nothing => return Some(Json::Null),
        ScalarMeaning::Bool(value) => return Some(Json::Bool(value)),
        ScalarMeaning::Text => return Some(Json::String(scalar.text.clone())),
        ScalarMeaning::Whole(value) => value
            .and_then(Number::from_i128)
            .filter(|number| number.is_u64() || number.is_i64()),
        ScalarMeaning::Number(value) => Number::from_f64(value),
    };
    if number.is_none() {
        let what = format!("the number {} cannot be kept exactly", quoted(&scalar.text));
        critic.say(at, what).advise("put it in quotes");
    }
    number.map(Json::Number)
}
