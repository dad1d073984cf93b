//! Reports as tools write them, and as they should not: what is read of each, in one tree.
//!
//! Each sample follows its tool's documented format, cut to what matters. It refuses to let one odd
//! field cost a report.

use omk_action::gate::ground::Ground;
use omk_action::gate::items::{self, Document, Items};
use omk_action::plan::ReportFormat::{self, CargoJson, Junit, Sarif};

use crate::gate::told;
use crate::world::World;

/// The tree that all samples speak of.
const FILES: [&str; 12] = [
    "src/lib.rs",
    "backend/src/lib.rs",
    "backend/src/db.rs",
    "backend/crates/api/src/lib.rs",
    "tests/test_api.py",
    "web/src/sum.test.ts",
    "src/test/java/com/acme/ApiTest.java",
    "api/api_test.go",
    "tests/ApiTest.php",
    "spec/api_spec.rb",
    "test/api.js",
    "infra/main.tf",
];

fn read(format: ReportFormat, path: &str, text: &str) -> Items {
    let holds = |path: &str| FILES.contains(&path);
    let all = || FILES.iter().map(ToString::to_string).collect();
    let ground = Ground::new(&["/slots/1".to_owned()], &holds, &all)
        .with_temporary(&["/cache/1/tmp".to_owned()]);
    items::read(
        format,
        &[Document {
            path: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }],
        &ground,
    )
}

fn table(samples: &[(&str, ReportFormat, &str)]) -> String {
    let one = |(tool, format, text): &(&str, ReportFormat, &str)| {
        let items = read(*format, "report.out", text);
        format!("{tool}\n{}", told(&items).trim_end())
    };
    samples.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn test_tools_are_read_as_they_write() {
    let samples = [
        (
            "cargo nextest",
            Junit,
            r#"<testsuites name="nextest-run" tests="3" failures="1">
            <testsuite name="api" tests="3"><testcase name="tests::splits" classname="api" time="0.01">
              <failure type="test failure">thread 'tests::splits' panicked at src/lib.rs:7:5</failure>
              <rerunFailure timestamp="2026-01-01T00:00:00Z" type="test failure">again</rerunFailure></testcase>
              <testcase name="tests::moody" classname="api"><flakyFailure type="test failure">once</flakyFailure></testcase>
              <testcase name="tests::fine" classname="api"/></testsuite></testsuites>"#,
        ),
        (
            "pytest",
            Junit,
            r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="1" failures="1">
            <testcase classname="tests.test_api" name="test_split[&lt;Client object at 0x7f3a2c00&gt;]" file="tests/test_api.py" line="11" time="0.1">
              <failure message="assert 1 == 2">def test_split(): ...</failure></testcase>
            <testcase classname="" name="tests.test_db" time="0.0"><error message="collection failure">ImportError</error></testcase>
            </testsuite></testsuites>"#,
        ),
        (
            "pytest-rerunfailures",
            Junit,
            r#"<testsuites><testsuite name="pytest">
            <testcase classname="tests.test_api" name="test_moody"><failure message="once"/></testcase>
            <testcase classname="tests.test_api" name="test_moody"/>
            <testcase classname="tests.test_api" name="test_bad"><failure message="1"/></testcase>
            <testcase classname="tests.test_api" name="test_bad"><failure message="2"/></testcase>
            </testsuite></testsuites>"#,
        ),
        (
            "jest-junit",
            Junit,
            r#"<testsuites name="jest tests"><testsuite name="sum" errors="0" failures="1">
            <testcase classname="sum adds" name="sum adds" time="0.003" file="web/src/sum.test.ts">
              <failure>Error: expect(received).toBe(expected)
    at Object.toBe (/slots/1/web/src/sum.test.ts:5:18)</failure></testcase></testsuite></testsuites>"#,
        ),
        (
            "maven surefire",
            Junit,
            r#"<testsuite xmlns:xsi="x" name="com.acme.ApiTest" tests="3"><properties><property name="a" value="b"/></properties>
            <testcase name="splits" classname="com.acme.ApiTest" time="0.01"><failure message="expected:&lt;1&gt;" type="AssertionError">
              <![CDATA[at com.acme.ApiTest.splits(ApiTest.java:12)]]></failure><rerunFailure message="again" type="E"><stackTrace>x</stackTrace></rerunFailure></testcase>
            <testcase name="moody" classname="com.acme.ApiTest"><flakyFailure message="once" type="E"><stackTrace>x</stackTrace></flakyFailure></testcase>
            <testcase name="later" classname="com.acme.ApiTest"><skipped/></testcase></testsuite>"#,
        ),
        (
            "gradle",
            Junit,
            r#"<testsuite name="com.acme.ApiTest" tests="1" hostname="h"><testcase name="opens Session@1b6d3586" classname="com.acme.ApiTest">
            <failure message="java.net.ConnectException: localhost:43121" type="java.net.ConnectException">x</failure></testcase>
            <system-out><![CDATA[out]]></system-out><system-err><![CDATA[]]></system-err></testsuite>"#,
        ),
        (
            "gotestsum, tests run again",
            Junit,
            r#"<testsuites><testsuite name="acme/api"><testcase classname="acme/api" name="TestSplit"><failure message="Failed">api_test.go:9: no</failure></testcase>
            <testcase classname="acme/api" name="TestMoody"><failure message="Failed">x</failure></testcase>
            <testcase classname="acme/api" name="TestSplit"><failure message="Failed">again</failure></testcase>
            <testcase classname="acme/api" name="TestMoody"></testcase></testsuite></testsuites>"#,
        ),
        (
            "phpunit",
            Junit,
            r#"<testsuites><testsuite name="unit"><testsuite name="ApiTest" file="/slots/1/tests/ApiTest.php">
            <testcase name="testSplit" class="ApiTest" classname="ApiTest" file="/slots/1/tests/ApiTest.php" line="12" assertions="1">
            <failure type="ExpectationFailedException">Failed asserting that false is true.</failure></testcase></testsuite></testsuite></testsuites>"#,
        ),
        (
            "rspec",
            Junit,
            r#"<testsuite name="rspec" tests="1"><testcase classname="spec.api_spec" name="Api splits" file="./spec/api_spec.rb" time="0.1">
            <failure message="expected: 1" type="RSpec::Expectations::ExpectationNotMetError">x</failure></testcase></testsuite>"#,
        ),
        (
            "mocha",
            Junit,
            r#"<testsuites name="Mocha Tests"><testsuite name="Root Suite"/><testsuite name="api" file="/slots/1/test/api.js">
            <testcase name="api splits" classname="splits"><failure message="1 == 2" type="AssertionError"><![CDATA[AssertionError]]></failure></testcase></testsuite></testsuites>"#,
        ),
        (
            "ctest",
            Junit,
            r#"<testsuite name="Linux-c++" tests="2" failures="1"><testcase name="split" classname="split" status="fail">
            <failure message="Failed"/><system-out>no</system-out></testcase><testcase name="off" classname="off" status="disabled"><skipped message="Disabled"/></testcase></testsuite>"#,
        ),
        (
            "of a container, and of nowhere",
            Junit,
            r#"<testsuite name="s"><testcase name="a" file="/app/tests/test_api.py" line="3"><failure/></testcase>
            <testcase name="b" file="/usr/lib/python3/unittest/case.py" line="3"><failure/></testcase>
            <testcase name="c" file="C:\agent\work\tests\test_api.py" line="4"><failure/></testcase>
            <testcase name="d" file="tests\test_api.py" line="-1"><failure/></testcase>
            <testcase name="e at /cache/1/tmp/x.db" file="tests/test_api.py" line="99999999999999999999"><failure/></testcase></testsuite>"#,
        ),
    ];
    insta::assert_snapshot!(table(&samples), @r"
    cargo nextest
    api::tests::splits | - | Error | thread 'tests::splits' panicked at src/lib.rs:7:5
    total 1;

    pytest
    tests.test_api::test_split[<Client object at 0x#>] | tests/test_api.py:11-11 | Error | assert 1 == 2\ndef test_split(): ...
    pytest::tests.test_db | - | Error | collection failure\nImportError
    total 2;

    pytest-rerunfailures
    tests.test_api::test_bad | - | Error | 1
    tests.test_api::test_bad#2 | - | Error | 2
    total 2;

    jest-junit
    sum adds::sum adds | web/src/sum.test.ts:1-1 | Error | Error: expect(received).toBe(expected)\n    at Object.toBe (web/src/sum.test.ts:5:18)
    total 1;

    maven surefire
    com.acme.ApiTest::splits | - | Error | expected:<1>\n\n              at com.acme.ApiTest.splits(ApiTest.java:12)
    total 1;

    gradle
    com.acme.ApiTest::opens Session@# | - | Error | java.net.ConnectException: localhost:43121\nx
    total 1;

    gotestsum, tests run again
    acme/api::TestSplit | - | Error | Failed\napi_test.go:9: no
    acme/api::TestSplit#2 | - | Error | Failed\nagain
    total 2;

    phpunit
    ApiTest::testSplit | tests/ApiTest.php:12-12 | Error | Failed asserting that false is true.
    total 1;

    rspec
    spec.api_spec::Api splits | spec/api_spec.rb:1-1 | Error | expected: 1\nx
    total 1;

    mocha
    splits::api splits | test/api.js:1-1 | Error | 1 == 2\nAssertionError
    total 1;

    ctest
    split::split | - | Error | Failed
    total 1;

    of a container, and of nowhere
    s::a | tests/test_api.py:3-3 | Error | 
    s::b | - | Error | 
    s::c | tests/test_api.py:4-4 | Error | 
    s::d | - | Error | 
    s::e at # | - | Error | 
    total 5;
    ");
}

#[test]
fn scanners_are_read_as_they_write() {
    let samples = [
        (
            "semgrep",
            Sarif,
            r#"{"version":"2.1.0","$schema":"x","runs":[{"invocations":[{"executionSuccessful":true}],"tool":{"driver":{"name":"Semgrep OSS",
            "rules":[{"id":"py.eval","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"py.eval","message":{"text":"eval is used"},
            "fingerprints":{"matchBasedId/v1":"x"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"tests/test_api.py","uriBaseId":"%SRCROOT%"},
            "region":{"startLine":3,"startColumn":1,"endLine":4,"endColumn":9,"snippet":{"text":"eval(x)"}}}}],"properties":{}}]}]}"#,
        ),
        (
            "trivy",
            Sarif,
            r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"fullName":"Trivy","name":"Trivy","rules":[{"id":"AVD-1","defaultConfiguration":{"level":"note"}}]}},
            "originalUriBaseIds":{"ROOTPATH":{"uri":"file:///slots/1/infra/"}},"results":[{"ruleId":"AVD-1","ruleIndex":0,"level":"warning","message":{"text":"open to all"},
            "locations":[{"physicalLocation":{"artifactLocation":{"uri":"main.tf","uriBaseId":"ROOTPATH"},"region":{"startLine":1,"startColumn":1,"endLine":1,"endColumn":1}}}]}]}]}"#,
        ),
        (
            "clippy-sarif after cd backend",
            Sarif,
            r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"clippy","rules":[{"id":"clippy::unwrap_used"}]}},"results":[
            {"ruleId":"clippy::unwrap_used","ruleIndex":0,"level":"warning","message":{"text":"used `unwrap()`"},"locations":[{"physicalLocation":
            {"artifactLocation":{"uri":"src/db.rs"},"region":{"startLine":12,"endLine":12}}}]}]}]}"#,
        ),
        (
            "eslint",
            Sarif,
            r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"ESLint","rules":[]}},"artifacts":[],"results":[{"level":"error","message":{"text":"'x' is unused."},
            "locations":[{"physicalLocation":{"artifactLocation":{"uri":"file:///slots/1/web/src/sum.test.ts","index":0},"region":{"startLine":2}}}],"ruleId":"no-unused-vars","ruleIndex":4}]}]}"#,
        ),
        (
            "codeql",
            Sarif,
            r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL"},"extensions":[]},"results":[{"ruleId":"js/xss","rule":{"id":"js/xss","index":3,"toolComponent":{"index":0}},
            "message":{"text":"See [here](1)."},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"test/api.js","uriBaseId":"%SRCROOT%","index":0},
            "region":{"startLine":7,"startColumn":3,"endColumn":9}}}],"partialFingerprints":{},"codeFlows":[]}]}]}"#,
        ),
        (
            "odd fields",
            Sarif,
            r#"{"version":2,"runs":[{"tool":null,"results":[
            {"ruleId":"a","message":{"text":"minus"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":{"startLine":-1}}}]},
            {"ruleId":"b","message":{"text":"float"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":{"startLine":12.0,"endLine":"13"}}}]},
            {"ruleId":"c","message":{"text":"whole float"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":{"startLine":12.0}}}]},
            {"ruleId":"d","message":{"text":"huge"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":{"startLine":99999999999999999999}}}]},
            {"ruleId":"e","message":{"text":"huger"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":{"startLine":1e999}}}]},
            {"ruleId":null,"rule":null,"ruleIndex":1e999,"level":7,"message":{"text":"null rule"}},
            {"ruleId":5,"message":"words","locations":{}},
            {"ruleId":"f","message":null,"locations":[null],"suppressions":null},
            {"ruleId":"g","message":{"text":"bare region"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"},"region":null}}]},
            null, 3]}]}"#,
        ),
        (
            "truncated",
            Sarif,
            r#"{"version":"2.1.0","runs":[{"results":[{"ruleId":"a","message":{"text":"x"}}"#,
        ),
        (
            "no list of results",
            Sarif,
            r#"{"runs":[{"results":{"ruleId":"a"}}]}"#,
        ),
        (
            "cargo after cd backend",
            CargoJson,
            r#"{"reason":"compiler-message","manifest_path":"/slots/1/backend/Cargo.toml","message":{"message":"mismatched types","level":"error","code":{"code":"E0308","explanation":null},"spans":[{"file_name":"src/lib.rs","line_start":4,"line_end":4,"is_primary":true}],"rendered":"error[E0308]"}}"#,
        ),
        (
            "cargo, a member of the workspace",
            CargoJson,
            r#"{"reason":"compiler-message","manifest_path":"/slots/1/backend/crates/api/Cargo.toml","message":{"message":"unused","level":"warning","code":null,"spans":[{"file_name":"crates/api/src/lib.rs","line_start":1,"line_end":2,"is_primary":true}]}}"#,
        ),
        (
            "cargo, odd",
            CargoJson,
            "{\"reason\":\"compiler-message\",\"message\":{\"message\":\"x\",\"level\":\"error\",\"code\":7,\"spans\":[null,{\"file_name\":\"src/lib.rs\",\"line_start\":-3}]}}\n{\"reason\":\"build-finished\",\"success\":false}",
        ),
    ];
    insta::assert_snapshot!(table(&samples), @"
    semgrep
    py.eval@tests/test_api.py: eval is used | tests/test_api.py:3-4 | Error | eval is used
    total 1;

    trivy
    AVD-1@infra/main.tf: open to all | infra/main.tf:1-1 | Warning | open to all
    total 1;

    clippy-sarif after cd backend
    clippy::unwrap_used@backend/src/db.rs: used `unwrap()` | backend/src/db.rs:12-12 | Warning | used `unwrap()`
    total 1;

    eslint
    no-unused-vars@web/src/sum.test.ts: 'x' is unused. | web/src/sum.test.ts:2-2 | Error | 'x' is unused.
    total 1;

    codeql
    js/xss@test/api.js: See [here](#). | test/api.js:7-7 | Warning | See [here](1).
    total 1;

    odd fields
    a@src/lib.rs: minus | - | Warning | minus
    b@src/lib.rs: float | - | Warning | float
    c@src/lib.rs: whole float | src/lib.rs:12-12 | Warning | whole float
    d@src/lib.rs: huge | - | Warning | huge
    e@src/lib.rs: huger | - | Warning | huger
    finding@: null rule | - | Warning | null rule
    finding@: | - | Warning | 
    f@: | - | Warning | 
    g@src/lib.rs: bare region | src/lib.rs:1-1 | Warning | bare region
    total 11;

    truncated
    total 0; the report is not SARIF: EOF while parsing a list at line 1 column 76

    no list of results
    total 0; the report is not SARIF: invalid type: map, expected a list at line 1 column 21

    cargo after cd backend
    E0308@backend/src/lib.rs: mismatched types | backend/src/lib.rs:4-4 | Error | error[E0308]
    total 1;

    cargo, a member of the workspace
    warning@backend/crates/api/src/lib.rs: unused | backend/crates/api/src/lib.rs:1-2 | Warning | unused
    total 1;

    cargo, odd
    error@src/lib.rs: x | - | Error | x
    total 1;
    ");
}

#[test]
fn a_report_beside_another_file_of_that_name_leaves_open_which_is_meant() {
    let text = r#"{"runs":[{"results":[{"ruleId":"a","message":{"text":"x"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs"}}}]}]}]}"#;
    let place = |path: &str| {
        read(Sarif, path, text).failing[0]
            .place
            .clone()
            .map(|place| place.path)
    };
    assert_eq!(place("lint.sarif").as_deref(), Some("src/lib.rs"));
    assert_eq!(place("infra/lint.sarif").as_deref(), Some("src/lib.rs"));
    assert_eq!(place("backend/lint.sarif"), None);
}

#[test]
fn a_base_that_the_report_names_decides_which_is_meant() {
    let read = |base: &str| {
        let text = r#"{"runs":[{"originalUriBaseIds":{"ROOT":{"uri":"file:///slots/1/backend/"},"API":{"uri":"file:///slots/1/backend/crates/api"}},
            "results":[{"ruleId":"a","message":{"text":"x"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/lib.rs","uriBaseId":"BASE"}}}]}]}]}"#;
        told(&read(Sarif, "report.out", &text.replace("BASE", base)))
    };
    let told = |path: &str| format!("a@{path}: x | {path}:1-1 | Warning | x\ntotal 1; ");
    assert_eq!(read("ROOT"), told("backend/src/lib.rs"));
    assert_eq!(read("API"), told("backend/crates/api/src/lib.rs"));
    assert_eq!(read("OTHER"), told("src/lib.rs"));
}

#[test]
fn the_same_failure_has_the_same_name_in_every_execution() {
    let key = |address: &str, port: u16, random: &str| {
        let name =
            format!("opens &lt;Db at {address}&gt; on 127.0.0.1:{port} in /tmp/{random}/a.db");
        read(
            Junit,
            "x.xml",
            &format!("<testsuite><testcase name='{name}'><failure/></testcase></testsuite>"),
        )
        .failing
        .remove(0)
        .key
    };
    assert_eq!(
        key("0x7f3a2c00", 43121, "tmpa1"),
        key("0x55aa00ff12", 50001, "tmpz9")
    );
    assert_eq!(
        key("0x7f3a2c00", 43121, "tmpa1"),
        "opens <Db at 0x#> on 127.0.0.1:# in /tmp/#"
    );
}

#[test]
fn a_gate_that_the_base_fails_and_a_task_mends_is_fixed() {
    let world = World::new();
    world.write(
        "suite.sh",
        "echo '<testsuite><testcase name=\"old\">'\n[ -e mended ] || echo '<failure/>'\necho '</testcase></testsuite>'\n",
    );
    world.plan(
        r#"
gates:
  - id: suite
    run: "sh suite.sh > report.xml; ! grep -q '<failure' report.xml"
    report: { format: junit, path: report.xml }
defaults: { gates: [suite], retry_policy: { max_attempts: 0 } }
tasks:
  - { id: first, run: "echo one > one" }
  - { id: mends, dependencies: [first], run: "echo two > mended" }
"#,
    );
    world.run().exits(0);
    let report = world.report();
    let against: Vec<&str> = (0..2)
        .map(|at| {
            report["tasks"][at]["gates"][0]["against_base"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(against, ["pre-existing", "fixed"]);
}
