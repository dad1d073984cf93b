//! Secrets of a pipeline's jobs: what works there finds none, and none is in anything that is left.
//!
//! Each secret is a canary, searched in plain, in base64 and as it stands in an address. Only omk
//! and what it started are looked at.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::forge_world::PLAN;
use crate::gitlab_job::{LabJob, Pipeline};
use crate::gitlab_security::{POLL, again, pushes_ago};
use crate::gitlab_world::{GitLabWorld, REQUEST};

/// Looks for what it is given in reverse: in its environment, its arguments and those of the
/// processes above it up to omk, and in files. What it finds it says, and then it fails.
const ATTACK: &str = r#"
found() { echo "found: $1"; bad=1; }
echo "REVERSED" | rev | tr ' ' '\n' > "$TMPDIR/planted"
holds() { tr '\0' '\n' 2>/dev/null | grep -qF -f "$TMPDIR/planted"; }
cat "$TMPDIR/planted" | holds || found 'nothing, for the search is blind'
env | holds && found 'a secret in the environment'
names=$(env | grep -E '^(CI_|GITLAB_|OMK_|TRIGGER_|RUNNER_|GIT_|SSH_|DOCKER_)' | grep -v '^OMK_BASE=' | cut -d= -f1)
[ -z "$names" ] || found "variables: $names"
pid=$$ seen=0
while [ "$pid" -gt 0 ]; do
    for file in environ cmdline; do
        cat "/proc/$pid/$file" 2>/dev/null | holds && found "a secret in $file of $(cat "/proc/$pid/comm")"
    done
    [ "$(cat "/proc/$pid/comm")" = omk ] && seen=$((seen + 1))
    for file in mem maps; do
        [ "$(cat "/proc/$pid/comm")" != omk ] || ! (head -c 1 "/proc/$pid/$file") >/dev/null 2>&1 || found "omk's $file"
    done
    pid=$(awk '/^PPid/ {print $2}' "/proc/$pid/status")
    # What started omk is not omk's, and not looked at.
    [ "$seen" -eq 0 ] || [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = omk ] || break
done
[ "$seen" -gt 0 ] || found 'no omk above it'
lying=$(grep -rlF -D skip -f "$TMPDIR/planted" "ROOT/temp" "ROOT/home" "ROOT/cache" . 2>/dev/null | grep -v '/planted$')
[ -z "$lying" ] || found "a secret in $lying"
for place in "ROOT"/builds/*/acme/widget; do
    (echo x > "$place/omk-out/request.json") 2>/dev/null && found "a way to write the request"
    (mkdir "$place/.git") 2>/dev/null && found "a way to write a checkout"
done
git -c credential.helper= push --quiet "URL/acme/widget.git" HEAD:refs/heads/stolen 2>/dev/null && found 'a way to push'
for where in --local --worktree --global; do
    git config $where core.fsmonitor 'touch "ROOT/pwned"; false'
    git config $where core.hooksPath "$TMPDIR"
done 2>/dev/null
[ -z "$bad" ]
"#;

/// What a job's variables hold, beside its own tokens. The key is one for the model.
const CANARIES: [(&str, &str); 9] = [
    ("CI_REGISTRY_PASSWORD", "canary-registry-7e1f"),
    ("CI_DEPLOY_PASSWORD", "canary-deploy-52ac"),
    ("CI_DEPENDENCY_PROXY_PASSWORD", "canary-proxy-90bd"),
    ("CI_JOB_JWT_V2", "canary-jwt-header.canary-jwt-body.x41d"),
    ("SIGSTORE_ID_TOKEN", "canary-id-token-e8c0"),
    ("CI_TRIGGER_TOKEN", "canary-trigger-33f9"),
    (
        "DOCKER_AUTH_CONFIG",
        "{\"auths\":{\"x\":{\"auth\":\"Y2FuYXJ5LWRvY2tlcg\"}}}",
    ),
    ("KIMI_API_KEY", "canary-model-key-f00d"),
    ("OMK_KEY", "canary-model-key-f00e"),
];

struct Trap {
    world: GitLabWorld,
    /// What nobody may find.
    secrets: Vec<String>,
    jobs: Vec<LabJob>,
}

impl Trap {
    fn new(plan: &str) -> Self {
        let world = GitLabWorld::with_plan(plan);
        // Each token is one that no other text holds.
        for (name, scopes) in crate::gitlab_world::TOKENS {
            let given = json!({"username": crate::gitlab_world::BOT, "scopes": scopes, "token": token(name)});
            world.door.control("tokens", &given);
        }
        let secrets = CANARIES.iter().map(|(_, value)| (*value).to_owned());
        let tokens = crate::gitlab_world::TOKENS
            .iter()
            .map(|(name, _)| token(name));
        Self {
            secrets: secrets
                .chain(tokens)
                .chain(["glptt-hook".to_owned()])
                .collect(),
            world,
            jobs: Vec::new(),
        }
    }

    /// A job with all the secrets of its environment; its job token becomes one of them.
    fn job(&mut self, command: &str, pipeline: &Pipeline, more: &[(&str, &str)]) -> &LabJob {
        let own = token(command);
        let (mut omk, place) = self.world.job(command, pipeline, &[("OMK_TOKEN", &own)]);
        let job = omk
            .get_envs()
            .find(|(name, _)| *name == "CI_JOB_TOKEN")
            .and_then(|(_, value)| value)
            .unwrap();
        let job = job.to_str().unwrap().to_owned();
        omk.env(
            "CI_REPOSITORY_URL",
            format!("http://gitlab-ci-token:{job}@127.0.0.1/acme/widget.git"),
        );
        omk.env(
            "MY_REMOTE",
            format!("http://oauth2:{own}@127.0.0.1/acme/widget.git"),
        );
        omk.envs(CANARIES).envs(more.iter().copied());
        self.secrets.push(job);
        let output = omk.output().unwrap();
        self.jobs
            .push(self.world.ended(command, pipeline, &place, &output));
        self.jobs.last().unwrap()
    }

    /// Searches everything that is left.
    #[track_caller]
    fn nothing_is_left(&self) {
        let forms: Vec<Vec<u8>> = self
            .secrets
            .iter()
            .flat_map(|secret| forms(secret))
            .collect();
        let clean = |what: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            for form in &forms {
                let form = String::from_utf8_lossy(form);
                assert!(!text.contains(&*form), "{form} is in {what}");
            }
        };
        for job in &self.jobs {
            clean("the log", job.out.as_bytes());
            clean("the log", job.err.as_bytes());
            assert!(
                !job.out.contains("found:") && !job.err.contains("found:"),
                "{job:#?}"
            );
            for (name, text) in &job.files {
                clean(name, text.as_bytes());
                assert!(!text.contains("found:"), "{name}: {text}");
            }
        }
        clean(
            "what the server keeps",
            self.world.state().to_string().as_bytes(),
        );
        let sent: Vec<Value> = self
            .world
            .door
            .log()
            .iter()
            .map(|entry| json!([entry["path"], entry["body"]]))
            .collect();
        clean(
            "an address or a body that was sent",
            json!(sent)
                .to_string()
                .replace("token=glptt-hook", "")
                .as_bytes(),
        );
        for place in ["temp", "home", "cache", "builds", "forge"] {
            for file in files(&self.world.at(place))
                .iter()
                .filter(|file| !file.ends_with("job-token") && !file.ends_with("planted"))
            {
                clean(
                    &file.display().to_string(),
                    &std::fs::read(file).unwrap_or_default(),
                );
            }
        }
        assert!(
            !self.world.at("pwned").exists(),
            "omk's own git ran what a child told it"
        );
        assert!(!self.world.refs().contains_key("refs/heads/stolen"));
    }
}

/// The token of an environment.
fn token(name: &str) -> String {
    format!("glpat-canary-{name}-6c2e")
}

/// A secret as it is, in base64 wherever it begins in a text, and as a part of an address.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for before in ["", "x", "xx"] {
        let encoded = STANDARD.encode(format!("{before}{secret}"));
        // Its first and last digits depend on what stands around it.
        let (from, to) = (
            before.len().div_ceil(1) * 4 / 3 + 1,
            encoded.trim_end_matches('=').len() - 2,
        );
        forms.push(encoded.as_bytes()[from..to].to_vec());
    }
    forms
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn what_works_in_a_pipeline_finds_no_secret_and_none_is_left_anywhere() {
    let plan = PLAN
        .replace("sh check.sh", "sh attack.sh")
        .replace("run: echo right >", "run: sh attack.sh && echo right >");
    let mut trap = Trap::new(&plan);
    let pipeline = trap
        .world
        .hooked(&trap.world.comments("maintainer", "/omk run"));
    // Which is pushed before the note, and knows no token that is not made yet but the four and the
    // canaries.
    let reversed: String = trap.secrets.join(" ").chars().rev().collect();
    let root = trap.world.at("").display().to_string();
    let attack = ATTACK
        .replace("REVERSED", &reversed.replace(['"', '{', '}', ':'], ""))
        .replace("ROOT", root.trim_end_matches('/'));
    pushes_ago(
        &trap.world,
        1800,
        &[("attack.sh", &attack.replace("URL", &trap.world.door.site))],
    );
    for command in ["intake", "run", "judge", "publish"] {
        let job = trap.job(command, &pipeline, &[]);
        assert_eq!(job.code, Some(0), "{command}: {job:#?}");
    }
    assert!(trap.world.refs().contains_key("refs/heads/omk/run/mr-12"));
    trap.nothing_is_left();
}

#[test]
fn what_goes_wrong_is_told_without_the_secret_that_it_went_wrong_with() {
    let mut trap = Trap::new(PLAN);
    let mut pipeline = trap
        .world
        .hooked(&trap.world.comments("maintainer", "/omk run"));
    // GitLab repeats what it was sent, as servers in front of one do.
    let (gate, publish) = (token("intake"), token("publish"));
    let said = json!({"message": format!("403 Forbidden: PRIVATE-TOKEN {gate} is not allowed, canary-registry-7e1f")});
    trap.world.fault(&json!({"path": "/statuses/", "method": "POST", "status": 403, "body": said, "times": 1000}));
    assert_eq!(trap.job("intake", &pipeline, &[]).code, Some(0));
    trap.world.fault(&json!({"clear": true}));
    trap.job("run", &pipeline, &[]);
    trap.job("judge", &pipeline, &[]);
    let said = format!("remote: hook declined for oauth2:{publish}@host");
    trap.world
        .fault(&json!({"path": "git-receive-pack", "status": 500, "raw": said, "times": 1000}));
    let note = json!({"message": format!("500 {publish}")});
    trap.world
        .fault(&json!({"path": "/merge_requests$", "method": "POST", "status": 400, "body": note, "times": 1000}));
    let job = trap.job("publish", &pipeline, &[]);
    assert_ne!(job.code, Some(0), "{job:#?}");
    // Tokens that are no good, and an address that would take them elsewhere.
    for (name, value) in [
        ("OMK_TOKEN", "glpat-canary-bad\nX-Evil: 1"),
        ("CI_API_V4_URL", "http://u:canary-url-1@127.0.0.1/api/v4"),
    ] {
        trap.secrets.push(
            ["glpat-canary-bad", "canary-url-1"][usize::from(name != "OMK_TOKEN")].to_owned(),
        );
        again(&trap.world, &mut pipeline, "intake");
        let job = trap.job("intake", &pipeline, &[(name, value)]);
        assert_ne!(job.code, Some(0), "{job:#?}");
    }
    trap.world
        .door
        .control("token_state", &json!({"token": gate, "revoked": true}));
    let poll = trap.world.pipeline("schedule", "maintainer");
    assert_ne!(trap.job("intake", &poll, POLL).code, Some(0));
    assert!(!trap.world.replies(REQUEST).is_empty());
    trap.nothing_is_left();
}
