//! Tests of `plan::size`.

use super::*;

#[test]
fn sizes_of_plans_are_read() {
    let bytes = |text: &str| text.parse::<Size>().map(Size::bytes);
    assert_eq!(bytes("100MB"), Ok(100_000_000));
    assert_eq!(bytes("100 MB"), Ok(100_000_000));
    assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
    assert_eq!(bytes("1KB"), Ok(1000));
    assert_eq!(Size::USUAL.to_string(), "100MB");
}

#[test]
fn mistakes_are_told_apart() {
    let bad = |text: &str| text.parse::<Size>().unwrap_err();
    assert_eq!(bad("100"), BadSize::NoUnit);
    assert_eq!(bad("100mb"), BadSize::UnknownUnit("mb".to_owned()));
    assert_eq!(bad("5 parsecs"), BadSize::UnknownUnit("parsecs".to_owned()));
    for text in ["0KB", "0.9KB", "2000GB", "99999999999999999999GB"] {
        assert_eq!(bad(text), BadSize::OutOfRange, "{text}");
    }
    for text in ["", "much", "-1MB", "1..5MB", "1.MB", ".5MB", "1.2345MB"] {
        assert_eq!(bad(text), BadSize::Malformed, "{text}");
    }
}

#[test]
fn people_read_a_size_rounded_up() {
    assert_eq!(format_bytes(100_000_000), "100 MB");
    assert_eq!(format_bytes(100_000_001), "100.1 MB");
    assert_eq!(format_bytes(1_510_000_000), "1.6 GB");
    assert_eq!(format_bytes(999), "999 bytes");
}

#[test]
fn sizes_hold_at_both_ends_and_to_the_thousandth() {
    let bytes = |text: &str| text.parse::<Size>().map(Size::bytes);
    assert_eq!(bytes("1000GB"), Ok(1_000_000_000_000));
    assert_eq!(bytes("1000.001GB"), Err(BadSize::OutOfRange));
    assert_eq!(bytes("0.999KB"), Err(BadSize::OutOfRange));
    assert_eq!(bytes("0.001MB"), Ok(1000));
    assert_eq!(bytes("1.05KB"), Ok(1050));
    assert_eq!(bytes("1.001KiB"), Ok(1025));
    assert_eq!(bytes("2.5MiB"), Ok(2_621_440));
    assert_eq!(bytes("1.234GB"), Ok(1_234_000_000));
    assert_eq!(
        bytes(&format!("1{}", "x".repeat(21))),
        Err(BadSize::UnknownUnit("x".repeat(20)))
    );
}

#[test]
fn a_size_is_written_in_its_largest_whole_unit() {
    for (bytes, expect) in [
        (1000, "1KB"),
        (1001, "1.001KB"),
        (1024, "1KiB"),
        (1_048_576, "1MiB"),
        (1_000_000, "1MB"),
        (1_500_000, "1500KB"),
        (1_073_741_824, "1GiB"),
        (1_000_000_000, "1GB"),
        (12_345_678, "12345.678KB"),
    ] {
        assert_eq!(Size(bytes).to_string(), expect);
    }
}

#[test]
fn people_read_each_unit_from_its_first_byte_on() {
    for (bytes, expect) in [
        (0, "0 bytes"),
        (1000, "1 KB"),
        (1001, "1.1 KB"),
        (1100, "1.1 KB"),
        (999_999, "1000 KB"),
        (1_000_000, "1 MB"),
        (1_073_741_824, "1.1 GB"),
        (2_950_000_000, "3 GB"),
    ] {
        assert_eq!(format_bytes(bytes), expect);
    }
}

proptest::proptest! {
    #[test]
    fn written_sizes_read_back(bytes in 1000_u64..=LARGEST) {
        proptest::prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}") {
        drop(text.parse::<Size>());
    }
}
