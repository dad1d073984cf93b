//! The rooms of a run: what its children see of this machine, and what they do not.
//!
//! It refuses to know how a room is made, and it never shows what it hides: a directory of tools
//! that holds the user's checkout is not shown.

mod view;
mod way;

use std::path::PathBuf;

use super::caches::Seed;
use super::stand_in::StandIn;
use super::{RunShared, private, settings};
use crate::exec::Sandbox;
use crate::exec::environment::ChildEnv;
use crate::plan::RoomLevel;
use view::{alternates, may_be_seen, own_directories};

pub(super) use view::Views;
pub(super) use way::Way;

/// Where Docker listens.
const DOCKER: &str = "/var/run/docker.sock";

/// What must lie on the disk before a child can start in its room. A gate's private directories are
/// emptied before each execution, so it is made each time.
#[derive(Debug, Clone)]
pub(super) struct Furnishing {
    seeds: Vec<Seed>,
    /// A repository, if the user's cannot be copied.
    stand_in: Option<StandIn>,
    /// The repository, and where its settings go without their credentials.
    settings: (PathBuf, PathBuf),
}

impl Furnishing {
    /// Makes it. Blocks.
    pub(super) fn make(&self) {
        self.seeds.iter().for_each(Seed::make);
        self.stand_in.iter().for_each(StandIn::make);
        settings::leave_out_credentials(&self.settings.0, &self.settings.1);
    }
}

/// The room for a child of this run, and what is to be made first: it writes to `writable`;
/// `scratch` is a directory of its own. A cache that it cannot have as a copy becomes one of its
/// own, with a variable that leads there.
pub(super) fn room(
    shared: &RunShared,
    env: &mut ChildEnv,
    mut writable: Vec<PathBuf>,
    scratch: PathBuf,
    way: &Way,
) -> (Sandbox, Furnishing) {
    let tools = &shared.tools;
    let repository = tools.repo.common_dir();
    let view = shared.views.of(shared, env);
    for name in &view.unseen {
        env.vars.remove(std::ffi::OsStr::new(name));
    }
    let (borrowed, ours) = (alternates(repository), own_directories(tools));
    let docker = tools.plan.room.docker.then(|| PathBuf::from(DOCKER));
    let clones = settings::clones_of_submodules(repository);
    // Submodules in slots borrow from the user's clones, which may borrow in turn.
    let by_clones: Vec<PathBuf> = clones.iter().flat_map(|clone| alternates(clone)).collect();
    let shown = borrowed
        .iter()
        .chain(&by_clones)
        .filter(|path| may_be_seen(tools, &ours, path))
        .cloned();
    let shown: Vec<PathBuf> = view
        .programs
        .iter()
        .chain(&view.named)
        .cloned()
        .chain(shown)
        .chain(docker)
        .collect();
    let mut hidden = tools.caller.private_directories().to_vec();
    let (mut copied, mut seeds) = (view.copied.clone(), Vec::new());
    for (variable, theirs) in &view.replaced {
        let seed = Seed::new(variable, theirs.clone(), &scratch);
        env.vars.insert(variable.into(), seed.own().into());
        writable.push(seed.own().to_owned());
        seeds.push(seed);
    }
    hidden.extend(copied.iter().flat_map(|cache| private::in_cache(cache)));
    hidden.extend(
        view.programs
            .iter()
            .flat_map(|tool| private::beside_programs(tool)),
    );
    copied.push(repository.to_path_buf());
    let number = copied.len() - 1;
    let cannot_copy = tools.level == RoomLevel::Sealed && !shared.copies.has(repository);
    let stand_in =
        cannot_copy.then(|| StandIn::new(repository, &scratch, number, (borrowed, clones)));
    let changes = || scratch.join(Sandbox::changes_of(number));
    let settings = (
        repository.to_path_buf(),
        stand_in
            .as_ref()
            .map_or_else(changes, |own| own.path().to_owned()),
    );
    hidden.extend(ours);
    // Runs, their logs and journals lie in the repository.
    hidden.push(repository.join("omk"));
    hidden.extend(private::in_repository(repository));
    hidden.extend(settings::unread(repository));
    if stand_in.is_some() {
        // It has nothing that would have to be hidden, nor directories to lay something over.
        hidden.retain(|path| !path.starts_with(repository));
    }
    let least = tools.plan.room.demand([&way.network]).least();
    let (reach, scratch) = (way.reach.clone(), Some(scratch));
    let room = Sandbox {
        writable,
        copied,
        shown,
        hidden,
        scratch,
        reach,
        least,
        ..Sandbox::default()
    };
    (
        room,
        Furnishing {
            seeds,
            stand_in,
            settings,
        },
    )
}
