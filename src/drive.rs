//! The loop: gather facts, the engine takes them, write and sync, carry out the orders.
