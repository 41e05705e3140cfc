//! A log that cannot be written: no answer depends on it.
