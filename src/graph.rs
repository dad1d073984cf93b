//! Directed graphs over dense indexes: order, cycles, ancestors, the critical path. No recursion.
