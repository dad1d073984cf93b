//! The work itself: a command, or a turn of the agent.

mod order;
mod log;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::RunShared;
use super::attempt::Interruption;
use super::copies::Copies;
use super::errand::Assignment;
use super::place::Workplace;
use super::room::{Way, room};
use super::thread::{blocking, until};
use crate::agent::{self, AgentOutcome, Model, Observed};
use crate::exec::environment::{ChildEnv, child_env};
use crate::exec::{Child, Ending, ExecError, Program, Pulse, Surroundings};
use crate::fact::{AgentEvidence, Class, CommandEvidence, Evidence, Failure, advice_on_exit};
use crate::gateway::{Admission, Usage};
use crate::model::Thinks;
use crate::plan::{Network, Work};
use crate::text;

/// The cap of a command's log file, in bytes.
const LOG_CAP: u64 = 16 << 20;

/// One attempt's work.
pub(super) struct AttemptWork<'a> {
    pub(super) shared: &'a Arc<RunShared>,
    pub(super) errand: &'a Assignment,
    pub(super) place: &'a Workplace,
    pub(super) stop: &'a CancellationToken,
}

/// How the work ended.
pub(super) enum WorkEnd {
    /// It came to its end.
    Done,
    /// It failed.
    Failed(Failure),
}

/// Does the work; with the agent's session, to go on with or to be gone on with.
pub(super) async fn take(
    turn: &AttemptWork<'_>,
    session: Option<String>,
    evidence: &mut Evidence,
) -> Result<(WorkEnd, Option<String>), Interruption> {
    match &turn.errand.task.work {
        Work::Run(command) => Ok((turn.command(command, evidence).await?, None)),
        Work::Prompt(text) => turn.agent(text, session, evidence).await,
    }
}

impl AttemptWork<'_> {
    fn network(&self) -> &Network {
        self.shared
            .tools
            .plan
            .room
            .network_of_task(&self.errand.task)
    }

    /// Notes the hosts that were asked for in vain, and that a child may have made of anything.
    fn note_hosts(&self, way: &Way, evidence: &mut Evidence) {
        let scrub = |host: &String| self.shared.tools.scrubber.scrub(host);
        evidence.refused_hosts = way.refused().iter().map(scrub).collect();
        evidence.unreached_hosts = way.unreached().iter().map(scrub).collect();
    }

    /// An empty directory for what the child's room throws away.
    async fn scratch(&self) -> Result<std::path::PathBuf, Interruption> {
        let place = self.place.clone();
        Ok(blocking(move || place.scratch()).await?)
    }

    fn env(&self) -> ChildEnv {
        let tools = &self.shared.tools;
        let (home, tmp) = (self.place.home(), self.place.tmp());
        let plan = &tools.plan;
        child_env(
            &tools.caller,
            &home,
            &tmp,
            &plan.env,
            &plan.pass_env,
            &self.errand.task.env,
        )
    }

    async fn command(
        &self,
        command: &str,
        evidence: &mut Evidence,
    ) -> Result<WorkEnd, Interruption> {
        let mut env = self.env();
        let mut way = Way::open(self.network(), None, &self.shared.tools.caller).await?;
        way.describe_in(&mut env.vars);
        let writable = vec![
            self.place.slot.path().to_path_buf(),
            self.place.home(),
            self.place.tmp(),
        ];
        let scratch = self.scratch().await?;
        Copies::settle(self.shared).await;
        let (room, furnishing) = room(self.shared, &mut env, writable, scratch, &way);
        until(self.stop, move || furnishing.make()).await;
        let name = format!(
            "logs/{}/{}/command.log",
            self.errand.task.id, self.errand.attempt
        );
        let child = Child {
            program: Program::Shell(command.to_owned()),
            cwd: self.place.slot.path().to_path_buf(),
            env: env.vars,
            room: Some(room),
            timeout: self.errand.task.timeout,
            idle_timeout: Some(self.errand.task.idle_timeout),
            log: self.make_log(&name)?,
            log_cap: LOG_CAP,
        };
        let around = Surroundings {
            stop: self.stop.clone(),
            doors: Some(way.doors()),
            ..Surroundings::default()
        };
        let ended = way
            .serve_while(None, self.shared.tools.shepherd.run(&child, &around))
            .await;
        self.note_hosts(&way, evidence);
        let ended = ended.map_err(|error| trouble(&error, &error))?;
        evidence.network = Some(self.network().at(ended.containment.level));
        evidence.containment = ended.containment.clone();
        let exit = if let Ending::Exited(code) = ended.ending {
            Some(code)
        } else {
            None
        };
        let log = self.log_evidence(&ended, name);
        evidence.command = Some(CommandEvidence {
            command: command.to_owned(),
            exit,
            log,
        });
        let named = text::command_line(command);
        let (class, how) = match ended.ending {
            Ending::Exited(0) => return Ok(WorkEnd::Done),
            Ending::Exited(code) => (
                Class::Command,
                format!("command {named} exited with {code}"),
            ),
            // The kernel's own killer, or a person's: nothing the command says of itself.
            Ending::Signalled(9) => (Class::Host, "its command was killed".to_owned()),
            Ending::Signalled(signal) => (
                Class::Command,
                format!("command {named} was ended by signal {signal}"),
            ),
            Ending::TimedOut => (
                Class::Timeout,
                format!("it took longer than {}", text::duration(child.timeout)),
            ),
            Ending::Hung => (
                Class::Hung,
                format!(
                    "it was silent for {}",
                    text::duration(self.errand.task.idle_timeout)
                ),
            ),
            Ending::Stopped => return Err(Interruption::Interrupted),
        };
        Ok(WorkEnd::Failed(Failure {
            advice: advice_on_exit(exit),
            ..Failure::new(class, how)
        }))
    }

    async fn agent(
        &self,
        text: &str,
        session: Option<String>,
        evidence: &mut Evidence,
    ) -> Result<(WorkEnd, Option<String>), Interruption> {
        let Some(agent) = &self.shared.tools.agent else {
            return Err(Interruption::new(
                Class::Config,
                "this run was started without an agent",
            ));
        };
        let pulse = Pulse::default();
        let admission = Admission {
            task: self.errand.task.id.clone(),
            retry_count: self.errand.retry_count,
            attempt: self.errand.attempt,
            placeholders: self.placeholders(),
            pulse: pulse.clone(),
        };
        let pass = agent
            .gateway
            .admit(admission)
            .map_err(|error| Interruption::new(Class::Host, format!("failed to {error}")))?;
        let resumed = session.is_some();
        let name = format!(
            "transcripts/{}/{}.jsonl",
            self.errand.task.id, self.errand.attempt
        );
        let model = Model {
            name: self.shared.tools.plan.agent.model.clone(),
            base_url: pass.base_url.clone(),
            token: pass.token.clone(),
            context: agent.facts.context,
            thinks: agent
                .facts
                .thinking
                .is_some_and(|thinking| thinking != Thinks::Never),
        };
        let token = pass.token.clone();
        let hide = |text: &str| {
            self.shared
                .tools
                .scrubber
                .scrub(&text.replace(&token, "***"))
        };
        let mut way = Way::open(
            self.network(),
            Some(agent.gateway.port()),
            &self.shared.tools.caller,
        )
        .await?;
        let scratch = self.scratch().await?;
        Copies::settle(self.shared).await;
        let (errand, furnishing) = self.errand_of(
            text,
            session,
            model,
            pulse,
            self.make_log(&name)?,
            (&way, scratch),
        );
        until(self.stop, move || furnishing.make()).await;
        let ran = way
            .serve_while(
                Some(&pass),
                agent.installed.run(&self.shared.tools.shepherd, &errand),
            )
            .await;
        self.note_hosts(&way, evidence);
        let usage = pass.close();
        let ran = ran.map_err(|error| {
            if let agent::AgentError::Exec(cause) = &error {
                trouble(cause, &error)
            } else {
                failed(&error)
            }
        })?;
        evidence.network = Some(self.network().at(ran.child.containment.level));
        evidence.containment = ran.child.containment.clone();
        let transcript = self.transcript(&ran.child, name);
        let seen = observed(&usage);
        let ended = ran.judge(&seen);
        let said = hide(&text::printable(ended.said.as_bytes()));
        evidence.agent = Some(AgentEvidence {
            kind: self.shared.tools.plan.agent.kind.as_str().to_owned(),
            version: agent.installed.version.clone(),
            model: self.shared.tools.plan.agent.model.clone(),
            tokens: usage.tokens,
            cost_micro_usd: usage.cost_micro_usd,
            requests: usage.requests,
            session: ended.session.as_deref().map(hide),
            resumed,
            transcript: Some(transcript),
            said: text::clip(said.trim(), 2000),
            unrecorded: usage.unrecorded.as_deref().map(hide),
        });
        match ended.outcome {
            AgentOutcome::Done => Ok((WorkEnd::Done, ended.session)),
            AgentOutcome::Failed(mut failure) => {
                failure.message = hide(&failure.message);
                failure.advice = failure
                    .advice
                    .or_else(|| agent::advice(failure.class, &seen, &self.shared.tools.plan.agent));
                Ok((WorkEnd::Failed(failure), ended.session))
            }
            AgentOutcome::Interrupted => Err(Interruption::Interrupted),
        }
    }
}

/// What became of a child that could not be run, or not be ended; `whole` says it in words.
pub(super) fn trouble(error: &ExecError, whole: &dyn std::fmt::Display) -> Interruption {
    let class = if error.is_setup() {
        Class::Config
    } else {
        Class::Host
    };
    Interruption::Failed(Failure {
        outlived: error.is_outlived(),
        ..Failure::new(class, format!("failed to {whole}"))
    })
}

fn failed(error: &agent::AgentError) -> Interruption {
    Interruption::Failed(Failure::to_do(Class::Host, error))
}

fn observed(usage: &Usage) -> Observed {
    let last = usage.last_error.as_ref();
    Observed {
        status: last.and_then(|error| error.status),
        retry_after: last.and_then(|error| error.retry_after),
        kind: last.map(|error| error.kind.clone()),
        message: last.map(|error| error.message.clone()),
        cassette_miss: usage.cassette_miss.clone(),
        over_budget: usage.over_budget,
    }
}
