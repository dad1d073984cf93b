//! Tests of `plan::host`.

use proptest::prelude::*;

use super::*;

fn bad(text: &str) -> String {
    let bad = text.parse::<HostName>().expect_err(text);
    bad.in_full()
}

#[test]
fn names_are_read_in_lower_case() {
    for (text, expect) in [
        ("example.com", "example.com"),
        ("Cdn.Example.COM", "cdn.example.com"),
        ("intranet", "intranet"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3d.example", "3d.example"),
    ] {
        assert_eq!(
            text.parse::<HostName>().map(|host| host.to_string()),
            Ok(expect.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn what_is_copied_along_with_a_name_is_refused_and_the_name_offered() {
    for text in [
        "https://example.com",
        "example.com:443",
        "example.com/api",
        "https://me:pw@Example.com:443/a?b#c",
        "example.com.",
        "example.com?x",
    ] {
        assert_eq!(
            bad(text),
            "is more than the name of a host; write only `example.com`",
            "{text}"
        );
    }
}

#[test]
fn addresses_are_no_names_however_they_are_written() {
    for text in [
        "127.0.0.1",
        "::1",
        "[::1]:80",
        "https://[fe80::1]/",
        "10.0.0.1:80",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "1.2.3.0X4",
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(
            bad(text),
            "is an IP address; write the name that programs ask for, like `example.com`",
            "{text}"
        );
    }
}

#[test]
fn everything_else_says_what_to_write() {
    assert_eq!(
        bad("*.example.com"),
        "holds a wildcard; write each name by itself, like `example.com` and `cdn.example.com`"
    );
    assert_eq!(
        bad("https://*"),
        "holds a wildcard; write each name by itself, like `example.com` and `cdn.example.com`"
    );
    assert_eq!(
        bad("localhost"),
        "is this machine itself; remove it: children have a loopback of their own"
    );
    assert!("registry.localhost".parse::<HostName>().is_ok());
    assert_eq!(
        bad("bücher.example"),
        "is not in the form that DNS takes; write it in ASCII, as `xn--…`"
    );
    assert_eq!(bad(" "), "is empty; write a name like `example.com`");
    let long = format!("{}.example", "a".repeat(64));
    let name = |last: usize| {
        format!(
            "{}{}",
            format!("{}.", "a".repeat(63)).repeat(3),
            "b".repeat(last)
        )
    };
    assert_eq!(name(61).len(), 253);
    for text in [&long[1..], &name(61)] {
        assert!(text.parse::<HostName>().is_ok(), "{text}");
    }
    assert_eq!(name(62).parse::<HostName>(), Err(BadHost::Malformed));
    for text in [
        "a b",
        "a..b",
        "-a.b",
        "a-.b",
        "a_b.example",
        "a\nb",
        "a\0",
        ".",
        "..",
        &long,
        &"a.".repeat(128),
    ] {
        let bad = text.parse::<HostName>().expect_err(text);
        assert!(
            matches!(bad, BadHost::Malformed | BadHost::Empty),
            "{text:?}: {bad:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_name_reads_back_the_same(text in "\\PC{0,30}|[a-zA-Z0-9.:/@\\[\\]*-]{0,20}|([a-z0-9]{1,5}\\.){1,3}[a-z]{2,3}") {
        if let Ok(host) = text.parse::<HostName>() {
            prop_assert_eq!(host.to_string().parse::<HostName>(), Ok(host.clone()));
            prop_assert!(host.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')));
        }
    }
}
