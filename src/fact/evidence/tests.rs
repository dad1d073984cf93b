//! Tests of `fact::evidence`.

use super::*;
use crate::plan::RoomLevel;

fn room(level: RoomLevel, why_not: Option<&str>) -> Containment {
    Containment {
        level,
        subreaper: true,
        why_not: why_not.map(ToOwned::to_owned),
    }
}

#[test]
fn the_weakest_room_keeps_its_own_reason() {
    let sealed = room(RoomLevel::Sealed, None);
    let landlock = room(RoomLevel::Landlock, Some("mount /proc: no"));
    assert_eq!(sealed.clone().weakest(landlock.clone()), landlock);
    assert_eq!(landlock.clone().weakest(sealed), landlock);
    assert_eq!(
        room(RoomLevel::Landlock, None).weakest(landlock.clone()),
        landlock
    );
    let none = room(RoomLevel::None, None);
    assert_eq!(
        none.clone().weakest(landlock),
        none,
        "another level's reason is none of this one"
    );
    let (first, second) = (
        room(RoomLevel::None, Some("first")),
        room(RoomLevel::None, Some("second")),
    );
    assert_eq!(first.clone().weakest(second), first);
}

#[test]
fn a_command_that_could_not_write_says_where() {
    let command = |tail: &str| {
        let log =
            serde_json::json!({"path": "log", "sha256": "0".repeat(64), "bytes": 0, "tail": tail});
        let evidence = serde_json::json!({"command": {"command": "x", "exit": 0, "log": log}, "duration_ms": 1});
        let evidence = Evidence {
            containment: room(RoomLevel::Sealed, None),
            ..serde_json::from_value(evidence).unwrap()
        };
        evidence.kept_from_writing()
    };
    let said = command("sh: 1: cannot create /etc/x: Read-only file system");
    assert_eq!(said.as_deref(), Some("its room kept /etc/x read-only"));
    assert_eq!(command("done"), None);
    assert_eq!(Evidence::default().kept_from_writing(), None);
}

#[test]
fn rooms_of_older_journals_are_read() {
    let read = |text: &str| serde_json::from_str::<Containment>(text).unwrap();
    assert_eq!(
        read(r#"{"landlock":true,"subreaper":true}"#),
        room(RoomLevel::Landlock, None)
    );
    assert_eq!(
        read(r#"{"level":"sealed","subreaper":true}"#),
        room(RoomLevel::Sealed, None)
    );
    let now = room(RoomLevel::None, Some("no Landlock"));
    assert_eq!(read(&serde_json::to_string(&now).unwrap()), now);
}
