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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(backoff_seconds: u64, backoff_multiplier: f64) -> RetryPolicy {
        RetryPolicy {
            backoff_seconds,
            backoff_multiplier,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn two_seconds_doubling_is_as_it_always_was() {
        let waits: Vec<u64> = (0..4)
            .map(|n| next_backoff(&policy(2, 2.0), n).as_secs())
            .collect();
        assert_eq!(waits, [2, 2, 4, 8]);
    }

    #[test]
    fn fractions_of_seconds_are_cut_off() {
        assert_eq!(next_backoff(&policy(1, 1.5), 3).as_secs(), 2);
    }

    #[test]
    fn an_hour_is_the_longest_unless_the_first_wait_is_longer() {
        assert_eq!(next_backoff(&policy(2, 2.0), 4_000_000_000).as_secs(), 3600);
        assert_eq!(next_backoff(&policy(7200, 2.0), 9).as_secs(), 7200);
        let long = RetryPolicy {
            max_backoff_seconds: Some(10_000),
            ..policy(2, 10.0)
        };
        assert_eq!(next_backoff(&long, 9).as_secs(), 10_000);
    }

    proptest! {
        #[test]
        fn backoff_never_panics_for_any_policy_and_attempt(
            seconds: u64, multiplier: f64, jitter: f64, longest: Option<u64>, count: u32,
        ) {
            let policy = RetryPolicy {
                backoff_seconds: seconds,
                backoff_multiplier: multiplier,
                jitter,
                max_backoff_seconds: longest,
                ..RetryPolicy::default()
            };
            let run: RunId = "20261122t185155z-4f2a9c".parse().unwrap();
            let task: TaskId = "api".parse().unwrap();
            let full = next_backoff(&policy, count);
            let short = jittered_backoff(&policy, &run, &task, count);
            prop_assert!(short <= full);
            prop_assert_eq!(short, jittered_backoff(&policy, &run, &task, count));
        }

        #[test]
        fn jitter_stays_in_its_band(jitter in 0.0..=1.0f64, count in 0u32..20) {
            let policy = RetryPolicy { jitter, ..policy(100, 1.0) };
            let run: RunId = "20261122t185155z-4f2a9c".parse().unwrap();
            let task: TaskId = "api".parse().unwrap();
            let wait = jittered_backoff(&policy, &run, &task, count).as_secs_f64();
            prop_assert!(wait >= 100.0 * (1.0 - jitter) - 1e-6 && wait <= 100.0);
        }
    }

    #[test]
    fn jitter_goes_by_the_run_the_task_and_the_count() {
        let policy = RetryPolicy {
            jitter: 1.0,
            ..policy(1000, 1.0)
        };
        let wait = |run: &str, task: &str, count| {
            let (run, task): (RunId, TaskId) = (run.parse().unwrap(), task.parse().unwrap());
            jittered_backoff(&policy, &run, &task, count)
        };
        let waits = [
            wait("20261122t185155z-4f2a9c", "api", 1),
            wait("20261122t185155z-4f2a9d", "api", 1),
            wait("20261122t185155z-4f2a9c", "web", 1),
            wait("20261122t185155z-4f2a9c", "api", 2),
        ];
        let different: std::collections::BTreeSet<Duration> = waits.into_iter().collect();
        assert_eq!(different.len(), waits.len(), "{waits:?}");
    }
}
