//! A view without secrets: every free text of it goes through a scrubber.
//!
//! It refuses to touch ids and numbers, which cannot hold one.

use super::view::{Ejection, TaskStage, View};
use crate::fact::{GateOutcome, LogEvidence};
use crate::id::RepoPath;

impl View {
    /// The view with every free text passed through `scrub`, which takes secrets out. Ids, paths of
    /// commits and numbers stay. To be called once, before any rendering.
    #[must_use]
    pub fn scrubbed(mut self, scrub: &dyn Fn(&str) -> String) -> Self {
        let each = |text: &mut String| *text = scrub(text);
        each(&mut self.plan_path);
        each(&mut self.branch);
        each(&mut self.trigger.actor);
        self.trigger.comment.iter_mut().for_each(each);
        self.warnings
            .iter_mut()
            .chain(&mut self.next)
            .for_each(each);
        self.gates
            .iter_mut()
            .for_each(|gate| scrub_gate(gate, scrub));
        self.containment
            .iter_mut()
            .filter_map(|room| room.why_not.as_mut())
            .for_each(each);
        for task in &mut self.tasks {
            each(&mut task.name);
            task.owner.iter_mut().for_each(each);
            for failure in task.failure.iter_mut() {
                each(&mut failure.message);
                failure.advice.iter_mut().for_each(each);
                failure.paths = scrub_paths(&failure.paths, scrub);
            }
            task.gates
                .iter_mut()
                .for_each(|gate| scrub_gate(gate, scrub));
            task.refused_hosts
                .iter_mut()
                .chain(&mut task.unreached_hosts)
                .for_each(each);
            if let Some(command) = &mut task.command {
                each(&mut command.command);
                scrub_log(&mut command.log, scrub);
            }
            match &mut task.stage {
                TaskStage::Pending { waits: text, .. }
                | TaskStage::Running { doing: text }
                | TaskStage::Cancelled { why: text } => {
                    each(text);
                }
                TaskStage::Completed {
                    ejected:
                        Some(Ejection {
                            log: Some(text), ..
                        }),
                    ..
                } => each(text),
                TaskStage::LeftOut
                | TaskStage::Claimed
                | TaskStage::Completed { .. }
                | TaskStage::Failed => {}
            }
            task.paths = scrub_paths(&task.paths, scrub);
        }
        self
    }
}

/// A path is scrubbed where it is text; one that does not survive as a path is not worth its
/// secret.
fn scrub_paths(paths: &[RepoPath], scrub: &dyn Fn(&str) -> String) -> Vec<RepoPath> {
    paths
        .iter()
        .filter_map(|path| scrub(&path.to_string()).parse().ok())
        .collect()
}

fn scrub_gate(gate: &mut GateOutcome, scrub: &dyn Fn(&str) -> String) {
    let each = |text: &mut String| *text = scrub(text);
    each(&mut gate.command);
    each(&mut gate.note);
    gate.log.iter_mut().for_each(|log| scrub_log(log, scrub));
    if let Some(room) = &mut gate.room {
        let hosts = room
            .refused_hosts
            .iter_mut()
            .chain(&mut room.unreached_hosts);
        room.containment
            .why_not
            .iter_mut()
            .chain(hosts)
            .for_each(each);
    }
    for item in &mut gate.failing {
        each(&mut item.key);
        each(&mut item.message);
        item.place
            .iter_mut()
            .for_each(|place| each(&mut place.path));
    }
}

fn scrub_log(log: &mut LogEvidence, scrub: &dyn Fn(&str) -> String) {
    for text in [&mut log.head, &mut log.tail, &mut log.path] {
        *text = scrub(text);
    }
}
