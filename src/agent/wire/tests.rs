//! Tests of `agent::wire`.

use super::*;

// As recorded from 2.1.0.
const COMPLETED: &str = r#"{"type":"turn.prompt","agentId":"main","input":[{"type":"text","text":"do it"}],"origin":{"kind":"user"},"promptId":"msg_1","turnId":0,"time":1795374837637}
{"type":"context.append_loop_event","agentId":"main","event":{"type":"step.end","uuid":"eb90","turnId":"0","step":2,"finishReason":"end_turn","usage":{"inputOther":60,"output":10,"inputCacheRead":40,"inputCacheCreation":0}},"time":1795374837839}
{"turnId":0,"outcome":"done","type":"agent.turn.ended","time":1795374837841,"kind":"event"}
{"type":"turn.ended","agentId":"main","turnId":0,"reason":"completed","durationMs":211,"time":1795374837848}
"#;
const OVERFLOW: &str = r#"{"type":"turn.ended","agentId":"main","turnId":0,"reason":"failed","error":{"code":"compaction.failed","message":"APIContextOverflowError: 400 Your request exceeded model token limit: 262144","name":"Error2","retryable":false,"cause":{"code":"context.overflow","message":"400 Your request exceeded model token limit: 262144","name":"APIContextOverflowError","details":{"statusCode":400,"requestId":null,"traceId":null},"retryable":true}},"durationMs":133,"time":1795374891454}"#;

#[test]
fn the_end_of_a_turn_is_read() {
    let recorded = read_lines(COMPLETED);
    assert_eq!(
        recorded.end.map(|end| end.reason).as_deref(),
        Some("completed")
    );
    assert_eq!(recorded.last_finish.as_deref(), Some("end_turn"));
}

#[test]
fn an_error_is_read_with_what_was_behind_it() {
    let error = read_lines(OVERFLOW).end.and_then(|end| end.error).unwrap();
    let cause = error.cause.unwrap();
    assert_eq!(
        (error.code.as_str(), cause.code.as_str(), cause.status),
        ("compaction.failed", "context.overflow", Some(400))
    );
}

#[test]
fn an_earlier_turn_does_not_speak_for_a_later_one() {
    let text = format!("{COMPLETED}{}", COMPLETED.lines().next().unwrap());
    assert_eq!(read_lines(&text).end, None);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let text = format!("{{\"type\":\"new\"}}\n[1]\ngarbage\n{COMPLETED}{{\"type\":\"turn.en");
    assert_eq!(read_lines(&text), read_lines(COMPLETED));
}

/// A home with one session, and where its record is.
fn home() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("sessions/s1");
    std::fs::create_dir_all(dir.join("agents/main")).unwrap();
    let index =
        serde_json::json!({"sessionId": "s1", "sessionDir": dir, "workDir": "/w"}).to_string();
    std::fs::write(home.path().join(INDEX), format!("{index}\n")).unwrap();
    let record = dir.join("agents/main/wire.jsonl");
    std::fs::write(&record, COMPLETED).unwrap();
    (home, record)
}

#[test]
fn only_what_was_recorded_since_counts() {
    let (home, record) = home();
    let before = PriorRecords::look_now(home.path());
    assert_eq!(
        before.since_now(home.path(), Some("s1")),
        Recorded {
            session: Some("s1".to_owned()),
            ..Recorded::default()
        }
    );
    std::fs::write(record, format!("{COMPLETED}{OVERFLOW}\n")).unwrap();
    let since = before.since_now(home.path(), Some("s1"));
    assert_eq!(since.end.map(|end| end.reason).as_deref(), Some("failed"));
}

/// Puts each thing that is no plain file in a file's place, and says how each was refused.
fn refused(name: &str) -> String {
    let mut said = String::new();
    for made in [
        "mkfifo",
        "ln -s /dev/zero",
        "ln -s /etc/passwd",
        "mkdir",
        "truncate -s 10G",
    ] {
        let (home, record) = home();
        let place = if name == INDEX {
            home.path().join(INDEX)
        } else {
            record
        };
        let (before, script) = (
            PriorRecords::default(),
            format!("rm \"$1\" && {made} \"$1\""),
        );
        let mut shell = std::process::Command::new("sh");
        assert!(
            shell
                .args(["-c", &script, "sh"])
                .arg(&place)
                .status()
                .unwrap()
                .success(),
            "{made}"
        );
        assert!(!PriorRecords::look_now(home.path()).knows("other"));
        let recorded = before.since_now(home.path(), Some("s1"));
        assert_eq!(recorded.end, None);
        said.push_str(&format!(
            "{made}: {}\n",
            recorded.unread.unwrap_or_default()
        ));
    }
    said
}

#[test]
fn whatever_lies_in_the_place_of_the_records_is_refused_at_once() {
    insta::assert_snapshot!(refused(INDEX), @r"
        mkfifo: session_index.jsonl: it is a pipe, and not a plain file
        ln -s /dev/zero: session_index.jsonl: it is a symbolic link, and not a plain file
        ln -s /etc/passwd: session_index.jsonl: it is a symbolic link, and not a plain file
        mkdir: session_index.jsonl: it is a directory, and not a plain file
        truncate -s 10G: session_index.jsonl: it holds more than 1 MiB, the most that omk reads of it
        ");
    insta::assert_snapshot!(refused("wire.jsonl"), @r"
        mkfifo: wire.jsonl: it is a pipe, and not a plain file
        ln -s /dev/zero: wire.jsonl: it is a symbolic link, and not a plain file
        ln -s /etc/passwd: wire.jsonl: it is a symbolic link, and not a plain file
        mkdir: wire.jsonl: it is a directory, and not a plain file
        truncate -s 10G:
        ");
}

#[test]
fn a_session_elsewhere_is_not_read() {
    let (home, record) = home();
    let (elsewhere, _) = self::home();
    let list = |dir: &str| {
        let line = serde_json::json!({"sessionId": "s2", "sessionDir": dir}).to_string();
        std::fs::write(home.path().join(INDEX), format!("{line}\n")).unwrap();
        PriorRecords::default().since_now(home.path(), None).unread
    };
    let outside = elsewhere.path().join("sessions/s1");
    let why = Some("wire.jsonl: its name leads out of its directory".to_owned());
    assert_eq!(list(&outside.display().to_string()), why);
    assert_eq!(list(&format!("{}/../x", home.path().display())), why);
    std::os::unix::fs::symlink(&outside, home.path().join("s2")).unwrap();
    let below = list(&format!("{}/s2", home.path().display()));
    assert!(below.unwrap().contains("below a symbolic link"));
    drop(record);
}

#[test]
fn the_end_of_a_very_long_record_is_read() {
    let (home, record) = home();
    let long = format!("{}\n{COMPLETED}", "x".repeat(17 << 20));
    std::fs::write(record, long).unwrap();
    let recorded = PriorRecords::default().since_now(home.path(), None);
    assert_eq!(
        recorded.end.map(|end| end.reason).as_deref(),
        Some("completed")
    );
}
