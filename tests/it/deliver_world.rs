//! A place to deliver to: a bare repository as the remote, a clone with a result, a scripted
//! GitHub.

use axum::http::Method;
use omk_action::deliver::{Delivered, RunOutcome, deliver};
use omk_action::exec::secret::Secret;
use omk_action::fact::RunVerdict;
use omk_action::git::{CommitMessage, Remote, Repo};
use omk_action::id::{CommitId, TaskId, Tip};
use omk_action::plan::Plan;
use omk_action::proof::JudgedBy;
use omk_action::report::{TaskStage, View};
use omk_action::request::Request;
use serde_json::{Value, json};

use crate::deliver_sample::*;
use crate::github_server::{Fault, Server, TOKEN, bot};
use crate::world::World;

/// The branch of the result of [`of_pull`].
pub(crate) const RUN: &str = "refs/heads/omk/run/pr-12";

/// A request on a pull request, whose check was not opened yet.
pub(crate) fn of_pull() -> Request {
    let mut request = request();
    request.check = None;
    request
}

pub(crate) fn troubles(delivered: &Delivered) -> String {
    delivered.troubles.join("\n")
}

/// The remote, the clone, the forge.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) world: World,
    pub(crate) repo: Repo,
    pub(crate) remote: Remote,
    pub(crate) base: Tip,
}

impl Rig {
    /// The remote has `main` and `feature`, both at the base, which is here too.
    pub(crate) async fn new() -> Self {
        let world = World::new();
        world.git(&["init", "--quiet", "--bare", "../remote.git"]);
        let url = format!("file://{}", world.dir().join("remote.git").display());
        world.git(&["push", "--quiet", &url, "main:main", "main:feature"]);
        let server = Server::start().await;
        server.tell_at(
            "/user",
            403,
            &json!({ "message": "Resource not accessible by integration" }),
        );
        let me = json!({ "id": bot().id, "login": bot().login, "type": "Bot" });
        server.tell_at("/users/github-actions%5Bbot%5D", 200, &me);
        let repo = Repo::discover(&world.repo()).unwrap();
        let remote = Remote::new(&url, Some(Secret::new(TOKEN.to_owned()))).unwrap();
        let base = repo.resolve("HEAD").unwrap();
        Self {
            server,
            world,
            repo,
            remote,
            base,
        }
    }

    /// A task's change of one file, as a commit of omk's on `on`.
    pub(crate) fn change(&self, request: &Request, task: &str, on: &Tip) -> Tip {
        self.world.git(&["read-tree", on.tree.as_str()]);
        self.world.write(format!("src/{task}.rs"), task);
        self.world.git(&["add", "--all", "--", "src"]);
        let tree = self.world.git(&["write-tree"]).parse().unwrap();
        self.world
            .git(&["reset", "--quiet", "--hard", self.base.commit.as_str()]);
        let id: TaskId = task.parse().unwrap();
        let message = CommitMessage::new(&format!("Do {task}"), &request.run, &id, 1);
        let commit = self
            .repo
            .commit(&tree, std::slice::from_ref(&on.commit), &message, at(100))
            .unwrap();
        Tip { commit, tree }
    }

    /// A run of these tasks that landed one after the other, each on the one before; about the
    /// remote's real base.
    pub(crate) fn outcome(
        &self,
        request: &mut Request,
        verdict: RunVerdict,
        tasks: &[&str],
    ) -> RunOutcome {
        request.base = self.base.commit.clone();
        let (mut tip, mut commits, mut views): (Tip, Vec<(TaskId, CommitId)>, Vec<_>) =
            (self.base.clone(), Vec::new(), Vec::new());
        for name in tasks {
            tip = self.change(request, name, &tip);
            commits.push((name.parse().unwrap(), tip.commit.clone()));
            views.push(task(
                name,
                TaskStage::Completed {
                    landed: Some(tip.clone()),
                    ejected: None,
                },
            ));
        }
        let mut view: View = view(request, verdict, views);
        (view.base, view.result) = (self.base.clone(), Some(tip.clone()));
        RunOutcome {
            verdict,
            result: Some(tip),
            tasks: commits,
            proofs: vec![("run.result.json".to_owned(), b"{\"a\":1}\n".to_vec())],
            judged_by: JudgedBy::SeparateJob,
            view,
        }
    }

    pub(crate) async fn deliver(
        &self,
        plan: &Plan,
        request: &Request,
        outcome: &RunOutcome,
    ) -> Delivered {
        deliver(
            &self.server.forge(),
            &self.repo,
            &self.remote,
            plan,
            request,
            outcome,
            at(800),
        )
        .await
    }

    /// The remote's refs, as `name commit`, without those at the base.
    pub(crate) fn refs(&self) -> Vec<String> {
        let mut refs = self.all_refs();
        refs.retain(|line| !line.ends_with(self.base.commit.as_str()));
        refs
    }

    /// Where a ref of the remote is; empty where there is none.
    pub(crate) fn remote_ref(&self, name: &str) -> String {
        let prefix = format!("{name} ");
        let found = self
            .all_refs()
            .into_iter()
            .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
        found.unwrap_or_default()
    }

    fn all_refs(&self) -> Vec<String> {
        let dir = self.world.dir().join("remote.git");
        let list = [
            "--git-dir",
            dir.to_str().unwrap(),
            "for-each-ref",
            "--format=%(refname) %(objectname)",
        ];
        self.world.git(&list).lines().map(str::to_owned).collect()
    }

    /// Somebody else's commit on a branch of the remote.
    pub(crate) fn somebody_pushes(&self, branch: &str, onto: &str) -> String {
        self.world.git(&["checkout", "--quiet", "--detach", onto]);
        self.world.write("theirs.txt", branch);
        let commit = self.world.commit("theirs");
        self.world.git(&[
            "push",
            "--quiet",
            "--force",
            self.remote.url(),
            &format!("HEAD:refs/heads/{branch}"),
        ]);
        self.world.git(&["checkout", "--quiet", "main"]);
        commit
    }

    /// A hook of the remote.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.world.dir().join("remote.git/hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The next so many requests of that method to such paths are answered with that.
    pub(crate) fn refuse(
        &self,
        times: usize,
        method: &Method,
        path: &str,
        status: u16,
        message: &str,
    ) {
        for _ in 0..times {
            let answer = Fault::Instead(status, Vec::new(), json!({ "message": message }));
            self.server.fault(method.clone(), path, answer);
        }
    }

    pub(crate) fn comment(&self) -> String {
        let comments = self.server.kept("/issues/12/comments");
        assert_eq!(comments.len(), 1, "one comment");
        comments[0]["body"].as_str().unwrap().to_owned()
    }

    /// The checks that there are, as `name on commit: conclusion`.
    pub(crate) fn checks(&self) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let checks = self.server.kept("/check-runs");
        checks
            .iter()
            .map(|check| {
                format!(
                    "{} on {}: {}",
                    word(&check["name"]),
                    &word(&check["head_sha"])[..7],
                    word(&check["conclusion"])
                )
            })
            .collect()
    }

    pub(crate) fn reactions(&self) -> Vec<String> {
        let reactions = self.server.kept("/issues/comments/7/reactions");
        reactions
            .iter()
            .map(|reaction| reaction["content"].as_str().unwrap().to_owned())
            .collect()
    }
}
