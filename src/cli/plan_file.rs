//! Finding and reading the plan.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::args::PlanFile;
use super::{CommandFailure, FailureKind, Home};
use crate::fact::PlanSource;
use crate::git::Repo;
use crate::id::{RepoPath, Sha256};
use crate::plan::Plan;

/// The plan's usual name, at the top of the repository.
pub(super) const USUAL: &str = "omk.yaml";

/// One byte more than the largest plan: enough to see that it is too large.
const READ_AT_MOST: u64 = (1 << 20) + 1;

/// A plan that was read and checked.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) plan: Plan,
    pub(super) bytes: Vec<u8>,
    /// Where it is, relative to the repository's top where it is inside.
    pub(super) path: String,
}

/// Reads the plan that was named, or the usual one.
pub(super) fn read(home: &Home, args: &PlanFile) -> Result<Read, CommandFailure> {
    let top = home.repo.workdir();
    let path = args.file.clone().unwrap_or_else(|| top.join(USUAL));
    let shown = shown(&path, top);
    // A pipe that nobody writes to would be waited for for ever; one that a person names has its
    // writer.
    if args.file.is_none() && path.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read the plan {shown}: it is not a file"),
        ));
    }
    let bytes = read_bytes(&path, &shown)?;
    let default = top
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let plan = crate::plan::parse(&bytes, &shown, &default)
        .map_err(|complaints| CommandFailure::rendered(FailureKind::Usage, complaints.render()))?;
    Ok(Read {
        plan,
        bytes,
        path: shown,
    })
}

fn read_bytes(path: &Path, shown: &str) -> Result<Vec<u8>, CommandFailure> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(READ_AT_MOST).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let failure = CommandFailure::new(
                FailureKind::Usage,
                format!("there is no plan: {shown} does not exist"),
            );
            Err(failure
                .hint("write a first one with `omk init`, or name another with `--plan FILE`"))
        }
        Err(error) => Err(CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read the plan {shown}: {error}"),
        )),
    }
}

fn shown(path: &Path, top: &Path) -> String {
    let whole: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let resolved = std::fs::canonicalize(&whole).unwrap_or(whole);
    let inside = resolved.strip_prefix(top).map(Path::to_path_buf);
    inside
        .unwrap_or_else(|_| path.to_path_buf())
        .display()
        .to_string()
}

/// Where the plan was read from, for the journal.
pub(super) fn source(repo: &Repo, read: &Read) -> Result<PlanSource, CommandFailure> {
    let digest = Sha256::of(&read.bytes);
    let inside = read.path.parse::<RepoPath>().ok();
    let (mut uncommitted, mut commit) = (true, None);
    if let Some(path) = &inside {
        uncommitted = repo.head_differs(path, &read.bytes).map_err(super::git)?;
        if !uncommitted {
            commit = Some(repo.resolve("HEAD").map_err(super::git)?.commit);
        }
    }
    Ok(PlanSource {
        path: read.path.clone(),
        digest,
        commit,
        uncommitted,
    })
}
