//! Texts as GitLab takes them: in their length, and with nothing in them that it would carry out.
//!
//! A line of a note or a description that begins with `/merge` is done by whoever wrote it: by our
//! token. It refuses to send any such line as it is, since agents and people have a say in what our
//! texts hold.

use crate::text::clip;

/// As many characters as GitLab takes of a note or a description.
const MOST: usize = 1_000_000;

const CUT: &str = "\n\n_This text was too long for GitLab; the rest of it is cut off._";

/// As many characters as GitLab takes of a title or a status's description.
pub(super) const MOST_LINE: usize = 255;

/// A body as GitLab will keep it: within its length, without quick actions, without line ends of
/// other systems and without blank lines at its end, which GitLab takes away.
pub(super) fn fitting(body: &str) -> String {
    let lines: Vec<String> = body.replace('\r', "").split('\n').map(quiet).collect();
    let text = lines.join("\n");
    let text = text.trim_end();
    if text.chars().nth(MOST).is_none() {
        return text.to_owned();
    }
    format!("{}{CUT}", clip(text, MOST - CUT.chars().count()))
}

/// A line that does nothing: a backslash before its slash, which Markdown does not show. `/omk` is
/// no action of GitLab's.
fn quiet(line: &str) -> String {
    let trimmed = line.trim_start();
    let Some(rest) = trimmed.strip_prefix('/') else {
        return line.to_owned();
    };
    let name = rest.split(char::is_whitespace).next().unwrap_or_default();
    let acts = !name.is_empty()
        && name
            .chars()
            .all(|one| one.is_alphanumeric() || matches!(one, '_' | '-'));
    if !acts || name.eq_ignore_ascii_case("omk") {
        return line.to_owned();
    }
    format!("{}\\{trimmed}", &line[..line.len() - trimmed.len()])
}

/// A title on one line, in its length.
pub(super) fn title(text: &str) -> String {
    clip(
        &text.split_whitespace().collect::<Vec<_>>().join(" "),
        MOST_LINE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_ours_is_carried_out() {
        assert_eq!(
            fitting("ready\n/merge\n  /close now\r\n\t/label ~x"),
            "ready\n\\/merge\n  \\/close now\n\t\\/label ~x"
        );
        assert_eq!(fitting("\r/approve"), "\\/approve");
        assert_eq!(fitting("/Target_Branch main"), "\\/Target_Branch main");
        // A carriage return is nothing to GitLab, wherever it stands.
        assert_eq!(fitting("/me\rrge"), "\\/merge");
        assert_eq!(
            fitting("```\n/omk run\n```\n/usr/bin/x: no\n// a remark\nsee /merge"),
            "```\n/omk run\n```\n/usr/bin/x: no\n// a remark\nsee /merge"
        );
    }

    #[test]
    fn a_text_is_as_gitlab_keeps_it() {
        assert_eq!(fitting("ready\n\n"), "ready");
        let cut = fitting(&"ü".repeat(1_000_001));
        assert_eq!(cut.chars().count(), MOST);
        assert!(cut.ends_with("is cut off._"));
        assert_eq!(fitting(&cut), cut, "a cut text stays as it is");
        assert_eq!(title(" two\n tasks "), "two tasks");
        assert_eq!(title(&"x".repeat(300)).chars().count(), MOST_LINE);
    }
}
