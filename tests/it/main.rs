//! One integration crate: stories about the whole, with real git and a scripted agent.

mod agent;
mod gateway;
mod model;
mod exec;
