//! What the messages of commits claim, compared with what the run would have written.

use super::Court;
use crate::git::{CommitMessage, CommitSeen, Trailers, signer};
use crate::id::TaskId;
use crate::plan::Task;

/// Keys of a last paragraph that omk writes itself, once each.
const KEYS: [&str; 4] = ["Omk-Run", "Omk-Task", "Omk-Attempt", "Omk-Proof"];

impl Court<'_> {
    /// The messages that omk gives a task's commit: in the plan's words, or without them.
    pub(super) fn messages(&self, planned: &Task, attempt: u32) -> [CommitMessage; 2] {
        let request = self.request;
        let message = CommitMessage::of_task(
            &request.run,
            &request.trigger,
            planned,
            attempt,
            self.plan.deliver.sign_off,
        );
        [message.clone(), message.bare()]
    }

    /// What a commit says, held against what the plan and the journal make of it.
    pub(super) fn writing(
        &self,
        seen: &CommitSeen,
        planned: &Task,
        attempt: u32,
    ) -> Result<(), String> {
        let last = self.engine.task(&planned.id).map_or(0, |task| task.attempt);
        if attempt == 0 || attempt > last {
            return Err(format!("is of attempt {attempt}, and its task had {last}"));
        }
        if !self
            .messages(planned, attempt)
            .iter()
            .any(|message| message.to_string() == seen.message)
        {
            return Err("has another message than omk gives it".to_owned());
        }
        if !self.under_way.contains(&seen.seconds) {
            return Err("is of a time at which the run was not under way".to_owned());
        }
        Ok(())
    }

    /// The task and the attempt that a message's trailers name, where they are as omk writes them.
    pub(super) fn trailers(&self, message: &str) -> Result<(TaskId, u32), &'static str> {
        let trailers = Trailers::of(message).ok_or("does not carry omk's trailers")?;
        if trailers.run != self.request.run {
            return Err("is of another run, by its trailers");
        }
        for key in KEYS {
            if message
                .lines()
                .filter(|line| line.starts_with(&format!("{key}:")))
                .count()
                != 1
            {
                return Err("does not carry each of omk's trailers once");
            }
        }
        let task = trailers.task.ok_or("names no task in its trailers")?;
        let proof = format!("{}/{task}", trailers.run);
        let last = message
            .trim_end()
            .rsplit_once("\n\n")
            .map_or("", |(_, last)| last);
        for line in last.lines() {
            let (key, value) = line.split_once(": ").ok_or("has a trailer that is none")?;
            let allowed = match key {
                "Requested-by" => value == self.request.trigger.actor,
                "Signed-off-by" => self.plan.deliver.sign_off && value == signer(),
                "Omk-Proof" => value == proof,
                key => KEYS.contains(&key),
            };
            if !allowed {
                return Err("carries a trailer that omk did not write");
            }
        }
        Ok((
            task,
            trailers.attempt.ok_or("names no attempt in its trailers")?,
        ))
    }
}
