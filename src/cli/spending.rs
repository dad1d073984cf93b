//! What a run may spend: the plan's limits, and those that a person gives over them.
//!
//! It refuses a limit in money that cannot be kept because nobody knows what a token costs.

use super::{CommandFailure, FailureKind};
use crate::fact::Spending;
use crate::plan::Plan;

/// The limits of a plan.
pub(super) fn planned(plan: &Plan) -> Spending {
    Spending {
        time_ms: plan.limits.time.map(millis),
        tokens: plan.limits.tokens,
        micro_usd: plan.limits.usd.map(micro_usd),
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The limits so far, with what a person gives over them.
pub(super) fn over(
    mut spending: Spending,
    plan: &Plan,
    given: &[String],
) -> Result<Spending, CommandFailure> {
    for text in given {
        let wrong = |what: &str| {
            CommandFailure::new(
                FailureKind::Usage,
                format!("`{text}` is not a limit: {what}"),
            )
            .hint("limits look like `--limits time=1h,tokens=500000,usd=2.50`")
        };
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| wrong("there is no `=`"))?;
        match name {
            "time" => {
                let time = humantime::parse_duration(value)
                    .map_err(|_| wrong("the time needs a unit, like `90m`"))?;
                spending.time_ms = Some(millis(time));
            }
            "tokens" => {
                spending.tokens = Some(
                    value
                        .parse()
                        .map_err(|_| wrong("tokens are a whole number"))?,
                )
            }
            "usd" => {
                let usd: f64 = value.parse().map_err(|_| wrong("usd is a number"))?;
                if !usd.is_finite() || usd < 0.0 {
                    return Err(wrong("usd is a number from 0"));
                }
                if plan.known_prices().is_none() {
                    return Err(wrong(
                        "omk does not know what a token of this model costs; add `prices` to the plan",
                    ));
                }
                spending.micro_usd = Some(micro_usd(usd));
            }
            _ => return Err(wrong("there are `time`, `tokens` and `usd`")),
        }
    }
    Ok(spending)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be positive, and the cast saturates"
)]
fn micro_usd(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}
