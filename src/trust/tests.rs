//! Every case of who, which commit, and which plan.
