//! `omk publish`: a real run's bundle, judged by the real `omk judge`, delivered by the built
//! binary; and bundles and judgements that do not belong together.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use omk_action::bundle::{self, BundleLimits, Upload};
use omk_action::fact::{Fact, RunVerdict};
use omk_action::git::Repo;
use omk_action::id::Sha256;
use omk_action::journal;
use omk_action::request::{Ask, Judgement, PullScope, Request, StartedBy, VERSION};
use omk_action::store::Store;
use omk_action::text::ForgeKind;
use serde_json::{Value, json};

use crate::github_server::{Server, TOKEN, bot};
use crate::world::{Said, World};

const PLAN: &str = "
gates: [{ id: test, run: 'test ! -e bad' }]
tasks:
  - { id: one, run: 'echo 1 > one.txt', write_set: [one.txt], gates: [test] }
  - { id: two, run: 'echo 2 > two.txt', write_set: [two.txt], gates: [test] }
";

/// A run whose bundle is to be published from a fresh clone, to a remote and a forge.
struct Stage {
    server: Server,
    world: World,
    request: Request,
    judgement: Option<Judgement>,
    bundle: PathBuf,
}

impl Stage {
    async fn new() -> Self {
        let world = World::with(PLAN);
        world.run();
        let mut stage = Self::over(world).await;
        stage.judgement = Some(stage.judged());
        stage
    }

    /// After a run that is over, and that nobody has judged.
    async fn over(world: World) -> Self {
        world.git(&["init", "--quiet", "--bare", "../site/acme/widget.git"]);
        let bare = world
            .dir()
            .join("site/acme/widget.git")
            .display()
            .to_string();
        world.git(&["push", "--quiet", &bare, "main:main", "main:feature"]);
        let Fact::Began(began) = world.facts().swap_remove(0) else {
            panic!("it has not begun")
        };
        let url = "https://github.com/acme/widget/actions/runs/9001".to_owned();
        let request = Request {
            version: VERSION,
            run: began.run,
            scope: began.scope,
            trigger: began.trigger,
            ask: Ask::Run { tasks: Vec::new() },
            forge: ForgeKind::GitHub,
            repository: "acme/widget".to_owned(),
            base: began.base.commit.clone(),
            pull: Some(PullScope {
                number: 12,
                head: "feature".to_owned(),
                base: "main".to_owned(),
            }),
            default_branch: "main".to_owned(),
            rules: began.base.commit,
            plan: began.plan,
            approved_by: None,
            comment: Some(7),
            check: None,
            workflow: StartedBy {
                id: 9_001,
                attempt: 1,
                url,
            },
            previous: None,
            dry_run: false,
        };
        let bundle = world.dir().join("bundle");
        let plan = std::fs::read(world.repo().join("omk.yaml")).unwrap();
        let plan = Arc::new(omk_action::plan::parse(&plan, "omk.yaml", "story").unwrap());
        let run_dir = Store::new(&world.repo().join(".git")).dir(&request.run);
        let engine = journal::replay(plan, &run_dir.journal().unwrap().lines).unwrap();
        let repo = Repo::discover(&world.repo()).unwrap();
        bundle::write(
            &bundle,
            &repo,
            &run_dir,
            &engine,
            Upload::State,
            &BundleLimits::default(),
        )
        .unwrap();
        world.git(&[
            "clone",
            "--quiet",
            "--no-tags",
            "--branch",
            "main",
            &format!("file://{bare}"),
            "../clone",
        ]);
        let server = Server::start().await;
        server.tell_at(
            "/user",
            403,
            &json!({ "message": "Resource not accessible by integration" }),
        );
        let me = json!({ "id": bot().id, "login": bot().login, "type": "Bot" });
        server.tell_at("/users/github-actions%5Bbot%5D", 200, &me);
        Self {
            server,
            world,
            request,
            judgement: None,
            bundle,
        }
    }

    fn file(&self, name: &str, value: &impl serde::Serialize) -> String {
        let path = self.world.dir().join(name);
        std::fs::write(&path, serde_json::to_vec(value).unwrap()).unwrap();
        path.display().to_string()
    }

    /// `omk` in the fresh clone, as a job of a workflow.
    fn omk(&self, args: &[&str]) -> Said {
        let clone = self.world.dir().join("clone").display().to_string();
        let mut command = self.world.omk_command(&[&["-C", &clone], args].concat());
        command
            .env("OMK_TOKEN", TOKEN)
            .env("OMK_WRITE_SPACING", "0s")
            .env("GITHUB_API_URL", &self.server.base);
        command.env(
            "GITHUB_SERVER_URL",
            format!("file://{}", self.world.dir().join("site").display()),
        );
        World::start_command(command).ends()
    }

    fn judged(&self) -> Judgement {
        let request = self.file("request.json", &self.request);
        let said = self.omk(&[
            "judge",
            self.bundle.to_str().unwrap(),
            "--request",
            &request,
            "--json",
        ]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err))
    }

    fn publish(&self) -> (Said, Value) {
        let request = self.file("request.json", &self.request);
        let judgement = self
            .judgement
            .as_ref()
            .map(|judgement| self.file("judgement.json", judgement));
        let mut args = vec![
            "publish",
            self.bundle.to_str().unwrap(),
            "--json",
            "--request",
            &request,
        ];
        if let Some(judgement) = &judgement {
            args.extend(["--judgement", judgement]);
        }
        let said = self.omk(&args);
        assert!(!said.out.contains(TOKEN) && !said.err.contains(TOKEN));
        let value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
        (said, value)
    }

    /// Nothing is delivered, and everybody is told why.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let (said, value) = self.publish();
        assert_eq!(
            (said.code, &value["delivered"], &value["pushed"]),
            (5, &json!(false), &json!([])),
            "{value}"
        );
        assert!(value["lost"].as_str().unwrap().contains(why), "{value}");
        assert!(
            self.comment().contains(&why.replace('`', "\\`")),
            "{}",
            self.comment()
        );
        assert!(
            self.refs().iter().all(|name| !name.contains("omk")),
            "{:?}",
            self.refs()
        );
        assert_eq!(self.conclusions(), ["failure"]);
    }

    fn comment(&self) -> String {
        self.server.kept("/issues/12/comments")[0]["body"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn conclusions(&self) -> Vec<String> {
        let checks = self.server.kept("/check-runs");
        checks
            .iter()
            .map(|check| check["conclusion"].as_str().unwrap_or("-").to_owned())
            .collect()
    }

    fn refs(&self) -> Vec<String> {
        let bare = self
            .world
            .dir()
            .join("site/acme/widget.git")
            .display()
            .to_string();
        let list = self
            .world
            .git(&["--git-dir", &bare, "for-each-ref", "--format=%(refname)"]);
        list.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judged_run_is_published_from_a_fresh_clone_and_its_proof_holds_for_whoever_fetches_it() {
    let stage = Stage::new().await;
    let (said, value) = stage.publish();
    assert_eq!(
        (said.code, &value["verdict"], &value["troubles"]),
        (0, &json!("ready"), &json!([])),
        "{}",
        said.err
    );
    let proofs = format!("refs/omk/proofs/{}", stage.request.run);
    assert_eq!(
        stage.refs(),
        [
            "refs/heads/feature",
            "refs/heads/main",
            "refs/heads/omk/run/story",
            proofs.as_str()
        ]
    );
    assert_eq!(stage.conclusions(), ["success", "success", "success"]);
    assert!(
        stage.comment().contains("judged_by: separate-job"),
        "{}",
        stage.comment()
    );
    // What the comment says of verifying works as it stands, for somebody with a clone of the
    // repository.
    let site = format!(
        "file://{}",
        stage.world.dir().join("site/acme/widget.git").display()
    );
    let other = stage.world.dir().join("other").display().to_string();
    stage.world.git(&[
        "clone",
        "--quiet",
        "--no-tags",
        "--branch",
        "main",
        &site,
        &other,
    ]);
    stage
        .world
        .git(&["-C", &other, "fetch", "--quiet", "origin", &proofs]);
    for name in ["run.result", "one", "two"] {
        let proof = stage
            .world
            .git(&["-C", &other, "show", &format!("FETCH_HEAD:{name}.json")]);
        let file = stage.world.dir().join("proof.json");
        std::fs::write(&file, proof + "\n").unwrap();
        let said = stage
            .world
            .omk(&["-C", &other, "verify", file.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{name}: {}{}", said.out, said.err);
    }
    let (again, same) = stage.publish();
    assert_eq!(
        (again.code, same["pulls"].clone()),
        (0, value["pulls"].clone())
    );
    assert_eq!(
        (
            stage.server.kept("/pulls").len(),
            stage.server.kept("/check-runs").len()
        ),
        (1, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judgement_about_something_else_delivers_nothing() {
    let mut stage = Stage::new().await;
    let honest = stage.judgement.clone().unwrap();
    let with = |change: fn(&mut Judgement)| {
        let mut judgement = honest.clone();
        change(&mut judgement);
        Some(judgement)
    };
    stage.judgement = with(|judgement| judgement.run = "20200101t000000z-000000".parse().unwrap());
    stage.is_refused("its run is not what was judged");
    stage.judgement = with(|judgement| judgement.bundle = Some(Sha256::of(b"other")));
    stage.is_refused("its file of commits is not what was judged");
    stage.judgement = with(|judgement| judgement.plan = Sha256::of(b"other"));
    stage.is_refused("its plan is not what was judged");
    stage.judgement = with(|judgement| judgement.result = Some(judgement.base.clone()));
    stage.is_refused("its result is not what was judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_judge_did_not_see_pass_is_not_ready_whatever_is_said() {
    let mut stage = Stage::new().await;
    let mut judgement = stage.judgement.clone().unwrap();
    judgement.gates.clear();
    assert_eq!(judgement.verdict, RunVerdict::Ready);
    stage.judgement = Some(judgement);
    let (said, value) = stage.publish();
    assert_eq!(
        (said.code, &value["verdict"], &value["pushed"]),
        (1, &json!("not_ready"), &json!([])),
        "{value}"
    );
    assert!(
        stage.comment().contains("do not carry"),
        "{}",
        stage.comment()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_was_changed_since_delivers_nothing() {
    let stage = Stage::new().await;
    let path = stage.bundle.join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replacen("ready", "cancelled", 1)
            .replacen("one", "two", 1),
    )
    .unwrap();
    stage.is_refused("`journal.jsonl` is not what the manifest says");
    // The directory of this machine is nobody's business.
    assert!(
        !stage.comment().contains(stage.bundle.to_str().unwrap()),
        "{}",
        stage.comment()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_or_a_judgement_that_is_missing_is_said() {
    let mut stage = Stage::new().await;
    stage.judgement = None;
    stage.is_refused("without a judgement");
    std::fs::remove_dir_all(&stage.bundle).unwrap();
    let (said, value) = stage.publish();
    assert_eq!(said.code, 5);
    assert!(
        value["lost"]
            .as_str()
            .unwrap()
            .contains("without leaving its result"),
        "{value}"
    );
    assert!(stage.comment().contains("without leaving its result"));
    assert_eq!(stage.conclusions(), ["failure"], "the same check");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cancelled_is_called_so() {
    let world = World::with("tasks: [{ id: one, run: 'touch began; exec sleep 1000' }]");
    let running = world.start(&["run", "--yes"]);
    world.until_file("one", "began");
    running.signal(rustix::process::Signal::INT);
    running.ends();
    let stage = Stage::over(world).await;
    let (said, value) = stage.publish();
    assert_eq!(
        (said.code, &value["verdict"], &value["pushed"]),
        (130, &json!("cancelled"), &json!([])),
        "{value}"
    );
    assert_eq!(stage.conclusions(), ["cancelled"]);
    assert!(
        stage.comment().contains("omk: cancelled"),
        "{}",
        stage.comment()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_after_the_push_is_a_red_job_that_says_what_was_pushed() {
    let stage = Stage::new().await;
    let answer =
        crate::github_server::Fault::Instead(401, vec![], json!({ "message": "Bad credentials" }));
    stage.server.fault(Method::POST, "/pulls", answer);
    let (said, value) = stage.publish();
    assert_eq!(
        (said.code, value["pushed"].as_array().unwrap().len()),
        (3, 2),
        "{value}"
    );
    assert!(
        value["troubles"][0].as_str().unwrap().contains("401"),
        "{value}"
    );
}
