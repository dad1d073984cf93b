//! A run that is over, its bundle, and the ways to dress one up. It refuses to know what becomes of
//! them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use omk_action::bundle::{
    self, Admitted, BundleLimits, BundleRefused, FileClaim, Manifest, Upload,
};
use omk_action::fact::{Began, Fact};
use omk_action::git::Repo;
use omk_action::id::Sha256;
use omk_action::journal::{self, Chain, Line};
use omk_action::plan::Plan;
use omk_action::request::{Ask, Judgement, Request, StartedBy, VERSION};
use omk_action::store::{RunDir, Store};
use omk_action::text::ForgeKind;

use crate::world::{Said, World};

/// One command, and a gate that looks at the tree.
pub(crate) const ONE: &str = r#"
gates: [{ id: test, run: "test -e one.txt && test ! -e bad" }]
tasks:
  - { id: one, run: "echo 1 > one.txt", write_set: [one.txt], gates: [test] }
"#;

/// Two beside each other, and one on top of both.
pub(crate) const DIAMOND: &str = r#"
gates: [{ id: test, run: "test ! -e bad" }]
tasks:
  - { id: left, run: "echo 1 > left.txt", write_set: [left.txt], gates: [test] }
  - { id: right, run: "echo 2 > right.txt", write_set: [right.txt], gates: [test] }
  - { id: top, run: "cat left.txt right.txt > top.txt", write_set: [top.txt], gates: [test], dependencies: [left, right] }
"#;

/// A run that is over, and what was asked for.
pub(crate) struct Ran {
    pub(crate) world: World,
    pub(crate) request: Request,
    pub(crate) plan: Arc<Plan>,
    /// Its journal, as omk wrote it.
    pub(crate) honest: Vec<Line>,
}

impl Ran {
    pub(crate) fn new(plan: &str) -> Self {
        let world = World::with(plan);
        world.run();
        Self::of(world)
    }

    pub(crate) fn of(world: World) -> Self {
        let began = began(&world);
        let request = Request {
            version: VERSION,
            run: began.run,
            scope: began.scope,
            trigger: began.trigger,
            ask: Ask::Run { tasks: Vec::new() },
            forge: ForgeKind::GitHub,
            repository: "acme/widget".to_owned(),
            base: began.base.commit.clone(),
            pull: None,
            default_branch: "main".to_owned(),
            rules: began.base.commit.clone(),
            plan: began.plan,
            approved_by: None,
            comment: None,
            check: None,
            workflow: StartedBy {
                id: 1,
                attempt: 1,
                url: String::new(),
            },
            previous: None,
            dry_run: false,
        };
        let plan = std::fs::read(world.repo().join("omk.yaml")).unwrap();
        let plan = Arc::new(omk_action::plan::parse(&plan, "omk.yaml", "story").unwrap());
        let mut ran = Self {
            world,
            request,
            plan,
            honest: Vec::new(),
        };
        ran.honest = ran.lines();
        ran
    }

    pub(crate) fn repo(&self) -> Repo {
        Repo::discover(&self.world.repo()).unwrap()
    }

    pub(crate) fn run_dir(&self) -> RunDir {
        Store::new(&self.world.repo().join(".git")).dir(&self.request.run)
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.run_dir().journal().unwrap().lines
    }

    /// The run's bundle, as an honest omk writes it.
    pub(crate) fn bundle(&self) -> PathBuf {
        let engine = journal::replay(Arc::clone(&self.plan), &self.lines()).unwrap();
        let dir = self.world.dir().join("bundle");
        let limits = BundleLimits::default();
        let written = bundle::write(
            &dir,
            &self.repo(),
            &self.run_dir(),
            &engine,
            Upload::State,
            &limits,
        )
        .unwrap();
        assert_eq!(written.left_out, Vec::<String>::new());
        dir
    }

    /// The bundle of a run that was dressed up: these ids stand for others in its whole journal,
    /// which is chained anew. What an earlier lie left is gone from the clone.
    pub(crate) fn dressed(&self, instead: &[(&str, &str)]) -> PathBuf {
        let _ = std::fs::remove_dir_all(self.world.dir().join("clone"));
        let lines = self.honest.iter().map(|line| {
            let text = instead
                .iter()
                .fold(serde_json::to_string(line).unwrap(), |text, (old, new)| {
                    text.replace(old, new)
                });
            serde_json::from_str(&text).unwrap()
        });
        let lines: Vec<Line> = lines.collect();
        std::fs::write(self.run_dir().path().join("journal.jsonl"), chained(&lines)).unwrap();
        self.bundle()
    }

    /// The same, with another commit for the only task, of the same tree but for these changes.
    pub(crate) fn with_commit(&self, make: impl Fn(&World, &str) -> String) -> PathBuf {
        let old = self.world.rev("omk/run/story");
        let new = make(&self.world, &old);
        let trees = (self.world.tree(&old), self.world.tree(&new));
        self.dressed(&[(&old, &new), (&trees.0, &trees.1)])
    }

    /// A clone that holds the base and knows nothing of the run.
    pub(crate) fn clone(&self) -> PathBuf {
        let dir = self.world.dir().join("clone");
        if !dir.exists() {
            let from = format!("file://{}", self.world.repo().display());
            let to = dir.display().to_string();
            self.world.git(&[
                "clone",
                "--quiet",
                "--no-tags",
                "--single-branch",
                "--branch",
                "main",
                &from,
                &to,
            ]);
        }
        dir
    }

    pub(crate) fn admit(&self, dir: &Path) -> Result<Admitted, BundleRefused> {
        let opened = bundle::open(dir, &BundleLimits::default())?;
        bundle::admit(
            &Repo::discover(&self.clone()).unwrap(),
            opened,
            &self.request,
            &self.plan,
        )
    }

    #[track_caller]
    pub(crate) fn refused(&self, dir: &Path) -> BundleRefused {
        let refused = self.admit(dir).expect_err("it is refused");
        // Nothing of it is kept.
        assert_eq!(
            self.world.git(&[
                "-C",
                self.clone().to_str().unwrap(),
                "for-each-ref",
                "refs/omk"
            ]),
            ""
        );
        refused
    }

    /// The request, in a file.
    pub(crate) fn asked(&self) -> PathBuf {
        let request = self.world.dir().join("request.json");
        std::fs::write(&request, serde_json::to_vec(&self.request).unwrap()).unwrap();
        request
    }

    /// `omk judge` in the fresh clone.
    pub(crate) fn judge(&self, dir: &Path, more: &[&str]) -> Said {
        let request = self.asked();
        let (clone, dir) = (self.clone(), dir.display().to_string());
        let args = [
            "-C",
            clone.to_str().unwrap(),
            "judge",
            &dir,
            "--request",
            request.to_str().unwrap(),
        ];
        self.world.omk(&[&args, more].concat())
    }

    /// The same as JSON.
    pub(crate) fn judged(&self, dir: &Path) -> (Said, Option<Judgement>) {
        let said = self.judge(dir, &["--json"]);
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

pub(crate) fn chained(lines: &[Line]) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    for line in lines {
        chain
            .push(line.at, &line.fact, &line.orders, &mut out)
            .unwrap();
    }
    out
}

/// Changes a bundle's manifest.
pub(crate) fn claim(dir: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = dir.join("bundle.json");
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// Puts a file into a bundle, with all that the manifest needs to say of it.
pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    std::fs::write(dir.join(name), bytes).unwrap();
    claim(dir, |manifest| {
        manifest.files.retain(|file| file.name.as_str() != name);
        let (bytes, sha256) = (bytes.len() as u64, Sha256::of(bytes));
        manifest.files.push(FileClaim {
            name: name.parse().unwrap(),
            bytes,
            sha256,
        });
    });
}
