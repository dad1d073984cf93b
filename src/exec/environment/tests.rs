//! Tests of `exec::environment`.

use proptest::prelude::*;

use super::*;

fn caller(variables: &[(&str, &str)]) -> Caller {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn map(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn names(env: &ChildEnv) -> Vec<&str> {
    env.vars.keys().map(|name| name.to_str().unwrap()).collect()
}

#[test]
fn nothing_is_inherited_but_the_allow_list() {
    let caller = caller(&[
        ("PATH", "/p"),
        ("LANG", "de_DE.UTF-8"),
        ("HOME", "/nowhere"),
        ("FOO", "1"),
        ("LC_ALL", "x"),
    ]);
    let env = child_env(
        &caller,
        Path::new("/h"),
        Path::new("/t"),
        &map(&[("A", "plan"), ("B", "plan"), ("HOME", "/root")]),
        &["FOO".to_owned(), "ABSENT".to_owned()],
        &map(&[("B", "task")]),
    );
    let text: Vec<String> = env
        .vars
        .iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r"
        A=plan
        B=task
        CI=1
        FOO=1
        HOME=/h
        LANG=de_DE.UTF-8
        NO_COLOR=1
        PATH=/p
        TERM=dumb
        TMPDIR=/t
        ");
    assert!(env.caches.is_empty(), "{:?}", env.caches);
}

#[test]
fn what_repeats_a_token_of_the_job_is_a_secret_whatever_it_is_called() {
    let caller = caller(&[
        ("CI_JOB_TOKEN", "glcbt-64_hush"),
        (
            "CI_REPOSITORY_URL",
            "https://gitlab-ci-token:[MASKED]@host/a/b.git",
        ),
        (
            "GIT_CONFIG_VALUE_0",
            "https://gitlab-ci-token:glcbt-64_hush@host",
        ),
        ("DOCKER_AUTH_CONFIG", "{}"),
        ("CI_PROJECT_ID", "9"),
        ("HOME", "/h"),
    ]);
    let names: Vec<&str> = caller.secret_names().collect();
    assert_eq!(
        names,
        [
            "CI_JOB_TOKEN",
            "CI_REPOSITORY_URL",
            "DOCKER_AUTH_CONFIG",
            "GIT_CONFIG_VALUE_0"
        ]
    );
    assert!(!may_pass("ci_repository_url") && !may_pass("CI_JOB_TOKEN") && !may_pass("OMK_TOKEN"));
    // What is shorter than any token would take half of the environment away.
    let short: Caller = [
        ("OMK_TOKEN".into(), "e".into()),
        ("HOME".into(), "/heme".into()),
    ]
    .into_iter()
    .collect();
    assert_eq!(short.secret_names().collect::<Vec<_>>(), ["OMK_TOKEN"]);
}

#[test]
fn an_empty_caller_still_finds_programs() {
    let none = BTreeMap::new();
    let env = child_env(
        &Caller::default(),
        Path::new("/h"),
        Path::new("/t"),
        &none,
        &[],
        &none,
    );
    assert_eq!(env.vars[OsStr::new("LANG")], "C.UTF-8");
    assert!(
        env.vars[OsStr::new("PATH")]
            .to_str()
            .unwrap()
            .contains("/usr/bin")
    );
}

#[test]
fn toolchains_are_the_callers_and_what_they_write_is_a_copy() {
    let home = tempfile::tempdir().unwrap();
    for directory in [".cargo/bin", ".rustup", "go", ".npm", "elsewhere"] {
        std::fs::create_dir_all(home.path().join(directory)).unwrap();
    }
    let elsewhere = home.path().join("elsewhere");
    let caller: Caller = [
        ("HOME".into(), home.path().into()),
        ("PIP_CACHE_DIR".into(), elsewhere.into()),
        ("JAVA_HOME".into(), "/no/such/java".into()),
    ]
    .into_iter()
    .collect();
    let none = BTreeMap::new();
    let with = child_env(&caller, Path::new("/h"), Path::new("/t"), &none, &[], &none);
    let without = child_env(
        &Caller::default(),
        Path::new("/h"),
        Path::new("/t"),
        &none,
        &[],
        &none,
    );

    assert_eq!(
        names(&without),
        ["CI", "HOME", "LANG", "NO_COLOR", "PATH", "TERM", "TMPDIR"]
    );
    let mut more = names(&with);
    more.retain(|name| !names(&without).contains(name));
    assert_eq!(
        more,
        [
            "CARGO_HOME",
            "GOMODCACHE",
            "GOPATH",
            "PIP_CACHE_DIR",
            "RUSTUP_HOME",
            "npm_config_cache"
        ]
    );
    let caches: Vec<&str> = with
        .caches
        .iter()
        .map(|(_, path)| path.strip_prefix(home.path()).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(caches, [".cargo", "go", "go/pkg/mod", ".npm", "elsewhere"]);
}

proptest! {
    #[test]
    fn no_secret_and_nothing_of_the_job_passes(
        before in "[A-Za-z_]{0,6}", after in "[A-Za-z_]{0,6}",
        part in proptest::sample::select(vec!["KEY", "Token", "secret", "PASSWORD"]),
        start in proptest::sample::select(vec!["GITHUB_", "ACTIONS_", "RUNNER_", "CI_", "GITLAB_"]),
    ) {
        let asked = vec![format!("{before}{part}{after}"), format!("{start}{after}")];
        let caller: Caller = asked.iter().map(|name| (name.into(), "leak".into())).collect();
        let none = BTreeMap::new();
        let env = child_env(&caller, Path::new("/h"), Path::new("/t"), &none, &asked, &none);
        prop_assert!(env.vars.values().all(|value| value != "leak"));
    }
}

#[test]
fn no_variable_of_the_job_passes_in_any_case() {
    for start in JOB {
        for name in [
            format!("{start}X"),
            start.to_owned(),
            format!("{}x", start.to_lowercase()),
        ] {
            assert!(!may_pass(&name), "{name}");
        }
        let mixed: String = start
            .chars()
            .enumerate()
            .map(|(at, letter)| {
                if at % 2 == 0 {
                    letter.to_ascii_lowercase()
                } else {
                    letter
                }
            })
            .collect();
        assert!(!may_pass(&format!("{mixed}X")), "{mixed}X");
        // A name that only holds such a beginning is another's.
        assert!(may_pass(&format!("MY{start}X")), "MY{start}X");
    }
}

#[test]
fn home_and_tmpdir_are_omks_whatever_the_plan_its_tasks_and_the_caller_say() {
    let names = ["HOME", "TMPDIR"];
    let theirs: Vec<(&str, &str)> = names.iter().map(|name| (*name, "/theirs")).collect();
    let none = BTreeMap::new();
    let all: Vec<String> = names.iter().map(ToString::to_string).collect();
    for (plan, task, pass) in [
        (map(&theirs), none.clone(), vec![]),
        (none.clone(), map(&theirs), vec![]),
        (none.clone(), none, all),
    ] {
        let env = child_env(
            &caller(&theirs),
            Path::new("/h"),
            Path::new("/t"),
            &plan,
            &pass,
            &task,
        );
        assert_eq!(
            (
                &env.vars[OsStr::new("HOME")],
                &env.vars[OsStr::new("TMPDIR")]
            ),
            (&"/h".into(), &"/t".into())
        );
    }
}
