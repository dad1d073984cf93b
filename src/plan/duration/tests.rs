//! Tests of `plan::duration`.

use super::*;

#[test]
fn durations_of_plans_are_read() {
    let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
    assert_eq!(seconds("30m"), Ok(1800));
    assert_eq!(seconds("5h30m"), Ok(19_800));
    assert_eq!(seconds("1d 2h"), Ok(93_600));
    assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
}

#[test]
fn mistakes_are_told_apart() {
    assert_eq!(parse_duration("30"), Err(BadDuration::NoUnit));
    assert_eq!(parse_duration("1h30"), Err(BadDuration::NoUnit));
    assert_eq!(parse_duration("-5m"), Err(BadDuration::Negative));
    assert_eq!(parse_duration("0s"), Err(BadDuration::TooShort));
    assert_eq!(parse_duration("2years"), Err(BadDuration::TooLong));
    assert_eq!(
        parse_duration("99999999999999999999h"),
        Err(BadDuration::TooLong)
    );
    assert_eq!(
        parse_duration("5 parsecs"),
        Err(BadDuration::UnknownUnit("parsecs".to_owned()))
    );
    assert_eq!(
        parse_duration("1M"),
        Err(BadDuration::UnknownUnit("M".to_owned()))
    );
    assert_eq!(parse_duration("soon"), Err(BadDuration::Malformed));
    assert_eq!(parse_duration(""), Err(BadDuration::Malformed));
}

#[test]
fn a_millisecond_is_the_shortest_and_a_year_the_longest() {
    assert_eq!(parse_duration("1ms"), Ok(Duration::from_millis(1)));
    assert_eq!(parse_duration("999us"), Err(BadDuration::TooShort));
    assert_eq!(parse_duration("365d"), Ok(Duration::from_secs(31_536_000)));
    assert_eq!(parse_duration("365d 1ms"), Err(BadDuration::TooLong));
    assert_eq!(parse_duration("1.5"), Err(BadDuration::NoUnit));
    let unit = "x".repeat(21);
    assert_eq!(
        parse_duration(&format!("1{unit}")),
        Err(BadDuration::UnknownUnit("x".repeat(20)))
    );
}

#[test]
fn each_unit_is_written_where_there_is_some_of_it() {
    for (nanos, expect) in [
        (0, "0s"),
        (1, "1ns"),
        (1_000, "1us"),
        (999_999_999, "999ms999us999ns"),
        (1_000_000_000, "1s"),
        (59_000_000_000, "59s"),
        (60_000_000_000, "1m"),
        (3_599_000_000_000, "59m59s"),
        (3_600_000_000_000, "1h"),
        (86_399_000_000_000, "23h59m59s"),
        (90_061_002_003_004, "1d1h1m1s2ms3us4ns"),
    ] {
        assert_eq!(format_duration(Duration::from_nanos(nanos)), expect);
    }
}

proptest::proptest! {
    #[test]
    fn written_durations_read_back(millis in 1u64..31_536_000_000) {
        let duration = Duration::from_millis(millis);
        proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}") {
        drop(parse_duration(&text));
    }
}
