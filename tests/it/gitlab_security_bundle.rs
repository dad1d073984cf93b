//! What the jobs of a pipeline leave at GitLab, forged by whoever had a job's token: nothing of it
//! is delivered that was not judged, of this run, and whoever looks is told.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use serde_json::{Value, json};

use crate::gitlab_job::{LabJob, Pipeline, name_of};
use crate::gitlab_security::{again, archive, sticky};
use crate::gitlab_world::{GitLabWorld, SOURCE};

type Files = BTreeMap<String, Vec<u8>>;

/// A run that is over and judged, and not published yet.
struct Judged {
    world: GitLabWorld,
    pipeline: Pipeline,
    note: Value,
    /// What the run and the judge left, honestly.
    run: Files,
    judge: Files,
    refs: BTreeMap<String, String>,
}

impl Judged {
    fn new() -> Self {
        let world = GitLabWorld::start();
        let note = world.comments("maintainer", "/omk run");
        let (pipeline, refs) = (world.hooked(&note), world.refs());
        for command in ["intake", "run", "judge"] {
            world.omk_ci(command, &pipeline, &[]).exits(0);
        }
        let left =
            |command: &str| unzipped(&world.door.artifacts(pipeline.jobs[&name_of(command)]));
        Self {
            run: left("run"),
            judge: left("judge"),
            world,
            pipeline,
            note,
            refs,
        }
    }

    fn put(&self, command: &str, files: &Files) {
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        self.world
            .door
            .put_artifacts(self.pipeline.jobs[&name_of(command)], &archive(&files));
    }

    /// That publishing with these files delivers nothing, and everybody who looks is told; what the
    /// comment says of it.
    #[track_caller]
    fn is_refused(&mut self, run: &Files, judge: &Files) -> String {
        self.put("run", run);
        self.put("judge", judge);
        let job = self.published(&[]);
        assert!(matches!(job.code, Some(1 | 2 | 3 | 5)), "{job:#?}");
        assert_eq!(self.world.refs(), self.refs, "nothing is pushed: {job:#?}");
        assert_eq!(
            self.world.get("/merge_requests").as_array().unwrap().len(),
            1,
            "{job:#?}"
        );
        let statuses = self.world.status_lines(&self.world.tip(SOURCE));
        assert!(
            statuses.len() == 1 && statuses[0].starts_with("omk: failed"),
            "{statuses:#?}"
        );
        assert_eq!(self.world.awards(&self.note), "eyes, confused");
        assert!(
            job.dotenv("OMK_VERDICT") != "ready" && job.dotenv("OMK_BRANCH").is_empty(),
            "{job:#?}"
        );
        sticky(&self.world)
    }

    fn published(&mut self, env: &[(&str, &str)]) -> LabJob {
        again(&self.world, &mut self.pipeline, "publish");
        self.world.omk_ci("publish", &self.pipeline, env)
    }
}

fn unzipped(bytes: &[u8]) -> Files {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Files::new();
    for index in 0..zip.len() {
        let (mut entry, mut read) = (zip.by_index(index).unwrap(), Vec::new());
        entry.read_to_end(&mut read).unwrap();
        files.insert(String::from_utf8_lossy(entry.name_raw()).into_owned(), read);
    }
    files
}

fn edited(files: &Files, name: &str, change: &dyn Fn(&mut Value)) -> Files {
    let (mut files, mut json) = (files.clone(), serde_json::from_slice(&files[name]).unwrap());
    change(&mut json);
    files.insert(name.to_owned(), json.to_string().into_bytes());
    files
}

const JUDGEMENT: &str = "omk-out/judgement.json";
const MANIFEST: &str = "omk-out/bundle/bundle.json";

#[test]
fn what_does_not_fit_together_is_not_published() {
    let mut judged = Judged::new();
    let (run, judge) = (judged.run.clone(), judged.judge.clone());
    let zeros = "0".repeat(40);
    let changes: [(&str, &dyn Fn(&mut Value)); 5] = [
        ("its run is not what was judged", &|one| {
            one["run"] = json!("20260101t000000z-aaaaaa")
        }),
        ("its plan is not what was judged", &|one| {
            one["plan"] = json!("0".repeat(64))
        }),
        ("its base is not what was judged", &|one| {
            one["base"]["commit"] = json!(zeros)
        }),
        ("its result is not what was judged", &|one| {
            one["result"]["tree"] = json!(zeros)
        }),
        ("its file of commits is not what was judged", &|one| {
            one["bundle"] = json!("0".repeat(64))
        }),
    ];
    for (why, change) in changes {
        let said = judged.is_refused(&run, &edited(&judge, JUDGEMENT, change));
        assert!(said.contains(why), "{why}: {said}");
    }
    // What is believed of a bundle's own words: nothing.
    for (what, change) in [
        (
            "scope",
            (|one: &mut Value| one["scope"] = json!("mr-13")) as fn(&mut Value),
        ),
        ("run", |one| one["run"] = json!("20260101t000000z-aaaaaa")),
    ] {
        let said = judged.is_refused(&edited(&run, MANIFEST, &change), &judge);
        assert!(said.contains("not to be believed"), "{what}: {said}");
    }
    // The judge's judgement beside the bundle, and no judgement of the judge's.
    let mut both = run.clone();
    both.extend(judge.clone());
    let mut other = judge.clone();
    other.remove(JUDGEMENT);
    other.insert(
        "omk-out/elsewhere/judgement.json".to_owned(),
        judge[JUDGEMENT].clone(),
    );
    other.insert("judgement.json".to_owned(), judge[JUDGEMENT].clone());
    let said = judged.is_refused(&both, &other);
    assert!(said.contains("without a judgement"), "{said}");
    let mut large = judge.clone();
    large
        .get_mut(JUDGEMENT)
        .unwrap()
        .resize((1 << 20) + 1, b' ');
    judged.is_refused(&run, &large);
    // The bundle among the judge's files, and nothing of the run's.
    let said = judged.is_refused(
        &Files::from([("omk-out/summary.md".to_owned(), b"ready".to_vec())]),
        &both,
    );
    assert!(said.contains("without leaving its result"), "{said}");
    // All that was refused is not in the way of the honest ones, whatever else lies beside them.
    let mut more = run.clone();
    let request = String::from_utf8_lossy(&archive(&[])).into_owned();
    for (name, text) in [
        ("omk-out/request.json", "{\"scope\":\"main\"}"),
        ("omk-out/judgement.json", "{}"),
        ("omk-out/omk.env", "LD_PRELOAD=/builds/evil.so\n"),
        (".git/config", "[core]\n\tfsmonitor = touch /tmp/pwned\n"),
        ("omk-out/trouble.txt", request.as_str()),
    ] {
        more.insert(name.to_owned(), text.as_bytes().to_vec());
    }
    judged.put("run", &more);
    judged.put("judge", &judge);
    let publish = judged.published(&[]).exits(0);
    let result: Value = serde_json::from_slice(&judge[JUDGEMENT]).unwrap();
    assert_eq!(
        judged.world.tip("omk/run/mr-12"),
        result["result"]["commit"].as_str().unwrap()
    );
    assert_eq!(publish.dotenv("OMK_VERDICT"), "ready");
    let env = publish.files["omk.env"].as_str();
    assert!(
        !env.contains("LD_PRELOAD") && env.lines().all(|line| line.starts_with("OMK_")),
        "{env}"
    );
}

#[test]
fn jobs_of_other_pipelines_and_other_names_leave_nothing_for_this_one() {
    let mut judged = Judged::new();
    let (run, judge) = (judged.run.clone(), judged.judge.clone());
    let nothing = Files::from([("omk-out/report.html".to_owned(), Vec::new())]);
    // Another pipeline's jobs of these names hold all of it, and so do jobs of other names in this
    // one.
    let other = judged.world.pipeline("trigger", "maintainer");
    let told = json!({"pipeline": judged.pipeline.id, "jobs": [["omk-run 1/2", "run"], ["OMK-RUN", "run"], ["omk-judge ", "judge"]]});
    let told = judged.world.door.control("add_jobs", &told);
    let jobs: Vec<u64> = told["jobs"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .collect();
    for job in jobs
        .into_iter()
        .chain([other.jobs["omk-run"], other.jobs["omk-judge"]])
    {
        let files: Vec<(&str, &[u8])> = run
            .iter()
            .chain(&judge)
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        judged.world.door.put_artifacts(job, &archive(&files));
    }
    let said = judged.is_refused(&nothing, &judge);
    assert!(said.contains("without leaving its result"), "{said}");
    let said = judged.is_refused(&run, &nothing);
    assert!(said.contains("without a judgement"), "{said}");
    // A run that is tried again after it was judged is not the one that was judged.
    judged.put("judge", &judge);
    again(&judged.world, &mut judged.pipeline, "run");
    let refs = judged.refs.clone();
    judged.published(&[]).says("without leaving its result");
    assert_eq!(judged.world.refs(), refs);
}

#[test]
fn an_archive_of_entries_without_end_is_refused_before_it_is_read() {
    let mut judged = Judged::new();
    let judge = judged.judge.clone();
    // The list of contents of an archive whose 10^5 files are one.
    let mut entry = b"PK\x01\x02".to_vec();
    entry.resize(46, 0);
    entry[28] = 1;
    entry.push(b'x');
    let (count, mut bomb) = (100_001_usize, entry.repeat(100_001));
    let size = u32::try_from(count * entry.len()).unwrap().to_le_bytes();
    bomb.extend([&b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff"[..], &size, &[0; 6]].concat());
    judged
        .world
        .door
        .put_artifacts(judged.pipeline.jobs["omk-run"], &bomb);
    judged.put("judge", &judge);
    judged.published(&[]).says("more than 100000 files");
    assert_eq!(judged.world.refs(), judged.refs);
    // As many directories as fit into one name.
    let deep = format!("omk-out/bundle/{}x", "a/".repeat(1_000));
    judged
        .world
        .door
        .put_artifacts(judged.pipeline.jobs["omk-run"], &archive(&[(&deep, b"x")]));
    judged.published(&[]).says("does not stay inside it");
    assert_eq!(judged.world.refs(), judged.refs);
}

#[test]
fn a_variable_that_somebody_sets_makes_no_job_more_than_its_token_may() {
    let mut judged = Judged::new();
    let refs = judged.refs.clone();
    // The run's job, told to publish, with a token that can read and with none.
    for token in ["glpat-run", ""] {
        again(&judged.world, &mut judged.pipeline, "run");
        let env = [("OMK_COMMAND", "publish"), ("OMK_TOKEN", token)];
        let job = judged.world.omk_ci("run", &judged.pipeline, &env);
        assert_ne!(job.code, Some(0), "{job:#?}");
        assert_eq!(judged.world.refs(), refs, "{job:#?}");
        assert_eq!(
            judged.world.status_lines(&judged.world.tip(SOURCE)),
            ["omk: running (under way)"],
            "{job:#?}"
        );
    }
    // Nothing that hands something over is read from a variable, and the run is not its own judge.
    let forged = String::from_utf8_lossy(&judged.judge[JUDGEMENT]).into_owned();
    let other = String::from_utf8_lossy(&judged.run[MANIFEST]).into_owned();
    judged.world.door.put_artifacts(
        judged.pipeline.jobs["omk-judge"],
        &archive(&[("omk-out/x", b"")]),
    );
    let env = [
        ("OMK_JUDGEMENT", forged.as_str()),
        ("OMK_REQUEST", other.as_str()),
        ("OMK_BUNDLE", "/"),
        ("OMK_TROUBLE", "x"),
    ];
    judged.published(&env);
    assert_eq!(judged.world.refs(), refs);
    let both = judged
        .run
        .iter()
        .chain(&judged.judge)
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect();
    judged.put("run", &both);
    for env in [("OMK_JUDGE_JOB", "omk-run"), ("OMK_RUN_JOB", "omk-judge")] {
        judged.published(&[env]).exits(2).says("OMK_JUDGE_JOB");
        assert_eq!(judged.world.refs(), refs);
    }
    let unknown = judged.published(&[("OMK_COMMAND", "run; omk ci")]).exits(2);
    assert!(unknown.err.contains("OMK_COMMAND"), "{unknown:#?}");
}
