//! `omk doctor`: what a run needs of this machine, looked at before a run does.
//!
//! It refuses to change anything, and to ask the provider unless that is wanted. A key is only ever
//! named.

use super::agent::{plan_if_any, usual_plan};
use super::args::Doctor;
use super::needs::{self, NeedsContext};
use super::session::{Secrets, agent_failure, cache_dir, locate, no_key, shepherd};
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, base, disk, provider};
use crate::agent;
use crate::exec::environment::Caller;
use crate::exec::{NetworkReach, Shepherd, kernel, probe};
use crate::git::Pool;
use crate::plan::{Plan, RoomLevel, Work};
use crate::report::checkup::{Checkup, Health, Point};
use crate::work::can_be_copied;

pub(super) fn doctor(args: &Doctor, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let given = plan_if_any(&args.plan)?;
    let mut points = Vec::new();
    if given.is_none() {
        let next =
            "write one, or let `omk init` do it; what follows is about the defaults".to_owned();
        points.push(Point::missing(
            "plan",
            "there is no omk.yaml here",
            vec![next],
        ));
    }
    let plan = given.map_or_else(usual_plan, Ok)?;
    // Before the first child, which must not see them.
    let secrets = Secrets::shed(&plan)?;
    let runtime = super::runtime::of_this_thread()?;
    points.extend(runtime.block_on(look(args, &plan, &secrets))?);
    let checkup = Checkup { points };
    terminal.print(&if args.json {
        checkup.json()
    } else {
        checkup.terminal()
    });
    Ok(if checkup.can_start() {
        0
    } else {
        FailureKind::Blocked.exit_code()
    })
}

async fn look(args: &Doctor, plan: &Plan, secrets: &Secrets) -> Result<Vec<Point>, CommandFailure> {
    let shepherd = shepherd(secrets.scrubber())?;
    let mut points = vec![git()];
    if plan
        .tasks
        .iter()
        .any(|task| matches!(task.work, Work::Prompt(_)))
    {
        points.extend(cli(&shepherd, plan).await?);
        points.extend(model(args, plan, secrets).await);
    } else {
        points.push(Point::ok(
            "agent",
            "not needed: no task of the plan has a prompt",
        ));
    }
    let probed = probe(&shepherd, NetworkReach::Open).await;
    let Ok(home) = Home::find() else {
        points.push(Point::room(
            probed.level,
            probed.why_not.as_deref(),
            plan.room.demand([]),
            &kernel(),
        ));
        return Ok(points);
    };
    // Without a commit there is no run; what is to be said of that was said of git.
    let tree = home.repo.resolve("HEAD").map_err(super::git)?.tree;
    let ground = NeedsContext::of_plan(&home, plan, &tree);
    let needs = needs::look(&ground, &shepherd, Some(&probed))
        .await?
        .into_iter()
        .flat_map(|found| found.points);
    // What is to be said of git was said first.
    points.extend(needs.filter(|point| point.check != base::GIT));
    // Trying finds what modes and mounts do not show.
    let has_cache = points
        .iter()
        .all(|point| point.check != disk::CHECK || point.state != Health::Missing);
    match disk::pool(&home, &ground.caller) {
        Ok(pool) if probed.level == RoomLevel::Sealed => {
            let notes = copies(&shepherd, &ground, &pool).await;
            points
                .iter_mut()
                .filter(|point| point.check == needs::ROOM)
                .for_each(|room| room.add(&notes));
        }
        Err(failure) if has_cache => points.push(failed(disk::CHECK, failure)),
        Ok(_) | Err(_) => {}
    }
    Ok(points)
}

/// What a sealed room cannot have as a copy here, and what children get instead.
async fn copies(shepherd: &Shepherd, ground: &NeedsContext<'_>, pool: &Pool) -> Vec<String> {
    let repo = &ground.home.repo;
    let all = can_be_copied(shepherd, &ground.caller, repo, pool).await;
    let not = all.into_iter().filter(|(_, can)| !can);
    let notes = not.map(|(directory, _)| {
        let why =
            "cannot be copied for children (a file of another owner or group, or a file system that takes no part)";
        let instead = if directory == repo.common_dir() {
            "git works there in a repository of their own, without objects of Git LFS"
        } else {
            "they get a cache of their own, which begins with what is checked before it is used"
        };
        format!("{} {why}: {instead}", directory.display())
    });
    notes.collect()
}

fn git() -> Point {
    match base::program().and_then(|version| Home::find().map(|_| version)) {
        Ok(version) => Point::ok(base::GIT, version),
        Err(failure) => failed(base::GIT, failure),
    }
}

/// Node.js and the CLI that the plan pins.
async fn cli(shepherd: &Shepherd, plan: &Plan) -> Result<[Point; 2], CommandFailure> {
    let caller = Caller::read();
    let wanted = locate(&caller, &cache_dir(&caller)?, plan);
    let found = agent::locate(shepherd, &wanted).await;
    let node = match (&found, agent::node(shepherd, &wanted).await) {
        (_, Ok(version)) => Point::ok("node", format!("Node.js {version}")),
        (Ok(_), Err(_)) => Point::ok("node", "the Kimi Code CLI brings its own"),
        (Err(_), Err(error)) => failed("node", agent_failure(&error)),
    };
    let agent = match found {
        Ok(found) if found.has_ripgrep => {
            Point::ok("agent", format!("Kimi Code CLI {}", found.version))
        }
        Ok(found) => {
            let what = format!(
                "Kimi Code CLI {}; its Grep and Glob tools fail without `rg` on PATH",
                found.version
            );
            Point::warn("agent", what, vec!["install ripgrep".to_owned()])
        }
        Err(error) => failed("agent", agent_failure(&error)),
    };
    Ok([node, agent])
}

/// The key, and where that is wanted the provider.
async fn model(args: &Doctor, plan: &Plan, secrets: &Secrets) -> Vec<Point> {
    let agent = &plan.agent;
    let upstream = match secrets.key(plan) {
        Some(key) => provider::upstream(plan, key),
        None => Err(no_key(plan).hint("or serve recorded answers with `omk run --cassette DIR`")),
    };
    let upstream = match upstream {
        Ok(upstream) => upstream,
        Err(failure) => return vec![failed("key", failure)],
    };
    let key = Point::ok("key", format!("{} is set", agent.key_env));
    if !args.online {
        let at = format!(
            "{} was not asked for {}; `--online` does",
            agent.base_url, agent.model
        );
        return vec![key, Point::ok("provider", at)];
    }
    let provider = match provider::settle(agent, &upstream).await {
        Ok(settled) if settled.confirmed => Point {
            next: settled.notes,
            ..Point::ok(
                "provider",
                format!("{} has {}, and takes the key", agent.base_url, agent.model),
            )
        },
        Ok(settled) => Point::warn(
            "provider",
            format!(
                "{} does not say whether it has {}",
                agent.base_url, agent.model
            ),
            settled.notes,
        ),
        Err(failure) => failed("provider", failure),
    };
    vec![key, provider]
}

fn failed(check: &'static str, failure: CommandFailure) -> Point {
    Point {
        check,
        state: Health::Missing,
        found: failure.error,
        next: failure.hints,
    }
}
