//! Delivery: a run's result goes where people look: one atomic push, then pull requests, checks, the comment, the reaction.
//!
//! Everything is found before it is made, so a repeat makes nothing twice. It refuses to believe a bundle, to deliver what is not
//! ready unless the plan says `partial`, and to fail a run because the forge cannot be told of it.
