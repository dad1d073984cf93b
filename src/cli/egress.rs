//! What a person learns whose proxy asks for a login. It refuses to show that login.

use super::terminal::Terminal;
use crate::exec::egress::withheld;
use crate::exec::environment::Caller;
use crate::plan::{Network, Plan};

/// Says that children do not find a proxy, if some of them could need it.
pub(super) fn say_what_is_withheld(plan: &Plan, terminal: &Terminal) {
    let names = withheld(&Caller::read());
    let tasks = plan.tasks.iter().map(|task| plan.room.network_of_task(task));
    let mut networks = tasks.chain(plan.gates.iter().map(|gate| plan.room.network_of_gate(gate)));
    if !names.is_empty() && networks.any(|network| *network == Network::Open) {
        let names = names.join(", ");
        let instead = "omk logs in for them where the plan has `network: { allow: [HOST] }`";
        terminal.complain(&format!("note: children do not get {names}, which holds a login; {instead}\n"));
    }
}
