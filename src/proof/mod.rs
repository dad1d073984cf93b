//! Proofs: in-toto statements, and the rules they must keep.
