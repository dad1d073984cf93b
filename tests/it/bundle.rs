//! Bundles between jobs: the good one, and one for each way to lie with one.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omk_action::bundle::{self, Admitted, FileClaim, Limits, Manifest, Opened, Refused, Upload};
use omk_action::fact::{Began, Fact, Order, RunVerdict};
use omk_action::git::{BundleError, Repo};
use omk_action::id::{CommitId, Sha256};
use omk_action::journal::{self, Chain, Line};
use omk_action::plan::Plan;
use omk_action::proof::{JudgedBy, prove};
use omk_action::request::{Ask, Judgement, Request, VERSION, WorkflowRun};
use omk_action::store::{RunDir, Store};

use crate::world::{Said, World};

/// One command, and a gate that looks at the tree.
const ONE: &str = r#"
gates: [{ id: test, run: "test -e one.txt && test ! -e bad" }]
tasks:
  - { id: one, run: "echo 1 > one.txt", write_set: [one.txt], gates: [test] }
"#;

/// Two beside each other, and one on top of both.
const DIAMOND: &str = r#"
gates: [{ id: test, run: "test ! -e bad" }]
tasks:
  - { id: left, run: "echo 1 > left.txt", write_set: [left.txt], gates: [test] }
  - { id: right, run: "echo 2 > right.txt", write_set: [right.txt], gates: [test] }
  - { id: top, run: "cat left.txt right.txt > top.txt", write_set: [top.txt], gates: [test], dependencies: [left, right] }
"#;

/// A run that is over, and what was asked for.
struct Ran {
    world: World,
    request: Request,
    plan: Arc<Plan>,
}

impl Ran {
    fn new(plan: &str) -> Self {
        let world = World::with(plan);
        world.run();
        Self::of(world)
    }

    fn of(world: World) -> Self {
        let began = began(&world);
        let request = Request {
            version: VERSION,
            run: began.run,
            scope: began.scope,
            trigger: began.trigger,
            ask: Ask::Run { tasks: Vec::new() },
            repository: "acme/widget".to_owned(),
            base: began.base.commit.clone(),
            pull: None,
            default_branch: "main".to_owned(),
            rules: began.base.commit.clone(),
            plan: began.plan,
            approved_by: None,
            comment: None,
            check: None,
            workflow: WorkflowRun { id: 1, attempt: 1, url: String::new() },
            previous: None,
            dry_run: false,
        };
        let plan = std::fs::read(world.repo().join("omk.yaml")).unwrap();
        let plan = Arc::new(omk_action::plan::parse(&plan, "omk.yaml", "story").unwrap());
        Self { world, request, plan }
    }

    fn repo(&self) -> Repo {
        Repo::discover(&self.world.repo()).unwrap()
    }

    fn run_dir(&self) -> RunDir {
        Store::new(&self.world.repo().join(".git")).dir(&self.request.run)
    }

    fn lines(&self) -> Vec<Line> {
        self.run_dir().journal().unwrap().lines
    }

    /// The run's bundle, as an honest omk writes it.
    fn bundle(&self) -> PathBuf {
        let engine = journal::replay(Arc::clone(&self.plan), &self.lines()).unwrap();
        let dir = self.world.dir().join("bundle");
        let limits = Limits::default();
        let written = bundle::write(&dir, &self.repo(), &self.run_dir(), &engine, Upload::State, &limits).unwrap();
        assert_eq!(written.left_out, Vec::<String>::new());
        dir
    }

    /// The bundle of a run that was dressed up: these ids stand for others in its whole journal, which is chained anew.
    fn dressed(&self, instead: &[(&str, &str)]) -> PathBuf {
        let lines = self.lines().into_iter().map(|line| {
            let text =
                instead.iter().fold(serde_json::to_string(&line).unwrap(), |text, (old, new)| text.replace(old, new));
            serde_json::from_str(&text).unwrap()
        });
        let lines: Vec<Line> = lines.collect();
        std::fs::write(self.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
        self.bundle()
    }

    /// The same, with another commit for the only task, of the same tree but for these changes.
    fn with_commit(&self, make: impl Fn(&World, &str) -> String) -> PathBuf {
        let old = self.world.rev("omk/run/story");
        let new = make(&self.world, &old);
        let trees = (self.world.tree(&old), self.world.tree(&new));
        self.dressed(&[(&old, &new), (&trees.0, &trees.1)])
    }

    /// A clone that holds the base and knows nothing of the run.
    fn clone(&self) -> PathBuf {
        let dir = self.world.dir().join("clone");
        if !dir.exists() {
            let from = format!("file://{}", self.world.repo().display());
            let to = dir.display().to_string();
            self.world.git(&["clone", "--quiet", "--no-tags", "--single-branch", "--branch", "main", &from, &to]);
        }
        dir
    }

    fn admit(&self, dir: &Path) -> Result<Admitted, Refused> {
        let opened = bundle::open(dir, &Limits::default())?;
        bundle::admit(&Repo::discover(&self.clone()).unwrap(), opened, &self.request, &self.plan)
    }

    #[track_caller]
    fn refused(&self, dir: &Path) -> Refused {
        let refused = self.admit(dir).expect_err("it is refused");
        // Nothing of it is kept.
        assert_eq!(self.world.git(&["-C", self.clone().to_str().unwrap(), "for-each-ref", "refs/omk"]), "");
        refused
    }

    /// `omk judge` in the fresh clone.
    fn judged(&self, dir: &Path) -> (Said, Option<Judgement>) {
        let request = self.world.dir().join("request.json");
        std::fs::write(&request, serde_json::to_vec(&self.request).unwrap()).unwrap();
        let (clone, dir) = (self.clone(), dir.display().to_string());
        let args = ["-C", clone.to_str().unwrap(), "judge", &dir, "--request", request.to_str().unwrap(), "--json"];
        let said = self.world.omk(&args);
        let judgement = serde_json::from_str(&said.out).ok();
        (said, judgement)
    }
}

fn began(world: &World) -> Began {
    match world.facts().swap_remove(0) {
        Fact::Began(began) => *began,
        other => panic!("{other:?}"),
    }
}

fn chained(lines: &[Line]) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    for line in lines {
        chain.push(line.at, &line.fact, &line.orders, &mut out).unwrap();
    }
    out
}

/// Changes a bundle's manifest.
fn claim(dir: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = dir.join("bundle.json");
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// Puts a file into a bundle, with all that the manifest needs to say of it.
fn put(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    std::fs::write(dir.join(name), bytes).unwrap();
    claim(dir, |manifest| {
        manifest.files.retain(|file| file.name.as_str() != name);
        let (bytes, sha256) = (bytes.len() as u64, Sha256::of(bytes));
        manifest.files.push(FileClaim { name: name.parse().unwrap(), bytes, sha256 });
    });
}

/// A tree that differs in one entry: `mode,object,path`.
fn tree_with(world: &World, rev: &str, entry: &str) -> String {
    let index = world.dir().join("index");
    let git = |args: &[&str]| {
        let out = world.command("git").args(args).env("GIT_INDEX_FILE", &index).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    };
    git(&["read-tree", rev]);
    git(&["update-index", "--add", "--cacheinfo", entry]);
    git(&["write-tree"])
}

fn blob(world: &World, text: &str) -> String {
    let path = world.dir().join("blob");
    std::fs::write(&path, text).unwrap();
    world.git(&["hash-object", "-w", path.to_str().unwrap()])
}

/// A commit by omk with that message, tree and parents.
fn commit(world: &World, tree: &str, parents: &[&str], message: &str, author: &str) -> String {
    let file = world.dir().join("message");
    std::fs::write(&file, message).unwrap();
    let mut git = world.command("git");
    git.args(["commit-tree", tree, "-F", file.to_str().unwrap()]);
    for parent in parents {
        git.args(["-p", parent]);
    }
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), author);
        git.env(format!("GIT_{who}_EMAIL"), format!("{author}@users.noreply.github.com"));
    }
    let out = git.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

fn message(world: &World, rev: &str) -> String {
    world.git(&["log", "-1", "--format=%B", rev])
}

/// The commit again, with one more entry in its tree.
fn adding(entry: impl Fn(&World) -> String) -> impl Fn(&World, &str) -> String {
    move |world, old| {
        let tree = tree_with(world, old, &entry(world));
        commit(world, &tree, &[&format!("{old}^")], &message(world, old), "omk[bot]")
    }
}

#[test]
fn a_run_of_several_tasks_is_judged_anew_in_a_fresh_clone() {
    let ran = Ran::new(DIAMOND);
    let dir = ran.bundle();
    ran.world.git(&["bundle", "verify", "--quiet", dir.join("changes.bundle").to_str().unwrap()]);
    let admitted = ran.admit(&dir).unwrap();
    let result = admitted.result.clone().unwrap();
    assert_eq!(result.commit.as_str(), ran.world.rev("omk/run/story"));
    let landed: Vec<String> = admitted.landed.iter().map(|(task, _)| task.to_string()).collect();
    assert_eq!(landed, ran.world.landed_on("omk/run/story"));
    assert_eq!(admitted.task_commits.len(), 3);
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!((said.code, judgement.verdict), (0, RunVerdict::Ready), "{}", said.err);
    assert_eq!((judgement.result.clone(), judgement.gates.len()), (Some(result), 1));
    assert!(judgement.warnings.is_empty(), "{:?}", judgement.warnings);
    let input = bundle::proof_input(&ran.request, &judgement, &admitted).unwrap();
    assert_eq!((input.judged_by, prove(&input).predicate.verdict), (JudgedBy::SeparateJob, RunVerdict::Ready));
    let names: Vec<String> =
        bundle::proofs(&ran.request, &judgement, &admitted).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"run.result.json".to_owned()) && names.contains(&"top.json".to_owned()), "{names:?}");
    assert_eq!(bundle::view(&judgement, &admitted).unwrap().judged_by, Some(JudgedBy::SeparateJob));
}

#[test]
fn a_gate_that_fails_when_judged_anew_makes_it_not_ready() {
    let world = World::new();
    let flag = world.dir().join("flag");
    std::fs::write(&flag, "").unwrap();
    world.plan(&ONE.replace("test ! -e bad", &format!("test -e {}", flag.display())));
    world.run().exits(0);
    let ran = Ran::of(world);
    let dir = ran.bundle();
    std::fs::remove_file(flag).unwrap();
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!((said.code, judgement.verdict), (1, RunVerdict::NotReady), "{}", said.err);
    assert!(
        judgement.warnings[0].contains("gate `test` passed in the job that made the change"),
        "{:?}",
        judgement.warnings
    );
}

#[test]
fn where_nothing_landed_nothing_is_judged() {
    let ran = Ran::new(&ONE.replace("echo 1 > one.txt", "true"));
    let dir = ran.bundle();
    assert!(!dir.join("changes.bundle").exists());
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!((said.code, judgement.verdict, judgement.result), (0, RunVerdict::Neutral, None), "{}", said.err);
    assert_eq!(judgement.warnings, ["nothing landed, so there was nothing to judge"]);
}

#[test]
fn a_bundle_replaces_an_earlier_one_and_nothing_else() {
    let ran = Ran::new(ONE);
    ran.admit(&ran.bundle()).unwrap();
    let dir = ran.bundle();
    ran.admit(&dir).unwrap();
    std::fs::remove_file(dir.join("bundle.json")).unwrap();
    let engine = journal::replay(Arc::clone(&ran.plan), &ran.lines()).unwrap();
    let error =
        bundle::write(&dir, &ran.repo(), &ran.run_dir(), &engine, Upload::State, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("holds something that is not a bundle"), "{error}");
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let path = dir.join("bundle.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"plan.yaml\"", "\"logs/../../plan.yaml\"");
    std::fs::write(&path, text).unwrap();
    let refused = ran.refused(&dir);
    assert!(matches!(refused, Refused::Manifest { .. }), "{refused}");
    assert!(refused.to_string().contains("logs/../../plan.yaml"), "{refused}");
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
        assert!(matches!(refused, Refused::NotPlain { .. }), "{name}: {refused}");
    }
    let refused_directory = refused(&|dir| {
        std::fs::rename(dir.join("logs"), dir.join("../logs-elsewhere")).unwrap();
        symlink("../logs-elsewhere", dir.join("logs")).unwrap();
    });
    assert!(matches!(refused_directory, Refused::NotPlain { .. }), "{refused_directory}");
    for name in ["logs/pipe", "plan.yaml", "bundle.json"] {
        let refused = refused(&|dir| {
            let _ = std::fs::remove_file(dir.join(name));
            rustix::fs::mkfifoat(rustix::fs::CWD, dir.join(name), rustix::fs::Mode::RUSR).unwrap();
        });
        assert!(matches!(refused, Refused::NotPlain { .. }), "{name}: {refused}");
    }
    for name in ["hooks/post-checkout", "config", ".git/config", "logs/.hidden", "proofs/x.sh", "cassette/one/0-0.json"]
    {
        let refused = refused(&|dir| {
            std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.join(name), "x").unwrap();
        });
        assert!(matches!(refused, Refused::StrangeName { .. }), "{name}: {refused}");
    }
    std::fs::remove_dir_all(ran.world.dir().join("bundle")).unwrap();
    let whole = ran.bundle();
    symlink(&whole, ran.world.dir().join("link")).unwrap();
    assert!(matches!(ran.refused(&ran.world.dir().join("link")), Refused::Io { .. }));
}

#[test]
fn a_file_that_is_not_what_the_manifest_says_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let text = std::fs::read_to_string(dir.join("report.md")).unwrap();
    std::fs::write(dir.join("report.md"), text.replacen("ready", "READY", 1)).unwrap();
    let refused = ran.refused(&dir);
    assert!(matches!(&refused, Refused::Changed { name, what: "digest" } if name == "report.md"), "{refused}");
    std::fs::remove_file(dir.join("report.md")).unwrap();
    assert!(matches!(ran.refused(&dir), Refused::Missing { .. }));
}

#[test]
fn ten_gigabytes_are_refused_before_they_are_read() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let log = std::fs::File::create(dir.join("logs/large.log")).unwrap();
    log.set_len(10 << 30).unwrap();
    let refused = ran.refused(&dir);
    assert!(matches!(&refused, Refused::TooLarge { found, .. } if *found == 10 << 30), "{refused}");
    let huge = FileClaim { name: "logs/large.log".parse().unwrap(), bytes: 10 << 30, sha256: Sha256::of(b"") };
    claim(&dir, |manifest| manifest.files.push(huge));
    assert!(matches!(ran.refused(&dir), Refused::TooLarge { .. }));
    std::fs::remove_file(dir.join("logs/large.log")).unwrap();
    assert!(matches!(ran.refused(&dir), Refused::TooLarge { .. }), "a claim alone is enough");
    let few = Limits { files: 3, ..Limits::default() };
    assert!(matches!(bundle::open(&ran.bundle(), &few).unwrap_err(), Refused::TooLarge { .. }));
}

#[test]
fn another_scope_another_run_another_base_and_another_plan_are_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let asked = |change: &dyn Fn(&mut Request)| {
        let mut request = ran.request.clone();
        change(&mut request);
        Ran { world: World::empty(), request, plan: Arc::clone(&ran.plan) }
    };
    let admit = |other: &Ran| {
        let opened: Opened = bundle::open(&dir, &Limits::default()).unwrap();
        bundle::admit(&ran.repo(), opened, &other.request, &ran.plan).unwrap_err()
    };
    let parent: CommitId = ran.world.rev("main~1").parse().unwrap();
    let cases: [(&str, &dyn Fn(&mut Request)); 5] = [
        ("scope", &|request| request.scope = "pr-7".parse().unwrap()),
        ("run", &|request| request.run = "20200101t000000z-000000".parse().unwrap()),
        ("base", &|request| request.base = parent.clone()),
        ("plan", &|request| request.plan.digest = Sha256::of(b"other")),
        ("actor", &|request| request.trigger.actor = "somebody".to_owned()),
    ];
    for (about, change) in cases {
        let refused = admit(&asked(change));
        assert!(matches!(&refused, Refused::OtherRun { what, .. } if *what == about), "{about}: {refused}");
    }
}

#[test]
fn a_journal_that_was_torn_cut_or_bent_is_refused() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let journal = std::fs::read(dir.join("journal.jsonl")).unwrap();
    put(&dir, "journal.jsonl", &journal[..journal.len() - 20]);
    assert!(matches!(ran.refused(&dir), Refused::Damaged(_)));
    let bent = String::from_utf8(journal.clone()).unwrap().replacen("one.txt", "two.txt", 1);
    put(&dir, "journal.jsonl", bent.as_bytes());
    assert!(matches!(ran.refused(&dir), Refused::Damaged(_)));
    put(&dir, "journal.jsonl", b"");
    assert!(matches!(ran.refused(&dir), Refused::NotBegun));
    // Whole lines cut off its end are no damage: the run has not come to its end, and nothing landed.
    let lines: Vec<Line> = ran.lines().into_iter().take(2).collect();
    put(&dir, "journal.jsonl", &chained(&lines));
    assert!(matches!(ran.refused(&dir), Refused::Contradiction { .. }));
}

#[test]
fn a_verdict_that_was_flipped_helps_nobody() {
    let ran = Ran::new(&ONE.replace("echo 1 > one.txt", "echo 1 > one.txt; exit 1"));
    let dir = ran.bundle();
    let report = String::from_utf8(std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    put(&dir, "report.json", report.replace("not_ready", "ready").as_bytes());
    let (said, judgement) = ran.judged(&dir);
    assert_eq!(judgement.unwrap().verdict, RunVerdict::NotReady, "{}", said.err);
    let mut lines = ran.lines();
    for order in lines.iter_mut().flat_map(|line| &mut line.orders) {
        if let Order::Conclude { verdict } = order {
            *verdict = RunVerdict::Ready;
        }
    }
    put(&dir, "journal.jsonl", &chained(&lines));
    let refused = ran.admit(&dir).unwrap_err();
    assert!(matches!(refused, Refused::Illegal(_)), "{refused}");
    let (said, judgement) = ran.judged(&dir);
    assert_eq!((said.code, judgement), (1, None));
    said.says("does not follow from the plan").says("hint: look at what the job that ran the agent did");
}

#[test]
fn a_gate_that_was_removed_from_the_bundles_plan_runs_all_the_same() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    put(&dir, "plan.yaml", b"version: 1\nname: story\ntasks:\n  - { id: one, run: \"true\" }\n");
    let (_, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!((judgement.verdict, judgement.gates.len()), (RunVerdict::Ready, 1));
    // A whole run by another plan, said to be by this one, gives other orders.
    let other = World::with(
        &ONE.replace("gates: [{ id: test, run: \"test -e one.txt && test ! -e bad\" }]", "")
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
    let request = Request { plan: ran.request.plan.clone(), ..other.request.clone() };
    let opened = bundle::open(&dir, &Limits::default()).unwrap();
    let refused = bundle::admit(&other.repo(), opened, &request, &ran.plan).unwrap_err();
    assert!(matches!(refused, Refused::Illegal(_)), "{refused}");
}

#[test]
fn a_commit_that_touches_what_its_task_may_not_is_refused() {
    let file = |path: &'static str| move |world: &World| format!("100644,{},{path}", blob(world, "on: push\n"));
    let link = |world: &World| format!("120000,{},one.txt", blob(world, "../../outside"));
    let module = |world: &World| format!("160000,{},one.txt", world.rev("HEAD"));
    let cases: [(&str, &dyn Fn(&World) -> String, &str); 5] = [
        ("a workflow", &file(".github/workflows/x.yml"), ".github/workflows/x.yml is protected"),
        ("the plan", &file("omk.yaml"), "omk.yaml is protected"),
        ("elsewhere", &file("src/lib.rs"), "src/lib.rs is outside its write set"),
        ("a link", &link, "one.txt is a symbolic link that leads out of the repository"),
        ("a submodule", &module, "one.txt is a submodule"),
    ];
    for (name, entry, says) in cases {
        // A write set that names the very path would permit a link and a submodule too.
        let set = if says.starts_with("one.txt") { "\"*.txt\"" } else { "one.txt" };
        let ran = Ran::new(&ONE.replace("write_set: [one.txt]", &format!("write_set: [{set}]")));
        let refused = ran.refused(&ran.with_commit(adding(entry)));
        assert!(matches!(refused, Refused::Scope { .. }), "{name}: {refused}");
        assert!(refused.to_string().contains(says), "{name}: {refused}");
    }
}

#[test]
fn a_commit_that_is_not_of_this_run_and_its_task_by_omk_is_refused() {
    let again = |change: &'static dyn Fn(String) -> String, author: &'static str| {
        move |world: &World, old: &str| {
            commit(world, &world.tree(old), &[&format!("{old}^")], &change(message(world, old)), author)
        }
    };
    let cases: [(&str, &'static dyn Fn(String) -> String, &'static str, &str); 6] = [
        ("author", &|text| text, "somebody", "another author or committer"),
        ("no trailers", &|_| "fix\n".to_owned(), "omk[bot]", "does not carry omk's trailers"),
        ("task", &|text| text.replace("Omk-Task: one", "Omk-Task: two"), "omk[bot]", "says that it is of task two"),
        ("run", &|text| text.replace("Omk-Run: 20", "Omk-Run: 19"), "omk[bot]", "is of another run"),
        ("twice", &|text| format!("Omk-Task: one\n\n{text}"), "omk[bot]", "each of omk's trailers once"),
        ("sign-off", &|text| format!("{}\nSigned-off-by: A <a@b>\n", text.trim_end()), "omk[bot]", "omk did not write"),
    ];
    for (name, change, author, says) in cases {
        let ran = Ran::new(ONE);
        let refused = ran.refused(&ran.with_commit(again(change, author)));
        assert!(matches!(refused, Refused::Commit { .. }) && refused.to_string().contains(says), "{name}: {refused}");
    }
}

#[test]
fn commits_smuggled_below_the_result_and_merges_are_refused() {
    let smuggled = |world: &World, old: &str| {
        let tree = tree_with(world, &format!("{old}^"), &format!("100644,{},evil.txt", blob(world, "evil\n")));
        let below = commit(world, &tree, &[&format!("{old}^")], "harmless\n", "omk[bot]");
        let tree = tree_with(world, old, &format!("100644,{},evil.txt", blob(world, "evil\n")));
        commit(world, &tree, &[&below], &message(world, old), "omk[bot]")
    };
    let merge = |world: &World, old: &str| {
        let base = format!("{old}^");
        let side = commit(world, &world.tree(&base), &[&base], "side\n", "omk[bot]");
        commit(world, &world.tree(old), &[&base, &side], &message(world, old), "omk[bot]")
    };
    let root = |world: &World, old: &str| commit(world, &world.tree(old), &[], &message(world, old), "omk[bot]");
    let cases: [(&str, &dyn Fn(&World, &str) -> String); 3] =
        [("below", &smuggled), ("a merge", &merge), ("a root", &root)];
    for (name, make) in cases {
        let ran = Ran::new(ONE);
        let refused = ran.refused(&ran.with_commit(make));
        let based = refused.to_string().contains("is built on") || matches!(refused, Refused::Commits(_));
        assert!(based, "{name}: {refused}");
    }
}

#[test]
fn what_only_a_tasks_own_branch_would_bring_along_is_looked_at_too() {
    let ran = Ran::new(ONE);
    let (world, old) = (&ran.world, ran.world.rev("omk/run/story"));
    let evil = tree_with(world, "main", &format!("100644,{},.github/workflows/x.yml", blob(world, "on: push\n")));
    let below = commit(world, &evil, &["main"], &message(world, &old), "omk[bot]");
    let own = commit(world, &world.tree(&old), &[&below], &message(world, &old), "omk[bot]");
    let mut lines = ran.lines();
    for line in &mut lines {
        if let Fact::Worked { outcome: omk_action::fact::Outcome::Changed(change), .. } = &mut line.fact {
            change.tip.commit = own.parse().unwrap();
        }
    }
    std::fs::write(ran.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
    let refused = ran.refused(&ran.bundle());
    assert!(refused.to_string().contains(".github/workflows/x.yml is protected"), "{refused}");
}

#[test]
fn a_task_that_was_not_asked_for_is_refused() {
    let mut ran = Ran::new(DIAMOND);
    ran.request.ask = Ask::Run { tasks: vec!["left".parse().unwrap()] };
    let refused = ran.refused(&ran.bundle());
    assert!(matches!(&refused, Refused::Task { task, .. } if task == "right"), "{refused}");
    ran.request.ask = Ask::Run { tasks: vec!["top".parse().unwrap()] };
    ran.admit(&ran.bundle()).unwrap();
    // The journal says that only one took part, and a commit is of another.
    let world = World::with(DIAMOND);
    world.omk(&["run", "left"]).exits(0);
    let ran = Ran::of(world);
    let refused = ran.refused(&ran.with_commit(|world, old| {
        let text = message(world, old).replace("Omk-Task: left", "Omk-Task: right");
        commit(world, &world.tree(old), &[&format!("{old}^")], &text, "omk[bot]")
    }));
    assert!(refused.to_string().contains("says that it is of task right"), "{refused}");
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
    let ours = [("refs/omk/bundle/result", result.as_str()), ("refs/omk/bundle/task/one", result.as_str())];
    file_of_commits(&ran, &dir, &ours, &["main"]);
    ran.admit(&dir).expect("what git itself writes is fine");
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let result = ran.world.rev("omk/run/story");
    let ours = [("refs/omk/bundle/result", result.as_str()), ("refs/omk/bundle/task/one", result.as_str())];
    let mut more = ours.to_vec();
    more.push(("refs/heads/main2", &result));
    file_of_commits(&ran, &dir, &more, &["main"]);
    let refused = ran.refused(&dir);
    assert!(
        matches!(&refused, Refused::Commits(BundleError::StrangeRef(name)) if name == "refs/heads/main2"),
        "{refused}"
    );
    file_of_commits(&ran, &dir, &ours[..1], &["main"]);
    assert!(matches!(ran.refused(&dir), Refused::Commits(BundleError::OtherRef { .. })));
    file_of_commits(&ran, &dir, &ours, &["main~1"]);
    assert!(matches!(ran.refused(&dir), Refused::Commits(BundleError::OtherBase { .. })));
    for broken in
        [&b""[..], b"# v2 git bundle\n", b"not a bundle at all\n\n", b"# v2 git bundle\n\nPACK\0\0\0\x02\0\0\0\0"]
    {
        put(&dir, "changes.bundle", broken);
        assert!(matches!(ran.refused(&dir), Refused::Commits(_)));
    }
}

#[test]
fn objects_that_git_itself_would_not_make_and_objects_that_are_missing_are_refused() {
    let hidden = |world: &World, old: &str| {
        let inner = world.git(&["rev-parse", &format!("{old}^{{tree}}")]);
        let listing = world.git(&["ls-tree", old]);
        // `git mktree` refuses the name, so the object is written by hand.
        let mut raw = Vec::new();
        for line in listing.lines().chain([format!("040000 tree {inner}\t.git").as_str()]) {
            let (head, name) = line.split_once('\t').unwrap();
            let mut words = head.split(' ');
            let (mode, id) = (words.next().unwrap().trim_start_matches('0'), words.nth(1).unwrap());
            let bytes = (0..20).map(|at| u8::from_str_radix(&id[at * 2..at * 2 + 2], 16).unwrap());
            let mut entry = format!("{mode} {name}\0").into_bytes();
            entry.extend(bytes);
            raw.push((name.to_owned(), entry));
        }
        raw.sort();
        let file = world.dir().join("tree");
        std::fs::write(&file, raw.into_iter().flat_map(|(_, entry)| entry).collect::<Vec<u8>>()).unwrap();
        let tree = world.git(&["hash-object", "-t", "tree", "-w", "--literally", file.to_str().unwrap()]);
        commit(world, &tree, &[&format!("{old}^")], &message(world, old), "omk[bot]")
    };
    let ran = Ran::new(ONE);
    let refused = ran.refused(&ran.with_commit(hidden));
    assert!(matches!(refused, Refused::Commits(BundleError::Broken(_))), "{refused}");
    // The pack of another run: the objects that the refs need are not in it.
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let whole = std::fs::read(dir.join("changes.bundle")).unwrap();
    let other = Ran::new(&ONE.replace("echo 1", "echo 2"));
    let pack = std::fs::read(other.bundle().join("changes.bundle")).unwrap();
    let split = |bytes: &[u8]| bytes.windows(6).position(|found| found == b"\n\nPACK").unwrap() + 2;
    let mixed = [&whole[..split(&whole)], &pack[split(&pack)..]].concat();
    put(&dir, "changes.bundle", &mixed);
    let refused = ran.refused(&dir);
    assert!(matches!(refused, Refused::Commits(BundleError::Broken(_))), "{refused}");
}

#[test]
fn a_repository_without_the_base_is_said_to_lack_it() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let opened = bundle::open(&dir, &Limits::default()).unwrap();
    let other = World::new();
    let refused = bundle::admit(&Repo::discover(&other.repo()).unwrap(), opened, &ran.request, &ran.plan).unwrap_err();
    assert!(matches!(refused, Refused::Commits(BundleError::NoBase(_))), "{refused}");
}

#[test]
fn proofs_become_a_commit_without_a_parent() {
    let world = World::new();
    let repo = Repo::discover(&world.repo()).unwrap();
    let when = omk_action::id::Moment::from_millis(1_700_000_000_000);
    let files = [("one.json".to_owned(), b"1".to_vec()), ("run.result.json".to_owned(), b"2".to_vec())];
    let made = repo.commit_files(&files, "omk: proofs\n", when).unwrap();
    assert_eq!(world.files(made.as_str()), ["one.json", "run.result.json"]);
    assert_eq!(
        (world.shows(made.as_str(), "one.json"), world.git(&["rev-list", "--count", made.as_str()])),
        ("1".into(), "1".into())
    );
    assert!(repo.commit_files(&[("a/b".to_owned(), Vec::new())], "x", when).is_err());
}
