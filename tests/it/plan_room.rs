//! What a plan says of the room that children work in, and what people read where it says it wrong.

use omk_action::plan::{self, Network, Room, RoomLevel};
use omk_action::report::preview::Preview;

use crate::plan::sound;

fn complaints(text: &str) -> String {
    match plan::parse(text.as_bytes(), "omk.yaml", "my-project") {
        Ok(plan) => panic!("it was read: {plan:?}"),
        Err(complaints) => complaints.render(),
    }
}

#[test]
fn a_room_is_read_key_by_key_over_its_defaults() {
    let room = |text: &str| {
        sound(&format!(
            "version: 1\nroom: {text}\ntasks: [{{ id: a, run: x }}]\n"
        ))
        .room
    };
    assert_eq!(room("{}"), Room::default());
    assert_eq!(room("{ level: best }"), Room::default());
    for (word, level) in [
        ("sealed", RoomLevel::Sealed),
        ("landlock", RoomLevel::Landlock),
        ("none", RoomLevel::None),
    ] {
        assert_eq!(
            room(&format!("{{ level: {word} }}")),
            Room {
                least: Some(level),
                ..Room::default()
            }
        );
    }
    let networks = room("{ network: { gates: none } }").network;
    assert_eq!(
        (networks.agent, networks.gates, networks.tasks),
        (Network::Model, Network::None, Network::Open)
    );
    let networks = room("{ network: { agent: { allow: [Docs.RS] } } }").network;
    assert_eq!(networks.agent.to_string(), "only docs.rs");
}

#[test]
fn rooms_that_cannot_be_meant_are_named() {
    let check = |fields: &str, expect: &str| {
        let said = complaints(&format!(
            "version: 1\n{fields}\ntasks: [{{ id: a, run: x }}]\n"
        ));
        assert_eq!(
            said.lines().next(),
            Some(format!("error: {expect}").as_str()),
            "{fields}"
        );
    };
    check(
        "room: sealed",
        "`room` must be a map of keys, but this is text",
    );
    check("room: { level: tight }", "`level` cannot be `tight`");
    check(
        "room: { docker: 1 }",
        "`docker` must be `true` or `false`, but this is a number",
    );
    check(
        "room: { network: open }",
        "`network` of `room` is a map: agents, gates and tasks differ",
    );
    check(
        "room: { network: { agents: open } }",
        "`network` of `room` has no key `agents`",
    );
    check(
        "room: { network: { gates: model } }",
        "`gates` cannot be `model`: only an agent has a model",
    );
    check(
        "room: { network: { tasks: [example.com] } }",
        "`tasks` must be a network, but this is a list",
    );
    check(
        "room: { network: { tasks: } }",
        "`tasks` must be a network, but this is nothing",
    );
    check(
        "room: { network: { tasks: { alow: [x] } } }",
        "`tasks` has no key `alow`",
    );
    check(
        "room: { network: { tasks: { allow: [] } } }",
        "`tasks` allows no host",
    );
    check(
        "room: { network: { tasks: { allow: example.com } } }",
        "`allow` must be a list, but this is text",
    );
    check(
        "room: { network: { tasks: { allow: [1] } } }",
        "`allow` must be text, but without quotes this is a number",
    );
    check(
        "gates: [{ id: t, run: t, network: model }]",
        "`network` cannot be `model`: only an agent has a model",
    );
    check(
        "defaults: { network: none }",
        "`defaults` has no key `network`",
    );
}

#[test]
fn every_mistake_of_a_network_says_what_to_write() {
    let text = "version: 1
room:
  network: { agent: none, gates: example.com, tasks: { allow: ['https://Example.com/api', '*.rs', 10.0.0.1] } }
gates: [{ id: test, run: test, network: opne }]
tasks:
  - { id: a, prompt: x, network: none }
  - { id: b, run: x, network: model }
  - { id: c, run: x, network: { allow: [bücher.example, localhost, a_b, ' '] } }
  - { id: d, prompt: x, network: [docs.rs] }
";
    insta::assert_snapshot!(complaints(text), @"
    error: `agent` cannot be `none`: an agent can do nothing without its model
      --> omk.yaml:3:21
      3 |   network: { agent: none, gates: example.com, tasks: { allow: ['https://Example.com/api', '*.rs', 10…
        |                     ^^^^ write `model`

    error: `gates` cannot be `example.com`
      --> omk.yaml:3:34
      3 |   network: { agent: none, gates: example.com, tasks: { allow: ['https://Example.com/api', '*.rs', 10…
        |                                  ^^^^^^^^^^^ write `{ allow: [example.com] }`

    error: `https://Example.com/api` is more than the name of a host
      --> omk.yaml:3:64
      3 | …e, gates: example.com, tasks: { allow: ['https://Example.com/api', '*.rs', 10.0.0.1] } }
        |                                          ^^^^^^^^^^^^^^^^^^^^^^^^^ write only `example.com`

    error: `*.rs` holds a wildcard
      --> omk.yaml:3:91
      3 | …s: { allow: ['https://Example.com/api', '*.rs', 10.0.0.1] } }
        |                                          ^^^^^^ write each name by itself, like `example.com` and `cdn.example.com`

    error: `10.0.0.1` is an IP address
      --> omk.yaml:3:99
      3 | …ow: ['https://Example.com/api', '*.rs', 10.0.0.1] } }
        |                                          ^^^^^^^^ write the name that programs ask for, like `example.com`

    error: `network` cannot be `opne`
      --> omk.yaml:4:41
      4 | gates: [{ id: test, run: test, network: opne }]
        |                                         ^^^^ did you mean `open`?

    error: `network` cannot be `none`: an agent can do nothing without its model
      --> omk.yaml:6:34
      6 |   - { id: a, prompt: x, network: none }
        |                                  ^^^^ write `model`

    error: `network` cannot be `model`: only an agent has a model
      --> omk.yaml:7:31
      7 |   - { id: b, run: x, network: model }
        |                               ^^^^^ write `none`

    error: `bücher.example` is not in the form that DNS takes
      --> omk.yaml:8:41
      8 |   - { id: c, run: x, network: { allow: [bücher.example, localhost, a_b, ' '] } }
        |                                         ^^^^^^^^^^^^^^ write it in ASCII, as `xn--…`

    error: `localhost` is this machine itself
      --> omk.yaml:8:57
      8 |   - { id: c, run: x, network: { allow: [bücher.example, localhost, a_b, ' '] } }
        |                                                         ^^^^^^^^^ remove it: children have a loopback of their own

    error: `a_b` is not the name of a host
      --> omk.yaml:8:68
      8 |   - { id: c, run: x, network: { allow: [bücher.example, localhost, a_b, ' '] } }
        |                                                                    ^^^ write a name like `example.com`

    error: ` ` is empty
      --> omk.yaml:8:73
      8 |   - { id: c, run: x, network: { allow: [bücher.example, localhost, a_b, ' '] } }
        |                                                                         ^^^ write a name like `example.com`

    error: `network` must be a network, but this is a list
      --> omk.yaml:9:34
      9 |   - { id: d, prompt: x, network: [docs.rs] }
        |                                  ^^^^^^^^^ write `none`, `model`, `open`, or `{ allow: [example.com] }` with the names of hosts
    ");
}

#[test]
fn a_task_whose_room_is_not_the_usual_one_says_so_in_a_word_or_two() {
    let preview = Preview::of(&sound(
        "version: 1\nroom: { network: { tasks: none } }\n\
         tasks:\n  - { id: a, run: x }\n  - { id: b, run: x, network: open }\n  - { id: c, prompt: x }\n  \
         - { id: d, prompt: x, network: open }\n  - { id: e, prompt: x, network: { allow: [docs.rs, example.com] } }\n",
    ));
    let text = preview.terminal();
    let table: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("priority"))
        .take(6)
        .collect();
    insta::assert_snapshot!(table.join("\n"), @"
       task  priority  executions  room          after  name
    1  a            0  up to 3     no network
    2  b            0  up to 3
    3  c            0  up to 3
    4  d            0  up to 3     open network
    5  e            0  up to 3     2 hosts
    ");
    let rooms: Vec<Option<&str>> = preview
        .tasks
        .iter()
        .map(|task| task.room.as_deref())
        .collect();
    assert_eq!(
        rooms,
        [
            Some("no network"),
            None,
            None,
            Some("open network"),
            Some("2 hosts")
        ]
    );
}
