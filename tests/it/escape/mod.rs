//! Attempts to get out of a room, each with a name, a kind and a canary, and what must be true
//! afterwards.
//!
//! The attempts themselves are Python, one file for each kind, in `attempts/`: they call the kernel
//! by number. Attacks look only at processes that the test itself started.

mod alone;
mod battery;
mod canary;
mod chains;
mod egress;
mod judge;
mod machines;
mod names;
mod ordinary;
mod places;
mod registries;
mod services;
mod snapshot;
mod walls;
mod whole;
mod work;
