//! Small repositories for the law of merges: their files, the changes that tasks may make of them,
//! and what git makes of two. It refuses to go through slots: a case takes milliseconds.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Signature, Time};

use omk_action::git::Repo;
use omk_action::id::Tip;

use super::odd_repositories::Chance;

pub(crate) const FILE: u32 = 0o100_644;
pub(crate) const EXECUTABLE: u32 = 0o100_755;
pub(crate) const LINK: u32 = 0o120_000;
pub(crate) const MODULE: u32 = 0o160_000;

/// What a commit holds: modes and bytes. A submodule's bytes are the digits of its commit.
pub(crate) type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// Rules that a tree may have. No tree's rules convert files: `git merge` would refuse such a
/// checkout as changed.
pub(crate) const RULES: [&str; 8] = [
    "*.txt merge=union\n",
    "*.c merge=binary\n",
    "*.txt -merge\n",
    "*.txt merge\n",
    "*.txt merge=mine\n",
    "[attr]both merge=union\n*.c both\n",
    "/a.txt merge=union\nd/*.txt merge=binary\n",
    "* merge=union\n",
];

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("omk-merges-")
            .tempdir()
            .unwrap();
        let repo = Repository::init(dir.path().join("repo")).unwrap();
        repo.set_head("refs/heads/main").unwrap();
        Self { dir }
    }

    pub(crate) fn top(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn objects(&self) -> Repository {
        Repository::open(self.top()).unwrap()
    }

    pub(crate) fn repo(&self) -> Repo {
        Repo::discover(&self.top()).unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> Output {
        git_in(&self.top(), args)
    }

    /// A commit of these files, and a branch on it.
    pub(crate) fn commit(&self, branch: &str, files: &Files, parents: &[&Tip]) -> Tip {
        let repo = self.objects();
        let mut index = Index::new().unwrap();
        for (path, (mode, bytes)) in files {
            let id = match *mode {
                MODULE => Oid::from_str(std::str::from_utf8(bytes).unwrap()).unwrap(),
                _ => repo.blob(bytes).unwrap(),
            };
            let zero = IndexTime::new(0, 0);
            index
                .add(&IndexEntry {
                    ctime: zero,
                    mtime: zero,
                    dev: 0,
                    ino: 0,
                    mode: *mode,
                    uid: 0,
                    gid: 0,
                    file_size: 0,
                    id,
                    flags: 0,
                    flags_extended: 0,
                    path: path.clone().into_bytes(),
                })
                .unwrap();
        }
        let tree = index.write_tree_to(&repo).unwrap();
        let parents: Vec<git2::Commit<'_>> = parents
            .iter()
            .map(|tip| {
                repo.find_commit(Oid::from_str(tip.commit.as_str()).unwrap())
                    .unwrap()
            })
            .collect();
        let by = Signature::new("A", "a@b", &Time::new(1_700_000_000, 0)).unwrap();
        let id = repo.commit(
            None,
            &by,
            &by,
            branch,
            &repo.find_tree(tree).unwrap(),
            &parents.iter().collect::<Vec<_>>(),
        );
        let id = id.unwrap();
        repo.reference(&format!("refs/heads/{branch}"), id, true, "test")
            .unwrap();
        Tip {
            commit: id.to_string().parse().unwrap(),
            tree: tree.to_string().parse().unwrap(),
        }
    }

    pub(crate) fn files(&self, tip: &Tip) -> Files {
        let repo = self.objects();
        let tree = repo
            .find_tree(Oid::from_str(tip.tree.as_str()).unwrap())
            .unwrap();
        let mut files = Files::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |directory, entry| {
            if entry.kind() == Some(ObjectType::Blob) {
                let bytes = repo.find_blob(entry.id()).unwrap().content().to_vec();
                let path = format!("{directory}{}", entry.name().unwrap());
                files.insert(path, (u32::try_from(entry.filemode()).unwrap(), bytes));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        files
    }

    /// The work tree holds just that branch.
    pub(crate) fn check_out(&self, branch: &str) {
        let said = self.git(&["checkout", "--quiet", "--force", "--detach", branch]);
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        self.git(&["clean", "-ffdxq"]);
    }

    /// What `git merge` makes of two branches in a clean checkout of the first: a tree, or the
    /// paths of its conflicts.
    pub(crate) fn merged_by_git(
        &self,
        ours: &str,
        theirs: &str,
    ) -> Result<String, BTreeSet<String>> {
        self.check_out(ours);
        let said = self.git(&["merge", "--quiet", "--no-ff", "-m", "merge", theirs]);
        if said.status.success() {
            return Ok(text(&self.git(&["rev-parse", "HEAD^{tree}"])));
        }
        let paths = text(&self.git(&["ls-files", "--unmerged", "-z"]));
        // A file that is in the way of a directory is put aside, under a name that says whose it
        // was.
        let path = |line: &str| {
            let (_, path) = line.split_once('\t')?;
            Some(
                path.trim_end_matches("~HEAD")
                    .trim_end_matches("~theirs")
                    .to_owned(),
            )
        };
        let paths: BTreeSet<String> = paths.split('\0').filter_map(path).collect();
        // A directory that was split in two is a conflict of no path.
        let output = text(&said);
        assert!(
            !paths.is_empty() || output.contains("CONFLICT (directory rename split)"),
            "{output}"
        );
        self.git(&["reset", "--quiet", "--hard"]);
        Err(paths)
    }
}

pub(crate) fn git_in(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C");
    for setting in [
        "user.name=A",
        "user.email=a@b",
        "protocol.file.allow=always",
        "advice.detachedHead=false",
    ] {
        command.args(["-c", setting]);
    }
    command.current_dir(directory).args(args).output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

pub(crate) fn lines(name: &str) -> String {
    (0..12)
        .map(|number| format!("{name} has line {number}\n"))
        .collect()
}

pub(crate) fn file(text: impl Into<Vec<u8>>) -> (u32, Vec<u8>) {
    (FILE, text.into())
}

pub(crate) fn first_files(chance: &mut Chance) -> Files {
    let names = [
        "a.txt",
        "b.txt",
        "d/a.txt",
        "d/b.c",
        "d/e/f.txt",
        "d/e/g.c",
        "s/h.c",
        "run.sh",
    ];
    let mut files: Files = names
        .iter()
        .map(|name| ((*name).to_owned(), file(lines(name))))
        .collect();
    files.insert("link".to_owned(), (LINK, b"a.txt".to_vec()));
    files.insert("module".to_owned(), (MODULE, "1".repeat(40).into_bytes()));
    if chance.below(2) == 0 {
        files.insert(
            ".gitattributes".to_owned(),
            file(RULES[chance.below(RULES.len())]),
        );
    }
    if chance.below(4) == 0 {
        files.insert(
            "d/.gitattributes".to_owned(),
            file(RULES[chance.below(RULES.len())]),
        );
    }
    files
}

/// Puts a file there; whatever is in its way is gone.
pub(crate) fn put(files: &mut Files, path: &str, what: (u32, Vec<u8>)) {
    files.retain(|other, _| {
        !other.starts_with(&format!("{path}/")) && !path.starts_with(&format!("{other}/"))
    });
    files.insert(path.to_owned(), what);
}

/// One change of the kinds that tasks make, at a place that the other side is likely to change,
/// too.
pub(crate) fn change(files: &mut Files, side: &str, chance: &mut Chance) {
    let names: Vec<String> = files
        .keys()
        .filter(|name| !name.ends_with(".gitattributes"))
        .cloned()
        .collect();
    if names.is_empty() {
        return;
    }
    let name = &names[chance.below(names.len())];
    let (mode, bytes) = files[name].clone();
    let directory = ["d", "d/e", "s"][chance.below(3)];
    match chance.below(14) {
        0..=3 if mode != LINK && mode != MODULE => {
            let mut edited: Vec<String> = String::from_utf8(bytes)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect();
            let at = chance.below(edited.len().max(1));
            let who = if chance.below(6) == 0 { "both" } else { side };
            match edited.get_mut(at) {
                Some(line) if chance.below(2) == 0 => *line = format!("{who} edited line {at}"),
                Some(_) | None => {
                    edited.insert(at.min(edited.len()), format!("{who} added a line"))
                }
            }
            files.insert(
                name.clone(),
                (mode, (edited.join("\n") + "\n").into_bytes()),
            );
        }
        4 => {
            files.remove(name);
        }
        5 | 6 => {
            files.remove(name);
            let to = [
                format!("{side}-new.txt"),
                format!("{directory}/moved.txt"),
                "moved.c".to_owned(),
            ];
            put(files, &to[chance.below(3)], (mode, bytes));
        }
        7 => {
            let to = if chance.below(2) == 0 {
                "moved".to_owned()
            } else {
                format!("{side}-moved")
            };
            let below = format!("{directory}/");
            let moved: Vec<String> = files
                .keys()
                .filter(|name| name.starts_with(&below))
                .cloned()
                .collect();
            for name in moved {
                let what = files.remove(&name).unwrap();
                put(files, &format!("{to}/{}", &name[below.len()..]), what);
            }
        }
        8 => put(
            files,
            &format!("{directory}/{side}-{}.txt", chance.below(3)),
            file(lines(side)),
        ),
        9 => put(
            files,
            ["new.txt", "d/new.txt", "s"][chance.below(3)],
            file(lines(["both", side][chance.below(2)])),
        ),
        10 if mode == FILE => {
            files.insert(name.clone(), (EXECUTABLE, bytes));
        }
        11 => put(
            files,
            ["link", "a.txt"][chance.below(2)],
            (LINK, side.as_bytes().to_vec()),
        ),
        12 => put(
            files,
            "module",
            (MODULE, ["2", "3"][chance.below(2)].repeat(40).into_bytes()),
        ),
        _ => put(
            files,
            ".gitattributes",
            file(RULES[chance.below(RULES.len())]),
        ),
    }
}

pub(crate) fn side(files: &Files, name: &str, chance: &mut Chance) -> Files {
    let mut changed = files.clone();
    for _ in 0..=chance.below(4) {
        change(&mut changed, name, chance);
    }
    changed
}
