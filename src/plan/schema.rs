//! The JSON Schema of a plan, for editors and other people's checks.
//!
//! It refuses to decide anything: `lower` does, and a test holds the two to the same keys. The
//! types here are mirrors, made to be described and never filled.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::text::join_lines;

/// The schema, in JSON Schema draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let root = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<mirror::Plan>();
    let mut schema = root.to_value();
    tidy(&mut schema);
    join_lines(&mut schema);
    schema
}

/// Makes of a description of Rust types one of plans. Recursion is bounded by the schema, which is
/// ours.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            forbid_null(object);
            bound_integers(object);
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A field that may be left out is an `Option` in the mirror, which schemars calls nullable; plans
/// have no nulls.
fn forbid_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        object.extend(only);
    }
}

/// Formats like `uint32` mean nothing to validators, and strict ones refuse them: bounds say the
/// same.
fn bound_integers(object: &mut Map<String, Value>) {
    let Some(format) = object.get("format").and_then(Value::as_str) else {
        return;
    };
    let (least, most) = match format {
        "int32" => (Some(i32::MIN), Value::from(i32::MAX)),
        "uint32" => (None, Value::from(u32::MAX)),
        "uint64" => (None, Value::from(u64::MAX)),
        _ => (None, Value::Null),
    };
    object.remove("format");
    if let Some(least) = least {
        object.entry("minimum").or_insert(Value::from(least));
    }
    if !most.is_null() {
        object.entry("maximum").or_insert(most);
    }
}

mod mirror {
    //! What the text of a plan looks like. The comments are what editors show.
    #![expect(
        dead_code,
        reason = "schemars describes these types; nothing fills them"
    )]

    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde_json::Value;

    /// A task plan of omk: what is to be done, in which order, and how the results are judged.
    #[derive(JsonSchema)]
    #[schemars(title = "omk plan", deny_unknown_fields)]
    pub(super) struct Plan {
        /// The version of this format: 1.
        #[schemars(range(min = 1, max = 1))]
        version: u32,
        /// The plan's name, which its branches carry. Default: the directory's name.
        name: Option<PlanName>,
        /// The coding agent that carries out prompts.
        agent: Option<Agent>,
        /// What a run may spend. What is absent is not limited.
        limits: Option<Limits>,
        /// USD per million tokens; needed only for a limit in USD.
        prices: Option<Prices>,
        /// Variables for every child: agents, gates and commands.
        env: Option<Variables>,
        /// Variables taken from the caller's environment. Names with KEY, TOKEN, SECRET or
        /// PASSWORD are refused.
        pass_env: Option<Vec<Variable>>,
        /// Ignored build caches that stay in a worktree between tasks, as paths.
        keep: Option<Vec<String>>,
        /// What children may reach.
        room: Option<Room>,
        /// Whether the required gates run on the base before the first prompt is paid for.
        /// Default: true.
        preflight: Option<bool>,
        /// The largest file, and the largest sum, that one task may add. Default: 100MB.
        change_limit: Option<Size>,
        /// Whether failures that the base has too are forgiven. Default: allow.
        baseline: Option<Baseline>,
        /// Put under every task, field by field.
        defaults: Option<Defaults>,
        /// Checks that the runner makes of every change.
        gates: Option<Vec<Gate>>,
        /// What is to be done.
        #[schemars(length(min = 1, max = 10_000))]
        tasks: Vec<Task>,
        /// What becomes of a ready run.
        deliver: Option<Deliver>,
        /// More paths that no task may write unless its write_set has the same text or the very
        /// path.
        protect: Option<Vec<Glob>>,
        /// Who may give commands in comments.
        commands: Option<Commands>,
    }

    /// A name: a-z, 0-9 and `-`, and not that of a pull or merge request.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^(?!(pr|mr)-[0-9]+$)[a-z0-9][a-z0-9-]{0,39}$"))]
    struct PlanName(String);

    /// An id: a-z, 0-9, `_` and `-`.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,63}$"))]
    struct Id(String);

    /// A duration with its unit: 90s, 30m, 5h30m.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^\\s*([0-9]+(\\.[0-9]+)?\\s*[a-z]+\\s*)+$"))]
    struct Duration(String);

    /// A size with its unit: KB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^\\s*[0-9]+(\\.[0-9]{1,3})?\\s*(K|M|G)i?B\\s*$"))]
    struct Size(String);

    /// A pattern over paths from the root of the repository: `**`, `*`, `?`, `{a,b}`, `[a-z]`; a
    /// directory means all below it.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[^/]"))]
    struct Glob(String);

    /// The name of a variable.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    struct Variable(String);

    /// Variables: names and texts.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    struct Variables(BTreeMap<String, String>);

    /// The coding agent.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Agent {
        /// Which program. Default: kimi-code, the Kimi Code CLI in print mode.
        kind: Option<AgentKind>,
        /// Its version, in quotes; checked before a run. Default: 2.1.0.
        version: Option<String>,
        /// The model's name, sent to the provider as is. Default: kimi-k3.
        model: Option<String>,
        /// How much the model thinks before it speaks. Not every model can do each. Default: auto,
        /// the provider's own default.
        thinking: Option<Thinking>,
        /// The provider's address. Default: `https://api.moonshot.ai/v1`.
        #[schemars(extend("pattern" = "^https?://"))]
        base_url: Option<String>,
        /// The variable that omk, and only omk, reads the key from. Default: KIMI_API_KEY.
        key_env: Option<Variable>,
        /// Model calls in one turn. Default: 200.
        #[schemars(range(min = 1))]
        max_steps: Option<u32>,
        /// What the model is shown.
        tools: Option<Tools>,
    }

    /// Which program carries out prompts.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum AgentKind {
        KimiCode,
    }

    /// How much a model thinks.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Thinking {
        Auto,
        Off,
        On,
        Low,
        High,
        Max,
    }

    /// The agent's tools.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Tools {
        /// Tools that the model is not shown.
        disabled: Option<Vec<String>>,
    }

    /// What a run may spend.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Limits {
        /// Tasks at once. Default: the cores.
        #[schemars(range(min = 1, max = 1024))]
        workers: Option<u32>,
        /// Wall time.
        time: Option<Duration>,
        /// Input, cached input and output together.
        #[schemars(range(min = 1))]
        tokens: Option<u64>,
        /// Money, in USD; needs `prices` if omk does not know what the model costs.
        #[schemars(extend("exclusiveMinimum" = 0))]
        usd: Option<f64>,
    }

    /// USD per million tokens.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Prices {
        /// Input that the provider had not cached.
        #[schemars(range(min = 0))]
        input: f64,
        /// Input that it had.
        #[schemars(range(min = 0))]
        cached_input: f64,
        /// Output.
        #[schemars(range(min = 0))]
        output: f64,
    }

    /// What agents, commands and gates may reach.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Room {
        /// The least that is accepted. Default: best, whatever the machine has.
        level: Option<Level>,
        /// What they reach on the network, by what they are.
        network: Option<Networks>,
        /// Whether the Docker socket stays in reach of them. Default: false.
        docker: Option<bool>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Level {
        /// The best that the machine has, whatever that is.
        Best,
        /// Children neither see nor reach anything outside.
        Sealed,
        /// Children cannot write elsewhere.
        Landlock,
        /// Anything.
        None,
    }

    /// What children reach on the network, by what they are.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Networks {
        /// Tasks with a prompt. Default: model.
        agent: Option<Network>,
        /// Gates. Default: open.
        gates: Option<Network>,
        /// Tasks with `run`. Default: open.
        tasks: Option<Network>,
    }

    /// What a child reaches on the network.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Network {
        /// Nothing. Not for agents.
        None,
        /// The model, through omk. Only for agents.
        Model,
        /// Everything.
        Open,
        /// These hosts, through omk; an agent reaches its model, too.
        Allow(#[schemars(length(min = 1))] Vec<Host>),
    }

    /// The name of a host, without scheme, port, path and wildcards; no IP address.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("pattern" = "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"))]
    struct Host(String);

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Baseline {
        /// A gate whose failures the base has too counts as passed.
        Allow,
        /// It does not.
        Strict,
    }

    /// What every task says unless it says it itself.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Defaults {
        #[schemars(flatten)]
        wishes: Wishes,
    }

    /// What tasks and `defaults` may both say.
    #[derive(JsonSchema)]
    struct Wishes {
        /// Higher first. Default: 0.
        priority: Option<i32>,
        /// What it reads.
        read_set: Option<Vec<Glob>>,
        /// What it may write. Absent = unknown; empty = nothing.
        write_set: Option<Vec<Glob>>,
        /// Whether it must change something. Default: required for a prompt unless write_set is
        /// empty.
        change: Option<Change>,
        /// How failures are retried.
        retry_policy: Option<RetryPolicy>,
        /// Wall time of the agent or command; gates have their own. Default: 30m.
        timeout: Option<Duration>,
        /// No output and no model traffic for so long = hung. Default: 10m.
        idle_timeout: Option<Duration>,
        /// Gates, by id.
        #[schemars(extend("uniqueItems" = true))]
        gates: Option<Vec<Id>>,
        /// When it takes part in a run. Default: always.
        when: Option<When>,
        /// What becomes of it when a dependency fails. Default: skip.
        on_dependency_failure: Option<OnDependencyFailure>,
        /// Variables, over the plan's.
        env: Option<Variables>,
        /// Free; kept in the records. Keys that a record has itself are refused.
        metadata: Option<Metadata>,
    }

    /// Anything, by keys that a task's record does not have.
    #[derive(JsonSchema)]
    #[schemars(transparent, extend("propertyNames" = { "not": { "enum": crate::plan::lower::keys::RECORD } }))]
    struct Metadata(BTreeMap<String, Value>);

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Change {
        /// No change is a failure.
        Required,
        /// No change is fine.
        Optional,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum OnDependencyFailure {
        /// It is cancelled, and so on down.
        Skip,
        /// It runs all the same.
        Run,
    }

    /// How failures are retried.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct RetryPolicy {
        /// Retries: one execution more may fail. Default: 2.
        max_attempts: Option<u32>,
        /// The first waiting time. Default: 1.
        backoff_seconds: Option<u64>,
        /// By how much it grows. Default: 2.0.
        #[schemars(range(min = 1))]
        backoff_multiplier: Option<f64>,
        /// Whether a permanent failure ends the task at once. Default: true.
        terminal_on_permanent_failure: Option<bool>,
        /// The longest waiting time. Default: the larger of 3600 and backoff_seconds.
        max_backoff_seconds: Option<u64>,
        /// How far a waiting time may be shortened. Default: 0.
        #[schemars(range(min = 0, max = 1))]
        jitter: Option<f64>,
    }

    /// When a task takes part in a run; both must hold where both are given.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct When {
        /// What started the run. Default: anything.
        events: Option<Vec<Event>>,
        /// Paths of which one must have changed.
        changed: Option<Vec<Glob>>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Event {
        Manual,
        Comment,
        Schedule,
        Dispatch,
    }

    /// A check that the runner makes of a change.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Gate {
        /// Unique in the plan.
        id: Id,
        /// A shell command, run in the task's worktree.
        #[schemars(length(min = 1))]
        run: String,
        /// Wall time of one execution. Default: 15m.
        timeout: Option<Duration>,
        /// Whether its verdict decides; one that is not required only warns. Default: true.
        required: Option<bool>,
        /// Further executions after a failing one. Default: 0.
        #[schemars(range(max = 100))]
        retries: Option<u32>,
        /// What it reads; given = its verdict may be reused.
        inputs: Option<Vec<Glob>>,
        /// A shell command, like `cargo --version`. Its output is part of what the verdict depends
        /// on. Needs `inputs`.
        #[schemars(length(min = 1))]
        fingerprint: Option<String>,
        /// Restored from the trusted commit before it runs.
        trusted: Option<Vec<Glob>>,
        /// The files with its failing items.
        report: Option<Report>,
        /// Variables, over the plan's.
        env: Option<Variables>,
        /// What it reaches on the network. Default: as `room.network.gates` says.
        network: Option<Network>,
        /// Whether no other gate of the same task runs beside it. Default: false.
        exclusive: Option<bool>,
    }

    /// The files with a gate's failing items.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Report {
        /// How to read it.
        format: ReportFormat,
        /// Where they are, from the root of the worktree.
        path: OneOrSeveral,
    }

    /// A path or a glob, or several.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    enum OneOrSeveral {
        One(Glob),
        Several(#[schemars(length(min = 1))] Vec<Glob>),
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum ReportFormat {
        Junit,
        Sarif,
        CargoJson,
    }

    /// One piece of work.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, extend("oneOf" = [{ "required": ["prompt"] }, { "required": ["run"] }]))]
    struct Task {
        /// Unique in the plan.
        id: Id,
        /// What a person reads. Default: the id.
        #[schemars(length(min = 1))]
        name: Option<String>,
        /// What a person reads, longer.
        description: Option<String>,
        /// Words for the agent. Exactly one of `prompt` and `run`.
        #[schemars(length(min = 1))]
        prompt: Option<String>,
        /// A shell command. Exactly one of `prompt` and `run`.
        #[schemars(length(min = 1))]
        run: Option<String>,
        /// Tasks that must be completed first.
        #[schemars(extend("uniqueItems" = true))]
        dependencies: Option<Vec<Id>>,
        /// The old spelling of `retry_policy.max_attempts`; counts only without a retry_policy.
        max_retries: Option<u32>,
        /// What its agent or command reaches on the network. Default: as `room.network` says.
        network: Option<Network>,
        #[schemars(flatten)]
        wishes: Wishes,
    }

    /// What becomes of a ready run.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Deliver {
        /// The form of the result. Default: pull-request.
        #[schemars(rename = "as")]
        form: Option<DeliverAs>,
        /// Whether pull requests are opened as drafts. Default: true.
        draft: Option<bool>,
        /// Labels of pull requests.
        labels: Option<Vec<String>>,
        /// Whether the proven tasks of a run that is not ready are delivered. Default: false.
        partial: Option<bool>,
        /// Open pull requests at once, for pull-request-per-task. Default: 5.
        #[schemars(range(min = 1))]
        limit: Option<u32>,
        /// Whether Signed-off-by is added. Default: false.
        sign_off: Option<bool>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum DeliverAs {
        /// One pull request, a commit per task.
        PullRequest,
        /// One for each task.
        PullRequestPerTask,
        /// Onto the branch itself.
        Push,
        /// Branches only.
        Branches,
    }

    /// Who may give commands in comments.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Commands {
        /// The least permission. Default: write.
        permission: Option<Permission>,
        /// Bots that may, too.
        bots: Option<Vec<Bot>>,
    }

    #[derive(JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    enum Permission {
        Triage,
        Write,
        Maintain,
        Admin,
    }

    /// A bot, by its exact login and number.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    struct Bot {
        /// Its login: `name[bot]`.
        login: String,
        /// The forge's number of it.
        #[schemars(range(min = 1))]
        id: u64,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::lower::keys;

    #[test]
    fn schema_and_parser_know_the_same_keys() {
        let schema = schema();
        let check = |place: &str, keys: &[&str]| {
            let definition = schema.pointer(place).unwrap();
            let described: BTreeSet<_> = definition["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(described, keys.iter().copied().collect(), "{place}");
            assert_eq!(definition["additionalProperties"], false, "{place}");
        };
        check("", keys::PLAN);
        check("/$defs/Agent", keys::AGENT);
        check("/$defs/Tools", keys::TOOLS);
        check("/$defs/Limits", keys::LIMITS);
        check("/$defs/Prices", keys::PRICES);
        check("/$defs/Gate", keys::GATE);
        check("/$defs/Report", keys::REPORT);
        check("/$defs/Task", keys::TASK);
        check("/$defs/Defaults", keys::DEFAULTS);
        check("/$defs/RetryPolicy", keys::RETRY);
        check("/$defs/Room", keys::ROOM);
        check("/$defs/Networks", keys::NETWORKS);
        check("/$defs/When", keys::WHEN);
        check("/$defs/Deliver", keys::DELIVER);
        check("/$defs/Commands", keys::COMMANDS);
        check("/$defs/Bot", keys::BOT);
    }
}
