//! What is wanted of a pull request, and where a person can open one; in the forge's words.
//!
//! It refuses to look anything up.

use super::steps::PullStep;
use crate::forge::PullWanted;
use crate::id::TaskId;
use crate::plan::Plan;
use crate::report::pull::{self, About, PullText, Starts};
use crate::report::{Placed, View};
use crate::request::Request;

/// A pull request's texts; `None` where the view does not know its task.
pub(super) fn pull_wanted(
    (plan, request, view): (&Plan, &Request, &View),
    step: &PullStep,
    with: &[TaskId],
    starts: Starts,
    placed: &Placed,
) -> Option<PullWanted> {
    let about = match &step.task {
        None => About::Run,
        Some(id) => About::Task { task: view.tasks.iter().find(|task| task.id == *id)?, with },
    };
    let proofs = placed.proofs.as_deref();
    let text = PullText { request, view, about, marker: &step.marker, proofs, starts };
    Some(PullWanted {
        head: step.head.clone(),
        base: step.base.clone(),
        title: pull::title(&text),
        body: pull::body(&text),
        draft: step.draft,
        labels: plan.deliver.labels.clone(),
    })
}

/// Where a person can open the pull request; `None` where the forge's address is not known.
pub(super) fn compare(request: &Request, base: &str, head: &str) -> Option<String> {
    let (site, _) = request.workflow.url.split_once("/actions/")?;
    let mut url = reqwest::Url::parse(site).ok()?;
    // A branch's slashes stay slashes; everything else that means something in an address is encoded.
    url.path_segments_mut().ok()?.push("compare").extend(format!("{base}...{head}").split('/'));
    url.set_query(Some("expand=1"));
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::PullScope;

    #[test]
    fn a_branchs_name_cannot_leave_the_address() {
        let json = serde_json::json!({
            "version": 1, "run": "20261122t185155z-4f2a9c", "scope": "pr-12", "repository": "acme/widget",
            "trigger": { "event": "comment", "actor": "ann" }, "ask": { "what": "run", "tasks": [] },
            "base": "b".repeat(40), "default_branch": "main", "rules": "d".repeat(40),
            "plan": { "path": "omk.yaml", "digest": "0".repeat(64), "commit": null, "uncommitted": false },
            "workflow": { "id": 1, "attempt": 1, "url": "https://ghes.test/acme/widget/actions/runs/1" },
        });
        let mut request: Request = serde_json::from_value(json).unwrap();
        request.pull = Some(PullScope { number: 12, head: String::new(), base: String::new() });
        let check = |base, expect: &str| assert_eq!(compare(&request, base, "omk/run/pr-12").unwrap(), expect);
        check("main", "https://ghes.test/acme/widget/compare/main...omk/run/pr-12?expand=1");
        check("a/b", "https://ghes.test/acme/widget/compare/a/b...omk/run/pr-12?expand=1");
        check("a?x#<y>", "https://ghes.test/acme/widget/compare/a%3Fx%23%3Cy%3E...omk/run/pr-12?expand=1");
    }
}
