//! What each attempt has for itself outside a room, and whether it is as it was.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use super::battery::yards;

/// What an attempt has for itself outside.
pub(super) fn furnish(own: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(own.join("empty")).unwrap();
    std::fs::write(own.join("canary"), "alive").unwrap();
    std::fs::write(own.join("secret"), secret).unwrap();
    std::fs::set_permissions(own.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("canary", own.join("link")).unwrap();
    // Some file systems have no attributes; then there is none to be removed.
    let _ = rustix::fs::setxattr(
        own.join("canary"),
        "user.mark",
        b"m",
        rustix::fs::XattrFlags::empty(),
    );
}

/// A file and a program of another user. The program is one that can tell who it is.
pub(super) fn furnish_for_root(own: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if !rustix::process::getuid().is_root() {
        return;
    }
    let python = std::fs::canonicalize("/usr/bin/python3").unwrap();
    for (name, from, mode) in [
        ("set-user-id", python.as_path(), 0o4755),
        ("of-another", &own.join("canary"), 0o600),
    ] {
        std::fs::copy(from, own.join(name)).unwrap();
        std::os::unix::fs::chown(own.join(name), Some(4321), Some(4321)).unwrap();
        std::fs::set_permissions(own.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::chown(own.join("canary"), Some(4321), Some(4321)).unwrap();
}

/// Whether everything is as [`furnish`] left it.
pub(super) fn is_as_furnished(own: &Path, secret: &str) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let expected = [
        "canary",
        "empty",
        "link",
        "of-another",
        "over",
        "secret",
        "set-user-id",
    ];
    let names: BTreeSet<String> = std::fs::read_dir(own)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let canary = own.join("canary");
    let Ok(meta) = std::fs::metadata(&canary) else {
        return false;
    };
    let mark = |name: &str| {
        let mut value = [0; 8];
        rustix::fs::getxattr(&canary, name, &mut value[..])
            .map(|length| value[..length].to_vec())
            .ok()
    };
    let marked = mark("user.mark").is_some_and(|value| value == b"m")
        || mark("user.mark").is_none() && !supports_marks();
    let me = if own.join("of-another").exists() {
        4321
    } else {
        rustix::process::getuid().as_raw()
    };
    let expected_link = own
        .join("link")
        .symlink_metadata()
        .is_ok_and(|link| link.uid() == rustix::process::getuid().as_raw());
    let empty =
        std::fs::metadata(own.join("empty")).is_ok_and(|empty| empty.mode() & 0o777 != 0o777);
    names.iter().all(|name| expected.contains(&name.as_str()))
        && names.len() >= 4
        && std::fs::read_to_string(&canary).is_ok_and(|text| text == "alive")
        && std::fs::read_to_string(own.join("secret")).is_ok_and(|text| text == secret)
        && meta.mode() & 0o7777 == 0o644
        && (meta.uid(), meta.nlink()) == (me, 1)
        && meta.mtime() > 1
        && flags_of(&canary) == 0
        && marked
        && ["user.omk", "security.capability", "system.posix_acl_access"]
            .iter()
            .all(|name| mark(name).is_none() && !has(&canary, name))
        && expected_link
        && empty
}

fn has(path: &Path, attribute: &str) -> bool {
    rustix::fs::getxattr(path, attribute, &mut [0_u8; 256][..]).is_ok()
}

fn supports_marks() -> bool {
    let file = tempfile::NamedTempFile::new_in(yards()).unwrap();
    rustix::fs::setxattr(
        file.path(),
        "user.mark",
        b"m",
        rustix::fs::XattrFlags::empty(),
    )
    .is_ok()
}

/// Flags like "immutable" and "not to be dumped"; what file systems set by themselves left out.
fn flags_of(path: &Path) -> u32 {
    let Ok(file) = std::fs::File::open(path) else {
        return 0;
    };
    let flags = rustix::fs::ioctl_getflags(&file).map_or(0, |flags| flags.bits());
    if flags & 0x70 != 0 {
        // What is immutable could not be removed when the test is over.
        let _ =
            rustix::fs::ioctl_setflags(&file, rustix::fs::IFlags::from_bits_retain(flags & !0x70));
    }
    // Append-only, immutable, no dump.
    flags & 0x70
}

/// A process that does nothing, whose name, environment and input are secret.
pub(super) fn victim(own: &Path, secret: &str) -> std::process::Child {
    use std::os::unix::process::CommandExt as _;
    let mut sleep = Command::new("sleep");
    sleep
        .arg0(secret)
        .arg("300")
        .env_clear()
        .env("SECRET", secret)
        .env("PATH", std::env::var_os("PATH").unwrap());
    sleep
        .stdin(std::fs::File::open(own.join("secret")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    sleep.current_dir(own).process_group(0).spawn().unwrap()
}
