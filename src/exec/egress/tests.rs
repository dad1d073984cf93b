//! Tests of `exec::egress`.

use super::*;

fn caller(variables: &[(&str, &str)]) -> Caller {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[test]
fn a_proxy_with_a_login_is_never_a_childs() {
    let open = caller(&[
        ("HTTPS_PROXY", "http://p:3128"),
        ("http_proxy", "u:pw@p:3128"),
        ("NO_PROXY", "corp"),
    ]);
    let shown: Vec<String> = proxies(&open)
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        shown,
        [
            "HTTPS_PROXY=http://p:3128",
            "no_proxy=corp,127.0.0.1,localhost,::1",
            "NO_PROXY=corp,127.0.0.1,localhost,::1"
        ]
    );
    assert_eq!(
        proxies(&caller(&[
            ("ALL_PROXY", "socks5://u@p"),
            ("NO_PROXY", "corp")
        ])),
        []
    );
    assert!(
        is_proxy_with_login("Https_Proxy", "http://u:p@host/")
            && !is_proxy_with_login("OTHER", "http://u@h")
    );
    assert!(
        is_proxy_with_login("npm_config_https_proxy", "//u:p@h")
            && is_proxy_with_login("FTP_PROXY", "u:p@h")
    );
    for login in [
        "http://joe:pa/ss@p",
        "u:pa#s@p",
        "http://u:pa?s@p",
        "//u:p@h",
    ] {
        assert_eq!(proxies(&caller(&[("https_proxy", login)])), [], "{login}");
    }
}

#[test]
fn a_proxy_is_asked_with_its_login_and_prints_none() {
    let of = |value: &str| Proxy::of(&caller(&[("https_proxy", value)]));
    let proxy = of("http://me:p%40ss@Proxy.example:3128").unwrap().unwrap();
    assert_eq!(proxy.address(), ("proxy.example", 3128));
    let asked = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n";
    assert_eq!(proxy.request("a.example", 443), asked);
    assert!(!format!("{proxy:?}").contains("bWU6"), "{proxy:?}");
    assert_eq!(
        of("proxy:8080").unwrap().unwrap().address(),
        ("proxy", 8080)
    );
    assert_eq!(Proxy::of(&caller(&[("HTTP_PROXY", "http://p")])), Ok(None));
    for unknown in ["https://p:1", "socks5h://u:pw@p:1"] {
        let error = of(unknown).unwrap_err().to_string();
        assert_eq!(
            error,
            "use the proxy in https_proxy: omk speaks only to one of `http://HOST:PORT`"
        );
    }
}

#[test]
fn the_list_of_exceptions_is_read_as_curl_reads_it() {
    let asks = |except: &str, host: &str| {
        let proxy = Proxy::of(&caller(&[
            ("HTTPS_PROXY", "http://p"),
            ("no_proxy", except),
        ]))
        .unwrap()
        .unwrap();
        proxy.is_for(host, 443)
    };
    for except in [
        "*",
        "a.example",
        ".example",
        "example",
        "*.example",
        "x, A.EXAMPLE",
        "a.example:443",
    ] {
        assert!(!asks(except, "a.example"), "{except}");
    }
    for except in [
        "",
        ",",
        "ample",
        "b.example",
        "a.example.org",
        "a.example:80",
        "10.0.0.0/8",
    ] {
        assert!(asks(except, "a.example"), "{except}");
    }
}

#[test]
fn certificates_are_named_without_links_and_only_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let real = std::fs::canonicalize(dir.path()).unwrap();
    std::fs::write(real.join("own.pem"), "").unwrap();
    std::os::unix::fs::symlink("own.pem", real.join("link.pem")).unwrap();
    let (link, own) = (real.join("link.pem"), real.join("own.pem"));
    let directories = format!("/no/such:{}", real.display());
    let caller = caller(&[
        ("PIP_CERT", link.to_str().unwrap()),
        ("SSL_CERT_DIR", &directories),
        ("SSL_CERT_FILE", "/no/such.pem"),
        ("CURL_CA_BUNDLE", "relative.pem"),
    ]);
    assert_eq!(
        certificates(&caller),
        [("SSL_CERT_DIR", vec![real]), ("PIP_CERT", vec![own])]
    );
}
