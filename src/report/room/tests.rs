//! Tests of `report::room`.

use super::*;

fn room(level: RoomLevel, why_not: Option<&str>) -> Option<String> {
    warning(&Containment {
        level,
        subreaper: true,
        why_not: why_not.map(ToOwned::to_owned),
    })
}

#[test]
fn a_room_below_sealed_says_why_and_what_it_lacks() {
    assert_eq!(room(RoomLevel::Sealed, None), None);
    insta::assert_snapshot!(room(RoomLevel::Landlock, Some("make namespaces: Operation not permitted")).unwrap(), @"The children's room was of level landlock, not sealed (make namespaces: Operation not permitted). Landlock alone does not hold: metadata, network seen, private files, processes seen, scheduling of processes (not as root), shared memory, sockets by name, terminals. SECURITY.md explains each; `omk doctor` says what to do.");
    insta::assert_snapshot!(room(RoomLevel::None, None).unwrap(), @"The children's room was of level none: they could do all that the user can, and nothing confined their writes. `omk doctor` says what to do.");
}

#[test]
fn security_lists_the_exceptions_in_the_same_words() {
    let page = include_str!("../../../SECURITY.md");
    let (_, after) = page
        .split_once("### What Landlock alone does not hold\n")
        .unwrap();
    let list = after.split("\n#").next().unwrap();
    // A point may go on in the next line.
    let list = list.replace("\n  ", " ");
    let points: Vec<&str> = list.lines().filter(|line| line.starts_with("- ")).collect();
    let ours: Vec<String> = EXCEPTIONS
        .iter()
        .map(|exception| {
            let only = exception.in_short().replacen(exception.name, "", 1);
            format!("- **{}**{only}: {}", exception.name, exception.words)
        })
        .collect();
    assert_eq!(points, ours);
}

#[test]
fn security_has_a_column_for_each_level_and_a_row_for_each_job() {
    let page = include_str!("../../../SECURITY.md");
    let (_, after) = page.split_once("## What a child reaches\n").unwrap();
    let table: Vec<Vec<&str>> = after
        .split("\n#")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let levels = [RoomLevel::Sealed, RoomLevel::Landlock, RoomLevel::None];
    let columns: Vec<String> = levels
        .into_iter()
        .map(|level| format!("`{level}`"))
        .collect();
    assert_eq!(table[0][1..], columns);
    for row in &table {
        assert!(
            row.len() == 1 + levels.len() && row[1..].iter().all(|cell| !cell.is_empty()),
            "{row:?}"
        );
    }
    let rows: Vec<&str> = table.iter().map(|row| row[0]).collect();
    // Where omk runs: each job of the split, all in one, and a laptop. What each network word
    // means is a row, too.
    for expected in ["run", "judge", "publish, intake", "one job", "laptop"] {
        assert!(
            rows.iter()
                .any(|row| row.starts_with(&format!("**{expected}**"))),
            "no row for {expected}: {rows:?}"
        );
    }
    for word in ["none", "model", "allow", "open"] {
        assert!(
            rows.iter()
                .any(|row| row.starts_with("network ") && row.contains(&format!("`{word}`"))),
            "{word}"
        );
    }
}
