//! Tests of `report::checkup`.

use super::*;

fn room(
    level: RoomLevel,
    why_not: Option<&str>,
    least: Option<RoomLevel>,
    kernel: &Kernel,
) -> String {
    let demand = least.map_or(Demand::Nothing, Demand::Level);
    Checkup {
        points: vec![Point::room(level, why_not, demand, kernel)],
    }
    .terminal()
}

#[test]
fn all_there_is_all_ok() {
    let points = vec![
        Point::ok("git", "git version 2.47.3"),
        Point::ok("agent", "Kimi Code CLI 2.1.0"),
        Point::room(
            RoomLevel::Sealed,
            None,
            Demand::Level(RoomLevel::Sealed),
            &Kernel::default(),
        ),
    ];
    let checkup = Checkup { points };
    assert!(checkup.can_start());
    insta::assert_snapshot!(checkup.terminal(), @"
        ok       git    git version 2.47.3
        ok       agent  Kimi Code CLI 2.1.0
        ok       room   level sealed: children neither see nor reach anything outside

        a run can start
        ");
    insta::assert_snapshot!(checkup.json(), @r#"
        {
          "can_start": true,
          "checks": [
            {
              "check": "git",
              "state": "ok",
              "found": "git version 2.47.3",
              "next": []
            },
            {
              "check": "agent",
              "state": "ok",
              "found": "Kimi Code CLI 2.1.0",
              "next": []
            },
            {
              "check": "room",
              "state": "ok",
              "found": "level sealed: children neither see nor reach anything outside",
              "next": []
            }
          ]
        }
        "#);
}

#[test]
fn what_is_missing_says_what_to_do() {
    let points = vec![
        Point::missing(
            "git",
            "there is no `git` on PATH",
            vec!["install git".to_owned()],
        ),
        Point::warn(
            "agent",
            "there is no `rg` on PATH",
            vec!["install ripgrep".to_owned()],
        ),
        Point::missing(
            "key",
            "the variable K\u{202e}EY is\n::error::not set",
            vec!["set it".to_owned()],
        ),
    ];
    let checkup = Checkup { points };
    assert!(!checkup.can_start());
    insta::assert_snapshot!(checkup.terminal(), @"
        missing  git    there is no `git` on PATH
                        - install git
        warn     agent  there is no `rg` on PATH
                        - install ripgrep
        missing  key    the variable K[U+202E]EY is ::error::not set
                        - set it

        a run cannot start: 2 things are missing
        ");
    assert!(
        checkup.json().contains(r#""can_start": false"#)
            && checkup.json().contains(r#""state": "missing""#)
    );
}

#[test]
fn no_line_is_wider_than_a_screen_but_for_a_command_to_copy() {
    let long =
        "words that go on and on until they reach the end of the line and then some more of them";
    let command = format!("run `{} --flag` first", "x".repeat(90));
    let points = vec![Point::warn("agent", long, vec![long.to_owned(), command])];
    insta::assert_snapshot!(Checkup { points }.terminal(), @"
        warn     agent  words that go on and on until they reach the end of the line and
                        then some more of them
                        - words that go on and on until they reach the end of the line
                          and then some more of them
                        - run
                          `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --flag`
                          first

        a run can start, with 1 warning
        ");
}

#[test]
fn a_toolchain_that_is_not_installed_comes_with_the_command() {
    let missing = Point::toolchain("rust-toolchain.toml", "1.80.0", false);
    let there = Point::toolchain("rust-toolchain.toml", "1.80.0", true);
    insta::assert_snapshot!(Checkup { points: vec![missing, there] }.terminal(), @"
        warn     rustup  rust-toolchain.toml asks for 1.80.0, which is not installed;
                         children cannot install it
                         - install it before a run: `rustup toolchain install 1.80.0`
        ok       rustup  1.80.0, as rust-toolchain.toml asks

        a run can start, with 1 warning
        ");
}

#[test]
fn a_room_says_what_would_make_a_better_one() {
    let kernel = |release: &str| Kernel {
        release: release.to_owned(),
        ..Kernel::default()
    };
    let ubuntu = Kernel {
        apparmor_restricts: true,
        ..kernel("6.8.0-31-generic")
    };
    let why = Some("a namespace of users: Permission denied");
    insta::assert_snapshot!(room(RoomLevel::Landlock, why, None, &ubuntu), @"
        warn     room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - allow namespaces:
                         `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`

        a run can start, with 1 warning
        ");
    let docker = Kernel {
        container: true,
        ..ubuntu.clone()
    };
    insta::assert_snapshot!(room(RoomLevel::Landlock, why, Some(RoomLevel::Sealed), &docker), @"
        missing  room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - start the container with
                         `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`
                       - allow namespaces:
                         `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`,
                         on the container's host
                       - or set `room.level` of the plan, which demands `sealed`, to
                         `landlock`

        a run cannot start: 1 thing is missing
        ");
    let off = Kernel {
        namespaces_off: true,
        ..kernel("6.1.0")
    };
    insta::assert_snapshot!(room(RoomLevel::Landlock, why, Some(RoomLevel::Landlock), &off), @"
        warn     room  level landlock: children cannot write elsewhere, but read, and
                       reach other processes' sockets
                       - why not more: a namespace of users: Permission denied
                       - not held: metadata, network seen, private files, processes
                         seen, scheduling of processes (not as root), shared memory,
                         sockets by name, terminals; SECURITY.md explains each
                       - allow namespaces: set `kernel.unprivileged_userns_clone` to 1,
                         and `user.max_user_namespaces` to 10000

        a run can start, with 1 warning
        ");
    let old = Some("this kernel has no Landlock");
    insta::assert_snapshot!(room(RoomLevel::None, old, None, &kernel("5.4.0")), @"
        warn     room  level none: children can do all that you can
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0

        a run can start, with 1 warning
        ");
    insta::assert_snapshot!(room(RoomLevel::None, old, Some(RoomLevel::Landlock), &kernel("5.4.0")), @"
        missing  room  level none: children can do all that you can
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0
                       - or set `room.level` of the plan, which demands `landlock`, to
                         `none`

        a run cannot start: 1 thing is missing
        ");
    assert!(room(RoomLevel::Landlock, None, None, &ubuntu).starts_with("ok "));
    let closed = Point::room(
        RoomLevel::None,
        old,
        Demand::ClosedNetwork,
        &kernel("5.4.0"),
    );
    insta::assert_snapshot!(Checkup { points: vec![closed] }.terminal(), @"
        missing  room  level none: children can do all that you can; the plan closes the
                       network of a task or gate, and such a room cannot
                       - why not more: this kernel has no Landlock
                       - Landlock needs Linux 5.13 or newer with `landlock` in
                         /sys/kernel/security/lsm; this is 5.4.0
                       - or accept rooms that close no network: `room: { level: none }`
                         in the plan

        a run cannot start: 1 thing is missing
        ");
}
