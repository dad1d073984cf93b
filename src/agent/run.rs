//! One run of the CLI in print mode.
//!
//! It refuses to judge; it starts the child, listens, stops it where the provider wants to be
//! waited for too long, and brings home everything that judging needs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::home::{AgentHome, io};
use super::kimi::Installed;
use super::stdout::StdoutSummary;
use super::wire::PriorRecords;
use super::{AgentError, CliRun};
use crate::exec::{Child, Program, Pulse, Sandbox, Shepherd, Surroundings};

/// The model as the agent sees it.
#[derive(Clone)]
pub struct Model {
    /// Its name at the provider.
    pub name: String,
    /// Where to ask: the gateway's `http://127.0.0.1:PORT/v1`.
    pub base_url: String,
    /// The one-attempt token. Never the provider's key.
    pub token: String,
    /// How many tokens it can see; the CLI compacts its conversation before that is full.
    pub context: u32,
    /// Whether it thinks before it speaks. The CLI is told the truth; the gateway puts requests as
    /// the model takes them.
    pub thinks: bool,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// What one attempt asks of the agent.
#[derive(Debug, Clone)]
pub struct AgentOrder {
    /// What to do, as [`super::prompt::build`] made it.
    pub prompt: String,
    /// The session to go on with; taken up only if the CLI still knows it.
    pub session: Option<String>,
    /// The slot.
    pub cwd: PathBuf,
    /// The task's own agent state; `home`, `tmp` and `kimi` are made in it, and kept between
    /// attempts.
    pub state: PathBuf,
    /// The environment, PATH included; what the CLI needs is added.
    pub env: BTreeMap<OsString, OsString>,
    /// The model.
    pub model: Model,
    /// Model calls in one turn.
    pub max_steps: u32,
    /// Tools the model is not shown.
    pub tools_disabled: Vec<String>,
    /// Wall time.
    pub timeout: Duration,
    /// No output and no model traffic for so long = hung.
    pub idle_timeout: Option<Duration>,
    /// A longer wait before a retry ends the attempt, so that its worker is free meanwhile.
    pub longest_wait: Duration,
    /// What it may see, touch and reach beside its own state; `None` = as much as omk.
    pub room: Option<Sandbox>,
    /// Where the listener of its room goes.
    pub doors: Option<mpsc::UnboundedSender<std::net::TcpListener>>,
    /// Where its output is kept: the transcript.
    pub log: PathBuf,
    /// Ends it when cancelled.
    pub stop: CancellationToken,
    /// The gateway's signs of life.
    pub pulse: Pulse,
}

/// A transcript over 64 MiB is of no use to anybody.
const TRANSCRIPT_CAP: u64 = 64 << 20;

/// The kernel takes 131,071 bytes in one argument; from here on the prompt goes into a file.
const LONGEST_ARGUMENT: usize = 100_000;

impl Installed {
    /// Runs the CLI to its end.
    ///
    /// # Errors
    /// Where its directories could not be prepared, or it could not be started. All that happens
    /// later is in [`CliRun`].
    pub async fn run(
        &self,
        shepherd: &Shepherd,
        errand: &AgentOrder,
    ) -> Result<CliRun, AgentError> {
        let home = AgentHome::prepare(errand)?;
        let before = PriorRecords::look(&home.kimi).await;
        let session = errand
            .session
            .as_deref()
            .filter(|session| before.knows(session));
        let child = self.child(errand, &home, session)?;
        let stop = errand.stop.child_token();
        let (lines_in, mut lines) = mpsc::unbounded_channel();
        let around = Surroundings {
            stop: stop.clone(),
            pulse: errand.pulse.clone(),
            doors: errand.doors.clone(),
            stdout_lines: Some(lines_in),
        };

        let running = async move {
            // The token is the agent's own: it may print it, and no transcript is to keep it.
            let ended = shepherd
                .knowing(&errand.model.token)
                .run(&child, &around)
                .await;
            // The listener below ends when nobody can speak any more.
            drop(around);
            ended
        };
        let listening = async {
            let (mut heard, mut waits) = (StdoutSummary::default(), None);
            while let Some(line) = lines.recv().await {
                let delay = heard.hear(&line).map(|retrying| retrying.delay);
                if let Some(delay) = delay.filter(|delay| *delay > errand.longest_wait) {
                    waits = Some(delay);
                    stop.cancel();
                }
            }
            (heard, waits)
        };
        let (ended, (heard, waits)) = tokio::join!(running, listening);
        let mut recorded = before.since(&home.kimi, session).await;
        recorded.session = recorded.session.or_else(|| heard.session.clone());
        // A person's stop outranks a provider's wish to wait.
        let waits = waits.filter(|_| !errand.stop.is_cancelled());
        Ok(CliRun {
            child: ended?,
            transcript: errand.log.clone(),
            heard,
            recorded,
            waits,
        })
    }

    fn child(
        &self,
        errand: &AgentOrder,
        home: &AgentHome,
        session: Option<&str>,
    ) -> Result<Child, AgentError> {
        let mut arguments = self.first_args.clone();
        if let Some(session) = session {
            arguments.extend(["-S".into(), session.into()]);
        }
        let prompt = argument(&errand.prompt, &errand.state)?;
        arguments.extend([
            "-p".into(),
            prompt.into(),
            "--output-format".into(),
            "stream-json".into(),
        ]);
        let room = errand.room.clone().map(|mut room| {
            room.writable
                .extend([home.home.clone(), home.tmp.clone(), home.kimi.clone()]);
            room.shown.extend(self.files());
            room
        });
        Ok(Child {
            program: Program::Direct(self.program.clone(), arguments),
            cwd: errand.cwd.clone(),
            env: home.env(errand, &self.path_end),
            room,
            timeout: errand.timeout,
            idle_timeout: errand.idle_timeout,
            log: errand.log.clone(),
            log_cap: TRANSCRIPT_CAP,
        })
    }
}

/// The prompt as one argument that cannot be taken for an option or a slash command; a long one
/// lies in a file.
fn argument(prompt: &str, state: &Path) -> Result<String, AgentError> {
    let prompt = prompt.replace('\0', " ");
    if prompt.len() > LONGEST_ARGUMENT {
        let path = state.join("prompt.md");
        std::fs::write(&path, &prompt).map_err(io("write", &path))?;
        return Ok(format!(
            "Read the file {} from its beginning to its end, in parts where it is long. It is your task; carry it out.",
            path.display()
        ));
    }
    if prompt.trim_start().starts_with(['/', '-']) {
        return Ok(format!("Your task:\n\n{prompt}"));
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_never_an_option_or_a_command() {
        let state = Path::new("/nowhere");
        for prompt in ["/help", "--version", "  -x", "\n/compact"] {
            assert!(
                argument(prompt, state)
                    .unwrap()
                    .starts_with("Your task:\n\n"),
                "{prompt}"
            );
        }
        assert_eq!(argument("a\0b", state).unwrap(), "a b");
    }

    #[test]
    fn a_long_prompt_lies_in_a_file() {
        let state = tempfile::tempdir().unwrap();
        let prompt = "x".repeat(LONGEST_ARGUMENT + 1);
        let argument = argument(&prompt, state.path()).unwrap();
        assert!(argument.len() < 1000 && argument.contains("prompt.md"));
        assert_eq!(
            std::fs::read_to_string(state.path().join("prompt.md")).unwrap(),
            prompt
        );
    }
}
