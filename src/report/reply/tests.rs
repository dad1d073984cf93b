//! Every text that a person can get.
