//! Checks: `omk` for the run, and one for each gate of the result, with its failing items at their
//! lines.
//!
//! At most [`GATES`] gates get a check of their own, those that need a look first; the rest share
//! one. It refuses names that our own jobs have, texts over a check's limit, and more remarks than
//! the forge can be told in one run.

use super::ink;
use super::inline::{code, inert};
use super::markdown::{self, Around, Folding};
use super::placed::Placed;
use super::view::{Mark, View, gate_mark, gate_told};
use crate::fact::{AgainstBase, GateOutcome, ItemLevel, Location, RunVerdict};
use crate::request::Request;
use crate::text::{self, ForgeKind};

/// The name of the run's check.
pub const NAME: &str = "omk";

/// The name of the check that gates share.
pub const OTHER_GATES: &str = "omk / other gates";

/// The check that validates a plan.
pub const PLAN: &str = "omk plan";

/// Gates with a check of their own.
pub const GATES: usize = 20;

/// Remarks of all checks of a run together: ten requests, so that a run stays polite.
pub const REMARKS: usize = 500;

/// The most bytes of a summary or text: GitHub refuses a summary over 65,535, and silently cuts a
/// text.
pub const LIMIT: usize = 65_000;

/// Lines and bytes of a gate's log.
const LOG_LINES: usize = 400;
const LOG_BYTES: usize = 40_000;

/// The most characters of a title: more is not shown in a list of checks.
const TITLE: usize = 140;

/// Names of jobs in our own workflows, shown as `omk / run` where a job called `omk` calls them:
/// no check may be named so.
const JOBS: [&str; 6] = ["intake", "gate", "run", "judge", "publish", "plan"];

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    /// Its name.
    pub name: String,
    /// One line.
    pub title: String,
    /// Markdown of at most [`LIMIT`] bytes.
    pub summary: String,
    /// Markdown of at most [`LIMIT`] bytes; may be empty.
    pub text: String,
    /// What is wrong at which lines.
    pub remarks: Vec<CheckRemark>,
}

/// What is wrong at some lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRemark {
    /// Where.
    pub place: Location,
    /// How bad: an error only where a required gate says no.
    pub level: ItemLevel,
    /// The check that it is of: `omk / test`.
    pub check: String,
    /// The failing item, if it has a name.
    pub item: Option<String>,
    /// The gate and the failing item, or where in the plan.
    pub title: String,
    /// What it says.
    pub message: String,
    /// What to do about it, where omk knows.
    pub hint: Option<String>,
}

impl CheckRemark {
    /// What it says and what to do about it, each on lines of its own.
    #[must_use]
    pub fn words(&self) -> String {
        self.hint.iter().fold(self.message.clone(), |said, hint| {
            format!("{said}\nhint: {hint}")
        })
    }
}

/// How a gate's check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateEnd {
    /// It lets the change through.
    Good,
    /// It warns, or did not run, and does not decide.
    Open,
    /// It says no.
    Bad,
}

/// A check of one gate, or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCheck {
    /// How it ends.
    pub end: GateEnd,
    /// What it says.
    pub text: CheckText,
}

/// The run is accepted, or under way.
#[must_use]
pub fn opened(request: &Request) -> CheckText {
    let summary = format!(
        "Run `{}` on `{}`, as {} asked.\n\n{}\n",
        request.run,
        request.base.short(),
        code(&request.trigger.actor, 60),
        watch(request)
    );
    named("under way".to_owned(), summary)
}

/// The run goes on, in a job that can tell of it meanwhile.
#[must_use]
pub fn running(request: &Request, view: &View) -> CheckText {
    let count = view.count();
    let title = format!(
        "{} of {} completed so far",
        count.completed,
        text::plural(count.all, "task")
    );
    let tail = format!("\n{}\n", watch(request));
    let around = Around {
        forge: request.forge,
        next: "",
        tail: &tail,
        layout: Folding::Open,
    };
    named(
        title,
        super::sticky::without_markers(&markdown::page(view, &around, LIMIT)),
    )
}

/// The run is over.
#[must_use]
pub fn ended(request: &Request, view: &View, placed: &Placed) -> CheckText {
    let count = view.count();
    let (words, _) = markdown::verdict(view);
    let forge = request.forge;
    let title = format!(
        "{words}: {} of {} completed",
        count.completed,
        text::plural(count.all, "task")
    );
    let mut next = String::new();
    for pull in placed.pulls.iter().take(5) {
        next.push_str(&format!(
            "\nDelivered as {}.\n",
            super::inline::link(&forge.pull(pull.number), &pull.url)
        ));
    }
    for trouble in placed.troubles.iter().take(5) {
        next.push_str(&format!("\n> ⚠️ {}\n", inert(&trouble.words(forge), 600)));
    }
    let run = format!("The {}", forge.workflow_run());
    let tail = format!("\n{}\n", super::inline::link(&run, &request.workflow.url));
    let around = Around {
        forge: request.forge,
        next: &next,
        tail: &tail,
        layout: Folding::Open,
    };
    named(
        title,
        super::sticky::without_markers(&markdown::page(view, &around, LIMIT)),
    )
}

fn watch(request: &Request) -> String {
    super::inline::link(
        &format!("Watch it in the {}", request.forge.workflow_run()),
        &request.workflow.url,
    )
}

/// The run is over, and nothing can be said of its result. `words` are those of its comment.
#[must_use]
pub fn lost(verdict: RunVerdict, words: &str) -> CheckText {
    named(
        format!(
            "{}: nothing was delivered",
            verdict.as_str().replace('_', " ")
        ),
        text::clip_lines(words, 60, 8_000),
    )
}

fn named(title: String, summary: String) -> CheckText {
    CheckText {
        name: NAME.to_owned(),
        title: ink::line(&title, TITLE),
        summary,
        text: String::new(),
        remarks: Vec::new(),
    }
}

/// The checks of the gates on the result: those that need a look first, each in the plan's order.
#[must_use]
pub fn gates(forge: ForgeKind, view: &View) -> Vec<GateCheck> {
    let mut order: Vec<&GateOutcome> = view.gates.iter().collect();
    order.sort_by_key(|gate| (std::cmp::Reverse(end_of(gate)), !gate.required));
    let alone = if order.len() > GATES {
        GATES
    } else {
        order.len()
    };
    let (alone, shared) = order.split_at(alone);
    let mut room = REMARKS;
    let mut checks: Vec<GateCheck> = alone.iter().map(|gate| one(gate, &mut room)).collect();
    if !shared.is_empty() {
        checks.push(other(forge, shared, &mut room));
    }
    checks
}

/// What is wrong at which lines, of all gates on the result: what [`gates`] says in its checks, and
/// at most `most` of it, those that decide first.
#[must_use]
pub fn all_remarks(view: &View, most: usize) -> Vec<CheckRemark> {
    let mut order: Vec<&GateOutcome> = view.gates.iter().collect();
    order.sort_by_key(|gate| (std::cmp::Reverse(end_of(gate)), !gate.required));
    let mut room = most;
    order
        .into_iter()
        .flat_map(|gate| remarks(gate, &mut room))
        .collect()
}

/// The name of a gate's check.
#[must_use]
pub fn gate_name(gate: &str) -> String {
    // A required check of that name could not tell our gate from our job.
    if JOBS.contains(&gate) {
        format!("{NAME} / {gate} (gate)")
    } else {
        format!("{NAME} / {gate}")
    }
}

fn end_of(gate: &GateOutcome) -> GateEnd {
    match (gate.counts_as_passed, gate.required) {
        (true, _) => GateEnd::Good,
        (false, true) => GateEnd::Bad,
        (false, false) => GateEnd::Open,
    }
}

fn one(gate: &GateOutcome, room: &mut usize) -> GateCheck {
    let remarks = remarks(gate, room);
    let is_script = gate.command.trim().lines().nth(1).is_some();
    let mut summary = format!(
        "{} {}\n\nIt ran {} for {}{}.\n",
        markdown::sign(gate_mark(gate)),
        inert(&gate_told(gate), 300),
        if is_script {
            "this script".to_owned()
        } else {
            code(&gate.command, 300)
        },
        text::duration(std::time::Duration::from_millis(gate.duration_ms)),
        if gate.attempts > 1 {
            format!(", {} executions", gate.attempts)
        } else {
            String::new()
        }
    );
    if is_script {
        summary.push_str(&format!("\n{}", markdown::asked(&gate.command)));
    }
    if !gate.required {
        summary.push_str("\nIt is not required: it warns, and does not decide.\n");
    }
    summary.push_str(&left_out(gate, remarks.len()));
    summary.push_str(&log(gate));
    let text = CheckText {
        name: gate_name(gate.gate.as_str()),
        title: ink::line(&gate_told(gate), TITLE),
        summary: super::sticky::without_markers(&summary),
        text: items(gate),
        remarks,
    };
    GateCheck {
        end: end_of(gate),
        text,
    }
}

fn other(forge: ForgeKind, gates: &[&GateOutcome], room: &mut usize) -> GateCheck {
    let own = match forge {
        ForgeKind::GitHub => "checks",
        ForgeKind::GitLab => "commit statuses",
    };
    let mut summary = format!("Gates beyond the first twenty, which have {own} of their own.\n\n");
    let mut all = Vec::new();
    for (at, gate) in gates.iter().enumerate() {
        let line = format!(
            "- {} `{}`: {}\n",
            markdown::sign(gate_mark(gate)),
            gate.gate,
            inert(&gate_told(gate), 120)
        );
        if summary.len() + line.len() > LIMIT - 100 {
            summary.push_str(&format!("\n{} more.\n", gates.len() - at));
            break;
        }
        summary.push_str(&line);
    }
    for gate in gates {
        all.extend(remarks(gate, room));
    }
    let good = gates
        .iter()
        .filter(|gate| gate_mark(gate) == Mark::Good)
        .count();
    let text = CheckText {
        name: OTHER_GATES.to_owned(),
        title: format!("{good} of {} passed", text::plural(gates.len(), "gate")),
        summary: super::sticky::without_markers(&summary),
        text: String::new(),
        remarks: all,
    };
    let end = gates
        .iter()
        .map(|gate| end_of(gate))
        .max()
        .unwrap_or(GateEnd::Open);
    GateCheck { end, text }
}

/// The failing items that have a place, as far as there is room.
fn remarks(gate: &GateOutcome, room: &mut usize) -> Vec<CheckRemark> {
    let most = match (gate.against_base, gate.required && !gate.counts_as_passed) {
        (Some(AgainstBase::PreExisting), _) => ItemLevel::Notice,
        (Some(AgainstBase::Broke | AgainstBase::Fixed) | None, true) => ItemLevel::Error,
        (Some(AgainstBase::Broke | AgainstBase::Fixed) | None, false) => ItemLevel::Warning,
    };
    let placed = gate
        .failing
        .iter()
        .filter_map(|item| Some((item, item.place.as_ref()?)));
    let sound = placed.filter(|(_, place)| is_in_the_tree(&place.path) && place.line > 0);
    let remarks: Vec<CheckRemark> = sound
        .take(*room)
        .map(|(item, place)| CheckRemark {
            place: Location {
                end_line: place.end_line.max(place.line),
                ..place.clone()
            },
            // A gate that passed only warns, and of what its tool calls a notice it does not even
            // that.
            level: if gate.counts_as_passed {
                item.level.milder(most)
            } else {
                most
            },
            check: gate_name(gate.gate.as_str()),
            item: Some(ink::line(&item.key, 200)),
            title: ink::line(&format!("{}: {}", gate.gate, item.key), 200),
            hint: None,
            // An annotation is plain text to GitHub, up to 64 KiB.
            message: text::clip_lines(
                &text::escape_invisible(&text::printable(item.message.as_bytes())),
                100,
                8_000,
            ),
        })
        .map(|remark| {
            if remark.message.trim().is_empty() {
                CheckRemark {
                    message: remark.title.clone(),
                    ..remark
                }
            } else {
                remark
            }
        })
        .collect();
    *room -= remarks.len();
    remarks
}

/// GitHub refuses a whole request for one path that is none of the repository's.
pub(super) fn is_in_the_tree(path: &str) -> bool {
    let plain = !path.chars().any(char::is_control) && path.len() <= 1_000;
    plain
        && path
            .parse::<crate::id::RepoPath>()
            .is_ok_and(|parsed| parsed.as_bytes() == path.as_bytes())
}

/// How many failing items have no remark.
fn left_out(gate: &GateOutcome, shown: usize) -> String {
    match (gate.failing_total as usize).saturating_sub(shown) {
        0 => String::new(),
        more if shown == 0 => format!(
            "\n{} not shown at a line.\n",
            text::plural(more, "failing item")
        ),
        more => format!("\n{shown} failing items are shown at their lines, {more} more are not.\n"),
    }
}

fn items(gate: &GateOutcome) -> String {
    let mut list = String::new();
    for (at, item) in gate.failing.iter().enumerate() {
        let place = item.place.as_ref().map_or_else(String::new, |place| {
            format!(" ({}:{})", place.path, place.line)
        });
        let said = ink::line(ink::first_line(&item.message), 200);
        let line = format!(
            "- {}\n",
            inert(&format!("{}{place}: {said}", item.key), 400)
        );
        if list.len() + line.len() > LIMIT - 100 {
            list.push_str(&format!(
                "\n{} more.\n",
                (gate.failing_total as usize).max(gate.failing.len()) - at
            ));
            return list;
        }
        list.push_str(&line);
    }
    list
}

fn log(gate: &GateOutcome) -> String {
    let Some(log) = &gate.log else {
        return String::new();
    };
    let printed = if log.tail.is_empty() {
        log.head.clone()
    } else {
        format!("{}\n…\n{}", log.head, log.tail)
    };
    let printed = ink::end(&printed, 4 * LOG_BYTES);
    let printed = text::escape_invisible(&text::printable(printed.as_bytes()));
    let printed = text::clip_lines(printed.trim_end(), LOG_LINES, LOG_BYTES);
    if printed.is_empty() {
        String::new()
    } else {
        format!("\n{}", text::fenced(&printed))
    }
}
