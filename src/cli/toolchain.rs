//! The toolchain that a repository asks of rustup. A child cannot install it: rustup's directory is
//! not its own to write.
//!
//! It refuses to start rustup, which would install what is missing, and to read more of the file
//! than the one name.

use std::path::Path;

use super::needs::{NeedFinding, NeedsContext};
use crate::exec::environment::Caller;
use crate::plain_file;
use crate::report::checkup::Point;

/// The longest file that is read: the documented ones have ten lines.
const LONGEST: u64 = 64 << 10;

/// The file's names, in the order in which rustup looks for them.
const FILES: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// Looks whether it is installed.
pub(super) fn look(ground: &NeedsContext<'_>) -> NeedFinding {
    point(&ground.caller, ground.home.repo.workdir())
        .map_or_else(NeedFinding::nothing, NeedFinding::tell)
}

/// `None` if the repository asks for no toolchain, or rustup is not in use.
fn point(caller: &Caller, repository: &Path) -> Option<Point> {
    let home = caller.directory("RUSTUP_HOME", Some(".rustup"))?;
    let installed = std::fs::read_dir(home.join("toolchains")).ok()?;
    let names: Vec<String> = installed
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let (file, channel) = FILES.into_iter().find_map(|file| {
        let text = plain_file::read(&repository.join(file), LONGEST).ok()?;
        Some((file, channel(&String::from_utf8_lossy(&text))?))
    })?;
    Some(Point::toolchain(
        file,
        &channel,
        names.iter().any(|name| is_toolchain(name, &channel)),
    ))
}

/// Whether that directory of rustup's holds the toolchain: its name alone, or with the machine's
/// triple after it.
fn is_toolchain(name: &str, channel: &str) -> bool {
    // A date may follow a channel, and then it is another one: `nightly-2026-01-01-x86_64-…`.
    let rest = name
        .strip_prefix(channel)
        .and_then(|rest| rest.strip_prefix('-'));
    name == channel || rest.is_some_and(|rest| rest.starts_with(std::env::consts::ARCH))
}

/// The channel that the file names: a line of its own in the old format, `channel = "…"` in the new
/// one. A name that rustup would not take is none.
fn channel(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .collect();
    let named = lines.iter().find_map(|line| {
        let value = line
            .strip_prefix("channel")?
            .trim_start()
            .strip_prefix('=')?;
        Some(value.trim().trim_matches(['"', '\'']))
    });
    let written: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let name = match (named, written.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => return None,
    };
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_in_both_formats() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(channel(text).as_deref(), expect, "{text}")
        };
        check(
            "[toolchain]\nchannel = \"1.80.0\" # pinned\ncomponents = [\"clippy\"]\n",
            Some("1.80.0"),
        );
        check(
            "# why\n[toolchain]\nchannel='nightly-2026-01-01'\n",
            Some("nightly-2026-01-01"),
        );
        check("stable\n", Some("stable"));
        check("[toolchain]\npath = \"/opt/rust\"\n", None);
        check("[toolchain]\nchannel = \"$(rm -rf .)\"\n", None);
        check("", None);
    }

    #[test]
    fn a_toolchain_is_known_by_its_directory() {
        let arch = std::env::consts::ARCH;
        assert!(is_toolchain(
            &format!("1.80.0-{arch}-unknown-linux-gnu"),
            "1.80.0"
        ));
        assert!(is_toolchain("mine", "mine"));
        assert!(!is_toolchain(
            &format!("1.80.0-{arch}-unknown-linux-gnu"),
            "1.80"
        ));
        assert!(!is_toolchain(
            &format!("nightly-2026-01-01-{arch}-unknown-linux-gnu"),
            "nightly"
        ));
    }
}
