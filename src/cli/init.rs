//! `omk init`: a first plan, or one made of omk 0.5.0's records.

use std::path::Path;

use super::args::Init;
use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home, plan_file};
use crate::plain_file;
use crate::plan::{default_name, to_yaml};
use crate::record;

/// Records larger than this are not what 0.5.0 wrote.
const MOST_RECORD_BYTES: u64 = 64 << 20;

/// A plan to start from: one gate, one command, no agent needed.
const FIRST: &str = "\
version: 1
gates:
  - id: test
    run: '@TEST@'          # exit 0 = passed
defaults: { gates: [test] }
tasks:
  - id: hello
    run: echo 'Hello from omk.' > HELLO.md
    write_set: [HELLO.md]
# A task for the coding agent has a prompt in the place of run. It is done by kimi-k3, with the key in KIMI_API_KEY:
#  - id: api
#    prompt: |
#      Split src/api.rs into modules, one for each resource.
#    write_set: [\"src/api.rs\", \"src/api/**\"]
# With a Kimi Code subscription in the place of a platform account (`omk agent check` tries it):
#agent: { base_url: \"https://api.kimi.com/coding/v1\", model: kimi-for-coding, key_env: KIMI_CODE_API_KEY }
";

pub(super) fn init(args: &Init, terminal: &Terminal) -> Result<u8, CommandFailure> {
    match &args.from_omk {
        Some(file) => from_omk(file, terminal),
        None => first(args, terminal),
    }
}

fn first(args: &Init, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let home = Home::find()?;
    let top = home.repo.workdir();
    let path = top.join(plan_file::USUAL);
    if path.exists() && !args.force {
        return Err(CommandFailure::new(
            FailureKind::Usage,
            format!("{} is there already", plan_file::USUAL),
        )
        .hint("look at it with `omk plan`, or replace it with `omk init --force`"));
    }
    let text = FIRST.replace("@TEST@", test_command(top));
    std::fs::write(&path, text).map_err(|error| {
        CommandFailure::new(
            FailureKind::Infra,
            format!("failed to write {}: {error}", path.display()),
        )
    })?;
    terminal.print("Wrote omk.yaml. Look at it, then:\n\n  omk plan   # what a run would do\n  omk run    # do it\n");
    Ok(0)
}

/// What the repository's own files say of how it is tested.
fn test_command(top: &Path) -> &'static str {
    let known = [
        ("Cargo.toml", "cargo test"),
        ("package.json", "npm test"),
        ("go.mod", "go test ./..."),
        ("pyproject.toml", "python3 -m pytest"),
        ("Makefile", "make test"),
    ];
    known
        .iter()
        .find(|(file, _)| top.join(file).exists())
        .map_or("git diff --check HEAD", |(_, command)| command)
}

fn from_omk(file: &Path, terminal: &Terminal) -> Result<u8, CommandFailure> {
    let unreadable = |what: String| {
        CommandFailure::new(
            FailureKind::Usage,
            format!("failed to read {}: {what}", file.display()),
        )
    };
    let bytes =
        plain_file::read(file, MOST_RECORD_BYTES).map_err(|why| unreadable(why.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    let records = record::read(&text).map_err(|error| {
        unreadable(error.to_string())
            .hint("omk 0.5.0 wrote a JSON array, or one JSON object on each line")
    })?;
    let here = std::env::current_dir().ok();
    let directory = here
        .as_deref()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let made = record::to_plan(&records, default_name(&directory.unwrap_or_default()));
    terminal.print(&to_yaml(&made.plan));
    for sentence in &made.said {
        terminal.complain(&format!("note: {sentence}\n"));
    }
    Ok(0)
}
