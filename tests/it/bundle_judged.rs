//! Bundles judged anew on another machine: what that makes of a run, and what a person is told.

use std::os::unix::fs::symlink;
use std::path::Path;

use omk_action::bundle;
use omk_action::fact::{AgainstBase, FailingItem, GateOutcome, GateVerdict, ItemLevel, RunVerdict};
use omk_action::id::{Sha256, Tip};
use omk_action::journal::Line;
use omk_action::plan::{Event, RoomLevel};
use omk_action::proof::{JudgedBy, prove};
use omk_action::request::{Judgement, Request};

use crate::bundle_world::{DIAMOND, ONE, Ran, chained, put};
use crate::world::{FILTERS, World};

#[test]
fn a_run_of_several_tasks_is_judged_anew_in_a_fresh_clone() {
    let ran = Ran::new(DIAMOND);
    let dir = ran.bundle();
    ran.world.git(&[
        "bundle",
        "verify",
        "--quiet",
        dir.join("changes.bundle").to_str().unwrap(),
    ]);
    let admitted = ran.admit(&dir).unwrap();
    let result = admitted.result.clone().unwrap();
    assert_eq!(result.commit.as_str(), ran.world.rev("omk/run/story"));
    let landed: Vec<String> = admitted
        .landed
        .iter()
        .map(|(task, _)| task.to_string())
        .collect();
    assert_eq!(landed, ran.world.landed_on("omk/run/story"));
    assert_eq!(admitted.task_commits.len(), 3);
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!(
        (said.code, judgement.verdict),
        (0, RunVerdict::Ready),
        "{}",
        said.err
    );
    assert_eq!(
        (judgement.result.clone(), judgement.gates.len()),
        (Some(result), 1)
    );
    assert!(judgement.warnings.is_empty(), "{:?}", judgement.warnings);
    let input = bundle::proof_input(&ran.request, &judgement, &admitted).unwrap();
    assert_eq!(
        (input.judged_by, prove(&input).predicate.verdict),
        (JudgedBy::SeparateJob, RunVerdict::Ready)
    );
    let names: Vec<String> = bundle::proofs(&ran.request, &judgement, &admitted)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(
        names.contains(&"run.result.json".to_owned()) && names.contains(&"top.json".to_owned()),
        "{names:?}"
    );
    assert_eq!(
        bundle::view(&judgement, &admitted).unwrap().judged_by,
        Some(JudgedBy::SeparateJob)
    );
}

#[test]
fn a_proof_holds_what_the_judging_job_knows_and_not_what_the_run_said() {
    let ran = Ran::new(ONE);
    let dir = ran.bundle();
    let mut admitted = ran.admit(&dir).unwrap();
    let own = admitted.history.result_gates(&admitted.engine);
    let again = bundle::judge(&ran.request, &admitted, own.clone());
    assert_eq!(
        (again.verdict, again.warnings),
        (RunVerdict::Ready, Vec::new())
    );
    let input = |admitted: &_, request: &_, judgement: &_| {
        bundle::proof_input(request, judgement, admitted).unwrap()
    };
    let before = input(
        &admitted,
        &ran.request,
        &bundle::judge(&ran.request, &admitted, own.clone()),
    );
    assert!(
        before.containment.subreaper,
        "the run's own children were all ended"
    );

    // A gate that fails here; another, of which the run said nothing, is no news.
    let failed = GateOutcome {
        verdict: GateVerdict::Failed,
        counts_as_passed: false,
        ..own[0].clone()
    };
    let other = GateOutcome {
        gate: "other".parse().unwrap(),
        ..failed.clone()
    };
    let mut gates = vec![failed, other];
    let room = gates[0].room.as_mut().expect("it ran in a room");
    (room.containment.level, room.containment.subreaper) = (RoomLevel::None, false);
    let tip = Tip {
        commit: "1".repeat(40).parse().unwrap(),
        tree: "2".repeat(40).parse().unwrap(),
    };
    admitted.result = Some(tip.clone());
    admitted.changes = Some(Sha256::of(b"commits"));
    let mut request = ran.request.clone();
    request.trigger.actor = "somebody".to_owned();
    request.plan.digest = Sha256::of(b"plan");
    let judgement = bundle::judge(&request, &admitted, gates.clone());
    assert_eq!(
        (judgement.verdict, judgement.warnings.len()),
        (RunVerdict::NotReady, 1),
        "{:?}",
        judgement.warnings
    );
    assert!(
        judgement.warnings[0].starts_with("gate `test` passed in the job"),
        "{:?}",
        judgement.warnings
    );
    let input = input(&admitted, &request, &judgement);
    assert_eq!(
        (input.verdict, &input.gates, &input.result),
        (RunVerdict::NotReady, &gates, &tip)
    );
    assert_eq!(
        (input.judged_tree, input.bundle),
        (Some(tip.tree), admitted.changes)
    );
    assert_eq!((input.trigger, input.plan), (request.trigger, request.plan));
    assert_eq!(
        (input.containment.level, input.containment.subreaper),
        (RoomLevel::None, false)
    );
}

#[test]
fn a_request_comes_through_a_pipe_although_omk_sheds_its_secrets_first() {
    let ran = Ran::new(&ONE.replace("test ! -e bad", "! env | grep -q hush"));
    let dir = ran.bundle();
    let request = std::fs::File::open(ran.asked()).unwrap();
    let clone = ran.clone();
    let args = [
        "-C",
        clone.to_str().unwrap(),
        "judge",
        dir.to_str().unwrap(),
        "--request",
        "-",
    ];
    let mut omk = ran.world.omk_command(&args);
    omk.env("GITHUB_TOKEN", "ghs_hush_hush").stdin(request);
    World::start_command(omk)
        .ends()
        .exits(0)
        .says("judged anew: ready");
}

#[test]
fn a_plan_of_another_digest_and_a_request_of_another_version_are_refused() {
    let ran = Ran::new(ONE);
    let (dir, other) = (ran.bundle(), ran.world.dir().join("other.yaml"));
    std::fs::write(&other, "version: 1\nname: story\ntasks: []\n").unwrap();
    ran.judge(&dir, &["--plan", other.to_str().unwrap()])
        .exits(2)
        .says("the request names");
    let request = Request {
        version: 7,
        ..ran.request.clone()
    };
    let ran = Ran { request, ..ran };
    ran.judge(&dir, &[])
        .exits(2)
        .says("is not a request: it is of version 7, not 1");
    let rules = "1".repeat(40).parse().unwrap();
    let ran = Ran {
        request: Request {
            version: 1,
            rules,
            ..ran.request.clone()
        },
        ..ran
    };
    ran.judge(&dir, &[])
        .exits(2)
        .says("fetch that commit first");
}

#[test]
fn a_gate_that_fails_when_judged_anew_makes_it_not_ready() {
    let world = World::new();
    let flag = world.dir().join("flag");
    std::fs::write(&flag, "").unwrap();
    world.plan(&ONE.replace("test ! -e bad", &format!("test -e {}", flag.display())));
    world.run().exits(0);
    let ran = Ran::of(world);
    let dir = ran.bundle();
    std::fs::remove_file(flag).unwrap();
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!(
        (said.code, judgement.verdict),
        (1, RunVerdict::NotReady),
        "{}",
        said.err
    );
    assert!(
        judgement.warnings[0].contains("gate `test` passed in the job that made the change"),
        "{:?}",
        judgement.warnings
    );
}

#[test]
fn the_judge_takes_trusted_files_from_the_commit_of_the_requests_plan_and_not_from_the_head_or_the_bundle()
 {
    let world = World::new();
    world.write("check.sh", "test -e other\n");
    world.plan(&ONE.replace(
        "test -e one.txt && test ! -e bad\"",
        "sh check.sh\", trusted: [check.sh]",
    ));
    let trusted = world.rev("HEAD");
    world.write("check.sh", "exit 0\n");
    let head = world.commit("the pull request");
    world.run().exits(0);
    let honest = Ran::of(world);
    let mut request = honest.request.clone();
    request.trigger.event = Event::Dispatch;
    let ran = Ran { request, ..honest };
    // What the run says of its plan is that it came from the pull request.
    let dir = ran.dressed(&[("\"event\":\"manual\"", "\"event\":\"dispatch\"")]);
    let (said, judgement) = ran.judged(&dir);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(judgement.unwrap().verdict, RunVerdict::Ready);
    let mut request = ran.request.clone();
    assert_eq!(request.plan.commit.as_ref().unwrap().as_str(), head);
    request.plan.commit = Some(trusted.parse().unwrap());
    let ran = Ran { request, ..ran };
    let (said, judgement) = ran.judged(&dir);
    assert_eq!(
        (said.code, judgement.unwrap().verdict),
        (1, RunVerdict::NotReady),
        "{}",
        said.err
    );
}

#[test]
fn failures_that_the_base_has_too_are_forgiven_when_judged_anew() {
    let report = r#"printf '<testsuite><testcase classname="old" name="bug"><failure/></testcase></testsuite>' > out.xml; exit 1"#;
    let ran = Ran::new(&format!(
        "gates: [{{ id: test, run: '{}', report: {{ format: junit, path: out.xml }} }}]\n\
         tasks: [{{ id: one, run: 'echo 1 > one.txt', gates: [test] }}]\n",
        report.replace('\'', "''")
    ));
    let (said, judgement) = ran.judged(&ran.bundle());
    let judgement = judgement.unwrap();
    assert_eq!(
        (said.code, judgement.verdict),
        (0, RunVerdict::Ready),
        "{}",
        said.err
    );
    assert_eq!(
        judgement.gates[0].against_base,
        Some(AgainstBase::PreExisting)
    );
}

#[test]
fn where_nothing_landed_nothing_is_judged() {
    let ran = Ran::new(&ONE.replace("echo 1 > one.txt", "true"));
    let dir = ran.bundle();
    assert!(!dir.join("changes.bundle").exists());
    let (said, judgement) = ran.judged(&dir);
    let judgement = judgement.unwrap();
    assert_eq!(
        (said.code, judgement.verdict, judgement.result),
        (0, RunVerdict::Neutral, None),
        "{}",
        said.err
    );
    assert_eq!(
        judgement.warnings,
        ["nothing landed, so there was nothing to judge"]
    );
}

#[test]
fn a_judgement_fits_into_a_jobs_output_and_keeps_its_verdicts() {
    let ran = Ran::new(ONE);
    let mut judgement = ran.judged(&ran.bundle()).1.unwrap();
    let mut gate = judgement.gates.remove(0);
    gate.log.as_mut().unwrap().tail = "x".repeat(8_000);
    let item = FailingItem {
        key: "k".repeat(50),
        message: "m".repeat(300),
        place: None,
        level: ItemLevel::Error,
    };
    gate.failing = vec![item; 200];
    let room = gate.room.as_mut().expect("it ran in a room");
    room.refused_hosts = (0..50)
        .map(|at| format!("{at}.{}.example", "h".repeat(60)))
        .collect();
    let failed = GateOutcome {
        verdict: GateVerdict::Failed,
        counts_as_passed: false,
        ..gate.clone()
    };
    judgement.gates = [vec![gate; 150], vec![failed; 150]].concat();
    let size = |judgement: &_| serde_json::to_vec(judgement).unwrap().len();
    for most in [10_000_000, 2_000_000, 900_000, 100_000] {
        let fitted = bundle::fit(judgement.clone(), most);
        assert!(size(&fitted) <= most, "{} for {most}", size(&fitted));
        let verdicts = |judgement: &Judgement| {
            judgement
                .gates
                .iter()
                .map(|gate| gate.verdict)
                .collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&fitted), verdicts(&judgement));
        assert_eq!(fitted.verdict, judgement.verdict);
    }
}

/// What `omk judge` says to a person, without what differs between two runs.
fn told(ran: &Ran, dir: &Path) -> String {
    let said = ran.judge(dir, &[]);
    let text = ran
        .world
        .plain(&format!("{}{}[exit {}]\n", said.out, said.err, said.code));
    text.replace(&ran.request.scope.to_string(), "[SCOPE]")
}

#[test]
fn a_person_is_told_what_came_of_judging_and_why_a_bundle_is_refused() {
    insta::with_settings!({ filters => FILTERS.to_vec() }, {
        let ran = Ran::new(ONE);
        insta::assert_snapshot!(told(&ran, &ran.bundle()), @r#"
        run [RUN], judged anew: ready
          result   [COMMIT], 1 commit on [COMMIT]
          gate     test passed, [TIME]
        [exit 0]
        "#);
        let dir = ran.bundle();
        symlink("/etc/passwd", dir.join("logs/x.log")).unwrap();
        insta::assert_snapshot!(told(&ran, &dir), @r#"
        error: the bundle [DIR]/bundle is refused: "logs/x.log" is a symbolic link, and only plain files are read
          hint: look at what the job that ran the agent did before you start a new run: nothing was taken from it
        [exit 1]
        "#);
        std::fs::remove_file(dir.join("logs/x.log")).unwrap();
        std::fs::write(dir.join("report.md"), "x").unwrap();
        insta::assert_snapshot!(told(&ran, &dir), @r#"
        error: the bundle [DIR]/bundle is refused: `report.md` is not what the manifest says: its size differs
          hint: nothing was taken from it, so start a new run
        [exit 1]
        "#);
        insta::assert_snapshot!(told(&ran, &ran.world.dir().join("nowhere")), @r"
        error: the bundle [DIR]/nowhere is refused: read [DIR]/nowhere: there is no such file
          hint: check the step that downloads the artifact
        [exit 5]
        ");
        put(&dir, "report.md", b"x");
        let lines: Vec<Line> = ran.lines().into_iter().skip(1).collect();
        put(&dir, "journal.jsonl", &chained(&lines));
        insta::assert_snapshot!(told(&ran, &dir), @r#"
        error: the bundle [DIR]/bundle is refused: its journal does not begin with the beginning of a run
          hint: nothing was taken from it, so start a new run
        [exit 1]
        "#);
        let mut lines = ran.lines();
        lines.swap(1, 2);
        put(&dir, "journal.jsonl", &chained(&lines));
        insta::assert_snapshot!(told(&ran, &dir), @r#"
        error: the bundle [DIR]/bundle is refused: its journal does not follow from the plan (line 2: `worked` came for task `one`, which is claimed)
          hint: look at what the job that ran the agent did before you start a new run: nothing was taken from it
        [exit 1]
        "#);
    });
}

#[test]
fn a_run_that_is_not_ready_by_its_own_word_is_not_made_ready_by_a_judge_whose_gates_pass() {
    // One task landed, and its gate passes; the other failed.
    let plan = ONE.replace(
        "tasks:\n",
        "tasks:\n  - { id: bad, run: exit 3, retry_policy: { max_attempts: 0 } }\n",
    );
    let ran = Ran::new(&plan);
    let (said, judgement) = ran.judged(&ran.bundle());
    let judgement = judgement.unwrap();
    assert!(
        judgement.result.is_some() && judgement.gates.iter().all(|gate| gate.counts_as_passed),
        "{judgement:?}"
    );
    assert_eq!(
        (said.code, judgement.verdict),
        (1, RunVerdict::NotReady),
        "{}",
        said.err
    );
    // Nor where nothing landed that could be judged.
    let plan = "tasks: [{ id: bad, run: exit 3, retry_policy: { max_attempts: 0 } }]\n";
    let ran = Ran::new(plan);
    let (said, judgement) = ran.judged(&ran.bundle());
    assert_eq!(
        (said.code, judgement.unwrap().verdict),
        (1, RunVerdict::NotReady),
        "{}",
        said.err
    );
}
