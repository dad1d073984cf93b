//! JSON Schemas made from types: their descriptions without the line breaks of the source.

use serde_json::Value;

/// Joins the lines of each description's paragraphs: where a line of the source ends is nothing
/// that a reader of the schema needs to know. Recursion is bounded by the schema, which is ours.
pub fn join_lines(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("description") {
                let paragraphs: Vec<String> = text
                    .split("\n\n")
                    .map(|paragraph| paragraph.replace('\n', " "))
                    .collect();
                *text = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(join_lines);
        }
        Value::Array(items) => items.iter_mut().for_each(join_lines),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
