//! The real `gitlab-ci-local` on the component: a project with an example as its configuration, its
//! jobs one by one.
//!
//! The component is put where gitlab-ci-local keeps what it fetched, for it could fetch from
//! nowhere. A job starts in an empty directory, as `GIT_STRATEGY: empty` has it at GitLab;
//! variables are scoped by environment. Nothing of the caller's environment reaches a job but PATH.
//! It refuses to know omk, and uploads nothing: that is a runner's, in `gitlab_ci.rs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::forge_door::rig_tools;
use crate::forge_world::git;

/// What the examples stand for: a commit of the component, and an image.
const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// See the file's head.
pub(crate) struct Runner {
    root: PathBuf,
}

impl Runner {
    /// A project below `root`, with this configuration, and the variables of its settings: `{"KEY":
    /// {"scope": "value"}}`.
    pub(crate) fn new(root: &Path, configuration: &str, settings: &Value) -> Self {
        let runner = Self {
            root: root.to_owned(),
        };
        for dir in [
            "project",
            "settings/.gitlab-ci-local",
            "bin",
            "home",
            "temp",
        ] {
            std::fs::create_dir_all(runner.at(dir)).unwrap();
        }
        let kept = format!(
            "project/.gitlab-ci-local/includes/gitlab.invalid/omk-action/omk-action/{COMMIT}/templates"
        );
        std::fs::create_dir_all(runner.at(&kept)).unwrap();
        let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/omk.yml");
        std::fs::copy(component, runner.at(&kept).join("omk.yml")).unwrap();
        let configuration =
            configuration.replace(&format!("@{}", "0".repeat(40)), &format!("@{COMMIT}"));
        std::fs::write(runner.at("project/.gitlab-ci.yml"), configuration).unwrap();
        // What a checkout would bring stays out of the jobs' directories.
        std::fs::write(
            runner.at("project/.gitlab-ci-local-ignores"),
            "/.git\n/.gitlab-ci.yml\n/.gitlab-ci-local*\n",
        )
        .unwrap();
        let scoped: Value = settings
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, values)| {
                (
                    key.clone(),
                    serde_json::json!({"type": "variable", "values": values}),
                )
            })
            .collect();
        let settings = serde_json::json!({"project": {"gitlab.invalid/acme/widget.git": scoped}});
        std::fs::write(
            runner.at("settings/.gitlab-ci-local/variables.yml"),
            settings.to_string(),
        )
        .unwrap();
        let project = runner.at("project");
        git(&project, &["init", "--quiet", "--initial-branch=main"]);
        git(
            &project,
            &[
                "remote",
                "add",
                "origin",
                "http://gitlab.invalid/acme/widget.git",
            ],
        );
        git(&project, &["add", "--all"]);
        git(&project, &["commit", "--quiet", "--message=A pipeline"]);
        runner
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A program that jobs find before the machine's own.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.at("bin").join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// gitlab-ci-local with these arguments, and these variables of the pipeline; an empty one is
    /// unset.
    pub(crate) fn gitlab_ci_local(
        &self,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Output {
        let mut command = Command::new(rig_tools().join("bin/gitlab-ci-local"));
        command
            .current_dir(self.at("project"))
            .env_clear()
            .stdin(Stdio::null());
        let path = format!(
            "{}:{}",
            self.at("bin").display(),
            std::env::var("PATH").unwrap()
        );
        command
            .env("PATH", path)
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("temp"))
            .env("LANG", "C.UTF-8");
        command.args(["--force-shell-executor", "--shell-isolation", "--no-color"]);
        // `scripts/lint_gitlab.py` does that once for each example; here it would take most of the
        // time.
        command.arg("--json-schema-validation=false");
        command.arg("--home").arg(self.at("settings"));
        for (name, value) in variables {
            match value.as_str() {
                "" => command.args(["--unset-variable", name]),
                value => command.arg("--variable").arg(format!("{name}={value}")),
            };
        }
        command.args(arguments).output().unwrap()
    }

    /// One job of a pipeline, in its place.
    pub(crate) fn job(&self, name: &str, variables: &[(String, String)]) -> Output {
        let place = self.at("project/.gitlab-ci-local/builds").join(name);
        let mut variables = variables.to_vec();
        // It would name a directory of the image's, though there is no container.
        variables.push(("CI_PROJECT_DIR".to_owned(), place.display().to_string()));
        self.gitlab_ci_local(&[name], &variables)
    }

    /// What `artifacts: paths` of a job picked.
    pub(crate) fn artifacts(&self, job: &str) -> PathBuf {
        self.at("project/.gitlab-ci-local/artifacts").join(job)
    }

    /// The jobs that a pipeline with these variables has, by name and `when`.
    pub(crate) fn listed(&self, variables: &[(String, String)]) -> Vec<String> {
        let out = self.gitlab_ci_local(&["--list-json"], variables);
        let text = String::from_utf8_lossy(&out.stdout);
        let jobs: Value = serde_json::from_str(
            &text[text.find("[\n").unwrap_or_else(|| panic!("{}", said(&out)))..],
        )
        .unwrap();
        let jobs = jobs
            .as_array()
            .unwrap()
            .iter()
            .filter(|job| job["when"] != "never");
        jobs.map(|job| {
            format!(
                "{} {}",
                job["name"].as_str().unwrap(),
                job["when"].as_str().unwrap()
            )
        })
        .collect()
    }
}

/// Pairs of texts, owned.
pub(crate) fn pairs(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// All that a program said.
pub(crate) fn said(out: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}
