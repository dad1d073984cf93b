//! Tests of `work::settings`.

use super::*;

/// What becomes of settings; `None` if they may be seen as they are.
fn cleaned(text: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let (repository, instead) = (dir.path().join("a"), dir.path().join("b"));
    std::fs::create_dir_all(&repository).unwrap();
    std::fs::write(repository.join("config"), text).unwrap();
    leave_out_credentials(&repository, &instead);
    std::fs::read_to_string(instead.join("config")).ok()
}

#[test]
fn settings_without_credentials_stay_as_they_are() {
    let plain = "# by hand\n[core]\n\tbare = false\n\tsshCommand\n[remote \"origin\"]\n\turl = https://host.example/a.git\n\
                     \tpushurl = git@host.example:me/a.git\n[branch \"a-token@b\"]\n\tremote = origin\n[user]\n\tname = Ä\n";
    assert_eq!(cleaned(plain), None);
}

#[test]
fn settings_lose_their_credentials_and_nothing_else() {
    let secret = "[core]\n\tbare = false\n[http \"https://host.example/\"] extraheader = AUTHORIZATION: basic hush\n\
                      [url \"https://me:hush@host.example/\"]\n\tinsteadOf = https://host.example/\n\
                      [remote \"origin\"]\n\turl = https://me:hu@sh@host.example/a.git\n\tfetch = +refs/*:refs/*\n\
                      \tproxy = me:hush@proxy.example:80\n[credential]\n\thelper = store --file /hush\n\
                      [http]\n\textraheader = AUTHORIZATION: \\\nbasic hush\n[sendemail]\n\tsmtpPass = hush\n\
                      [alias]\n\tx = !curl -H hush\n[branch \"a-token@b\"]\n\tremote = origin\n[gitlab]\n\toauth = hush\n";
    insta::assert_snapshot!(cleaned(secret).unwrap(), @r#"
        [core]
        	bare = "false"
        [url "https://host.example/"]
        	insteadof = "https://host.example/"
        [remote "origin"]
        	url = "https://host.example/a.git"
        [remote "origin"]
        	fetch = "+refs/*:refs/*"
        [remote "origin"]
        	proxy = "proxy.example:80"
        [branch "a-token@b"]
        	remote = "origin"
        "#);
}

#[test]
fn what_was_commented_out_included_or_cannot_be_read_is_no_childs() {
    let commented =
        cleaned("[core]\n\tbare = false\n# extraheader = AUTHORIZATION: basic hush\n").unwrap();
    assert!(
        !commented.contains("hush") && commented.contains("bare"),
        "{commented}"
    );
    let broken = cleaned("[core\n\tbare = hush\n").unwrap();
    assert!(!broken.contains("hush"), "{broken}");
    let included = cleaned("[core]\n\tbare = false\n[include]\n\tpath = hush.config\n").unwrap();
    assert!(!included.contains("hush"), "{included}");
}

#[test]
fn worktrees_and_submodules_have_settings_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join("a").join(path);
    let all = [
        "config.worktree",
        "worktrees/w/config.worktree",
        "worktrees/w/modules/n/config",
        "modules/deep/er/config",
        "modules/deep/er/modules/n/config",
    ];
    for file in all {
        std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
        std::fs::write(at(file).parent().unwrap().join("HEAD"), "").unwrap();
        std::fs::write(
            at(file),
            "[http]\n\textraheader = hush\n[core]\n\tbare = false\n",
        )
        .unwrap();
    }
    leave_out_credentials(&dir.path().join("a"), &dir.path().join("b"));
    for file in all {
        let text = std::fs::read_to_string(dir.path().join("b").join(file)).unwrap();
        assert_eq!(text, "[core]\n\tbare = \"false\"\n", "{file}");
    }
}
