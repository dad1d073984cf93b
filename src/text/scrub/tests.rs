//! What a secret may look like, and that none of it survives, wherever the text is cut.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::forms::percent_encode;
use super::*;

const SECRET: &str = "s3cr3t/Pass+w0rd";

#[track_caller]
fn check(text: &str, expect: &str) {
    let scrubber = Scrubber::new([SECRET, "tiny"]);
    assert_eq!(scrubber.scrub(text), expect);
    assert_eq!(
        scrubber.scrub(expect),
        expect,
        "scrubbing twice changes nothing"
    );
}

/// The text as a stream that comes in pieces of that size.
fn streamed(scrubber: &Scrubber, text: &[u8], size: usize) -> Vec<u8> {
    let (mut stream, mut out) = (scrubber.stream(), Vec::new());
    for piece in text.chunks(size.max(1)) {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    out
}

#[test]
fn known_values_vanish_in_every_form() {
    check(&format!("a {SECRET} b{SECRET}{SECRET}"), "a *** b***");
    check("tiny stays", "tiny stays");
    check(
        "x=s3cr3t%2FPass%2Bw0rd&y=s3cr3t%2fPass%2bw0rd",
        "x=***&y=***",
    );
    for before in ["", "u", "us"] {
        let text = STANDARD.encode(format!("{before}{SECRET}"));
        assert!(
            !Scrubber::new([SECRET]).scrub(&text).contains(&text[4..20]),
            "{before}"
        );
    }
    let quoted = Scrubber::new(["pass\"word\\1"]);
    assert_eq!(quoted.scrub(r#"{"p":"pass\"word\\1"}"#), r#"{"p":"***"}"#);
}

#[test]
fn each_line_of_a_long_secret_is_one() {
    let scrubber = Scrubber::new(["{\n  \"private\": \"0123456789\"\n}\n"]);
    assert_eq!(scrubber.scrub("> \"private\": \"0123456789\" {"), "> *** {");
}

#[test]
fn a_mask_does_not_complete_another_secret() {
    let scrubber = Scrubber::new(["abcdef", "xx***yy", "******"]);
    assert_eq!(scrubber.scrub("xxabcdefyy"), "***");
    assert_eq!(scrubber.scrub("***abcdef"), "***");
}

#[test]
fn debug_shows_nothing() {
    let scrubber = Scrubber::new([SECRET]);
    assert_eq!(format!("{scrubber:?}"), "Scrubber(***)");
    let mut stream = scrubber.stream();
    stream.push(&SECRET.as_bytes()[..10], &mut Vec::new());
    assert_eq!(format!("{stream:?}"), "ScrubStream(***)");
}

/// Put together here, so that no scanner takes it for a leak.
fn key() -> String {
    format!("sk-{}{}", "aB3dE5gH7jK9", "mN1pQ2rS4tU6vW8x")
}

/// Each way to print `value` that SECURITY.md names.
fn forms(value: &str) -> Vec<String> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let each = |shape: &dyn Fn(u8) -> String| value.bytes().map(shape).collect::<String>();
    let wrapped = |text: &str, with: &str| {
        let lines: Vec<&str> = (0..text.len())
            .step_by(7)
            .map(|at| &text[at..text.len().min(at + 7)])
            .collect();
        lines.join(with)
    };
    let mut forms = vec![
        value.to_owned(),
        value.to_uppercase(),
        value.to_lowercase(),
        hex.to_uppercase(),
        wrapped(&hex, " "),
        hex,
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("\\u{byte:04x}")),
        each(&|byte| format!("\\u{byte:04X}")),
        each(&|byte| format!("\\x{byte:02x}")),
        each(&|byte| format!("{}\0", char::from(byte))),
        wrapped(value, "\u{1b}[1;31m"),
        wrapped(value, "\u{200b}"),
        wrapped(value, "\r\n  "),
        percent_encode(value, ""),
        serde_json::to_string(value).unwrap(),
    ];
    for before in ["", "u", "us"] {
        for engine in [STANDARD, URL_SAFE] {
            let encoded = engine.encode(format!("{before}{value}"));
            forms.extend([
                wrapped(&encoded, "\n"),
                wrapped(&encoded, "\r\n\t"),
                encoded.replace('/', "\\/"),
                encoded,
            ]);
        }
    }
    forms
}

/// What is left of a form must not give away more than eleven characters of the secret in a row.
#[track_caller]
fn assert_gone(scrubber: &Scrubber, left: &[u8], form: &str) {
    let left = String::from_utf8_lossy(left);
    assert!(
        left.contains(MASK) && !scrubber.is_in(left.as_bytes()),
        "{form:?} left {left:?}"
    );
    // At its edges, base64 has characters that its neighbours decide as well.
    assert!(
        left.replace(MASK, "").len() < "before  after".len() + 12,
        "{form:?} left {left:?}"
    );
}

#[test]
fn no_form_survives_wherever_a_stream_is_cut() {
    let scrubber = Scrubber::new([key()]);
    for form in forms(&key()) {
        let text = format!("before {form} after");
        assert_gone(&scrubber, scrubber.scrub(&text).as_bytes(), &form);
        for size in [1, 2, 3, 5, 7, 11, 64] {
            assert_gone(
                &scrubber,
                &streamed(&scrubber, text.as_bytes(), size),
                &form,
            );
        }
    }
}

#[test]
fn a_piece_of_twelve_characters_is_masked_and_one_of_eleven_stays() {
    let scrubber = Scrubber::new([key()]);
    for start in 3..key().len() - 12 {
        let piece = &key()[start..start + 12];
        assert_eq!(scrubber.scrub(&format!("<{piece}>")), "<***>");
        assert_eq!(
            scrubber.scrub(&format!("<{}>", &piece[..11])),
            format!("<{}>", &piece[..11])
        );
    }
    assert_eq!(scrubber.scrub(&format!("{}…", &key()[..20])), "***…");
    assert_eq!(
        scrubber.scrub(&format!("{} and {}", &key()[..16], &key()[16..])),
        "*** and ***"
    );
}

#[test]
fn an_escape_that_takes_the_beginning_of_a_secret_hides_none_of_the_rest() {
    // None of its pieces looks like one of a secret.
    let secret = "ab--=+-a=aa=--_aaaab";
    let scrubber = Scrubber::new([secret]);
    let each = |shape: &dyn Fn(u8) -> String| secret.bytes().map(shape).collect::<String>();
    let spaced = each(&|byte| format!("{} ", char::from(byte)));
    for form in [
        each(&|byte| format!("\\x{byte:02x}")),
        each(&|byte| format!("\\u{byte:04X}")),
        spaced,
    ] {
        for before in ["", "\\", "%", "%6", "\\x", "\\u00", "\u{1b}[", "\u{1b}[0;3"] {
            let text = format!("{before}{form}");
            let left = scrubber.scrub(&text);
            assert!(
                left.contains(MASK) && left.len() < form.len() / 2,
                "{text:?} left {left:?}"
            );
        }
    }
}

#[test]
fn words_and_addresses_in_secrets_are_not_masked_alone() {
    let secrets = [
        "https://gitlab-ci-token:aB3dE5gH7jK9@gitlab2024.example.com/group/project-2024.git",
        "correct horse battery staple",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
        "{\n  \"type\": \"service_account\",\n  \"project_id\": \"example\"\n}",
    ];
    let scrubber = Scrubber::new(secrets);
    for plain in [
        "cloned https://gitlab2024.example.com/group/project-2024.git",
        "a correct horse battery",
        "it is a service_account",
        "no PRIVATE KEY here",
        "gitlab-ci-token",
    ] {
        assert_eq!(scrubber.scrub(plain), plain);
    }
    assert_eq!(scrubber.scrub("CORRECT HORSE\nbattery staple!"), "***!");
    assert_eq!(scrubber.scrub("user aB3dE5gH7jK9!"), "user ***!");
}

#[test]
fn nothing_is_held_back_for_ever() {
    let scrubber = Scrubber::new([key()]);
    let (mut stream, mut out) = (scrubber.stream(), Vec::new());
    stream.push(&key().as_bytes()[..20], &mut out);
    for _ in 0..1000 {
        stream.push(&[b'\n'; 1000], &mut out);
    }
    assert!(out.len() > 999_000, "{}", out.len());
}

#[test]
fn a_file_is_searched_over_the_borders_of_what_is_read_at_once() {
    let scrubber = Scrubber::new([key()]);
    for before in CHUNK - key().len()..=CHUNK {
        let text = format!("{}{}", ".".repeat(before), key());
        assert!(
            scrubber.is_in_file(&mut text.as_bytes()).unwrap(),
            "{before}"
        );
    }
    assert!(!scrubber.is_in_file(&mut "nothing".as_bytes()).unwrap());
}

proptest! {
    #[test]
    fn no_known_value_is_left(
        values in prop::collection::vec("[ab*é%]{4,9}", 1..5),
        pieces in prop::collection::vec((any::<prop::sample::Index>(), "[ab*é%]{0,5}"), 0..12),
    ) {
        let scrubber = Scrubber::new(&values);
        let text: String =
            pieces.iter().map(|(index, filler)| format!("{}{filler}", values[index.index(values.len())])).collect();
        let scrubbed = scrubber.scrub(&text);
        for value in values.iter().filter(|value| value.chars().count() >= 6) {
            prop_assert!(!scrubbed.contains(value.as_str()), "{value} is left in {scrubbed}");
        }
    }

    #[test]
    fn no_encoding_hides_a_value(before in "[a-z]{0,5}", after in "[a-z]{0,5}", value in "[ -~]{6,20}") {
        let scrubber = Scrubber::new([&value]);
        let whole = format!("{before}{value}{after}");
        for engine in [STANDARD, URL_SAFE] {
            let encoded = engine.encode(&whole);
            let (first, last) = ((8 * before.len()).div_ceil(6), 8 * (before.len() + value.len()) / 6);
            prop_assert!(!scrubber.scrub(&encoded).contains(&encoded[first..last]));
        }
        let encoded = percent_encode(&value, "");
        let scrubbed = scrubber.scrub(&format!("?q={encoded}&r"));
        prop_assert!(!scrubbed.contains(&encoded));
    }

    #[test]
    fn no_secret_in_any_form_survives_any_cut(
        value in "[A-Za-z0-9+/_=-]{20,50}",
        form in any::<prop::sample::Index>(),
        before in "[ -~é\\\\%\n]{0,20}",
        after in "[ -~é\\\\%\n]{0,20}",
        size in 1_usize..40,
    ) {
        let scrubber = Scrubber::new([&value]);
        let forms = forms(&value);
        let form = form.get(&forms);
        let text = format!("{before}{form}{after}");
        let left = streamed(&scrubber, text.as_bytes(), size);
        let left = String::from_utf8_lossy(&left);
        // Two of its twelve at the most share an escape or a group of base64 with what stands around it.
        let longest = form.len() / 2;
        for at in (0..form.len().saturating_sub(longest)).filter(|at| form.is_char_boundary(*at)) {
            if let Some(piece) = form.get(at..at + longest) {
                prop_assert!(!left.contains(piece), "{form:?} in {text:?} left {left:?}");
            }
        }
        prop_assert!(!left.contains(&value));
    }

    #[test]
    fn a_text_without_secrets_is_unchanged_wherever_it_is_cut(
        text in prop::collection::vec(any::<u8>(), 0..500),
        size in 1_usize..100,
    ) {
        let scrubber = Scrubber::new([&key(), SECRET, "short1"]);
        prop_assert_eq!(streamed(&scrubber, &text, size), text);
    }

    #[test]
    fn it_does_not_matter_where_a_stream_is_cut(
        pieces in prop::collection::vec((any::<prop::sample::Index>(), "[a-z %\\\\\n]{0,20}"), 0..8),
        size in 1_usize..60,
    ) {
        let scrubber = Scrubber::new([&key(), SECRET, "short1"]);
        let forms: Vec<String> = [key().as_str(), SECRET, "short1"].iter().flat_map(|value| forms(value)).collect();
        let text: String = pieces.iter().map(|(form, filler)| format!("{}{filler}", form.get(&forms))).collect();
        let whole = streamed(&scrubber, text.as_bytes(), text.len());
        prop_assert_eq!(streamed(&scrubber, text.as_bytes(), size), whole);
    }
}
