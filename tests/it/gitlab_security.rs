//! What the security stories at GitLab share: somebody asks, and the intake job must begin nothing,
//! or exactly what was meant.
//!
//! It refuses to look only at what omk says of itself: refs, writes and statuses are read back from
//! the server.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::gitlab_job::{LabJob, Pipeline, name_of};
use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

/// A schedule's pipeline that looks for comments.
pub(crate) const POLL: &[(&str, &str)] = &[("OMK_POLL", "true")];

/// An intake job that is over, and what there was before it.
pub(crate) struct Asked<'w> {
    world: &'w GitLabWorld,
    note: Value,
    pub(crate) job: LabJob,
    before: Before,
}

/// What nobody may have changed.
struct Before {
    refs: BTreeMap<String, String>,
    statuses: usize,
    writes: usize,
}

impl Before {
    fn of(world: &GitLabWorld) -> Self {
        let statuses = world.state()["statuses"].as_array().unwrap().len();
        Self {
            refs: world.refs(),
            statuses,
            writes: world.writes().len(),
        }
    }
}

impl<'w> Asked<'w> {
    /// Somebody comments on the merge request, and the webhook's intake job runs.
    #[track_caller]
    pub(crate) fn by(world: &'w GitLabWorld, login: &str, body: &str) -> Self {
        Self::of(world, world.comments(login, body))
    }

    /// The intake job of a note.
    #[track_caller]
    pub(crate) fn of(world: &'w GitLabWorld, note: Value) -> Self {
        let payload = world.note_hook(&note);
        Self::hooked(world, note, &payload)
    }

    /// The intake job of that payload; `note` is the one that it seems to be about.
    #[track_caller]
    pub(crate) fn hooked(world: &'w GitLabWorld, note: Value, payload: &Value) -> Self {
        let before = Before::of(world);
        let job = world.omk_ci("intake", &world.triggered(payload), &[]);
        Self {
            world,
            note,
            job,
            before,
        }
    }

    /// What the intake job wrote.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.world.writes().split_off(self.before.writes)
    }

    /// No run, no push, no status, and a job that is not red.
    #[track_caller]
    fn began_nothing(&self) {
        let job = &self.job;
        assert_eq!(job.code, Some(0), "{job:#?}");
        assert_eq!(job.files["request.json"].trim(), "null", "{job:#?}");
        let after = Before::of(self.world);
        assert_eq!(
            (after.refs, after.statuses),
            (self.before.refs.clone(), self.before.statuses),
            "{job:#?}"
        );
        let notes = format!("POST /merge_requests/{}/notes", self.note["noteable_iid"]);
        assert!(
            self.writes().iter().all(|write| write.starts_with(&notes)),
            "{:?}",
            self.writes()
        );
    }

    /// That it was refused, with 😕 and one answer; the answer without its marker and with a word
    /// for the head.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        self.began_nothing();
        assert_eq!(
            self.world.awards(&self.note),
            "eyes, confused",
            "{:#?}",
            self.job
        );
        let marker = format!("<!-- omk:reply:{} -->", self.note["id"]);
        let replies = self
            .world
            .replies(self.note["noteable_iid"].as_u64().unwrap());
        let ours: Vec<&String> = replies
            .iter()
            .filter(|reply| reply.starts_with(&marker))
            .collect();
        assert_eq!(
            (ours.len(), self.writes().len()),
            (1, 3),
            "one answer, two marks: {replies:#?}\n{:#?}",
            self.job
        );
        let head = self.world.tip(SOURCE);
        ours[0][marker.len()..]
            .trim()
            .replace(&head, "HEAD")
            .replace(&head[..12], "HEAD")
            .replace(&head[..7], "HEAD")
    }

    /// That nothing at all was written.
    #[track_caller]
    pub(crate) fn ignored(self) -> LabJob {
        self.began_nothing();
        assert_eq!(self.writes(), Vec::<String>::new(), "{:#?}", self.job);
        self.job
    }

    /// That a run is to follow; its request.
    #[track_caller]
    pub(crate) fn accepted(&self) -> Value {
        assert_eq!(self.job.code, Some(0), "{:#?}", self.job);
        assert_eq!(self.world.refs(), self.before.refs, "nothing is pushed");
        let request: Value = serde_json::from_str(&self.job.files["request.json"]).unwrap();
        assert!(!request.is_null(), "{:#?}", self.job);
        request
    }
}

/// One GET is answered like this from now on, whatever is there.
pub(crate) fn told(world: &GitLabWorld, path: &str, body: &Value) {
    world
        .fault(&json!({"method": "GET", "path": path, "status": 200, "body": body, "times": 1000}));
}

/// Nothing goes wrong any more.
pub(crate) fn all_is_well(world: &GitLabWorld) {
    world.fault(&json!({"clear": true}));
}

/// Pushes to the merge request's branch so many seconds ago, as the server has it.
#[track_caller]
pub(crate) fn pushes_ago(world: &GitLabWorld, seconds: i64, files: &[(&str, &str)]) -> String {
    world.door.control("push_age", &json!({"seconds": seconds}));
    let commit = world.pushes("contributor", SOURCE, files);
    world.door.control("push_age", &json!({"seconds": 3600}));
    commit
}

/// Another job of the same name, as when a person tries one again.
pub(crate) fn again(world: &GitLabWorld, pipeline: &mut Pipeline, command: &str) {
    let name = name_of(command);
    let told = world.door.control(
        "add_jobs",
        &json!({"pipeline": pipeline.id, "jobs": [[name, command]]}),
    );
    pipeline
        .jobs
        .insert(name.clone(), told["jobs"][&name].as_u64().unwrap());
}

/// An archive of files.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The comment about the run of merge request 12, without its hidden lines.
#[track_caller]
pub(crate) fn sticky(world: &GitLabWorld) -> String {
    let replies = world.replies(REQUEST);
    let mut ours = replies
        .iter()
        .filter(|reply| reply.starts_with("<!-- omk:sticky:mr-12 -->\n<!-- omk:data {"));
    let reply = ours
        .next()
        .unwrap_or_else(|| panic!("there is none: {replies:#?}"));
    assert!(ours.next().is_none(), "{replies:#?}");
    reply.lines().skip(2).collect::<Vec<_>>().join("\n")
}
