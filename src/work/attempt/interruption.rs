//! What ends an attempt before its work does, and in which class.

use crate::fact::{Class, Failure};
use crate::git::GitError;

/// Why an attempt came to no answer of its own.
pub(in crate::work) enum Interruption {
    /// It failed.
    Failed(Failure),
    /// It was stopped from outside.
    Interrupted,
}

impl Interruption {
    pub(in crate::work) fn new(class: Class, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(class, message))
    }

    /// Whether this is the one to report of two that came together.
    pub(in crate::work) fn goes_before(&self, other: &Self) -> bool {
        !other.is_outlived() && !matches!(self, Self::Interrupted)
    }

    /// Whether somebody may still be at work in the place of the work.
    pub(in crate::work) fn is_outlived(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.outlived)
    }
}

impl From<GitError> for Interruption {
    fn from(error: GitError) -> Self {
        match class_of(&error) {
            // It is a sentence about a path.
            Class::Scope => Self::Failed(Failure::of(Class::Scope, &error)),
            class => Self::Failed(Failure::to_do(class, &error)),
        }
    }
}

/// Whose fault it is if git could not do something: what a task left, this machine's configuration,
/// or the machine.
pub(in crate::work) fn class_of(error: &GitError) -> Class {
    if error.is_scope() {
        Class::Scope
    } else if error.is_config() {
        Class::Config
    } else {
        Class::Host
    }
}
