//! One integration crate: stories about the whole, with real git and a scripted agent.
mod engine;

mod plan;
mod plan_limits;
mod plan_mistakes;
mod plan_roundtrip;
mod plan_schema;
mod git;

mod agent;
mod gateway;
mod model;

mod gate;
mod proof;
mod report;
mod exec;
