//! What globs mean, and the law that two of them never overlap unseen.

use proptest::prelude::*;

use super::component::{Component, GlobToken};
use super::*;

fn glob(text: &str) -> Glob {
    text.parse().unwrap_or_else(|bad| panic!("{text:?}: {bad}"))
}

fn path(text: &str) -> RepoPath {
    RepoPath::from_bytes(text.as_bytes()).unwrap_or_else(|| panic!("{text:?} is no path"))
}

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    for text in matching {
        assert!(
            glob(pattern).matches(&path(text)),
            "{pattern} should match {text}"
        );
    }
    for text in others {
        assert!(
            !glob(pattern).matches(&path(text)),
            "{pattern} should not match {text}"
        );
    }
}

#[track_caller]
fn check_pair(one: &str, other: &str, expect: bool) {
    assert_eq!(
        glob(one).intersects(&glob(other)),
        expect,
        "{one} and {other}"
    );
    assert_eq!(
        glob(other).intersects(&glob(one)),
        expect,
        "{other} and {one}"
    );
}

#[track_caller]
fn check_bad(text: &str, expect: &str) {
    let bad = text.parse::<Glob>().expect_err("a bad glob");
    assert_eq!(bad.in_full(), expect, "{text:?}");
}

#[test]
fn a_directory_means_all_below_it() {
    check(
        "src",
        &["src", "src/a.rs", "src/a/b.rs"],
        &["src.rs", "srcs/a", "lib/src"],
    );
    check("src/*", &["src/a", "src/a/b/c"], &["src", "lib/a"]);
    check("*", &["a", ".env", "a/b/c"], &[]);
    check("src/?", &["src/a", "src/a/b"], &["src/ab", "src"]);
}

#[test]
fn two_stars_cross_directories_and_one_does_not() {
    check("src/**", &["src/a", "src/a/b/c"], &["src", "lib/a"]);
    check(
        "**/mod.rs",
        &["mod.rs", "a/mod.rs", "a/b/mod.rs", "a/mod.rs/x"],
        &["a/mod.r"],
    );
    check(
        "a/**/b/**/c",
        &["a/b/c", "a/x/b/y/z/c", "a/b/b/c/d"],
        &["a/c", "a/b", "b/c"],
    );
    check(
        "src/*.rs",
        &["src/a.rs", "src/.rs"],
        &["src/a/b.rs", "src/a.r"],
    );
    check(
        "src/*/mod.rs",
        &["src/a/mod.rs"],
        &["src/mod.rs", "src/a/b/mod.rs"],
    );
    check("a**b", &["ab", "axxb"], &["a/b", "ax/b"]);
    check("**", &["a", "a/b"], &[]);
    check("**/**/**", &["a", "a/b"], &[]);
}

#[test]
fn braces_nest_and_hold_slashes() {
    check(
        "{src,tests/{it,e2e}}/*.rs",
        &["src/a.rs", "tests/it/a.rs", "tests/e2e/b.rs"],
        &["tests/a.rs", "it/a.rs"],
    );
    check("a{,b}c", &["ac", "abc"], &["a{,b}c"]);
    check(
        "src/{a,**}/x",
        &["src/a/x", "src/x", "src/b/c/x"],
        &["src/b"],
    );
    check("{./a,b/}", &["a", "b/c"], &["c"]);
    check("a,b}", &["a,b}"], &["a"]);
}

#[test]
fn classes_and_escapes_are_single_characters() {
    check("[a-c]x", &["ax", "cx"], &["dx", "x", "[a-c]x"]);
    check("[!a-c]x", &["dx", "éx"], &["ax", "x"]);
    check("[^a]", &["b"], &["a"]);
    check("[]a]", &["]", "a"], &["b"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[\\]b]", &["]", "b"], &["\\"]);
    check("[{,}]", &["{", ",", "}"], &["a"]);
    check("\\*\\{a\\}", &["*{a}"], &["x{a}", "*a"]);
    check("caf?", &["café", "cafe"], &["caf", "cafés"]);
}

#[test]
fn a_question_mark_takes_one_byte_of_a_path_that_is_not_text() {
    let raw = RepoPath::from_bytes(b"a\xffb").expect("a path");
    assert!(glob("a?b").matches(&raw));
    assert!(glob("a[!x]b").matches(&raw));
    assert!(!glob("a[x]b").matches(&raw));
    assert!(!glob("a??b").matches(&raw));
    let cut_short = RepoPath::from_bytes(b"\xe2\x82").expect("a path");
    assert!(glob("??").matches(&cut_short) && glob("*").matches(&cut_short));
}

#[test]
fn spelling_of_the_path_does_not_matter() {
    for same in ["src/api", "./src/api", "src/api/", "././src//./api//"] {
        check(same, &["src/api", "src/api/x"], &["src"]);
        assert_eq!(glob(same).literal_prefix(), ["src", "api"], "{same}");
        assert!(glob(same).is_literal(), "{same}");
        assert_eq!(glob(same).to_string(), same);
    }
    check("./", &["a", "a/b"], &[]);
    check(".", &["a", "a/b"], &[]);
    assert!(!glob(".").is_literal());
}

#[test]
fn case_matters() {
    check("README", &["README"], &["readme"]);
    check_pair("README", "readme", false);
}

#[test]
fn mistakes_are_explained() {
    check_bad("", "it is empty");
    check_bad(
        "a/{b,c",
        "a `{` is never closed; write `\\{` for the character itself",
    );
    check_bad(
        "a/[bc",
        "a `[` is never closed; write `\\[` for the character itself",
    );
    check_bad(
        "[a/b]",
        "a `[…]` holds a `/`, or is never closed; write `\\[` for the character itself",
    );
    check_bad("[z-a]", "the range `z-a` runs backwards");
    check_bad(
        "/etc",
        "it is absolute: paths are relative to the repository, without a leading `/`",
    );
    check_bad(
        "{a,/b}",
        "it is absolute: paths are relative to the repository, without a leading `/`",
    );
    check_bad(
        "a/../b",
        "it holds `..`: paths are relative to the repository and stay in it",
    );
    check_bad(
        "{a,b/..}",
        "it holds `..`: paths are relative to the repository and stay in it",
    );
    check_bad("{,a}", "one of its alternatives is empty");
    check_bad("a\\", "it ends with a `\\` that escapes nothing");
    check_bad(
        "src\\api",
        "`\\a` escapes nothing: directories are separated by `/`",
    );
    check_bad(
        "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
        "its braces expand to more than 256 alternatives",
    );
    check_bad(
        &format!("{{{}}}", ["a"; 257].join(",")),
        "its braces expand to more than 256 alternatives",
    );
    check_bad(&"{".repeat(4000), "its braces are nested deeper than 16");
    check_bad(&"a".repeat(4097), "it is longer than 4096 bytes");
    check_bad(
        &format!("{{{}}}{}", ["a"; 200].join(","), "b".repeat(3000)),
        "its braces expand to more than 32768 characters",
    );
}

#[test]
fn exactly_256_alternatives_are_fine() {
    let eight = "{a,b}".repeat(8);
    check(&eight, &["aaaaaaaa", "abababab"], &["aaaaaaac"]);
    check(&format!("{{{}}}", ["a"; 256].join(",")), &["a"], &["b"]);
    let nested = |one: usize, other: usize| {
        format!(
            "{{{},{{{}}}}}",
            vec!["a"; one].join(","),
            vec!["b"; other].join(",")
        )
    };
    check(&nested(128, 128), &["a", "b"], &["c"]);
    check_bad(
        &nested(128, 129),
        "its braces expand to more than 256 alternatives",
    );
}

#[test]
fn exactly_4096_bytes_are_fine() {
    let most = "a".repeat(4096);
    check(&most, &[&most], &[&most[1..]]);
}

#[test]
fn exactly_32768_characters_of_all_alternatives_are_fine() {
    // 256 alternatives of 128 characters each; then one of them has one more.
    let braces = "{a,b}".repeat(7);
    check(
        &format!("{braces}{{c,d}}{}", "e".repeat(120)),
        &[&format!("aaaaaaac{}", "e".repeat(120))],
        &["a"],
    );
    check_bad(
        &format!("{braces}{{c,dd}}{}", "e".repeat(120)),
        "its braces expand to more than 32768 characters",
    );
}

#[test]
fn a_path_is_a_glob_of_its_own() {
    for text in ["src/a.rs", "app/[id]/{x,y}*.tsx", "a\\b?"] {
        let literal = Glob::literal(&path(text));
        assert!(
            literal.matches(&path(text)) && literal.is_literal(),
            "{text}"
        );
        let again = glob(literal.as_str());
        assert!(again.matches(&path(text)) && again.is_literal(), "{text}");
        assert_eq!(again.literal_prefix(), literal.literal_prefix());
    }
    let raw = RepoPath::from_bytes(b"a/b\xff\xfe").expect("a path");
    assert!(Glob::literal(&raw).matches(&raw));
    assert_eq!(Glob::literal(&raw).as_str(), "a/b??");
    assert_eq!(Glob::literal(&raw).literal_prefix(), ["a"]);
    let long = path("a/".repeat(4000).trim_end_matches('/'));
    assert!(
        Glob::literal(&long).matches(&long),
        "longer than a glob of a plan may be"
    );
}

#[test]
fn prefixes_end_at_the_first_wildcard() {
    assert_eq!(glob("src/api/*.rs").literal_prefix(), ["src", "api"]);
    assert_eq!(glob("src/**/api").literal_prefix(), ["src"]);
    assert_eq!(glob("src/a\\*b").literal_prefix(), ["src", "a*b"]);
    assert_eq!(glob("src/{a/x,a/y,a}").literal_prefix(), ["src", "a"]);
    assert!(glob("{src,tests}/*").literal_prefix().is_empty());
    let each: Vec<_> = glob("{src,tests/it}/*")
        .literal_prefixes()
        .map(|prefix| prefix.join("/"))
        .collect();
    assert_eq!(each, ["src", "tests/it"]);
    assert!(glob("a/b\\[c\\]").is_literal());
    assert!(
        !glob("a/{b}").is_literal() && !glob("a/[b]").is_literal() && !glob("a/*").is_literal()
    );
}

#[test]
fn the_size_is_that_of_all_alternatives() {
    for (text, size) in [
        ("a", 1),
        ("src/api", 6),
        ("src/*.[ch]", 6),
        ("a/**/b", 3),
        ("{ab,c}/**/?d", 9),
    ] {
        assert_eq!(glob(text).size(), size, "{text}");
    }
    assert_eq!(Glob::literal(&path("src/{a}")).size(), 6);
}

#[test]
fn overlaps_are_seen_and_only_those() {
    check_pair("src/**", "src/api.rs", true);
    check_pair("src", "src/api/*.rs", true);
    check_pair("src/**", "tests/**", false);
    check_pair("src/*.rs", "src/*.md", false);
    check_pair("src/a*", "src/*b", true);
    check_pair("src/*.rs", "src/a/b.rs", false);
    check_pair("src/*", "src/a/b.rs", true);
    check_pair("**/a", "b/**/c", true);
    check_pair("**/*.rs", "docs/*.md", true); // `docs/x.md/y.rs` matches both.
    check_pair("src/[a-m]*", "src/[n-z]*", false);
    check_pair("src/[!a]", "src/[a]", false);
    check_pair("src/[!a]", "src/[ab]", true);
    // Ranges that touch, overlap, or lie in one another are one.
    check_pair("[a-d]", "[!a-bc-d]", false);
    check_pair("[a-d]", "[!a-cb-d]", false);
    check_pair("[a-d]", "[!b-ca-d]", false);
    check_pair("[a-d]", "[!a-bd]", true);
    check_pair("src/{a,b}/x", "src/{c,b}/x", true);
    check_pair("src/{a,b}/x", "src/{c,d}/x", false);
    check_pair("{src,lib}/*.rs", "{docs,tests}/*.rs", false);
    check_pair("a?c", "abc", true);
    check_pair("a?c", "ac", false);
    check_pair(".", "x/y", true);
}

/// Finishes only because neither matching nor meeting goes back further than one star.
#[test]
fn hostile_globs_are_bounded() {
    let stars = format!("{}b", "*a".repeat(1500));
    let long = path(&"a".repeat(4000));
    assert!(!glob(&stars).matches(&long));
    let deep = glob(&format!("{}b", "**/a/".repeat(700)));
    assert!(!deep.matches(&path(&["a"; 2000].join("/"))));
    let wide = |last: &str| {
        glob(&format!(
            "{}*{}{last}",
            "{*a,?a}".repeat(8),
            "*a".repeat(20)
        ))
    };
    assert!(wide("b").intersects(&wide("b")));
    assert!(
        wide("b").intersects(&wide("c")),
        "not settled within the steps, so it counts"
    );
    // Each star may begin anew at each character of the text: 600 × 600 are too many, 1 × 2000 are
    // not.
    check_pair(&format!("{}b", "*a".repeat(600)), &"a".repeat(600), true);
    check_pair(&format!("*{}", "a".repeat(2000)), &"b".repeat(2000), false);
}

/// Texts of small globs over the letters a and b.
fn small_glob() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just("?"), 3 => Just("*"), 1 => Just("[a]"), 1 => Just("[!a]"),
        1 => Just("[ab]"), 1 => Just("é"),
    ];
    let component = prop_oneof![
        6 => prop::collection::vec(token, 1..3).prop_map(|tokens| tokens.concat()),
        2 => Just("**".to_string()),
        1 => Just("{a,b*}".to_string()),
        1 => Just("{a/b,b}".to_string()),
    ];
    prop::collection::vec(component, 1..4).prop_map(|components| components.join("/"))
}

fn small_path() -> impl Strategy<Value = RepoPath> {
    let part = prop::collection::vec(
        prop_oneof![4 => Just("a"), 4 => Just("b"), 1 => Just("é"), 1 => Just("c")],
        1..4,
    );
    prop::collection::vec(part.prop_map(|letters| letters.concat()), 1..5)
        .prop_map(|parts| path(&parts.join("/")))
}

/// A path that `glob` matches, chosen by `dice`.
fn sample(glob: &Glob, dice: &[u8]) -> Option<RepoPath> {
    let mut dice = dice.iter().copied().cycle();
    let mut roll = |sides: usize| usize::from(dice.next().unwrap_or(0)) % sides;
    let alternatives = &glob.meaning.alternatives;
    let mut parts: Vec<String> = Vec::new();
    for component in &alternatives[roll(alternatives.len())] {
        match component {
            Component::Literal(text) => parts.push(text.to_string()),
            Component::Deep => {
                (0..roll(3)).for_each(|_| parts.push(["a", "b", "ab"][roll(3)].into()))
            }
            Component::Pattern(tokens) => {
                let mut part = String::new();
                for token in tokens {
                    match token {
                        GlobToken::Char(character) => part.push(*character),
                        GlobToken::Any => part.push(['a', 'b', 'é'][roll(3)]),
                        GlobToken::Star => {
                            (0..roll(3)).for_each(|_| part.push(['a', 'b'][roll(2)]))
                        }
                        GlobToken::Class(class) => {
                            part.push(
                                ['a', 'b', 'é', 'c']
                                    .into_iter()
                                    .find(|&letter| class.contains(letter))?,
                            );
                        }
                    }
                }
                parts.push(part);
            }
        }
    }
    (0..roll(3)).for_each(|_| parts.push("below".into()));
    RepoPath::from_bytes(parts.join("/").as_bytes())
}

/// The meaning of an alternative, spelled out without any cleverness.
fn plainly(components: &[Component], parts: &[&str]) -> bool {
    let Some((first, rest)) = components.split_first() else {
        return true;
    };
    if *first == Component::Deep {
        return (0..=parts.len()).any(|skipped| plainly(rest, &parts[skipped..]));
    }
    let Some((part, below)) = parts.split_first() else {
        return false;
    };
    let letters: Vec<char> = part.chars().collect();
    let fits = match first {
        Component::Deep => true,
        Component::Literal(text) => **text == **part,
        Component::Pattern(tokens) => plain_part(tokens, &letters),
    };
    fits && plainly(rest, below)
}

fn plain_part(tokens: &[GlobToken], letters: &[char]) -> bool {
    let Some((first, rest)) = tokens.split_first() else {
        return letters.is_empty();
    };
    let single = |fits: bool| fits && plain_part(rest, &letters[1..]);
    match (first, letters.first()) {
        (GlobToken::Star, _) => {
            (0..=letters.len()).any(|taken| plain_part(rest, &letters[taken..]))
        }
        (GlobToken::Any, found) => single(found.is_some()),
        (GlobToken::Char(wanted), found) => single(found == Some(wanted)),
        (GlobToken::Class(class), found) => {
            single(found.is_some_and(|&letter| class.contains(letter)))
        }
    }
}

/// All paths of at most three components, each of one or two of the letters a, b, c, é.
fn all_small_paths() -> Vec<RepoPath> {
    let letters = ["a", "b", "c", "é"];
    let pairs = letters
        .iter()
        .flat_map(|first| letters.map(|second| format!("{first}{second}")));
    let parts: Vec<String> = letters.map(String::from).into_iter().chain(pairs).collect();
    let mut all = parts.clone();
    let mut longest = all.clone();
    for _ in 0..2 {
        longest = longest
            .iter()
            .flat_map(|head| parts.iter().map(move |part| format!("{head}/{part}")))
            .collect();
        all.extend(longest.iter().cloned());
    }
    all.iter().map(|text| path(text)).collect()
}

proptest! {
    #[test]
    fn matching_is_what_the_words_say(text in small_glob(), path in small_path()) {
        let glob = glob(&text);
        let text = std::str::from_utf8(path.as_bytes()).expect("letters");
        let parts: Vec<&str> = text.split('/').collect();
        let plain = glob.meaning.alternatives.iter().any(|components| plainly(components, &parts));
        prop_assert_eq!(glob.matches(&path), plain);
    }

    #[test]
    fn two_globs_that_match_a_path_intersect(one in small_glob(), other in small_glob(), path in small_path()) {
        let (one, other) = (glob(&one), glob(&other));
        prop_assert!(!(one.matches(&path) && other.matches(&path)) || one.intersects(&other));
    }

    #[test]
    fn a_path_made_from_a_glob_gives_every_overlap_away(
        one in small_glob(), other in small_glob(), dice in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let (one, other) = (glob(&one), glob(&other));
        if let Some(path) = sample(&one, &dice) {
            prop_assert!(one.matches(&path), "{} does not match its own {}", one, path);
            prop_assert!(one.intersects(&one));
            prop_assert!(!other.matches(&path) || (one.intersects(&other) && other.intersects(&one)));
            let prefixes: Vec<_> = one.literal_prefixes().map(|prefix| prefix.join("/")).collect();
            let text = path.to_string();
            prop_assert!(prefixes.iter().any(|prefix| text.starts_with(prefix.as_str())));
        }
    }

    #[test]
    fn any_text_is_a_glob_or_a_reason(text in "[ab/.*?{},!\\[\\]\\\\-]{0,24}", path in small_path()) {
        match text.parse::<Glob>() {
            Ok(glob) => {
                let _ = glob.matches(&path);
                prop_assert!(glob.intersects(&glob), "{} does not meet itself", glob);
                prop_assert_eq!(glob.to_string(), text);
            }
            Err(bad) => prop_assert!(!bad.reason.is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn globs_that_intersect_have_a_path_in_common(one in small_glob(), other in small_glob()) {
        let short = |text: &str| text.matches('/').count() < 2 && !text.contains("{a/b");
        if !short(&one) || !short(&other) {
            return Ok(());
        }
        let (one, other) = (glob(&one), glob(&other));
        let common = all_small_paths().into_iter().find(|path| one.matches(path) && other.matches(path));
        prop_assert_eq!(one.intersects(&other), common.is_some(), "{:?}", common);
    }
}
