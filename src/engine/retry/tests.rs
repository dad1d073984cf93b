//! Tests of `engine::retry`.

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
