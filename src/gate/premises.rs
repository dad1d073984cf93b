//! What a gate's verdict depends on, as one key: two gates with the same key have the same verdict.
//!
//! It refuses to leave anything out that the plan or the machine can change.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use crate::id::Sha256;

/// What a verdict depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Premises {
    /// The version of omk.
    pub omk: String,
    /// The whole gate, as the plan has it.
    pub definition: String,
    /// What the gate reads of the judged tree.
    pub inputs: Sha256,
    /// What it reads of the base, which `OMK_BASE` names.
    pub base_inputs: Sha256,
    /// What it gets of the trusted commit.
    pub trusted: Sha256,
    /// `linux/x86_64`.
    pub platform: String,
    /// The room: its level, its network, whether Docker is in reach, and the mode of files that
    /// are made there.
    pub room: String,
    /// The variables that the gate gets, but those that name directories of one attempt.
    pub env: BTreeMap<OsString, OsString>,
    /// What its `fingerprint` printed, if it has one.
    pub fingerprint: Option<Sha256>,
}

impl Premises {
    /// The key.
    #[must_use]
    pub fn key(&self) -> Sha256 {
        let Self {
            omk,
            definition,
            inputs,
            base_inputs,
            trusted,
            platform,
            room,
            env,
            fingerprint,
        } = self;
        let mut said = Vec::new();
        let digests = [inputs, base_inputs, trusted].map(Sha256::as_str);
        let fingerprint = fingerprint.as_ref().map_or("", Sha256::as_str);
        let texts = [omk.as_str(), definition, platform, room, fingerprint]
            .into_iter()
            .chain(digests);
        texts.for_each(|text| add(&mut said, text.as_bytes()));
        for (name, value) in env {
            add(&mut said, name.as_bytes());
            add(&mut said, value.as_bytes());
        }
        Sha256::of(&said)
    }
}

/// Adds a part behind its length, so that no two lists of parts look the same.
fn add(said: &mut Vec<u8>, part: &[u8]) {
    said.extend(part.len().to_le_bytes());
    said.extend(part);
}

#[cfg(test)]
mod tests;
