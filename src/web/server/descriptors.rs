//! How many descriptors the system lets us have: each connection takes one, and the database, files and requests of our own
//! take theirs.

/// How many are left to all that is no connection of a client's; where there are fewer than twice as many, half of them.
const RESERVE: u64 = 256;

/// Asks the system for as many descriptors as it will give. Where it gives no more, what there is must do.
#[cfg(unix)]
pub fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    if limits.current == limits.maximum {
        return;
    }
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// There is nothing to ask for.
#[cfg(not(unix))]
pub fn raise() {}

/// How many descriptors there may be: now, and at most after [`raise`]. `None` where nothing limits them.
#[cfg(unix)]
pub fn limits() -> (Option<u64>, Option<u64>) {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limits.current, limits.maximum)
}

/// Nothing limits them.
#[cfg(not(unix))]
pub fn limits() -> (Option<u64>, Option<u64>) {
    (None, None)
}

/// How many connections there can be by a limit of descriptors, of those that are wanted.
pub fn places(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let left = limit - RESERVE.min(limit / 2);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_others() {
        assert_eq!(places(2_048, None), 2_048);
        assert_eq!(places(2_048, Some(1 << 20)), 2_048);
        assert_eq!(places(2_048, Some(2_304)), 2_048);
        assert_eq!(places(2_048, Some(1_024)), 768);
        assert_eq!(places(2_048, Some(256)), 128);
        assert_eq!(places(2_048, Some(0)), 0);
    }
}
