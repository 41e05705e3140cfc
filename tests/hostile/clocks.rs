//! A clock that jumps deletes nothing.
