//! Compares the three ledgers.

use crate::{Kill, client::Answered};
use std::{collections::HashMap, fmt, time::Duration};

/// What the comparison found.
pub struct Findings {
    seed: u64,
    rounds: u32,
    connections: usize,
    control: bool,
    answered: usize,
    upstream: usize,
    metered: usize,
    /// Ids that a client saw answered and that are not metered: lost money.
    lost: Vec<String>,
    /// Ids that are metered more than once: billed twice.
    doubled: Vec<String>,
    /// Ids that are metered and never reached the upstream: invented.
    invented: Vec<String>,
    /// Ids that are metered and that no client saw answered: in flight at a kill.
    in_flight: usize,
    other_statuses: String,
    slowest_restart: Duration,
}

/// Puts the ledgers beside each other. `metered` says how often each id is in Postgres.
pub fn compare(
    seed: u64,
    kill: &Kill,
    answered: &Answered,
    upstream: &HashMap<String, u32>,
    metered: &HashMap<String, u32>,
    restarts: &[Duration],
) -> Findings {
    let lost = answered.ids.iter().filter(|id| !metered.contains_key(*id)).cloned().collect();
    let doubled = metered.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id.clone()).collect();
    let invented = metered.keys().filter(|id| !upstream.contains_key(*id)).cloned().collect();
    let seen: std::collections::HashSet<&String> = answered.ids.iter().collect();
    Findings {
        seed,
        rounds: kill.rounds,
        connections: kill.connections,
        control: kill.without_spool,
        answered: answered.ids.len(),
        upstream: upstream.len(),
        metered: metered.len(),
        lost,
        doubled,
        invented,
        in_flight: metered.keys().filter(|id| !seen.contains(id)).count(),
        other_statuses: format!("{:?}", answered.statuses),
        slowest_restart: restarts.iter().max().copied().unwrap_or_default(),
    }
}

impl Findings {
    /// Whether the promise held. A run in which nobody was answered proves nothing and does not count as held.
    pub fn holds(&self) -> bool {
        let bound = self.connections * (self.rounds as usize + 1);
        self.answered > 1_000
            && self.lost.is_empty()
            && self.doubled.is_empty()
            && self.invented.is_empty()
            && self.in_flight <= bound
    }

    /// Whether calls that clients saw answered are not metered.
    pub fn lost_calls(&self) -> bool {
        !self.lost.is_empty()
    }

    pub fn to_json(&self) -> String {
        serde_json::json!({
            "experiment": "kill", "seed": self.seed, "rounds": self.rounds, "connections": self.connections,
            "control": self.control, "answered": self.answered, "upstream": self.upstream, "metered": self.metered,
            "lost": self.lost.len(), "doubled": self.doubled.len(), "invented": self.invented.len(),
            "in_flight": self.in_flight, "slowest_restart_ms": self.slowest_restart.as_millis() as u64,
            "holds": self.holds(),
        })
        .to_string()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "answered to clients {}, reached the upstream {}, metered {}",
            self.answered, self.upstream, self.metered
        )?;
        writeln!(f, "lost {}, doubled {}, invented {}", self.lost.len(), self.doubled.len(), self.invented.len())?;
        for id in self.lost.iter().chain(&self.doubled).chain(&self.invented).take(10) {
            writeln!(f, "  {id}")?;
        }
        writeln!(f, "metered though no client read the answer (in flight at a kill) {}", self.in_flight)?;
        writeln!(f, "other answers {}, slowest restart {} ms", self.other_statuses, self.slowest_restart.as_millis())?;
        let control = if self.control { " (control run without the spool: it must not)" } else { "" };
        write!(f, "{}{control}", if self.holds() { "holds" } else { "does not hold" })
    }
}
