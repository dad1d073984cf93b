//! Names that tell of credentials: of files and directories, of settings, of variables. Whoever
//! hides or leaves out something asks here.
//!
//! It refuses to look into files, and to know where a name was found: the same name is private
//! everywhere.

use std::ffi::OsStr;

/// Files and directories that hold what is their user's own, wherever they lie: credentials,
/// settings, a repository.
pub(crate) const OWN: [&str; 26] = [
    ".aws",
    ".azure",
    ".config",
    ".credentials",
    ".docker",
    ".env",
    ".git",
    ".git-credentials",
    ".gnupg",
    ".htpasswd",
    ".kube",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pgpass",
    ".pypirc",
    // The settings of a GitHub runner.
    ".runner",
    ".ssh",
    ".vault-token",
    "_auth",
    "_netrc",
    "cookies.txt",
    "credentials",
    "credentials.toml",
    "keyrings",
];

/// Words that tell of a credential in the name of a file, in the name of a setting, and in the text
/// of settings.
pub(crate) const WORDS: [&str; 9] = [
    "credential",
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "accesskey",
    "privatekey",
    "oauth",
];

/// What else tells of one in the name of a file: the default names and the endings of keys.
pub(crate) const KEYS: [&str; 8] = [
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    ".key",
    ".pem",
    ".p12",
    ".pfx",
];

/// What else tells of one in the name of git's settings: their values are credentials, lead to
/// them, or get them.
const SETTINGS: [&str; 9] = [
    "extraheader",
    "helper",
    "pass",
    "sslkey",
    "sslcert",
    "cookiefile",
    "username",
    "auth",
    "signingkey",
];

/// Parts of the names of variables whose values are secrets. The contract names them.
const VARIABLES: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

/// Variables of CI jobs that hold a token, which their names do not say: GitLab's address of the
/// repository has one in it.
const OF_JOBS: [&str; 5] = [
    "CI_REPOSITORY_URL",
    "CI_JOB_JWT",
    "CI_JOB_JWT_V1",
    "CI_JOB_JWT_V2",
    "DOCKER_AUTH_CONFIG",
];

/// Whether a file or a directory of that name is its user's own, wherever it lies.
#[must_use]
pub(crate) fn is_private(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| OWN.contains(&name) || name.starts_with(".env."))
}

/// Whether the name of a file tells of credentials. Programs have such names, too (`tokenize`,
/// `secret-tool`), so it counts only where there are none, or if others cannot read the file.
#[must_use]
pub(crate) fn tells(name: &OsStr) -> bool {
    let lower = name.to_string_lossy().to_ascii_lowercase();
    is_private(name) || is_key(name) || WORDS.iter().any(|part| lower.contains(part))
}

/// Whether a file of that name is a private key. No program has such a name.
#[must_use]
pub(crate) fn is_key(name: &OsStr) -> bool {
    let lower = name.to_string_lossy().to_ascii_lowercase();
    KEYS.iter().any(|part| lower.contains(part))
}

/// Whether the value of a setting of git is a credential, leads to one, or gets one. `key` is in
/// lower case.
#[must_use]
pub(crate) fn is_setting(key: &str) -> bool {
    WORDS.iter().chain(&SETTINGS).any(|part| key.contains(part))
}

/// Whether the text of a tool's settings may hold a credential: by a word, or as a login in an
/// address.
#[must_use]
pub(crate) fn may_be_in(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|part| lower.contains(part))
        || lower.split("://").skip(1).any(|rest| rest.contains('@'))
}

/// Whether the value of a variable of that name is a secret.
#[must_use]
pub(crate) fn is_variable(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    VARIABLES.iter().any(|part| upper.contains(part)) || OF_JOBS.contains(&upper.as_str())
}
