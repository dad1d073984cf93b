//! The journal: what a run is made of, one hash-chained line for each fact.
