//! What the system does to children: why they may get no better room, and the mode of the files
//! that they make.
//!
//! It refuses to conclude from them what is possible: [`super::probe`] tries it.

use crate::report::checkup::Kernel;

/// The mask of file modes that children begin with, as octal digits; empty where the system does
/// not tell.
#[must_use]
pub fn umask() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    told.map(|mask| mask.trim().to_owned()).unwrap_or_default()
}

/// What this machine's kernel lets programs do.
#[must_use]
pub fn kernel() -> Kernel {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    let is_there = |path: &str| std::path::Path::new(path).exists();
    Kernel {
        release: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        apparmor_restricts: is(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ),
        namespaces_off: is("/proc/sys/kernel/unprivileged_userns_clone", "0")
            || is("/proc/sys/user/max_user_namespaces", "0"),
        container: is_there("/.dockerenv") || is_there("/run/.containerenv"),
    }
}
