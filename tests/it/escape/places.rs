//! The places of a machine that are its user's or omk's alone, each with something that nobody else
//! knows.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::path::PathBuf;

/// The places of a machine that attempts aim at.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) checkout: PathBuf,
    pub(super) git: PathBuf,
    pub(super) user: PathBuf,
    pub(super) pool: PathBuf,
    pub(super) cache: PathBuf,
}

/// Everything that is somebody's alone, in its usual places.
pub(super) fn plant(places: &Places, secret: &str) {
    let put = |path: PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(places.checkout.join("private.txt"), secret);
    put(places.checkout.join(secret), "");
    for name in [
        "journal.jsonl",
        "transcripts/other.jsonl",
        "logs/other.log",
        "cassette/tape.jsonl",
        "proofs/a.json",
    ] {
        put(places.git.join("omk/runs/1").join(name), secret);
    }
    for name in [
        "other/source.txt",
        "other.private/kimi/config.toml",
        "other.private/home/.profile",
    ] {
        put(places.pool.join(name), secret);
    }
    put(places.pool.join("other.private/tmp/a"), secret);
    for name in [
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".config/gh/hosts.yml",
        ".npmrc",
        ".netrc",
        ".docker/config.json",
        ".git-credentials",
        ".bash_history",
        ".bashrc",
    ] {
        put(places.user.join(name), secret);
    }
    put(places.cache.join("credentials.toml"), secret);
    for name in [
        "registry/src/build.rs",
        "bin/cargo",
        "emptied/a",
        "linked/a",
        "moded",
        "inner/mod/a",
    ] {
        put(places.cache.join(name), "a cache's");
    }
    let hook = places.git.join("hooks/pre-commit");
    put(hook.clone(), "#!/bin/sh\n");
    std::fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
}

/// What nobody may change.
pub(super) fn watched(places: &Places) -> Vec<PathBuf> {
    let mut watched = vec![places.user.clone(), places.cache.clone()];
    // What omk itself writes is left out: objects, its refs and runs, and the list of worktrees.
    let of_git = [
        "HEAD",
        "config",
        "hooks",
        "info",
        "modules",
        "objects/info",
        "refs/stash",
        "index",
        "shallow",
        "packed-refs",
    ];
    watched.extend(of_git.map(|name| places.git.join(name)));
    watched.extend(
        ["omk/runs/1", "refs/heads/moved", "worktrees/evil"].map(|name| places.git.join(name)),
    );
    let checkout = std::fs::read_dir(&places.checkout)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    watched.extend(checkout.filter(|path| *path != places.git));
    watched.extend(["other", "other.private", "next"].map(|name| places.pool.join(name)));
    watched
}
