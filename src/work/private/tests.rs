//! Tests of `work::private`.

use super::*;

/// Every name that is private wherever it lies, and a file of each kind that tells.
fn names() -> Vec<String> {
    let telling = credential::WORDS
        .iter()
        .chain(&credential::KEYS)
        .map(|part| format!("my{part}"));
    credential::OWN
        .iter()
        .map(|name| (*name).to_owned())
        .chain([".env.local".to_owned()])
        .chain(telling)
        .collect()
}

fn put(path: &Path, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "hush").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_place_hides_every_name() {
    let dir = tempfile::tempdir().unwrap();
    let places: [(&str, fn(&Path) -> Vec<PathBuf>); 3] = [
        ("cache", in_cache),
        ("repository", in_repository),
        (".tool", beside_programs),
    ];
    for (place, hidden) in places {
        let top = dir.path().join(place);
        let names = names();
        names
            .iter()
            .chain([&"plain.txt".to_owned()])
            .for_each(|name| put(&top.join(name), 0o644));
        let hidden = hidden(&top);
        let seen: Vec<&String> = names
            .iter()
            .filter(|name| !hidden.contains(&top.join(name)))
            .collect();
        assert!(seen.is_empty(), "{place}: {seen:?}");
        assert!(!hidden.contains(&top.join("plain.txt")), "{place}");
    }
}

#[test]
fn an_installation_shows_its_programs_whatever_they_are_called_and_hides_what_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("kit");
    for name in ["tokenize.py", "secret-tool", "cacert.pem", "settings.json"] {
        put(&top.join(name), 0o644);
    }
    put(&top.join("start.key"), 0o755);
    put(&top.join("id_ed25519"), 0o600);
    let own = credential::OWN.iter().map(|name| top.join(name));
    own.clone().for_each(|path| put(&path, 0o644));
    let mut hidden = beside_programs(&top);
    let mut expect: Vec<PathBuf> = own.chain([top.join("id_ed25519")]).collect();
    hidden.sort();
    expect.sort();
    assert_eq!(hidden, expect);
}

#[test]
fn a_word_that_tells_is_one_in_settings_and_in_their_text_too() {
    for word in credential::WORDS {
        assert!(
            credential::is_setting(&format!("my{word}"))
                && credential::may_be_in(&format!("my-{word} = x"))
        );
    }
    assert!(
        credential::may_be_in("proxy = \"http://me:hush@proxy.example\"")
            && !credential::may_be_in("[http]")
    );
}
