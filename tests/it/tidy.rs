//! The house stays as ARCHITECTURE.md says: modules in order, no shortcuts, nothing of one machine,
//! help with examples.
//!
//! It reads source as text, line by line, and refuses to be a parser: what it looks for has one
//! spelling here, and rustfmt keeps it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that are longer than [`longest`] says, tests at their end not counted, and why they stay
/// whole.
const LONG: &[(&str, &str)] = &[
    (
        "src/plan/mod.rs",
        "the plan's types: one structure, in the order of the file that people write",
    ),
    (
        "src/plan/schema.rs",
        "mirrors the plan's format for the JSON Schema, in the same order",
    ),
    (
        "src/cli/args.rs",
        "the command line, one list in the order of the help text",
    ),
    (
        "src/cli/session.rs",
        "a run from its first check to its last word, until the floor below takes it apart",
    ),
    (
        "src/cli/run.rs",
        "which tasks run, and what is asked before they do, until the floor below takes it apart",
    ),
    (
        "src/cli/clean.rs",
        "what goes, the list of it, and the removal: one decision",
    ),
    (
        "src/cli/retry.rs",
        "what earlier runs leave to a new one: one decision",
    ),
    (
        "src/proof/check.rs",
        "every reason that `omk verify` can give, one after the other",
    ),
    (
        "tests/it/bad_input.rs",
        "one table: what is wrong outside of a plan, and what it gets",
    ),
    (
        "tests/it/stories.rs",
        "stories of whole runs, in the order of the contract",
    ),
    (
        "tests/it/engine.rs",
        "stories about the engine share one small world",
    ),
    (
        "tests/it/engine_law.rs",
        "one world in which everything happens that can",
    ),
    (
        "tests/it/agent.rs",
        "one table of endings for one real CLI, which is dear to start",
    ),
    (
        "tests/it/deliver_texts.rs",
        "whole texts, as people read them at a forge",
    ),
    (
        "tests/it/forge_words.rs",
        "whole texts, as people read them at GitLab",
    ),
    (
        "tests/it/exec.rs",
        "stories about children share one small world",
    ),
    (
        "tests/it/gate.rs",
        "stories about gates share one small world",
    ),
    (
        "tests/it/git.rs",
        "hostile repositories share one small world",
    ),
    ("tests/it/report.rs", "whole texts, as people read them"),
    (
        "src/plan/lower/tests.rs",
        "each mistake that a plan can have, in the order of the file",
    ),
    (
        "src/trust/tests.rs",
        "one table of decisions, which must be seen side by side",
    ),
    (
        "tests/it/bundle.rs",
        "stories about bundles share one small world",
    ),
    (
        "tests/it/bundle_commits.rs",
        "each piece of a commit that can be forged, after the one that is right",
    ),
    (
        "tests/it/ci_answers.rs",
        "every answer to a comment, side by side",
    ),
    (
        "tests/it/ci_security_job.rs",
        "each attack on a job, beside the job as it should be",
    ),
    (
        "tests/it/engine_rules.rs",
        "one rule after the other, in the order of the contract",
    ),
    (
        "tests/it/first_run.rs",
        "what a first user meets, in the order in which they meet it",
    ),
    (
        "tests/it/github.rs",
        "what is read at GitHub, one answer after the other; `gitlab.rs` lies beside it",
    ),
    (
        "tests/it/github_writes.rs",
        "what is written at GitHub, one call after the other; `gitlab_writes.rs` lies beside it",
    ),
    (
        "tests/it/gitlab_component.rs",
        "the component, input by input",
    ),
    (
        "tests/it/gitlab_job.rs",
        "one world for all jobs of a pipeline",
    ),
    (
        "tests/it/gitlab_writes.rs",
        "what is written at GitLab, one call after the other; `github_writes.rs` lies beside it",
    ),
    (
        "tests/it/odd_repositories.rs",
        "one generator of repositories, and the laws that hold for all of them",
    ),
    (
        "tests/it/proof.rs",
        "each thing that can be wrong with a proof, after the one that is right",
    ),
    (
        "tests/it/remote.rs",
        "stories about remotes share one small server",
    ),
    (
        "tests/it/tidy.rs",
        "one law of the house after the other, and their lists of reasons",
    ),
    (
        "tests/it/workflows.rs",
        "the workflows, job by job, each held beside the others",
    ),
    (
        "tests/it/world.rs",
        "one world for all stories: a repository, a plan, omk, and a scripted model",
    ),
];

/// Calls that open or read a file by its name, other than through `plain_file`.
const READERS: &[&str] = &[
    "fs::read(",
    "fs::read_to_string(",
    "fs::copy(",
    "File::open(",
    ".read(true)",
    "hash_file(",
    "blob_path(",
];

/// The files that may read without `plain_file`, how often, and why.
const READING: &[(&str, usize, &str)] = &[
    (
        "src/cli/plan_file.rs",
        1,
        "a plan that a person names may be a link, or a pipe that has a writer",
    ),
    ("src/durability.rs", 2, "opens directories to sync them"),
    ("src/exec/keeper.rs", 1, "opens /dev/null"),
    ("src/exec/kernel.rs", 2, "reads /proc"),
    ("src/exec/seal.rs", 2, "reads /proc, and opens /dev/null"),
    (
        "src/forge/speaker/carrier.rs",
        1,
        "the caller's own certificates may be a link",
    ),
    (
        "src/git/binary.rs",
        1,
        "a list that omk wrote, beside the slot",
    ),
    (
        "src/git/convert.rs",
        1,
        "attributes of the machine and of its user",
    ),
    (
        "src/git/missing.rs",
        1,
        "opens git's own objects to see whether they are whole",
    ),
    (
        "src/git/ignore.rs",
        1,
        "excludes of the machine and of its user",
    ),
    (
        "src/git/worktrees.rs",
        1,
        "git's own directories, where HEAD may be a link",
    ),
    ("src/git/open.rs", 1, "git's own directory"),
    (
        "src/work/caches.rs",
        1,
        "copies what its user keeps, where no child has written",
    ),
    ("src/store.rs", 1, "opens a lock to write it"),
];

/// Calls that have libgit2 read objects by their ids, or walk through histories: on a file that
/// ends too early it hangs.
const LOOKUPS: &[&str] = &[
    "repo.find_commit(",
    "repo.find_tree(",
    "repo.find_blob(",
    "objects.find_blob(",
    ".peel_to_commit(",
    ".get_path(path",
    "graph_descendant_of(",
    "repo.merge_base(commit_oid(",
    "revparse_single(",
    "diff_tree_to_tree(",
];

/// The files that have libgit2 do so other than through `lookup`, how often, and why.
const LOOKING: &[(&str, usize, &str)] = &[
    (
        "src/git/anchor/keep_ref.rs",
        1,
        "reads a tree that it has just written",
    ),
    (
        "src/git/bundle.rs",
        1,
        "reads a tree that it has just written",
    ),
    ("src/git/lineage.rs", 1, "looks first"),
    ("src/git/merge.rs", 2, "looks at the histories first"),
    ("src/git/refs.rs", 1, "looks at the histories first"),
    ("src/git/repo/history.rs", 2, "looks at what is named first"),
];

/// The files that start a process, how often, and which.
const STARTING: &[(&str, usize, &str)] = &[
    ("src/cli/ci/root.rs", 1, "sudo, while it is taken away"),
    (
        "src/exec/fork_server.rs",
        1,
        "the process that shepherds are forked from",
    ),
    (
        "src/exec/keeper.rs",
        3,
        "git, under its keeper, or alone where there can be none",
    ),
    ("src/exec/secret.rs", 1, "omk itself, without its secrets"),
    ("src/exec/shepherd.rs", 1, "a child, in its room"),
    ("src/exec/start.rs", 1, "a child's shepherd"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All tracked files, and those that are about to be.
pub(crate) fn tracked() -> Vec<String> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ])
    .current_dir(root());
    let listed = git.output().unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).unwrap();
    names
        .split_terminator('\0')
        .filter(|name| root().join(name).is_file())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn read(name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root().join(name)).unwrap()).into_owned()
}

/// All Rust files, by name.
fn sources() -> BTreeMap<String, String> {
    let rust = tracked().into_iter().filter(|name| name.ends_with(".rs"));
    let sources: BTreeMap<String, String> = rust.map(|name| (name.clone(), read(&name))).collect();
    assert!(
        sources.len() > 100,
        "the sources are not where this test looks"
    );
    sources
}

/// What ships: the files in src/ without their tests and comments.
pub(crate) fn shipped() -> BTreeMap<String, String> {
    let in_src = |name: &String| name.starts_with("src/") && !name.ends_with("/tests.rs");
    sources()
        .into_iter()
        .filter(|(name, _)| in_src(name))
        .map(|(name, text)| (name, code_of(&text)))
        .collect()
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

fn code_of(text: &str) -> String {
    without_tests(text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The top-level modules in the order of lib.rs.
fn modules() -> Vec<String> {
    let list = read("src/lib.rs");
    let names = list
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The modules that a text names as `crate::NAME`.
fn named_modules(code: &str) -> Vec<&str> {
    let ends = |c: char| !(c.is_alphanumeric() || c == '_');
    code.split("crate::")
        .skip(1)
        .filter_map(|rest| rest.split(ends).next())
        .collect()
}

pub(crate) fn nothing(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_module_uses_only_modules_declared_above_it() {
    let order = modules();
    assert!(order.len() > 20, "{order:?}");
    let rank = |module: &str| order.iter().position(|other| other == module);
    let mut wrong = Vec::new();
    for (name, code) in shipped() {
        let path = name.trim_start_matches("src/").trim_end_matches(".rs");
        let module = path.split('/').next().unwrap_or(path);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = rank(module).unwrap_or_else(|| panic!("{name} is in no module of lib.rs"));
        for used in named_modules(&code) {
            match rank(used) {
                Some(other) if other <= own => {}
                Some(_) => wrong.push(format!(
                    "{name} uses `{used}`, which is declared below `{module}`"
                )),
                // A brace or a name at the crate's top would hide what is used.
                None => wrong.push(format!("{name} says `crate::{used}`: name the module")),
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let bare = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"));
    nothing(
        &bare
            .map(|(name, _)| format!("{name} does not open with `//!`"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn what_ships_takes_no_shortcut() {
    let shortcuts = [
        ".unwrap()",
        "todo!(",
        "unimplemented!(",
        "dbg!(",
        "#[allow(",
        "#![allow(",
        "#[cfg(test)]\n",
    ];
    let mut found = Vec::new();
    for (name, code) in shipped() {
        // A module of tests in a file of its own is declared so.
        let code = code.replace("#[cfg(test)]\nmod tests;", "");
        let taken = shortcuts
            .into_iter()
            .filter(|shortcut| code.contains(shortcut));
        found.extend(taken.map(|shortcut| format!("{name} has `{}`", shortcut.trim())));
    }
    nothing(&found);
}

#[test]
fn a_file_that_others_could_have_written_has_one_opener() {
    let mut wrong = Vec::new();
    for (name, code) in shipped()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("src/plain_file/"))
    {
        let found: usize = READERS
            .iter()
            .map(|reader| code.matches(reader).count())
            .sum();
        let expected = READING
            .iter()
            .find(|(file, ..)| *file == name)
            .map_or(0, |(_, count, _)| *count);
        if found != expected {
            wrong.push(format!("{name} reads files {found} times without `plain_file`, and {expected} have a reason"));
        }
    }
    nothing(&wrong);
}

#[test]
fn an_object_is_read_only_if_its_file_was_looked_at() {
    let mut wrong = Vec::new();
    for (name, code) in shipped()
        .into_iter()
        .filter(|(name, _)| name != "src/git/lookup.rs")
    {
        let found: usize = LOOKUPS
            .iter()
            .map(|lookup| code.matches(lookup).count())
            .sum();
        let expected = LOOKING
            .iter()
            .find(|(file, ..)| *file == name)
            .map_or(0, |(_, count, _)| *count);
        if found != expected {
            wrong.push(format!(
                "{name} reads objects {found} times without `lookup`, and {expected} have a reason"
            ));
        }
    }
    nothing(&wrong);
}

#[test]
fn a_process_is_started_in_one_place_for_each_kind() {
    let mut wrong = Vec::new();
    let shipped = shipped();
    for (name, code) in &shipped {
        let found = code.matches("Command::new(").count();
        let expected = STARTING
            .iter()
            .find(|(file, ..)| file == name)
            .map_or(0, |(_, count, _)| *count);
        if found != expected {
            wrong.push(format!(
                "{name} starts processes in {found} places, and {expected} have a reason"
            ));
        }
        // Under another name it would not be found.
        if code.contains("process::Command as ") || code.contains("Command as ") {
            wrong.push(format!("{name} gives `Command` another name"));
        }
    }
    let git = shipped
        .iter()
        .filter(|(_, code)| code.contains("command(\"git\")"));
    assert_eq!(
        git.map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["src/git/binary.rs"]
    );
    nothing(&wrong);
}

/// The texts of errors, with their arguments.
fn error_texts(code: &str) -> Vec<&str> {
    code.split("#[error(")
        .skip(1)
        .filter_map(|rest| rest.split(")]").next())
        .collect()
}

/// Types that have advice, by name.
fn advised(code: &str) -> Vec<&str> {
    code.split("impl Advised for ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .collect()
}

#[test]
fn advice_is_a_part_of_an_error_and_not_of_its_text() {
    let samples = read("tests/it/advice.rs");
    let (mut wrong, mut types) = (Vec::new(), 0);
    for (name, code) in shipped() {
        let texts = error_texts(&code)
            .into_iter()
            .filter(|text| text.contains("; "));
        wrong.extend(texts.map(|text| {
            format!("{name} has advice, or two sentences, in the text of an error: {text}")
        }));
        let cuts = ["split(\"; \")", "split_once(\"; \")", "splitn(2, \"; \")"];
        let cut = cuts.into_iter().filter(|cut| code.contains(cut));
        wrong.extend(cut.map(|cut| format!("{name} looks for the parts of a text: `{cut}`")));
        let advised = advised(&code);
        types += advised.len();
        // Once where it is imported, once where it is made.
        let bare = advised
            .into_iter()
            .filter(|advised| samples.matches(advised).count() < 2);
        wrong.extend(
            bare.map(|advised| format!("tests/it/advice.rs has no sample of `{advised}` ({name})")),
        );
    }
    assert!(types > 8, "only {types} types have advice");
    nothing(&wrong);
}

/// Whether `text` holds `path` as the beginning of an absolute path.
fn holds_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "/._-}$*".contains(c)))
    })
}

#[test]
fn nothing_of_one_machine_is_tracked() {
    let host = |name: &str, top: &str| format!("{name}.{top}");
    let hosts = [
        host("registry.npmjs", "org"),
        host("pypi", "org"),
        host("pythonhosted", "org"),
        host("crates", "io"),
    ];
    // Homes of people, and where this very copy lies.
    let slash = '/';
    let here = format!("{}{slash}", root().display());
    let mut paths = vec![format!("{slash}root{slash}"), format!("{slash}home{slash}")];
    // A copy at a place like `/src` says nothing: everybody has one.
    paths.extend(Some(here).filter(|here| here.matches(slash).count() > 2));
    let mut found = Vec::new();
    for name in tracked() {
        let text = read(&name);
        let here = paths.iter().filter(|path| holds_path(&text, path));
        found.extend(here.map(|path| format!("{name} holds a path below {path}")));
        // Cargo writes its registry's name into every lock file.
        if name != "Cargo.lock" {
            found.extend(
                hosts
                    .iter()
                    .filter(|host| text.contains(*host))
                    .map(|host| format!("{name} names {host}")),
            );
        }
    }
    nothing(&found);
}

/// So many lines are looked over at one go. A test is a list of cases, and may have what 400 lines
/// of 120 columns became in rustfmt's own format: a third more.
fn longest(name: &str) -> usize {
    let is_test = name.starts_with("tests/") || name.ends_with("/tests.rs");
    if is_test { 530 } else { 400 }
}

#[test]
fn long_files_have_a_reason() {
    let mut wrong = Vec::new();
    let sources = sources();
    for (name, text) in &sources {
        let lines = without_tests(text).lines().count();
        let excused = LONG.iter().any(|(long, _)| long == name);
        match (lines > longest(name), excused) {
            (true, false) => wrong.push(format!(
                "{name} has {lines} lines: split it by idea, or say why not"
            )),
            (false, true) => wrong.push(format!(
                "{name} has only {lines} lines, and needs no excuse"
            )),
            (true, true) | (false, false) => {}
        }
    }
    let gone = LONG.iter().filter(|(long, _)| !sources.contains_key(*long));
    wrong.extend(gone.map(|(long, _)| format!("{long} is excused, and does not exist")));
    nothing(&wrong);
}

fn help_of(arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_omk"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn every_command_shows_an_example() {
    let help = help_of(&[]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names: Vec<&str> = commands
        .lines()
        .map_while(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 12 && names.contains(&"run"), "{names:?}");
    let names = names.into_iter().filter(|name| *name != "help");
    let bare = names.filter(|name| !help_of(&[name]).contains("Example"));
    nothing(
        &bare
            .map(|name| format!("`omk {name} --help` shows no example"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_architecture_names_every_module_in_order() {
    let map = read("ARCHITECTURE.md");
    let at = |module: &str| map.find(&format!("| `{module}` |"));
    let places: Vec<Option<usize>> = modules().iter().map(|module| at(module)).collect();
    let missing: Vec<String> = modules()
        .into_iter()
        .filter(|module| at(module).is_none())
        .collect();
    nothing(&missing);
    assert!(
        places.is_sorted(),
        "ARCHITECTURE.md lists the modules in another order than lib.rs"
    );
}

/// The targets of a page's links that lead into the repository.
fn links(page: &str) -> Vec<&str> {
    let targets = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with(['#', '<']))
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut dead = Vec::new();
    for name in tracked().into_iter().filter(|name| name.ends_with(".md")) {
        let page = read(&name);
        let dir: PathBuf = root().join(&name).parent().unwrap().to_owned();
        for target in links(&page) {
            let file = target.split('#').next().unwrap_or(target);
            if !dir.join(file).exists() {
                dead.push(format!("{name} leads to {target}"));
            }
        }
    }
    nothing(&dead);
}
