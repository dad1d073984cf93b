//! The engine: facts in, orders out.
