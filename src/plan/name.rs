//! The name of a plan that gives none: its directory's name, made to fit.
//!
//! It refuses nothing: every text gives a name.

use crate::id::PlanName;

/// The longest name, in bytes, from [`PlanName`].
const LONGEST: usize = 40;

/// What a plan is called when the directory's name has nothing to offer.
const FALLBACK: &str = "plan";

/// The name of a plan in a directory of that name: lower-cased, other characters as `-`. What would
/// be the scope of a pull request, `pr-12`, becomes `plan-pr-12`.
#[must_use]
pub fn default_name(directory: &str) -> PlanName {
    let mut slug: String = directory
        .to_lowercase()
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '-'
            }
        })
        .collect();
    slug = slug.trim_start_matches('-').chars().take(LONGEST).collect();
    slug.truncate(slug.trim_end_matches('-').len());
    slug.parse()
        .or_else(|_| {
            format!("{FALLBACK}-{slug}")
                .chars()
                .take(LONGEST)
                .collect::<String>()
                .parse()
        })
        .unwrap_or_else(|_| FALLBACK.parse().expect("`plan` is a plan name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(directory: &str, expect: &str) {
        assert_eq!(default_name(directory).as_str(), expect);
    }

    #[test]
    fn directories_become_names() {
        check("omk-action", "omk-action");
        check("My Project_2", "my-project-2");
        check("__init__", "init");
        check(&"x".repeat(60), &"x".repeat(40));
    }

    #[test]
    fn scopes_of_requests_are_dodged() {
        check("pr-12", "plan-pr-12");
        check("MR_7", "plan-mr-7");
        check("pr-x", "pr-x");
        check(
            &format!("pr-{}", "1".repeat(60)),
            &format!("plan-pr-{}", "1".repeat(32)),
        );
    }

    #[test]
    fn nothing_usable_is_still_a_name() {
        for directory in ["", "/", "...", "日本", "-"] {
            assert!(
                default_name(directory).as_str().starts_with("plan"),
                "{directory}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_gives_a_name(directory in "\\PC{0,60}") {
            proptest::prop_assert!(!default_name(&directory).as_str().is_empty());
        }
    }
}
