//! The view as JSON, for machines.
//!
//! It refuses to add or leave out anything: the view is the format.

use super::View;

/// Indented JSON with a newline at its end.
#[must_use]
pub fn render(view: &View) -> String {
    let mut text =
        serde_json::to_string_pretty(view).expect("its keys are strings and its numbers finite");
    text.push('\n');
    text
}
