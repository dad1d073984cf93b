//! Python's environments, and what in them leads into the checkout: editable installs, in all the
//! forms that tools have given them.
//!
//! It refuses to start a Python: one that is asked runs the very files that are looked for.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Checkout, Lead, entries, read};

/// What in the environments that belong to these directories of programs leads into the checkout;
/// one lead for each directory of packages. `links` are the links in those directories, with what
/// they lead to.
pub(super) fn leads(
    checkout: &Checkout,
    home: Option<&Path>,
    programs: &[PathBuf],
    links: &[(PathBuf, PathBuf)],
) -> Vec<Lead> {
    let mut prefixes: BTreeSet<PathBuf> = programs
        .iter()
        .flat_map(|directory| prefixes_of(directory))
        .collect();
    // `pipx` and `uv` give each tool an environment, and PATH a link into it. The same holds for
    // Python itself.
    prefixes.extend(links.iter().filter_map(|(link, target)| {
        let prefix = target.parent()?.parent()?;
        let is_python = link
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("python"));
        (is_python || prefix.join("pyvenv.cfg").exists()).then(|| prefix.to_owned())
    }));
    // Children have another HOME, and do not find what is installed there. Then their words say
    // nothing of the reason.
    prefixes.extend(home.map(|home| home.join(".local")));
    let sites: BTreeSet<PathBuf> = prefixes
        .iter()
        .flat_map(|prefix| sites_in(prefix))
        .collect();
    let sites = sites.iter().filter(|site| !checkout.holds(site));
    sites
        .filter_map(|site| {
            entries(site)
                .into_iter()
                .find(|entry| leads_into(checkout, site, entry))
        })
        .map(lead)
        .collect()
}

/// The installations that a directory of programs belongs to.
fn prefixes_of(programs: &Path) -> Vec<PathBuf> {
    let Some(parent) = programs.parent() else {
        return Vec::new();
    };
    match programs.file_name().and_then(OsStr::to_str) {
        // pyenv: one program that chooses among many.
        Some("shims") => entries(&parent.join("versions")),
        _ => vec![parent.to_owned()],
    }
}

/// The directories of packages of an installation, by their real names.
fn sites_in(prefix: &Path) -> Vec<PathBuf> {
    let libraries = ["lib", "lib64"].map(|name| prefix.join(name));
    let pythons = libraries
        .iter()
        .flat_map(|library| entries(library))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("python"))
        });
    let sites =
        pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)));
    sites
        .filter_map(|site| std::fs::canonicalize(site).ok())
        .collect()
}

fn leads_into(checkout: &Checkout, site: &Path, entry: &Path) -> bool {
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    if entry.is_symlink() {
        return checkout.holds(entry);
    }
    if name.ends_with(".dist-info") {
        let origin = read(&entry.join("direct_url.json"));
        return origin.contains("\"editable\"") && checkout.is_named_in(&origin);
    }
    // What is found by a module of setuptools' own has its paths there.
    if name.starts_with("__editable__") && name.ends_with(".py") {
        return checkout.is_named_in(&read(entry));
    }
    if !name.ends_with(".pth") && !name.ends_with(".egg-link") {
        return false;
    }
    read(entry)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .any(|line| {
            // Python runs a line that begins so, and takes any other for a path.
            if line.starts_with("import ") {
                checkout.is_named_in(line)
            } else {
                checkout.holds(&site.join(line))
            }
        })
}

fn lead(entry: PathBuf) -> Lead {
    Lead {
        what: format!("the Python package `{}` is installed from the checkout", entry.display()),
        next: "uninstall it (`pip uninstall NAME`); a gate finds the code that it judges with `env: { PYTHONPATH: src }`, or installs it into an environment that it makes"
            .to_owned(),
    }
}
