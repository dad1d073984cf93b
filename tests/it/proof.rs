//! Proofs: what is written, and what `omk verify` makes of it.

use omk_action::fact::*;
use omk_action::id::*;
use omk_action::plan::RoomLevel;
use omk_action::plan::{Baseline, Event, Network};
use omk_action::proof::*;

pub(crate) fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().expect("a commit id")
}

pub(crate) fn tree(digit: char) -> TreeId {
    digit.to_string().repeat(40).parse().expect("a tree id")
}

pub(crate) fn gate(id: &str) -> GateId {
    id.parse().expect("a gate id")
}

pub(crate) fn passed(id: &str) -> GateOutcome {
    GateOutcome {
        gate: gate(id),
        command: format!("make {id}"),
        required: true,
        verdict: GateVerdict::Passed,
        against_base: None,
        counts_as_passed: true,
        exit: Some(0),
        duration_ms: 1234,
        attempts: 1,
        log: Some(LogEvidence {
            path: format!("logs/api-1/gate-{id}-1.log"),
            sha256: Sha256::of(id.as_bytes()),
            bytes: 4,
            head: id.to_owned(),
            tail: String::new(),
        }),
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    }
}

pub(crate) fn input() -> Input {
    Input {
        run: "20261122t185155z-4f2a9c".parse().expect("a run id"),
        scope: "nightly".parse().expect("a scope"),
        omk: "0.6.0".to_owned(),
        plan: PlanSource {
            path: "omk.yaml".to_owned(),
            digest: Sha256::of(b"plan"),
            commit: Some(commit('b')),
            uncommitted: false,
        },
        share: Share::Task(TaskShare {
            id: "api".parse().expect("a task id"),
            attempts: 2,
            completed: true,
            declared: Some(vec!["src/api/**".to_owned()]),
            observed: vec!["src/api/mod.rs".parse().expect("a path")],
        }),
        base: Tip {
            commit: commit('b'),
            tree: tree('1'),
        },
        result: Tip {
            commit: commit('c'),
            tree: tree('2'),
        },
        required: vec![gate("test")],
        judged_tree: Some(tree('2')),
        gates: vec![passed("test")],
        agent: vec![AgentEvidence {
            kind: "kimi-code".to_owned(),
            version: "2.1.0".to_owned(),
            model: "kimi-k3".to_owned(),
            tokens: Tokens {
                input: 10,
                cached_input: 20,
                output: 30,
                reasoning: 0,
            },
            cost_micro_usd: Some(90),
            requests: 3,
            session: None,
            resumed: false,
            transcript: None,
            said: "done".to_owned(),
            unrecorded: None,
        }],
        journal_head: Sha256::of(b"line"),
        runner: HostProcess {
            name: "runner".to_owned(),
            pid: 1,
            platform: "linux/x86_64".to_owned(),
        },
        containment: Containment {
            level: RoomLevel::Landlock,
            subreaper: true,
            why_not: None,
        },
        networks: std::collections::BTreeMap::new(),
        judged_by: JudgedBy::SameJob,
        trigger: Trigger {
            event: Event::Comment,
            actor: "ann".to_owned(),
            comment: Some("https://x/1".to_owned()),
        },
        verdict: RunVerdict::Ready,
        bundle: None,
    }
}

/// A repository in which everything is as [`input`] says.
pub(crate) fn seen() -> ProofContext {
    ProofContext {
        result: Some(SeenCommit {
            tree: tree('2'),
            parents: vec![commit('b')],
        }),
        base: Some(SeenCommit {
            tree: tree('1'),
            parents: Vec::new(),
        }),
        base_is_ancestor: Some(true),
        plan: Some(SeenPlan {
            digest: Sha256::of(b"plan"),
            required: [(gate("test"), "make test".to_owned())].into(),
            baseline: Baseline::Allow,
        }),
        logs: [("logs/api-1/gate-test-1.log".to_owned(), Sha256::of(b"test"))].into(),
        strange_logs: [].into(),
        origins: std::collections::BTreeMap::new(),
        bundle: None,
        recorded: None,
        signature: Signature::Unsigned,
    }
}

/// Everything that fails, a line each.
pub(crate) fn findings(input: &Input, seen: &ProofContext) -> String {
    told(&check(&prove(input).to_bytes(), seen))
}

pub(crate) fn told(checked: &Checked) -> String {
    assert_eq!(checked.holds(), checked.findings.is_empty());
    checked
        .findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_proof_is_an_in_toto_statement() {
    let text = String::from_utf8(prove(&input()).to_bytes()).expect("JSON is UTF-8");
    insta::assert_snapshot!(text, @r#"
{
  "_type": "https://in-toto.io/Statement/v1",
  "subject": [
    {
      "name": "commit",
      "digest": {
        "gitCommit": "cccccccccccccccccccccccccccccccccccccccc"
      }
    },
    {
      "name": "tree",
      "digest": {
        "gitTree": "2222222222222222222222222222222222222222"
      }
    }
  ],
  "predicateType": "urn:omk-action:proof:v1",
  "predicate": {
    "run": "20261122t185155z-4f2a9c",
    "scope": "nightly",
    "omk": "0.6.0",
    "plan": {
      "path": "omk.yaml",
      "commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "digest": "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525",
      "uncommitted": false
    },
    "task": {
      "id": "api",
      "attempts": 2
    },
    "completed": true,
    "base": {
      "commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "tree": "1111111111111111111111111111111111111111"
    },
    "result": {
      "commit": "cccccccccccccccccccccccccccccccccccccccc",
      "tree": "2222222222222222222222222222222222222222"
    },
    "declared": [
      "src/api/**"
    ],
    "observed": [
      "src/api/mod.rs"
    ],
    "required": [
      "test"
    ],
    "gates": [
      {
        "id": "test",
        "command": "make test",
        "required": true,
        "tree": "2222222222222222222222222222222222222222",
        "verdict": "passed",
        "counts_as_passed": true,
        "exit": 0,
        "duration_ms": 1234,
        "attempts": 1,
        "failing": 0,
        "log": {
          "path": "logs/api-1/gate-test-1.log",
          "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        }
      }
    ],
    "agent": [
      {
        "kind": "kimi-code",
        "version": "2.1.0",
        "model": "kimi-k3",
        "tokens": {
          "input": 10,
          "cached_input": 20,
          "output": 30
        },
        "cost_micro_usd": 90
      }
    ],
    "journal_head": "38a9c1e721584da284b90ceea4ed7eb8db15ac4ea86c2c75ec925d5f8799fcf0",
    "runner": {
      "name": "runner",
      "platform": "linux/x86_64"
    },
    "room": {
      "level": "landlock",
      "subreaper": true
    },
    "judged_by": "same-job",
    "trigger": {
      "event": "comment",
      "actor": "ann",
      "comment": "https://x/1"
    },
    "verdict": "ready"
  }
}
"#);
}

#[test]
fn a_proof_says_what_was_open_and_reads_without_it() {
    let mut open = input();
    let containment = open.containment.clone();
    let network = Network::Allow(vec!["example.com".parse().expect("a host")]);
    open.gates[0].room = Some(GateRoom {
        containment,
        network,
        refused_hosts: Vec::new(),
        unreached_hosts: Vec::new(),
    });
    open.networks = [("api".parse().expect("a task id"), Network::Model)].into();
    let statement = prove(&open);
    let written = serde_json::to_value(&statement.predicate.room).expect("a room is JSON");
    let network = serde_json::json!({ "tasks": { "api": "model" }, "gates": { "test": { "allow": ["example.com"] } } });
    assert_eq!(written["network"], network);
    assert_eq!(findings(&open, &seen()), "");
    // As proofs were written before.
    let old = String::from_utf8(prove(&input()).to_bytes()).expect("JSON is UTF-8");
    assert!(!old.contains("network"));
    assert_eq!(findings(&input(), &seen()), "");
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    assert_eq!(prove(&input()).digest(), prove(&input()).digest());
    let bytes = prove(&input()).to_bytes();
    assert_eq!(read(&bytes).expect("it was just written").to_bytes(), bytes);
}

#[test]
fn a_good_proof_holds_and_says_what_it_is_worth() {
    let checked = check(&prove(&input()).to_bytes(), &seen());
    assert_eq!(told(&checked), "");
    let remarks: Vec<String> = checked.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(
        remarks,
        [
            "unsigned",
            "judged_by: same-job, the job that ran the agent"
        ]
    );
}

#[test]
fn each_thing_that_fails_is_named() {
    let mut all = String::new();
    let mut story = |title: &str, change: &dyn Fn(&mut Input, &mut ProofContext)| {
        let (mut input, mut seen) = (input(), seen());
        change(&mut input, &mut seen);
        all.push_str(&format!("# {title}\n{}\n", findings(&input, &seen)));
    };
    story("the commit is gone", &|_, seen| seen.result = None);
    story("the commit has another tree", &|_, seen| {
        seen.result = Some(SeenCommit {
            tree: tree('9'),
            parents: vec![commit('b')],
        });
    });
    story("the commit has another parent", &|_, seen| {
        seen.result = Some(SeenCommit {
            tree: tree('2'),
            parents: vec![commit('9')],
        });
    });
    story("the base has another tree", &|_, seen| {
        seen.base = Some(SeenCommit {
            tree: tree('9'),
            parents: Vec::new(),
        });
    });
    story("the plan is gone", &|_, seen| seen.plan = None);
    story("the plan is another", &|input, _| {
        input.plan.digest = Sha256::of(b"other")
    });
    story("the proof leaves out a gate of the plan", &|input, _| {
        input.gates.clear();
        input.required.clear();
    });
    story("a gate failed", &|input, _| {
        input.gates[0].verdict = GateVerdict::Failed;
        input.gates[0].counts_as_passed = false;
    });
    story("a failure pretends to count", &|input, _| {
        input.gates[0].verdict = GateVerdict::TimedOut
    });
    story("the gate ran another command", &|input, _| {
        input.gates[0].command = "true".to_owned()
    });
    story("the gates saw another tree", &|input, _| {
        input.judged_tree = Some(tree('9'))
    });
    story("no gates at all", &|input, seen| {
        input.gates.clear();
        input.required.clear();
        if let Some(plan) = &mut seen.plan {
            plan.required.clear();
        }
    });
    story("the task is not completed", &|input, _| {
        if let Share::Task(task) = &mut input.share {
            task.completed = false;
        }
    });
    story("a forgiven failure under a strict plan", &|input, seen| {
        input.gates[0].verdict = GateVerdict::Failed;
        input.gates[0].against_base = Some(AgainstBase::PreExisting);
        if let Some(plan) = &mut seen.plan {
            plan.baseline = Baseline::Strict;
        }
    });
    story("a verdict reused from nowhere", &|input, _| {
        input.gates[0].verdict = GateVerdict::Reused
    });
    story("a log was changed", &|_, seen| {
        seen.logs.insert(
            "logs/api-1/gate-test-1.log".to_owned(),
            Sha256::of(b"other"),
        );
    });
    story("the bundle was changed", &|input, seen| {
        input.bundle = Some(Sha256::of(b"bundle"));
        seen.bundle = Some(Sha256::of(b"other"));
    });
    story("the file was changed", &|_, seen| {
        seen.recorded = Some(Sha256::of(b"other"))
    });
    story("a bad signature", &|_, seen| {
        seen.signature = Signature::Bad("the certificate has expired".to_owned())
    });
    let short = shortened(&all);
    insta::assert_snapshot!(short, @r#"
# the commit is gone
the commit cccc… is not in this repository
# the commit has another tree
the commit cccc… has the tree 9999…, the proof says 2222…
# the commit has another parent
the commit cccc… is not built on the base bbbb…
# the base has another tree
the commit bbbb… has the tree 9999…, the proof says 1111…
# the plan is gone
the plan omk.yaml is not at the commit that the proof names, nor in the run's directory
# the plan is another
the plan's digest is 6487…, the proof says d929…
# the proof leaves out a gate of the plan
the required gate `test` is missing
the proof itself says `neutral`
# a gate failed
the required gate `test` did not pass: failed
the proof itself says `not_ready`
# a failure pretends to count
the required gate `test` did not pass: timed-out
the proof itself says `not_ready`
# the gate ran another command
the gate `test` ran another command than the plan has
the proof says `ready`, which its evidence does not carry
# the gates saw another tree
the gate `test` saw 9999…, not the result's
the proof itself says `not_ready`
# no gates at all
no required gate ran: nothing was verified
the proof itself says `neutral`
# the task is not completed
no task is completed
the proof itself says `not_ready`
# a forgiven failure under a strict plan
the gate `test` counts as passed by its baseline, which the plan does not allow
the proof says `ready`, which its evidence does not carry
# a verdict reused from nowhere
the verdict of the gate `test` is reused, and the proof does not say from where
the proof says `ready`, which its evidence does not carry
# a log was changed
the digest of logs/api-1/gate-test-1.log is d929…, the proof says 9f86…
# the bundle was changed
the bundle's digest is d929…, the proof says 1e6e…
# the file was changed
the file's digest is 3001…, recorded was d929…
# a bad signature
the signature is not good: the certificate has expired
"#);
}

/// Commits, trees and digests as their first four digits.
fn shortened(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            let hex = word.chars().take_while(char::is_ascii_hexdigit).count();
            if hex >= 40 {
                format!("{}…{}", &word[..4], &word[hex..])
            } else {
                word.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn ready_is_not_written_where_the_evidence_does_not_carry_it() {
    let verdict = |change: &dyn Fn(&mut Input)| {
        let mut input = input();
        change(&mut input);
        prove(&input).predicate.verdict
    };
    assert_eq!(verdict(&|_| {}), RunVerdict::Ready);
    assert_eq!(
        verdict(&|input| input.required.clear()),
        RunVerdict::Neutral
    );
    assert_eq!(verdict(&|input| input.gates.clear()), RunVerdict::NotReady);
    assert_eq!(
        verdict(&|input| input.judged_tree = Some(tree('9'))),
        RunVerdict::NotReady
    );
    assert_eq!(
        verdict(&|input| input.judged_tree = None),
        RunVerdict::NotReady
    );
    assert_eq!(
        verdict(&|input| input.gates[0].counts_as_passed = false),
        RunVerdict::NotReady
    );
    let nothing = |input: &mut Input| {
        input.share = Share::Run {
            landed: Vec::new(),
            completed: Vec::new(),
            observed: Vec::new(),
        };
    };
    assert_eq!(verdict(&nothing), RunVerdict::NotReady);
    assert_eq!(
        verdict(&|input| input.verdict = RunVerdict::NeedsMoreBudget),
        RunVerdict::NeedsMoreBudget
    );
}

#[test]
fn a_forged_ready_is_found() {
    let mut input = input();
    input.gates[0].verdict = GateVerdict::Failed;
    input.gates[0].counts_as_passed = false;
    let honest = String::from_utf8(prove(&input).to_bytes()).expect("JSON is UTF-8");
    let forged = honest.replace("\"verdict\": \"not_ready\"", "\"verdict\": \"ready\"");
    assert_ne!(honest, forged);
    let checked = check(forged.as_bytes(), &seen());
    assert!(
        checked.findings.contains(&Finding::ReadyUncarried),
        "{:?}",
        checked.findings
    );
    assert!(!checked.holds());
}

#[test]
fn subjects_that_disagree_with_the_claims_are_found() {
    let honest = String::from_utf8(prove(&input()).to_bytes()).expect("JSON is UTF-8");
    let forged = honest.replacen(commit('c').as_str(), commit('d').as_str(), 1);
    assert!(
        check(forged.as_bytes(), &seen())
            .findings
            .contains(&Finding::Subjects)
    );
}

#[test]
fn what_is_no_proof_of_ours_is_named_and_never_holds() {
    let good = String::from_utf8(prove(&input()).to_bytes()).expect("JSON is UTF-8");
    let newer = good.replace(PREDICATE_TYPE, "urn:omk-action:proof:v2");
    let other = good.replace(STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1");
    let poorer = good.replace("\"journal_head\"", "\"journal\"");
    let mut all = String::new();
    for bytes in ["", "{}", "[]", &good[..100], &newer, &other, &poorer] {
        let checked = check(bytes.as_bytes(), &seen());
        assert!(!checked.holds());
        all.push_str(
            &checked
                .findings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        );
        all.push('\n');
    }
    insta::assert_snapshot!(all, @r#"
the statement is malformed: EOF while parsing a value at line 1 column 0
the statement is malformed: missing field `_type` at line 1 column 2
the statement is malformed: invalid length 0, expected an object at line 1 column 2
the statement is malformed: EOF while parsing a string at line 6 column 7
the predicate type "urn:omk-action:proof:v2" is unknown: this omk reads `urn:omk-action:proof:v1`
the file is not an in-toto Statement v1: its `_type` is "https://in-toto.io/Statement/v0.1"
the statement is malformed: missing field `journal_head` at line 97 column 3
"#);
}

#[test]
fn the_test_result_tells_the_same() {
    let mut input = input();
    let mut flaky = passed("lint");
    flaky.verdict = GateVerdict::Flaky;
    let mut optional = passed("docs");
    (
        optional.required,
        optional.verdict,
        optional.counts_as_passed,
    ) = (false, GateVerdict::Failed, false);
    input.gates.extend([flaky, optional]);
    let statement = test_result(&input).expect("gates ran");
    insta::assert_snapshot!(String::from_utf8(statement.to_bytes()).expect("JSON is UTF-8"), @r#"
{
  "_type": "https://in-toto.io/Statement/v1",
  "subject": [
    {
      "name": "commit",
      "digest": {
        "gitCommit": "cccccccccccccccccccccccccccccccccccccccc"
      }
    },
    {
      "name": "tree",
      "digest": {
        "gitTree": "2222222222222222222222222222222222222222"
      }
    }
  ],
  "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
  "predicate": {
    "result": "WARNED",
    "configuration": [
      {
        "name": "omk.yaml",
        "digest": {
          "sha256": "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525"
        }
      }
    ],
    "passedTests": [
      "test"
    ],
    "warnedTests": [
      "lint",
      "docs"
    ],
    "failedTests": []
  }
}
"#);

    input.gates.truncate(1);
    assert_eq!(
        test_result(&input).expect("a gate ran").predicate.result,
        Verdict::Passed
    );
    input.judged_tree = Some(tree('9'));
    assert_eq!(
        test_result(&input).expect("a gate ran").predicate.result,
        Verdict::Failed
    );
    input.gates.clear();
    assert_eq!(test_result(&input), None);
}

#[test]
fn the_published_schema_is_the_one_the_types_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/proof-v1.json");
    if std::env::var_os("OMK_UPDATE_SCHEMA").is_some() {
        std::fs::write(path, schema()).expect("the schema can be written");
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == schema(),
        "stale: run this test with OMK_UPDATE_SCHEMA=1 to write {path}"
    );
}

#[test]
fn a_result_that_does_not_descend_from_its_base_is_found_out_as_that() {
    let seen = ProofContext {
        base_is_ancestor: Some(false),
        ..seen()
    };
    let found = check(&prove(&input()).to_bytes(), &seen).findings;
    assert!(matches!(found[..], [Finding::Ancestry { .. }]), "{found:?}");
}
