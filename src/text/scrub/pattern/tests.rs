//! Tests of `text::scrub::pattern`.

use crate::text::Scrubber;

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(Scrubber::default().scrub(text), expect);
    assert_eq!(
        Scrubber::default().scrub(expect),
        expect,
        "scrubbing twice changes nothing"
    );
}

/// Tokens are put together here, so that no scanner takes this file for a leak.
fn fake(prefix: &str, length: usize) -> String {
    format!(
        "{prefix}{}",
        "aB3".chars().cycle().take(length).collect::<String>()
    )
}

#[test]
fn tokens_of_services_vanish() {
    for prefix in [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "sk-",
        "sk-proj-",
        "xoxb-",
        "npm_",
    ] {
        check(&format!("a {}, b", fake(prefix, 36)), "a ***, b");
    }
    check(&format!("x={}.01.abc.", fake("glpat-", 30)), "x=***.");
    check(&format!("\"AKIA{}\"", "Q7".repeat(8)), "\"***\"");
    check(
        &format!("({}.{}.{})", fake("eyJ", 20), fake("eyJ", 20), fake("", 30)),
        "(***)",
    );
}

#[test]
fn words_that_only_look_alike_stay() {
    for plain in [
        "task-management-for-everyone-1234",
        "sk-learn",
        "sk-is-a-prefix-without-any-numbers",
        "AKIA",
        "eyJust a word",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "https://example.com/a@b",
        "ssh://git@example.com/a",
        "let password = prompt();",
        "password=read(",
        "token: String",
        "authorization is needed",
        "-----BEGIN CERTIFICATE-----\nabc",
    ] {
        check(plain, plain);
    }
}

#[test]
fn headers_urls_and_assignments_lose_their_values() {
    check("Authorization: Bearer abc.def", "Authorization: Bearer ***");
    check(
        "\"authorization\": \"Basic dXNlcjpwYXNz\",",
        "\"authorization\": \"Basic ***\",",
    );
    check("PRIVATE-TOKEN: abcdefg", "PRIVATE-TOKEN: ***");
    check("curl -H 'bearer 0123456789abcdef'", "curl -H 'bearer ***'");
    check(
        "https://me:hunter2@example.com/x",
        "https://***@example.com/x",
    );
    check("postgres://u:p@ss@db/x", "postgres://***@db/x");
    check(
        "password=hunter22 PGPASSWORD='hunter22'",
        "password=*** PGPASSWORD='***'",
    );
    check(
        "{\"client_secret\": \"abcdefgh\"}",
        "{\"client_secret\": \"***\"}",
    );
    check(
        "https://x/?a=1&token=abcdefgh&b=2",
        "https://x/?a=1&token=***&b=2",
    );
}

#[test]
fn private_keys_vanish_whole() {
    let key = |kind: &str| {
        format!("-----BEGIN {kind}PRIVATE KEY-----\nMIIE\nabc\n-----END {kind}PRIVATE KEY-----")
    };
    check(&format!("a\n{}\nb", key("RSA ")), "a\n***\nb");
    check(&format!("a\n{}", &key("")[..40]), "a\n***");
    check(
        &format!("{}\nMIIE\nand more text", &key("")[..27]),
        "*** more text",
    );
}

#[test]
fn a_megabyte_of_beginnings_is_no_trouble() {
    for piece in [
        "sk-",
        "eyJaaaaaaa.",
        "authorization: ",
        "://",
        "-----BEGIN ",
        "password=",
        "glpat-.",
        "bearer ",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        assert!(Scrubber::default().scrub(&text).len() <= text.len());
    }
}

#[test]
fn every_prefix_of_the_list_is_known_where_it_begins_and_from_its_length_on() {
    for known in super::PREFIXES {
        let (start, least) = (known.start, known.least);
        for (before, after) in [("", ""), ("a ", ", b"), ("x=", "\n"), ("\"", "\"")] {
            check(
                &format!("{before}{}{after}", fake(start, least)),
                &format!("{before}***{after}"),
            );
        }
        let short = format!("a {}", fake(start, least - 1));
        check(&short, &short);
        let other = format!(
            "a {}",
            fake(start, least).replacen(start, &start.replace(char::is_alphanumeric, "Z"), 1)
        );
        check(&other, &other);
        let inside = format!("a Z{}", fake(start, least));
        check(&inside, &inside);
    }
}

#[test]
fn every_name_header_and_query_of_the_lists_loses_its_value_in_any_case() {
    let cases = |name: &str| {
        [
            name.to_owned(),
            name.to_uppercase(),
            name[..1].to_uppercase() + &name[1..],
        ]
    };
    for name in super::SECRET_NAMES.iter().flat_map(|name| cases(name)) {
        check(&format!("{name}=hunter22, b"), &format!("{name}=***, b"));
        check(
            &format!("{{\"{name}\": \"hunter22\"}}"),
            &format!("{{\"{name}\": \"***\"}}"),
        );
        check(
            &format!("DB_{name}='hunter22'"),
            &format!("DB_{name}='***'"),
        );
        check(
            &format!("https://x/?a=1&{name}=hunter22&b=2"),
            &format!("https://x/?a=1&{name}=***&b=2"),
        );
        check(&format!("{name}=read()"), &format!("{name}=read()"));
    }
    for header in super::HEADERS.iter().flat_map(|header| cases(header)) {
        check(&format!("{header}: hunter22"), &format!("{header}: ***"));
        for scheme in ["Bearer", "Basic", "token", "DIGEST"] {
            check(
                &format!("{header}: {scheme} hunter22"),
                &format!("{header}: {scheme} ***"),
            );
        }
        check(
            &format!("{header} is needed"),
            &format!("{header} is needed"),
        );
    }
    for query in super::QUERY_NAMES.iter().flat_map(|query| cases(query)) {
        for before in ['?', '&'] {
            check(
                &format!("https://x/{before}{query}=hunter22&b=2"),
                &format!("https://x/{before}{query}=***&b=2"),
            );
        }
        // Elsewhere these are too common to mean anything.
        check(
            &format!("a {query}=hunter22"),
            &format!("a {query}=hunter22"),
        );
    }
}
