//! What a run's base needs of this machine, named before anything is started or paid.
//!
//! It refuses a machine without git, a git that is too old to merge, and a base whose files would
//! be taken without a filter that its attributes ask for.

use std::path::PathBuf;

use super::needs::{NeedFinding, NeedsContext};
use super::{CommandFailure, FailureKind};
use crate::git::{
    Lacks, MissingFilter, MissingSubmodule, ModuleLack, Uncommitted, advice, program_version,
    refuse_old_program,
};
use crate::report::checkup::Point;
use crate::text;

/// How many are named at once. A user who has more of them starts with these.
const NAMED: usize = 5;

/// The check of the git binary.
pub(super) const GIT: &str = "git";

/// What the git binary says it is, if a run can start with it.
pub(super) fn program() -> Result<String, CommandFailure> {
    let Some(version) = program_version() else {
        let what = "there is no `git` on PATH that answers";
        return Err(
            CommandFailure::new(FailureKind::Blocked, what).hint("install git, and put it on PATH")
        );
    };
    refuse_old_program()
        .map_err(|error| CommandFailure::to_do(FailureKind::Blocked, &error))
        .map(|()| version)
}

/// A git that is not there, or too old to merge.
pub(super) fn git() -> NeedFinding {
    program().map_or_else(
        |failure| NeedFinding::stop(GIT, failure),
        |_| NeedFinding::nothing(),
    )
}

/// The filters that the tree asks for, if one cannot work here.
pub(super) fn filters(ground: &NeedsContext<'_>) -> Result<NeedFinding, CommandFailure> {
    // There is no git to ask, or one that need not understand the question.
    if program().is_err() {
        return Ok(NeedFinding::nothing());
    }
    let path: Vec<PathBuf> = ground
        .caller
        .text("PATH")
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    let missing = ground
        .home
        .repo
        .filters_that_lack(ground.tree, &path)
        .map_err(super::git)?;
    if missing.is_empty() {
        return Ok(NeedFinding::nothing());
    }
    let named: Vec<String> = missing.iter().take(NAMED).map(in_words).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!(
        "the attributes of the base ask for filters that git does not have here: {}{more}; files would be committed without them",
        named.join(", ")
    );
    let hints = missing.iter().take(NAMED).map(hint);
    Ok(NeedFinding::stop(
        "filters",
        hints.fold(
            CommandFailure::new(FailureKind::Blocked, what),
            CommandFailure::hint,
        ),
    ))
}

fn in_words(filter: &MissingFilter) -> String {
    let MissingFilter { name, path, lacks } = filter;
    match lacks {
        Lacks::Definition => format!("`{name}` (for `{path}`)"),
        Lacks::Program(program) => {
            format!("`{name}` (for `{path}`; its program `{program}` is not on PATH)")
        }
    }
}

fn hint(filter: &MissingFilter) -> String {
    match &filter.lacks {
        Lacks::Program(program) if filter.name != "lfs" => {
            format!("install `{program}`, or put it on PATH")
        }
        Lacks::Definition | Lacks::Program(_) => advice(&filter.name),
    }
}

/// The checkout's changes that a run does not see: it starts from a commit. The plan's own file is
/// read where it lies.
pub(super) fn uncommitted(changes: &Uncommitted) -> NeedFinding {
    let kinds = [
        (changes.tracked, "tracked file"),
        (changes.untracked, "untracked file"),
    ];
    let counted: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| text::plural(*count, noun))
        .collect();
    if counted.is_empty() {
        return NeedFinding::nothing();
    }
    let named: Vec<String> = changes
        .first
        .iter()
        .map(|path| format!("`{path}`"))
        .collect();
    let more = match (changes.tracked + changes.untracked).saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = format!(
        "a run starts from HEAD and does not see uncommitted changes of {}: {}{more}",
        counted.join(" and "),
        named.join(", ")
    );
    NeedFinding::warn("uncommitted", found, "commit what tasks and gates need")
}

/// The submodules that tasks and gates do not find in their slots.
pub(super) fn submodules(ground: &NeedsContext<'_>) -> Result<NeedFinding, CommandFailure> {
    let missing = ground
        .home
        .repo
        .missing_submodules(ground.tree)
        .map_err(super::git)?;
    if missing.is_empty() {
        return Ok(NeedFinding::nothing());
    }
    let in_words =
        |module: &MissingSubmodule| format!("`{}` ({})", module.path, why_missing(&module.why));
    let named: Vec<String> = missing.iter().take(NAMED).map(in_words).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let all = text::plural(missing.len(), "submodule");
    let found = format!(
        "tasks and gates find an empty directory in the place of {all}: {}{more}",
        named.join(", ")
    );
    let workdir = ground.home.repo.workdir();
    let is_own = |module: &MissingSubmodule| {
        module.why == ModuleLack::Clone
            && workdir.join(module.path.to_string()).join(".git").is_dir()
    };
    let can_be_fetched =
        |module: &MissingSubmodule| matches!(module.why, ModuleLack::Clone | ModuleLack::Commit);
    let mut next = Vec::new();
    if missing.iter().any(is_own) {
        next.push("`git submodule absorbgitdirs` moves the repositories of submodules to where omk reads them");
    }
    if missing
        .iter()
        .any(|module| can_be_fetched(module) && !is_own(module))
    {
        next.push("`git submodule update --init --recursive` fetches what is missing");
    }
    Ok(NeedFinding::tell(Point::warn(
        "submodules",
        found,
        next.into_iter().map(str::to_owned).collect(),
    )))
}

fn why_missing(why: &ModuleLack) -> String {
    match why {
        ModuleLack::Clone => "there is no clone of it here".to_owned(),
        ModuleLack::Commit => "its clone does not have the recorded commit".to_owned(),
        ModuleLack::Name => "`.gitmodules` does not name it".to_owned(),
        ModuleLack::Elsewhere(name) => {
            format!("its name `{name}` in `.gitmodules` leads elsewhere, which omk refuses")
        }
        ModuleLack::Unreadable(why) => format!("its clone cannot be read: {why}"),
        ModuleLack::TooDeep => "it lies in too many others".to_owned(),
    }
}
