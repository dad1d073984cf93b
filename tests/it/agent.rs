//! The real Kimi CLI.
