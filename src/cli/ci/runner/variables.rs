//! A runner's variables, each parsed once; what is missing or malformed is named.

use std::path::PathBuf;

use crate::cli::{CommandFailure, FailureKind};
use crate::exec::environment::Caller;
use crate::text::ForgeKind;

/// The variables of a job at that forge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables<'a> {
    pub(super) caller: &'a Caller,
    pub(super) forge: ForgeKind,
}

impl<'a> Variables<'a> {
    pub(super) fn required(&self, name: &str) -> Result<&'a str, CommandFailure> {
        self.caller.text(name).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> CommandFailure {
        let whose = match self.forge {
            ForgeKind::GitHub => "the action runs in a workflow's job",
            ForgeKind::GitLab => "the component runs in a pipeline's job",
        };
        CommandFailure::new(
            FailureKind::Usage,
            format!("the variable {name} is not set"),
        )
        .hint(format!(
            "`omk ci` is what {whose}; on your machine, use `omk run`"
        ))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.caller.text(name).map(str::to_owned)
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        path(self.caller, name)
    }

    pub(super) fn directory(&self, name: &str) -> Result<PathBuf, CommandFailure> {
        let path = self.path(name).ok_or_else(|| self.missing(name))?;
        if path.is_absolute() {
            Ok(path)
        } else {
            Err(wrong(name, "an absolute path"))
        }
    }

    /// An address without a slash at its end.
    pub(super) fn url(&self, name: &str, usual: Option<&str>) -> Result<String, CommandFailure> {
        let text = self
            .caller
            .text(name)
            .or(usual)
            .ok_or_else(|| self.missing(name))?
            .trim_end_matches('/');
        let parsed = reqwest::Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        parsed.map(|_| text.to_owned()).ok_or_else(|| {
            wrong(
                name,
                "an address that begins with `https://` or `http://`, and holds no user",
            )
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, CommandFailure> {
        positive(name, self.required(name)?)
    }

    pub(super) fn number_or(&self, name: &str, usual: u64) -> Result<u64, CommandFailure> {
        self.caller
            .text(name)
            .map_or(Ok(usual), |text| positive(name, text))
    }
}

fn positive(name: &str, text: &str) -> Result<u64, CommandFailure> {
    text.parse()
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| wrong(name, "a whole number from 1"))
}

/// A repository's name: `owner/name`; at GitLab with all its groups, of which there are at most
/// twenty.
pub(super) fn repository(
    variable: &str,
    name: &str,
    forge: ForgeKind,
) -> Result<String, CommandFailure> {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty()
            && part.len() <= 255
            && part.bytes().all(plain)
            && !matches!(part, "." | "..")
    };
    let (most, expected) = match forge {
        ForgeKind::GitHub => (2, "`owner/name`"),
        ForgeKind::GitLab => (22, "`group/name`, with all groups"),
    };
    let count = name.split('/').count();
    if (2..=most).contains(&count) && name.split('/').all(part) {
        Ok(name.to_owned())
    } else {
        Err(wrong(variable, expected))
    }
}

pub(in crate::cli::ci) fn path(caller: &Caller, name: &str) -> Option<PathBuf> {
    caller.text(name).map(PathBuf::from)
}

pub(in crate::cli::ci) fn wrong(name: &str, expected: &str) -> CommandFailure {
    CommandFailure::new(
        FailureKind::Usage,
        format!("the variable {name} is not right: it must be {expected}"),
    )
}
