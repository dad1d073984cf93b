//! omk runs coding agents in CI so that their work can be trusted.
//!
//! The modules are declared in order: a module uses only modules declared above it, and a test
//! checks that. Down to the waterline nothing is async, and nothing touches files, processes, the
//! environment or the clock.

// Words.
pub mod id;
pub mod text;
pub mod glob;
pub mod graph;
pub mod model;
pub mod plan;
pub mod fact;
pub mod scope;
pub mod command;
pub mod trust;
pub mod request;

// Thinking.
pub mod engine;
pub mod journal;
pub mod record;
pub mod proof;
pub mod report;
pub mod history;

// The waterline: below it async, I/O, time, and as little thinking as possible.
pub mod clock;
pub mod plain_file;
pub mod processes;
pub mod durability;
pub mod exec;
pub mod git;
pub mod agent;
pub mod gateway;
pub mod gate;
pub mod forge;
pub mod store;
pub mod bundle;
pub mod drive;
pub mod work;
pub mod deliver;
pub mod cli;
