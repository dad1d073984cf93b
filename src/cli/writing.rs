//! What a run leaves in its directory when it is over: proofs and reports.

use std::path::Path;

use super::session::FinishedRun;
use super::{CommandFailure, FailureKind, Home, result_branch};
use crate::bundle;
use crate::engine::Engine;
use crate::history::History;
use crate::id::Sha256;
use crate::proof;
use crate::report::{html, json, junit, markdown};
use crate::store::RunDir;
use crate::text::Scrubber;

/// Holds the journal's head that proofs and reports were last written for; omk may be killed before
/// that is done.
const WRITTEN: &str = "written";

/// Whether proofs and reports were written for just that journal.
pub(super) fn is_written(run_dir: &RunDir, journal_head: &Sha256) -> bool {
    run_dir
        .read(WRITTEN)
        .is_ok_and(|bytes| bytes == journal_head.as_str().as_bytes())
}

/// Writes every proof and report anew. Doing it twice is harmless.
pub(super) fn write(
    home: &Home,
    run_dir: &RunDir,
    engine: &Engine,
    history: &History,
    journal_head: &Sha256,
    scrubber: &Scrubber,
) -> Result<(), CommandFailure> {
    let observed = match (engine.began(), engine.tip()) {
        (Some(began), Some(tip)) => home
            .repo
            .changed_paths(&began.base.tree, &tip.tree)
            .map_err(super::git)?,
        _ => Vec::new(),
    };
    let tasks = history
        .task_proofs(engine, journal_head)
        .into_iter()
        .map(|(task, input)| (task.to_string(), input));
    let run = history
        .run_proof(engine, observed, journal_head)
        .map(|input| (proof::RUN_PROOF.to_owned(), input));
    let mut files = Vec::new();
    for (name, input) in tasks.chain(run) {
        files.push((
            format!("proofs/{name}.json"),
            proof::prove(&input).to_bytes(),
        ));
        if let Some(result) = proof::test_result(&input) {
            files.push((format!("proofs/{name}.test-result.json"), result.to_bytes()));
        }
    }
    run_dir.write_all(&files).map_err(super::store)?;
    let Some(view) = result_branch::shown(&home.repo, engine, history, scrubber) else {
        return Ok(());
    };
    let reports = [
        (
            "report.md",
            markdown::render(&view, markdown::COMMENT_LIMIT),
        ),
        ("report.html", html::render(&view)),
        ("report.json", json::render(&view)),
        ("junit.xml", junit::render(&view)),
    ];
    let reports = reports.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    run_dir.write_all(&reports).map_err(super::store)?;
    // Last: it says that the others are there.
    run_dir
        .write(WRITTEN, journal_head.as_str().as_bytes())
        .map_err(super::store)?;
    Ok(())
}

/// That a bundle can be written to `dir` when the run is over.
pub(super) fn may_bundle(dir: &Path) -> Result<(), CommandFailure> {
    bundle::is_free(dir).map_err(|error| CommandFailure::to_do(FailureKind::Usage, &error))
}

/// Writes what another job needs of a run that is over, to `dir`.
pub(super) fn bundle(
    over: &FinishedRun,
    dir: &Path,
    upload: bundle::Upload,
) -> Result<bundle::Written, CommandFailure> {
    let FinishedRun {
        home,
        run_dir,
        engine,
        ..
    } = over;
    bundle::write(
        dir,
        &home.repo,
        run_dir,
        engine,
        upload,
        &bundle::BundleLimits::default(),
    )
    .map_err(|error| CommandFailure::to_do(FailureKind::Infra, &error))
}

/// The proofs of a run, without their second statements, by path.
pub(super) fn proofs(run_dir: &RunDir) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(run_dir.path().join("proofs")) else {
        return Vec::new();
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_proof = |path: &std::path::PathBuf| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        name.ends_with(".json") && !name.ends_with(".test-result.json")
    };
    let mut proofs: Vec<_> = paths.filter(is_proof).collect();
    proofs.sort();
    proofs
}

/// How many proofs a run has.
pub(super) fn proof_count(run_dir: &RunDir) -> usize {
    proofs(run_dir).len()
}
