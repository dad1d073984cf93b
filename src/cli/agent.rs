//! `omk agent`: installs or checks the coding agent that the plan pins, and the model that it
//! speaks to.

use super::args::{Agent, AgentAction, PlanFile};
use super::session::{Secrets, agent_failure, cache_dir, find_agent, locate, no_key, shepherd};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, plan_file, provider};
use crate::agent;
use crate::exec::environment::Caller;
use crate::plan::{self, Plan};

pub(super) fn agent(args: &Agent, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let (file, install) = match &args.action {
        AgentAction::Install(file) => (file, true),
        AgentAction::Check(file) => (file, false),
    };
    let plan = plan_or_default(file, terminal)?;
    // Before the first child, which must not see them.
    let secrets = Secrets::shed(&plan)?;
    let caller = Caller::read();
    let cache = cache_dir(&caller)?;
    let shepherd = shepherd(secrets.scrubber())?;
    let runtime = super::runtime::of_this_thread()?;
    runtime.block_on(async {
        let found = if install {
            terminal.complain(&format!(
                "installing the Kimi Code CLI {} with npm…\n",
                plan.agent.version
            ));
            agent::install(&shepherd, &locate(&caller, &cache, &plan))
                .await
                .map_err(|error| agent_failure(&error))?
        } else {
            find_agent(&shepherd, &caller, &cache, &plan).await?
        };
        terminal.print(&format!("Kimi Code CLI {} is ready\n", found.version));
        if !found.has_ripgrep {
            terminal.complain(
                "note: there is no `rg` on PATH; the agent's Grep and Glob tools fail without it\n",
            );
        }
        if install {
            Ok(())
        } else {
            check_model(&plan, &secrets, terminal).await
        }
    })?;
    Ok(0)
}

/// Asks the provider for the plan's model, as a run does before its first prompt.
async fn check_model(
    plan: &Plan,
    secrets: &Secrets,
    terminal: &Terminal,
) -> Result<(), CommandFailure> {
    let key = secrets.key(plan).ok_or_else(|| {
        no_key(plan).hint("or serve recorded answers with `omk run --cassette DIR`")
    })?;
    let settled = provider::settle(&plan.agent, &provider::upstream(plan, key)?).await?;
    let plan::Agent {
        model, base_url, ..
    } = &plan.agent;
    let found = if settled.confirmed {
        "is there, and the key was not refused"
    } else {
        "was not checked; see the note"
    };
    terminal.print(&format!(
        "the model {model} at {base_url} {found}\n{}",
        provider::in_lines(&settled)
    ));
    for note in &settled.notes {
        terminal.complain(&format!("note: {note}\n"));
    }
    Ok(())
}

/// The plan's agent; the usual one if there is no plan yet.
fn plan_or_default(file: &PlanFile, terminal: &Terminal) -> Result<Plan, CommandFailure> {
    if let Some(plan) = plan_if_any(file)? {
        return Ok(plan);
    }
    terminal.complain("note: there is no omk.yaml here; these are the defaults\n");
    usual_plan()
}

/// The plan, if there is one. One that is there and cannot be read is an error: its key must not go
/// to another provider.
pub(super) fn plan_if_any(file: &PlanFile) -> Result<Option<Plan>, CommandFailure> {
    let home = Home::find();
    let is_here = match &home {
        Ok(home) => home.repo.workdir().join(plan_file::USUAL).exists(),
        Err(_) => std::path::Path::new(plan_file::USUAL).exists(),
    };
    if file.file.is_some() || is_here {
        Ok(Some(plan_file::read(&home?, file)?.plan))
    } else {
        Ok(None)
    }
}

/// A plan with a prompt and nothing but defaults.
pub(super) fn usual_plan() -> Result<Plan, CommandFailure> {
    let text = "version: 1\ntasks: [{ id: none, prompt: none }]\n";
    plan::parse(text.as_bytes(), "omk.yaml", "omk")
        .map_err(|complaints| CommandFailure::rendered(FailureKind::Infra, complaints.render()))
}
