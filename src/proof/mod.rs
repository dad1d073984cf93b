//! Proofs: what a run can show for a task or for its result, as in-toto statements, and the rules
//! they must keep.
//!
//! [`Input`] goes in, [`prove`] gives the statement, [`test_result`] the same in the words of
//! in-toto's own predicate, [`check`] holds a statement against what the repository says. It
//! refuses to say `ready` where the evidence does not carry it, however much the caller would like
//! to; and to call a proof good of which nothing could be checked.

mod check;
mod input;
mod origin;
mod room;
mod rules;
mod statement;
mod test_result;

pub use check::{
    Checked, Finding, ProofContext, ProofRemark, SeenCommit, SeenPlan, Signature, Unreadable,
    Worth, check, claimed_logs, read,
};
pub use input::{Input, JudgedBy, RUN_PROOF, Share, TaskShare};
pub use room::{NetworkClaim, RoomClaim};
pub use rules::{ProofStanding, Unmet, counts, standing, unmet};
pub use statement::{
    AgentClaim, BaseClaim, Digests, GateClaim, LogClaim, PREDICATE_TYPE, PlanClaim, Predicate,
    ResultClaim, RunnerClaim, STATEMENT_TYPE, Statement, Subject, TaskClaim, TriggerClaim, prove,
    schema,
};
pub use test_result::{TEST_RESULT_TYPE, TestResult, TestStatement, Verdict, test_result};
