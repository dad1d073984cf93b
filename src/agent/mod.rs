//! Agents: the Kimi Code CLI.
