//! Reports: one [`View`] of a run, rendered for everyone who looks at it.
//!
//! Every rendering is a pure function of the view and keeps its limits for any text. It refuses to
//! decide anything, to look anything up, and to trust a word: what agents, gates and authors wrote
//! goes through [`View::scrubbed`] first, and through the escaping of its rendering last.

pub mod check;
pub mod checkup;
pub mod code_quality;
pub mod dashboard;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod plan_check;
pub mod preview;
pub mod pull;
pub mod reply;
pub mod room;
pub mod sticky;
pub mod terminal;

mod ink;
mod inline;
mod lost;
mod mask;
mod mermaid;
mod next;
mod placed;
mod view;

pub use ink::number;
pub use next::{NextStep, steps};
pub use placed::{DeliveryObstacle, Instead, PULLS_SETTING, Placed, Pull};
pub use view::{Count, Ejection, LimitsView, Mark, TaskStage, TaskView, VERSION, View, gate_mark};
