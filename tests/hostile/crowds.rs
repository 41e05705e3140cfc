//! Who asks much waits; who asks little does not.
