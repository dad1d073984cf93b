//! How long a failed task waits. Pure arithmetic that never panics, for any policy and any count.
//!
//! The numbers are those of omk 0.5.0: with 2 seconds and a multiplier of 2.0, counts 0, 1, 2, 3
//! give 2, 2, 4, 8.

use std::time::Duration;

use crate::id::{RunId, Sha256, TaskId};
use crate::plan::RetryPolicy;

/// Waiting is never longer than this many seconds unless the plan says so: an hour.
const DEFAULT_MAX_BACKOFF_SECONDS: u64 = 3600;

/// The waiting time after `retry_count` failures, before jitter; whole seconds, saturating at the
/// policy's maximum.
#[must_use]
pub fn next_backoff(policy: &RetryPolicy, retry_count: u32) -> Duration {
    let longest = policy
        .max_backoff_seconds
        .unwrap_or_else(|| policy.backoff_seconds.max(DEFAULT_MAX_BACKOFF_SECONDS));
    let seconds = match retry_count {
        0 | 1 => policy.backoff_seconds,
        _ => grown(policy, retry_count - 1),
    };
    Duration::from_secs(seconds.min(longest))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a waiting time past 2^53 seconds is clamped anyway"
)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and NaN gives 0"
)]
fn grown(policy: &RetryPolicy, exponent: u32) -> u64 {
    (policy.backoff_seconds as f64 * policy.backoff_multiplier.powf(f64::from(exponent))).trunc()
        as u64
}

/// The waiting time with the policy's jitter j applied: somewhere in `[(1 - j) * d, d]`, by a hash
/// of names, so that a replay waits just as long.
#[must_use]
pub fn jittered_backoff(
    policy: &RetryPolicy,
    run: &RunId,
    task: &TaskId,
    retry_count: u32,
) -> Duration {
    let full = next_backoff(policy, retry_count);
    let jitter = if policy.jitter.is_finite() {
        policy.jitter.clamp(0.0, 1.0)
    } else {
        0.0
    };
    if jitter == 0.0 {
        return full;
    }
    let seconds = full.as_secs_f64() * (1.0 - jitter * chance(run, task, retry_count));
    // Rounding may go past `full`, or past what a duration holds, where it is as long as the
    // universe.
    Duration::try_from_secs_f64(seconds).map_or(full, |short| short.min(full))
}

/// A number in `[0, 1)` that depends on the names alone.
fn chance(run: &RunId, task: &TaskId, retry_count: u32) -> f64 {
    let digest = Sha256::of(format!("{run}\n{task}\n{retry_count}").as_bytes());
    let bits = u32::from_str_radix(&digest.as_str()[..8], 16).unwrap_or(0);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
