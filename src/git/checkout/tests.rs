//! Tests of `git::checkout`.

use super::*;

fn token() -> Secret {
    Secret::new("glcbt-64_hushhush".to_owned())
}

fn checkout(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn holds(dir: &Path) -> bool {
    let pair = STANDARD.encode("gitlab-ci-token:glcbt-64_hushhush");
    let mut stack = vec![dir.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                stack.push(entry.path());
            } else if kind.is_file() {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                if text.contains("hushhush") || text.contains(&pair) {
                    return true;
                }
            }
        }
    }
    false
}

#[test]
fn the_token_goes_from_every_place_where_a_runner_leaves_it() {
    let pair = STANDARD.encode("gitlab-ci-token:glcbt-64_hushhush");
    let own = format!(
        "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://gitlab-ci-token:glcbt-64_hushhush@host/a/b.git\n\
             \tfetch = +refs/heads/*:refs/remotes/origin/*\n[http \"https://host/\"]\n\textraheader = AUTHORIZATION: basic {pair}\n\
             [include]\n\tpath = ../../b.tmp/.gitlab-runner.ext.conf\n[includeIf \"gitdir:/x/\"]\n\tPATH = \"more.conf\"\n"
    );
    let rewritten = "[url \"https://gitlab-ci-token:glcbt-64_hushhush@host\"]\n\tinsteadOf = https://host\n[user]\n\tname = x\n";
    let helper = "[credential]\n\thelper = \"!f(){ echo password=${CI_JOB_TOKEN}; };f\"\n\tuseHttpPath = true\n";
    let dir = checkout(&[
        ("b/.git/config", &own),
        ("b.tmp/.gitlab-runner.ext.conf", rewritten),
        ("b/.git/more.conf", helper),
        ("b/.git/modules/deep/one/HEAD", "ref: refs/heads/main\n"),
        (
            "b/.git/modules/deep/one/config",
            "[remote \"o\"]\nurl=http://gitlab-ci-token:glcbt-64_hushhush@h/x\n",
        ),
    ]);
    let mut changed = take_token_out(&dir.path().join("b"), &token()).unwrap();
    changed.sort();
    assert_eq!(changed.len(), 4, "{changed:?}");
    assert!(!holds(dir.path()));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("b/.git/config").contains("url = https://host/a/b.git\n"));
    assert!(
        read("b/.git/config").contains("bare = false")
            && !read("b/.git/config").contains("extraheader")
    );
    assert!(read("b.tmp/.gitlab-runner.ext.conf").contains("[url \"https://host\"]"));
    assert_eq!(
        read("b/.git/more.conf"),
        "[credential]\n\tuseHttpPath = true\n"
    );
    assert!(
        take_token_out(&dir.path().join("b"), &token())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn nothing_else_is_changed_and_no_link_is_followed() {
    let other =
        "[remote \"origin\"]\n\turl = https://me:mine@host/a.git\n[credential]\n\thelper = store\n";
    let dir = checkout(&[("b/.git/config", other), ("far", "glcbt-64_hushhush\n")]);
    std::os::unix::fs::symlink(
        dir.path().join("far"),
        dir.path().join("b/.git/config.worktree"),
    )
    .unwrap();
    assert!(
        take_token_out(&dir.path().join("b"), &token())
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("b/.git/config")).unwrap(),
        other
    );
    assert!(holds(dir.path()));
    assert!(
        take_token_out(&dir.path().join("nowhere"), &token())
            .unwrap()
            .is_empty()
    );
}
