//! Tests of `bundle::open`.

use super::*;
use serde_json::json;

/// A bundle of these files.
fn made(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let claim = |(name, text): &(&str, &str)| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory above it"))
            .expect("its directory");
        std::fs::write(path, text).expect("a file");
        json!({"name": name, "bytes": text.len(), "sha256": Sha256::of(text.as_bytes())})
    };
    let files: Vec<serde_json::Value> = files.iter().map(claim).collect();
    let id = "1".repeat(40);
    let manifest = json!({"version": 1, "omk": "1", "run": "20200101t000000z-000000", "scope": "pr-7",
            "base": {"commit": id, "tree": id}, "tasks": [], "upload": "state", "files": files});
    std::fs::write(dir.path().join(MANIFEST), manifest.to_string()).expect("the manifest");
    dir
}

#[test]
fn a_bundle_may_be_as_large_as_the_limits_and_one_byte_or_file_more_is_refused() {
    let dir = made(&[
        ("journal.jsonl", "12345678"),
        ("logs/a/1/x.log", "123456"),
        ("proofs/a.json", "1234"),
    ]);
    let manifest = std::fs::metadata(dir.path().join(MANIFEST))
        .expect("the manifest")
        .len();
    let exact = BundleLimits {
        file: 6,
        all: 18,
        files: 3,
        manifest,
        journal: 8,
        objects: 0,
    };
    assert_eq!(
        open(dir.path(), &exact).expect("it fits").journal,
        b"12345678"
    );
    let refused = |limits| {
        open(dir.path(), &limits)
            .expect_err("it is too large")
            .to_string()
    };
    let refused = [
        refused(BundleLimits { file: 5, ..exact }),
        refused(BundleLimits { all: 17, ..exact }),
        refused(BundleLimits { files: 2, ..exact }),
        refused(BundleLimits {
            journal: 7,
            ..exact
        }),
        refused(BundleLimits {
            manifest: manifest - 1,
            ..exact
        })
        .replace(&manifest.to_string(), "[ALL]"),
    ];
    insta::assert_snapshot!(refused.join("\n").replace(&(manifest - 1).to_string(), "[LESS]"), @"
        `logs/a/1/x.log`, in bytes, is too large: 6, and 5 are allowed
        all of it together, in bytes, is too large: 18, and 17 are allowed
        the number of files is too large: 3, and 2 are allowed
        `journal.jsonl`, in bytes, is too large: 8, and 7 are allowed
        `bundle.json`, in bytes, is too large: [ALL], and [LESS] are allowed
        ");
}
