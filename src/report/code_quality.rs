//! Remarks on lines of files, as GitLab's Code Quality report.

use super::check::Remark;

/// The report: a JSON array.
#[must_use]
pub fn render(remarks: &[Remark]) -> String {
    let entries: Vec<serde_json::Value> = remarks
        .iter()
        .map(|remark| {
            serde_json::json!({
                "description": remark.message,
                "check_name": remark.title,
                "fingerprint": crate::id::Sha256::of(format!("{remark:?}").as_bytes()),
                "severity": "major",
                "location": {"path": remark.place.path, "lines": {"begin": remark.place.line}},
            })
        })
        .collect();
    serde_json::Value::Array(entries).to_string()
}
