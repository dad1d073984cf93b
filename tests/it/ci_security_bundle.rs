//! A bundle that was changed between the job that made it and those that believe it: nothing of it
//! is delivered, the check is closed, and whoever asked is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use omk_action::journal;
use serde_json::{Value, json};

use crate::bundle_world::{chained, claim, put};
use crate::ci_security::inner;
use crate::forge_job::Job;
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL, git};

/// A run that is over, in jobs of their own, and not published yet.
struct Split {
    world: ForgeWorld,
    event: Event,
    request: String,
    judgement: Value,
    bundle: PathBuf,
    refs: BTreeMap<String, String>,
}

impl Split {
    fn judged() -> Self {
        let mut split = Self::ran();
        let job = split.stage("judge", &split.bundle, None).exits(0);
        split.judgement = serde_json::from_str(job.output("judgement")).unwrap();
        split
    }

    fn ran() -> Self {
        let world = ForgeWorld::start();
        let event = world.comments("maintainer", "/omk run");
        let (number, refs) = (world.workflow_run(&event), world.remote_refs());
        let gate = world.omk_ci("intake", &event, &[]).exits(0);
        let split = Self {
            request: gate.output("request").to_owned(),
            bundle: world.at(&format!("job-{number}-run/bundle")),
            judgement: Value::Null,
            world,
            event,
            refs,
        };
        for stage in ["run", "judge", "publish"] {
            split.world.checkout(
                &format!("job-{number}-{stage}/workspace"),
                gate.output("base"),
            );
        }
        split.stage("run", &split.bundle, None).exits(0);
        split
    }

    fn stage(&self, stage: &str, bundle: &Path, judgement: Option<&Value>) -> Job {
        let judgement = judgement.map(Value::to_string).unwrap_or_default();
        let env = [
            ("OMK_REQUEST", self.request.as_str()),
            ("OMK_BUNDLE", bundle.to_str().unwrap()),
            ("OMK_JUDGEMENT", judgement.as_str()),
        ];
        self.world.omk_ci(stage, &self.event, &env)
    }

    /// A copy of the bundle, to be changed.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.world.at(name);
        copy(&self.bundle, &to);
        to
    }

    /// That publishing this delivers nothing, and everybody who looks is told; what the comment
    /// says of it.
    #[track_caller]
    fn is_refused(&self, bundle: &Path, judgement: Option<&Value>) -> String {
        let job = self.stage("publish", bundle, judgement);
        assert!(matches!(job.code, Some(1 | 5)), "{job:?}");
        assert_eq!(
            self.world.remote_refs(),
            self.refs,
            "nothing is pushed: {job:?}"
        );
        assert_eq!(
            self.world.get("/pulls").as_array().unwrap().len(),
            1,
            "{job:?}"
        );
        let checks = self.world.checks(&self.world.tip(HEAD));
        assert_eq!(checks.len(), 1, "{checks:#?}");
        assert_eq!(
            (&checks[0]["status"], &checks[0]["conclusion"]),
            (&json!("completed"), &json!("failure"))
        );
        assert_eq!(self.world.reactions(&self.event), "eyes, confused");
        let replies = self.world.replies(PULL);
        assert_eq!(replies.len(), 1, "{replies:#?}");
        assert!(
            !job.out.contains("delivered: true") && job.output("branch").is_empty(),
            "{job:?}"
        );
        inner(&replies[0]).to_owned()
    }

    /// That the judge refuses it, and says so.
    #[track_caller]
    fn is_not_judged(&self, bundle: &Path, why: &str) {
        let job = self.stage("judge", bundle, None);
        assert!(
            job.code != Some(0) && job.output("judgement").is_empty(),
            "{job:?}"
        );
        assert!(
            job.err.contains(why) || job.out.contains(why),
            "{why}: {job:?}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Puts another result into a bundle: the same with this done to its tree. Manifest, journal and
/// digests all fit it.
fn replace_all(split: &Split, dir: &Path, file: &str, content: &str) {
    let manifest = |dir: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join("bundle.json")).unwrap()).unwrap()
    };
    let honest = manifest(dir);
    replace_result(split, dir, file, content);
    let evil = manifest(dir);
    for what in ["commit", "tree"] {
        let id = |manifest: &Value| manifest["result"][what].as_str().unwrap().to_owned();
        rewrite_journal(dir, &id(&honest), &id(&evil));
    }
}

/// Puts another file of commits into a bundle: the result, with this done to its tree. The journal
/// does not know of it.
fn replace_result(split: &Split, dir: &Path, file: &str, content: &str) {
    let name = format!("scratch-{}", dir.file_name().unwrap().display());
    let scratch = split.world.checkout(&name, &split.world.tip(HEAD));
    let changes = dir.join("changes.bundle").display().to_string();
    git(
        &scratch,
        &[
            "fetch",
            "--quiet",
            "--update-shallow",
            &changes,
            "refs/omk/bundle/*:refs/omk/bundle/*",
        ],
    );
    git(
        &scratch,
        &["checkout", "--quiet", "--detach", "refs/omk/bundle/result"],
    );
    std::fs::write(scratch.join(file), content).unwrap();
    git(&scratch, &["add", "--all"]);
    let setting = |name: &str, field: &str| {
        format!(
            "{name}={}",
            git(&scratch, &["show", "-s", &format!("--format={field}")])
        )
    };
    let (name, email) = (setting("user.name", "%cn"), setting("user.email", "%ce"));
    // Of the same second as before, for omk makes the headers again.
    let again = "alias.again=!GIT_COMMITTER_DATE=\"$(git show -s --format=%ad --date=raw)\" \
                 git commit --quiet --amend --no-edit";
    git(&scratch, &["-c", &name, "-c", &email, "-c", again, "again"]);
    for name in git(
        &scratch,
        &["for-each-ref", "--format=%(refname)", "refs/omk/bundle"],
    )
    .lines()
    {
        git(&scratch, &["update-ref", name, "HEAD"]);
    }
    let refs = git(
        &scratch,
        &["for-each-ref", "--format=%(refname)", "refs/omk/bundle"],
    );
    let base = format!("^{}", split.world.tip(HEAD));
    let mut args = vec!["bundle", "create", "--quiet", "other.bundle", &base];
    args.extend(refs.lines());
    git(&scratch, &args);
    let bytes = std::fs::read(scratch.join("other.bundle")).unwrap();
    put(dir, "changes.bundle", &bytes);
    let (commit, tree) = (
        git(&scratch, &["rev-parse", "HEAD"]),
        git(&scratch, &["rev-parse", "HEAD^{tree}"]),
    );
    claim(dir, |manifest| {
        let tip = json!({"commit": commit, "tree": tree});
        manifest.result = Some(serde_json::from_value(tip).unwrap());
        for task in &mut manifest.tasks {
            task.commit = commit.parse().unwrap();
        }
    });
}

/// The journal of a bundle with one text in place of another, chained anew.
fn rewrite_journal(dir: &Path, old: &str, new: &str) {
    let read = journal::read(&std::fs::read(dir.join("journal.jsonl")).unwrap()).unwrap();
    let mut changed = 0;
    let lines: Vec<journal::Line> = read
        .lines
        .into_iter()
        .map(|line| {
            let text = serde_json::to_string(&line).unwrap();
            changed += text.matches(old).count();
            serde_json::from_str(&text.replace(old, new)).unwrap()
        })
        .collect();
    assert!(changed > 0, "{old} is not in the journal");
    put(dir, "journal.jsonl", &chained(&lines));
}

#[test]
fn what_was_changed_after_it_was_judged_is_not_delivered() {
    let split = Split::judged();
    let ready = &split.judgement;
    assert_eq!(ready["verdict"], "ready");

    let missing = split.is_refused(&split.bundle, None);
    assert!(missing.contains("without a judgement"), "{missing}");
    let absent = split.is_refused(&split.world.at("nowhere"), Some(ready));
    assert!(absent.contains("without leaving its result"), "{absent}");

    let other = split.copy("other-result");
    replace_result(&split, &other, "fix.txt", "wrong\n");
    let said = split.is_refused(&other, Some(ready));
    let why = "not to be believed: the manifest's result is not what the journal leads to";
    assert!(said.contains(why), "{said}");
    // With a journal that fits, it is still not what was judged.
    let other = split.copy("other-result-and-journal");
    replace_all(&split, &other, "fix.txt", "wrong\n");
    let said = split.is_refused(&other, Some(ready));
    assert!(
        said.contains(
            "its result is not what was judged, so it was changed since, or is another run's"
        ),
        "{said}"
    );

    let scope = split.copy("other-scope");
    claim(&scope, |manifest| manifest.scope = "pr-13".parse().unwrap());
    let said = split.is_refused(&scope, Some(ready));
    assert!(
        said.contains("not to be believed: its scope is pr-13, and pr-12 was asked for"),
        "{said}"
    );
    let report = split.copy("other-report");
    std::fs::write(report.join("report.json"), "{\"verdict\":\"ready\"}").unwrap();
    let said = split.is_refused(&report, Some(ready));
    assert!(
        said.contains("report.json\\` is not what the manifest says: its size differs"),
        "{said}"
    );

    // All that was refused has left nothing behind that is in the way of the honest one.
    let job = split.stage("publish", &split.bundle, Some(ready)).exits(0);
    assert_eq!(
        split.world.tip("omk/run/pr-12"),
        ready["result"]["commit"].as_str().unwrap(),
        "{job:?}"
    );
    assert_eq!(
        split.world.reactions(&split.event),
        "eyes, confused, rocket"
    );
}

#[test]
fn a_judgement_of_something_else_carries_nothing() {
    let split = Split::judged();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut judgement = split.judgement.clone();
        change(&mut judgement);
        judgement
    };
    let zeros = "0".repeat(40);
    for (what, judgement) in [
        (
            "run",
            changed(&|judgement| judgement["run"] = json!("20260101t000000z-aaaaaa")),
        ),
        (
            "plan",
            changed(&|judgement| judgement["plan"] = json!("0".repeat(64))),
        ),
        (
            "base",
            changed(&|judgement| judgement["base"]["commit"] = json!(zeros)),
        ),
        (
            "result",
            changed(&|judgement| judgement["result"]["tree"] = json!(zeros)),
        ),
        (
            "result",
            changed(&|judgement| judgement["result"]["commit"] = json!(zeros)),
        ),
        (
            "list of tasks",
            changed(&|judgement| judgement["landed"] = json!([])),
        ),
        (
            "file of commits",
            changed(&|judgement| judgement["bundle"] = json!("0".repeat(64))),
        ),
    ] {
        let said = split.is_refused(&split.bundle, Some(&judgement));
        assert!(
            said.contains(&format!("its {what} is not what was judged")),
            "{what}: {said}"
        );
    }
    // A verdict that its own gates do not carry.
    for (why, judgement) in [
        (
            "removed",
            changed(&|judgement| judgement["gates"] = json!([])),
        ),
        (
            "failed",
            changed(&|judgement| {
                judgement["gates"][0]["verdict"] = json!("failed");
                judgement["gates"][0]["counts_as_passed"] = json!(false);
            }),
        ),
        (
            "renamed",
            changed(&|judgement| judgement["gates"][0]["gate"] = json!("other")),
        ),
    ] {
        let job = split.stage("publish", &split.bundle, Some(&judgement));
        assert_eq!(job.code, Some(1), "{why}: {job:?}");
        assert_eq!(
            split.world.remote_refs(),
            split.refs,
            "{why}: nothing is pushed"
        );
        assert_ne!(
            split.world.checks(&split.world.tip(HEAD))[0]["conclusion"],
            "success",
            "{why}"
        );
        let sticky = split.world.replies(PULL).pop().unwrap();
        assert!(
            sticky.contains("omk `widget`: not ready"),
            "{why}: {sticky}"
        );
    }
}

#[test]
fn what_was_changed_before_it_was_judged_is_not_judged() {
    let split = Split::ran();
    let protected = split.copy("protected");
    replace_all(&split, &protected, "omk.yaml", "version: 1\n");
    split.is_not_judged(&protected, "changes what it may not");

    let other = split.copy("other-result");
    replace_result(&split, &other, "fix.txt", "wrong\n");
    split.is_not_judged(
        &other,
        "the manifest's result is not what the journal leads to",
    );

    let digest = split.copy("digest");
    let mut changes = std::fs::read(digest.join("changes.bundle")).unwrap();
    *changes.last_mut().unwrap() ^= 1;
    std::fs::write(digest.join("changes.bundle"), changes).unwrap();
    split.is_not_judged(
        &digest,
        "`changes.bundle` is not what the manifest says: its digest differs",
    );

    let link = split.copy("link");
    std::fs::remove_file(link.join("report.json")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", link.join("report.json")).unwrap();
    split.is_not_judged(&link, "\"report.json\" is a symbolic link");

    let path = split.copy("path");
    let manifest = std::fs::read_to_string(path.join("bundle.json")).unwrap();
    std::fs::write(
        path.join("bundle.json"),
        manifest.replacen("\"report.json\"", "\"../../report.json\"", 1),
    )
    .unwrap();
    split.is_not_judged(&path, "../../report.json");

    let huge = split.copy("huge");
    claim(&huge, |manifest| {
        manifest
            .files
            .iter_mut()
            .for_each(|file| file.bytes = 10 << 30)
    });
    split.is_not_judged(&huge, "is too large: 10737418240");

    // What nobody judged is not published.
    for dir in [&other, &protected, &digest, &link, &path, &huge] {
        split.is_refused(dir, None);
    }
}

#[test]
fn a_run_that_calls_itself_ready_is_judged_by_its_tree() {
    let mut split = Split::ran();
    let flipped = split.copy("flipped");
    // Whoever had the run's job made up everything: the journal, its chain, the commits, all
    // digests.
    replace_all(&split, &flipped, "fix.txt", "wrong\n");
    let job = split.stage("judge", &flipped, None).exits(1);
    split.judgement = serde_json::from_str(job.output("judgement")).unwrap();
    assert_eq!(split.judgement["verdict"], "not_ready");
    let said = split.is_refused(&flipped, Some(&split.judgement));
    assert!(
        said.contains("omk `widget`: not ready") && said.contains("it must say right"),
        "{said}"
    );
    assert!(
        said.contains("passed in the job that made the change, and not when it was judged anew"),
        "{said}"
    );
}
