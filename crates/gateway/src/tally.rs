//! What was served, counted by another way than the usage log, so that the two can be compared.
//!
//! Each core counts the calls and units of each partner and hour as the events are made, before they are bytes. A call counts
//! once its event is written. Each second the numbers that changed are laid out for whoever tells them to the others, together
//! with the record up to which they count: [`Tallies`].

use crate::quick_hash::QuickMap;
use domain::{id::PartnerId, key_text::Environment, usage::UsageEvent};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

/// Hours behind the newest that are kept in mind.
const KEPT_HOURS: i64 = 2;

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TallyKey {
    pub partner: PartnerId,
    /// Hours since 1970.
    pub hour: i64,
    pub environment: Environment,
    /// Rises where the lane forgets old hours: the same hour may come again, and is counted from zero then.
    pub part: u32,
}

/// Calls and their units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub calls: u64,
    pub units: u64,
}

/// What a lane has counted since the gateway started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneTally {
    /// The life of the node: [`spool::Home::epoch`].
    pub epoch: u64,
    /// All records are counted from this one on...
    pub first: u64,
    /// ...to before this one.
    pub through: u64,
    /// Absolute numbers, of those that changed since they were last taken.
    pub rows: HashMap<TallyKey, Tally>,
}

/// The tallies of all lanes, laid out to be told. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tallies(Arc<Mutex<BTreeMap<u32, LaneTally>>>);

impl Tallies {
    /// Takes what changed since the last time, by lane.
    pub fn take(&self) -> BTreeMap<u32, LaneTally> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes
            .iter_mut()
            .map(|(lane, tally)| (*lane, LaneTally { rows: mem::take(&mut tally.rows), ..*tally }))
            .collect()
    }

    /// What could not be told: it is taken again, unless newer numbers are there.
    pub fn give_back(&self, untold: BTreeMap<u32, LaneTally>) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (lane, tally) in untold {
            let held = lanes.entry(lane).or_default();
            for (key, count) in tally.rows {
                held.rows.entry(key).or_insert(count);
            }
        }
    }

    fn lay_out(&self, lane: u32, counting: &mut Counting, epoch: u64, through: u64) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = lanes.entry(lane).or_default();
        (held.epoch, held.first, held.through) = (epoch, counting.first, through);
        for place in counting.changed.drain(..) {
            if let Some(row) = counting.rows.get_mut(place) {
                row.is_changed = false;
                held.rows.insert(row.key, row.tally);
            }
        }
    }
}

/// One lane's counts.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    first: u64,
    /// Of events that are gathered and not written.
    pending: Vec<(TallyKey, u64)>,
    rows: Vec<Row>,
    places: QuickMap<(u128, i64, bool), usize>,
    /// Calls come in runs of one partner.
    last: usize,
    changed: Vec<usize>,
    newest: i64,
    part: u32,
}

#[derive(Debug)]
struct Row {
    key: TallyKey,
    tally: Tally,
    is_changed: bool,
}

impl Counting {
    /// Counts from that record on.
    pub(crate) fn from(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// The event is gathered.
    pub(crate) fn gather<Text>(&mut self, event: &UsageEvent<Text>) {
        let hour = event.at.as_second().div_euclid(3600);
        let key = TallyKey { partner: event.partner, hour, environment: event.environment, part: 0 };
        self.pending.push((key, event.units));
    }

    /// All that were gathered are written.
    pub(crate) fn written(&mut self) {
        let mut pending = mem::take(&mut self.pending);
        for (key, units) in pending.drain(..) {
            self.add(key, units);
        }
        self.pending = pending;
    }

    /// None of them is, nor will be.
    pub(crate) fn lost(&mut self) {
        self.pending.clear();
    }

    fn add(&mut self, key: TallyKey, units: u64) {
        let same = |row: &Row| {
            row.key.partner == key.partner && row.key.hour == key.hour && row.key.environment == key.environment
        };
        if !self.rows.get(self.last).is_some_and(same) {
            self.last = self.place(key);
        }
        if let Some(row) = self.rows.get_mut(self.last) {
            row.tally.calls += 1;
            row.tally.units = row.tally.units.saturating_add(units);
            if !mem::replace(&mut row.is_changed, true) {
                self.changed.push(self.last);
            }
        }
    }

    fn place(&mut self, key: TallyKey) -> usize {
        self.newest = self.newest.max(key.hour);
        let of = (key.partner.0.as_u128(), key.hour, key.environment == Environment::Test);
        *self.places.entry(of).or_insert_with(|| {
            let row = Row { key: TallyKey { part: self.part, ..key }, tally: Tally::default(), is_changed: false };
            self.rows.push(row);
            self.rows.len() - 1
        })
    }

    /// Lays out what changed, up to that record: the first that is not written.
    pub(crate) fn tell(&mut self, tallies: &Tallies, lane: u32, epoch: u64, through: u64) {
        tallies.lay_out(lane, self, epoch, through);
        let is_old = |row: &Row| row.key.hour < self.newest - KEPT_HOURS;
        if self.rows.iter().any(is_old) {
            let newest = self.newest;
            self.rows.retain(|row| row.key.hour >= newest - KEPT_HOURS);
            let place = |(place, row): (usize, &Row)| {
                ((row.key.partner.0.as_u128(), row.key.hour, row.key.environment == Environment::Test), place)
            };
            self.places = self.rows.iter().enumerate().map(place).collect();
            self.last = 0;
            self.part += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::wire;

    fn event(partner: u128, hour: i64, units: u64) -> UsageEvent {
        let mut bytes = vec![1, 0, 0];
        bytes.resize(3 + 8 + 4 + 2 + 48 + 5 + 3, 0);
        let event = wire::decode(&bytes).expect("an event");
        let at = jiff::Timestamp::from_second(hour * 3600 + 3599).expect("in range");
        UsageEvent { at, partner: PartnerId(uuid::Uuid::from_u128(partner)), units, ..event }
    }

    fn told(tallies: &Tallies) -> Vec<(u128, i64, u32, u64, u64)> {
        let lane = tallies.take().remove(&3).unwrap_or_default();
        let mut rows: Vec<_> = lane.rows.into_iter().collect();
        rows.sort_by_key(|(key, _)| (key.partner.0, key.hour, key.part));
        let row =
            |(key, tally): (TallyKey, Tally)| (key.partner.0.as_u128(), key.hour, key.part, tally.calls, tally.units);
        rows.into_iter().map(row).collect()
    }

    #[test]
    fn calls_count_once_their_events_are_written_and_what_changed_is_told_as_absolute_numbers() {
        let (mut counting, tallies) = (Counting::from(7), Tallies::default());
        for (partner, units) in [(1, 5), (2, 1), (1, 5)] {
            counting.gather(&event(partner, 100, units));
        }
        counting.tell(&tallies, 3, 9, 7);
        assert_eq!(told(&tallies), []);
        counting.written();
        counting.gather(&event(1, 100, 1000));
        counting.lost();
        counting.tell(&tallies, 3, 9, 10);
        assert_eq!(tallies.take()[&3].through, 10);
        counting.gather(&event(1, 101, 1));
        counting.gather(&event(1, 100, 1));
        counting.written();
        counting.tell(&tallies, 3, 9, 12);
        assert_eq!(told(&tallies), [(1, 100, 0, 3, 11), (1, 101, 0, 1, 1)], "and not the other's again");
    }

    #[test]
    fn what_could_not_be_told_is_told_later_unless_it_has_changed() {
        let (mut counting, tallies) = (Counting::from(0), Tallies::default());
        for partner in [1, 2] {
            counting.gather(&event(partner, 100, 1));
        }
        counting.written();
        counting.tell(&tallies, 3, 1, 2);
        let untold = tallies.take();
        counting.gather(&event(2, 100, 1));
        counting.written();
        counting.tell(&tallies, 3, 1, 3);
        tallies.give_back(untold);
        assert_eq!(told(&tallies), [(1, 100, 0, 1, 1), (2, 100, 0, 2, 2)]);
    }

    #[test]
    fn old_hours_are_forgotten_and_come_back_as_another_part() {
        let (mut counting, tallies) = (Counting::from(0), Tallies::default());
        for hour in [100, 101, 104] {
            counting.gather(&event(1, hour, 1));
            counting.written();
            counting.tell(&tallies, 3, 1, 1);
        }
        assert_eq!(counting.rows.len(), 1);
        assert_eq!(told(&tallies).len(), 3);
        counting.gather(&event(1, 101, 4));
        counting.gather(&event(1, 104, 4));
        counting.written();
        counting.tell(&tallies, 3, 1, 5);
        assert_eq!(told(&tallies), [(1, 101, 1, 1, 4), (1, 104, 0, 2, 5)]);
    }
}
