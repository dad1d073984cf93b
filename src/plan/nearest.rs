//! The word that was probably meant.
//!
//! It refuses to guess wildly: what is not similar is not offered.

/// How similar a word must be, by Jaro and Winkler: `databse` is 0.98 like `database`, `test` is
/// 0.6 like `lint`.
const SIMILAR: f64 = 0.8;

/// From so many letters on, one slip of the keyboard is no other word: `bda` is `bad`, and `xy` is
/// not `xz`.
const SHORTEST_SLIP: usize = 3;

/// The longest word that is compared, in bytes: no key or id is longer.
const LONGEST: usize = 64;

/// How many comparisons one plan gets: enough for dozens of mistakes among 10,000 tasks, and over
/// in a fraction of a second.
const COMPARISONS: usize = 300_000;

/// Words that other tools use for ours.
const FOREIGN: [(&str, &str); 11] = [
    ("needs", "dependencies"),
    ("depends_on", "dependencies"),
    ("depends-on", "dependencies"),
    ("command", "run"),
    ("cmd", "run"),
    ("script", "run"),
    ("paths", "write_set"),
    ("environment", "env"),
    ("retry", "retry_policy"),
    ("max_retries", "retry_policy"),
    ("jobs", "tasks"),
];

/// The candidate most like `word`, if any is like it.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    Guesser::new().guess(word, candidates)
}

/// What is said to somebody who may have meant that word.
#[must_use]
pub fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// Finds similar words, until it is tired.
pub(super) struct Guesser {
    left: usize,
}

impl Guesser {
    pub(super) fn new() -> Self {
        Self { left: COMPARISONS }
    }

    /// The candidate most like `word`, if any is like it.
    pub(super) fn guess<'c>(
        &mut self,
        word: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> Option<String> {
        if word.len() > LONGEST {
            return None;
        }
        let foreign = FOREIGN
            .iter()
            .find(|(other, _)| *other == word)
            .map(|(_, ours)| *ours);
        let mut best: Option<(f64, &str)> = None;
        for candidate in candidates {
            if Some(candidate) == foreign {
                return foreign.map(str::to_owned);
            }
            self.left = self.left.checked_sub(1)?;
            let mut likeness = strsim::jaro_winkler(word, candidate);
            // A short word with two letters swapped has little in common with itself.
            if likeness < SIMILAR
                && word.len() >= SHORTEST_SLIP
                && strsim::damerau_levenshtein(word, candidate) == 1
            {
                likeness = SIMILAR;
            }
            if likeness >= SIMILAR && best.is_none_or(|(most, _)| likeness > most) {
                best = Some((likeness, candidate));
            }
        }
        best.map(|(_, candidate)| candidate.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, candidates: &[&str], expect: Option<&str>) {
        assert_eq!(
            Guesser::new()
                .guess(word, candidates.iter().copied())
                .as_deref(),
            expect
        );
    }

    #[test]
    fn slips_of_the_keyboard_are_understood() {
        check("databse", &["api", "database", "docs"], Some("database"));
        check("bda", &["api", "bad", "docs"], Some("bad"));
        check("xy", &["db", "xz"], None);
        check("promt", &["prompt", "priority"], Some("prompt"));
        check("zzz", &["api", "database"], None);
    }

    #[test]
    fn words_longer_than_any_of_ours_are_compared_with_none() {
        let own = "a".repeat(63);
        for (more, expect) in [("b", Some(own.as_str())), ("bc", None), ("bcd", None)] {
            check(&format!("{own}{more}"), &[&own], expect);
        }
    }

    #[test]
    fn the_most_similar_of_several_is_meant_and_of_equals_the_first() {
        check("abcx", &["abcdef", "abc", "abcy"], Some("abc"));
        check("abcx", &["abcy", "abcz"], Some("abcy"));
        check("abcx", &["abcz", "abcy"], Some("abcz"));
    }

    #[test]
    fn so_many_comparisons_are_made_for_one_plan_and_no_more() {
        let mut guesser = Guesser { left: 2 };
        assert_eq!(
            guesser
                .guess("databse", ["api", "database"].into_iter())
                .as_deref(),
            Some("database")
        );
        assert_eq!(guesser.guess("databse", ["database"].into_iter()), None);
        assert_eq!(
            guesser
                .guess("needs", ["dependencies"].into_iter())
                .as_deref(),
            Some("dependencies")
        );
    }

    #[test]
    fn words_of_other_tools_are_understood() {
        check("needs", &["id", "dependencies"], Some("dependencies"));
        check("needs", &["input", "output"], None);
    }
}
