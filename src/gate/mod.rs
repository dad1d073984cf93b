//! Gates: run, and read their reports.
