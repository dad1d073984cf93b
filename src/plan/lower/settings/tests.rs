//! What the settings of a plan may hold.

use crate::plan::lower::tests::{check, takes};

#[test]
fn names_of_variables_are_letters_digits_and_underscores() {
    takes("env: { {}: x }", &["A", "_", "a1_B", "_1"]);
    takes("pass_env: [{}]", &["A", "_", "a1_B", "_1"]);
    let rule = "is not the name of a variable; use letters, digits and `_`, and no digit first";
    for name in ["", "1A", "A-B", "A B", "Ä", "A."] {
        check(
            &format!("env: {{ '{name}': x }}"),
            &format!("`{name}` {rule}"),
        );
        check(
            &format!("pass_env: ['{name}']"),
            &format!("`{name}` {rule}"),
        );
    }
    for (name, part) in [
        ("My_Key", "KEY"),
        ("TOKENS", "TOKEN"),
        ("a_secret_b", "SECRET"),
        ("DBPASSWORD", "PASSWORD"),
    ] {
        let what = format!("`{name}` is not passed on: a name with {part} in it is a secret");
        check(
            &format!("pass_env: [{name}]"),
            &format!("{what}; children get no secrets; remove it"),
        );
    }
    check(
        "agent: { key_env: MOON }\npass_env: [MOON]",
        "`MOON` is not passed on: `key_env` says that only omk reads it; children get no secrets; remove it",
    );
    takes(
        "agent: { key_env: MOON }\npass_env: [{}]",
        &["MOONS", "moon", "SUN"],
    );
}

#[test]
fn versions_and_addresses_hold_nothing_that_means_something_elsewhere() {
    takes(
        "agent: { version: '{}' }",
        &["2.1.0", "v2", "2.1.0-beta+7_x"],
    );
    for version in ["-2", ".2", "2;rm", "2 1", "2/1", "é"] {
        let expect = format!("`{version}` is not a version; write it like `\"2.1.0\"`");
        check(&format!("agent: {{ version: '{version}' }}"), &expect);
    }
    takes(
        "agent: { base_url: '{}' }",
        &["https://a", "http://127.0.0.1:8080/v1/", "https://a/@/b"],
    );
    let nowhere = "is not the address of a provider; write it like `https://api.moonshot.ai/v1`";
    let user = "holds a user name or password; leave it out: omk reads the key from `key_env`";
    let more = "holds spaces, `?` or `#`; write only the part before them";
    for (url, expect) in [
        ("moonshot.ai", nowhere),
        ("ftp://a", nowhere),
        ("https://", nowhere),
        ("https:///v1", nowhere),
        ("https://?x", nowhere),
        ("https://#x", nowhere),
        ("https://me@a/v1", user),
        ("https://a/v 1", more),
        ("https://a/v1?x=1", more),
        ("https://a#x", more),
    ] {
        check(
            &format!("agent: {{ base_url: '{url}' }}"),
            &format!("`base_url` {expect}"),
        );
    }
    check(
        "agent: { model: ' ' }",
        "`model` is empty; write something, or remove the key",
    );
}

#[test]
fn a_limit_in_money_needs_a_price() {
    let prices =
        "add `prices: { input: …, cached_input: …, output: … }`, in USD per million tokens";
    for (model, what, hint) in [
        (
            "k3",
            "is paid by a subscription, not by the token",
            "limit its tokens instead: `limits: { tokens: … }`",
        ),
        (
            "kimi-k2.5",
            "was retired on 2026-08-31",
            "set `agent.model` to one that is there",
        ),
        (
            "kimi-k3.1-pro-highspeed",
            "has no price that omk knows",
            prices,
        ),
        ("mine", "has no price that omk knows", prices),
    ] {
        check(
            &format!("agent: {{ model: {model} }}\nlimits: {{ usd: 5 }}"),
            &format!("a limit in USD cannot be kept: the model `{model}` {what}; {hint}"),
        );
        let own = "prices: { input: 1, cached_input: 1, output: 1 }";
        takes(
            &format!("agent: {{ model: {model} }}\nlimits: {{ {{}} }}\n{own}"),
            &["usd: 5"],
        );
        takes(
            &format!("agent: {{ model: {model} }}\nlimits: {{ {{}} }}"),
            &["tokens: 5"],
        );
    }
    takes("limits: { usd: {} }", &["5"]);
}
