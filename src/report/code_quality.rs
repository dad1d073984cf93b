//! Remarks as GitLab's Code Quality report: the same that are annotations of a check at GitHub.
//!
//! GitLab stops reading at the first entry that is not as it wants it, and shows what it compares
//! by fingerprint: new, or gone. So each entry is whole, and its fingerprint stays when lines move.
//! It refuses paths that are not the repository's, and to be larger than somebody reads.

use std::collections::HashMap;

use serde::Serialize;

use super::check::{CheckRemark, is_in_the_tree};
use super::ink;
use crate::fact::ItemLevel;
use crate::id::Sha256;
use crate::text;

/// The most entries: with descriptions of one line each the report stays far below what GitLab
/// takes from a job.
pub const MOST: usize = 2_000;

/// The most characters of a description: it is one line of a list.
const SAID: usize = 400;

#[derive(Serialize)]
struct CodeQualityEntry<'a> {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: CodeQualityLocation<'a>,
}

#[derive(Serialize)]
struct CodeQualityLocation<'a> {
    path: &'a str,
    lines: LineRange,
}

#[derive(Serialize)]
struct LineRange {
    begin: u32,
}

/// A JSON array of at most [`MOST`] entries, `[]` where there is nothing to say; the worst first.
/// Remarks at paths that are not in the repository's tree are left out.
#[must_use]
pub fn render(remarks: &[CheckRemark]) -> String {
    let mut order: Vec<&CheckRemark> = remarks
        .iter()
        .filter(|remark| is_in_the_tree(&remark.place.path))
        .collect();
    order.sort_by_key(|remark| rank(remark.level));
    let mut seen: HashMap<Sha256, u32> = HashMap::new();
    let entries: Vec<CodeQualityEntry<'_>> = order
        .into_iter()
        .take(MOST)
        .map(|remark| entry(remark, &mut seen))
        .collect();
    let json = serde_json::to_string_pretty(&entries).expect("strings and numbers are JSON");
    format!("{json}\n")
}

fn entry<'a>(remark: &'a CheckRemark, seen: &mut HashMap<Sha256, u32>) -> CodeQualityEntry<'a> {
    let check = remark.check.clone();
    let message = ink::line(
        &text::with_advice(&remark.message, remark.hint.as_deref()),
        SAID,
    );
    let message = if message.is_empty() {
        check.clone()
    } else {
        message
    };
    let description = match &remark.item {
        Some(item) if remark.message != remark.title => {
            ink::line(&format!("{item}: {message}"), SAID)
        }
        Some(_) | None => message,
    };
    // The line is not in it, or every insertion above would make a new entry of an old one.
    let same = Sha256::of(format!("{check}\0{}\0{description}", remark.place.path).as_bytes());
    let before = seen.entry(same.clone()).or_default();
    let fingerprint = if *before == 0 {
        same
    } else {
        Sha256::of(format!("{same}\0{before}").as_bytes())
    };
    *before += 1;
    CodeQualityEntry {
        description,
        check_name: check,
        fingerprint: fingerprint.to_string(),
        severity: severity(remark.level),
        location: CodeQualityLocation {
            path: &remark.place.path,
            lines: LineRange {
                begin: remark.place.line.max(1),
            },
        },
    }
}

fn rank(level: ItemLevel) -> u8 {
    match level {
        ItemLevel::Error => 0,
        ItemLevel::Warning => 1,
        ItemLevel::Notice => 2,
    }
}

/// As linters at GitLab call it.
fn severity(level: ItemLevel) -> &'static str {
    match level {
        ItemLevel::Error => "major",
        ItemLevel::Warning => "minor",
        ItemLevel::Notice => "info",
    }
}

#[cfg(test)]
mod tests;
