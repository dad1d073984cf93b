//! Advice is a part of an error, never of its text: what a person sees has it whole, and once.
//!
//! It refuses an error type with advice that has no sample here (`tidy.rs` looks for the names).

use std::time::Duration;

use omk_action::agent::AgentError;
use omk_action::bundle::{BundleRefused, WriteError};
use omk_action::cli::{CommandFailure, FailureKind};
use omk_action::drive::DriveError;
use omk_action::fact::{self, Class, CommandEvidence, LogEvidence, RunVerdict};
use omk_action::gate::judge::GateError;
use omk_action::git::{BundleError, GitError, RemoteRule};
use omk_action::glob::{BadGlob, Glob};
use omk_action::id::Sha256;
use omk_action::model::{Thinking, Unsuited};
use omk_action::plan::{BadHost, HostName};
use omk_action::report::terminal::{Colour, ProgressEvent, line, summary};
use omk_action::report::{Placed, TaskStage, View, check, html, json, junit, markdown, sticky};
use omk_action::store::{ScopeHolder, StoreError};
use omk_action::text::Advised;
use omk_action::work::Unjudged;

use crate::deliver_sample::{at, request, task, tip, view};

/// libgit2's words, which no text may be without.
fn cause() -> git2::Error {
    git2::Error::from_str("bad; worse")
}

fn of_git() -> Vec<GitError> {
    let (what, said) = ("read; write".to_owned(), "no; never".to_owned());
    let (remote, name, path) = (
        "https://h.example/o/n.git".to_owned(),
        "x".to_owned(),
        "/a; b".to_owned(),
    );
    vec![
        GitError::NotARepository {
            dir: "/a; b".into(),
        },
        GitError::Bare {
            path: "/a; b".into(),
        },
        GitError::NoCommits {
            path: "/a; b".into(),
        },
        GitError::Unsupported {
            path: "/a".into(),
            what: "is new; odd".into(),
            next: "clone it; or wait".into(),
        },
        GitError::HoldsSecret {
            path: path.clone(),
            what: "it",
        },
        GitError::NotOwned {
            path: "/a; b".into(),
        },
        GitError::UnknownRevision {
            rev: "v; 1".into(),
            next: Some("this clone is shallow"),
        },
        GitError::Missing {
            what: what.clone(),
            next: "fetch it; else run `git fsck`",
        },
        GitError::BranchInTheWay { name: "omk".into() },
        GitError::Locked {
            what: what.clone(),
            source: cause(),
        },
        GitError::Disk {
            what: what.clone(),
            source: cause(),
        },
        GitError::Library {
            what: what.clone(),
            source: cause(),
        },
        GitError::Binary {
            what: what.clone(),
            command: "push".into(),
            status: "exit 1".into(),
            said: said.clone(),
            next: Some("install what it needs"),
        },
        GitError::OldProgram {
            found: "git version 2.20; patched".into(),
        },
        GitError::NoFilter {
            path,
            name: name.clone(),
            next: "define it; with `cat`, nothing is changed".into(),
        },
        GitError::Filter {
            what: what.clone(),
            name: name.clone(),
            said: said.clone(),
            next: "install; correct".into(),
        },
        GitError::BadRemote {
            why: "it has no scheme",
        },
        GitError::RemoteMoved {
            remote: remote.clone(),
            name: name.clone(),
            expected: None,
            now: None,
        },
        GitError::RemoteRefused {
            remote: remote.clone(),
            name,
            why: RemoteRule::Protected,
            said: said.clone(),
        },
        GitError::RemoteUnauthorised {
            what: what.clone(),
            remote: remote.clone(),
            said: said.clone(),
        },
        GitError::RemoteNotFound {
            what: what.clone(),
            remote: remote.clone(),
        },
        GitError::RemoteLacks {
            what: what.clone(),
            remote: remote.clone(),
            said: said.clone(),
        },
        GitError::RemoteRedirects {
            what: what.clone(),
            remote: remote.clone(),
        },
        GitError::RemoteUnavailable { what, remote, said },
    ]
}

fn of_bundles() -> Vec<BundleRefused> {
    let (name, why) = ("logs; x".to_owned(), "is bad; worse");
    vec![
        BundleRefused::Io {
            what: "it; all".into(),
            source: std::io::Error::other("no; never"),
        },
        BundleRefused::Manifest { why: why.into() },
        BundleRefused::Version {
            found: 7,
            expected: 1,
        },
        BundleRefused::StrangeName { name: name.clone() },
        BundleRefused::Missing { name: name.clone() },
        BundleRefused::Changed { name, what: "size" },
        BundleRefused::Task {
            task: "api".into(),
            why,
        },
        BundleRefused::NotBegun,
        BundleRefused::Contradiction { what: "result" },
        BundleRefused::NoBase(tip('b').commit),
        BundleRefused::Commits(BundleError::NoBase(tip('b').commit)),
        BundleRefused::Commits(BundleError::Broken("bad; worse".into())),
        BundleRefused::Commit {
            commit: "c".into(),
            place: "of task api".into(),
            why: why.into(),
        },
        BundleRefused::Scope {
            commit: "c".into(),
            task: "api".parse().unwrap(),
            paths: "a; b.rs is protected".into(),
        },
        BundleRefused::Git(GitError::RemoteUnavailable {
            what: "read".into(),
            remote: "r".into(),
            said: "no; no".into(),
        }),
    ]
}

fn held() -> StoreError {
    let holder = ScopeHolder {
        run: request().run,
        pid: 7,
        host: "here; there".into(),
        since: at(0),
    };
    StoreError::Held {
        scope: request().scope,
        holder: Box::new(holder),
    }
}

/// One of each way in which an error has advice.
fn all() -> Vec<Box<dyn Advised>> {
    let mut all: Vec<Box<dyn Advised>> = Vec::new();
    let mut add = |error: Box<dyn Advised>| all.push(error);
    of_git().into_iter().for_each(|error| add(Box::new(error)));
    of_bundles()
        .into_iter()
        .for_each(|error| add(Box::new(error)));
    add(Box::new(BundleError::NoBase(tip('b').commit)));
    add(Box::new(WriteError::NotBegun));
    add(Box::new(WriteError::InTheWay("/a; b".into())));
    add(Box::new(AgentError::Missing {
        wanted: "2.1.0".into(),
        cache: "/a; b".into(),
    }));
    add(Box::new(AgentError::OtherVersion {
        path: "/a; b".into(),
        found: "1; 2".into(),
        wanted: "2.1.0".into(),
    }));
    add(Box::new(AgentError::OldNode {
        found: Some("v18; odd".into()),
    }));
    add(Box::new(AgentError::Npm {
        package: "kimi".into(),
        said: "no; never".into(),
    }));
    add(Box::new(held()));
    add(Box::new(DriveError::Store(held())));
    let why = fact::Failure::of(
        Class::Host,
        &GitError::Disk {
            what: "write; sync".into(),
            source: cause(),
        },
    );
    add(Box::new(GateError::LayOut {
        gate: "test".into(),
        why,
    }));
    let disk = GitError::Disk {
        what: "write; sync".into(),
        source: cause(),
    };
    add(Box::new(Unjudged::Failed(fact::Failure::to_do(
        Class::Host,
        &disk,
    ))));
    let possible = vec![Thinking::Auto, Thinking::On];
    add(Box::new(Unsuited {
        model: "m; n".into(),
        wish: Thinking::Off,
        why: "always thinks",
        possible,
    }));
    let bad: BadHost = "*.example".parse::<HostName>().unwrap_err();
    add(Box::new(bad));
    let bad: BadGlob = "a/{b".parse::<Glob>().unwrap_err();
    add(Box::new(bad));
    all
}

fn times(text: &str, words: &str) -> usize {
    text.matches(words).count()
}

#[test]
fn an_error_has_its_advice_whole_and_once_and_not_in_its_text() {
    for error in all() {
        let (text, advice) = (
            error.to_string(),
            error.advice().expect("each sample has advice").into_owned(),
        );
        assert_eq!(times(&text, &advice), 0, "{text}");
        assert_eq!(error.in_full(), format!("{text}; {advice}"));
        let hint = format!("\n  hint: {advice}\n");
        for failure in [
            CommandFailure::of(FailureKind::Infra, &*error),
            CommandFailure::to_do(FailureKind::Infra, &*error),
        ] {
            let shown = failure.render();
            assert!(
                shown.contains(&text) && times(&shown, &advice) == 1 && shown.ends_with(&hint),
                "{shown}"
            );
            assert_eq!(
                times(&failure.in_full(), advice.trim_end_matches('.')),
                1,
                "{}",
                failure.in_full()
            );
        }
        let failure = fact::Failure::to_do(Class::Host, &*error);
        assert_eq!(
            (failure.message.as_str(), failure.advice.as_deref()),
            (&*format!("failed to {text}"), Some(&*advice))
        );
        assert_eq!(
            times(&failure.in_full(), &advice),
            1,
            "{}",
            failure.in_full()
        );
    }
}

/// Words that no format escapes.
const ADVICE: &str = "free some space there; then start again";

fn failure() -> fact::Failure {
    let next = ADVICE.to_owned();
    let error = GitError::Filter {
        what: "commit".into(),
        name: "lfs".into(),
        said: "no space".into(),
        next,
    };
    fact::Failure::to_do(Class::Host, &error)
}

/// A run whose task failed: at its command, or beside it.
fn failed(command: bool) -> View {
    let mut api = task("api", TaskStage::Failed);
    api.failure = Some(failure());
    let output = "starting\n".to_owned();
    let log = LogEvidence {
        path: "logs/api/1/command.log".to_owned(),
        sha256: Sha256::of(output.as_bytes()),
        bytes: output.len() as u64,
        head: output,
        tail: String::new(),
    };
    api.command = command.then(|| CommandEvidence {
        command: "make api".to_owned(),
        exit: Some(1),
        log,
    });
    view(&request(), RunVerdict::NotReady, vec![api])
}

#[test]
fn every_report_of_a_run_has_the_advice_of_a_failure_once() {
    for command in [false, true] {
        let view = failed(command);
        let ended = check::ended(&request(), &view, &Placed::default());
        let reports = [
            ("the closing text", summary(&view, Colour::Off)),
            (
                "the comment",
                sticky::ended(&request(), &view, &Placed::default()),
            ),
            ("the check", format!("{}{}", ended.summary, ended.text)),
            (
                "report.md",
                markdown::render(&view, markdown::COMMENT_LIMIT),
            ),
            ("report.html", html::render(&view)),
            ("report.json", json::render(&view)),
        ];
        for (name, report) in reports {
            assert_eq!(
                times(&report, ADVICE),
                1,
                "{name}, command: {command}\n{report}"
            );
        }
        // The reason stands in an attribute and in the element, for those who show only one.
        let report = junit::render(&view);
        assert_eq!(times(&report, ADVICE), 2, "command: {command}\n{report}");
    }
}

#[test]
fn a_line_of_the_log_has_the_advice_of_a_failure_once() {
    let (api, failure) = ("api".parse().unwrap(), failure());
    let wait = Duration::from_secs(2);
    let events = [
        ProgressEvent::Retrying {
            task: &api,
            failure: &failure,
            wait,
        },
        ProgressEvent::Failed {
            task: &api,
            failure: &failure,
            took: wait,
        },
    ];
    for event in &events {
        let line = line(event, wait, Colour::Off);
        assert!(
            line.ends_with(&format!("the filter `lfs` failed (no space); {ADVICE}")),
            "{line}"
        );
    }
}

#[test]
fn a_remark_on_a_plan_has_its_hint_once_at_both_forges() {
    let text = "version: 1\nname: n\ntasks: [{id: api, run: 'true', dependencies: [databse]}, {id: database, run: 'true'}]\n";
    let complaints = omk_action::plan::parse(text.as_bytes(), "omk.yaml", "n").unwrap_err();
    let remarks = omk_action::report::plan_check::remarks(&complaints);
    let hint = "did you mean `database`?";
    assert_eq!(times(&remarks[0].message, hint), 0);
    assert!(
        remarks[0].words().ends_with(&format!("\nhint: {hint}")),
        "{}",
        remarks[0].words()
    );
    let report = omk_action::report::code_quality::render(&remarks);
    assert_eq!(times(&report, hint), 1, "{report}");
}

#[test]
fn a_reply_gives_the_reason_in_the_words_of_the_error() {
    for why in [
        "failed to read pull request 12: timed out",
        "the bundle is refused: `x` is missing",
    ] {
        let reply = omk_action::report::reply::refuse::could_not("finish this", why);
        assert!(
            reply.contains("The reason: ") && !reply.contains("It failed to the"),
            "{reply}"
        );
    }
}
