//! One integration crate: stories about the whole, with real git and a scripted agent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agent;
mod bundle;
mod ci_act;
mod ci_answers;
mod ci_gate;
mod cli;
mod deliver_sample;
mod deliver_texts;
mod e2e;
mod e2e_limits;
mod e2e_secrets;
mod e2e_world;
mod bad_input;
mod engine;
mod examples;
mod exec;
mod forge_act;
mod forge_door;
mod forge_world;
mod gate;
mod gateway;
mod git;
mod install;
mod github;
mod github_artifacts;
mod github_checks;
mod github_server;
mod github_writes;
mod kill;
mod misbehave;
mod model;
mod plan;
mod plan_limits;
mod plan_mistakes;
mod plan_roundtrip;
mod plan_schema;
mod proof;
mod remote;
mod report;
mod review;
mod tidy;
mod stories;
mod workflows;
mod world;
