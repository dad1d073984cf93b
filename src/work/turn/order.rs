//! What an agent is asked to do: its prompt, its model, its room and its limits.

use super::AttemptWork;
use crate::agent::prompt::{self, Brief, Setback};
use crate::agent::{self, Model};
use crate::exec::Pulse;
use crate::fact::Session;
use crate::plan::{ChangePolicy, RoomLevel, WriteSet};
use crate::work::room::{Furnishing, Way, room};

/// A provider that wants to be waited for longer than this gets its worker taken away meanwhile.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(30);

impl AttemptWork<'_> {
    pub(super) fn placeholders(&self) -> Vec<(String, String)> {
        let place = |name: &str, path: std::path::PathBuf| {
            (format!("{{{{omk:{name}}}}}"), path.display().to_string())
        };
        vec![
            place("slot", self.place.slot.path().to_path_buf()),
            place("home", self.place.home()),
            place("tmp", self.place.tmp()),
            place("kimi", self.place.private.join("kimi")),
        ]
    }

    pub(super) fn errand_of(
        &self,
        text: &str,
        session: Option<String>,
        model: Model,
        pulse: Pulse,
        log: std::path::PathBuf,
        (way, scratch): (&Way, std::path::PathBuf),
    ) -> (agent::AgentOrder, Furnishing) {
        let scrub = |text: &str| self.shared.tools.scrubber.scrub(text);
        let agent = &self.shared.tools.plan.agent;
        let kind = if session.is_some() {
            Session::Resumed
        } else {
            Session::New
        };
        let mut env = self.env();
        way.describe_in(&mut env.vars);
        let writable = vec![self.place.slot.path().to_path_buf()];
        let (room, furnishing) = room(self.shared, &mut env, writable, scratch, way);
        let errand = agent::AgentOrder {
            prompt: prompt::build(&self.brief(text, kind), &scrub),
            session,
            cwd: self.place.slot.path().to_path_buf(),
            state: self.place.private.clone(),
            env: env.vars,
            model,
            max_steps: agent.max_steps,
            tools_disabled: agent.tools_disabled.clone(),
            timeout: self.errand.task.timeout,
            idle_timeout: Some(self.errand.task.idle_timeout),
            longest_wait: LONGEST_WAIT,
            room: Some(room),
            doors: Some(way.doors()),
            log,
            stop: self.stop.clone(),
            pulse,
        };
        (errand, furnishing)
    }

    fn brief(&self, text: &str, session: Session) -> Brief {
        let (task, plan) = (&self.errand.task, &self.shared.tools.plan);
        let gates = task.gates.iter().filter_map(|gate| plan.gate(gate));
        Brief {
            task: task.id.clone(),
            text: text.to_owned(),
            write_set: match &task.write_set {
                WriteSet::Unknown => None,
                WriteSet::Declared(globs) => Some(globs.iter().map(ToString::to_string).collect()),
            },
            change_required: task.change == ChangePolicy::Required,
            gates: gates
                .map(|gate| (gate.id.to_string(), gate.run.clone()))
                .collect(),
            built_on: self
                .errand
                .onto
                .iter()
                .map(|other| (other.id.clone(), other.paths.clone()))
                .collect(),
            setback: self.errand.last_failure.as_ref().map(|failure| Setback {
                class: failure.class,
                message: failure.message.clone(),
                gates: self.errand.failed_gates.clone(),
                paths: failure.paths.clone(),
            }),
            session,
            room: self
                .shared
                .tools
                .agent
                .as_ref()
                .map_or(RoomLevel::None, |agent| agent.room),
        }
    }
}
