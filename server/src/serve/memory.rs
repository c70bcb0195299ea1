//! Memory: connections and calls only as far as the process's memory goes, so that a flood of them meets a bound before it
//! meets the kernel, which ends the process.

use std::fs;

/// Part of the memory that clients may take; the rest is for the snapshot, caches, the portal and Postgres beside us.
const PART: u64 = 2;

/// What a client's connection may cost, in bytes: a head of the longest kind in a buffer that has grown, and what that leaves
/// behind in the allocator (300 KiB were measured, by `cargo xtask chaos exhaustion memory`); or a call, its fields and the
/// pieces of its bodies that are on their way.
const FOR_EACH: u64 = 384 << 10;

/// A few even where there is no room.
const FEWEST: u64 = 8;

/// Where control groups say what they allow, in their second and in their first version.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// What clients may have, for each of the gateway's threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub connections: usize,
    pub calls: usize,
}

/// The memory that there is for this process, in bytes: the configured limit, or the least that the system names.
pub fn limit(configured: Option<u64>) -> u64 {
    let of_group = LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    configured.or_else(|| of_group.chain(of_machine()).min()).unwrap_or(u64::MAX)
}

fn of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().trim_end_matches("kB").trim_end().parse().ok()?;
    Some(kib.saturating_mul(1_024))
}

impl Room {
    /// Divides the memory among the gateway's threads.
    pub fn of(limit: u64, cores: usize) -> Self {
        let cores = u64::try_from(cores.max(1)).unwrap_or(1);
        let fit = usize::try_from((limit / PART / FOR_EACH / cores).max(FEWEST)).unwrap_or(usize::MAX);
        // One connection of HTTP/2 has many calls.
        Self { connections: fit, calls: fit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_half_of_the_memory_and_a_few_always_fit() {
        assert_eq!(Room::of(256 << 20, 1), Room { connections: 341, calls: 341 });
        assert_eq!(Room::of(256 << 20, 4), Room { connections: 85, calls: 85 });
        assert_eq!(Room::of(1 << 20, 64), Room { connections: 8, calls: 8 });
        assert!(Room::of(u64::MAX, 1).connections > 1_000_000);
        assert_eq!(limit(Some(5)), 5);
        assert!(limit(None) > 64 << 20);
    }
}
