//! What omk itself asks of programs that others wrote: Node.js and the CLI for their versions, npm
//! to fill the tool cache. Each is in a room of its own, with a HOME and a TMPDIR that are gone
//! afterwards.
//!
//! It refuses to hand any credential to them. npm gets those of its user's settings that say where
//! packages come from and how to get there, without what logs in: a mirror that asks for a login
//! cannot be used.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use super::AgentError;
use super::home::io;
use super::kimi::Locate;
use crate::exec::environment::{Caller, child_env};
use crate::exec::{Child, Ended, NetworkReach, Program, Sandbox, Shepherd, Surroundings};
use crate::plain_file;

/// How much of an answer is logged, in bytes. Answers are lines; npm's complaints fill some pages.
const LOG: u64 = 1 << 20;

/// The largest file of npm's settings that is read, in bytes. A few certificates fit.
const SETTINGS: u64 = 256 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A version: nothing is written, and nothing on the network is needed.
    Version,
    /// npm fills that directory from its registry.
    Fill(&'a Path),
}

/// Variables by which npm and Node.js find their way to a registry.
const TO_REGISTRY: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NODE_USE_ENV_PROXY",
    "NODE_OPTIONS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Those of npm's settings that say where packages come from, and how to get there.
const WHERE_FROM: [&str; 11] = [
    "registry",
    "proxy",
    "https-proxy",
    "http-proxy",
    "noproxy",
    "cafile",
    "ca",
    "ca[]",
    "strict-ssl",
    "maxsockets",
    "local-address",
];

/// Programs that only choose which Node.js to start find it by these, and else in their user's
/// HOME.
const CHOOSERS: [(&str, &str); 3] = [
    ("VOLTA_HOME", ".volta"),
    ("ASDF_DATA_DIR", ".asdf"),
    ("NODENV_ROOT", ".nodenv"),
];

/// Runs a program for its standard output.
pub(super) async fn ask(
    shepherd: &Shepherd,
    program: &Path,
    arguments: Vec<OsString>,
    wanted: &Locate,
    purpose: Purpose<'_>,
    timeout: Duration,
) -> Result<(Ended, String), AgentError> {
    let scratch = tempfile::tempdir().map_err(|source| AgentError::Io {
        what: "make a temporary directory".to_owned(),
        source,
    })?;
    // Rules for writing follow no link.
    let own = std::fs::canonicalize(scratch.path()).map_err(io("find", scratch.path()))?;
    let made = |name: &str| {
        let path = own.join(name);
        std::fs::create_dir(&path)
            .map_err(io("make", &path))
            .map(|()| path)
    };
    let (home, tmp, room) = (made("home")?, made("tmp")?, made("room")?);
    let caller: Caller = wanted.env.clone().into_iter().collect();
    let nothing = BTreeMap::new();
    let child_env = child_env(&caller, &home, &tmp, &nothing, &[], &nothing);
    let mut env = child_env.vars;
    env.insert("KIMI_CODE_HOME".into(), home.clone().into());
    env.insert("KIMI_CODE_NO_AUTO_UPDATE".into(), "1".into());
    env.insert("KIMI_DISABLE_TELEMETRY".into(), "1".into());
    env.extend(choosers(&caller));
    let mut shown = child_env.tools;
    shown.extend(
        child_env
            .certificates
            .into_iter()
            .flat_map(|(_, paths)| paths),
    );
    shown.push(wanted.tools.clone());
    // An installation that holds something private is not shown whole; its programs are.
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    shown.extend(std::env::split_paths(&path).filter(|directory| directory.is_absolute()));
    let mut writable = vec![home.clone(), tmp];
    let mut reach = NetworkReach::Nothing;
    if let Purpose::Fill(dir) = purpose {
        reach = NetworkReach::Open;
        writable.push(std::fs::canonicalize(dir).map_err(io("find", dir))?);
        env.extend(to_registry(&wanted.env, &home)?);
        shown.extend(certificates(&env, &home));
    }
    // What holds something private would show it.
    let may_be_seen = |path: &PathBuf| {
        !wanted
            .private
            .iter()
            .any(|private| private.starts_with(path))
    };
    shown.retain(may_be_seen);
    let hidden = wanted.private.clone();
    let child = Child {
        program: Program::Direct(program.into(), arguments),
        cwd: home,
        env,
        room: Some(Sandbox {
            writable,
            shown,
            hidden,
            scratch: Some(room),
            reach,
            ..Sandbox::default()
        }),
        timeout,
        idle_timeout: None,
        log: own.join("log"),
        log_cap: LOG,
    };
    let (lines_in, mut lines) = mpsc::unbounded_channel();
    let ended = {
        let around = Surroundings {
            stdout_lines: Some(lines_in),
            ..Surroundings::default()
        };
        shepherd.run(&child, &around).await?
    };
    let mut said = String::new();
    while let Ok(line) = lines.try_recv() {
        said.push_str(&String::from_utf8_lossy(&line));
        said.push('\n');
    }
    Ok((ended, said))
}

/// Where the programs that choose a Node.js find theirs, as they would in their user's HOME.
fn choosers(caller: &Caller) -> Vec<(OsString, OsString)> {
    let found = CHOOSERS.into_iter().filter_map(|(name, usual)| {
        let named = caller.text(name).map(PathBuf::from);
        let directory = named.or_else(|| Some(Path::new(caller.text("HOME")?).join(usual)))?;
        directory.is_dir().then(|| (name.into(), directory.into()))
    });
    found.collect()
}

/// What npm needs to reach its registry, with a cache and settings of its own in `home`.
fn to_registry(
    caller: &BTreeMap<OsString, OsString>,
    home: &Path,
) -> Result<BTreeMap<OsString, OsString>, AgentError> {
    let mut env = BTreeMap::new();
    for (name, value) in caller {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        let of_npm = upper
            .strip_prefix("NPM_CONFIG_")
            .filter(|name| is_where_from(name));
        match of_npm {
            Some(setting) if is_registry(setting) => {
                env.insert(name.clone(), anonymous(&value.to_string_lossy()).into());
            }
            Some(_) => {
                env.insert(name.clone(), value.clone());
            }
            None if TO_REGISTRY.contains(&upper.as_str()) => {
                env.insert(name.clone(), value.clone());
            }
            None => {}
        }
    }
    let settings = home.join("npmrc");
    std::fs::write(&settings, settings_of(caller)).map_err(io("write", &settings))?;
    env.insert("npm_config_userconfig".into(), settings.into());
    env.insert("npm_config_cache".into(), home.join("npm").into());
    Ok(env)
}

/// Whether one of npm's settings, by the end of its variable's name or as its file has it, says
/// where packages come from.
fn is_where_from(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    WHERE_FROM.contains(&name.as_str()) || name.starts_with("fetch-") || is_of_scope(&name)
}

fn is_of_scope(name: &str) -> bool {
    name.starts_with('@') && name.ends_with(":registry")
}

/// Those lines of the user's npmrc that say where packages come from.
fn settings_of(caller: &BTreeMap<OsString, OsString>) -> String {
    let named = caller
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("npm_config_userconfig"));
    let usual = || Some(Path::new(caller.get(OsStr::new("HOME"))?).join(".npmrc"));
    // People keep their settings in a repository, and have a link to them.
    let file = named
        .map(|(_, file)| PathBuf::from(file))
        .or_else(usual)
        .and_then(|file| std::fs::canonicalize(file).ok());
    let read = file
        .and_then(|file| plain_file::read(&file, SETTINGS).ok())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&read);
    let kept = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let value = if is_registry(name) {
            anonymous(value)
        } else {
            value.to_owned()
        };
        is_where_from(name).then(|| format!("{name}={value}\n"))
    });
    kept.collect()
}

fn is_registry(name: &str) -> bool {
    name.eq_ignore_ascii_case("registry") || is_of_scope(&name.to_ascii_lowercase())
}

/// A registry's address without the user and the password in it. A proxy's stays whole: without
/// them there is no network.
fn anonymous(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

/// Files of certificates that the settings name; they may lie in the user's home.
fn certificates(env: &BTreeMap<OsString, OsString>, home: &Path) -> Vec<PathBuf> {
    let names = [
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NPM_CONFIG_CAFILE",
    ];
    let in_env = env
        .iter()
        .filter(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let in_env = in_env.map(|(_, value)| PathBuf::from(value));
    let settings = plain_file::read(&home.join("npmrc"), SETTINGS).unwrap_or_default();
    let settings = String::from_utf8_lossy(&settings).into_owned();
    let in_file = settings
        .lines()
        .filter_map(|line| line.strip_prefix("cafile="))
        .map(|file| PathBuf::from(file.trim_matches('"')));
    in_env
        .chain(in_file)
        .filter(|path| path.is_absolute())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_gets_what_leads_to_a_registry_and_nothing_that_logs_in() {
        let home = tempfile::tempdir().unwrap();
        let settings = "; of a person\nregistry = https://bot:hush@mirror.example/npm/\n@acme:registry=https://acme.example\n\
            //mirror.example/npm/:_authToken=hush\n_auth=hush\nemail=a@example.org\nproxy=http://u:p@proxy.example:8080\n\
            cafile=\"/etc/own.pem\"\nstrict-ssl=false\nignore-scripts=false\nscript-shell=/tmp/x\nfetch-retries=5\n";
        std::fs::write(home.path().join("settings"), settings).unwrap();
        std::os::unix::fs::symlink("settings", home.path().join(".npmrc")).unwrap();
        let caller = BTreeMap::from([
            ("HOME".into(), home.path().into()),
            (
                "npm_config_registry".into(),
                "https://bot:hush@mirror.example".into(),
            ),
            ("NPM_CONFIG_STRICT_SSL".into(), "false".into()),
            ("npm_config__auth".into(), "hush".into()),
            ("npm_config_cache".into(), "/elsewhere".into()),
            ("https_proxy".into(), "http://u:p@proxy.example:8080".into()),
            ("OTHER".into(), "hush".into()),
        ]);
        let own = tempfile::tempdir().unwrap();
        let env = to_registry(&caller, own.path()).unwrap();
        let shown = env
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()));
        let shown = shown
            .collect::<Vec<_>>()
            .join("\n")
            .replace(own.path().to_str().unwrap(), "[own]");
        insta::assert_snapshot!(shown, @"
        NPM_CONFIG_STRICT_SSL=false
        https_proxy=http://u:p@proxy.example:8080
        npm_config_cache=[own]/npm
        npm_config_registry=https://mirror.example
        npm_config_userconfig=[own]/npmrc
        ");
        insta::assert_snapshot!(std::fs::read_to_string(own.path().join("npmrc")).unwrap(), @r#"
        registry=https://mirror.example/npm/
        @acme:registry=https://acme.example
        proxy=http://u:p@proxy.example:8080
        cafile="/etc/own.pem"
        strict-ssl=false
        fetch-retries=5
        "#);
        assert_eq!(certificates(&env, own.path()), [Path::new("/etc/own.pem")]);
    }
}
