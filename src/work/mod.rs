//! The workshop: hands that do real work.
