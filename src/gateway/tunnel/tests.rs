//! Tests of `gateway::tunnel`.

use super::route::{in_words, is_elsewhere, is_public};
use super::*;
use std::io::ErrorKind;
use tokio::io::AsyncReadExt as _;

#[test]
fn only_a_connect_to_a_name_is_understood() {
    let asked = TunnelRequest::parse(
        "CONNECT Example.COM.:443 HTTP/1.1\r\nproxy-authorization: Basic eA==\r\n\r\n",
    );
    let wanted = TunnelRequest {
        host: "example.com".into(),
        port: 443,
        credentials: Some("Basic eA==".into()),
    };
    assert_eq!(asked, Ok(wanted));
    for bad in [
        "GET http://a/ HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT a:b HTTP/1.1",
        "CONNECT :1 HTTP/1.1",
        "",
    ] {
        assert!(TunnelRequest::parse(bad).is_err(), "{bad}");
    }
    for plain in [
        "http://a.example",
        "http://a.example:80/",
        "http://A.example./x",
        "http://a.example?x",
    ] {
        let refused = NotCarried::PlainHttp("a.example".into());
        assert_eq!(
            TunnelRequest::parse(&format!("GET {plain} HTTP/1.1\r\n\r\n")),
            Err(refused),
            "{plain}"
        );
    }
}

#[test]
fn names_that_lead_back_are_not_followed() {
    for back in [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fe80::1",
        "::",
    ] {
        assert!(!is_elsewhere(back.parse().unwrap()), "{back}");
    }
    for out in ["192.0.2.1", "93.184.216.34", "2606:2800::1"] {
        assert!(is_elsewhere(out.parse().unwrap()), "{out}");
    }
    // Without sending anything, the machine says from which of its addresses it would.
    let ours = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if ours.connect("192.0.2.1:9").is_ok() {
        let own = ours.local_addr().unwrap().ip();
        assert!(!is_elsewhere(own), "{own}");
    }
}

fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A connection to the tunnel on which that was sent.
async fn begun(tunnel: &Tunnel, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", tunnel.port()))
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn said(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

/// A request for a host by the child that knows the token.
fn request(tunnel: &Tunnel, to: &str) -> String {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("omk:{}", tunnel.token));
    format!("CONNECT {to} HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n")
}

#[tokio::test]
async fn every_refusal_of_the_tunnel_says_why() {
    let tunnel = Tunnel::start(hosts(&["a.localhost"]), None).await.unwrap();
    let closed = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let heads = [
        "CONNECT a.localhost:443 HTTP/1.1\r\n\r\n".to_owned(),
        "CONNECT a.localhost:443 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n\r\n".to_owned(),
        request(&tunnel, "b.example:443"),
        request(&tunnel, "xa.localhost:443"),
        request(&tunnel, "a.localhost"),
        "GET http://b.example/ HTTP/1.1\r\n\r\n".to_owned(),
        request(&tunnel, &format!("A.localhost.:{closed}")),
    ];
    let mut told = Vec::new();
    for head in heads {
        told.push(
            said(begun(&tunnel, &head).await)
                .await
                .replace("\r\n", "\n"),
        );
    }
    insta::assert_snapshot!(told.join("---\n"), @r#"
        HTTP/1.1 407 Proxy Authentication Required
        Proxy-Authenticate: Basic realm="omk"
        Content-Type: text/plain
        Content-Length: 33
        Connection: close

        omk: this way is another child's
        ---
        HTTP/1.1 407 Proxy Authentication Required
        Proxy-Authenticate: Basic realm="omk"
        Content-Type: text/plain
        Content-Length: 33
        Connection: close

        omk: this way is another child's
        ---
        HTTP/1.1 403 Forbidden
        Content-Type: text/plain
        Content-Length: 61
        Connection: close

        omk: refused b.example: the plan's network does not allow it
        ---
        HTTP/1.1 403 Forbidden
        Content-Type: text/plain
        Content-Length: 64
        Connection: close

        omk: refused xa.localhost: the plan's network does not allow it
        ---
        HTTP/1.1 400 Bad Request
        Content-Type: text/plain
        Content-Length: 37
        Connection: close

        omk: CONNECT takes a host and a port
        ---
        HTTP/1.1 403 Forbidden
        Content-Type: text/plain
        Content-Length: 87
        Connection: close

        omk: refused http://b.example: only https is carried to the hosts that the plan allows
        ---
        HTTP/1.1 502 Bad Gateway
        Content-Type: text/plain
        Content-Length: 56
        Connection: close

        omk: failed to reach a.localhost: nothing listens there
        "#);
    assert_eq!(
        tunnel.refused(),
        ["b.example", "http://b.example", "xa.localhost"]
    );
    assert_eq!(tunnel.unreached(), ["a.localhost (nothing listens there)"]);
}

#[tokio::test]
async fn an_allowed_host_is_reached_and_its_earlier_failure_forgotten() {
    let host = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = host.local_addr().unwrap().port();
    let tunnel = Tunnel::start(hosts(&["a.localhost"]), None).await.unwrap();
    tunnel
        .shared
        .remember_unreached("a.localhost", Some("it does not answer"));
    let mut child = begun(&tunnel, &request(&tunnel, &format!("a.localhost:{port}"))).await;
    let (mut there, _) = host.accept().await.unwrap();
    child.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    there.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    there.write_all(b"bye").await.unwrap();
    drop(there);
    assert_eq!(
        said(child).await,
        "HTTP/1.1 200 Connection established\r\n\r\nbye"
    );
    assert_eq!(
        (tunnel.refused(), tunnel.unreached()),
        (Vec::new(), Vec::new())
    );
}

#[tokio::test]
async fn a_tunnel_says_where_it_leads_and_never_its_token() {
    for (name, leads_here) in [
        ("a.localhost", true),
        ("a.b.localhost", true),
        ("localhost.example", false),
        ("notlocalhost.example", false),
    ] {
        let tunnel = Tunnel::start(hosts(&["b.example", name]), None)
            .await
            .unwrap();
        assert_eq!(
            (tunnel.leads_here(), is_below_localhost(name)),
            (leads_here, leads_here),
            "{name}"
        );
        let shown = format!("{tunnel:?}");
        let tells = [name, &tunnel.port().to_string()]
            .iter()
            .all(|part| shown.contains(part));
        assert!(tells && !shown.contains(&tunnel.token), "{shown}");
    }
    assert!(!is_below_localhost("notlocalhost") && !is_below_localhost("localhost"));
}

#[tokio::test]
async fn as_many_hosts_are_remembered_as_anybody_reads() {
    let tunnel = Tunnel::start(Vec::new(), None).await.unwrap();
    for at in 0..REMEMBERED + 2 {
        tunnel.shared.remember(&format!("{at:03}"));
        tunnel
            .shared
            .remember_unreached(&format!("{at:03}"), Some("gone"));
    }
    assert_eq!(
        (tunnel.refused().len(), tunnel.unreached().len()),
        (REMEMBERED, REMEMBERED)
    );
    assert_eq!(
        tunnel.unreached().last().map(String::as_str),
        Some("049 (gone)")
    );
    // The last reason of one that is known, and room for one more once another was reached.
    tunnel.shared.remember_unreached("000", Some("slow"));
    assert_eq!(
        (tunnel.unreached()[0].as_str(), tunnel.unreached().len()),
        ("000 (slow)", REMEMBERED)
    );
    tunnel.shared.remember_unreached("000", None);
    tunnel.shared.remember_unreached("099", Some("gone"));
    assert_eq!(
        tunnel.unreached().last().map(String::as_str),
        Some("099 (gone)")
    );
}

#[test]
fn why_there_is_no_connection_is_put_into_words() {
    let kinds = [
        ErrorKind::ConnectionRefused,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::TimedOut,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::Other,
    ];
    let mut told: Vec<String> = kinds.map(|kind| in_words(&kind.into())).into();
    // "Too many open files" is the machine's own word.
    told.push(in_words(&std::io::Error::from_raw_os_error(24)));
    insta::assert_snapshot!(told.join("\n"), @"
        nothing listens there
        no way leads there
        no way leads there
        it does not answer
        the connection broke off
        the connection broke off
        its name is not known here
        the connection failed
        ");
}

#[tokio::test]
async fn a_proxy_of_the_machine_is_asked_and_its_answer_put_into_words() {
    let mut told = Vec::new();
    for answer in [
        "HTTP/1.1 200 fine\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 407 who are you\r\n\r\n",
        "HTTP/1.1 503 no\r\n\r\n",
        "SSH-2.0 hello\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 2",
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut asked, _) = listener.accept().await.unwrap();
            let head = read_head(&mut asked).await.unwrap();
            asked.write_all(answer.as_bytes()).await.unwrap();
            head
        });
        let address = format!("http://127.0.0.1:{port}");
        let caller = [("https_proxy".into(), address.into())]
            .into_iter()
            .collect();
        let proxy = Proxy::of(&caller).unwrap().unwrap();
        let ends = connect("b.example", 443, Some(&proxy)).await;
        assert_eq!(
            serving.await.unwrap(),
            "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n"
        );
        let ends = ends.map_or_else(|why| why, |_| "connected".to_owned());
        told.push(ends.replace(&port.to_string(), "PORT"));
    }
    insta::assert_snapshot!(told.join("\n"), @"
        connected
        connected
        the proxy 127.0.0.1:PORT of this machine wants another login: it answered 407
        the proxy 127.0.0.1:PORT of this machine answered 503
        the proxy 127.0.0.1:PORT of this machine answered something else than HTTP
        the proxy 127.0.0.1:PORT of this machine answered something else than HTTP
        the proxy 127.0.0.1:PORT of this machine broke off
        ");
}

#[test]
fn only_addresses_that_lead_somewhere_are_public() {
    for not in [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.1.1",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!is_public(not.parse().unwrap()), "{not}");
    }
    for public in ["192.0.2.1", "10.0.0.1", "2606:2800::1", "fd00::1"] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
}
