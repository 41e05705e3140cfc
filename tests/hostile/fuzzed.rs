//! Bytes of any kind, read by every provider: nothing panics.
