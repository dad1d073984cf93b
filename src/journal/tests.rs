//! Tests of `journal`.

use super::*;

fn written(count: usize) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    for index in 0..count {
        let at = Moment::from_millis(i64::try_from(index).unwrap());
        chain
            .push(at, &Fact::Woke, &[Order::Wake { at }], &mut out)
            .unwrap();
    }
    out
}

#[test]
fn what_was_written_is_read_again() {
    let bytes = written(3);
    let journal = read(&bytes).unwrap();
    assert_eq!(
        (journal.lines.len(), journal.sound_bytes, journal.dropped),
        (3, bytes.len() as u64, None)
    );
}

#[test]
fn a_journal_cut_anywhere_loses_only_its_last_line() {
    let bytes = written(4);
    for end in 0..bytes.len() {
        let journal = read(&bytes[..end]).unwrap();
        let whole = bytes[..end].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(journal.lines.len(), whole, "cut at {end}");
        assert_eq!(journal.dropped.is_some(), journal.sound_bytes != end as u64);
    }
}

#[test]
fn a_changed_line_in_the_middle_is_refused_with_its_number() {
    let bytes = written(4);
    let text = String::from_utf8(bytes).unwrap();
    let changed = text.replacen("\"at\":1", "\"at\":7", 1);
    assert_eq!(read(changed.as_bytes()).unwrap_err().line, 3);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(1);
    assert_eq!(
        read((lines.join("\n") + "\n").as_bytes()).unwrap_err().line,
        2
    );
    let garbled = text.replacen("{\"v\":1,\"seq\":2", "{\"v\":1,\"sXq\":2", 1);
    assert_eq!(read(garbled.as_bytes()).unwrap_err().line, 2);
}

#[test]
fn a_hole_in_lines_that_were_written_together_is_dropped_with_them_and_no_other() {
    // The zeros begin in the second line, and end in it or in the third.
    for (length, damaged) in [(20, 1), (200, 2)] {
        for after in [0, 1, MOST_UNSYNCED_LINES - 1, MOST_UNSYNCED_LINES] {
            let mut bytes = written(1 + damaged + after);
            let sound = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            bytes[sound + 5..][..length].fill(0);
            let read = read(&bytes).map(|journal| (journal.lines.len(), journal.sound_bytes));
            let expected = (after < MOST_UNSYNCED_LINES)
                .then_some((1, sound as u64))
                .ok_or(2);
            assert_eq!(
                read.map_err(|damage| damage.line),
                expected,
                "{after} lines after {length} zeros"
            );
        }
    }
}

#[test]
fn a_tail_of_rubbish_is_dropped_and_said() {
    let mut bytes = written(2);
    bytes.extend_from_slice(b"\0\0\0\0\n{\"v\":1,");
    let journal = read(&bytes).unwrap();
    assert_eq!(journal.lines.len(), 2);
    assert_eq!(journal.dropped.unwrap().line, 3);
}

#[test]
fn a_line_of_another_number_is_refused_for_just_that() {
    let text = String::from_utf8(written(3)).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        // It is the last line, so nothing after it fails to follow.
        read(changed.as_bytes()).unwrap().dropped.unwrap().what
    };
    assert_eq!(refused("\"seq\":3", "\"seq\":7"), "it says it is number 7");
    assert_eq!(refused("\"seq\":3", "\"seq\":2"), "it says it is number 2");
}

#[test]
fn a_line_of_another_version_is_refused_wherever_it_stands_and_however_it_goes_on() {
    let text = String::from_utf8(written(3)).unwrap();
    for (seq, line) in [(1, 1), (2, 2), (3, 3)] {
        let changed = text.replacen(
            &format!("{{\"v\":1,\"seq\":{seq}"),
            "{\"v\":2,\"number\":0",
            1,
        );
        let damage = read(changed.as_bytes()).unwrap_err();
        let said = format!(
            "line {line} was written by another version of omk: it is of version 2, and this omk reads version 1"
        );
        assert_eq!(
            (damage.cause, damage.to_string()),
            (Cause::OtherVersion, said)
        );
    }
    // One that was being written when its omk was killed.
    let torn = text + "{\"v\":2,\"se";
    assert_eq!(
        read(torn.as_bytes()).unwrap_err().cause,
        Cause::OtherVersion
    );
}

#[test]
fn a_fact_or_an_order_that_this_version_does_not_know_is_refused_and_not_cut_off() {
    let text = String::from_utf8(written(3)).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    let fact = last.replacen("\"fact\":", "\"fact\":{\"dreamt\":{}},\"was\":", 1);
    let order = last.replacen("\"orders\":[", "\"orders\":[{\"dream\":{}},", 1);
    for changed in [fact, order] {
        let damage = read(format!("{before}\n{changed}\n").as_bytes()).unwrap_err();
        assert_eq!(
            (damage.cause, damage.line),
            (Cause::OtherVersion, 3),
            "{changed}"
        );
        // What does not follow from the line before it was not written as the next one.
        let elsewhere = changed.replacen("\"seq\":3", "\"seq\":4", 1);
        let read = read(format!("{before}\n{elsewhere}\n").as_bytes()).unwrap();
        assert_eq!(
            (read.lines.len(), read.dropped.map(|damage| damage.cause)),
            (2, Some(Cause::Harm)),
            "{changed}"
        );
    }
}
