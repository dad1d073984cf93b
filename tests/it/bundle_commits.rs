//! The commits of a bundle: one lie for each thing that they are held to.

use std::path::Path;

use omk_action::bundle::{self, BundleLimits, BundleRefused};
use omk_action::git::{BundleError, Repo};
use omk_action::request::Ask;
use omk_action::text::Advised as _;

use crate::bundle_forged::object;
use crate::bundle_world::{DIAMOND, ONE, Ran, put};
use crate::world::World;

/// A tree that differs in one entry: `mode,object,path`.
pub(crate) fn tree_with(world: &World, rev: &str, entry: &str) -> String {
    let index = world.dir().join("index");
    let git = |args: &[&str]| {
        let out = world
            .command("git")
            .args(args)
            .env("GIT_INDEX_FILE", &index)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    };
    git(&["read-tree", rev]);
    git(&["update-index", "--add", "--cacheinfo", entry]);
    git(&["write-tree"])
}

pub(crate) fn blob(world: &World, text: &str) -> String {
    let path = world.dir().join("blob");
    std::fs::write(&path, text).unwrap();
    world.git(&["hash-object", "-w", path.to_str().unwrap()])
}

/// A commit by omk with that message, tree and parents.
pub(crate) fn commit(
    world: &World,
    tree: &str,
    parents: &[&str],
    message: &str,
    author: &str,
) -> String {
    let file = world.dir().join("message");
    std::fs::write(&file, message).unwrap();
    let mut git = world.command("git");
    git.args(["commit-tree", tree, "-F", file.to_str().unwrap()]);
    for parent in parents {
        git.args(["-p", parent]);
    }
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), author);
        git.env(
            format!("GIT_{who}_EMAIL"),
            format!("{author}@users.noreply.github.com"),
        );
    }
    let out = git.output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

pub(crate) fn message(world: &World, rev: &str) -> String {
    world.git(&["log", "-1", "--format=%B", rev])
}

/// The commit again, with one more entry in its tree.
fn adding(entry: impl Fn(&World) -> String) -> impl Fn(&World, &str) -> String {
    move |world, old| {
        let tree = tree_with(world, old, &entry(world));
        commit(
            world,
            &tree,
            &[&format!("{old}^")],
            &message(world, old),
            "omk[bot]",
        )
    }
}

#[test]
fn a_commit_that_holds_a_secret_of_the_judging_job_is_refused() {
    // Put together here, so that no scanner takes it for a leak.
    let secret = ["aB3dE5gH7jK9", "mN1pQ2rS"].concat();
    let world = World::with(ONE).env("DEPLOY_TOKEN", &secret);
    world.run();
    let ran = Ran::of(world);
    // Only its tree is another one: what else a commit says is compared before.
    let dir = ran.with_commit(|world, old| {
        let raw = world
            .command("git")
            .args(["cat-file", "commit", old])
            .output()
            .unwrap()
            .stdout;
        let tree = tree_with(
            world,
            old,
            &format!("100644,{},one.txt", blob(world, &secret)),
        );
        object(
            world,
            "commit",
            String::from_utf8(raw)
                .unwrap()
                .replace(&world.tree(old), &tree)
                .as_bytes(),
        )
    });
    let said = ran
        .judge(&dir, &[])
        .exits(1)
        .says("`one.txt`: its content holds a key or a token");
    assert!(
        !said.out.contains(&secret) && !said.err.contains(&secret),
        "{said:?}"
    );
}

#[test]
fn a_commit_that_touches_what_its_task_may_not_is_refused() {
    let file = |path: &'static str| {
        move |world: &World| format!("100644,{},{path}", blob(world, "on: push\n"))
    };
    let link = |world: &World| format!("120000,{},one.txt", blob(world, "../../outside"));
    let module = |world: &World| format!("160000,{},one.txt", world.rev("HEAD"));
    let cases: [(&str, &dyn Fn(&World) -> String, &str); 5] = [
        (
            "a workflow",
            &file(".github/workflows/x.yml"),
            ".github/workflows/x.yml is protected",
        ),
        ("the plan", &file("omk.yaml"), "omk.yaml is protected"),
        (
            "elsewhere",
            &file("src/lib.rs"),
            "src/lib.rs is outside its write set",
        ),
        (
            "a link",
            &link,
            "one.txt is a symbolic link that leads out of the repository",
        ),
        ("a submodule", &module, "one.txt is a submodule"),
    ];
    // A write set that names the very path would permit a link and a submodule too.
    let ran = Ran::new(&ONE.replace("write_set: [one.txt]", "write_set: [\"*.txt\"]"));
    for (name, entry, says) in cases {
        let refused = ran.refused(&ran.with_commit(adding(entry)));
        assert!(
            matches!(refused, BundleRefused::Scope { .. }),
            "{name}: {refused}"
        );
        assert!(refused.to_string().contains(says), "{name}: {refused}");
    }
}

#[test]
fn a_commit_that_is_not_of_this_run_and_its_task_by_omk_is_refused() {
    let again = |change: &'static dyn Fn(String) -> String, author: &'static str| {
        move |world: &World, old: &str| {
            commit(
                world,
                &world.tree(old),
                &[&format!("{old}^")],
                &change(message(world, old)),
                author,
            )
        }
    };
    let cases: [(&str, &'static dyn Fn(String) -> String, &'static str, &str); 7] = [
        (
            "author",
            &|text| text,
            "somebody",
            "another author or committer",
        ),
        (
            "no trailers",
            &|_| "fix\n".to_owned(),
            "omk[bot]",
            "does not carry omk's trailers",
        ),
        (
            "task",
            &|text| {
                text.replace("Omk-Task: one", "Omk-Task: two")
                    .replace("/one", "/two")
            },
            "omk[bot]",
            "says that it is of task two",
        ),
        (
            "run",
            &|text| text.replace("Omk-Run: 20", "Omk-Run: 19"),
            "omk[bot]",
            "is of another run",
        ),
        (
            "twice",
            &|text| format!("Omk-Task: one\n\n{text}"),
            "omk[bot]",
            "each of omk's trailers once",
        ),
        (
            "proof",
            &|text| text.replace("/one", "/two"),
            "omk[bot]",
            "omk did not write",
        ),
        (
            "sign-off",
            &|text| format!("{}\nSigned-off-by: A <a@b>\n", text.trim_end()),
            "omk[bot]",
            "omk did not write",
        ),
    ];
    let ran = Ran::new(ONE);
    for (name, change, author, says) in cases {
        let refused = ran.refused(&ran.with_commit(again(change, author)));
        assert!(
            matches!(refused, BundleRefused::Commit { .. }) && refused.to_string().contains(says),
            "{name}: {refused}"
        );
    }
}

#[test]
fn commits_smuggled_below_the_result_and_merges_are_refused() {
    let smuggled = |world: &World, old: &str| {
        let tree = tree_with(
            world,
            &format!("{old}^"),
            &format!("100644,{},evil.txt", blob(world, "evil\n")),
        );
        let below = commit(
            world,
            &tree,
            &[&format!("{old}^")],
            "harmless\n",
            "omk[bot]",
        );
        let tree = tree_with(
            world,
            old,
            &format!("100644,{},evil.txt", blob(world, "evil\n")),
        );
        commit(world, &tree, &[&below], &message(world, old), "omk[bot]")
    };
    let merge = |world: &World, old: &str| {
        let base = format!("{old}^");
        let side = commit(world, &world.tree(&base), &[&base], "side\n", "omk[bot]");
        commit(
            world,
            &world.tree(old),
            &[&base, &side],
            &message(world, old),
            "omk[bot]",
        )
    };
    let root = |world: &World, old: &str| {
        commit(
            world,
            &world.tree(old),
            &[],
            &message(world, old),
            "omk[bot]",
        )
    };
    let cases: [(&str, &dyn Fn(&World, &str) -> String); 3] =
        [("below", &smuggled), ("a merge", &merge), ("a root", &root)];
    let ran = Ran::new(ONE);
    for (name, make) in cases {
        let made = std::cell::RefCell::new(String::new());
        let dir = ran.with_commit(|world, old| {
            made.replace(make(world, old));
            made.borrow().clone()
        });
        let found = ran.world.git(&["log", "-1", "--format=%P", &made.borrow()]);
        let found: Vec<&str> = found
            .split_whitespace()
            .map(|parent| &parent[..12])
            .collect();
        let found = if found.is_empty() {
            "nothing".to_owned()
        } else {
            found.join(" and ")
        };
        let says = format!(
            "is built on {found}, and not on {} alone",
            &ran.world.rev("main")[..12]
        );
        let refused = ran.refused(&dir);
        assert!(
            refused.to_string().contains(&says),
            "{name}: {refused}\n{says}"
        );
    }
}

#[test]
fn a_task_that_was_not_asked_for_is_refused() {
    let mut ran = Ran::new(DIAMOND);
    ran.request.ask = Ask::Run {
        tasks: vec!["left".parse().unwrap()],
    };
    let refused = ran.refused(&ran.bundle());
    assert!(
        matches!(&refused, BundleRefused::Task { task, .. } if task == "right"),
        "{refused}"
    );
    ran.request.ask = Ask::Run {
        tasks: vec!["top".parse().unwrap()],
    };
    ran.admit(&ran.bundle()).unwrap();
    // A task without a `when` is left out by nobody.
    let world = World::with(DIAMOND);
    world.omk(&["run", "left"]).exits(0);
    let ran = Ran::of(world);
    let refused = ran.refused(&ran.bundle());
    assert!(
        matches!(&refused, BundleRefused::Task { task, .. } if task == "right"),
        "{refused}"
    );
    // The journal says that only one took part, and a commit is of another.
    let world = World::with(DIAMOND);
    world.omk(&["run", "left"]).exits(0);
    let mut ran = Ran::of(world);
    ran.request.ask = Ask::Run {
        tasks: vec!["left".parse().unwrap()],
    };
    let refused = ran.refused(&ran.with_commit(|world, old| {
        let text = message(world, old)
            .replace("Omk-Task: left", "Omk-Task: right")
            .replace("/left", "/right");
        commit(
            world,
            &world.tree(old),
            &[&format!("{old}^")],
            &text,
            "omk[bot]",
        )
    }));
    assert!(
        refused
            .to_string()
            .contains("says that it is of task right"),
        "{refused}"
    );
}

/// A file of commits with these refs, as git itself writes it.
fn file_of_commits(ran: &Ran, dir: &Path, refs: &[(&str, &str)], not: &[&str]) {
    for (name, commit) in refs {
        ran.world.git(&["update-ref", name, commit]);
    }
    let file = dir.join("changes.bundle");
    std::fs::remove_file(&file).unwrap();
    let mut args = vec!["bundle", "create", "--quiet", file.to_str().unwrap()];
    args.extend(refs.iter().map(|(name, _)| *name));
    args.push("--not");
    args.extend(not);
    ran.world.git(&args);
    put(dir, "changes.bundle", &std::fs::read(&file).unwrap());
}

#[test]
fn a_file_of_commits_holds_the_runs_refs_on_its_base_and_nothing_else() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let result = ran.world.rev("omk/run/story");
    let ours = [
        ("refs/omk/bundle/result", result.as_str()),
        ("refs/omk/bundle/task/one", result.as_str()),
    ];
    file_of_commits(&ran, &dir, &ours, &["main"]);
    ran.admit(&dir).expect("what git itself writes is fine");
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let result = ran.world.rev("omk/run/story");
    let ours = [
        ("refs/omk/bundle/result", result.as_str()),
        ("refs/omk/bundle/task/one", result.as_str()),
    ];
    let mut more = ours.to_vec();
    more.push(("refs/heads/main2", &result));
    file_of_commits(&ran, &dir, &more, &["main"]);
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, BundleRefused::Commits(BundleError::StrangeRef(name)) if name == "refs/heads/main2"),
        "{refused}"
    );
    file_of_commits(&ran, &dir, &ours[..1], &["main"]);
    assert!(matches!(
        ran.refused(&dir),
        BundleRefused::Commits(BundleError::OtherRef { .. })
    ));
    file_of_commits(&ran, &dir, &ours, &["main~1"]);
    assert!(matches!(
        ran.refused(&dir),
        BundleRefused::Commits(BundleError::OtherBase { .. })
    ));
    let told: Vec<String> = [
        &b""[..],
        b"# v2 git bundle\n",
        b"not a bundle at all\n\n",
        b"# v2 git bundle\n\nPACK\0\0\0\x02\0\0\0\0",
    ]
    .iter()
    .map(|broken| {
        put(&dir, "changes.bundle", broken);
        ran.refused(&dir).to_string()
    })
    .collect();
    insta::assert_snapshot!(told.join("\n").replace(&result, "RESULT"), @r"
    its file of commits is refused: it is not a git bundle of version 2: its header does not end
    its file of commits is refused: it is not a git bundle of version 2: its header does not end
    its file of commits is refused: it is not a git bundle of version 2: it does not begin as one
    its file of commits is refused: its ref `refs/omk/bundle/result` is missing, and the run says RESULT
    ");
}

#[test]
fn objects_that_git_itself_would_not_make_and_objects_that_are_missing_are_refused() {
    let hidden = |world: &World, old: &str| {
        let inner = world.git(&["rev-parse", &format!("{old}^{{tree}}")]);
        let listing = world.git(&["ls-tree", old]);
        // `git mktree` refuses the name, so the object is written by hand.
        let mut raw = Vec::new();
        for line in listing
            .lines()
            .chain([format!("040000 tree {inner}\t.git").as_str()])
        {
            let (head, name) = line.split_once('\t').unwrap();
            let mut words = head.split(' ');
            let (mode, id) = (
                words.next().unwrap().trim_start_matches('0'),
                words.nth(1).unwrap(),
            );
            let bytes = (0..20).map(|at| u8::from_str_radix(&id[at * 2..at * 2 + 2], 16).unwrap());
            let mut entry = format!("{mode} {name}\0").into_bytes();
            entry.extend(bytes);
            raw.push((name.to_owned(), entry));
        }
        raw.sort();
        let file = world.dir().join("tree");
        std::fs::write(
            &file,
            raw.into_iter()
                .flat_map(|(_, entry)| entry)
                .collect::<Vec<u8>>(),
        )
        .unwrap();
        let tree = world.git(&[
            "hash-object",
            "-t",
            "tree",
            "-w",
            "--literally",
            file.to_str().unwrap(),
        ]);
        commit(
            world,
            &tree,
            &[&format!("{old}^")],
            &message(world, old),
            "omk[bot]",
        )
    };
    let ran = Ran::new(ONE);
    let refused = ran.refused(&ran.with_commit(hidden));
    assert!(
        matches!(refused, BundleRefused::Commits(BundleError::Broken(_))),
        "{refused}"
    );
    // The pack of another run: the objects that the refs need are not in it.
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let whole = std::fs::read(dir.join("changes.bundle")).unwrap();
    let other = Ran::new(&ONE.replace("echo 1", "echo 2"));
    let pack = std::fs::read(other.bundle().join("changes.bundle")).unwrap();
    let split = |bytes: &[u8]| {
        bytes
            .windows(6)
            .position(|found| found == b"\n\nPACK")
            .unwrap()
            + 2
    };
    let mixed = [&whole[..split(&whole)], &pack[split(&pack)..]].concat();
    put(&dir, "changes.bundle", &mixed);
    let refused = ran.refused(&dir);
    assert!(
        matches!(refused, BundleRefused::Commits(BundleError::Broken(_))),
        "{refused}"
    );
}

#[test]
fn a_person_is_told_which_commit_is_refused_and_why() {
    let told = |refused: BundleRefused| {
        let filters = [(r"[0-9a-f]{40}", "[COMMIT]"), (r"[0-9a-f]{12}", "[COMMIT]")];
        insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(refused.in_full(), @"commit [COMMIT] of task `one` changes what it may not: .github/workflows/x.yml is protected: its write set must name that very path; look at what the job that ran the agent did before you start a new run: nothing was taken from it") });
    };
    let ran = Ran::new(ONE);
    let workflow = |world: &World| {
        format!(
            "100644,{},.github/workflows/x.yml",
            blob(world, "on: push\n")
        )
    };
    told(ran.refused(&ran.with_commit(adding(workflow))));
}

#[test]
fn a_repository_without_the_base_is_said_to_lack_it() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let opened = bundle::open(&dir, &BundleLimits::default()).unwrap();
    let other = World::new();
    let refused = bundle::admit(
        &Repo::discover(&other.repo()).unwrap(),
        opened,
        &ran.request,
        &ran.plan,
    )
    .unwrap_err();
    assert!(matches!(refused, BundleRefused::NoBase(_)), "{refused}");
}

#[test]
fn proofs_become_a_commit_without_a_parent() {
    let world = World::new();
    let repo = Repo::discover(&world.repo()).unwrap();
    let when = omk_action::id::Moment::from_millis(1_700_000_000_000);
    let files = [
        ("one.json".to_owned(), b"1".to_vec()),
        ("run.result.json".to_owned(), b"2".to_vec()),
    ];
    let made = repo.commit_files(&files, "omk: proofs\n", when).unwrap();
    assert_eq!(world.files(made.as_str()), ["one.json", "run.result.json"]);
    assert_eq!(
        (
            world.shows(made.as_str(), "one.json"),
            world.git(&["rev-list", "--count", made.as_str()])
        ),
        ("1".into(), "1".into())
    );
    assert!(
        repo.commit_files(&[("a/b".to_owned(), Vec::new())], "x", when)
            .is_err()
    );
}
