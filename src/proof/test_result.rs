//! The same evidence in the words of in-toto's own predicate, for tools that know no other.
//!
//! It refuses to be written where no gate ran: a test result without tests would read as a pass.

use serde::{Deserialize, Serialize};

use super::input::Input;
use super::rules::{ProofStanding, counts, standing};
use super::statement::{Digests, STATEMENT_TYPE, Subject, subjects, to_bytes};
use crate::fact::{AgainstBase, GateOutcome, GateVerdict};

/// `predicateType` of in-toto's test result.
pub const TEST_RESULT_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// An in-toto Statement v1 with a test result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestStatement {
    /// `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The same subjects as the proof's.
    pub subject: Vec<Subject>,
    /// `https://in-toto.io/attestation/test-result/v0.1`.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The result.
    pub predicate: TestResult,
}

/// in-toto's test result, v0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// The sum.
    pub result: Verdict,
    /// What the tests were told by: the plan.
    pub configuration: Vec<ConfigurationFile>,
    /// Gates that passed.
    pub passed_tests: Vec<String>,
    /// Gates that passed with a warning, or that only warn and did not pass.
    pub warned_tests: Vec<String>,
    /// Gates that did not pass.
    pub failed_tests: Vec<String>,
}

/// in-toto's words for a sum of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// All passed.
    Passed,
    /// All that decide passed, with a warning.
    Warned,
    /// One that decides did not pass.
    Failed,
}

/// A file that the tests were told by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationFile {
    /// Its path.
    pub name: String,
    /// Its digest.
    pub digest: Digests,
}

impl TestStatement {
    /// The bytes of the file: indented JSON with a newline at its end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// The test result of this evidence; `None` where no gate ran.
#[must_use]
pub fn test_result(input: &Input) -> Option<TestStatement> {
    if input
        .gates
        .iter()
        .all(|outcome| outcome.verdict == GateVerdict::Skipped)
    {
        return None;
    }
    let on_result = input.judged_tree.as_ref() == Some(&input.result.tree);
    let (mut passed, mut warned, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in &input.gates {
        let list = match worth(outcome) {
            Verdict::Passed => &mut passed,
            Verdict::Warned => &mut warned,
            Verdict::Failed => &mut failed,
        };
        list.push(outcome.gate.to_string());
    }
    let held = matches!(
        standing(&input.gates, &input.required),
        ProofStanding::Held(_)
    );
    let result = if held || !failed.is_empty() || !on_result {
        Verdict::Failed
    } else if warned.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Warned
    };
    let digest = Digests::from([("sha256".to_owned(), input.plan.digest.to_string())]);
    Some(TestStatement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: subjects(&input.result, input.bundle.as_ref()),
        predicate_type: TEST_RESULT_TYPE.to_owned(),
        predicate: TestResult {
            result,
            configuration: vec![ConfigurationFile {
                name: input.plan.path.clone(),
                digest,
            }],
            passed_tests: passed,
            warned_tests: warned,
            failed_tests: failed,
        },
    })
}

fn worth(outcome: &GateOutcome) -> Verdict {
    let passed = outcome.counts_as_passed && counts(outcome.verdict, outcome.against_base);
    let clean = outcome.verdict != GateVerdict::Flaky
        && outcome.against_base != Some(AgainstBase::PreExisting);
    match (passed, outcome.required) {
        (true, _) if clean => Verdict::Passed,
        (true, _) | (false, false) => Verdict::Warned,
        (false, true) => Verdict::Failed,
    }
}
