//! `omk agent`: installs or checks the coding agent that the plan pins.

use super::args::{Agent, AgentAction, PlanFile};
use super::session::{agent_failure, cache_dir, find_agent, locate, shepherd};
use super::terminal::Terminal;
use super::{Failure, Home, Kind, plan_file};
use crate::agent;
use crate::exec::environment::Caller;
use crate::plan;

pub(super) fn agent(args: &Agent, terminal: &Terminal) -> Result<u8, Failure> {
    let (file, install) = match &args.action {
        AgentAction::Install(file) => (file, true),
        AgentAction::Check(file) => (file, false),
    };
    let plan = plan_or_default(file)?;
    let caller = Caller::read();
    let cache = cache_dir(&caller)?;
    let shepherd = shepherd()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Infra, format!("failed to start: {error}")))?;
    let found = runtime.block_on(async {
        if install {
            terminal.complain(&format!("installing the Kimi Code CLI {} with npm…\n", plan.agent.version));
            return agent::install(&shepherd, &locate(&caller, &cache, &plan))
                .await
                .map_err(|error| agent_failure(&error));
        }
        find_agent(&shepherd, &caller, &cache, &plan).await
    })?;
    terminal.print(&format!("Kimi Code CLI {} is ready\n", found.version));
    if !found.has_ripgrep {
        terminal.complain("note: there is no `rg` on PATH; the agent's Grep and Glob tools fail without it\n");
    }
    Ok(0)
}

/// The plan's agent; the usual one where there is no plan yet.
fn plan_or_default(file: &PlanFile) -> Result<plan::Plan, Failure> {
    match Home::find() {
        Ok(home) if file.file.is_some() || home.repo.workdir().join(plan_file::USUAL).exists() => {
            Ok(plan_file::read(&home, file)?.plan)
        }
        _ => {
            let text = "version: 1\ntasks: [{ id: none, run: 'true' }]\n";
            plan::parse(text.as_bytes(), "omk.yaml", "omk")
                .map_err(|complaints| Failure::rendered(Kind::Infra, complaints.render()))
        }
    }
}
