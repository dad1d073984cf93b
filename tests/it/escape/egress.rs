//! A machine that reaches the network only through a proxy, or trusts authorities of its own: what
//! children get of that.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::registries::{Registries, authority};
use super::work::world;
use crate::e2e_world;
use crate::model::{Model, Turn};
use crate::world::World;

/// What the proxy answers to a plain request: the list of a provider's models.
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"kimi-k3","object":"model","context_length":1048576}]}"#;

/// Fetches a page, and writes down the answer's status and the proxies in the environment.
const FETCH: &str = r#"
import os, sys, urllib.error, urllib.request
try: print(urllib.request.urlopen(sys.argv[1], timeout=60).status)
except urllib.error.HTTPError as answer: print(answer.code)
except OSError as error: print(error)
for name in sorted(os.environ):
    if "PROXY" in name.upper(): print(name)
"#;

/// A proxy of this machine, until it is dropped. Wherever a client wants to go, it leads to one
/// port.
struct Proxy {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, over) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let proxy = Self {
            port,
            heard: Arc::clone(&heard),
            over: Arc::clone(&over),
        };
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let heard = Arc::clone(&heard);
                // Who breaks off is not answered.
                std::thread::spawn(move || drop(carry(client, to, &heard)));
            }
        });
        proxy
    }

    fn address(&self, login: &str) -> String {
        format!("http://{login}127.0.0.1:{}", self.port)
    }

    /// The heads of all requests.
    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn carry(mut client: TcpStream, to: u16, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let connects = head.starts_with("CONNECT ");
    heard.lock().unwrap().push(head);
    if !connects {
        let length = MODELS.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        return client.write_all((head + MODELS).as_bytes());
    }
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    client.write_all(b"HTTP/1.1 200 fine\r\n\r\n")?;
    let (mut from, mut into) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        into.shutdown(std::net::Shutdown::Write)
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = up.join();
    Ok(())
}

/// What a broken proxy of this machine leaves in the run, and what people read.
fn behind(proxy: &str) -> String {
    let world = World::with(
        "room: { network: { tasks: { allow: [provider.example] } } }\n\
         tasks:\n  - { id: one, retry_policy: { max_attempts: 0 }, run: \"python3 -c 'import urllib.request as r; \
         r.urlopen(\\\"https://provider.example/\\\", timeout=20)'\" }\n",
    );
    let world = world.env("HTTPS_PROXY", proxy);
    let said = world.run().exits(1);
    let told = said
        .out
        .split("; its network ")
        .nth(1)
        .unwrap_or_else(|| panic!("{}", said.out))
        .lines()
        .next()
        .unwrap();
    assert!(
        !format!("{}{}", said.out, said.err).contains("network refused"),
        "{}",
        said.out
    );
    assert!(
        world.report()["tasks"][0]["unreached_hosts"][0]
            .as_str()
            .unwrap()
            .starts_with("provider.example (")
    );
    told.to_owned()
}

#[test]
fn a_proxy_that_does_not_work_is_named_and_is_no_refusal() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let told = behind(&format!("http://127.0.0.1:{free}"));
    assert_eq!(
        told,
        format!(
            "could not reach provider.example (the proxy 127.0.0.1:{free} of this machine is not reached: nothing listens there)"
        )
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 1024];
            let _ = client.read(&mut head);
            let _ = client.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            );
        }
    });
    let told = behind(&format!("http://me:secret@127.0.0.1:{port}"));
    assert_eq!(
        told,
        format!(
            "could not reach provider.example (the proxy 127.0.0.1:{port} of this machine wants another login: it answered 407)"
        )
    );
}

/// Fetches a page of `provider.example`, which only a proxy knows, in a command and a gate with
/// that network.
fn fetch(world: &World, network: &str) -> String {
    world.write("fetch.py", FETCH);
    let run = "python3 fetch.py https://provider.example/page";
    world.plan(&format!(
        "room: {{ network: {{ tasks: {network}, gates: {network} }} }}\n\
         env: {{ SSL_CERT_FILE: {} }}\n\
         gates: [{{ id: fetch, run: '{run} | diff - one.txt' }}]\n\
         tasks: [{{ id: one, run: '{run} > one.txt', write_set: [one.txt], gates: [fetch], \
         retry_policy: {{ max_attempts: 0 }} }}]\n",
        authority()
    ));
    let said = world.run().exits(0);
    let notes = said.err.lines().filter(|line| line.starts_with("note: "));
    format!(
        "{} {}",
        world.shows("omk/run/story", "one.txt").replace('\n', " "),
        notes.collect::<String>()
    )
    .trim()
    .to_owned()
}

/// Whether any file of the newest run has that text in it.
fn left_in_run(world: &World, text: &str) -> bool {
    let mut stack = vec![world.run_dir()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                stack.push(entry.path());
            } else if String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).contains(text)
            {
                return true;
            }
        }
    }
    false
}

#[test]
fn hosts_that_the_plan_allows_are_reached_through_the_callers_proxy() {
    let world = world();
    let registries = Registries::start(&world);
    let proxy = Proxy::start(registries.port());
    let world = world
        .env("HTTPS_PROXY", &proxy.address("me:hush%40hush@"))
        .env("NO_PROXY", "other.example");
    // The stand-in has no such host; but it has the certificate, and so it answers.
    let said = fetch(&world, "{ allow: [provider.example] }");
    assert_eq!(
        said,
        "421 HTTPS_PROXY HTTP_PROXY NODE_USE_ENV_PROXY NO_PROXY http_proxy https_proxy no_proxy"
    );
    let heard = proxy.heard();
    assert!(
        heard.contains("CONNECT provider.example:443 HTTP/1.1\r\n"),
        "{heard}"
    );
    // `me:hush@hush`, which no child has.
    assert_eq!(
        heard
            .matches("Proxy-Authorization: Basic bWU6aHVzaEBodXNo\r\n")
            .count(),
        2,
        "{heard}"
    );
    assert!(!left_in_run(&world, "hush") && !left_in_run(&world, "bWU6aHVzaEBodXNo"));
}

#[test]
fn a_host_that_the_plan_does_not_allow_never_reaches_the_callers_proxy() {
    let world = world();
    let proxy = Proxy::start(9);
    let world = world
        .env("HTTPS_PROXY", &proxy.address(""))
        .env("ALL_PROXY", &proxy.address(""));
    let said = fetch(&world, "{ allow: [other.example] }");
    assert!(said.contains("403"), "{said}");
    let said = fetch(&world, "none");
    assert!(!said.contains("PROXY"), "{said}");
    assert_eq!(proxy.heard(), "");
}

#[test]
fn a_child_with_an_open_network_finds_the_callers_proxy_and_no_password() {
    let world = world();
    let registries = Registries::start(&world);
    let proxy = Proxy::start(registries.port());
    let plain = world.env("https_proxy", &proxy.address(""));
    let said = fetch(&plain, "open");
    assert_eq!(said, "421 NO_PROXY https_proxy no_proxy");
    assert_eq!(
        proxy
            .heard()
            .matches("CONNECT provider.example:443")
            .count(),
        2,
        "{}",
        proxy.heard()
    );
    // The last one counts.
    let with_login = plain.env("https_proxy", &proxy.address("me:hush-hush@"));
    let said = fetch(&with_login, "open");
    let (_, note) = said.split_once(" note: ").unwrap();
    assert_eq!(
        note,
        "children do not get https_proxy, which holds a login; omk logs in for them where the plan has `network: { allow: [HOST] }`"
    );
    assert_eq!(said.matches("proxy").count(), 1, "{said}");
    assert!(!left_in_run(&with_login, "hush-hush"), "{said}");
}

#[test]
fn a_proxy_that_omk_cannot_speak_to_stops_what_needs_it() {
    let world = world().env("HTTPS_PROXY", "socks5://me:hush-hush@127.0.0.1:9");
    world.plan(
        "room: { network: { tasks: { allow: [provider.example] } } }\n\
         tasks: [{ id: one, run: echo 1 > one.txt, write_set: [one.txt] }]\n",
    );
    let said = world
        .run()
        .exits(3)
        .says("failed to use the proxy in HTTPS_PROXY: omk speaks only to one of");
    assert!(
        !said.out.contains("hush") && !said.err.contains("hush"),
        "{said:?}"
    );
}

#[tokio::test]
async fn omk_itself_asks_the_models_provider_through_the_callers_proxy() {
    let place = World::new();
    let registries = Registries::start(&place);
    let proxy = Proxy::start(registries.port());
    let rest = "tasks: [{ id: one, prompt: do one, write_set: [one.txt] }]\n";
    // By http the proxy gets the whole address.
    let model = Model::start(Vec::new()).await;
    let mut world = e2e_world::World::new(&model, rest).await;
    world.rewrite_plan(|plan| plan.replace(&model.base_url, "http://provider.example/v1"));
    let mut omk = world.omk(&["agent", "check"]);
    omk.env("HTTP_PROXY", proxy.address("me:hush-hush@"));
    let ended = world.end_of(omk).await;
    assert!(ended.code == Some(0), "{ended:?}");
    let heard = proxy.heard().to_lowercase();
    assert!(
        heard.starts_with("get http://provider.example/v1/models http/1.1\r\n"),
        "{heard}"
    );
    assert!(
        heard.contains("proxy-authorization: basic bwu6ahvzac1odxno\r\n"),
        "{heard}"
    );
    // By https it gets a CONNECT, and the provider's certificate is from the authority that the
    // caller trusts.
    world.rewrite_plan(|plan| plan.replace("http://provider", "https://provider"));
    let mut omk = world.omk(&["agent", "check"]);
    omk.env("HTTPS_PROXY", proxy.address(""))
        .env("SSL_CERT_FILE", authority());
    let ended = world.end_of(omk).await;
    assert_eq!(registries.asked(), "GET /v1/models\n", "{ended:?}");
}

#[tokio::test]
async fn an_agent_with_an_open_network_asks_its_model_without_the_callers_proxy() {
    let bash = e2e_world::bash("test -n \"$HTTP_PROXY\" && echo 1 > one.txt");
    let model = Model::start(vec![("do one", vec![bash, Turn::Say("done")])]).await;
    let proxy = Proxy::start(9);
    let rest = "room: { network: { agent: open } }\n\
        tasks: [{ id: one, prompt: do one, write_set: [one.txt], retry_policy: { max_attempts: 0 } }]\n";
    let world = e2e_world::World::new(&model, rest).await;
    let mut omk = world.omk(&["run"]);
    omk.env("HTTP_PROXY", proxy.address(""))
        .env("HTTPS_PROXY", proxy.address(""))
        .env("NODE_USE_ENV_PROXY", "1");
    let ended = world.end_of(omk).await;
    assert_eq!(world.attempts("one"), "changed", "{ended:?}");
    assert!(
        !proxy.heard().contains("completions") && model.asked().len() >= 2,
        "{}",
        proxy.heard()
    );
}

#[test]
fn a_child_reads_the_callers_certificates_and_nothing_beside_them() {
    let names = [
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "CARGO_HTTP_CAINFO",
        "PIP_CERT",
    ];
    let mut world = world();
    let certificates = world.dir().join("home/certificates");
    std::fs::create_dir_all(certificates.join("all")).unwrap();
    for name in ["own.pem", "other.pem", "all/a.pem"] {
        std::fs::copy(authority(), certificates.join(name)).unwrap();
    }
    for name in names {
        world = world.env(name, certificates.join("own.pem").to_str().unwrap());
    }
    world = world.env("SSL_CERT_DIR", certificates.join("all").to_str().unwrap());
    let run = format!(
        "for name in {}; do eval file=\\$$name; grep -q BEGIN \"$file\" || exit 1; \
         if echo x 2>/dev/null >> \"$file\"; then exit 2; fi; done; grep -q BEGIN \"$SSL_CERT_DIR/a.pem\" || exit 3; \
         test ! -e \"$SSL_CERT_DIR/../other.pem\" || exit 4",
        names.join(" ")
    );
    let plan = "gates: [{ id: look, run: sh look.sh }]\n\
         tasks: [{ id: one, run: sh look.sh && echo 1 > one.txt, write_set: [one.txt], gates: [look], \
         retry_policy: { max_attempts: 0 } }]\n";
    world.write("look.sh", &run);
    world.plan(plan);
    world.run().exits(0);
}

#[test]
fn a_certificate_in_the_checkout_stops_nothing_and_is_no_childs() {
    let world = world();
    let own = world.repo().join("own.pem");
    std::fs::copy(authority(), &own).unwrap();
    let world = world.env("SSL_CERT_FILE", own.to_str().unwrap());
    world.plan(
        "tasks: [{ id: one, run: 'test -z \"$SSL_CERT_FILE\" && echo 1 > one.txt', write_set: [one.txt], \
         retry_policy: { max_attempts: 0 } }]\n",
    );
    world.run().exits(0);
}
