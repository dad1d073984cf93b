//! Tests of `cli::ci::own`.

use super::*;

fn run(path: &str, event: &str, repository: u64, head: Option<u64>) -> WorkflowRun {
    WorkflowRun {
        id: 1,
        path: path.to_owned(),
        repository,
        head_repository: head,
        completed: false,
        event: event.to_owned(),
        url: String::new(),
        branch: None,
    }
}

fn pipeline(branch: Option<&str>, source: &str, project: u64) -> WorkflowRun {
    WorkflowRun {
        branch: branch.map(str::to_owned),
        ..run(".gitlab-ci.yml", source, project, Some(project))
    }
}

#[test]
fn only_a_run_of_the_same_workflow_here_is_ours() {
    let own = run(".github/workflows/omk.yml", "issue_comment", 9, Some(9));
    let ours = |other: &WorkflowRun| same_workflow(&own, other, 9);
    assert!(ours(&own));
    assert!(ours(&run(
        ".github/workflows/omk.yml@main",
        "issue_comment",
        9,
        Some(9)
    )));
    let others = [
        run(".github/workflows/other.yml", "issue_comment", 9, Some(9)),
        run(".github/workflows/omk.yml", "pull_request", 9, Some(9)),
        run(".github/workflows/omk.yml", "issue_comment", 8, Some(9)),
        run(".github/workflows/omk.yml", "issue_comment", 9, Some(8)),
        run(".github/workflows/omk.yml", "issue_comment", 9, None),
        run("", "issue_comment", 9, Some(9)),
    ];
    for other in &others {
        assert!(!ours(other), "{other:?}");
    }
    let nowhere = run("", "issue_comment", 9, Some(9));
    assert!(!same_workflow(&nowhere, &nowhere, 9));
}

#[test]
fn only_a_pipeline_of_the_default_branch_that_nobodys_push_started_is_ours() {
    let own = Own::Pipelines {
        branch: "main".to_owned(),
    };
    for source in ["schedule", "trigger", "web", "api"] {
        assert!(own.is(&pipeline(Some("main"), source, 9), 9), "{source}");
    }
    for other in [
        pipeline(Some("main"), "push", 9),
        pipeline(Some("main"), "merge_request_event", 9),
        pipeline(Some("main"), "parent_pipeline", 9),
        pipeline(Some("main"), "", 9),
        pipeline(Some("feature"), "trigger", 9),
        pipeline(Some("main"), "trigger", 8),
        pipeline(None, "trigger", 9),
    ] {
        assert!(!own.is(&other, 9), "{other:?}");
    }
}
