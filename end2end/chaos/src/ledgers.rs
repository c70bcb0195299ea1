//! Three ledgers by request id, put beside each other: calls whose whole answer a client read (C), calls that reached the
//! upstream (U), and events in Postgres (M).

use std::collections::{HashMap, HashSet};

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    pub answered: usize,
    pub reached: usize,
    pub metered: usize,
    /// Answered to a client and not metered: lost money.
    pub lost: Vec<String>,
    /// Metered more than once: billed twice.
    pub doubled: Vec<String>,
    /// Metered, and never at the upstream.
    pub invented: Vec<String>,
    /// Metered, and no client read the answer: in flight when something broke.
    pub unheard: usize,
}

/// `reached` and `metered` say how often an id is there.
pub fn compare<'a>(
    answered: impl IntoIterator<Item = &'a String>,
    reached: &HashMap<String, u32>,
    metered: &HashMap<String, u32>,
) -> Comparison {
    let answered: HashSet<&String> = answered.into_iter().collect();
    Comparison {
        answered: answered.len(),
        reached: reached.keys().filter(|id| id.starts_with("chaos-")).count(),
        metered: metered.len(),
        lost: answered.iter().filter(|id| !metered.contains_key(**id)).map(|id| (*id).clone()).collect(),
        doubled: metered.iter().filter(|(_, count)| **count > 1).map(|(id, _)| id.clone()).collect(),
        invented: metered.keys().filter(|id| !reached.contains_key(*id)).cloned().collect(),
        unheard: metered.keys().filter(|id| !answered.contains(id)).count(),
    }
}

impl Comparison {
    /// Nothing lost, nothing twice, nothing invented. Where nobody was answered nothing is shown either.
    pub fn is_exact(&self) -> bool {
        self.answered > 0 && self.lost.is_empty() && self.doubled.is_empty() && self.invented.is_empty()
    }

    /// For one line of a report.
    pub fn tell(&self) -> String {
        let Self { answered, reached, metered, lost, doubled, invented, unheard } = self;
        let examples: Vec<&str> = lost.iter().chain(doubled).chain(invented).take(5).map(String::as_str).collect();
        let as_in = if examples.is_empty() { String::new() } else { format!(" (as {})", examples.join(", ")) };
        format!(
            "{answered} calls answered, {reached} at the upstream, {metered} metered: {} lost, {} doubled, {} invented{as_in}; \
             {unheard} metered whose answer no client read",
            lost.len(),
            doubled.len(),
            invented.len(),
        )
    }
}
