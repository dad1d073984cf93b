//! Tests of `graph`.

use proptest::prelude::*;

use super::*;

/// 0 <- 1 <- 3, 0 <- 2 <- 3, and 4 alone.
fn diamond() -> Graph {
    Graph::new(5, &[(0, 1), (0, 2), (1, 3), (2, 3)])
}

#[test]
fn a_diamond_is_ordered_and_cut_into_waves() {
    let graph = diamond();
    assert_eq!(graph.order(), Ok(vec![0, 1, 2, 3, 4]));
    assert_eq!(graph.order_by(Reverse), Ok(vec![4, 0, 2, 1, 3]));
    assert_eq!(graph.waves(), Ok(vec![vec![0, 4], vec![1, 2], vec![3]]));
    assert_eq!(graph.longest_chains(), Ok(vec![2, 1, 1, 0, 0]));
    assert_eq!(graph.critical_path(), Ok(vec![0, 1, 3]));
    assert_eq!(graph.dependencies(3), [1, 2]);
    assert_eq!(graph.dependents(0), [1, 2]);
    assert_eq!(graph.ancestors(3), [0, 1, 2]);
    assert_eq!(graph.descendants(0), [1, 2, 3]);
    assert_eq!(graph.ancestors(4), [] as [usize; 0]);
}

#[test]
fn a_cycle_is_named_by_its_path_alone() {
    // 4 needs 3 needs 1 needs 2 needs 3, and 0 is innocent.
    let graph = Graph::new(5, &[(3, 4), (1, 3), (2, 1), (3, 2), (0, 1)]);
    assert_eq!(
        graph.order(),
        Err(Cycle {
            path: vec![1, 2, 3]
        })
    );
    assert_eq!(
        graph.waves(),
        Err(Cycle {
            path: vec![1, 2, 3]
        })
    );
    assert_eq!(graph.ancestors(1), [0, 1, 2, 3]);
    assert_eq!(
        Graph::new(1, &[(0, 0)]).order(),
        Err(Cycle { path: vec![0] })
    );
}

#[test]
fn nothing_has_an_empty_order() {
    let graph = Graph::new(0, &[]);
    assert!(graph.is_empty());
    assert_eq!(graph.order(), Ok(vec![]));
    assert_eq!(graph.waves(), Ok(vec![]));
    assert_eq!(graph.critical_path(), Ok(vec![]));
}

#[test]
fn doubled_edges_do_not_lock_a_node() {
    let graph = Graph::new(2, &[(0, 1), (0, 1)]);
    assert_eq!(graph.order(), Ok(vec![0, 1]));
    assert_eq!(graph.critical_path(), Ok(vec![0, 1]));
}

#[test]
fn a_chain_of_a_hundred_thousand_needs_no_stack() {
    let nodes = 100_000;
    let edges: Vec<_> = (1..nodes).map(|node| (node - 1, node)).collect();
    let graph = Graph::new(nodes, &edges);
    assert_eq!(graph.critical_path().map(|path| path.len()), Ok(nodes));
    assert_eq!(graph.ancestors(nodes - 1).len(), nodes - 1);
    let closed: Vec<_> = edges.into_iter().chain([(nodes - 1, 0)]).collect();
    let cycle = Graph::new(nodes, &closed)
        .order()
        .expect_err("it is closed");
    assert_eq!(cycle.path.len(), nodes);
}

proptest! {
    #[test]
    fn every_graph_has_an_order_or_a_cycle(
        edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30),
    ) {
        let graph = Graph::new(12, &edges);
        match graph.order() {
            Ok(order) => {
                let mut place = [0; 12];
                order.iter().enumerate().for_each(|(at, &node)| place[node] = at);
                prop_assert!(edges.iter().all(|&(from, to)| place[from] < place[to]));
                let path = graph.critical_path().expect("there is an order");
                prop_assert_eq!(path.len(), graph.waves().expect("there is an order").len());
            }
            Err(cycle) => {
                let mut after = cycle.path.clone();
                after.rotate_left(1);
                for (node, needed) in cycle.path.iter().zip(after) {
                    prop_assert!(graph.dependencies(*node).contains(&needed));
                }
            }
        }
    }
}
