//! What people are told where something is not done.

use super::super::tests::{GITHUB, JOBS, commit, parsed, shown, tasks};
use super::*;
use crate::command::{plan_of, read};
use crate::plan::Permission;

fn mistakes(body: &str) -> Vec<Malformed> {
    plan_of(read(body)).malformed
}

#[test]
fn who_may_not_is_told_why() {
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Gone)), @"
    😕 **Nothing was done: the account that asked is gone**

    omk asks the forge what the author of a comment may do here, and it knows of no author.

    Somebody with the permission can write the same command in a new comment.
    ");
    let login = "renovate[bot]".to_owned();
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Bot { login, id: 29_139_614 })), @r#"
    😕 **Nothing was done: the bot `renovate[bot]` may give no commands here**

    A bot is obeyed only if the plan on the default branch lists it by login and id.

    To allow it, add `{ login: "renovate[bot]", id: 29139614 }` to `commands.bots` of the plan on the default branch.
    "#);
    let refusal = |said: Option<&str>| Refusal::Permission {
        login: "mallory".to_owned(),
        needs: Permission::Maintain,
        said: said.map(str::to_owned),
    };
    insta::assert_snapshot!(shown(&refused(GITHUB, &refusal(Some("release-captain")))), @"
    😕 **Nothing was done: `mallory` may not give commands here**

    The plan on the default branch asks for the permission `maintain`; the forge says `release-captain`.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &refusal(None))), @"
    😕 **Nothing was done: `mallory` may not give commands here**

    The plan on the default branch asks for the permission `maintain`, and the forge does not say that they have it.

    Somebody who has it can write the same command. Who may is set by `commands.permission` of the plan.
    ");
}

#[test]
fn what_cannot_be_worked_on_is_told_why() {
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Edited)), @"
    😕 **Nothing was done: the comment was edited**

    What it said when others read it cannot be told any more.

    Write the command in a new comment.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::NotAPullRequest)), @"
    😕 **omk works on pull requests, and this is an issue**

    A command is about the head of a pull request; an issue has none.

    Write it in a comment on a pull request. Maintenance runs start by a schedule or by hand, in the Actions tab.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Closed { merged: false })), @"
    😕 **Nothing was done: the pull request is closed**

    A run's result would have nowhere to go, and its branches were removed.

    Reopen it, and write the command in a new comment.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Closed { merged: true })), @"
    😕 **Nothing was done: the pull request is merged**

    A run's result would have nowhere to go, and its branches were removed.

    Open a new pull request, and write the command there.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::Fork)), @"
    😕 **Nothing was done: the pull request comes from a fork**

    Its code is somebody else's until it is merged; omk runs nothing of it beside a token or a key.

    Somebody with write access can push the branch to this repository, after reading it, and open a pull request from there.
    ");
    insta::assert_snapshot!(shown(&refused(GITHUB, &Refusal::HeadGone)), @"
    😕 **Nothing was done: the repository that the pull request came from is gone**

    Who could have written to it cannot be told any more.

    Push the branch to this repository, after reading it, and open a pull request from there.
    ");
    let base = Refusal::Base {
        branch: "my-main".to_owned(),
        default_branch: "main".to_owned(),
    };
    insta::assert_snapshot!(shown(&refused(GITHUB, &base)), @"
    😕 **Nothing was done: the base branch `my-main` is not trusted**

    Tasks and gates are read from the base branch. Whoever can push can make such a branch and point the pull request at it, so it counts only if it is the default branch or protected.

    Protect `my-main`, or change the pull request's base to `main`.
    ");
}

#[test]
fn who_may_have_seen_another_commit_is_asked_to_name_it() {
    let unpinned = |why| {
        refused(
            GITHUB,
            &Refusal::Unpinned {
                head: commit('a'),
                why,
            },
        )
    };
    insta::assert_snapshot!(shown(&unpinned(Unpinned::NoRecord)), @"
    😕 **Nothing was done: it is not certain which commit you saw**

    The forge has no record of when the head was pushed.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ```
    ");
    insta::assert_snapshot!(shown(&unpinned(Unpinned::OtherCommit)), @"
    😕 **Nothing was done: it is not certain which commit you saw**

    The forge's newest record of a push to the branch is not of its head.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ```
    ");
    insta::assert_snapshot!(shown(&unpinned(Unpinned::SameSecond)), @"
    😕 **Nothing was done: it is not certain which commit you saw**

    The head was pushed in the same second in which you wrote.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ```
    ");
    insta::assert_snapshot!(shown(&unpinned(Unpinned::Later)), @"
    😕 **Nothing was done: it is not certain which commit you saw**

    The head was pushed after you wrote.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ```
    ");
    let named = Refusal::NotTheHead {
        named: commit('b'),
        head: commit('a'),
    };
    insta::assert_snapshot!(shown(&refused(GITHUB, &named)), @"
    😕 **Nothing was done: `bbbbbbbbbbbb` is not the head**

    The pull request's head is `aaaaaaaaaaaa` now. A run is built on the head only.

    Look at the head. If that is what you mean, name it:

    ```text
    /omk run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ```
    ");
}

#[test]
fn what_was_not_understood_is_shown_with_its_place() {
    assert_eq!(malformed(GITHUB, &[]), "");
    insta::assert_snapshot!(shown(&malformed(GITHUB, &mistakes("Please\n/omk rum api"))), @"
    😕 **A command was not understood**

    ```text
    error: omk does not know the command `rum`
      --> comment:2:6
      2 | /omk rum api
        |      ^^^ did you mean `run`?
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`
    ```

    Write it right in a new comment; `/omk help` shows what can be asked.
    ");
    let body =
        "/omk deploy\n\n/omk run --fast\n\n/omk approve ```\n\n/omk cancel @everyone\n\n/omk x";
    insta::assert_snapshot!(shown(&malformed(GITHUB, &mistakes(body))), @"
    😕 **5 commands were not understood**

    ``````text
    error: omk does not know the command `deploy`
      --> comment:1:6
      1 | /omk deploy
        |      ^^^^^^ `/omk help` tells more
        = note: what can be asked: `run`, `plan`, `status`, `retry`, `cancel`, `approve`, `verify`, `help`

    error: `--fast` is an option, and a comment takes none
      --> comment:3:10
      3 | /omk run --fast
        |          ^^^^^^ how a run works is what the plan on the default branch says

    error: ````` is not the digest of a plan
      --> comment:5:14
      5 | /omk approve ```
        |              ^^^ copy it from the check `omk plan`

    2 more mistakes not shown
    ``````

    Write it right in a new comment; `/omk help` shows what can be asked.
    ");
    insta::assert_snapshot!(shown(&malformed(GITHUB, &mistakes("/omk run\n\n/omk retry"))), @"
    😕 **A command was not understood**

    ```text
    error: a comment starts at most one run, and line 1 asks for one already; none was started
      --> comment:3:1
      3 | /omk retry
        | ^^^^ write one line: `/omk run` or `/omk retry`
    ```

    Write it right in a new comment; `/omk help` shows what can be asked.
    ");
}

#[test]
fn tasks_and_plans_that_are_not_there_are_named() {
    let known = tasks(&["api", "database", "docs"]);
    insta::assert_snapshot!(shown(&unknown_tasks(&tasks(&["databse"]), "omk.yaml", &known)), @"
    😕 **Nothing was started: the plan has no task `databse`**

    `omk.yaml` has: `api`, `database`, `docs`. Did you mean `database`?

    Name tasks of the plan, or none for all of them.
    ");
    insta::assert_snapshot!(shown(&unknown_tasks(&tasks(&["x", "y"]), "omk.yaml", &known)), @"
    😕 **Nothing was started: the plan has no tasks `x`, `y`**

    `omk.yaml` has: `api`, `database`, `docs`.

    Name tasks of the plan, or none for all of them.
    ");
    insta::assert_snapshot!(shown(&no_plan(GITHUB, "ci/omk.yaml", "the default branch")), @"
    😕 **Nothing was done: there is no `ci/omk.yaml`**

    It is read from the default branch, and is not there.

    Write one with `omk init`, and merge it; or set the action's input `plan` to where it is.
    ");
    let complaints = parsed(
        "version: 1\ntasks:\n  - { id: api, run: make, dependencies: [databse] }\n  - { id: database }\n",
    );
    insta::assert_snapshot!(shown(&plan_mistakes(&complaints.unwrap_err(), "the base branch")), @"
    😕 **Nothing was started: the plan of the base branch has 2 mistakes**

    ```text
    error: task `api` needs `databse`, which is not in this plan
      --> omk.yaml:3:42
      3 |   - { id: api, run: make, dependencies: [databse] }
        |                                          ^^^^^^^ did you mean `database`?

    error: task `database` has neither `prompt` nor `run`
      --> omk.yaml:4:5
      4 |   - { id: database }
        |     ^^^^^^^^^^^^^^^^ say what to do: `prompt:` for the agent, or `run:` for a shell command
    ```

    Mend it there; `omk plan` shows the same on a laptop.
    ");
    let many: String = (0..100)
        .map(|at| format!("  - {{ id: t{at}, nonsense: 1 }}\n"))
        .collect();
    shown(&plan_mistakes(
        &parsed(&format!("version: 1\ntasks:\n{many}")).unwrap_err(),
        "the base branch",
    ));
    shown(&unknown_tasks(
        &tasks(&["x"; 500]),
        "omk.yaml",
        &tasks(&["y"; 500]),
    ));
}

#[test]
fn trouble_is_told() {
    insta::assert_snapshot!(shown(&busy(GITHUB, JOBS)), @"
    😕 **Nothing was started: a run is under way here**

    [Another run](<https://github.com/acme/widget/actions/runs/9>) works on this pull request. Two would race for its branches.

    Wait for it, or end it with `/omk cancel`, and ask again.
    ");
    let why = "failed to read pull request 12: the forge does not answer (timed out)";
    insta::assert_snapshot!(shown(&could_not("look at the pull request", why)), @"
    😕 **omk could not look at the pull request**

    The reason: failed to read pull request 12: the forge does not answer (timed out).

    Write the command again in a new comment. If it fails again, the log of the job tells more.
    ");
}

#[test]
fn nobody_hears_of_our_own_comments() {
    assert_eq!(refused(GITHUB, &Refusal::Ours), "");
}
