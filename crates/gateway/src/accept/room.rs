//! Room for those who call. A core holds so many connections and no more; whoever only holds one, with a head that trickles in
//! or none at all, must not keep others out. When a core is full, connections without a call make way.

use super::{Connection, Core};
use std::rc::Rc;
use tokio::task::yield_now;

/// How often others may have their turn while we wait for those who make way.
const TURNS: usize = 8;

/// So much of what a core holds makes way at once, so that a flood of connections does not search for each of them.
const PART: usize = 64;

/// Who makes way first: those that never made a call, the oldest first; then those whose last call is longest ago.
type Rank = (bool, u64, u64);

impl Core {
    /// Whether there is room for one connection more.
    pub(super) fn has_room(&self) -> bool {
        self.connections.borrow().len() < self.shared.connections_per_core
    }

    /// Lets others make way where there is no room. Theirs is free once they are gone, files and all; whom there is no room for
    /// then is turned away.
    pub(super) async fn make_room(&self) {
        let mut turns = 0;
        while !self.has_room() && turns < TURNS && (self.making_way.get() > 0 || self.dismiss()) {
            turns += 1;
            yield_now().await;
        }
    }

    /// Whether somebody makes way.
    fn dismiss(&self) -> bool {
        // All that were here at this tick are busy; a look at each of them for every client that is turned away would be
        // a way to keep us busy too.
        if self.crowded_at.get() == Some(self.now.get()) {
            return false;
        }
        let connections = self.connections.borrow();
        let rank = |(number, connection): (&u64, &Rc<Connection>)| -> Option<Rank> {
            connection.waits_since().map(|(greeted, since)| (greeted, since, *number))
        };
        let mut waiting: Vec<Rank> = connections.iter().filter_map(rank).collect();
        let part = (self.shared.connections_per_core / PART).max(1).min(waiting.len());
        if part == 0 {
            self.crowded_at.set(Some(self.now.get()));
            return false;
        }
        waiting.select_nth_unstable(part - 1);
        for connection in waiting.iter().take(part).filter_map(|(_, _, number)| connections.get(number)) {
            connection.make_way();
        }
        self.making_way.set(part);
        self.shared.metrics.displaced.increment(part as u64);
        true
    }
}
