//! Which addresses are spoken to, as whom, and past which proxies.

use super::*;

#[test]
fn an_address_with_a_password_and_a_strange_transport_are_refused() {
    for url in [
        "https://x:y@host/a.git",
        "https:///a",
        "ext::sh -c id",
        "ssh://host/a",
        "git@host:a.git",
        "-u",
        "a/b",
        "https://host/a\nb",
    ] {
        assert!(
            matches!(Remote::new(url, None), Err(GitError::BadRemote { .. })),
            "{url}"
        );
    }
    for url in [
        "https://host/a.git",
        "http://127.0.0.1:80/a.git",
        "file:///a",
        "/a",
    ] {
        assert_eq!(Remote::new(url, None).unwrap().url(), url);
    }
}

#[test]
fn the_token_is_not_printed_and_is_set_for_the_whole_address() {
    let remote = Remote::new(
        "https://host/a.git",
        Some(Secret::new("ghs_hush_hush".to_owned())),
    )
    .unwrap();
    assert!(!format!("{remote:?}").contains("hush"));
    let settings = remote.settings();
    let (key, value) = settings.last().unwrap();
    assert_eq!(key, "http.https://host/a.git.extraHeader");
    assert!(value.starts_with("AUTHORIZATION: basic ") && !value.contains("hush"));
}

#[test]
fn only_what_is_on_this_machine_needs_no_proxy() {
    for (url, here) in [
        ("http://127.0.0.1:8080/gitlab/a/b.git", true),
        ("https://localhost/a.git", true),
        ("http://[::1]:8080/a.git", true),
        ("http://[::1]/a.git", true),
        ("https://127.0.0.1.example.com/a.git", false),
        ("https://localhost.example.com/a.git", false),
        ("https://host/127.0.0.1/a.git", false),
    ] {
        let settings = Remote::new(url, None).unwrap().settings();
        let proxy = settings
            .iter()
            .find(|(key, _)| *key == format!("http.{url}.proxy"));
        assert_eq!(
            proxy.map(|(_, value)| value.as_str()),
            here.then_some(""),
            "{url}"
        );
    }
}

#[test]
fn the_token_is_sent_as_the_user_whose_it_is() {
    let token = Some(Secret::new("glpat-hush".to_owned()));
    let remote = Remote::new("https://host/a/b.git", token)
        .unwrap()
        .as_user("oauth2");
    let remote = remote.trusting(Some("/etc/ca.pem".into()));
    let settings = remote.settings();
    let basic = STANDARD.encode("oauth2:glpat-hush");
    assert_eq!(
        settings.last().unwrap().1,
        format!("AUTHORIZATION: basic {basic}")
    );
    let authorities = settings
        .iter()
        .find(|(key, _)| key == "http.https://host/a/b.git.sslCAInfo");
    assert_eq!(authorities.unwrap().1, "/etc/ca.pem");
    assert!(!format!("{remote:?}").contains("hush"));
}
