//! Task records in the format of omk 0.5.0.
