//! Webhooks of the offline project as GitLab sends them, to the address of a pipeline trigger.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::{Value, json};

use crate::gitlab_job::{Pipeline, names, read};
use crate::gitlab_world::{GitLabWorld, NUMBER, PROJECT};

impl GitLabWorld {
    /// The pipeline that a note starts by the project's webhook on the trigger's address, as GitLab
    /// sends it.
    #[track_caller]
    pub(crate) fn hooked(&self, note: &Value) -> Pipeline {
        self.triggered(&self.note_hook(note))
    }

    /// The pipeline that a webhook with this body starts.
    #[track_caller]
    pub(crate) fn triggered(&self, body: &Value) -> Pipeline {
        let path = format!("/projects/{NUMBER}/ref/main/trigger/pipeline?token=glptt-hook");
        let made = self
            .door
            .api_with(&[("X-Gitlab-Event", "Note Hook")], "POST", &path, body)
            .expect(201);
        let told = self.door.control(
            "add_jobs",
            &json!({"pipeline": made["id"], "jobs": names()}),
        );
        read(&told, "trigger", "maintainer", "main", &self.tip("main"))
    }

    /// What GitLab's webhook for notes says of one.
    pub(crate) fn note_hook(&self, note: &Value) -> Value {
        let request = self.get(&format!("/merge_requests/{}", note["noteable_iid"]));
        let attributes = json!({
            "id": note["id"], "note": note["body"], "noteable_type": "MergeRequest", "author_id": note["author"]["id"],
            "created_at": note["created_at"], "updated_at": note["updated_at"], "project_id": NUMBER,
            "noteable_id": note["noteable_id"], "system": note["system"], "action": "create",
            "url": format!("{}#note_{}", request["web_url"].as_str().unwrap(), note["id"]),
        });
        json!({
            "object_kind": "note", "event_type": "note", "user": note["author"], "project_id": NUMBER,
            "project": {"id": NUMBER, "path_with_namespace": PROJECT, "default_branch": "main"},
            "object_attributes": attributes, "merge_request": self.hooked_request(&request),
        })
    }

    /// What GitLab's webhook for merge requests says: `open`, `update`, `close`, `merge`.
    pub(crate) fn request_hook(&self, iid: u64, action: &str) -> Value {
        let request = self.get(&format!("/merge_requests/{iid}"));
        let mut attributes = self.hooked_request(&request);
        attributes["action"] = json!(action);
        json!({
            "object_kind": "merge_request", "event_type": "merge_request", "user": request["author"],
            "project": {"id": NUMBER, "path_with_namespace": PROJECT, "default_branch": "main"},
            "object_attributes": attributes,
        })
    }

    fn hooked_request(&self, request: &Value) -> Value {
        let mut told = json!({"last_commit": {"id": request["sha"]}});
        for name in [
            "id",
            "iid",
            "title",
            "description",
            "state",
            "source_branch",
            "target_branch",
            "source_project_id",
            "target_project_id",
        ] {
            told[name] = request[name].clone();
        }
        told
    }
}
