//! The law of snapshots, on repositories of every odd kind: each run of a plan observes the same
//! paths and makes the same trees, in this process or the next, after a kill too, and none is a
//! path that no task wrote. Whatever tasks, gates and caches did, a slot then holds what a new one
//! would, byte for byte, and git finds it clean.
//!
//! A repository comes from a number, which is printed if the law fails. `OMK_TEST_SEED` names the
//! first one, and `OMK_TEST_REPOSITORIES` says how many follow.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![expect(
    clippy::print_stdout,
    reason = "if a repository breaks the law, a person must know which it was"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use git2::{IndexEntry, IndexTime, Oid, Repository, Signature};

use omk_action::fact::{Fact, Outcome};
use omk_action::git::{CommitMessage, Pool, Repo, Slot, Terms};
use omk_action::id::{Moment, RepoPath, Tip};
use omk_action::plan::Size;

use super::attributes::misfits;
use super::world::World;

/// Repositories in a run of all tests: some seconds. `scripts/soak` takes 300, which is some
/// minutes.
const SAMPLE: u64 = 12;

/// One in so many is run by the real binary too, which takes several times as long.
const BY_BINARY: u64 = 12;

const WHEN: Moment = Moment::from_millis(1_700_000_000_000);

/// Files that a repository may have, one in three of them.
const NAMES: [&str; 21] = [
    "a.txt",
    "b.txt",
    "sp ace.txt",
    "é.txt",
    "d/c.txt",
    "d/e/f.c",
    "g.c",
    "x.up",
    "d/y.up",
    "big.lfs",
    "d/other.lfs",
    "u.enc",
    "-dash.txt",
    "q'uote.txt",
    "new\nline.txt",
    "UPPER.TXT",
    "upper.txt",
    "run.sh",
    "d/keep.log",
    "plain",
    "kept/t.txt",
];

/// What stays in slots, and may be tracked in part.
const KEPT: &str = "kept";

/// What is in them, whatever the rules would make of it.
const TEXTS: [&[u8]; 11] = [
    b"x\n",
    b"x\r\ny\r\n",
    b"x\r\ny\n",
    b"no end",
    b"",
    b"\0binary\r\n",
    b"$Id$\n",
    b"$Id: of another $\r\n",
    b"UPPER\r\nlower\n",
    b"\xEF\xBB\xBFmark\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
];

const RULES: [&str; 12] = [
    "* text=auto",
    "*.txt text",
    "*.txt text eol=crlf",
    "*.txt eol=lf",
    "*.c ident",
    "*.up filter=upper",
    "*.lfs filter=pointer diff=lfs merge=lfs -text",
    "*.enc text working-tree-encoding=UTF-16",
    "*.TXT text eol=crlf",
    "[attr]dos text eol=crlf\n*.sh dos",
    "* -text",
    "plain crlf",
];

const SETTINGS: [&[&str]; 9] = [
    &["core.autocrlf", "true"],
    &["core.autocrlf", "input"],
    &["core.eol", "crlf"],
    &["core.safecrlf", "true"],
    &["core.fileMode", "false"],
    &["core.ignorecase", "true"],
    &["extensions.worktreeConfig", "true"],
    &["core.symlinks", "true"],
    &["core.whitespace", "cr-at-eol"],
];

/// Chance that can be repeated (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// What gates run that are about nothing.
const USUAL: &str = "run: \"true\"";

/// A repository, and a chain of tasks.
pub(crate) struct Odd {
    pub(crate) world: World,
    tasks: Vec<Task>,
    /// What its first gate runs; if it is not the usual one, there is no other gate, and nothing
    /// is kept.
    gate: &'static str,
    /// What new slots hold, by tree.
    fresh: RefCell<BTreeMap<String, Files>>,
}

/// What a task does, as a script, and what it may change by that.
#[derive(Debug)]
struct Task {
    script: String,
    wrote: BTreeSet<String>,
}

/// The paths that each task was seen to change, and what came of it.
type Observed = Vec<(Vec<String>, String)>;

/// The files of a slot but for what is kept: whether each is a link, whether it is a program, and
/// its bytes.
type Files = BTreeMap<PathBuf, (bool, bool, Vec<u8>)>;

impl Odd {
    fn of(seed: u64) -> Self {
        Self::by(seed, (&RULES, &SETTINGS), USUAL)
    }

    /// The same without any conversion, and with another gate.
    pub(crate) fn plain(seed: u64, gate: &'static str) -> Self {
        Self::by(seed, (&["* -text"], &SETTINGS[4..6]), gate)
    }

    fn by(seed: u64, (rules, settings): (&[&str], &[&[&str]]), gate: &'static str) -> Self {
        let mut chance = Chance(seed);
        let world = World::new();
        for (name, clean, smudge) in [
            ("upper", "tr a-z A-Z", "tr A-Z a-z"),
            ("pointer", "sed s/^/pointer:/", "cat"),
        ] {
            world.git(&["config", &format!("filter.{name}.clean"), clean]);
            world.git(&["config", &format!("filter.{name}.smudge"), smudge]);
        }
        for _ in 0..chance.below(3) {
            let setting = chance.of(settings);
            world.git(&[["config"].as_slice(), setting].concat());
        }
        let mut files: BTreeMap<String, (u32, Vec<u8>)> = BTreeMap::new();
        for name in NAMES {
            if chance.one_in(3) {
                let (mode, text) = match chance.below(8) {
                    0 => (0o120_000, chance.of(&[b"a.txt".as_slice(), b"nowhere"])),
                    1 => (0o100_755, chance.of(&TEXTS)),
                    _ => (0o100_644, chance.of(&TEXTS)),
                };
                files.insert(name.into(), (mode, text.to_vec()));
            }
        }
        let mut lines = |most| {
            (0..chance.below(most))
                .map(|_| chance.of(rules))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (top, deeper, own) = (lines(4), lines(2).replace("[attr]", "#"), lines(2));
        for (name, text) in [(".gitattributes", top), ("d/.gitattributes", deeper)] {
            if !text.is_empty() {
                files.insert(name.into(), (0o100_644, format!("{text}\n").into()));
            }
        }
        if chance.one_in(4) {
            fs::create_dir_all(world.repo().join(".git/info")).unwrap();
            fs::write(world.repo().join(".git/info/attributes"), own).unwrap();
        }
        files.insert(
            ".gitignore".into(),
            (
                0o100_644,
                chance.of(&["*.log\n", "n/\n!n/new.txt\n", "junk\n"]).into(),
            ),
        );
        files.insert(
            "d/.gitignore".into(),
            (0o100_644, chance.of(&["!keep.log\n", "*.log\n", ""]).into()),
        );
        let module = chance.one_in(4);
        let regular = |(name, (mode, _)): (&String, &(u32, Vec<u8>))| {
            (*mode != 0o120_000 && !name.contains(".git")).then(|| name.clone())
        };
        let mut names: Vec<String> = files.iter().filter_map(regular).collect();
        let tasks: Vec<Task> = (1..=1 + chance.below(3))
            .map(|number| Task::of(&mut chance, number, &mut names, gate == USUAL))
            .collect();
        let odd = Self {
            world,
            tasks,
            gate,
            fresh: RefCell::default(),
        };
        files.insert("omk.yaml".into(), (0o100_644, odd.plan().into()));
        odd.commit(&files, module);
        odd
    }

    fn plan(&self) -> String {
        let (keep, trust, gates) = if self.gate == USUAL {
            (
                "keep: [kept]\n",
                ", { id: trust, run: \"true\", trusted: [\"*.txt\", \"d/*\"] }",
                "ok, trust",
            )
        } else {
            ("", "", "ok")
        };
        let gate = self.gate;
        let mut plan = format!(
            "version: 1\nname: story\n{keep}gates: [{{ id: ok, {gate} }}{trust}]\ntasks:\n"
        );
        for (index, task) in self.tasks.iter().enumerate() {
            let needs = if index == 0 {
                String::new()
            } else {
                format!("t{}", index - 1)
            };
            let run = serde_json::to_string(&task.script).unwrap();
            plan.push_str(&format!("  - {{ id: t{index}, gates: [{gates}], write_set: [\"**\", .gitattributes], dependencies: [{needs}], run: {run} }}\n"));
        }
        plan
    }

    /// Makes just these bytes the only commit of `HEAD`'s branch, past every rule.
    fn commit(&self, files: &BTreeMap<String, (u32, Vec<u8>)>, module: bool) {
        let repo = Repository::open(self.world.repo()).unwrap();
        let mut index = git2::Index::new().unwrap();
        for (path, (mode, bytes)) in files {
            index
                .add(&entry(path, *mode, repo.blob(bytes).unwrap()))
                .unwrap();
        }
        if module {
            let somewhere = Oid::from_str("1234567890123456789012345678901234567890").unwrap();
            index
                .add(&entry("vendor/module", 0o160_000, somewhere))
                .unwrap();
        }
        let tree = repo.find_tree(index.write_tree_to(&repo).unwrap()).unwrap();
        let who = Signature::now("A Person", "person@example.org").unwrap();
        let parent = repo.head().unwrap().peel_to_commit().unwrap();
        repo.commit(Some("HEAD"), &who, &who, "odd", &tree, &[&parent])
            .unwrap();
        self.world.write("omk.yaml", &self.plan());
    }

    /// Does the tasks in this process, below a cache of that name. `until` = how many of them
    /// before it is killed.
    fn run(&self, cache: &str, until: Option<usize>) -> Observed {
        let repo = Repo::discover(&self.world.repo()).unwrap();
        let pool = Pool::open(&repo, &self.world.dir().join(cache)).unwrap();
        let keep = [KEPT.to_owned()];
        let may_write = |path: &RepoPath| path.as_bytes() == b".gitattributes";
        let terms = Terms {
            keep: &keep,
            change_limit: Size::USUAL,
            may_write: &may_write,
        };
        let run_base = repo.resolve("HEAD").unwrap();
        let mut base = run_base.clone();
        let mut observed = Observed::new();
        for (index, task) in self.tasks.iter().enumerate() {
            let slot = pool.acquire(None).unwrap();
            slot.reset(&base.commit, &keep).unwrap();
            self.holds_what_a_new_one_would(&repo, &slot, &base);
            let known = slot.path().with_extension("known");
            let left = fs::read(&known).ok();
            task.work_in(slot.path());
            if until == Some(index) {
                drop((slot, pool));
                // What a process writes at its end is not written by one that is killed.
                let _ = fs::remove_file(&known);
                left.into_iter()
                    .for_each(|left| fs::write(&known, left).unwrap());
                return observed;
            }
            let tree = slot.snapshot(&base, &terms).unwrap();
            let paths = repo.changed_paths(&base.tree, &tree).unwrap();
            observed.push((paths.iter().map(in_words).collect(), tree.to_string()));
            slot.checkout_tree(&base.commit, &tree, &keep).unwrap();
            let laid_out = Tip {
                commit: base.commit.clone(),
                tree: tree.clone(),
            };
            self.holds_what_a_new_one_would(&repo, &slot, &laid_out);
            for odds in 1..=2 {
                // A gate with trusted files, which touches some of the others.
                let trusted = |path: &RepoPath| path.as_bytes().len() % 2 + 1 == odds;
                slot.lay_over_unseen(&tree, &run_base.commit, &keep, &trusted)
                    .unwrap();
                self.holds_of_base(&repo, &slot, &run_base, &trusted);
                task.touched_in(slot.path());
                slot.checkout_tree(&base.commit, &tree, &keep).unwrap();
                self.holds_what_a_new_one_would(&repo, &slot, &laid_out);
            }
            assert_eq!(
                slot.snapshot(&laid_out, &terms).unwrap(),
                tree,
                "what was laid out is no change"
            );
            let message = CommitMessage::new(
                "t",
                &"20261122t185155z-4f2a9c".parse().unwrap(),
                &"t".parse().unwrap(),
                1,
            );
            let commit = repo.commit(&tree, &[base.commit], &message, WHEN).unwrap();
            base = Tip { commit, tree };
        }
        observed
    }

    /// What a slot that nobody ever used holds.
    fn fresh(&self, repo: &Repo, tip: &Tip) -> Files {
        let lay_out = || {
            let pool =
                Pool::open(repo, &self.world.dir().join(format!("fresh-{}", tip.tree))).unwrap();
            let slot = pool.acquire(None).unwrap();
            slot.checkout_tree(&tip.commit, &tip.tree, &[]).unwrap();
            files(slot.path())
        };
        self.fresh
            .borrow_mut()
            .entry(tip.tree.to_string())
            .or_insert_with(lay_out)
            .clone()
    }

    fn holds_what_a_new_one_would(&self, repo: &Repo, slot: &Slot, tip: &Tip) {
        assert_eq!(files(slot.path()), self.fresh(repo, tip));
        assert_eq!(
            misfits(slot),
            [""; 0],
            "git's index does not fit these files"
        );
    }

    fn holds_of_base(
        &self,
        repo: &Repo,
        slot: &Slot,
        base: &Tip,
        trusted: &dyn Fn(&RepoPath) -> bool,
    ) {
        let (mut found, mut expect) = (files(slot.path()), self.fresh(repo, base));
        // A trusted link becomes what it leads to in the base, or nothing.
        let links: BTreeSet<PathBuf> = expect
            .iter()
            .filter(|(_, (is_link, ..))| *is_link)
            .map(|(path, _)| path.clone())
            .collect();
        let is_trusted = |path: &Path| {
            !links.contains(path) && trusted(&path.to_str().unwrap().parse().unwrap())
        };
        found.retain(|path, _| is_trusted(path));
        expect.retain(|path, _| is_trusted(path));
        assert_eq!(found, expect);
    }

    /// What the newest run of the binary observed. The last answer of a task counts.
    fn of_newest_run(&self) -> Observed {
        let mut last = BTreeMap::new();
        for fact in self.world.facts() {
            if let Fact::Worked {
                task,
                outcome: Outcome::Changed(change),
                evidence,
                ..
            } = fact
            {
                let observed = evidence.observed.iter().map(in_words).collect();
                last.insert(task.to_string(), (observed, change.tip.tree.to_string()));
            }
        }
        last.into_values().collect()
    }

    fn check(&self, seed: u64, what: &str, found: &Observed, expect: &Observed) {
        assert_eq!(found, expect, "repository {seed}, {what}");
        for ((paths, _), task) in found.iter().zip(&self.tasks) {
            let stray: Vec<&String> = paths
                .iter()
                .filter(|path| !task.wrote.contains(*path))
                .collect();
            assert!(
                stray.is_empty(),
                "repository {seed}, {what}: nothing wrote {stray:?}: {task:?}"
            );
        }
    }
}

impl Task {
    /// With `rules`, it may write attributes, and into what is kept.
    fn of(chance: &mut Chance, number: usize, names: &mut Vec<String>, rules: bool) -> Self {
        let mut task = Self {
            script: "set -e\n".into(),
            wrote: BTreeSet::new(),
        };
        task.write(&format!("n{number}/new.txt"), |new| {
            format!("mkdir -p n{number}; printf 'new\\r\\n' > {new}")
        });
        task.write("d/junk.log", |junk| {
            format!("mkdir -p d; printf junk > {junk}")
        });
        if chance.one_in(2) && rules {
            task.touch("kept/.gitattributes", |rules| {
                format!("mkdir -p kept; echo '* text eol=crlf' > {rules}")
            });
            task.touch("kept/.gitignore", |rules| format!("echo '*' > {rules}"));
        }
        if chance.one_in(2) && rules {
            let rule = chance.of(&RULES);
            task.write(".gitattributes", |rules| {
                format!("printf '%s\\n' '{rule}' >> {rules}")
            });
        }
        for _ in 0..chance.below(6) {
            if names.is_empty() {
                break;
            }
            let name = names[chance.below(names.len())].clone();
            // Others would not be text in that encoding any more, and git refuses them.
            let own_bytes_alone = name.contains(".enc");
            match chance.below(8) {
                0 | 1 if !own_bytes_alone => {
                    task.write(&name, |path| format!("printf 'more\\n' >> {path}"))
                }
                2 => task.write(&name, |path| format!("chmod 755 {path}")),
                3 => {
                    names.retain(|other| *other != name);
                    task.write(&name, |path| format!("rm {path}"));
                }
                4 => task.touch(&name, |path| format!("touch -d 2001-01-01 {path}")),
                5 => task.touch(&name, |path| {
                    format!("cp -p {path} ./swap; mv ./swap {path}")
                }),
                _ => task.touch(&name, |path| {
                    format!("cp {path} ./swap; cat ./swap > {path}; rm ./swap")
                }),
            }
        }
        task
    }

    fn write(&mut self, name: &str, script: impl Fn(&str) -> String) {
        self.touch(name, script);
        self.wrote.insert(name.to_owned());
    }

    fn touch(&mut self, name: &str, script: impl Fn(&str) -> String) {
        self.script
            .push_str(&script(&format!("'./{}'", name.replace('\'', r"'\''"))));
        self.script.push('\n');
    }

    /// Does what a child may do without a change.
    fn touched_in(&self, slot: &Path) {
        for name in &self.wrote {
            let path = slot.join(name);
            if path.is_file() {
                fs::write(&path, fs::read(&path).unwrap()).unwrap();
            }
        }
    }

    fn work_in(&self, slot: &Path) {
        let ended = Command::new("sh")
            .args(["-c", &self.script])
            .current_dir(slot)
            .status()
            .unwrap();
        assert!(ended.success(), "{self:?}");
    }
}

fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.into(),
    }
}

/// The files of a slot.
fn files(slot: &Path) -> Files {
    let (mut found, mut directories) = (Files::new(), vec![slot.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(slot).unwrap().to_owned();
            let is_kept = name.starts_with(KEPT)
                && name
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(".git");
            if name == Path::new(".git") || is_kept {
                continue;
            }
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes();
                found.insert(name, (true, false, target));
            } else {
                let is_program = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                found.insert(name, (false, is_program, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn in_words(path: &RepoPath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// The numbers of the repositories to try.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let first = number("OMK_TEST_SEED", 1);
    first..first + number("OMK_TEST_REPOSITORIES", SAMPLE)
}

#[test]
fn every_run_of_a_plan_observes_what_its_tasks_wrote() {
    for seed in seeds() {
        println!("repository {seed}");
        let odd = Odd::of(seed);
        let expect = odd.run("cache", None);
        odd.check(seed, "first run", &expect, &expect);
        odd.check(seed, "the next process", &odd.run("cache", None), &expect);
        odd.run("cache", Some(Chance(seed).below(odd.tasks.len())));
        odd.check(seed, "after a kill", &odd.run("cache", None), &expect);
        odd.check(seed, "another cache", &odd.run("other", None), &expect);
    }
}

#[test]
fn the_binary_observes_it_too_after_a_kill_and_a_resume() {
    for seed in seeds().step_by(usize::try_from(BY_BINARY).unwrap()) {
        println!("repository {seed}");
        let odd = Odd::of(seed);
        let expect = odd.run("cache-in-process", None);
        for what in ["first run", "the next run"] {
            odd.world.run().exits(0);
            odd.check(seed, what, &odd.of_newest_run(), &expect);
        }
        let before = odd.world.runs().len();
        let moment = Duration::from_millis(20 + Chance(seed).below(400) as u64);
        if odd.world.start(&["run"]).killed_after(moment).is_none() {
            let began = odd.world.runs().len() > before && !odd.world.facts().is_empty();
            let said = odd.world.omk(&[if began { "resume" } else { "run" }]);
            assert!(
                said.code == 0 || said.err.contains("is over: ready"),
                "repository {seed}, {moment:?}: {said:?}"
            );
        }
        odd.check(
            seed,
            &format!("killed after {moment:?}, and resumed"),
            &odd.of_newest_run(),
            &expect,
        );
    }
}
