//! The command line as people type it. It only names; what a command does is in the file of its
//! name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs coding agents so that their work can be trusted: a plan, gates, worktrees, proofs.
#[derive(Debug, Parser)]
#[command(name = "omk", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Start with `omk init`, check with `omk plan`, then `omk run`.")]
pub(crate) struct Cli {
    /// Run as if omk was started in this directory
    #[arg(
        short = 'C',
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Everywhere"
    )]
    pub(crate) directory: Option<PathBuf>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Everywhere"
    )]
    pub(crate) color: TerminalChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to do something that depends on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TerminalChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Also elsewhere.
    Always,
    /// Not at all.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first omk.yaml, or convert omk 0.5.0's records to one
    #[command(after_help = "Examples:\n  omk init\n  omk init --from-omk tasks.json > omk.yaml")]
    Init(Init),
    /// Check the plan and show what a run would do
    #[command(
        after_help = "Examples:\n  omk plan\n  omk plan --check\n  omk plan --format mermaid\n  omk plan --json | jq '.waves'"
    )]
    Plan(Plan),
    /// Run the plan, or some of its tasks with their dependencies
    #[command(
        after_help = "Examples:\n  omk run\n  omk run api docs --workers 2\n  omk run --limits time=1h,tokens=500000\n  omk run --cassette recorded/   # recorded model answers: no key, no network"
    )]
    Run(Run),
    /// Start a new run that keeps the completed tasks of earlier runs, and does the rest
    #[command(
        after_help = "Named tasks and their dependents run again.\n\nExamples:\n  omk retry             # every task that no earlier run completed\n  omk retry api         # the same, and `api` even if it completed"
    )]
    Retry(Retry),
    /// Continue a run that was interrupted, killed, or blocked by an external cause
    #[command(
        after_help = "Examples:\n  omk resume            # the newest run\n  omk resume 20261122t18"
    )]
    Resume(Resume),
    /// Cancel a run, or some of its tasks, for good
    #[command(after_help = "Examples:\n  omk cancel\n  omk cancel --task api")]
    Cancel(Cancel),
    /// Show where the tasks of a run stand
    #[command(
        after_help = "Examples:\n  omk status\n  omk status --json | jq '.[] | select(.state == \"failed\")'"
    )]
    Status(Status),
    /// Read a run's journal again, check every decision, and print the timeline
    #[command(after_help = "Examples:\n  omk replay\n  omk replay --json")]
    Replay(Replay),
    /// Check proofs against the repository, offline
    #[command(
        after_help = "Examples:\n  omk verify                       # every proof of the newest run\n  omk verify .git/omk/runs/*/proofs/api.json"
    )]
    Verify(Verify),
    /// Judge a run from another job's bundle, without trusting it
    #[command(
        after_help = "Examples:\n  omk judge bundle/ --request request.json\n  omk judge bundle/ --request - --json > judgement.json < request.json"
    )]
    Judge(Judge),
    /// Deliver a run from another job's bundle, as far as its judgement allows
    #[command(
        after_help = "Examples:\n  omk publish bundle/ --request request.json --judgement judgement.json\n  omk publish bundle/ --request request.json                        # report that it was not judged"
    )]
    Publish(Publish),
    /// Render a run
    #[command(
        after_help = "Examples:\n  omk report --format markdown\n  omk report --format junit > omk.xml"
    )]
    Report(Report),
    /// Handle the event of a CI job; the action and the component run this
    #[command(
        after_help = "It is configured by inputs and by the runner's variables; see action.yml and templates/omk.yml.\n\nExamples:\n  uses: owner/omk-action@v1      # a step of a workflow at GitHub\n  omk ci                         # a job's script at GitLab\n  omk ci --poll                  # the same, in a schedule that looks for comments"
    )]
    Ci(Ci),
    /// Print the JSON Schema of omk.yaml
    #[command(after_help = "Example:\n  omk schema > .vscode/omk.schema.json")]
    Schema,
    /// Check that this machine has what a run needs, and how to fix what is missing
    #[command(
        after_help = "Examples:\n  omk doctor\n  omk doctor --online            # also ask the model's provider\n  omk doctor --json | jq .can_start"
    )]
    Doctor(Doctor),
    /// Install or check the coding agent that the plan pins
    #[command(after_help = "Examples:\n  omk agent install\n  omk agent check")]
    Agent(Agent),
    /// Remove old runs, worktrees, and merged branches
    #[command(
        after_help = "Examples:\n  omk clean             # lists what it would remove, and asks\n  omk clean 20261122    # that run, with all its results\n  omk clean --all --yes"
    )]
    Clean(Clean),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  omk completions bash > /etc/bash_completion.d/omk")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Records of omk 0.5.0: a JSON array or JSON lines; the plan is printed
    #[arg(long, value_name = "FILE")]
    pub(crate) from_omk: Option<PathBuf>,
    /// Replace an existing omk.yaml
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which plan.
#[derive(Debug, Args, Clone)]
pub(crate) struct PlanFile {
    /// The plan [default: omk.yaml at the top of the repository]
    #[arg(long = "plan", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// Also ask the model's provider; costs nothing
    #[arg(long)]
    pub(crate) online: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ci {
    /// Look for comments with commands; for GitLab, which starts no pipeline on a comment
    #[arg(long)]
    pub(crate) poll: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// Also check what a run checks first: key, CLI, model, room, and the gates on HEAD
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub(crate) check: bool,
    /// Print as JSON; short for --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// A graph for Markdown.
    Mermaid,
    /// A graph for Graphviz.
    Dot,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Tasks to run, with their dependencies [default: all]
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// The commit to build on
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) base: String,
    /// Start no more tasks once one has failed for good
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Replace result branches even if they have commits that omk did not make
    #[arg(long)]
    pub(crate) force: bool,
    /// Write a bundle to this directory, for jobs that judge and publish the run
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Do not ask before spending
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Tasks to run again, with their dependents, even if they completed
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// The commit to build on; completed work is kept if its tree is that of the earlier run's base
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) base: String,
    /// Start no more tasks once one has failed for good
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Replace result branches even if they have commits that omk did not make
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask before spending
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) how: How,
}

/// How to work, for `run`, `retry` and `resume`.
#[derive(Debug, Args, Clone)]
pub(crate) struct How {
    /// Tasks at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// What the run may spend, over the plan: time=1h,tokens=500000,usd=2.50
    #[arg(long, value_name = "LIMITS", value_delimiter = ',')]
    pub(crate) limits: Vec<String>,
    /// Serve recorded model answers from this directory instead of asking a model
    #[arg(long, value_name = "DIR")]
    pub(crate) cassette: Option<PathBuf>,
    /// Run all gates to the end, even if a required one has failed
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Run every gate, even if it passed before on the same inputs
    #[arg(long)]
    pub(crate) no_reuse: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run, or the beginning of its id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The run, or the beginning of its id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Only this task and its dependents; repeatable
    #[arg(long = "task", value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The run, or the beginning of its id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Print task records in the format of omk 0.5.0
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The run, or the beginning of its id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Print the timeline as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Proof files, or a run [default: the newest run]
    #[arg(value_name = "PROOF|RUN")]
    pub(crate) proofs: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A bundle that another job left, and what it was to be about.
#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// The bundle's directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The intake job's request: a JSON file, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// Read tasks and gates from this file instead of the commit; it must have the digest in the
    /// request
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Read protected paths, limits and delivery settings from this plan instead of the default
    /// branch's
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Judge {
    #[command(flatten)]
    pub(crate) bundle: Bundle,
    /// Run all gates to the end, even if a required one has failed
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Print the judgement as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) bundle: Bundle,
    /// The output of `omk judge --json`; nothing is delivered without it
    #[arg(long, value_name = "FILE")]
    pub(crate) judgement: Option<PathBuf>,
    /// Print the delivery as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The run, or the beginning of its id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
    /// Print as JSON; short for --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For a terminal.
    #[default]
    Terminal,
    /// For a comment or a summary.
    Markdown,
    /// For a browser, in one file.
    Html,
    /// For programs.
    Json,
    /// For CI systems that show test results.
    Junit,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    pub(crate) action: AgentAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentAction {
    /// Install the pinned CLI into omk's tool cache with npm, and a newer Node if yours is too old
    Install(PlanFile),
    /// Check the CLI, the key, and the model at its provider, as a run does before its first
    /// prompt; costs nothing
    Check(PlanFile),
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// Remove only these runs, even if their results exist nowhere else
    #[arg(value_name = "RUN", conflicts_with_all = ["keep", "all"])]
    pub(crate) runs: Vec<String>,
    /// Keep this many of the newest runs
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "all")]
    pub(crate) keep: usize,
    /// Remove every run, even if its results exist nowhere else
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask before removing
    #[arg(long, short)]
    pub(crate) yes: bool,
}
