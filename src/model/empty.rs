//! Answers that came whole and hold nothing to act on.

/// What is wrong with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// Only reasoning, cut at the longest answer.
    ReasoningCut,
    /// Only reasoning, and then an end by itself.
    ReasoningOnly,
    /// Not even that.
    Nothing,
}

impl Empty {
    /// Its name among the kinds of a provider's errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReasoningCut => "reasoning-cut",
            Self::ReasoningOnly => "reasoning-only",
            Self::Nothing => "empty",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(kind: &str) -> Option<Self> {
        [Self::ReasoningCut, Self::ReasoningOnly, Self::Nothing]
            .into_iter()
            .find(|empty| empty.as_str() == kind)
    }

    /// The same for a person.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::ReasoningCut => {
                "the model was still reasoning when its answer reached the longest length, and was cut"
            }
            Self::ReasoningOnly => {
                "the model reasoned, and then neither wrote an answer nor used a tool"
            }
            Self::Nothing => "the model's answer was empty",
        }
    }
}
