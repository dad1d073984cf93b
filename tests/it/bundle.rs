//! Bundles between jobs: the good one, and one for each way to lie with its directory, its journal,
//! and what it is about.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use omk_action::bundle::{self, BundleLimits, BundleRefused, FileClaim, Opened, Upload};
use omk_action::fact::{Fact, Order, RunVerdict};
use omk_action::id::{CommitId, Sha256, TaskId};
use omk_action::journal::{self, Damage, Line};
use omk_action::request::{Ask, Request};

use crate::bundle_world::{DIAMOND, ONE, Ran, chained, claim, put};
use crate::world::World;

#[test]
fn a_bundle_replaces_an_earlier_one_and_nothing_else() {
    let ran = Ran::new(ONE);
    ran.admit(&ran.bundle()).unwrap();
    let dir = ran.bundle();
    ran.admit(&dir).unwrap();
    let refs = ran.world.git(&[
        "-C",
        ran.clone().to_str().unwrap(),
        "for-each-ref",
        "--format=%(refname)",
        "refs/omk",
    ]);
    let below = format!("refs/omk/bundle-in/{}", ran.request.run);
    assert_eq!(
        refs,
        format!("{below}/result\n{below}/task/one"),
        "what was admitted is kept under the run's name"
    );
    std::fs::remove_file(dir.join("bundle.json")).unwrap();
    let engine = journal::replay(Arc::clone(&ran.plan), &ran.lines()).unwrap();
    let error = bundle::write(
        &dir,
        &ran.repo(),
        &ran.run_dir(),
        &engine,
        Upload::State,
        &BundleLimits::default(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("something that is not a bundle lies there"),
        "{error}"
    );
}

#[test]
fn what_the_model_said_is_only_in_a_full_bundle() {
    let ran = Ran::new(ONE);
    for name in ["transcripts/one/1.jsonl", "cassette/one/0-0.json"] {
        let path = ran.run_dir().path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "said").unwrap();
    }
    let dir = ran.bundle();
    assert!(
        dir.join("logs/one/1/command.log").is_file()
            && dir.join("proofs/run.result.json").is_file()
    );
    assert!(!dir.join("transcripts").exists() && !dir.join("cassette").exists());
    let engine = journal::replay(Arc::clone(&ran.plan), &ran.lines()).unwrap();
    bundle::write(
        &dir,
        &ran.repo(),
        &ran.run_dir(),
        &engine,
        Upload::Full,
        &BundleLimits::default(),
    )
    .unwrap();
    assert!(
        dir.join("transcripts/one/1.jsonl").is_file()
            && dir.join("cassette/one/0-0.json").is_file()
    );
    ran.admit(&dir).unwrap();
}

#[test]
fn what_an_earlier_run_of_the_scope_left_may_have_been_asked_for_by_others_but_not_of_another_plan_or_tree()
 {
    let later =
        "  - { id: later, run: 'true', write_set: [later.txt], when: { events: [schedule] } }\n";
    let ran = Ran::new(&format!("{ONE}{later}"));
    let dir = ran.bundle();
    // A later commit with the same files, and other tasks, asked for by somebody else.
    ran.world
        .git(&["commit", "--quiet", "--allow-empty", "--message", "again"]);
    let mut request = Request {
        base: ran.world.rev("HEAD").parse().unwrap(),
        ..ran.request.clone()
    };
    request.run = "20200101t000000z-000000".parse().unwrap();
    request.trigger.actor = "somebody".to_owned();
    request.ask = Ask::Run {
        tasks: vec!["later".parse().unwrap()],
    };
    let admit = |request: &Request| {
        let opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
        bundle::admit_earlier(&ran.repo(), opened, request, &ran.request.run, &ran.plan)
    };
    assert_eq!(admit(&request).unwrap().landed.len(), 1);
    let refuses = |request: &Request, about: &str| {
        let refused = admit(request).unwrap_err();
        assert!(
            matches!(&refused, BundleRefused::OtherRun { what, .. } if *what == about),
            "{refused}"
        );
    };
    refuses(
        &Request {
            scope: "pr-7".parse().unwrap(),
            ..request.clone()
        },
        "scope",
    );
    ran.world.write("a.txt", "changed\n");
    refuses(
        &Request {
            base: ran.world.commit("changed").parse().unwrap(),
            ..request.clone()
        },
        "base's tree",
    );
    request.plan.digest = Sha256::of(b"other");
    refuses(&request, "plan");
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let path = dir.join("bundle.json");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"plan.yaml\"", "\"logs/../../plan.yaml\"");
    std::fs::write(&path, text).unwrap();
    let refused = ran.refused(&dir);
    assert!(
        matches!(refused, BundleRefused::Manifest { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("logs/../../plan.yaml"),
        "{refused}"
    );
}

#[test]
fn links_pipes_and_strange_files_in_the_directory_are_refused() {
    let ran = Ran::new(ONE);
    let refused = |spoil: &dyn Fn(&Path)| {
        let _ = std::fs::remove_dir_all(ran.world.dir().join("bundle"));
        let dir = ran.bundle();
        spoil(&dir);
        ran.refused(&dir)
    };
    let link = |name: &'static str| {
        move |dir: &Path| {
            let _ = std::fs::remove_file(dir.join(name));
            symlink("/etc/passwd", dir.join(name)).unwrap();
        }
    };
    for name in ["journal.jsonl", "plan.yaml", "logs/x.log", "bundle.json"] {
        let refused = refused(&link(name));
        assert!(
            matches!(&refused, BundleRefused::NotPlain { name: found, .. } if found == name),
            "{name}: {refused}"
        );
    }
    let refused_directory = refused(&|dir| {
        std::fs::rename(dir.join("logs"), dir.join("../logs-elsewhere")).unwrap();
        symlink("../logs-elsewhere", dir.join("logs")).unwrap();
    });
    assert!(
        matches!(&refused_directory, BundleRefused::NotPlain { name, .. } if name == "logs"),
        "{refused_directory}"
    );
    for name in ["logs/pipe", "plan.yaml", "bundle.json"] {
        let refused = refused(&|dir| {
            let _ = std::fs::remove_file(dir.join(name));
            rustix::fs::mkfifoat(rustix::fs::CWD, dir.join(name), rustix::fs::Mode::RUSR).unwrap();
        });
        assert!(
            matches!(&refused, BundleRefused::NotPlain { name: found, .. } if found == name),
            "{name}: {refused}"
        );
    }
    for name in [
        "hooks/post-checkout",
        "config",
        ".git/config",
        "logs/.hidden",
        "proofs/x.sh",
        "cassette/one/0-0.json",
    ] {
        let refused = refused(&|dir| {
            std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.join(name), "x").unwrap();
        });
        // A directory that no bundle has is not looked into.
        let is_it = |found: &str| name == found || name.starts_with(&format!("{found}/"));
        assert!(
            matches!(&refused, BundleRefused::StrangeName { name: found } if is_it(found)),
            "{name}: {refused}"
        );
    }
    std::fs::remove_dir_all(ran.world.dir().join("bundle")).unwrap();
    let whole = ran.bundle();
    symlink(&whole, ran.world.dir().join("link")).unwrap();
    assert!(matches!(
        ran.refused(&ran.world.dir().join("link")),
        BundleRefused::Io { .. }
    ));
}

#[test]
fn a_file_that_is_not_what_the_manifest_says_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let text = std::fs::read_to_string(dir.join("report.md")).unwrap();
    std::fs::write(dir.join("report.md"), text.replacen("ready", "READY", 1)).unwrap();
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, BundleRefused::Changed { name, what: "digest" } if name == "report.md"),
        "{refused}"
    );
    std::fs::remove_file(dir.join("report.md")).unwrap();
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, BundleRefused::Missing { name } if name == "report.md"),
        "{refused}"
    );
}

#[test]
fn ten_gigabytes_are_refused_before_they_are_read() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let log = std::fs::File::create(dir.join("logs/large.log")).unwrap();
    log.set_len(10 << 30).unwrap();
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, BundleRefused::TooLarge { found, .. } if *found == 10 << 30),
        "{refused}"
    );
    let huge = FileClaim {
        name: "logs/large.log".parse().unwrap(),
        bytes: 10 << 30,
        sha256: Sha256::of(b""),
    };
    claim(&dir, |manifest| manifest.files.push(huge));
    let is_too_large = |refused: BundleRefused, of: &str| {
        assert!(
            matches!(&refused, BundleRefused::TooLarge { what, .. } if what.contains(of)),
            "{refused}"
        );
    };
    is_too_large(ran.refused(&dir), "logs/large.log");
    std::fs::remove_file(dir.join("logs/large.log")).unwrap();
    // A claim alone is enough.
    is_too_large(ran.refused(&dir), "logs/large.log");
    let few = BundleLimits {
        files: 3,
        ..BundleLimits::default()
    };
    is_too_large(bundle::open(&ran.bundle(), &few).unwrap_err(), "files");
}

#[test]
fn another_scope_another_run_another_base_and_another_plan_are_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let admit = |change: &dyn Fn(&mut Request)| {
        let mut request = ran.request.clone();
        change(&mut request);
        let opened: Opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
        bundle::admit(&ran.repo(), opened, &request, &ran.plan).unwrap_err()
    };
    let parent: CommitId = ran.world.rev("main~1").parse().unwrap();
    let cases: [(&str, &dyn Fn(&mut Request)); 5] = [
        ("scope", &|request| request.scope = "pr-7".parse().unwrap()),
        ("run", &|request| {
            request.run = "20200101t000000z-000000".parse().unwrap()
        }),
        ("base", &|request| request.base = parent.clone()),
        ("plan", &|request| {
            request.plan.digest = Sha256::of(b"other")
        }),
        ("actor", &|request| {
            request.trigger.actor = "somebody".to_owned()
        }),
    ];
    for (about, change) in cases {
        let refused = admit(change);
        assert!(
            matches!(&refused, BundleRefused::OtherRun { what, .. } if *what == about),
            "{about}: {refused}"
        );
    }
}

#[test]
fn a_journal_that_was_torn_cut_or_bent_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let journal = std::fs::read(dir.join("journal.jsonl")).unwrap();
    let last = ran.lines().len() as u64;
    put(&dir, "journal.jsonl", &journal[..journal.len() - 20]);
    let refused = ran.refused(&dir);
    let torn = |damage: &Damage| damage.line == last && damage.what == "it ends too early";
    assert!(
        matches!(&refused, BundleRefused::Damaged(damage) if torn(damage)),
        "{refused}"
    );
    put(&dir, "journal.jsonl", &journal[..journal.len() - 1]);
    let refused = ran.refused(&dir);
    let unended =
        |damage: &Damage| damage.line == last && damage.what == "it ends without a newline";
    assert!(
        matches!(&refused, BundleRefused::Damaged(damage) if unended(damage)),
        "{refused}"
    );
    let bent = String::from_utf8(journal.clone())
        .unwrap()
        .replacen("one.txt", "two.txt", 1);
    put(&dir, "journal.jsonl", bent.as_bytes());
    let refused = ran.refused(&dir);
    let unchained = |damage: &Damage| damage.line > 1 && damage.what.contains("`prev` differs");
    assert!(
        matches!(&refused, BundleRefused::Damaged(damage) if unchained(damage)),
        "{refused}"
    );
    put(&dir, "journal.jsonl", b"");
    assert!(matches!(ran.refused(&dir), BundleRefused::NotBegun));
    // Whole lines cut off its end are no damage: the run has not come to its end, and nothing
    // landed.
    let lines: Vec<Line> = ran.lines().into_iter().take(2).collect();
    put(&dir, "journal.jsonl", &chained(&lines));
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, BundleRefused::Contradiction { what: "result" }),
        "{refused}"
    );
}

#[test]
fn a_verdict_that_was_flipped_helps_nobody() {
    let ran = Ran::new(&ONE.replace("echo 1 > one.txt", "echo 1 > one.txt; exit 1"));
    let dir = ran.bundle();
    let report = String::from_utf8(std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    put(
        &dir,
        "report.json",
        report.replace("not_ready", "ready").as_bytes(),
    );
    let (said, judgement) = ran.judged(&dir);
    assert_eq!(
        judgement.unwrap().verdict,
        RunVerdict::NotReady,
        "{}",
        said.err
    );
    let mut lines = ran.lines();
    for order in lines.iter_mut().flat_map(|line| &mut line.orders) {
        if let Order::Conclude { verdict } = order {
            *verdict = RunVerdict::Ready;
        }
    }
    put(&dir, "journal.jsonl", &chained(&lines));
    let refused = ran.admit(&dir).unwrap_err();
    assert!(matches!(refused, BundleRefused::Illegal(_)), "{refused}");
    let (said, judgement) = ran.judged(&dir);
    assert_eq!((said.code, judgement), (1, None));
    said.says("does not follow from the plan")
        .says("hint: look at what the job that ran the agent did");
}

#[test]
fn a_gate_that_was_removed_from_the_bundles_plan_runs_all_the_same() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    put(
        &dir,
        "plan.yaml",
        b"version: 1\nname: story\ntasks:\n  - { id: one, run: \"true\" }\n",
    );
    let (_, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!(
        (judgement.verdict, judgement.gates.len()),
        (RunVerdict::Ready, 1)
    );
    // A whole run by another plan, said to be by this one, gives other orders.
    let other = World::with(
        &ONE.replace(
            "gates: [{ id: test, run: \"test -e one.txt && test ! -e bad\" }]",
            "",
        )
        .replace(", gates: [test]", ""),
    );
    other.run();
    let other = Ran::of(other);
    let dir = other.bundle();
    let mut lines = other.lines();
    if let Fact::Began(began) = &mut lines[0].fact {
        began.plan.digest = ran.request.plan.digest.clone();
    }
    put(&dir, "journal.jsonl", &chained(&lines));
    let request = Request {
        plan: ran.request.plan.clone(),
        ..other.request.clone()
    };
    let opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
    let refused = bundle::admit(&other.repo(), opened, &request, &ran.plan).unwrap_err();
    assert!(matches!(refused, BundleRefused::Illegal(_)), "{refused}");
}

#[test]
fn a_base_whose_tree_is_not_its_commits_is_refused_as_that() {
    let ran = Ran::new(ONE);
    let (base, result) = (ran.world.tree("main"), ran.world.tree("omk/run/story"));
    // Between such a base and the result there is no difference that a write set could be held
    // against.
    let refused = ran.refused(&ran.dressed(&[(&base, &result)]));
    assert!(
        matches!(
            &refused,
            BundleRefused::OtherRun {
                what: "base's tree",
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_state_bundle_that_names_what_the_model_said_is_refused() {
    for name in ["cassette/one/0-0.json", "transcripts/one/1.jsonl"] {
        let ran = Ran::new(ONE);
        let dir = ran.bundle();
        put(&dir, name, b"said");
        let refused = ran.refused(&dir);
        assert!(
            matches!(&refused, BundleRefused::StrangeName { name: found } if found == name),
            "{name}: {refused}"
        );
        claim(&dir, |manifest| manifest.upload = Upload::Full);
        ran.admit(&dir).expect("in a full bundle it has its place");
    }
}

#[test]
fn a_run_that_was_triggered_otherwise_than_the_request_says_is_refused_as_that() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let refused = |change: &dyn Fn(&mut Request)| {
        let mut request = ran.request.clone();
        change(&mut request);
        let opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
        bundle::admit(&ran.repo(), opened, &request, &ran.plan).unwrap_err()
    };
    let actor = refused(&|request| request.trigger.actor = "somebody".to_owned());
    assert!(
        matches!(&actor, BundleRefused::OtherRun { what: "actor", .. }),
        "{actor}"
    );
    let event = refused(&|request| request.trigger.event = omk_action::plan::Event::Schedule);
    assert!(
        matches!(&event, BundleRefused::Contradiction { what: "trigger" }),
        "{event}"
    );
    let comment = refused(&|request| request.trigger.comment = Some("https://x/1".to_owned()));
    assert!(
        matches!(&comment, BundleRefused::Contradiction { what: "trigger" }),
        "{comment}"
    );
}

#[test]
fn who_took_part_is_who_was_to() {
    let plan = DIAMOND.replace(
        "tasks:\n",
        "tasks:\n  - { id: later, run: 'true', write_set: [later.txt], when: { events: [schedule] } }\n",
    );
    let ran = Ran::new(&plan);
    let honest = ran.lines();
    let id = |name: &str| name.parse().unwrap();
    let refused = |asked: &[&str], change: &dyn Fn(&mut Vec<TaskId>)| {
        let dir = ran.bundle();
        let mut lines = honest.clone();
        let Fact::Began(began) = &mut lines[0].fact else {
            panic!("{:?}", lines[0])
        };
        change(&mut began.selected);
        put(&dir, "journal.jsonl", &chained(&lines));
        let ask = Ask::Run {
            tasks: asked.iter().map(|name| id(name)).collect(),
        };
        let request = Request {
            ask,
            ..ran.request.clone()
        };
        let opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
        match bundle::admit(&ran.repo(), opened, &request, &ran.plan).unwrap_err() {
            BundleRefused::Task { task, why } => format!("{task} {why}"),
            other => panic!("{other}"),
        }
    };
    let without = |name: &'static str| {
        move |selected: &mut Vec<TaskId>| selected.retain(|task| task.as_str() != name)
    };
    let with = |name: &'static str| move |selected: &mut Vec<TaskId>| selected.push(id(name));
    let told = [
        refused(&[], &with("ghost")),
        refused(&[], &with("left")),
        refused(&[], &without("top")),
        refused(&[], &with("later")),
        refused(&["left"], &|_| {}),
        refused(&["top"], &without("left")),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    ghost took part, and is not in the plan
    left took part twice
    top was to take part, and did not
    later took part, and its `when` names other events
    right took part, and was not asked for
    left was asked for, and took no part
    ");
}

#[test]
fn a_directory_that_a_bundle_cannot_take_is_refused_before_the_run() {
    let world = World::with(ONE);
    let taken = world.dir().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("mine"), "").unwrap();
    let said = world
        .omk(&["run", "--bundle", taken.to_str().unwrap()])
        .exits(2);
    let said = said
        .says("failed to write a bundle to")
        .says("something that is not a bundle lies there");
    said.says("name another directory, or remove it");
    assert!(world.facts().is_empty(), "nothing has run");
    let below = taken.join("mine/bundle");
    world
        .omk(&["run", "--bundle", below.to_str().unwrap()])
        .exits(2);
    assert!(world.facts().is_empty(), "nothing has run");
}
