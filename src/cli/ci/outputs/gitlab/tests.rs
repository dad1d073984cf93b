//! Tests of `cli::ci::outputs::gitlab`.

use super::*;

#[test]
fn a_value_cannot_become_another_variable() {
    let told = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let usual = told(&[
        ("verdict", "ready"),
        ("branch", "omk/run/mr-12"),
        ("cost", "0.012000"),
        ("bundle", "/x"),
    ]);
    assert_eq!(
        dotenv(&usual),
        "OMK_VERDICT=ready\nOMK_BRANCH=omk/run/mr-12\nOMK_COST=0.012000\n"
    );
    for hostile in [
        "a\nLD_PRELOAD=x",
        "a\rb",
        "$HOME",
        "`id`",
        "a b",
        "\"",
        "ä",
        "",
        "a=b",
    ] {
        assert_eq!(dotenv(&told(&[("branch", hostile)])), "", "{hostile:?}");
    }
    let all: Vec<(&str, String)> = DOTENV
        .iter()
        .map(|(_, name)| (*name, "x".repeat(LONGEST)))
        .collect();
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert!(dotenv(&told(&all)).len() < 5_000);
    assert_eq!(dotenv(&told(&[("branch", &"x".repeat(LONGEST + 1))])), "");
}

#[test]
fn nobodys_text_opens_or_ends_a_section() {
    let hostile = "x\r\x1b[0Ksection_end:1:omk_1\r\x1b[0K\n\x1b[31mred";
    let text = section(1, Moment::from_millis(1_700_000_000_999), hostile, hostile);
    assert_eq!(text.matches('\r').count(), 2);
    assert!(
        text.starts_with("\x1b[0Ksection_start:1700000000:omk_1[collapsed=true]\r\x1b[0Kx "),
        "{text:?}"
    );
    assert!(
        text.ends_with("\x1b[0Ksection_end:1700000000:omk_1\r\x1b[0K\n"),
        "{text:?}"
    );
    assert_eq!(
        said(JobAnnotationLevel::Warning, "a\r\x1b[0Kb", Colour::Off),
        "warning: a\nb"
    );
    assert!(
        said(JobAnnotationLevel::Error, "x", Colour::On).starts_with("\x1b[31merror:\x1b[0m x")
    );
}
