//! Every case of who, which commit, and which plan.

use super::*;
use crate::id::Sha256;
use crate::plan::{Bot, Commands, Permission};

const ME: u64 = 1;
const HERE: u64 = 700;
const HEAD: char = 'a';
const OTHER: char = 'b';

fn account(id: u64, login: &str) -> Account {
    Account {
        id,
        login: login.to_owned(),
        bot: login.ends_with("[bot]"),
    }
}

fn me() -> Account {
    account(ME, "omk-app[bot]")
}

fn commands(permission: Permission) -> Commands {
    Commands {
        permission,
        bots: vec![Bot {
            login: "renovate[bot]".to_owned(),
            id: 29_139_614,
        }],
    }
}

/// An answer without rights one by one, as some forges give.
fn words(permission: &str, role_name: Option<&str>) -> PermissionAnswer {
    PermissionAnswer {
        permission: permission.to_owned(),
        role_name: role_name.map(str::to_owned),
        ..PermissionAnswer::default()
    }
}

/// What GitHub says of its own roles: the coarse word, the role, and the rights.
fn role(name: &str) -> PermissionAnswer {
    let (permission, level) = match name {
        "admin" => ("admin", 4),
        "maintain" => ("write", 3),
        "write" => ("write", 2),
        "triage" => ("read", 1),
        "read" => ("read", 0),
        "none" => ("none", 0),
        other => panic!("{other} is no role of GitHub's"),
    };
    let rights = Rights {
        triage: level >= 1,
        push: level >= 2,
        maintain: level >= 3,
        admin: level >= 4,
    };
    PermissionAnswer {
        rights: Some(rights),
        ..words(permission, Some(name))
    }
}

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn at(millis: i64) -> Moment {
    Moment::from_millis(1_780_000_000_000 + millis)
}

fn comment(body: &str) -> Comment {
    let url = "https://example.com/c".to_owned();
    let author = Some(account(7, "jane"));
    Comment {
        id: 5,
        author,
        body: body.to_owned(),
        created: at(10_000),
        updated: at(10_000),
        url,
    }
}

fn pull() -> PullRequest {
    let side = |branch: &str, digit| PullSide {
        branch: branch.to_owned(),
        commit: commit(digit),
        repository: Some(HERE),
    };
    PullRequest {
        number: 12,
        open: true,
        head: side("feature", HEAD),
        base: side("main", 'c'),
        url: "https://example.com/12".to_owned(),
        author: Some(account(7, "jane")),
        merged: false,
        body: String::new(),
    }
}

#[test]
fn rights_one_by_one_decide_where_they_are_listed() {
    let check = |name, expect| assert_eq!(granted(&role(name)), expect, "{name}");
    check("none", None);
    check("read", None);
    check("triage", Some(Permission::Triage));
    check("write", Some(Permission::Write));
    check("maintain", Some(Permission::Maintain));
    check("admin", Some(Permission::Admin));
}

#[test]
fn words_decide_only_where_no_rights_are_listed() {
    let check = |permission, role, expect| {
        assert_eq!(
            granted(&words(permission, role)),
            expect,
            "{permission} {role:?}"
        )
    };
    check("admin", None, Some(Permission::Admin));
    check("admin", Some("admin"), Some(Permission::Admin));
    check("write", None, Some(Permission::Write));
    check("write", Some("write"), Some(Permission::Write));
    check("write", Some("maintain"), Some(Permission::Maintain));
    check("read", Some("triage"), Some(Permission::Triage));
    check("read", None, None);
    check("read", Some("read"), None);
    check("none", None, None);
    check("", None, None);
    // What a role is called is no right, nor is a word that contradicts it.
    check("read", Some("release-captain"), None);
    check("read", Some("admin"), None);
    check("read", Some("maintain"), None);
    check("none", Some("triage"), None);
    check("none", Some("maintain"), None);
    check("write", Some("release-captain"), Some(Permission::Write));
    check("Write", None, None);
    check("push", Some("write"), None);
    check("owner", Some("owner"), None);
    // Rights that are listed and empty are not looked for elsewhere.
    let bare = PermissionAnswer {
        rights: Some(Rights::default()),
        ..words("admin", Some("admin"))
    };
    assert_eq!(granted(&bare), None);
}

#[test]
fn a_custom_role_is_what_its_rights_are() {
    let custom = |rights| PermissionAnswer {
        rights: Some(rights),
        ..words("read", Some("release-captain"))
    };
    let push = Rights {
        triage: true,
        push: true,
        ..Rights::default()
    };
    assert_eq!(granted(&custom(push)), Some(Permission::Write));
    assert_eq!(
        granted(&custom(Rights {
            maintain: true,
            ..push
        })),
        Some(Permission::Maintain)
    );
    assert_eq!(
        granted(&custom(Rights {
            triage: true,
            ..Rights::default()
        })),
        Some(Permission::Triage)
    );
    assert_eq!(granted(&custom(Rights::default())), None);
}

#[test]
fn everybody_may_what_their_permission_reaches() {
    let asked = [
        Permission::Triage,
        Permission::Write,
        Permission::Maintain,
        Permission::Admin,
    ];
    let table = [
        ("none", [false, false, false, false]),
        ("read", [false, false, false, false]),
        ("triage", [true, false, false, false]),
        ("write", [true, true, false, false]),
        ("maintain", [true, true, true, false]),
        // An owner of the organisation is an admin of each of its repositories.
        ("admin", [true, true, true, true]),
    ];
    for (name, expect) in table {
        for (needs, expect) in asked.into_iter().zip(expect) {
            let answer = role(name);
            let verdict = may(
                &commands(needs),
                Some(&account(7, "jane")),
                &me(),
                Some(&answer),
            );
            let refusal = Refusal::Permission {
                login: "jane".to_owned(),
                needs,
                said: Some(name.to_owned()),
            };
            assert_eq!(
                verdict,
                if expect { Ok(()) } else { Err(refusal) },
                "{name} where {needs:?} is needed"
            );
        }
    }
}

#[test]
fn somebody_whom_the_forge_does_not_know_may_nothing() {
    let verdict = may(
        &commands(Permission::Triage),
        Some(&account(7, "mallory")),
        &me(),
        None,
    );
    let needs = Permission::Triage;
    assert_eq!(
        verdict,
        Err(Refusal::Permission {
            login: "mallory".to_owned(),
            needs,
            said: None
        })
    );
    assert_eq!(
        may(&commands(needs), None, &me(), Some(&role("admin"))),
        Err(Refusal::Gone)
    );
}

#[test]
fn a_bot_may_only_by_login_and_number() {
    let check = |login: &str, id, expect: bool| {
        // Even where the forge says that they may write.
        let verdict = may(
            &commands(Permission::Write),
            Some(&account(id, login)),
            &me(),
            Some(&role("admin")),
        );
        let refusal = Refusal::Bot {
            login: login.to_owned(),
            id,
        };
        assert_eq!(
            verdict,
            if expect { Ok(()) } else { Err(refusal) },
            "{login} {id}"
        );
    };
    check("renovate[bot]", 29_139_614, true);
    check("renovate[bot]", 29_139_615, false);
    check("Renovate[bot]", 29_139_614, false);
    check("dependabot[bot]", 29_139_614, false);
    check("dependabot[bot]", 49_699_333, false);
    // One that the forge forgot to call a bot, and one that has no such name.
    let sly = Account {
        bot: false,
        ..account(9, "sly[bot]")
    };
    assert!(
        may(
            &commands(Permission::Write),
            Some(&sly),
            &me(),
            Some(&role("admin"))
        )
        .is_err()
    );
    let plain = Account {
        bot: true,
        ..account(9, "plain")
    };
    assert!(
        may(
            &commands(Permission::Write),
            Some(&plain),
            &me(),
            Some(&role("admin"))
        )
        .is_err()
    );
}

#[test]
fn our_own_comments_are_refused_in_silence() {
    let mut commands = commands(Permission::Triage);
    commands.bots.push(Bot {
        login: me().login,
        id: ME,
    });
    for author in [
        me(),
        account(ME, "renamed[bot]"),
        account(99, "OMK-app[bot]"),
    ] {
        let refusal = may(&commands, Some(&author), &me(), Some(&role("admin"))).unwrap_err();
        assert_eq!(refusal, Refusal::Ours, "{author:?}");
        assert!(refusal.is_silent());
    }
    assert!(!Refusal::Edited.is_silent());
}

#[test]
fn an_edited_comment_never_counts() {
    let mut edited = comment("/omk run");
    assert_eq!(unedited(&edited), Ok(()));
    edited.updated = at(11_000);
    assert_eq!(unedited(&edited), Err(Refusal::Edited));
    edited.updated = at(9_000);
    assert_eq!(unedited(&edited), Err(Refusal::Edited));
}

#[test]
fn only_heads_of_this_repository_are_run() {
    let check = |repository, expect| {
        let mut pull = pull();
        pull.head.repository = repository;
        assert_eq!(same_repository(&pull, HERE), expect, "{repository:?}");
    };
    check(Some(HERE), Ok(()));
    check(Some(HERE + 1), Err(Refusal::Fork));
    check(None, Err(Refusal::HeadGone));
}

#[test]
fn a_closed_pull_request_is_left_alone() {
    let check = |open, merged, expect| {
        assert_eq!(
            is_open(&PullRequest {
                open,
                merged,
                ..pull()
            }),
            expect
        )
    };
    check(true, false, Ok(()));
    check(false, false, Err(Refusal::Closed { merged: false }));
    check(false, true, Err(Refusal::Closed { merged: true }));
}

#[test]
fn a_base_branch_counts_if_it_is_the_default_one_or_protected() {
    let check = |branch: &str, protected: Option<bool>, expect: bool| {
        let mut pull = pull();
        pull.base.branch = branch.to_owned();
        let base = protected.map(|protected| ForgeBranch {
            commit: commit('c'),
            protected,
        });
        let default_branch = "main".to_owned();
        let refusal = Refusal::Base {
            branch: branch.to_owned(),
            default_branch,
        };
        let verdict = base_is_trusted(&pull, "main", base.as_ref());
        assert_eq!(
            verdict,
            if expect { Ok(()) } else { Err(refusal) },
            "{branch} {protected:?}"
        );
    };
    check("main", Some(true), true);
    check("main", Some(false), true);
    check("main", None, true);
    check("release", Some(true), true);
    check("release", Some(false), false);
    check("release", None, false);
    check("Main", Some(false), false);
    check("feature-of-mallory", Some(false), false);
}

#[test]
fn the_head_is_pinned_by_the_newest_record_of_a_push() {
    // The comment is of second 10.
    let check = |pushes: &[(char, i64)], expect: Result<(), Unpinned>| {
        let pushes: Vec<Push> = pushes
            .iter()
            .map(|&(digit, millis)| Push {
                after: commit(digit),
                at: at(millis),
            })
            .collect();
        let mut comment = comment("/omk run");
        comment.created = at(10_300);
        let verdict = pinned(&pull(), &pushes, &comment, None);
        let refused = |why| Refusal::Unpinned {
            head: commit(HEAD),
            why,
        };
        assert_eq!(
            verdict,
            expect.map(|()| commit(HEAD)).map_err(refused),
            "{pushes:?}"
        );
    };
    check(&[(HEAD, 9_000)], Ok(()));
    check(&[(HEAD, 9_999)], Ok(()));
    check(&[(HEAD, 9_000), (OTHER, 1_000)], Ok(()));
    check(&[(HEAD, 9_000), (HEAD, 1_000)], Ok(()));
    check(&[], Err(Unpinned::NoRecord));
    check(&[(HEAD, 10_000)], Err(Unpinned::SameSecond));
    check(&[(HEAD, 10_200)], Err(Unpinned::SameSecond));
    check(&[(HEAD, 10_999)], Err(Unpinned::SameSecond));
    check(&[(HEAD, 11_000), (OTHER, 1_000)], Err(Unpinned::Later));
    // Away from the head and back: the newest push decides, however old another one of the same
    // commit is.
    check(
        &[(HEAD, 60_000), (OTHER, 50_000), (HEAD, 1_000)],
        Err(Unpinned::Later),
    );
    check(&[(OTHER, 9_000), (HEAD, 1_000)], Err(Unpinned::OtherCommit));
    check(&[(OTHER, 9_000)], Err(Unpinned::OtherCommit));
    // The branch was deleted.
    check(&[('0', 9_000), (HEAD, 1_000)], Err(Unpinned::OtherCommit));
    // In whatever order the records come, and where one second holds two.
    check(&[(HEAD, 1_000), (OTHER, 9_000)], Err(Unpinned::OtherCommit));
    check(&[(HEAD, 9_000), (OTHER, 9_000)], Err(Unpinned::OtherCommit));
    check(&[(OTHER, 9_000), (HEAD, 9_000)], Err(Unpinned::OtherCommit));
}

#[test]
fn a_named_commit_must_be_the_head() {
    let comment = comment("/omk run");
    // Whatever the records say: the person saw that very commit.
    let pushes = [Push {
        after: commit(HEAD),
        at: at(60_000),
    }];
    for pushes in [&pushes[..], &[]] {
        assert_eq!(
            pinned(&pull(), pushes, &comment, Some(&commit(HEAD))),
            Ok(commit(HEAD))
        );
        let refusal = Refusal::NotTheHead {
            named: commit(OTHER),
            head: commit(HEAD),
        };
        assert_eq!(
            pinned(&pull(), pushes, &comment, Some(&commit(OTHER))),
            Err(refusal)
        );
    }
}

#[test]
fn a_plan_is_approved_by_unedited_comments_that_name_its_digest() {
    let plan = Sha256::of(b"the plan");
    let digits = plan.as_str().to_owned();
    let check = |body: &str, expect: bool| {
        let comments = [comment(body)];
        assert_eq!(
            approved_by(&plan, &comments).len(),
            usize::from(expect),
            "{body:?}"
        );
    };
    check(&format!("/omk approve {digits}"), true);
    check(&format!("/omk approve {}", &digits[..12]), true);
    check(
        &format!("Fine.\r\n\r\n/omk approve {}\r\n/omk run", &digits[..20]),
        true,
    );
    check(&format!("/omk approve {}", &digits[..11]), false);
    check(&format!("/omk approve {}", digits.to_uppercase()), false);
    check(&format!("/omk approve {}", &digits[1..30]), false);
    check(
        &format!("/omk approve {}", Sha256::of(b"another plan")),
        false,
    );
    check(&format!("/omk approve {digits}0"), false);
    check(&format!("/omk approve {digits} {digits}"), false);
    check(&format!("> /omk approve {digits}"), false);
    check(&format!("```\n/omk approve {digits}\n```"), false);
    check(&format!("I would not write /omk approve {digits}"), false);
    check("/omk approve", false);
}

#[test]
fn each_approval_is_judged_anew() {
    let plan = Sha256::of(b"the plan");
    let body = format!("/omk approve {plan}");
    let by = |id, login: &str| Comment {
        id,
        author: Some(account(id, login)),
        ..comment(&body)
    };
    let mut edited = by(8, "editor");
    edited.updated = at(20_000);
    let gone = Comment {
        author: None,
        ..comment(&body)
    };
    let mut comments = vec![
        by(7, "jane"),
        edited,
        gone,
        by(9, "demoted"),
        by(ME, "omk-app[bot]"),
    ];
    let judged = |comments: &[Comment]| -> Vec<u64> {
        let now = |login: &str| role(if login == "demoted" { "read" } else { "write" });
        let counts = |comment: &&&Comment| {
            let answer = comment.author.as_ref().map(|author| now(&author.login));
            may(
                &commands(Permission::Write),
                comment.author.as_ref(),
                &me(),
                answer.as_ref(),
            )
            .is_ok()
        };
        approved_by(&plan, comments)
            .iter()
            .filter(counts)
            .map(|comment| comment.id)
            .collect()
    };
    assert_eq!(judged(&comments), [7]);
    // To delete it is to take it back.
    comments.remove(0);
    assert_eq!(judged(&comments), [0; 0]);
}

#[test]
fn a_refusal_in_a_log_cannot_leave_its_line() {
    let login = "x\n::error::y\u{1b}[2J".to_owned();
    let needs = Permission::Write;
    for refusal in [
        Refusal::Permission {
            login: login.clone(),
            needs,
            said: Some(login.clone()),
        },
        Refusal::Bot {
            login: login.clone(),
            id: 1,
        },
        Refusal::Base {
            branch: login,
            default_branch: "main".to_owned(),
        },
    ] {
        let line = refusal.words(crate::text::ForgeKind::GitHub);
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
    }
}
