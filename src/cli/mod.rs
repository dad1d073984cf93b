//! The command line: one file for each subcommand, and [`CommandFailure`] for what they could not do.
//!
//! It is the only place that prints. It refuses to decide anything about a run.

mod agent;
mod args;
mod base;
mod cancel;
mod checkout;
mod ci;
mod clean;
mod disk;
mod doctor;
mod earlier;
mod egress;
mod failure;
mod holdings;
mod init;
mod judge;
mod needs;
mod objects;
mod plan;
mod plan_file;
mod preflight;
mod progress;
mod provider;
mod publish;
mod publish_as;
mod replay;
mod report;
mod result_branch;
mod resume;
mod retry;
mod run;
mod runtime;
mod session;
mod signals;
mod spending;
mod status;
mod terminal;
mod toolchain;
mod verify;
mod writing;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::exec::keeper;
use crate::exec::secret::was_started_again;
use crate::git::{GitError, Repo};
use crate::store::{RunDir, Store, StoreError};
use args::{Cli, Command};
pub use failure::{CommandFailure, FailureKind};
use terminal::Terminal;

/// Parses the command line, does what it says, and tells the exit code.
#[must_use]
pub fn main() -> ExitCode {
    keeper::keep_from_now_on();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions come this way too. Where they cannot be printed nobody reads them.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let terminal = Terminal::new(cli.color);
    match can_start_threads().and_then(|()| dispatch(cli, &terminal)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            terminal.complain(&failure.render());
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// Whether this process may have threads. A container may refuse the call that makes them, in a way
/// that no C library expects.
fn can_start_threads() -> Result<(), CommandFailure> {
    let started = std::thread::Builder::new().spawn(|| ());
    let Err(error) = started.map(std::thread::JoinHandle::join) else {
        return Ok(());
    };
    let failure = CommandFailure::new(
        FailureKind::Infra,
        format!("failed to start a thread: {error}"),
    );
    Err(if error.kind() == std::io::ErrorKind::PermissionDenied {
        failure
            .hint("this container refuses the system call `clone3` to every program, as Docker does before version 20.10.10")
            .hint("update Docker and libseccomp, or start the container with `--security-opt seccomp=unconfined`")
    } else {
        failure.hint("the limit of processes (`ulimit -u`, or the container's) may be reached")
    })
}

fn dispatch(cli: Cli, terminal: &Terminal) -> Result<u8, CommandFailure> {
    // An omk that started itself again is there already.
    if let Some(directory) = cli.directory.as_ref().filter(|_| !was_started_again()) {
        std::env::set_current_dir(directory).map_err(|error| {
            CommandFailure::new(
                FailureKind::Usage,
                format!("failed to go to {}: {error}", directory.display()),
            )
        })?;
    }
    match cli.command {
        Command::Init(args) => init::init(&args, terminal),
        Command::Plan(args) => plan::plan(&args, terminal),
        Command::Run(args) => run::run(&args, terminal),
        Command::Retry(args) => retry::retry(&args, terminal),
        Command::Resume(args) => resume::resume(&args, terminal),
        Command::Cancel(args) => cancel::cancel(&args, terminal),
        Command::Status(args) => status::status(&args, terminal),
        Command::Replay(args) => replay::replay(&args, terminal),
        Command::Verify(args) => verify::verify(&args, terminal),
        Command::Judge(args) => judge::command(&args, terminal),
        Command::Publish(args) => publish::command(&args, terminal),
        Command::Report(args) => report::report(&args, terminal),
        Command::Ci(args) => ci::ci(&args, terminal),
        Command::Schema => {
            let schema =
                serde_json::to_string_pretty(&crate::plan::schema()).map_err(failure::infra)?;
            terminal.print(&format!("{schema}\n"));
            Ok(0)
        }
        Command::Doctor(args) => doctor::doctor(&args, terminal),
        Command::Agent(args) => agent::agent(&args, terminal),
        Command::Clean(args) => clean::clean(&args, terminal),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "omk", &mut text);
            terminal.print(&String::from_utf8_lossy(&text));
            Ok(0)
        }
    }
}

/// The repository that omk was started in, and its runs.
struct Home {
    repo: Repo,
    store: Store,
    /// Where it lies, if that is to go with it.
    _dir: Option<tempfile::TempDir>,
}

impl Home {
    fn find() -> Result<Self, CommandFailure> {
        let here = std::env::current_dir().map_err(|error| {
            let failure = CommandFailure::new(
                FailureKind::Infra,
                format!("failed to tell the current directory: {error}"),
            );
            failure.hint("It may have been removed; go to another one.")
        })?;
        let repo = Repo::discover(&here).map_err(git)?;
        let store = Store::new(repo.common_dir());
        Ok(Self {
            repo,
            store,
            _dir: None,
        })
    }

    /// A new repository in that directory, without anything.
    fn fresh(dir: tempfile::TempDir) -> Result<Self, CommandFailure> {
        let repo = Repo::empty(dir.path()).map_err(git)?;
        let store = Store::new(repo.common_dir());
        Ok(Self {
            repo,
            store,
            _dir: Some(dir),
        })
    }

    fn run_dir(&self, name: Option<&str>) -> Result<RunDir, CommandFailure> {
        self.store.find(name).map_err(|error| match error {
            StoreError::NoSuchRun(_) => {
                let known = self.store.runs().unwrap_or_default();
                let failure = match name {
                    Some(name) => CommandFailure::new(
                        FailureKind::Usage,
                        format!("there is no single run `{name}` here"),
                    ),
                    None => {
                        CommandFailure::new(FailureKind::Usage, "there has been no run here yet")
                    }
                };
                match known.last() {
                    Some(newest) => failure.hint(format!(
                        "the newest of {} is {newest}",
                        crate::text::plural(known.len(), "run")
                    )),
                    None => failure.hint("start one with `omk run`"),
                }
            }
            other => store(other),
        })
    }
}

/// Git's trouble, at the edge: a setup that a person can mend, or the machine.
fn git(error: GitError) -> CommandFailure {
    let kind = match &error {
        GitError::RemoteUnavailable { .. } => FailureKind::Infra,
        GitError::RemoteUnauthorised { .. } => FailureKind::Blocked,
        error if error.is_host() => FailureKind::Infra,
        _ => FailureKind::Usage,
    };
    CommandFailure::of(kind, &error)
}

/// The store's trouble, at the edge.
fn store(error: StoreError) -> CommandFailure {
    let kind = match &error {
        StoreError::Held { .. } => FailureKind::Blocked,
        StoreError::NoSuchRun(_) => FailureKind::Usage,
        StoreError::Io { .. }
        | StoreError::Damaged { .. }
        | StoreError::OtherRun { .. }
        | StoreError::Line(_) => FailureKind::Infra,
    };
    CommandFailure::to_do(kind, &error)
}
