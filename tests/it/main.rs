//! One integration crate: stories about the whole, with real git and a scripted agent.

mod gate;
mod proof;
mod report;
mod exec;
