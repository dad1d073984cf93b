//! What a person learns whose proxy asks for a login, or is not one that omk can speak to. It
//! refuses to show that login.

use super::needs::{NeedFinding, NeedsContext};
use super::{CommandFailure, FailureKind};
use crate::exec::egress::{Proxy, withheld};
use crate::plan::Network;

const CHECK: &str = "proxy";

/// A proxy that omk cannot use for the hosts that the plan allows.
pub(super) fn unknown_proxy(ground: &NeedsContext<'_>) -> NeedFinding {
    let needs = ground
        .networks()
        .any(|network| matches!(network, Network::Allow(_)));
    match Proxy::of(&ground.caller) {
        Err(unknown) if needs => {
            let failure = CommandFailure::new(FailureKind::Blocked, format!("failed to {unknown}"));
            let next = "name one that speaks HTTP, or unset the variable if this machine reaches the hosts without it";
            NeedFinding::stop(
                CHECK,
                failure
                    .hint(next)
                    .hint("or leave the network open: `network: open`"),
            )
        }
        Ok(_) | Err(_) => NeedFinding::nothing(),
    }
}

/// Says that children do not find a proxy, if some of them could need it.
pub(super) fn withheld_proxy(ground: &NeedsContext<'_>) -> NeedFinding {
    let names = withheld(&ground.caller);
    if names.is_empty() || !ground.networks().any(|network| *network == Network::Open) {
        return NeedFinding::nothing();
    }
    let found = format!(
        "children do not get {}, which holds a login",
        names.join(", ")
    );
    NeedFinding::warn(
        CHECK,
        found,
        "omk logs in for them where the plan has `network: { allow: [HOST] }`",
    )
}
