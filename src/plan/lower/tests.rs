//! Each mistake of a field in its own words, with its own advice; and each limit at its very end.

use crate::plan::{Complaints, Plan, parse};

fn read(fields: &str) -> Result<Plan, Complaints> {
    parse(
        format!("version: 1\n{fields}\ntasks: [{{ id: a, run: x }}]\n").as_bytes(),
        "omk.yaml",
        "x",
    )
}

/// The only mistake, and what to do about it.
pub(super) fn said(of: Result<Plan, Complaints>, about: &str) -> String {
    let complaints = of.expect_err(about);
    let mut all = complaints.iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        panic!("{about}: {complaints}")
    };
    assert!(one.notes.is_empty(), "{about}: {one:?}");
    format!("{}; {}", one.what, one.hint.as_deref().unwrap_or_default())
}

pub(super) fn check(fields: &str, expect: &str) {
    assert_eq!(said(read(fields), fields), expect, "{fields}");
}

/// Of the only task of a plan.
pub(super) fn check_task(fields: &str, expect: &str) {
    let text = format!("version: 1\ntasks:\n  - {{ id: a, run: x, {fields} }}\n");
    assert_eq!(
        said(parse(text.as_bytes(), "omk.yaml", "x"), fields),
        expect,
        "{fields}"
    );
}

/// Each of these values is taken for the field, which is `{}`.
pub(super) fn takes(field: &str, values: &[&str]) {
    for value in values {
        let fields = field.replace("{}", value);
        let text = match field.strip_prefix("task ") {
            Some(_) => format!(
                "version: 1\ntasks: [{{ id: a, run: x, {} }}]\n",
                &fields["task ".len()..]
            ),
            None => format!("version: 1\n{fields}\ntasks: [{{ id: a, run: x }}]\n"),
        };
        if let Err(complaints) = parse(text.as_bytes(), "omk.yaml", "x") {
            panic!("{fields}: {complaints}");
        }
    }
}

const LIST: &str = "write it like `[a, b]`, or each item on a line of its own after `- `";
const VALUE: &str = "give it a value, or remove the key";

#[test]
fn a_value_of_another_kind_is_named_and_shown_how_to_write() {
    check(
        "keep: true",
        "`keep` must be a list, but this is `true` or `false`; write `[\"true\"]`",
    );
    check(
        "keep: 1",
        "`keep` must be a list, but this is a number; write `[\"1\"]`",
    );
    check(
        "keep: .5",
        "`keep` must be a list, but this is a number; write `[\".5\"]`",
    );
    check(
        "keep: src",
        "`keep` must be a list, but this is text; write `[\"src\"]`",
    );
    check(
        "keep: '1'",
        "`keep` must be a list, but this is text; write `[\"1\"]`",
    );
    check(
        "keep: { a: b }",
        &format!("`keep` must be a list, but this is a map; {LIST}"),
    );
    check(
        "keep:",
        &format!("`keep` must be a list, but this is nothing; {VALUE}"),
    );
    check(
        "env: [a]",
        "`env` must be a map of names and texts, but this is a list; write it like `{ NAME: \"value\" }`",
    );
    check(
        "env: ~",
        &format!("`env` must be a map of names and texts, but this is nothing; {VALUE}"),
    );
    check(
        "name: [a]",
        "`name` must be text, but this is a list; write one text, in quotes if need be",
    );
    check(
        "name: ~",
        &format!("`name` must be text, but this is nothing; {VALUE}"),
    );
    check(
        "name: 12",
        "`name` must be text, but without quotes this is a number; write `\"12\"`",
    );
    check(
        "name: true",
        "`name` must be text, but without quotes this is `true` or `false`; write `\"true\"`",
    );
    check(
        &format!("name: {}", "1".repeat(41)),
        &format!(
            "`name` must be text, but without quotes this is a number; write `\"{}\"`",
            "1".repeat(40)
        ),
    );
    check(
        "env: { A: \"a\\0\" }",
        "`A` holds a NUL character; remove it",
    );
    check(
        "change_limit: [1MB]",
        "`change_limit` must be a size, but this is a list; write it like `500KB` or `100MB`",
    );
    check(
        "change_limit: true",
        "`change_limit` must be a size, but this is `true` or `false`; write it like `500KB` or `100MB`",
    );
    check(
        "change_limit: ~",
        &format!("`change_limit` must be a size, but this is nothing; {VALUE}"),
    );
    let time = "write it like `90s`, `30m` or `5h30m`";
    check(
        "limits: { time: {} }",
        &format!("`time` must be a duration, but this is a map; {time}"),
    );
    check(
        "limits: { time: false }",
        &format!("`time` must be a duration, but this is `true` or `false`; {time}"),
    );
    check(
        "limits: { time: ~ }",
        &format!("`time` must be a duration, but this is nothing; {VALUE}"),
    );
    check(
        "limits: { usd: [] }",
        "`usd` must be a number, but this is a list; write a number",
    );
    check(
        "limits: { usd: true }",
        "`usd` must be a number, but this is `true` or `false`; write a number",
    );
    check(
        "limits: { usd: ~ }",
        &format!("`usd` must be a number, but this is nothing; {VALUE}"),
    );
    check(
        "limits: { workers: {} }",
        "`workers` must be a whole number, but this is a map; write a whole number",
    );
    check(
        "limits: { workers: 1.5 }",
        "`workers` must be a whole number, but this is a number; write a whole number",
    );
    check(
        "limits: { workers: true }",
        "`workers` must be a whole number, but this is `true` or `false`; write a whole number",
    );
    check(
        "limits: { workers: ~ }",
        &format!("`workers` must be a whole number, but this is nothing; {VALUE}"),
    );
    check(
        "preflight: [a]",
        "`preflight` must be `true` or `false`, but this is a list; write `true` or `false`",
    );
    check(
        "preflight: 1",
        "`preflight` must be `true` or `false`, but this is a number; write `true` or `false`",
    );
    check(
        "preflight: 1.5",
        "`preflight` must be `true` or `false`, but this is a number; write `true` or `false`",
    );
    check(
        "preflight: ~",
        &format!("`preflight` must be `true` or `false`, but this is nothing; {VALUE}"),
    );
    check(
        "room: { network: { tasks: true } }",
        "`tasks` must be a network, but this is `true` or `false`; write `none`, `model`, `open`, or `{ allow: [example.com] }` with the names of hosts",
    );
    check(
        "deliver: x",
        "`deliver` must be a map of keys, but this is text; its keys are `as`, `draft`, `labels`, `partial`, `limit`, `sign_off`",
    );
    check(
        "agent: ~",
        "`agent` must be a map of keys, but this is nothing; its keys are `kind`, `version`, `model`, `thinking`, `base_url`, `key_env`, `max_steps`, `tools`",
    );
    check_task(
        "metadata: [x]",
        "`metadata` must be a map, but this is a list; write it like `metadata: { role: backend }`",
    );
}

#[test]
fn words_that_mean_true_or_false_elsewhere_are_translated() {
    for (words, hint) in [
        (["yes", "On", "'TRUE'", "y"], "write `true`"),
        (["No", "off", "\"false\"", "N"], "write `false`"),
        (
            ["maybe", "'1'", "' true'", "yess"],
            "write `true` or `false`",
        ),
    ] {
        for word in words {
            let expect = format!("`preflight` must be `true` or `false`, but this is text; {hint}");
            check(&format!("preflight: {word}"), &expect);
        }
    }
    check(
        "agent: { thinking: true }",
        "`thinking` cannot be `true`; write `on`",
    );
    check(
        "agent: { thinking: False }",
        "`thinking` cannot be `False`; write `off`",
    );
    check(
        "agent: { thinking: much }",
        "`thinking` cannot be `much`; it is one of `auto`, `off`, `on`, `low`, `high`, `max`",
    );
}

#[test]
fn numbers_in_quotes_are_offered_without_them() {
    let text = |hint: &str| format!("`workers` must be a whole number, but this is text; {hint}");
    check("limits: { workers: '4' }", &text("write 4 without quotes"));
    check("limits: { workers: 1_0 }", &text("write 10 without quotes"));
    check(
        "limits: { workers: '1,0 00' }",
        &text("write 1000 without quotes"),
    );
    check(
        "limits: { workers: '1.5' }",
        &text("write 1.5 without quotes"),
    );
    check("limits: { workers: four }", &text("write a whole number"));
    check("limits: { workers: 'true' }", &text("write a whole number"));
    check("limits: { workers: '' }", &text("write a whole number"));
    check(
        "limits: { usd: '5' }",
        "`usd` must be a number, but this is text; write 5 without quotes",
    );
    check(
        "limits: { usd: five }",
        "`usd` must be a number, but this is text; write a number",
    );
}

#[test]
fn whole_numbers_hold_at_both_ends_of_their_range() {
    let big = u64::MAX.to_string();
    for (field, name, taken, refused, range) in [
        (
            "limits: { workers: {} }",
            "workers",
            ["1", "1024"],
            ["0", "1025"],
            "1 to 1024".to_owned(),
        ),
        (
            "limits: { tokens: {} }",
            "tokens",
            ["1", &big],
            ["0", "18446744073709551616"],
            format!("1 to {big}"),
        ),
        (
            "agent: { max_steps: {} }",
            "max_steps",
            ["1", "4294967295"],
            ["0", "4294967296"],
            "1 to 4294967295".into(),
        ),
        (
            "deliver: { limit: {} }",
            "limit",
            ["1", "4294967295"],
            ["0", "4294967296"],
            "1 to 4294967295".into(),
        ),
        (
            "gates: [{ id: g, run: g, retries: {} }]",
            "retries",
            ["0", "100"],
            ["-1", "101"],
            "0 to 100".into(),
        ),
        (
            "commands: { bots: [{ login: x, id: {} }] }",
            "id",
            ["1", &big],
            ["0", "18446744073709551616"],
            format!("1 to {big}"),
        ),
        (
            "defaults: { priority: {} }",
            "priority",
            ["-2147483648", "2147483647"],
            ["-2147483649", "2147483648"],
            "-2147483648 to 2147483647".into(),
        ),
        (
            "defaults: { retry_policy: { max_attempts: {} } }",
            "max_attempts",
            ["0", "4294967295"],
            ["-1", "4294967296"],
            "0 to 4294967295".into(),
        ),
        (
            "defaults: { retry_policy: { backoff_seconds: {} } }",
            "backoff_seconds",
            ["0", &big],
            ["-1", "18446744073709551616"],
            format!("0 to {big}"),
        ),
        (
            "defaults: { retry_policy: { max_backoff_seconds: {} } }",
            "max_backoff_seconds",
            ["0", &big],
            ["-1", "18446744073709551616"],
            format!("0 to {big}"),
        ),
        (
            "task max_retries: {}",
            "max_retries",
            ["0", "4294967295"],
            ["-1", "4294967296"],
            "0 to 4294967295".into(),
        ),
    ] {
        takes(field, &taken);
        for value in refused {
            let expect = format!("`{name}` is out of range; it goes from {range}");
            match field.strip_prefix("task ") {
                Some(field) => check_task(&field.replace("{}", value), &expect),
                None => check(&field.replace("{}", value), &expect),
            }
        }
    }
}

#[test]
fn other_numbers_hold_at_both_ends_of_their_range() {
    for (field, name, taken, refused, rule) in [
        (
            "limits: { usd: {} }",
            "usd",
            vec!["0.0001", "5", "1e9", "0x10"],
            vec!["0", "-0.01", "-1"],
            "more than 0",
        ),
        (
            "prices: { input: {}, cached_input: 0, output: 0 }",
            "input",
            vec!["0", "0.0", "-0", "7"],
            vec!["-0.001", "-1"],
            "0 or more",
        ),
        (
            "defaults: { retry_policy: { backoff_multiplier: {} } }",
            "backoff_multiplier",
            vec!["1", "1.0", "1000"],
            vec!["0.999", "0", "-2"],
            "at least 1",
        ),
        (
            "defaults: { retry_policy: { jitter: {} } }",
            "jitter",
            vec!["0", "0.5", "1"],
            vec!["-0.001", "1.001", "2"],
            "from 0 to 1",
        ),
    ] {
        takes(field, &taken);
        for value in refused {
            check(
                &field.replace("{}", value),
                &format!("`{name}` is out of range; it must be {rule}"),
            );
        }
        for value in [".inf", "-.INF", ".nan", "1e999"] {
            check(
                &field.replace("{}", value),
                &format!("`{name}` must be finite; it must be {rule}"),
            );
        }
        let long = "9".repeat(99);
        check(
            &field.replace("{}", &long),
            &format!("`{name}` is out of range; it must be {rule}"),
        );
    }
}

#[test]
fn durations_and_sizes_get_the_advice_that_fits_the_mistake() {
    let like = "write it like `90s`, `30m` or `5h30m`";
    for (value, what, hint) in [
        ("30", "has no unit", "write `30s` or `30m`"),
        ("1.5", "has no unit", like),
        ("1h30", "has no unit", like),
        (
            "1M",
            "has the unit `M`, which is not one",
            "the units are `s`, `m`, `h` and `d`",
        ),
        (
            "0s",
            "is shorter than a millisecond",
            "it goes from `1ms` to `365d`",
        ),
        (
            "366d",
            "is longer than a year",
            "it goes from `1ms` to `365d`",
        ),
        ("-5m", "is negative", "it goes from `1ms` to `365d`"),
        ("soon", "is not a duration", like),
        ("''", "is not a duration", like),
    ] {
        let quoted = value.trim_matches('\'');
        check(
            &format!("limits: {{ time: {value} }}"),
            &format!("the duration `{quoted}` {what}; {hint}"),
        );
    }
    let digits = "1".repeat(41);
    let (shown, hint) = (&digits, "1".repeat(40));
    check(
        &format!("limits: {{ time: {digits} }}"),
        &format!("the duration `{shown}` has no unit; write `{hint}s` or `{hint}m`"),
    );
    let like = "write it like `500KB` or `100MB`";
    for (value, what, hint) in [
        ("100", "has no unit", "write `100MB`"),
        ("1.5", "has no unit", like),
        (
            "100mb",
            "has the unit `mb`, which is not one",
            "the units are `KB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`",
        ),
        (
            "1001GB",
            "is out of range",
            "it goes from `1KB` to `1000GB`",
        ),
        ("lots", "is not a size", like),
        ("1.MB", "is not a size", like),
    ] {
        check(
            &format!("change_limit: {value}"),
            &format!("the size `{value}` {what}; {hint}"),
        );
    }
}

#[test]
fn a_word_that_is_no_choice_gets_the_nearest_or_all_of_them() {
    check(
        "agent: { kind: x }",
        "`kind` cannot be `x`; it can only be `kimi-code`",
    );
    check(
        "agent: { kind: kimi-cod }",
        "`kind` cannot be `kimi-cod`; did you mean `kimi-code`?",
    );
    check(
        "baseline: x",
        "`baseline` cannot be `x`; it is one of `allow`, `strict`",
    );
    check(
        "baseline: alow",
        "`baseline` cannot be `alow`; did you mean `allow`?",
    );
    check(
        "room: { network: { tasks: x } }",
        "`tasks` cannot be `x`; write `none`, `model`, `open`, or `{ allow: [example.com] }` with the names of hosts",
    );
    check(
        "room: { network: { tasks: opne } }",
        "`tasks` cannot be `opne`; did you mean `open`?",
    );
    check(
        "room: { network: { tasks: Docs.RS } }",
        "`tasks` cannot be `Docs.RS`; write `{ allow: [docs.rs] }`",
    );
    check(
        "room: { network: { tasks: {} } }",
        "`tasks` allows no host; name one, or write `none`",
    );
    check(
        "room: { network: open }",
        "`network` of `room` is a map: agents, gates and tasks differ; write `{ agent: model, gates: none, tasks: none }` or the like",
    );
    check(
        "room: { network: clopen }",
        "`network` of `room` must be a map of keys, but this is text; its keys are `agent`, `gates`, `tasks`",
    );
    takes(
        "room: { network: { agent: {} } }",
        &["model", "open", "{ allow: [docs.rs] }"],
    );
    takes(
        "room: { network: { gates: {} } }",
        &["none", "open", "{ allow: [docs.rs] }"],
    );
    takes("room: { docker: {} }", &["true", "false"]);
}

#[test]
fn paths_stay_inside_the_repository_and_out_of_gits_own() {
    let keep = |path: &str| read(&format!("keep: ['{path}']")).map(|plan| plan.keep);
    for (path, short) in [
        ("a", "a"),
        ("././a/b//", "a/b"),
        ("a.git", "a.git"),
        (".gitignore", ".gitignore"),
        ("c:", "c:"),
    ] {
        assert_eq!(keep(path).unwrap(), [short], "{path}");
    }
    let absolute = "is absolute; write it from the root of the repository, without `/` before it";
    let upwards = "leads upwards; write it from the root of the repository, without `..`";
    for (path, expect) in [
        ("/a", format!("the path `/a` {absolute}")),
        ("C:/a", format!("the path `C:/a` {absolute}")),
        ("c:\\a", format!("the path `c:\\a` {absolute}")),
        ("..", format!("the path `..` {upwards}")),
        ("a/../b", format!("the path `a/../b` {upwards}")),
        (".git", "`.git` is git's own; choose another path".to_owned()),
        ("a/.GIT/b", "`a/.GIT/b` is git's own; choose another path".to_owned()),
        ("./", "`./` is not a path inside the repository; write it like `target` or `target/junit.xml`".to_owned()),
        ("a//b", "`a//b` is not a path inside the repository; write it like `target` or `target/junit.xml`".to_owned()),
        ("", "a path of `keep` is empty; write a path, or remove it".to_owned()),
    ] {
        check(&format!("keep: ['{path}']"), &expect);
    }
    for glob in ["/a", "C:/a"] {
        check(
            &format!("protect: ['{glob}']"),
            &format!("the path `{glob}` {absolute}"),
        );
    }
    for glob in ["a/../b", "{a,..}/b", "{..,b}", ".."] {
        check(
            &format!("protect: ['{glob}']"),
            &format!("the path `{glob}` {upwards}"),
        );
    }
    takes("protect: ['{}']", &["a..b", "1:/a", "{a,b}/**"]);
    let report = |path: &str| {
        let plan = read(&format!(
            "gates: [{{ id: g, run: g, report: {{ format: junit, path: '{path}' }} }}]"
        ))
        .unwrap();
        plan.gates[0].report.clone().unwrap().paths[0].clone()
    };
    for (path, matches) in [
        ("a/b.xml", "a/b.xml"),
        ("a/*.xml", "a/c.xml"),
        ("a/?.xml", "a/b.xml"),
        ("a/[bc].xml", "a/b.xml"),
        ("a/{b,c}.xml", "a/b.xml"),
    ] {
        assert!(report(path).matches(&matches.parse().unwrap()), "{path}");
    }
}

#[test]
fn a_version_that_is_not_one_is_pointed_at() {
    for (version, at, found) in [
        ("2", 10, "`2`"),
        ("1.0", 10, "`1.0`"),
        ("'1'", 10, "text"),
        ("one", 10, "`one`"),
        ("true", 10, "`true`"),
        ("[1]", 10, "a list"),
        ("{ a: 1 }", 10, "a map"),
        ("", 1, "nothing"),
        ("~", 10, "nothing"),
    ] {
        let text = format!("version: {version}\ntasks: [{{ id: a, run: x }}]\n");
        let complaints = parse(text.as_bytes(), "omk.yaml", "x").expect_err(version);
        let one = complaints.iter().next().unwrap();
        assert_eq!(complaints.len(), 1, "{complaints}");
        assert_eq!(
            one.what,
            format!("`version` must be 1, but this is {found}")
        );
        assert_eq!(
            (one.place.unwrap().column, one.hint.as_deref()),
            (at, Some("write `version: 1`")),
            "{version}"
        );
    }
    for version in ["1", "+1", "0x1"] {
        let text = format!("version: {version}\ntasks: [{{ id: a, run: x }}]\n");
        assert!(parse(text.as_bytes(), "omk.yaml", "x").is_ok(), "{version}");
    }
}
