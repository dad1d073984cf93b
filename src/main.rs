//! `omk`: parse, run, exit code.

fn main() {}
