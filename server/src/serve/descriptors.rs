//! File descriptors: as many as the system gives, and connections of clients only as far as all the rest fits beside them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More would help nobody, and some systems give billions.
const ENOUGH: u64 = 1 << 20;

/// For the usage log, Postgres beside its pool, and what the system's libraries open.
const RESERVE: u64 = 96;

/// For each of the gateway's threads: its lane of the usage log, its runtime and listeners, connections that it turns away.
const FOR_EACH_CORE: u64 = 48;

/// Part of what is left that the portal may take, and the admin listener.
const PORTAL_PART: u64 = 8;
const ADMIN_PART: u64 = 32;

/// Connections that each listener may hold, so that together they never use up the descriptors of the rest: what was
/// admitted can always be recorded and shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub portal: usize,
    pub admin: usize,
    /// Of clients, for each of the gateway's threads.
    pub clients: usize,
    /// To upstreams, for each of the gateway's threads: as many as clients, for one call of each.
    pub upstreams: usize,
}

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

impl Shares {
    /// Divides the limit. `configured` is what the gateway's threads may hold at most.
    pub fn of(limit: u64, cores: usize, database: u32, configured: usize) -> Self {
        let cores = u64::try_from(cores.max(1)).unwrap_or(1);
        let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let left = limit.saturating_sub(RESERVE + u64::from(database) + FOR_EACH_CORE * cores);
        let portal = (left / PORTAL_PART).clamp(8, 1_024);
        let admin = (left / ADMIN_PART).clamp(4, 64);
        // A few even where there is no room.
        let each = (left.saturating_sub(portal + admin) / (2 * cores)).max(8);
        let clients = narrow(each).min(configured);
        // Where there is plenty, calls over HTTP/2 may have more of it than one for each connection.
        let upstreams = narrow(left.saturating_sub(portal + admin) / cores).saturating_sub(clients).max(clients);
        Self { portal: narrow(portal), admin: narrow(admin), clients, upstreams }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_everything_else() {
        assert_eq!(Shares::of(1 << 20, 4, 16, 10_000).clients, 10_000);
        for (limit, cores) in [(512, 1), (1_024, 2), (4_096, 2), (20_000, 8), (1 << 20, 64)] {
            let shares = Shares::of(limit, cores, 16, 10_000);
            let gateway = cores * (shares.clients + shares.upstreams);
            let all = RESERVE + 16 + FOR_EACH_CORE * cores as u64 + (shares.portal + shares.admin + gateway) as u64;
            assert!(all <= limit, "{all} of {limit}: {shares:?}");
            assert!(shares.upstreams >= shares.clients && shares.portal > 8, "{limit}: {shares:?}");
        }
        let few = Shares { portal: 8, admin: 4, clients: 8, upstreams: 8 };
        assert_eq!(Shares::of(64, 2, 16, 10_000), few, "a few even where there is no room");
        assert!(raise() >= 64);
    }
}
