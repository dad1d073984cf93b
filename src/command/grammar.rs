//! The grammar of a command, and what it says about itself.
//!
//! It is clap's, as on the command line, whose `TASK` arguments it shares. It refuses to let clap
//! speak to anybody, and to know any option: how a run works is what the plan says.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::malformed::MalformedLine;
use super::{Command, Malformed};
use crate::id::{CommitId, TaskId};
use crate::text::ForgeKind;

/// Which tasks, in a comment as on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct Tasks {
    /// Tasks to run, with what they depend on; all unless given
    #[arg(value_name = "TASK")]
    pub tasks: Vec<String>,
}

/// What follows `/omk`.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    disable_version_flag = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Invocation {
    #[command(subcommand)]
    command: InvocationKind,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
enum InvocationKind {
    /// Run the plan, or some tasks of it with what they need
    #[command(disable_help_flag = true)]
    Run(Tasks),
    /// Show what a run would do
    #[command(disable_help_flag = true)]
    Plan,
    /// Show where the run stands
    #[command(disable_help_flag = true)]
    Status,
    /// Run again what is not proven, and the tasks that are named
    #[command(disable_help_flag = true)]
    Retry(Tasks),
    /// End the run
    #[command(disable_help_flag = true)]
    Cancel,
    /// Let the plan of that SHA-256 be used, which the pull request changes
    #[command(disable_help_flag = true)]
    Approve {
        /// How the SHA-256 begins: at least 12 digits
        #[arg(value_name = "DIGEST")]
        digest: String,
    },
    /// Check the proofs of the last run
    #[command(disable_help_flag = true)]
    Verify,
    /// Show what can be asked
    #[command(disable_help_flag = true)]
    Help,
}

/// What can be asked, a line each, in columns, in the words of a forge.
#[must_use]
pub fn help(forge: ForgeKind) -> String {
    let grammar = Invocation::command();
    let lines: Vec<(String, String)> = grammar
        .get_subcommands()
        .map(|command| (usage(command), about(command, forge)))
        .collect();
    let width = lines
        .iter()
        .map(|(usage, _)| usage.len())
        .max()
        .unwrap_or(0);
    lines
        .iter()
        .map(|(usage, about)| format!("{usage:width$}  {about}\n"))
        .collect()
}

/// `/omk run [TASK]...`.
fn usage(command: &clap::Command) -> String {
    let mut words = vec!["/omk".to_owned(), command.get_name().to_owned()];
    for argument in command.get_positionals() {
        let name = argument
            .get_value_names()
            .and_then(<[_]>::first)
            .map_or("", |name| name.as_str());
        words.push(if argument.is_required_set() {
            name.to_owned()
        } else {
            format!("[{name}]...")
        });
    }
    words.join(" ")
}

fn about(command: &clap::Command, forge: ForgeKind) -> String {
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    about.replace(ForgeKind::GitHub.pull_request(), forge.pull_request())
}

/// The words that may follow `/omk`.
pub(super) fn names() -> Vec<String> {
    Invocation::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// `/omk approve DIGEST`, by the first word; of an unknown one nothing.
pub(super) fn usage_of(name: &str) -> Option<String> {
    Invocation::command().find_subcommand(name).map(usage)
}

/// What one line asks for.
pub(super) fn parse(number: usize, text: &str) -> Result<Command, Malformed> {
    let line = MalformedLine::of(number, text);
    let words = line.words.iter().map(|word| word.text);
    match Invocation::try_parse_from(words) {
        Ok(spoken) => command(spoken.command, &line),
        Err(error) => Err(complain(&error, &line)),
    }
}

fn command(ask: InvocationKind, line: &MalformedLine<'_>) -> Result<Command, Malformed> {
    Ok(match ask {
        InvocationKind::Run(named) => {
            let (tasks, commit) = targets(&named, line)?;
            Command::Run { tasks, commit }
        }
        InvocationKind::Retry(named) => {
            let (tasks, commit) = targets(&named, line)?;
            Command::Retry { tasks, commit }
        }
        InvocationKind::Plan => Command::Plan,
        InvocationKind::Status => Command::Status,
        InvocationKind::Cancel => Command::Cancel,
        InvocationKind::Approve { digest } => Command::Approve {
            digest: digest
                .parse()
                .map_err(|_| line.bad_digest(line.word(&digest)))?,
        },
        InvocationKind::Verify => Command::Verify,
        InvocationKind::Help => Command::Help,
    })
}

/// Tasks, each once, and the commit among them.
fn targets(
    named: &Tasks,
    line: &MalformedLine<'_>,
) -> Result<(Vec<TaskId>, Option<CommitId>), Malformed> {
    let (mut tasks, mut commit) = (Vec::new(), None);
    for name in &named.tasks {
        if let Ok(id) = name.parse::<CommitId>() {
            if commit.replace(id.clone()).is_some_and(|other| other != id) {
                return Err(line.second_commit(line.word(name)));
            }
            continue;
        }
        let task: TaskId = name.parse().map_err(|_| line.bad_task(line.word(name)))?;
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    Ok((tasks, commit))
}

/// clap's finding in our own words.
fn complain(error: &clap::Error, line: &MalformedLine<'_>) -> Malformed {
    let Some(first) = line.words.first().copied() else {
        return line.nothing_asked();
    };
    if let Some(option) = line
        .words
        .iter()
        .take_while(|word| word.text != "--")
        .find(|word| is_option(word.text))
    {
        return line.option(*option);
    }
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    match error.kind() {
        // Only something with a hyphen in front is too much for a list of tasks.
        ErrorKind::UnknownArgument if matches!(first.text, "run" | "retry") => {
            line.bad_task(line.word(argument))
        }
        ErrorKind::UnknownArgument => line.too_much(line.word(argument), first),
        ErrorKind::MissingRequiredArgument => line.too_little(first),
        _ => line.unknown(first),
    }
}

/// `-x`, `--long`, `--long=value`; not an arrow or a dash.
fn is_option(word: &str) -> bool {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
    name.is_some_and(|name| name.starts_with(char::is_alphanumeric))
}
