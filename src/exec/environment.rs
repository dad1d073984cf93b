//! What a child finds in its environment: an allow-list, never an inheritance.
//!
//! [`Caller::read`] is the only place that reads omk's own environment for children. It refuses to
//! pass on anything that is named like a secret or speaks of the CI job, whoever asks for it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::credential;
use super::egress;
use super::installation::installation;
use super::sandbox::{SHARED, SYSTEM};

/// Tokens that a job's other variables may repeat.
const REPEATED: [&str; 2] = ["CI_JOB_TOKEN", "OMK_TOKEN"];

/// A shorter value is no token, and may be part of anything.
const SHORTEST: usize = 8;

/// Beginnings of names by which a CI job's own rights and channels are passed about.
const JOB: [&str; 5] = ["GITHUB_", "ACTIONS_", "RUNNER_", "CI_", "GITLAB_"];

/// Where programs are found if the caller does not say: what a login shell has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The caller's environment, as it was when it was read.
#[derive(Clone, Default)]
pub struct Caller {
    variables: BTreeMap<OsString, OsString>,
    pub(super) found: Arc<CallerPaths>,
}

/// What the caller's variables lead to. It is looked up once, at the first child: no child can
/// change it, all children of a run see the same, and a directory of programs holds thousands of
/// links.
#[derive(Default)]
pub(super) struct CallerPaths {
    private: OnceLock<Vec<PathBuf>>,
    tools: OnceLock<Toolchains>,
    pub(super) installations: Mutex<HashMap<PathBuf, Vec<PathBuf>>>,
}

impl Caller {
    /// A snapshot of this process's environment.
    #[must_use]
    pub fn read() -> Self {
        std::env::vars_os().collect()
    }

    /// The names of variables that look like secrets, or repeat a token of the job: those that must
    /// not be there when the first child starts.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        let tokens: Vec<&str> = REPEATED
            .iter()
            .filter_map(|name| self.text(name))
            .filter(|token| token.len() >= SHORTEST)
            .collect();
        let repeats = move |value: &OsString| {
            let value = value.to_string_lossy();
            tokens.iter().any(|token| value.contains(token))
        };
        let named = self
            .variables
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value)));
        named
            .filter(move |(name, value)| credential::is_variable(name) || repeats(value))
            .map(|(name, _)| name)
    }

    /// A variable, where it is set, not empty, and UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// The same, with those directories alone on PATH for which that holds.
    #[must_use]
    pub fn keeping_on_path(mut self, keeps: impl Fn(&Path) -> bool) -> Self {
        self.found = Arc::default();
        if let Some(path) = self.variables.get_mut(OsStr::new("PATH")) {
            let kept: Vec<PathBuf> = std::env::split_paths(path)
                .filter(|directory| keeps(directory))
                .collect();
            *path = std::env::join_paths(kept).unwrap_or_default();
        }
        self
    }

    /// The whole of it, for children of omk itself that see no untrusted code.
    pub fn passable(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables
            .iter()
            .filter(|(name, _)| name.to_str().is_some_and(may_pass))
    }

    /// What no child is to see: the caller's home, and what else is the caller's alone.
    #[must_use]
    pub fn private_directories(&self) -> &[PathBuf] {
        self.found
            .private
            .get_or_init(|| self.look_for_private_directories())
    }

    fn look_for_private_directories(&self) -> Vec<PathBuf> {
        let named = PRIVATE.iter().filter_map(|name| self.get(name));
        // A list of files, as in KUBECONFIG, is as private as one.
        let paths = named.flat_map(|value| std::env::split_paths(value).collect::<Vec<_>>());
        paths
            .filter(|path| path.is_absolute())
            .filter_map(|path| std::fs::canonicalize(path).ok())
            .filter(|path| path.parent().is_some() && !is_of_the_system(path))
            .collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.variables
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
    }

    /// The directory that the variable names, else that one below the caller's home; only where it
    /// exists.
    #[must_use]
    pub fn directory(&self, name: &str, below_home: Option<&str>) -> Option<PathBuf> {
        let named = self.get(name).map(PathBuf::from);
        // A confined child may write only to paths without links, and people's homes are often
        // behind one.
        let home = || std::fs::canonicalize(self.get("HOME")?).ok();
        let usual = || Some(home()?.join(below_home?));
        let found = named
            .filter(|path| path.is_absolute())
            .or_else(usual)
            .filter(|path| path.is_dir())?;
        std::fs::canonicalize(found).ok()
    }
}

impl FromIterator<(OsString, OsString)> for Caller {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            found: Arc::default(),
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Variables that name directories, or files, which are their user's alone.
const PRIVATE: [&str; 22] = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "GNUPGHOME",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_CONFIG_DIR",
    "BOTO_CONFIG",
    "CLOUDSDK_CONFIG",
    "DOCKER_CONFIG",
    "GH_CONFIG_DIR",
    "GLAB_CONFIG_DIR",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "NPM_CONFIG_USERCONFIG",
    "RUNNER_TEMP",
    "GITHUB_WORKSPACE",
    "CI_BUILDS_DIR",
];

/// The environment of a child, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnv {
    /// The whole environment.
    pub vars: BTreeMap<OsString, OsString>,
    /// The variables that point at caches outside HOME, and where they lead: a child writes there,
    /// as to a copy of its own.
    pub caches: Vec<(&'static str, PathBuf)>,
    /// The variables of the caller that name certificates, and what they lead to.
    pub certificates: Vec<(&'static str, Vec<PathBuf>)>,
    /// The programs and toolchains that it points at, which a child reads.
    pub tools: Vec<PathBuf>,
    /// What the plan names to be read: data, or the cache of a tool that omk does not know.
    pub data: Vec<PathBuf>,
}

/// Whether a variable of that name may be taken from the caller's environment.
#[must_use]
pub fn may_pass(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    !credential::is_variable(name) && !JOB.iter().any(|start| upper.starts_with(start))
}

/// The environment of a child whose private directories are `home` and `tmp`.
///
/// Later wins: the allow-list, the caller's certificates, the toolchains, `pass_env` (names
/// [`may_pass`] refuses and proxies with a password are left out), the plan's own variables, the
/// task's or gate's; HOME and TMPDIR stay private whatever they say.
#[must_use]
pub fn child_env(
    caller: &Caller,
    home: &Path,
    tmp: &Path,
    plan_env: &BTreeMap<String, String>,
    pass_env: &[String],
    task_env: &BTreeMap<String, String>,
) -> ChildEnv {
    let mut vars = BTreeMap::new();
    let mut set = |name: &str, value: OsString| vars.insert(OsString::from(name), value);
    set(
        "PATH",
        caller.get("PATH").cloned().unwrap_or_else(|| PATH.into()),
    );
    set(
        "LANG",
        caller
            .get("LANG")
            .cloned()
            .unwrap_or_else(|| "C.UTF-8".into()),
    );
    set("TERM", "dumb".into());
    set("CI", "1".into());
    set("NO_COLOR", "1".into());
    let mut certificates = egress::certificates(caller);
    for (name, paths) in &certificates {
        set(name, std::env::join_paths(paths).unwrap_or_default());
    }
    let tools = caller.found.tools.get_or_init(|| Toolchains::of(caller));
    for (name, directory) in &tools.vars {
        set(name, directory.into());
    }
    for name in pass_env.iter().filter(|name| may_pass(name)) {
        let value = caller.variables.get(OsStr::new(name));
        let value =
            value.filter(|value| !egress::is_proxy_with_login(name, &value.to_string_lossy()));
        if let Some(value) = value {
            set(name, value.clone());
        }
    }
    for (name, value) in plan_env.iter().chain(task_env) {
        set(name, value.into());
    }
    // What the plan names it shows itself.
    certificates.retain(|(name, _)| !plan_env.contains_key(*name) && !task_env.contains_key(*name));
    set("HOME", home.into());
    set("TMPDIR", tmp.into());
    let mut seen = tools.shown.clone();
    let named = plan_env
        .keys()
        .chain(task_env.keys())
        .chain(pass_env)
        .filter(|name| !PRIVATE.contains(&name.as_str()));
    let named = named
        .filter(|name| name.as_str() != "TMPDIR")
        .filter_map(|name| vars.get(OsStr::new(name)));
    let named = named.flat_map(|value| std::env::split_paths(value).collect::<Vec<_>>());
    let is_data = |path: &PathBuf| path.is_dir() || path.is_file();
    let is_common = |path: &PathBuf| SHARED.iter().any(|common| path == Path::new(common));
    let data = named.filter(|path| {
        path.is_absolute() && is_data(path) && !is_common(path) && !is_of_the_system(path)
    });
    let data = data.collect();
    let path = vars.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    seen.extend(
        std::env::split_paths(&path).flat_map(|directory| installation(caller, &directory)),
    );
    ChildEnv {
        vars,
        caches: tools.caches.clone(),
        certificates,
        tools: seen,
        data,
    }
}

/// Whether programs of the whole machine lie there: a service's home may be `/usr/lib/service`.
pub(super) fn is_of_the_system(path: &Path) -> bool {
    let top = path
        .components()
        .nth(1)
        .map(std::path::Component::as_os_str);
    top.is_none_or(|top| SYSTEM.iter().any(|system| top == *system))
}

/// The caller's toolchains: the variables that lead to them, and what a child writes of them.
#[derive(Default)]
struct Toolchains {
    vars: Vec<(&'static str, PathBuf)>,
    caches: Vec<(&'static str, PathBuf)>,
    shown: Vec<PathBuf>,
}

impl Toolchains {
    fn of(caller: &Caller) -> Self {
        let mut tools = Self::default();
        tools.rust(caller);
        tools.go(caller);
        tools.cache(
            "npm_config_cache",
            caller.directory("npm_config_cache", Some(".npm")),
        );
        tools.cache(
            "PIP_CACHE_DIR",
            caller.directory("PIP_CACHE_DIR", Some(".cache/pip")),
        );
        tools.vars.extend(
            caller
                .directory("JAVA_HOME", None)
                .map(|found| ("JAVA_HOME", found)),
        );
        tools
            .shown
            .extend(tools.vars.iter().map(|(_, directory)| directory.clone()));
        tools
    }

    /// Cargo locks and writes its whole home; the toolchains are there to be read.
    fn rust(&mut self, caller: &Caller) {
        self.vars.extend(
            caller
                .directory("RUSTUP_HOME", Some(".rustup"))
                .map(|found| ("RUSTUP_HOME", found)),
        );
        let Some(home) = caller.directory("CARGO_HOME", Some(".cargo")) else {
            return;
        };
        self.cache("CARGO_HOME", Some(home));
    }

    fn go(&mut self, caller: &Caller) {
        let home = caller.directory("GOPATH", Some("go"));
        let modules = caller.directory("GOMODCACHE", None);
        match (home, modules) {
            (Some(home), modules) => {
                let modules = modules.unwrap_or_else(|| home.join("pkg/mod"));
                self.cache("GOPATH", Some(home));
                self.cache("GOMODCACHE", Some(modules));
            }
            (None, modules) => self.cache("GOMODCACHE", modules),
        }
    }

    fn cache(&mut self, name: &'static str, directory: Option<PathBuf>) {
        if let Some(directory) = directory {
            self.caches.push((name, directory.clone()));
            self.vars.push((name, directory));
        }
    }
}

#[cfg(test)]
mod tests;
