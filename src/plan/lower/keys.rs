//! Every key of a plan, map by map. The JSON Schema is held to the same lists by a test.
//!
//! It refuses to know what the keys mean.

pub(in crate::plan) const PLAN: &[&str] = &[
    "version",
    "name",
    "agent",
    "limits",
    "prices",
    "env",
    "pass_env",
    "keep",
    "room",
    "preflight",
    "change_limit",
    "baseline",
    "defaults",
    "gates",
    "tasks",
    "deliver",
    "protect",
    "commands",
];
pub(in crate::plan) const AGENT: &[&str] = &[
    "kind",
    "version",
    "model",
    "thinking",
    "base_url",
    "key_env",
    "max_steps",
    "tools",
];
pub(in crate::plan) const TOOLS: &[&str] = &["disabled"];
pub(in crate::plan) const LIMITS: &[&str] = &["workers", "time", "tokens", "usd"];
pub(in crate::plan) const PRICES: &[&str] = &["input", "cached_input", "output"];
pub(in crate::plan) const GATE: &[&str] = &[
    "id",
    "run",
    "timeout",
    "required",
    "retries",
    "inputs",
    "fingerprint",
    "trusted",
    "report",
    "env",
    "network",
    "exclusive",
];
pub(in crate::plan) const REPORT: &[&str] = &["format", "path"];
pub(in crate::plan) const TASK: &[&str] = &[
    "id",
    "name",
    "description",
    "prompt",
    "run",
    "dependencies",
    "priority",
    "read_set",
    "write_set",
    "change",
    "retry_policy",
    "max_retries",
    "timeout",
    "idle_timeout",
    "gates",
    "when",
    "on_dependency_failure",
    "env",
    "network",
    "metadata",
];
/// What a task may leave to `defaults`: all that does not make it this task. What all tasks reach
/// is said in `room`, apart for agents and commands.
pub(in crate::plan) const DEFAULTS: &[&str] = &[
    "priority",
    "read_set",
    "write_set",
    "change",
    "retry_policy",
    "timeout",
    "idle_timeout",
    "gates",
    "when",
    "on_dependency_failure",
    "env",
    "metadata",
];
pub(in crate::plan) const RETRY: &[&str] = &[
    "max_attempts",
    "backoff_seconds",
    "backoff_multiplier",
    "terminal_on_permanent_failure",
    "max_backoff_seconds",
    "jitter",
];
pub(in crate::plan) const ROOM: &[&str] = &["level", "network", "docker"];
pub(in crate::plan) const NETWORKS: &[&str] = &["agent", "gates", "tasks"];
pub(in crate::plan) const NETWORK: &[&str] = &["allow"];
pub(in crate::plan) const WHEN: &[&str] = &["events", "changed"];
pub(in crate::plan) const DELIVER: &[&str] =
    &["as", "draft", "labels", "partial", "limit", "sign_off"];
pub(in crate::plan) const COMMANDS: &[&str] = &["permission", "bots"];
pub(in crate::plan) const BOT: &[&str] = &["login", "id"];

/// Fields of a task's record (`omk status --json`); metadata is flattened beside them, so it cannot
/// have their names.
pub const RECORD: &[&str] = &[
    "id",
    "name",
    "description",
    "dependencies",
    "priority",
    "owner",
    "lease_expires",
    "retry_count",
    "retry_policy",
    "max_retries",
    "state",
    "created_at",
    "started_at",
    "completed_at",
    "read_set",
    "write_set",
    "write_set_declared",
];
