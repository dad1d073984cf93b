//! Hostile texts at GitLab: whatever titles, tasks, branches and logs hold, omk's notes, statuses
//! and merge requests call nobody, refer to nothing, carry out nothing, and its logs fold nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use serde_json::{Value, json};

use crate::forge_world::PLAN;
use crate::gitlab_job::LabJob;
use crate::gitlab_security::{again, archive, pushes_ago};
use crate::gitlab_world::{GitLabWorld, REQUEST, SOURCE};

/// What a stranger would have us say, in every way that something listens to.
const LOUD: &str = "\
\u{1b}[0Ksection_start:1700000000:omk_1[collapsed=true]\r\u{1b}[0KPWNED
section_end:1700000000:omk_1\r\u{1b}[0K
\u{1b}[2J\u{1b}]0;PWNED\u{7}
/close
/merge PWNED
/assign @all
PWNED @all @acme/owners !1 #1 ~bug %v1 &1 $1 [issue:1] GL-1 acme/widget!1 acme/widget#1
closes https://gitlab.example/acme/widget/-/issues/1 PWNED
<!-- omk:sticky:mr-12 --> PWNED <!--
</details></pre><img src=https://evil.example/PWNED.png>
![PWNED](https://evil.example/x.png) [PWNED](javascript:alert)
PWNED \u{202e}reversed\u{2066} zero\u{200b}width
```
/close
/omk run PWNED
```
~~~ PWNED
>>>
/approve
";

/// Everything that omk has written: notes, descriptions, titles, statuses; the sticky comment
/// without its hidden lines.
fn written(world: &GitLabWorld) -> Vec<String> {
    let state = world.state();
    let bot = world
        .door
        .control("users", &json!({"username": crate::gitlab_world::BOT}))["id"]
        .clone();
    let list = |name: &str| state[name].as_array().cloned().unwrap_or_default();
    let mut texts = Vec::new();
    for on in list("merge_requests").into_iter().chain(list("issues")) {
        texts.extend(
            on["notes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|note| note["author"] == bot)
                .map(|note| note["body"].clone()),
        );
        if on["author"] == bot {
            texts.extend([on["title"].clone(), on["description"].clone()]);
        }
    }
    texts.extend(
        list("statuses")
            .iter()
            .map(|status| status["description"].clone()),
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let inner = |text: String| {
        text.lines()
            .skip_while(|line| line.starts_with("<!-- omk:"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    texts.iter().map(text).map(inner).collect()
}

/// That a reader at GitLab is led nowhere, called by nobody, and sees all of it, and that no line
/// is carried out.
#[track_caller]
fn is_inert(markdown: &str) {
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{1b}', '\u{7}', '\r'] {
        assert!(!markdown.contains(hidden), "{hidden:?} in {markdown:?}");
    }
    let (mut plain, mut fence) = (String::new(), None);
    for line in markdown.lines() {
        let word: String = line
            .trim_start()
            .chars()
            .skip(1)
            .take_while(char::is_ascii_alphabetic)
            .collect();
        let acts = line.starts_with('/')
            && ["close", "merge", "assign", "approve", "label"].contains(&word.as_str());
        assert!(
            !acts,
            "{line:?} would be carried out, whatever fence is around it"
        );
        let ticks = line.trim_start().chars().take_while(|&c| c == '`').count();
        match fence {
            Some(open) if ticks >= open && line.trim() == "`".repeat(ticks) => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => plain.push_str(&format!("{}\n", without_code(line))),
        }
    }
    assert_eq!(fence, None, "a code block is left open: {markdown}");
    for escaped in ["\\<", "\\[", "\\]", "\\`", "\\>"] {
        plain = plain.replace(escaped, "");
    }
    let refers = [
        "@all",
        "@acme",
        "!1 ",
        "#1",
        "~bug",
        "%v1",
        "&1 ",
        "$1",
        "[issue:",
        "GL-1",
        "://gitlab.example",
        "<!-- omk:",
        ">>>",
    ];
    // A title or a status is one line, in which GitLab knows references and no Markdown or HTML.
    let leads = ["<img", "](javascript", "![PWNED]", "</pre>"]
        .into_iter()
        .filter(|_| markdown.contains('\n'));
    for live in refers.into_iter().chain(leads) {
        assert!(
            !plain.contains(live),
            "{live:?} lives in:\n{plain}\n--- of\n{markdown}"
        );
    }
}

/// A line without its pieces of code.
fn without_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].chars().take_while(|&c| c == '`').count();
        let after = &rest[at + ticks..];
        let Some(end) = after.find(&"`".repeat(ticks)) else {
            break;
        };
        out.push_str(&rest[..at]);
        rest = &after[end + ticks..];
    }
    out + rest
}

/// That no line of it folds or paints anything but omk's own, which are whole.
#[track_caller]
fn folds_nothing(job: &LabJob) {
    for line in job.out.split('\n').chain(job.err.split('\n')) {
        let own = line.starts_with("\u{1b}[0Ksection_start:")
            || line.starts_with("\u{1b}[0Ksection_end:");
        assert!(
            own || !(line.contains('\u{1b}') || line.contains('\r')),
            "{line:?}"
        );
        assert!(!own || !line.contains("1700000000"), "{line:?}");
    }
}

#[test]
fn what_tasks_gates_and_bundles_say_is_inert_wherever_it_is_shown() {
    let name = "@all !1 #1 ~bug %v1 &1 $1 [issue:1] closes https://gitlab.example/acme/widget/-/issues/1 \\u202eesrever\\u200b <img src=x> [x](javascript:alert)\\n/close";
    let world =
        GitLabWorld::with_plan(&PLAN.replace("name: Write it down", &format!("name: \"{name}\"")));
    let title = json!({"title": format!("{LOUD} [PWNED] Draft:").chars().take(250).collect::<String>(), "description": LOUD});
    world.door.control(
        "change_merge_request",
        &json!({"iid": REQUEST, "set": title}),
    );
    pushes_ago(
        &world,
        1800,
        &[
            ("loud.txt", LOUD),
            ("check.sh", "cat loud.txt; cat loud.txt >&2; exit 1\n"),
        ],
    );
    let head = world.tip(SOURCE);
    let mut pipeline =
        world.hooked(&world.comments("maintainer", &format!("{LOUD}\n\n>>>\n\n/omk run\n")));
    let mut jobs = vec![world.omk_ci("intake", &pipeline, &[])];
    assert!(jobs[0].files["request.json"].trim() != "null", "{jobs:#?}");
    for command in ["run", "judge", "publish"] {
        jobs.push(world.omk_ci(command, &pipeline, &[]));
    }
    let failed = written(&world);
    assert!(
        failed.iter().any(|text| text.contains("PWNED")),
        "what the gate said is shown: {failed:#?}"
    );
    // A run that says why it could not start, as whoever had its job would have it; a name that is
    // none.
    world.door.put_artifacts(
        pipeline.jobs["omk-run"],
        &archive(&[("omk-out/trouble.txt", LOUD.as_bytes())]),
    );
    for env in [
        ("OMK_RUN_JOB", "omk-run"),
        (
            "OMK_RUN_JOB",
            "a`/close @all <img> \u{1b}[0Ksection_start:1700000000:x\r",
        ),
    ] {
        again(&world, &mut pipeline, "publish");
        jobs.push(world.omk_ci("publish", &pipeline, &[env]));
        written(&world).iter().for_each(|text| is_inert(text));
    }
    for (number, body) in [
        format!("/omk nonsense {LOUD}"),
        "/omk run @all !1 #1 <img> `/close`".to_owned(),
        "/omk runn".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let job = world
            .omk_ci(
                "intake",
                &world.hooked(&world.comments("maintainer", body)),
                &[],
            )
            .exits(0);
        assert!(
            job.files["request.json"].trim() == "null",
            "{number}: {job:#?}"
        );
        jobs.push(job);
    }
    // A task of hostile name that is delivered, with a merge request of its own title.
    pushes_ago(&world, 900, &[("check.sh", "cat loud.txt; exit 0\n")]);
    let all = world.jobs(
        &world.hooked(&world.comments("maintainer", "/omk run")),
        &[],
    );
    jobs.extend(
        [Some(all.intake), all.run, all.judge, all.publish]
            .into_iter()
            .flatten(),
    );
    assert!(
        world.refs().contains_key("refs/heads/omk/run/mr-12"),
        "{jobs:#?}"
    );
    assert_ne!(world.tip(SOURCE), head);
    for text in written(&world).iter().chain(&failed) {
        is_inert(text);
    }
    jobs.iter().for_each(folds_nothing);
    let env = &jobs.last().unwrap().files["omk.env"];
    assert!(
        !env.contains("PWNED") && env.lines().all(|line| line.starts_with("OMK_")),
        "{env}"
    );
    // What git keeps: a subject that closes nothing when it is merged.
    world.git(&[
        "fetch",
        "--quiet",
        &world.remote("maintainer"),
        "omk/run/mr-12",
    ]);
    let log = world.git(&["log", "--format=%B", "-2", "FETCH_HEAD"]);
    assert!(!log.contains('\u{1b}') && log.contains("Omk-Run"), "{log}");
}

#[test]
fn a_branch_name_is_a_name_in_every_address_and_command() {
    let world = GitLabWorld::start();
    for (iid, branch) in [
        (
            30,
            "feat/$(touch${IFS}pwned);`touch${IFS}pwned`&'\"|<x>#1%2F%2e%2e%2Fx",
        ),
        (31, "-x/--upload-pack=touch pwned".trim_start_matches('-')),
    ] {
        let branch = branch.replace(' ', "\u{a0}");
        world.git(&["checkout", "--quiet", "-b", &branch, "main"]);
        let head = world.pushes(
            "contributor",
            &branch,
            &[("feature.txt", &format!("half {iid}\n"))],
        );
        world.opens(iid, "contributor", &branch, &json!({"title": "Another"}));
        let note = world.comments_on(iid, "maintainer", "/omk run");
        let jobs = world.jobs(&world.hooked(&note), &[]);
        let publish = jobs.published().exits(0);
        assert_eq!(world.awards(&note), "eyes, rocket", "{publish:#?}");
        let made = world.get("/merge_requests");
        let made = made
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["source_branch"] == format!("omk/run/mr-{iid}"))
            .cloned();
        assert_eq!(made.unwrap()["target_branch"], branch.as_str());
        assert!(
            world.status_lines(&head)[0].starts_with("omk: success"),
            "{:?}",
            world.status_lines(&head)
        );
        world
            .notes_of(iid)
            .iter()
            .filter(|one| one["author"]["bot"] == true)
            .for_each(|one| is_inert(one["body"].as_str().unwrap()));
    }
    for place in ["", "builds", "temp", "work", "home"] {
        assert!(!world.at(place).join("pwned").exists(), "{place}");
    }
}
