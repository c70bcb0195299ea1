//! File descriptors: as many as the system gives, and connections of clients only as far as all the rest fits beside them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More would help nobody, and some systems give billions.
const ENOUGH: u64 = 1 << 20;

/// For the usage log, Postgres, the portal, listeners and what the system's libraries open, besides pools.
const RESERVE: u64 = 128;

/// A client's connection, and one to the upstream for its call.
const FOR_EACH_CONNECTION: u64 = 2;

/// Raises the process's limit as far as it may, and returns the limit.
pub fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_none_or(|current| current >= wanted) {
        return current.unwrap_or(ENOUGH);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current.unwrap_or(ENOUGH)
        }
    }
}

/// Connections that each of the gateway's threads may hold, so that they never use up the descriptors of the rest.
pub fn connections(limit: u64, cores: usize, database: u32, configured: usize) -> usize {
    let cores = u64::try_from(cores.max(1)).unwrap_or(1);
    let left = limit.saturating_sub(RESERVE + u64::from(database) + 8 * cores);
    let fit = usize::try_from(left / (FOR_EACH_CONNECTION * cores)).unwrap_or(usize::MAX).max(8);
    if fit < configured {
        tracing::warn!(
            limit,
            connections = fit,
            "fewer connections than configured are taken: raise the limit of open files"
        );
    }
    fit.min(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_everything_else() {
        assert_eq!(connections(1 << 20, 4, 16, 10_000), 10_000);
        let each = connections(1_024, 2, 16, 10_000);
        assert_eq!(each, 216);
        assert!(2 * 2 * each as u64 + RESERVE + 16 + 16 <= 1_024);
        assert_eq!(connections(64, 2, 16, 10_000), 8, "a few even where there is no room");
        assert!(raise() >= 64);
    }
}
