//! Tests of `engine::overlap`.

use super::*;

fn writes(globs: &[&str]) -> Sets {
    Sets {
        write: globs.iter().map(|glob| glob.parse().unwrap()).collect(),
        read: Vec::new(),
    }
}

fn found(index: &Index, sets: &Sets) -> Vec<u32> {
    let mut found = Vec::new();
    index.overlapping(sets, u32::MAX, |(_, owner)| {
        found.push(owner);
        ControlFlow::Continue(())
    });
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn ancestors_and_descendants_are_found_and_neighbours_are_not() {
    let mut index = Index::default();
    index.insert((1, 1), &writes(&["src/**"]));
    index.insert((2, 2), &writes(&["src/api/mod.rs"]));
    index.insert((3, 3), &writes(&["docs/*.md"]));
    index.insert((4, 4), &writes(&["**"]));
    assert_eq!(found(&index, &writes(&["src/api/**"])), [1, 2, 4]);
    assert_eq!(found(&index, &writes(&["docs/a.md"])), [3, 4]);
    index.remove((4, 4), &writes(&["**"]));
    assert_eq!(found(&index, &writes(&["docs/a.md"])), [3]);
}

#[test]
fn breaking_off_ends_one_place_alone_and_those_below_the_bound_come_from_the_highest_down() {
    let mut index = Index::default();
    for (key, globs) in [
        (1, "**"),
        (2, "**"),
        (3, "src/**"),
        (4, "src/*"),
        (5, "src/a"),
        (6, "src/a"),
        (7, "docs"),
    ] {
        index.insert((key, key), &writes(&[globs]));
    }
    let visits = |before: u32, flow: ControlFlow<()>| {
        let mut found = Vec::new();
        index.overlapping(&writes(&["src/a"]), before, |(_, owner)| {
            found.push(owner);
            flow
        });
        found
    };
    assert_eq!(visits(7, ControlFlow::Continue(())), [2, 1, 4, 3, 6, 5]);
    assert_eq!(visits(7, ControlFlow::Break(())), [2, 4, 6]);
    assert_eq!(visits(6, ControlFlow::Break(())), [2, 4, 5]);
}

#[test]
fn two_readers_do_not_overlap() {
    let reads = Sets {
        write: Vec::new(),
        read: vec!["src/**".parse().unwrap()],
    };
    let mut index = Index::default();
    index.insert((1, 1), &reads);
    assert_eq!(found(&index, &reads), [0u32; 0]);
    assert_eq!(found(&index, &writes(&["src/a"])), [1]);
}
