//! Which rule of a remote a push ran into, and what to do about it.
//!
//! It refuses to read a remote's words: whoever heard them does.

/// Which rule of a remote a push ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteRule {
    /// The branch is protected, or a ruleset covers it.
    Protected,
    /// Workflow files need a right of their own.
    Workflow,
    /// Another one: a hook, a quota, a name.
    Other,
}

impl RemoteRule {
    /// What a person can do about it.
    #[must_use]
    pub fn next(self) -> &'static str {
        match self {
            Self::Protected => {
                "let omk's token past the rule for that branch, or deliver `as: pull-request`"
            }
            Self::Workflow => {
                "a change of workflow files needs an App's token with the permission `workflows: write`, \
                 which GITHUB_TOKEN never has"
            }
            Self::Other => "the remote's words say which rule it is",
        }
    }
}
