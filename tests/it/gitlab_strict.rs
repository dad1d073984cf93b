//! The offline GitLab is strict: each kind of refusal, and what GitLab does by itself.
