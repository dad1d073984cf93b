//! A network of a few names: what a child asks its proxy for, and what it asks around it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use omk_action::plan::RoomLevel;

use super::battery::yards;
use super::ordinary;
use super::whole::had;
use crate::world::World;

/// Each way to somewhere else, as the first bytes to the proxy. `PORT` is a service of this machine
/// that is not allowed.
const ASKED: [(&str, &str); 20] = [
    ("another host", "CONNECT other.example:443 HTTP/1.1\\r\\n"),
    ("an address", "CONNECT 127.0.0.1:PORT HTTP/1.1\\r\\n"),
    ("an address of IPv6", "CONNECT [::1]:PORT HTTP/1.1\\r\\n"),
    (
        "a mapped address",
        "CONNECT [::ffff:127.0.0.1]:PORT HTTP/1.1\\r\\n",
    ),
    (
        "an address as a number",
        "CONNECT 2130706433:PORT HTTP/1.1\\r\\n",
    ),
    (
        "an address in octal",
        "CONNECT 0177.0.0.1:PORT HTTP/1.1\\r\\n",
    ),
    ("a short address", "CONNECT 127.1:PORT HTTP/1.1\\r\\n"),
    (
        "this machine by name",
        "CONNECT localhost:PORT HTTP/1.1\\r\\n",
    ),
    (
        "this machine by a longer name",
        "CONNECT localhost.:PORT HTTP/1.1\\r\\n",
    ),
    (
        "the address of metadata",
        "CONNECT 169.254.169.254:80 HTTP/1.1\\r\\n",
    ),
    (
        "a name below the allowed one",
        "CONNECT evil.allowed.example:443 HTTP/1.1\\r\\n",
    ),
    (
        "a name that ends like it",
        "CONNECT notallowed.example:443 HTTP/1.1\\r\\n",
    ),
    (
        "a name that begins like it",
        "CONNECT allowed.example.evil.example:443 HTTP/1.1\\r\\n",
    ),
    (
        "a user before the host",
        "CONNECT allowed.example@localhost:PORT HTTP/1.1\\r\\n",
    ),
    (
        "a host in a header",
        "CONNECT other.example:443 HTTP/1.1\\r\\nHost: allowed.example:443\\r\\n",
    ),
    (
        "a whole address",
        "GET http://127.0.0.1:PORT/ HTTP/1.1\\r\\nHost: allowed.example\\r\\n",
    ),
    (
        "two requests in one",
        "GET / HTTP/1.1\\r\\n\\r\\nCONNECT 127.0.0.1:PORT HTTP/1.1\\r\\n",
    ),
    (
        "a zero byte in the name",
        "CONNECT localhost\\0.allowed.example:PORT HTTP/1.1\\r\\n",
    ),
    (
        "a line end in the name",
        "CONNECT allowed.example\\n127.0.0.1:PORT HTTP/1.1\\r\\n",
    ),
    (
        "two ports",
        "CONNECT allowed.example:443:PORT HTTP/1.1\\r\\n",
    ),
];

/// Asks for each, and around the proxy, and prints what came of it.
const SCRIPT: &str = r#"
import base64, json, os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
def ask(text):
    with socket.create_connection((proxy.hostname, proxy.port), 5) as way:
        way.settimeout(5)
        way.sendall((text + f"Proxy-Authorization: Basic {login}\r\n\r\n").encode() + b"heard\n")
        return way.recv(100).split(b"\r\n")[0].decode(errors="replace")
for name, text in json.load(open("asked.json")):
    try:
        print(name, "=", ask(text), flush=True)
    except OSError as reason:
        print(name, "=", reason, flush=True)
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).sendall(b"heard\n")
    print("around the proxy = 200", flush=True)
except OSError as reason:
    print("around the proxy =", reason, flush=True)
"#;

fn asked_at(level: RoomLevel) {
    use std::io::Read as _;
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port().to_string();
    let world = World::below(&yards()).env("OMK_ROOM_AT_MOST", &level.to_string());
    let texts = ASKED.map(|(name, text)| {
        let text = text
            .replace("PORT", &port)
            .replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\0", "\0");
        (name, text)
    });
    world.write("asked.json", &serde_json::to_string(&texts).unwrap());
    world.write("ask.py", SCRIPT);
    world.plan(&format!(
        "room: {{ network: {{ tasks: {{ allow: [allowed.example] }} }} }}\n\
         tasks: [{{ id: one, run: 'python3 ask.py {port} > said.txt', write_set: [said.txt], \
         retry_policy: {{ max_attempts: 0 }} }}]\n"
    ));
    world.run().exits(0);
    if !had(
        level,
        &std::fs::read_to_string(world.run_dir().join("journal.jsonl")).unwrap(),
    ) {
        return;
    }
    let said = world.shows("omk/run/story", "said.txt");
    assert_eq!(said.lines().count(), ASKED.len() + 1, "{said}");
    // The proxy is there, and says no.
    assert!(
        said.lines().filter(|line| line.contains(" 403")).count() >= 5,
        "{said}"
    );
    let through: Vec<&str> = said.lines().filter(|line| line.contains(" 200")).collect();
    assert!(through.is_empty(), "{said}");
    // Nobody spoke to the service, whatever the proxy answered.
    service.set_nonblocking(true).unwrap();
    let heard = service.accept().map(|(mut speaker, _)| {
        let mut text = String::new();
        speaker.read_to_string(&mut text).unwrap_or_default()
    });
    assert!(heard.is_err(), "{heard:?}: {said}");
}

#[test]
fn a_sealed_room_with_a_few_names_reaches_no_others() {
    asked_at(RoomLevel::Sealed);
    ordinary::user_passes("escape::names::a_sealed_room_with_a_few_names_reaches_no_others");
}

#[test]
fn under_landlock_a_few_names_reach_no_others() {
    asked_at(RoomLevel::Landlock);
    ordinary::user_passes("escape::names::under_landlock_a_few_names_reach_no_others");
}
