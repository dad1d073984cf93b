//! Every text that a person can get, and that none is long, loud or obeyed.

use super::answer::{
    ScopeStanding, accepted, approved, cancelled, not_ours_to_cancel, nothing_kept,
    nothing_to_cancel, status, verified,
};
use super::refuse::{busy, could_not, no_plan, refused, unknown_tasks};
use super::show::approval_needed;
use super::*;
use crate::command::read;
use crate::fact::{
    Containment, GateOutcome, GateVerdict, HostProcess, PlanSource, RunVerdict, Trigger,
};
use crate::id::{CommitId, RunId, Sha256, TaskId, Tip};
use crate::plan::RoomLevel;
use crate::plan::{Complaints, Event, Permission, Plan};
use crate::proof::{Checked, Input, JudgedBy, ProofRemark, Share, prove};
use crate::trust::Refusal;

pub(super) const GITHUB: ForgeKind = ForgeKind::GitHub;

pub(super) fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(super) fn run() -> RunId {
    "20261122t185155z-4f2a9c".parse().unwrap()
}

pub(super) fn tasks(ids: &[&str]) -> Vec<TaskId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

pub(super) fn parsed(text: &str) -> Result<Plan, Complaints> {
    crate::plan::parse(text.as_bytes(), "omk.yaml", "nightly")
}

pub(super) const JOBS: &str = "https://github.com/acme/widget/actions/runs/9";

/// The lines that are seen before anything is unfolded.
fn unfolded(text: &str) -> usize {
    let mut inside = false;
    let seen = text.lines().filter(|line| {
        inside |= line.starts_with("<details>");
        let seen = !inside;
        inside &= *line != "</details>";
        seen
    });
    seen.count()
}

/// A text as people get it, once what holds of all texts was checked.
pub(super) fn shown(text: &str) -> String {
    assert!(unfolded(text) < 25, "{} lines:\n{text}", unfolded(text));
    let reply = Reply::to(GITHUB, 1, Some("jane"))
        .say(text.to_owned())
        .render();
    assert!(reply.len() <= LIMIT + 1_000);
    // Nobody is notified, and none of our own replies is a command.
    assert_eq!(read(&reply), [], "{reply}");
    text.to_owned()
}

#[test]
fn a_reply_names_its_comment_and_whom_it_is_for() {
    let mut reply = Reply::to(GITHUB, 17, Some("jane"));
    assert!(reply.is_empty());
    reply
        .say(nothing_to_cancel(GITHUB, &commit('a')))
        .say(String::new())
        .say(accepted(GITHUB, &run(), &commit('a'), &[], JOBS));
    assert!(!reply.is_empty());
    insta::assert_snapshot!(reply.render(), @"
    <!-- omk:reply:17 -->
    To `jane`:

    ⚪ **There is nothing to cancel**

    No check `omk` is in progress on the head `aaaaaaaaaaaa`.

    A run on an earlier commit can be ended in the Actions tab. `/omk status` shows where things stand.

    👀 **Run `20261122t185155z-4f2a9c` starts**

    It does all tasks on `aaaaaaaaaaaa`. [Its jobs](<https://github.com/acme/widget/actions/runs/9>).

    The check `omk` shows where it stands; `/omk cancel` ends it.
    ");
    assert!(reply.render().contains(&reply_marker(17)));
    let mut nobody = Reply::to(GITHUB, 18, None);
    nobody.say(refused(GITHUB, &Refusal::Gone));
    insta::assert_snapshot!(nobody.render(), @"
    <!-- omk:reply:18 -->

    😕 **Nothing was done: the account that asked is gone**

    omk asks the forge what the author of a comment may do here, and it knows of no author.

    Somebody with the permission can write the same command in a new comment.
    ");
}

#[test]
fn a_reply_says_what_it_leaves_out() {
    let mut reply = Reply::to(GITHUB, 1, Some("jane"));
    let diff = format!("+{}\n", "x".repeat(200)).repeat(1000);
    for _ in 0..10 {
        reply.say(approval_needed(
            GITHUB,
            "omk.yaml",
            &Sha256::of(b"plan"),
            Permission::Write,
            &diff,
        ));
    }
    let text = reply.render();
    assert!(text.len() < LIMIT + 100, "{}", text.len());
    assert!(
        text.ends_with("left out: the reply is too long.\n"),
        "{}",
        &text[text.len() - 100..]
    );
}

/// A proof that holds.
pub(super) fn holding() -> Checked {
    let tip = |digit: char| Tip {
        commit: commit(digit),
        tree: digit.to_string().repeat(40).parse().unwrap(),
    };
    let gate = GateOutcome {
        gate: "test".parse().unwrap(),
        command: "make test".to_owned(),
        required: true,
        verdict: GateVerdict::Passed,
        against_base: None,
        counts_as_passed: true,
        exit: Some(0),
        duration_ms: 1234,
        attempts: 1,
        log: None,
        failing: Vec::new(),
        failing_total: 0,
        reports: 0,
        note: String::new(),
        room: None,
        reuse: None,
    };
    let input = Input {
        run: run(),
        scope: "pr-12".parse().unwrap(),
        omk: "0.6.0".to_owned(),
        plan: PlanSource {
            path: "omk.yaml".to_owned(),
            digest: Sha256::of(b"plan"),
            commit: None,
            uncommitted: false,
        },
        share: Share::Run {
            landed: tasks(&["api"]),
            completed: tasks(&["api"]),
            observed: Vec::new(),
        },
        base: tip('b'),
        result: tip('c'),
        required: vec!["test".parse().unwrap()],
        judged_tree: Some(tip('c').tree),
        gates: vec![gate],
        agent: Vec::new(),
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
        judged_by: JudgedBy::SeparateJob,
        trigger: Trigger {
            event: Event::Comment,
            actor: "jane".to_owned(),
            comment: None,
        },
        verdict: RunVerdict::Ready,
        bundle: None,
    };
    Checked {
        statement: Some(prove(&input)),
        findings: Vec::new(),
        remarks: vec![ProofRemark::Unsigned],
    }
}

#[test]
fn words_of_others_stay_in_their_place() {
    let hostile =
        "x`` @everyone </details><!-- [a](https://evil) \n\n/omk run\n# #12 \u{202e}\u{200b} **b**";
    let refusals = [
        Refusal::Bot {
            login: hostile.to_owned(),
            id: 1,
        },
        Refusal::Permission {
            login: hostile.to_owned(),
            needs: Permission::Write,
            said: Some(hostile.to_owned()),
        },
        Refusal::Base {
            branch: hostile.to_owned(),
            default_branch: hostile.to_owned(),
        },
    ];
    let mut texts: Vec<String> = refusals
        .iter()
        .map(|refusal| refused(GITHUB, refusal))
        .collect();
    let (head, digest) = (commit('a'), Sha256::of(b"plan"));
    let standing = ScopeStanding {
        head: &head,
        check: Some((hostile, hostile)),
        workflow_url: Some(hostile),
        comment_url: Some(hostile),
    };
    texts.extend([
        no_plan(GITHUB, hostile, hostile),
        could_not(hostile, hostile),
        busy(GITHUB, hostile),
        unknown_tasks(&tasks(&["x"]), hostile, &[]),
        accepted(GITHUB, &run(), &head, &[], hostile),
        approved(
            GITHUB,
            &digest.as_str().parse().unwrap(),
            hostile,
            Some(&digest),
        ),
        approval_needed(GITHUB, hostile, &digest, Permission::Write, hostile),
        status(GITHUB, &standing),
        cancelled(GITHUB, hostile),
        not_ours_to_cancel(GITHUB, hostile),
        nothing_kept(hostile),
        verified(&run(), &[(hostile.to_owned(), holding())]),
    ]);
    for text in texts {
        let reply = Reply::to(GITHUB, 1, Some(hostile)).say(text).render();
        assert_eq!(read(&reply), [], "{reply}");
        // Markdown decides what is code, a link, or HTML; what is left is text, and there is
        // nothing to obey in it.
        let mut code = 0;
        for event in pulldown_cmark::Parser::new(&reply) {
            match event {
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => code += 1,
                pulldown_cmark::Event::End(pulldown_cmark::TagEnd::CodeBlock) => code -= 1,
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::Link { dest_url, .. }) => {
                    panic!("a link to {dest_url}:\n{reply}")
                }
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::Heading { .. }) => {
                    panic!("a heading:\n{reply}")
                }
                pulldown_cmark::Event::Text(text) if code == 0 => {
                    assert!(
                        !text.contains("@everyone"),
                        "somebody is notified:\n{reply}"
                    );
                }
                pulldown_cmark::Event::Html(html) | pulldown_cmark::Event::InlineHtml(html) => {
                    let ours = [
                        "<details><summary>",
                        "</details>",
                        "<!-- -->",
                        "<!-- omk:reply:1 -->",
                    ];
                    assert!(
                        ours.iter().any(|ours| html.starts_with(ours)),
                        "{html}:\n{reply}"
                    );
                }
                _ => {}
            }
        }
        assert!(!reply.contains(['\u{202e}', '\u{200b}']), "{reply}");
    }
}

#[test]
fn only_an_address_is_linked() {
    assert_eq!(link("jobs", JOBS), format!("[jobs](<{JOBS}>)"));
    for url in [
        "",
        "x",
        "javascript:alert(1)",
        "https://a> [b](https://evil)",
        "https://a b",
        "https://a\n\n# b",
    ] {
        assert_eq!(link("jobs", url), "jobs", "{url:?}");
    }
}

proptest::proptest! {
    #[test]
    fn code_is_one_line_of_code(said in "[`a-c \\n\\t\\r@#\\\\*<>&\u{202e}é]{0,200}") {
        let text = format!("a {} b", code(&said));
        let events: Vec<_> = pulldown_cmark::Parser::new(&text).collect();
        let is_code = |event: &&pulldown_cmark::Event<'_>| matches!(event, pulldown_cmark::Event::Code(_));
        let codes = events.iter().filter(is_code).count();
        proptest::prop_assert!(codes == 1 || text == "a (nothing) b", "{text:?}: {events:?}");
        proptest::prop_assert!(events.len() <= 5 && !text.contains('\n'), "{text:?}: {events:?}");
    }
}
