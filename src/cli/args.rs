//! The command line as people type it. It only names; what a command does is in the file of its
//! name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs coding agents so that their work can be trusted: a plan, gates, worktrees, proofs.
#[derive(Debug, Parser)]
#[command(name = "omk", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Start with `omk init`, look with `omk plan`, go with `omk run`.")]
pub(crate) struct Cli {
    /// Work as if started in this directory
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
    /// Write a first omk.yaml, or one made of omk 0.5.0's records
    #[command(after_help = "Examples:\n  omk init\n  omk init --from-omk tasks.json > omk.yaml")]
    Init(Init),
    /// Check the plan and show what a run would do
    #[command(
        after_help = "Examples:\n  omk plan\n  omk plan --check\n  omk plan --format mermaid\n  omk plan --json | jq '.waves'"
    )]
    Plan(Plan),
    /// Run the plan, or some tasks of it with what they need
    #[command(
        after_help = "Examples:\n  omk run\n  omk run api docs --workers 2\n  omk run --limits time=1h,tokens=500000\n  omk run --cassette recorded/   # recorded model answers: no key, no network"
    )]
    Run(Run),
    /// Start a new run that keeps what earlier ones completed, and does the rest
    #[command(
        after_help = "Named tasks and what is built on them start anew.\n\nExamples:\n  omk retry             # what failed, and what was waiting for it\n  omk retry api         # this as well, whether it completed or not"
    )]
    Retry(Retry),
    /// Go on with a run that was interrupted, killed, or blocked from outside
    #[command(
        after_help = "Examples:\n  omk resume            # the newest run\n  omk resume 20261122t18"
    )]
    Resume(Resume),
    /// Cancel a run, or some tasks of it, for good
    #[command(after_help = "Examples:\n  omk cancel\n  omk cancel --task api")]
    Cancel(Cancel),
    /// Show where the tasks of a run stand
    #[command(
        after_help = "Examples:\n  omk status\n  omk status --json | jq '.[] | select(.state == \"failed\")'"
    )]
    Status(Status),
    /// Fold a run's journal again, check every order, and print the timeline
    #[command(after_help = "Examples:\n  omk replay\n  omk replay --json")]
    Replay(Replay),
    /// Check proofs against the repository, offline
    #[command(
        after_help = "Examples:\n  omk verify                       # every proof of the newest run\n  omk verify .git/omk/runs/*/proofs/api.json"
    )]
    Verify(Verify),
    /// Judge a run that another job left as a bundle, without believing it
    #[command(
        after_help = "Examples:\n  omk judge bundle/ --request request.json\n  omk judge bundle/ --request - --json > judgement.json < request.json"
    )]
    Judge(Judge),
    /// Deliver a run that another job left as a bundle, as far as its judgement carries it
    #[command(
        after_help = "Examples:\n  omk publish bundle/ --request request.json --judgement judgement.json\n  omk publish bundle/ --request request.json                        # say that nobody judged it"
    )]
    Publish(Publish),
    /// Render a run
    #[command(
        after_help = "Examples:\n  omk report --format markdown\n  omk report --format junit > omk.xml"
    )]
    Report(Report),
    /// Do what a CI job's event asks for; action and component run this
    #[command(
        after_help = "It is configured by inputs and by the runner's variables; see action.yml and templates/omk.yml.\n\nExamples:\n  uses: owner/omk-action@v1      # a step of a workflow at GitHub\n  omk ci                         # a job's script at GitLab\n  omk ci --poll                  # the same, in a schedule that looks for comments"
    )]
    Ci(Ci),
    /// Print the JSON Schema of omk.yaml
    #[command(after_help = "Example:\n  omk schema > .vscode/omk.schema.json")]
    Schema,
    /// Check what a run needs of this machine, and say what to do
    #[command(
        after_help = "Examples:\n  omk doctor\n  omk doctor --online            # ask the model's provider, too\n  omk doctor --json | jq .can_start"
    )]
    Doctor(Doctor),
    /// Install or check the coding agent that the plan pins
    #[command(after_help = "Examples:\n  omk agent install\n  omk agent check")]
    Agent(Agent),
    /// Remove old runs, worktrees, and branches that are merged
    #[command(
        after_help = "Examples:\n  omk clean             # lists what goes, and asks\n  omk clean 20261122    # that run, with all that it holds\n  omk clean --all --yes"
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
    /// The plan; omk.yaml at the top of the repository unless given
    #[arg(long = "plan", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// Ask the model's provider, too; nothing is paid
    #[arg(long)]
    pub(crate) online: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ci {
    /// Look for comments that ask for something; for GitLab, which starts nothing at a comment
    #[arg(long)]
    pub(crate) poll: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// Check what a run would begin with, too: key, CLI, model, room, and the gates on HEAD
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
    /// Tasks to run, with what they depend on; all unless given
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// The commit to build on
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) base: String,
    /// Start nothing more once a task has failed for good
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Replace result branches even where they hold commits that are not omk's
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave what another job needs to judge and publish the run in this directory
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
    /// Tasks to do anew, with what is built on them, also if they completed
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    /// The commit to build on; work is kept if it has the tree of the earlier run's base
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) base: String,
    /// Start nothing more once a task has failed for good
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Replace result branches even where they hold commits that are not omk's
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
    /// Let all gates run to their ends, also if a required one has failed
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Run every gate, also one that has passed by the same inputs before
    #[arg(long)]
    pub(crate) no_reuse: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run, or how its id begins; the newest unless given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The run, or how its id begins; the newest unless given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Only this task and what depends on it; may be given again
    #[arg(long = "task", value_name = "TASK")]
    pub(crate) tasks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The run, or how its id begins; the newest unless given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Print task records in the format of omk 0.5.0
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The run, or how its id begins; the newest unless given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Print the timeline as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Proof files, or a run; the proofs of the newest run unless given
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
    /// What was asked for, as the intake job said it: a file of JSON, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// Read tasks and gates from this file, which must have the digest that the request names,
    /// instead of the commit
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Read protected paths, limits and how to deliver from this plan instead of the default
    /// branch's
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Judge {
    #[command(flatten)]
    pub(crate) bundle: Bundle,
    /// Let all gates run to their ends, also if a required one has failed
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
    /// What `omk judge --json` said; nothing is delivered without it
    #[arg(long, value_name = "FILE")]
    pub(crate) judgement: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The run, or how its id begins; the newest unless given
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
    /// Put the pinned CLI, and a Node new enough where yours is not, into omk's tool cache, with
    /// npm
    Install(PlanFile),
    /// Check the CLI, the key, and the model at its provider, as a run does before its first
    /// prompt; costs nothing
    Check(PlanFile),
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// Remove just these runs, also with results that are nowhere else
    #[arg(value_name = "RUN", conflicts_with_all = ["keep", "all"])]
    pub(crate) runs: Vec<String>,
    /// Keep this many of the newest runs
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "all")]
    pub(crate) keep: usize,
    /// Remove every run, also with results that are nowhere else
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask before removing
    #[arg(long, short)]
    pub(crate) yes: bool,
}
