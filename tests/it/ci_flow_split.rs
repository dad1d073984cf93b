//! The four jobs without a runner: each stage on a machine of its own, handed on what a workflow
//! hands on.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::forge_job::Job;
use crate::forge_world::{Event, ForgeWorld, HEAD, PULL};

/// A run's jobs under way, and what they have handed on so far.
pub(crate) struct Split<'w> {
    pub(crate) world: &'w ForgeWorld,
    pub(crate) event: Event,
    pub(crate) number: u64,
    pub(crate) request: String,
    pub(crate) base: String,
    pub(crate) judgement: String,
    /// Set for every stage.
    pub(crate) env: Vec<(&'w str, &'w str)>,
}

/// A run that has been through all its jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) intake: Job,
    pub(crate) run: Job,
    pub(crate) judge: Job,
    pub(crate) publish: Job,
}

impl Jobs {
    /// The exit codes, in order.
    pub(crate) fn codes(&self) -> [i32; 4] {
        [&self.intake, &self.run, &self.judge, &self.publish].map(|job| job.code.unwrap())
    }
}

impl<'w> Split<'w> {
    /// A workflow run for the event.
    pub(crate) fn start(world: &'w ForgeWorld, event: Event) -> Self {
        let number = world.workflow_run(&event);
        let (request, base, judgement) = Default::default();
        Self {
            world,
            event,
            number,
            request,
            base,
            judgement,
            env: Vec::new(),
        }
    }

    /// The machine of a stage.
    pub(crate) fn machine(&self, stage: &str) -> PathBuf {
        self.world.at(&format!("job-{}-{stage}", self.number))
    }

    /// The directory that goes from job to job, as a stage has it.
    pub(crate) fn bundle(&self, stage: &str) -> PathBuf {
        self.machine(stage).join("bundle")
    }

    pub(crate) fn intake(&mut self) -> Job {
        let job = self.world.omk_ci("intake", &self.event, &self.env);
        (self.request, self.base) = (
            job.output("request").to_owned(),
            job.output("base").to_owned(),
        );
        job
    }

    pub(crate) fn run(&self) -> Job {
        self.fresh("run", None);
        self.stage("run")
    }

    pub(crate) fn judge(&mut self) -> Job {
        self.fresh("judge", Some("run"));
        let job = self.stage("judge");
        self.judgement = job.output("judgement").to_owned();
        job
    }

    pub(crate) fn publish(&self) -> Job {
        self.fresh("publish", Some("run"));
        self.stage("publish")
    }

    /// All of them, as far as it goes.
    pub(crate) fn all(&mut self) -> Jobs {
        let intake = self.intake().exits(0);
        assert_eq!(
            intake.output("go"),
            "true",
            "{intake:?}\n{:#?}",
            self.world.replies(PULL)
        );
        Jobs {
            intake,
            run: self.run(),
            judge: self.judge(),
            publish: self.publish(),
        }
    }

    /// A new machine with the run's base checked out, and the bundle of another one.
    pub(crate) fn fresh(&self, stage: &str, bundle_of: Option<&str>) {
        let machine = self.machine(stage);
        if machine.exists() {
            std::fs::remove_dir_all(&machine).unwrap();
        }
        self.world.checkout(
            &format!("job-{}-{stage}/workspace", self.number),
            &self.base,
        );
        if let Some(from) = bundle_of
            .map(|of| self.bundle(of))
            .filter(|from| from.exists())
        {
            copy(&from, &machine.join("bundle"));
        }
    }

    /// A stage on its machine as it is.
    pub(crate) fn stage(&self, stage: &str) -> Job {
        let handed = [
            ("OMK_REQUEST", self.request.as_str()),
            ("OMK_JUDGEMENT", self.judgement.as_str()),
        ];
        // Others may have begun since.
        let newest = self.world.run.replace(self.number);
        let job = self
            .world
            .omk_ci(stage, &self.event, &[&handed[..], &self.env[..]].concat());
        self.world.run.set(newest);
        job
    }

    /// Puts the run job's bundle where an artifact goes, and says that the workflow run is over;
    /// the artifact's number.
    pub(crate) fn keeps(&self, run: &Job) -> u64 {
        let number = put_artifact(
            self.world,
            run.output("artifact"),
            self.number,
            &zipped(&self.bundle("run")),
        );
        self.over();
        number
    }

    /// The workflow run is over.
    pub(crate) fn over(&self) {
        self.world.door.control(
            "runs",
            &json!({"id": self.number, "status": "completed", "conclusion": "success"}),
        );
    }
}

/// All files of a directory as a zip archive.
pub(crate) fn zipped(dir: &Path) -> Vec<u8> {
    let to = tempfile::tempdir().unwrap();
    let archive = to.path().join("state.zip");
    let pack = "import shutil, sys; shutil.make_archive(sys.argv[1][:-4], 'zip', sys.argv[2])";
    let status = Command::new("python3")
        .args(["-c", pack])
        .arg(&archive)
        .arg(dir)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(archive).unwrap()
}

/// Puts an artifact of a workflow run; its number.
pub(crate) fn put_artifact(world: &ForgeWorld, name: &str, run: u64, archive: &[u8]) -> u64 {
    let path = format!("/_test/artifacts?name={name}&run={run}");
    let put = world
        .door
        .send("POST", &path, None, "application/zip", archive);
    assert_eq!(put.status, 200, "{put:?}");
    put.json()["id"].as_u64().unwrap()
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            std::fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}

/// A check as a person sees it: `omk: success on the head`, a line each.
pub(crate) fn seen(world: &ForgeWorld, commit: &str) -> Vec<String> {
    let told = |check: &Value| {
        let state = if check["status"] == "completed" {
            &check["conclusion"]
        } else {
            &check["status"]
        };
        format!(
            "{}: {}",
            check["name"].as_str().unwrap(),
            state.as_str().unwrap()
        )
    };
    world.checks(commit).iter().map(told).collect()
}

/// The refs that a delivery made: those of omk, without proofs' run.
pub(crate) fn ours(world: &ForgeWorld) -> Vec<String> {
    world
        .remote_refs()
        .into_keys()
        .filter(|name| name.contains("omk"))
        .collect()
}

/// A text without what differs from run to run.
pub(crate) fn steady(world: &ForgeWorld, text: &str) -> String {
    let mut text = text.replace(&world.door.url, "https://forge.test");
    for (name, commit) in world.remote_refs() {
        let short = name.rsplit('/').next().unwrap().to_owned();
        let label = if name.contains("proofs") {
            "PROOFS".to_owned()
        } else {
            format!("<{short}>")
        };
        text = text.replace(&commit, &label).replace(&commit[..12], &label);
    }
    text
}

/// What differs from run to run, for snapshots.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"\d{8}t\d{6}z-[0-9a-f]{6}", "<run>"),
    (r"room: (sealed|landlock|none)\b", "room: <level>"),
    (r"\n> ⚠️ The children's room [^\n]*\n", ""),
    (r"\b[0-9a-f]{40}\b", "<commit>"),
    (r"\b[0-9a-f]{12}\b", "<short>"),
    (r"\b\d+(\.\d+)?( ms|ms|s| s)\b", "<time>"),
    (r#""at":\d{13}"#, r#""at":<moment>"#),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "<moment>"),
    (r"omk \d+\\?\.\d+\.\d+", "omk <version>"),
    (r"runs/4\d\d\d", "runs/<n>"),
    (r"workflow run 4\d\d\d", "workflow run <n>"),
];

fn omk(dir: &Path, args: &[&str]) -> Output {
    let mut omk = Command::new(env!("CARGO_BIN_EXE_omk"));
    omk.args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    omk.env("HOME", dir).stdin(Stdio::null()).output().unwrap()
}

/// The shell lines of a comment, in a clone of the repository that knows nothing of the run.
fn verified_by_a_stranger(world: &ForgeWorld, comment: &str, name: &str) -> (PathBuf, String) {
    let clone = world.at(name);
    crate::forge_world::git(
        &world.at("home"),
        &[
            "clone",
            "--quiet",
            &world.remote("reader"),
            clone.to_str().unwrap(),
        ],
    );
    let lines = comment
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_omk")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell
        .args(["-euc", lines])
        .current_dir(&clone)
        .env_clear()
        .env("PATH", path)
        .env("HOME", world.at("home"));
    let output = shell
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{lines}\n{said}");
    (clone, said)
}

#[test]
fn a_run_goes_through_four_machines_and_a_stranger_can_verify_it() {
    let world = ForgeWorld::start();
    let mut split = Split::start(&world, world.comments("maintainer", "/omk run"));
    let jobs = split.all();
    assert_eq!(jobs.codes(), [0, 0, 0, 0], "{jobs:#?}");
    let refs = world.remote_refs();
    let run_id = jobs.intake.output("run-id").to_owned();
    assert_eq!(
        ours(&world),
        [
            "refs/heads/omk/run/pr-12".to_owned(),
            format!("refs/omk/proofs/{run_id}")
        ]
    );
    assert_eq!(
        world.tip(HEAD),
        split.base,
        "the head itself is not touched"
    );
    let result = refs["refs/heads/omk/run/pr-12"].clone();
    assert_eq!(seen(&world, &split.base), ["omk: success"]);
    assert_eq!(
        seen(&world, &result),
        ["omk: success", "omk / test: success"]
    );
    assert_eq!(world.reactions(&split.event), "eyes, rocket");
    assert_eq!(jobs.publish.output("pull-request"), "13");
    assert_eq!(
        (
            jobs.publish.output("verdict"),
            jobs.publish.output("branch")
        ),
        ("ready", "omk/run/pr-12")
    );
    let pull = world.get("/pulls/13");
    assert_eq!(
        (&pull["base"]["ref"], &pull["draft"]),
        (&HEAD.into(), &true.into())
    );
    assert_eq!(pull["head"]["sha"], result);
    // Nothing but the intake and publish jobs writes, and not more than is needed.
    insta::assert_snapshot!(world.writes().join("\n"), @"
    POST /check-runs
    POST /issues/12/comments
    POST /issues/comments/1/reactions
    POST /pulls
    PATCH /check-runs/1
    POST /check-runs
    POST /check-runs
    PATCH /issues/comments/2
    POST /issues/comments/1/reactions
    ");
    let replies = world.replies(PULL);
    assert_eq!(replies.len(), 1);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(steady(&world, &replies[0]), @r#"
        <!-- omk:sticky:pr-12 -->
        <!-- omk:data {"run":"<run>","base":"<feature>","state":"ended","verdict":"ready","workflow":4001} -->
        ### ✅ omk `widget`: ready

        1 of 1 task completed · <time>

        **Delivered** as pull request [#13](https://forge.test/acme/widget/pull/13).

        - Look at it here: `git fetch origin omk/run/pr-12 && git diff <feature> FETCH_HEAD`
        - Review it as you would a colleague's, and merge it.

        <details><summary>1 task: graph and table</summary>

        | | task | state | tries | time | gates | |
        |-|-|-|-:|-:|-|-|
        | ✅ | `fix` Write it down | completed | 1 | <time> | `test` passed | 1 file |

        </details>

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/<run>
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        <sub>[workflow run <n>](https://forge.test/acme/widget/actions/runs/<n>), attempt 1, artifact `omk-pr-12-<run>`</sub>

        <sub>run `<run>` · base `<feature>` · plan omk.yaml `<short>` · asked for by maintainer · judged_by: separate-job · room: <level> · omk <version></sub>
        "#);
        insta::assert_snapshot!(steady(&world, pull["body"].as_str().unwrap()), @r#"
        <!-- omk:pull:pr-12:bbdcf7191277ead6447906bbc4f21a1253a0731f9ae7faca65805706ec4f2869 -->
        Made by omk's run `<run>`: `maintainer` asked for it [in a comment](https://forge.test/acme/widget/issues/12#issuecomment-1); judged in a job of its own.

        | task | what | files | commit |
        |-|-|-:|-|
        | `fix` | Write it down | 1 | `<pr-12>` |

        - ✅ gate `test` passed

        <details><summary>Proof, and how to verify it</summary>

        ```sh
        git fetch origin refs/omk/proofs/<run>
        git show FETCH_HEAD:run.result.json > proof.json
        omk verify proof.json
        ```

        The ref holds a proof for each task that landed, one for the result, and the commits they speak of.

        </details>

        - Updated in place by the next run; a commit that is not omk's stops that, and nothing of yours is overwritten.
        - Its checks wait for "Approve workflows to run" below, because GITHUB_TOKEN opened it; with an App's token they start alone.

        <sub>run `<run>` · base `<feature>` · plan `omk.yaml` `<short>` · [workflow run](https://forge.test/acme/widget/actions/runs/<n>) · omk <version></sub>
        "#);
    });
    let (clone, said) = verified_by_a_stranger(&world, &replies[0], "stranger");
    assert!(said.contains("1 proof checked, all hold"), "{said}");
    let proof = std::fs::read_to_string(clone.join("proof.json")).unwrap();
    let statement: Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(
        statement["predicate"]["judged_by"], "separate-job",
        "{statement:#}"
    );
    assert_eq!(statement["predicate"]["result"]["commit"], result);
    // One that says something else about the same commits does not hold.
    let nowhere = "0".repeat(40);
    let lies = [
        (result.as_str(), split.base.as_str()),
        (split.base.as_str(), nowhere.as_str()),
        ("\"separate-job\"", "\"nobody\""),
        ("\"verdict\":\"passed\"", "\"verdict\":\"failed\""),
    ];
    let proof = serde_json::to_string(&statement).unwrap();
    for (truth, lie) in lies {
        assert!(proof.contains(truth), "{truth}: {proof}");
        std::fs::write(clone.join("lie.json"), proof.replace(truth, lie)).unwrap();
        let output = omk(&clone, &["verify", "lie.json"]);
        assert!(
            !output.status.success(),
            "{lie}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}
