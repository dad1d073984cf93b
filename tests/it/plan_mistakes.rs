//! What people read about a plan that is wrong.

use omk_action::plan;

fn complaints(text: &str) -> String {
    match plan::parse(text.as_bytes(), "omk.yaml", "my-project") {
        Ok(plan) => panic!("it was read: {plan:?}"),
        Err(complaints) => complaints.render(),
    }
}

/// What is said first about a plan whose beginning and end are sound.
fn of_task(fields: &str) -> String {
    let text = format!("version: 1\ntasks:\n  - {{ id: a, run: x, {fields} }}\n");
    complaints(&text)
}

fn first_line(text: &str) -> String {
    complaints(text)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

const TWENTY: &str = r#"version: 2
nam: nightly
agent: { version: 2.1, model: mine }
limits: { workers: 0, time: 30, usd: 5 }
pass_env: [GITHUB_TOKEN]
gates:
  - { id: test, run: cargo test }
  - { id: test, run: cargo nextest run }
tasks:
  - id: Api
    prompt: split it
  - id: database
    dependencies: [databse]
    prompt: move it
    run: mv it
  - id: docs
    gates: [tset]
    retry_policy: { backoff_multiplier: 0.5, jitter: .nan }
    timeout: 5m
    timeout: 9m
  - { id: x, run: x, dependencies: [y], write_set: [../up] }
  - { id: y, run: y, dependencies: [x], metadata: { state: done } }
deliver: [push]
"#;

#[test]
fn twenty_mistakes_are_told_at_once() {
    let complaints =
        plan::parse(TWENTY.as_bytes(), "omk.yaml", "my-project").expect_err("twenty mistakes");
    assert_eq!(complaints.len(), 20);
    assert!(
        complaints
            .iter()
            .all(|complaint| complaint.place.is_some() && complaint.hint.is_some())
    );
    insta::assert_snapshot!(complaints.render(), @r#"
    error: `version` must be 1, but this is `2`
      --> omk.yaml:1:10
      1 | version: 2
        |          ^ write `version: 1`

    error: a plan has no key `nam`
      --> omk.yaml:2:1
      2 | nam: nightly
        | ^^^ did you mean `name`?

    error: `version` must be text, but without quotes this is a number
      --> omk.yaml:3:19
      3 | agent: { version: 2.1, model: mine }
        |                   ^^^ write `"2.1"`

    error: `workers` is out of range
      --> omk.yaml:4:20
      4 | limits: { workers: 0, time: 30, usd: 5 }
        |                    ^ it goes from 1 to 1024

    error: the duration `30` has no unit
      --> omk.yaml:4:29
      4 | limits: { workers: 0, time: 30, usd: 5 }
        |                             ^^ write `30s` or `30m`

    error: a limit in USD cannot be kept: the model `mine` has no price that omk knows
      --> omk.yaml:4:33
      4 | limits: { workers: 0, time: 30, usd: 5 }
        |                                 ^^^ add `prices: { input: …, cached_input: …, output: … }`, in USD per million tokens

    error: `GITHUB_TOKEN` is not passed on: a name with TOKEN in it is a secret
      --> omk.yaml:5:12
      5 | pass_env: [GITHUB_TOKEN]
        |            ^^^^^^^^^^^^ children get no secrets; remove it

    error: the id `test` is taken by another gate
      --> omk.yaml:8:11
      8 |   - { id: test, run: cargo nextest run }
        |           ^^^^ choose another id
        = note: the first one is at omk.yaml:7:11

    error: `Api` is not a task id
       --> omk.yaml:10:9
      10 |   - id: Api
         |         ^^^ 1 to 64 of a-z, 0-9, `_` and `-`, not starting with `_` or `-`

    error: task `database` needs `databse`, which is not in this plan
       --> omk.yaml:13:20
      13 |     dependencies: [databse]
         |                    ^^^^^^^ did you mean `database`?

    error: task `database` has both `prompt` and `run`
       --> omk.yaml:15:5
      15 |     run: mv it
         |     ^^^ keep one, or make two tasks
         = note: `prompt` is at omk.yaml:14:5

    error: task `docs` has neither `prompt` nor `run`
       --> omk.yaml:16:5
      16 |   - id: docs
         |     ^^ say what to do: `prompt:` for the agent, or `run:` for a shell command

    error: task `docs` names the gate `tset`, which is not in this plan
       --> omk.yaml:17:13
      17 |     gates: [tset]
         |             ^^^^ did you mean `test`?

    error: `backoff_multiplier` is out of range
       --> omk.yaml:18:41
      18 |     retry_policy: { backoff_multiplier: 0.5, jitter: .nan }
         |                                         ^^^ it must be at least 1

    error: `jitter` must be finite
       --> omk.yaml:18:54
      18 |     retry_policy: { backoff_multiplier: 0.5, jitter: .nan }
         |                                                      ^^^^ it must be from 0 to 1

    error: the key `timeout` stands here a second time
       --> omk.yaml:20:5
      20 |     timeout: 9m
         |     ^^^^^^^ keep one of the two
         = note: the first one is at omk.yaml:19:5

    error: the path `../up` leads upwards
       --> omk.yaml:21:53
      21 |   - { id: x, run: x, dependencies: [y], write_set: [../up] }
         |                                                     ^^^^^ write it from the root of the repository, without `..`

    error: tasks wait for each other: x -> y -> x
       --> omk.yaml:22:37
      22 |   - { id: y, run: y, dependencies: [x], metadata: { state: done } }
         |                                     ^ remove one of these dependencies

    error: metadata cannot have the key `state`: the task's record has a field of that name
       --> omk.yaml:22:53
      22 |   - { id: y, run: y, dependencies: [x], metadata: { state: done } }
         |                                                     ^^^^^ choose another name

    error: `deliver` must be a map of keys, but this is a list
       --> omk.yaml:23:10
      23 | deliver: [push]
         |          ^^^^^^ its keys are `as`, `draft`, `labels`, `partial`, `limit`, `sign_off`
    "#);
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    let check = |field: &str, expect: &str| {
        assert_eq!(
            first_line(&format!(
                "version: 1\n{field}\ntasks: [{{ id: a, run: x }}]\n"
            )),
            format!("error: {expect}")
        );
    };
    check("gates: test", "`gates` must be a list, but this is text");
    check("keep: { a: b }", "`keep` must be a list, but this is a map");
    check(
        "keep: [1]",
        "`keep` must be text, but without quotes this is a number",
    );
    check("keep: [/var]", "the path `/var` is absolute");
    check("keep: [a//b]", "`a//b` is not a path inside the repository");
    check("keep: [.git]", "`.git` is git's own");
    check(
        "protect: ['a/{b,..}/c']",
        "the path `a/{b,..}/c` leads upwards",
    );
    check(
        "limits: [1]",
        "`limits` must be a map of keys, but this is a list",
    );
    check(
        "limits: { workers: '4' }",
        "`workers` must be a whole number, but this is text",
    );
    check(
        "limits: { workers: 1.5 }",
        "`workers` must be a whole number, but this is a number",
    );
    check("limits: { tokens: -1 }", "`tokens` is out of range");
    check(
        "limits: { tokens: 99999999999999999999999999999999999999999999 }",
        "`tokens` is out of range",
    );
    check(
        "limits: { time: soon }",
        "the duration `soon` is not a duration",
    );
    check(
        "limits: { time: [1h] }",
        "`time` must be a duration, but this is a list",
    );
    check("change_limit: 100", "the size `100` has no unit");
    check(
        "change_limit: 100mb",
        "the size `100mb` has the unit `mb`, which is not one",
    );
    check("change_limit: 5000GB", "the size `5000GB` is out of range");
    check("change_limit: lots", "the size `lots` is not a size");
    check(
        "change_limit: [1MB]",
        "`change_limit` must be a size, but this is a list",
    );
    check(
        "limits: { time: }",
        "`time` must be a duration, but this is nothing",
    );
    check("limits: { usd: .inf }", "`usd` must be finite");
    check(
        "prices: { input: 1, output: 1 }",
        "`prices` has no `cached_input`",
    );
    check("env: { 1A: x }", "`1A` is not the name of a variable");
    check(
        "env: { A: 1 }",
        "`A` must be text, but without quotes this is a number",
    );
    check("env: { A: \"\\0\" }", "`A` holds a NUL character");
    check("env: { [a]: b }", "a key must be text, not a list or a map");
    check("env: !!map { A: b }", "a plan has no YAML tags");
    check(
        "env: *shared",
        "nothing before this has the anchor `&shared`",
    );
    check(
        "deliver: { draft: yes }",
        "`draft` must be `true` or `false`, but this is text",
    );
    check(
        "deliver: { as: pull-requst }",
        "`as` cannot be `pull-requst`",
    );
    check("commands: { bots: [{ login: x }] }", "this bot has no `id`");
    check("agent: { kind: kimi-acp }", "`kind` cannot be `kimi-acp`");
    check(
        "agent: { base_url: moonshot.ai }",
        "`base_url` is not the address of a provider",
    );
    check(
        "agent: { base_url: 'https://me:pw@x/' }",
        "`base_url` holds a user name or password",
    );
    check("agent: { version: 1; rm }", "`1; rm` is not a version");
    check(
        "agent: { key_env: MOON }\npass_env: [MOON]",
        "`MOON` is not passed on: `key_env` says that only omk reads it",
    );
    check("name: pr-12", "`pr-12` is not a plan name");
    check("defaults: { id: x }", "`defaults` has no key `id`");
    check(
        "defaults: { gates: [none] }",
        "`defaults` names the gate `none`, which is not in this plan",
    );
    check("gates: [{ id: t }]", "gate `t` has no `run`");
    check("gates: [{ id: t, run: '' }]", "`run` is empty");
    check("gates: [{ run: t }]", "this gate has no `id`");
    check(
        "gates: [{ id: t, run: t, report: { format: junit, path: [] } }]",
        "the report of gate `t` has no `path`",
    );
    check(
        "gates: [{ id: t, run: t, report: { format: junit, path: [a.xml, '/b.xml'] } }]",
        "the path `/b.xml` is absolute",
    );
    check(
        "gates: [{ id: t, run: t, report: { format: junit, path: 'a/../*.xml' } }]",
        "the path `a/../*.xml` leads upwards",
    );
    check(
        "gates: [{ id: t, run: t, report: { format: junit } }]",
        "the report of gate `t` has no `path`",
    );
}

#[test]
fn mistakes_of_a_task_are_named() {
    let check = |fields: &str, expect: &str| {
        assert_eq!(
            of_task(fields).lines().next(),
            Some(format!("error: {expect}").as_str()),
            "{fields}"
        );
    };
    check("prompt: p", "task `a` has both `prompt` and `run`");
    check("priority: 2147483648", "`priority` is out of range");
    check("needs: [b]", "task `a` has no key `needs`");
    check("dependencies: [a]", "tasks wait for each other: a -> a");
    check("read_set: [/etc]", "the path `/etc` is absolute");
    check("write_set: ['']", "a path of `write_set` is empty");
    check("retry_policy: { jitter: 1.5 }", "`jitter` is out of range");
    check(
        "retry_policy: { max_attempts: -1 }",
        "`max_attempts` is out of range",
    );
    check(
        "timeout: 0s",
        "the duration `0s` is shorter than a millisecond",
    );
    check(
        "timeout: 2000d",
        "the duration `2000d` is longer than a year",
    );
    check("when: { events: [push] }", "`events` cannot be `push`");
    check(
        "metadata: [x]",
        "`metadata` must be a map, but this is a list",
    );
    check(
        "metadata: { n: 123456789012345678901234567890 }",
        "the number `123456789012345678901234567890` cannot be kept exactly",
    );
    check("<<: { timeout: 5m }", "merge keys `<<` are not read");
    check("name: ''", "`name` is empty");
}

#[test]
fn empty_prompt_is_refused() {
    let text = "version: 1\ntasks:\n  - id: a\n    prompt: |\n  - id: b\n    run: '  '\n";
    insta::assert_snapshot!(complaints(text), @r"
    error: `prompt` is empty
      --> omk.yaml:4:5
      4 |     prompt: |
        |     ^^^^^^ write something, or remove the key

    error: `run` is empty
      --> omk.yaml:6:10
      6 |     run: '  '
        |          ^^^^ write something, or remove the key
    ");
}

#[test]
fn words_of_other_tools_get_ours() {
    assert!(of_task("needs: [b]").contains("did you mean `dependencies`?"));
    assert!(of_task("comand: b").contains("the keys here are `id`, `name`"));
}

#[test]
fn alias_used_twice_is_complained_of_once() {
    let text = "version: 1\ntasks:\n  - { id: a, run: x, write_set: &s [/x] }\n  - { id: b, run: x, write_set: *s }\n";
    assert_eq!(complaints(text).matches("error:").count(), 1);
}

#[test]
fn duplicate_ids_name_the_first_and_keep_cycles_findable() {
    let text = "version: 1
tasks:
  - { id: a, run: x, dependencies: [b] }
  - { id: b, run: x, dependencies: [c, c] }
  - { id: c, run: x, dependencies: [a] }
  - { id: b, run: x }
";
    insta::assert_snapshot!(complaints(text), @r"
    error: task `b` names `c` twice
      --> omk.yaml:4:40
      4 |   - { id: b, run: x, dependencies: [c, c] }
        |                                        ^ remove one of the two

    error: tasks wait for each other: a -> b -> c -> a
      --> omk.yaml:5:37
      5 |   - { id: c, run: x, dependencies: [a] }
        |                                     ^ remove one of these dependencies

    error: the id `b` is taken by another task
      --> omk.yaml:6:11
      6 |   - { id: b, run: x }
        |           ^ choose another id
        = note: the first one is at omk.yaml:4:11
    ");
}

#[test]
fn nothing_at_all_is_said_to_be_nothing() {
    for text in ["", "\n", "# only words\n", "---\n", "~\n", "\u{feff}"] {
        assert_eq!(first_line(text), "error: the plan is empty", "{text:?}");
    }
    assert_eq!(first_line("version: 1\n"), "error: the plan has no tasks");
    assert_eq!(
        first_line("version: 1\ntasks: []\n"),
        "error: the plan has no tasks"
    );
    assert_eq!(
        first_line("tasks: [{ id: a, run: x }]\n"),
        "error: a plan begins with its `version`"
    );
    assert_eq!(
        first_line("just words\n"),
        "error: a plan must be a map of keys, but this is text"
    );
    assert_eq!(
        first_line("version: '1'\ntasks: [{ id: a, run: x }]\n"),
        "error: `version` must be 1, but this is text"
    );
}

#[test]
fn mistakes_of_syntax_are_told_in_our_words() {
    let check = |text: &str, expect: &str| {
        let all = complaints(text);
        assert!(
            all.starts_with(&format!("error: {expect}\n")),
            "{text:?}: {all}"
        );
        for foreign in [
            "mapping", "scalar", "sequence", "token", "flow", "serde", "EOF",
        ] {
            assert!(!all.contains(foreign), "{all}");
        }
    };
    check("a: [1, 2\n", "this `[` is never closed");
    check("a: [1, 2}\n", "`[` is closed by `}`");
    check("a: {b: 1\nc: 2\n", "a `[` or `{` is not closed before this");
    check("a: b: c\n", "a `:` is not expected here");
    check("a: \"x\n", "this quote is never closed");
    check("a: 'x' y\n", "text goes on after the closing quote");
    check("a: \"\\q\"\n", "this is no escape that double quotes know");
    check("a: @x\n", "text without quotes cannot hold `@` here");
    check(
        "a: 1\nb\nc: 2\n",
        "this line is neither `key: value` nor a list item",
    );
    check(
        "a:\n  - b\n c: 1\n",
        "this line does not continue what stands above it",
    );
    check("a:\n\t- b\n", "a tab stands where YAML wants spaces");
    check("a: *\n", "`&` and `*` without a name mean nothing");
    check("a: ]\n", "this bracket closes nothing");
    check("%YAML 1.1\n---\na: 1\n", "a plan has no `%` directives");
    check("a: [-]\n", "a `-` needs a space after it");
    check(
        "a: \u{feff}b\n",
        "a byte order mark stands in the middle of the file",
    );
    check("a: ? b\n", "a key is not expected here");
    check(
        "a: |\n\n     \n  b\n",
        "this line is not indented like the text it belongs to",
    );
    check("a: 1\n... b\n", "text follows the `...` that ends the file");
    check(
        "version: 1\n---\nversion: 1\n",
        "a second document begins here, but a plan is one",
    );
    check("a: \"x\" y\n", "text goes on after the closing quote");
    check("a: - b\n", "a `- ` item is not expected here");
    check(
        "a: | x\n  b\n",
        "text after `|` or `>` must begin on the next line",
    );
    check(
        "a: |0\n  b\n",
        "text after `|` or `>` must begin on the next line",
    );
    check("a: \"x\"#c\n", "a comment stands in the middle of a value");
    check(
        "a: b #c\n  d\n",
        "a comment stands in the middle of a value",
    );
    check("a: !<x\n", "a `!` begins a YAML tag, and this is none");
    check("a: !x!y z\n", "a `!` begins a YAML tag, and this is none");
}

#[test]
fn name_that_cannot_be_one_is_complained_of_once() {
    for name in ["B!", "7", "~", "[b]"] {
        let all = of_task(&format!("dependencies: [{name}]"));
        assert_eq!(all.matches("error:").count(), 1, "{all}");
    }
}

#[test]
fn every_complaint_says_what_to_do_next() {
    let text = "version: 1
agent: { kind: kimi, version: 2.1.0, max_step: 3, base_url: x, key_env: 1, max_steps: many, tools: [] }
defaults: { max_retries: 3, prompt: hi, gates: [tests], retry_policy: 3, env: [A=b] }
gates: { test: x }
limits: { workers: [], time: {}, tokens: 2_000, usd: true }
tasks:
  - { id: a, prompt: { x: y }, when: schedule, write_set: src, change: maybe, priority: 1.5, timeout: 1M }
  - just text
  - run: x
deliver: { as: pr, limit: 0, labels: omk, draft: maybe }
commands: { permission: read, bots: [x] }
";
    let complaints =
        plan::parse(text.as_bytes(), "omk.yaml", "x").expect_err("nothing here is right");
    let mute: Vec<_> = complaints
        .iter()
        .filter(|complaint| complaint.hint.is_none())
        .collect();
    assert!(complaints.len() > 25 && mute.is_empty(), "{complaints}");
}
