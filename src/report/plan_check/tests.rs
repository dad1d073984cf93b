//! Tests of `report::plan_check`.

use super::*;
use crate::plan::parse;

const TEXT: &str = "version: 1\nname: nightly\ngates: [{id: test, run: make test}]\n\
                        tasks: [{id: api, prompt: Mend it, gates: [test]}]\n";

fn told(found: PlanFinding<'_>, origin: PullOrigin) -> CheckText {
    PlanCheck {
        forge: ForgeKind::GitHub,
        path: "omk.yaml",
        branch: "main",
        origin,
        found,
    }
    .render()
}

fn preview() -> Preview {
    Preview::of(&parse(TEXT.as_bytes(), "omk.yaml", "d").unwrap())
}

/// The text above what is folded.
fn open(check: &CheckText) -> String {
    let open = check.summary.split("<details>").next().unwrap();
    format!("{}: {}\n\n{open}", check.name, check.title)
}

#[test]
fn a_changed_plan_is_shown_with_what_makes_it_count() {
    let digest = Sha256::of(TEXT.as_bytes());
    let preview = preview();
    let changed = |permission| PlanFinding::Changed {
        digest: &digest,
        preview: &preview,
        diff: "-a\n+b\n",
        permission,
    };
    insta::assert_snapshot!(open(&told(changed(Some(Permission::Write)), PullOrigin::Own)), @r"
        omk plan: changed: valid, 1 task

        The plan `omk.yaml` is changed, and valid.

        Until it is merged, runs use the plan of `main`. To use this one before that, somebody with the permission `write` writes in a comment:

        ```text
        /omk approve 7ca55db3dba4
        /omk run
        ```

        Its `agent`, `limits`, `prices`, `room`, `deliver`, `protect` and `commands` count once they are on the default branch, approved or not.

        ```diff
        -a
        +b
        ```
        ");
    insta::assert_snapshot!(open(&told(changed(Some(Permission::Write)), PullOrigin::Fork)), @r"
        omk plan: changed: valid, 1 task

        The plan `omk.yaml` is changed, and valid.

        Nothing of it is run: the pull request comes from another repository. It counts once it is merged.

        ```diff
        -a
        +b
        ```
        ");
    insta::assert_snapshot!(open(&told(changed(None), PullOrigin::Own)), @r"
        omk plan: changed: valid, 1 task

        The plan `omk.yaml` is changed, and valid.

        It counts once it is merged: until there is a plan on the default branch, nobody can be told to have the permission to approve `7ca55db3dba4`.

        ```diff
        -a
        +b
        ```
        ");
}

#[test]
fn an_unchanged_one_is_shown_shortly() {
    let preview = preview();
    let check = told(PlanFinding::Same(&preview), PullOrigin::Own);
    insta::assert_snapshot!(open(&check), @r"
        omk plan: unchanged: 1 task

        The plan `omk.yaml` is that of `main`.
        ");
    assert!(check.summary.contains("```mermaid\n"), "{}", check.summary);
    insta::assert_snapshot!(open(&told(PlanFinding::Nothing, PullOrigin::Own)), @r"
        omk plan: there is no plan

        There is no `omk.yaml` on `main`, and this pull request adds none.

        Write one with `omk init`, or set the action's input `plan` to where it is.
        ");
}

#[test]
fn mistakes_are_at_their_lines() {
    let text = "version: 1\ntasks:\n  - id: api\n    dependencies: [databse]\n    run: 'true'\n  - id: database\n    run: 'true'\n";
    let complaints = parse(text.as_bytes(), "omk.yaml", "d").unwrap_err();
    let check = told(
        PlanFinding::Wrong {
            complaints: &complaints,
            whose: PlanOwner::PullRequest,
        },
        PullOrigin::Own,
    );
    insta::assert_snapshot!(open(&check), @r"
        omk plan: invalid: 1 mistake

        The plan `omk.yaml` has 1 mistake.

        ```text
        error: task `api` needs `databse`, which is not in this plan
          --> omk.yaml:4:20
          4 |     dependencies: [databse]
            |                    ^^^^^^^ did you mean `database`?
        ```

        Mend it in this pull request; `omk plan` shows the same on a laptop.
        ");
    assert_eq!(
        (
            check.remarks[0].place.path.as_str(),
            check.remarks[0].place.line
        ),
        ("omk.yaml", 4)
    );
    insta::assert_snapshot!(format!("{}\n{}", check.remarks[0].title, check.remarks[0].words()), @r"
        omk plan, line 4, column 20
        task `api` needs `databse`, which is not in this plan
        hint: did you mean `database`?
        ");
}

#[test]
fn a_large_plan_keeps_below_the_limits_of_a_check() {
    let tasks: String = (0..900)
        .map(|n| format!("  - {{id: t{n}, runn: '`````'}}\n"))
        .collect();
    let complaints = parse(
        format!("version: 1\ntasks:\n{tasks}").as_bytes(),
        "omk.yaml",
        "d",
    )
    .unwrap_err();
    let check = told(
        PlanFinding::Wrong {
            complaints: &complaints,
            whose: PlanOwner::Base,
        },
        PullOrigin::Own,
    );
    assert!(check.summary.len() <= 65_535 && check.remarks.len() == super::super::check::REMARKS);
    let tasks: String = (0..900)
        .map(|n| format!("  - {{id: t{n}, run: 'true'}}\n"))
        .collect();
    let preview = Preview::of(
        &parse(
            format!("version: 1\ntasks:\n{tasks}").as_bytes(),
            "omk.yaml",
            "d",
        )
        .unwrap(),
    );
    let diff = "+`````` @everyone <!-- omk:sticky:pr-1 -->\n".repeat(50_000);
    let digest = Sha256::of(b"");
    let found = PlanFinding::Changed {
        digest: &digest,
        preview: &preview,
        diff: &diff,
        permission: Some(Permission::Admin),
    };
    let check = told(found, PullOrigin::Own);
    assert!(check.summary.len() <= 65_535, "{}", check.summary.len());
    assert!(!check.summary.contains("<!-- omk:"));
}
