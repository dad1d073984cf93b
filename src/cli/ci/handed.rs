//! What one job hands to the next: the request, the run's bundle or why there is none, the
//! judgement.
//!
//! At GitHub these are outputs, inputs and an artifact that the workflow fetches. At GitLab they
//! are files below `omk-out`, of which only the intake job's are taken from there: what the jobs
//! behind it left is fetched by API, as a stranger's, into a directory of this process. It refuses
//! links, a request of another pipeline, and to keep what was there before.

use std::path::{Path, PathBuf};

use super::inputs::{HANDED_OVER, JobStage};
use super::outputs::JobAnnotationLevel;
use super::runner::{ForgeJob, Pipeline};
use super::{CommandFailure, FailureKind, ForgeAccess, JobStep, Runner, inputs};
use crate::bundle::{self, BundleLimits};
use crate::forge::{Forge, ForgeError, GitLab, Job};
use crate::plain_file::{self, NotRead};
use crate::request::{Judgement, Request};
use crate::text::{self, ForgeKind};

/// The largest artifact that is looked at, packed, in bytes.
pub(super) const PACKED: u64 = 512 << 20;

/// Where the files are, below the project's directory and so in a job's artifact.
pub(super) const OUT: &str = "omk-out";

/// The run's bundle.
pub(super) const BUNDLE: &str = "bundle";

/// What the intake job decided; `null` where nothing is to be run.
const REQUEST: &str = "request.json";

/// What the judge job found.
const JUDGEMENT: &str = "judgement.json";

/// Why the run could not start.
const TROUBLE: &str = "trouble.txt";

/// How much is read of that.
const TROUBLE_MOST: u64 = 16 << 10;

/// What the run job left.
#[derive(Debug)]
pub(super) struct HandedBundle {
    /// Where its bundle is, if there is one.
    pub(super) bundle: PathBuf,
    /// What is known where there is none.
    pub(super) without: MissingBundle,
    _kept: Option<tempfile::TempDir>,
}

/// What is known of a run job that left no bundle. For show only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MissingBundle {
    /// Why it could not start, in its own words.
    Trouble(String),
    /// What it left is hostile or damaged; how.
    Refused(String),
    /// It was cancelled.
    Cancelled,
    /// Nothing.
    Unknown,
}

/// Takes over what the intake job decided, and makes room for what this job will leave.
///
/// # Errors
/// Where what is there is not what the intake job of this very pipeline wrote, or there is no room.
pub(super) fn take_over(runner: &Runner) -> Result<Option<Request>, CommandFailure> {
    let ForgeJob::GitLab(pipeline) = &runner.host else {
        return Ok(runner.inputs.request.clone());
    };
    let request = match runner.inputs.stage {
        JobStage::Whole | JobStage::Intake => None,
        JobStage::Run | JobStage::Judge | JobStage::Publish => {
            request_in(&pipeline.out.join(REQUEST), runner)?
        }
    };
    make_room(&pipeline.out)?;
    Ok(request)
}

fn request_in(file: &Path, runner: &Runner) -> Result<Option<Request>, CommandFailure> {
    let name = format!("{OUT}/{REQUEST}");
    let Some(bytes) = small_file(file, HANDED_OVER as u64)? else {
        return Ok(None);
    };
    let json = String::from_utf8_lossy(&bytes);
    if json.trim() == "null" {
        return Ok(None);
    }
    let request = inputs::request(&name, &json, &runner.repository)?;
    if request.forge != ForgeKind::GitLab || request.workflow.id != runner.workflow.id {
        return Err(CommandFailure::new(FailureKind::Usage, format!("the request in {name} is of another pipeline"))
            .hint("take it from the job `omk-intake` of this pipeline: `needs: [{job: omk-intake, artifacts: true}]`"));
    }
    Ok(Some(request))
}

/// A file's bytes; `None` where there is none. A link is not followed.
fn small_file(file: &Path, most: u64) -> Result<Option<Vec<u8>>, CommandFailure> {
    match plain_file::read(file, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(NotRead::Missing) => Ok(None),
        Err(why) => Err(CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read {}: {why}", file.display()),
        )),
    }
}

/// An empty directory, whatever was there: a runner may keep files of earlier jobs.
fn make_room(out: &Path) -> Result<(), CommandFailure> {
    let clear = || match std::fs::symlink_metadata(out) {
        Ok(there) if there.is_dir() => std::fs::remove_dir_all(out),
        Ok(_) => std::fs::remove_file(out),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    clear()
        .and_then(|()| std::fs::create_dir_all(out))
        .map_err(|error| {
            CommandFailure::new(
                FailureKind::Infra,
                format!("failed to make room in {}: {error}", out.display()),
            )
        })
}

impl JobStep {
    /// Leaves a file for later jobs, or for the forge to show.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn leave_file(&self, name: &str, bytes: &[u8]) -> Result<(), CommandFailure> {
        let Some(pipeline) = self.runner.pipeline() else {
            return Ok(());
        };
        let path = pipeline.out.join(name);
        std::fs::create_dir_all(&pipeline.out)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| {
                CommandFailure::new(
                    FailureKind::Infra,
                    format!("failed to write {}: {error}", path.display()),
                )
            })
    }

    /// Tells later jobs what was decided.
    ///
    /// # Errors
    /// Where the runner's file cannot be written.
    pub(super) fn hand_request(&self, request: Option<&Request>) -> Result<(), CommandFailure> {
        let json = serde_json::to_string(&request).map_err(super::super::failure::infra)?;
        match self.runner.forge {
            // A file that is there already, from another pipeline, is not to be taken for this
            // one's.
            ForgeKind::GitLab => self.leave_file(REQUEST, format!("{json}\n").as_bytes()),
            ForgeKind::GitHub if request.is_some() => self.outputs.set("request", &json),
            ForgeKind::GitHub => Ok(()),
        }
    }

    /// Tells the job that publishes why the run could not start: it has no other way to know.
    ///
    /// # Errors
    /// Where the runner's file cannot be written.
    pub(super) fn hand_trouble(&self, why: &str) -> Result<(), CommandFailure> {
        match self.runner.forge {
            ForgeKind::GitHub => self.outputs.set("trouble", why),
            ForgeKind::GitLab => self.leave_file(TROUBLE, format!("{why}\n").as_bytes()),
        }
    }

    /// Tells the job that publishes what was judged.
    ///
    /// # Errors
    /// Where the runner's file cannot be written.
    pub(super) fn hand_judgement(&self, json: &str) -> Result<(), CommandFailure> {
        match self.runner.forge {
            ForgeKind::GitHub => self.outputs.set("judgement", json),
            ForgeKind::GitLab => self.leave_file(JUDGEMENT, json.as_bytes()),
        }
    }

    /// What the run job left.
    ///
    /// # Errors
    /// Where the forge does not say.
    pub(super) fn run_left(&self, access: &ForgeAccess) -> Result<HandedBundle, CommandFailure> {
        let inputs = &self.runner.inputs;
        let (ForgeJob::GitLab(pipeline), Forge::GitLab(forge)) = (&self.runner.host, &access.forge)
        else {
            let without = match (&inputs.trouble, inputs.run_result.as_deref()) {
                (Some(why), _) => MissingBundle::Trouble(why.clone()),
                (None, Some("cancelled")) => MissingBundle::Cancelled,
                (None, Some(_) | None) => MissingBundle::Unknown,
            };
            return Ok(HandedBundle {
                bundle: inputs.bundle.clone(),
                without,
                _kept: None,
            });
        };
        self.run_job_left(pipeline, forge)
    }

    fn run_job_left(
        &self,
        pipeline: &Pipeline,
        forge: &GitLab,
    ) -> Result<HandedBundle, CommandFailure> {
        let dir = self.scratch()?;
        let left = dir.path().join("run").join(OUT);
        let nowhere = |without: MissingBundle| {
            Ok(HandedBundle {
                bundle: dir.path().join("none"),
                without,
                _kept: None,
            })
        };
        let Some(job) = self.job(forge, &pipeline.run_job)? else {
            let name = text::clip(&text::escape_invisible(&pipeline.run_job), 80);
            let why = format!(
                "this pipeline has no job `{name}`: set OMK_RUN_JOB to the name of the job that runs"
            );
            return nowhere(MissingBundle::Trouble(why));
        };
        let cancelled = job.status.starts_with("cancel");
        let otherwise = || {
            if cancelled {
                MissingBundle::Cancelled
            } else {
                MissingBundle::Unknown
            }
        };
        match self.fetch(forge, &job, &dir.path().join("run"))? {
            Fetched::Nothing => nowhere(otherwise()),
            Fetched::Hostile(why) => nowhere(MissingBundle::Refused(why)),
            Fetched::There => {
                let told = small_file(&left.join(TROUBLE), TROUBLE_MOST).ok().flatten();
                let told = told
                    .map(|bytes| text::printable(&bytes).trim().to_owned())
                    .filter(|told| !told.is_empty());
                let without = told.map_or_else(otherwise, MissingBundle::Trouble);
                Ok(HandedBundle {
                    bundle: left.join(BUNDLE),
                    without,
                    _kept: Some(dir),
                })
            }
        }
    }

    /// What the judge job found; `None` where it said nothing.
    ///
    /// # Errors
    /// Where the forge does not say, or what was said is no judgement.
    pub(super) fn judged(&self, access: &ForgeAccess) -> Result<Option<Judgement>, CommandFailure> {
        let (ForgeJob::GitLab(pipeline), Forge::GitLab(forge)) = (&self.runner.host, &access.forge)
        else {
            return Ok(self.runner.inputs.judgement.clone());
        };
        let Some(job) = self.job(forge, &pipeline.judge_job)? else {
            return Ok(None);
        };
        let dir = self.scratch()?;
        let place = dir.path().join("judge");
        match self.fetch(forge, &job, &place)? {
            Fetched::Nothing => return Ok(None),
            Fetched::Hostile(why) => {
                let what = format!("the judge job's artifacts are not to be believed: {why}");
                self.outputs.say(JobAnnotationLevel::Warning, &what);
                return Ok(None);
            }
            Fetched::There => {}
        }
        let file = place.join(OUT).join(JUDGEMENT);
        let Some(bytes) = small_file(&file, HANDED_OVER as u64)? else {
            return Ok(None);
        };
        inputs::judgement(
            &format!("{OUT}/{JUDGEMENT}"),
            &String::from_utf8_lossy(&bytes),
        )
        .map(Some)
    }

    /// The job of this pipeline that has that name; the newest, where it was tried again.
    fn job(&self, forge: &GitLab, name: &str) -> Result<Option<Job>, CommandFailure> {
        let jobs = self.wait(forge.jobs(self.runner.workflow.id))?;
        Ok(jobs
            .into_iter()
            .filter(|job| job.name == name)
            .max_by_key(|job| job.id))
    }

    /// Brings a job's artifacts to a new directory.
    fn fetch(&self, forge: &GitLab, job: &Job, to: &Path) -> Result<Fetched, CommandFailure> {
        if !job.has_artifacts {
            return Ok(Fetched::Nothing);
        }
        let archive = to.with_extension("zip");
        match self.wait(forge.download_artifact(job.id, PACKED, &archive)) {
            Ok(_) => {}
            Err(ForgeError::NotFound { .. }) => return Ok(Fetched::Nothing),
            Err(error @ ForgeError::Forbidden { .. }) => {
                let failure = CommandFailure::from(error);
                return Err(failure
                    .hint("OMK_TOKEN must be of an account with the role Developer, which artifacts are kept for"));
            }
            Err(error @ ForgeError::Refused { status: 413, .. }) => {
                return Ok(Fetched::Hostile(format!("failed to {error}")));
            }
            Err(error) => return Err(error.into()),
        }
        let room = |error: std::io::Error| {
            CommandFailure::new(FailureKind::Infra, format!("failed to make room: {error}"))
        };
        std::fs::create_dir(to).map_err(room)?;
        match bundle::unpack(&archive, to, BundleLimits::default().all) {
            Ok(()) => Ok(Fetched::There),
            Err(error) => {
                // A part of it is no part of anything.
                std::fs::remove_dir_all(to).map_err(room)?;
                Ok(Fetched::Hostile(format!("failed to {error}")))
            }
        }
    }
}

/// What became of fetching a job's artifacts.
enum Fetched {
    /// They are there.
    There,
    /// There are none.
    Nothing,
    /// They were not unpacked; why.
    Hostile(String),
}

#[cfg(test)]
mod tests;
