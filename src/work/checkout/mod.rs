//! One world: children see the tree that they work on or judge, and nothing of the user's checkout.
//!
//! [`leads`] looks through the tools that children share with the user for what leads into the
//! checkout: PATH, other variables, Python's and Node.js's packages, workspaces of Go, Cargo's
//! settings. A gate that uses such a thing judges the checkout, and not the change. It refuses to
//! change anything of the user's, and to ask for the room's level: a sealed room
//! hides the checkout, and then the same tools fail in words that say nothing of this.

mod python;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::exec::egress::CERTIFICATES;
use crate::exec::environment::{Caller, child_env};
use crate::plain_file;
use crate::plan::Plan;

/// The largest file that is read, in bytes. Those that tools write have a few hundred; a workspace
/// of thousands of modules has less than this.
const FILE: u64 = 256 << 10;

/// How many entries of one directory are looked at: a large machine's `/usr/bin` has 5,000.
const ENTRIES: usize = 20_000;

/// How many directories of PATH are looked at. Shells slow down long before.
const DIRECTORIES: usize = 200;

/// Something that leads into the checkout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lead {
    /// What it is, and where: "`/srv/shop/.venv/bin`, which is on PATH, lies in the checkout".
    pub what: String,
    /// What the user can do about it.
    pub next: String,
}

/// The variables of caches, which a room replaces where they cannot be seen.
const CACHES: [&str; 5] = [
    "CARGO_HOME",
    "GOPATH",
    "GOMODCACHE",
    "npm_config_cache",
    "PIP_CACHE_DIR",
];

/// All that leads into one of the checkouts `tops` from the tools that children of a run by this
/// plan use. `cache` is where the slots lie.
#[must_use]
pub fn leads(caller: &Caller, plan: &Plan, tops: &[PathBuf], cache: &Path) -> Vec<Lead> {
    let checkout = Checkout::new(tops);
    let variables = variables(&off_path(caller, tops), plan);
    let (paths, others): (Vec<_>, Vec<_>) = variables.iter().partition(|(name, _)| name == "PATH");
    let paths = paths
        .into_iter()
        .flat_map(|(_, value)| std::env::split_paths(value))
        .filter(|path| path.is_absolute());
    let paths: BTreeSet<PathBuf> = paths.collect();
    let (inside, outside): (Vec<PathBuf>, Vec<PathBuf>) = paths
        .into_iter()
        .take(DIRECTORIES)
        .partition(|path| checkout.holds(path));
    let links: Vec<(PathBuf, PathBuf)> = outside
        .iter()
        .flat_map(|directory| links_in(directory))
        .collect();

    let mut found: BTreeSet<Lead> = inside.iter().map(|directory| on_path(directory)).collect();
    // A cache in the checkout is none of its files: children get one of their own instead.
    // A certificate is nothing that is judged; a child does not get one from the checkout.
    let is_left_out = |name: &OsStr| {
        CACHES
            .iter()
            .chain(&CERTIFICATES)
            .any(|known| name == *known)
    };
    let leading = others
        .iter()
        .filter(|(name, value)| !is_left_out(name) && checkout.is_led_to_by(value));
    found.extend(leading.map(|(name, _)| variable(name)));
    found.extend(programs(&checkout, &links));
    found.extend(
        outside
            .iter()
            .flat_map(|directory| linked_packages(&checkout, directory)),
    );
    found.extend(python::leads(
        &checkout,
        caller.text("HOME").map(Path::new),
        &outside,
        &links,
    ));
    let value = |wanted: &str| {
        others
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| Path::new(value))
    };
    found.extend(workspaces(&checkout, value("GOWORK"), cache));
    found.extend(
        value("CARGO_HOME")
            .into_iter()
            .flat_map(|home| cargo(&checkout, home)),
    );
    found.into_iter().collect()
}

/// The caller without the directories `node_modules/.bin` of the checkout, which npm puts on PATH
/// for whatever it starts. Children find those of their own tree.
#[must_use]
pub fn off_path(caller: &Caller, tops: &[PathBuf]) -> Caller {
    let checkout = Checkout::new(tops);
    caller.clone().keeping_on_path(|directory| {
        !directory.ends_with("node_modules/.bin") || !checkout.holds(directory)
    })
}

/// The checkout, or checkouts, by all names.
struct Checkout {
    names: Vec<PathBuf>,
}

impl Checkout {
    fn new(tops: &[PathBuf]) -> Self {
        let real = tops
            .iter()
            .filter_map(|top| std::fs::canonicalize(top).ok());
        let names: BTreeSet<PathBuf> = tops.iter().cloned().chain(real).collect();
        Self {
            names: names.into_iter().collect(),
        }
    }

    /// Whether that absolute path is it, lies in it, or leads into it.
    fn holds(&self, path: &Path) -> bool {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| straight(path));
        self.names.iter().any(|name| real.starts_with(name))
    }

    /// Whether a variable of that value leads there: it is a list of paths, or has one in it.
    fn is_led_to_by(&self, value: &OsStr) -> bool {
        let mut paths = std::env::split_paths(value).filter(|path| path.is_absolute());
        paths.any(|path| self.holds(&path)) || self.is_named_in(&value.to_string_lossy())
    }

    /// Whether a text has a path into it: `-I/srv/shop/include`, `file:///srv/shop`.
    fn is_named_in(&self, text: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || "._-".contains(c);
        self.names
            .iter()
            .filter_map(|name| name.to_str())
            .any(|name| {
                text.match_indices(name).any(|(at, _)| {
                    let (before, after) = (&text[..at], &text[at + name.len()..]);
                    // The letter of an option may stand right before a path.
                    let option = before.len() > 1
                        && before[..before.len() - 1].ends_with('-')
                        && before.ends_with(|c: char| c.is_ascii_alphabetic());
                    (option || !before.ends_with(is_part)) && !after.starts_with(is_part)
                })
            })
    }
}

/// The path without `.` and `..`, by its text alone.
fn straight(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// The variables of all children of the plan; HOME and TMPDIR are omk's own.
fn variables(caller: &Caller, plan: &Plan) -> BTreeSet<(OsString, OsString)> {
    let nowhere = Path::new("/");
    let usual = child_env(
        caller,
        nowhere,
        nowhere,
        &plan.env,
        &plan.pass_env,
        &BTreeMap::new(),
    );
    let own = plan
        .tasks
        .iter()
        .map(|task| &task.env)
        .chain(plan.gates.iter().map(|gate| &gate.env));
    let own = own
        .flatten()
        .map(|(name, value)| (name.into(), value.into()));
    usual
        .vars
        .into_iter()
        .chain(own)
        .filter(|(name, _)| name != "HOME" && name != "TMPDIR")
        .collect()
}

fn variable(name: &OsStr) -> Lead {
    let name = name.display();
    Lead {
        what: format!("the variable {name} leads into the checkout"),
        next: format!(
            "unset {name}, take it out of `pass_env` or `env`, or let it name a directory elsewhere; a relative path is one in the tree that is judged"
        ),
    }
}

fn on_path(directory: &Path) -> Lead {
    let is_python = directory
        .parent()
        .is_some_and(|parent| parent.join("pyvenv.cfg").exists());
    let next = if is_python {
        "deactivate that environment, and make one outside of the checkout (`python3 -m venv ~/.venvs/NAME`), or let the task or gate make its own"
    } else {
        "take it off PATH; a task or gate starts a program of its own tree by its path, as `./bin/tool`"
    };
    Lead {
        what: format!(
            "`{}`, which is on PATH, lies in the checkout",
            directory.display()
        ),
        next: next.to_owned(),
    }
}

/// Links on PATH into the checkout. Those of a linked package lead through it, and are part of
/// that.
fn programs(checkout: &Checkout, links: &[(PathBuf, PathBuf)]) -> Vec<Lead> {
    let in_package = |link: &Path| {
        std::fs::read_link(link).is_ok_and(|to| to.iter().any(|part| part == "node_modules"))
    };
    let into = links
        .iter()
        .filter(|(link, target)| checkout.holds(target) && !in_package(link));
    into.map(|(link, target)| Lead {
        what: format!("`{}`, which is on PATH, is a link to `{}` in the checkout", link.display(), target.display()),
        next: "remove that link, or put a copy in its place; a task or gate starts a program of its own tree by its path, as `./bin/tool`".to_owned(),
    })
    .collect()
}

/// The entries of a directory, by name; none if it cannot be read.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = read.take(ENTRIES).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The links in a directory, each with what it leads to.
fn links_in(directory: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> + use<> {
    entries(directory)
        .into_iter()
        .filter(|path| path.is_symlink())
        .filter_map(|path| {
            let target = std::fs::canonicalize(&path).ok()?;
            Some((path, target))
        })
}

/// Packages of Node.js that `npm link` has put beside that directory of programs, also those of a
/// scope.
fn linked_packages(checkout: &Checkout, programs: &Path) -> Vec<Lead> {
    let Some(packages) = programs
        .parent()
        .map(|prefix| prefix.join("lib/node_modules"))
    else {
        return Vec::new();
    };
    let is_scope = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('@'))
    };
    let scopes = entries(&packages).into_iter().filter(is_scope);
    let links = std::iter::once(packages.clone())
        .chain(scopes)
        .flat_map(|directory| links_in(&directory));
    let into = links.filter(|(_, target)| checkout.holds(target));
    into.map(|(link, target)| {
        let name = link
            .strip_prefix(&packages)
            .unwrap_or(&link)
            .display()
            .to_string();
        Lead {
            what: format!(
                "the npm package `{}` is a link to `{}` in the checkout",
                link.display(),
                target.display()
            ),
            next: format!(
                "`npm uninstall --global {name}` removes the link that `npm link` has made"
            ),
        }
    })
    .collect()
}

/// Workspaces of Go that have a part of the checkout in them: the one that GOWORK names, else those
/// above the checkout and above the slots.
fn workspaces(checkout: &Checkout, named: Option<&Path>, cache: &Path) -> Vec<Lead> {
    let above = checkout
        .names
        .iter()
        .flat_map(|name| name.ancestors().skip(1))
        .chain(cache.ancestors());
    let files: BTreeSet<PathBuf> = match named {
        Some(named) => BTreeSet::from([named.to_owned()]),
        None => above.map(|directory| directory.join("go.work")).collect(),
    };
    let has_checkout = |file: &PathBuf| {
        let text = read(file);
        let directory = file.parent().unwrap_or(file);
        let words = text
            .lines()
            .filter_map(|line| line.split("//").next())
            .flat_map(str::split_whitespace);
        let mut paths = words
            .map(|word| word.trim_matches('"'))
            .filter(|word| word.starts_with(['.', '/']));
        paths.any(|path| checkout.holds(&directory.join(path)))
    };
    let files = files.into_iter().filter(has_checkout);
    files
        .map(|file| Lead {
            what: format!(
                "the Go workspace `{}` has the checkout in it",
                file.display()
            ),
            next:
                "set `env: { GOWORK: \"off\" }` in the plan, or commit a go.work to the repository"
                    .to_owned(),
        })
        .collect()
}

/// Cargo's own settings, which may name a directory for builds, or other sources of a package.
fn cargo(checkout: &Checkout, home: &Path) -> Vec<Lead> {
    let files = ["config.toml", "config"]
        .map(|name| home.join(name))
        .into_iter();
    files
        .filter(|file| checkout.is_named_in(&read(file)))
        .map(|file| Lead {
            what: format!("Cargo's settings, `{}`, lead into the checkout", file.display()),
            next: "take the path out of them, or put it into `.cargo/config.toml` of the repository as a relative one"
                .to_owned(),
        })
        .collect()
}

/// What is in a file of the user's; nothing if it is not there, is too large, or no plain file.
fn read(file: &Path) -> String {
    plain_file::read(file, FILE)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
