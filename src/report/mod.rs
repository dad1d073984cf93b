//! Reports: one view of a run, rendered.
