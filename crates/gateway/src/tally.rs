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

/// Hours behind the one of the last call that are kept in mind.
const KEPT_HOURS: i64 = 2;
/// Rows of a lane that wait to be told. Where nobody listens for long, the lane begins anew.
const MOST_ROWS: usize = 100_000;

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
    /// Told, to before this one: [`Tallies::note_told`].
    pub told: u64,
    /// Absolute numbers, of those that changed since they were last taken.
    pub rows: HashMap<TallyKey, Tally>,
    /// What was counted does not count: it counts from the next record that is written on.
    begins_anew: bool,
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
            // Of what was counted before it began anew nothing is told any more.
            if held.begins_anew || held.first != tally.first {
                continue;
            }
            for (key, count) in tally.rows {
                held.rows.entry(key).or_insert(count);
            }
        }
    }

    /// It was told to before that record.
    pub fn note_told(&self, lane: u32, first: u64, through: u64) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = lanes.get_mut(&lane).filter(|held| held.first == first && !held.begins_anew) {
            held.told = through;
        }
    }

    /// Whoever was told knows less than that now: only changes are told, so the lane begins to count anew.
    pub fn begin_anew(&self, lane: u32) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = lanes.get_mut(&lane) {
            held.rows = HashMap::new();
            held.begins_anew = true;
        }
    }

    fn lay_out(&self, lane: u32, counting: &mut Counting, epoch: u64, through: u64) {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = lanes.entry(lane).or_default();
        if held.begins_anew || held.rows.len() > MOST_ROWS {
            tracing::warn!(lane, through, "what was served before this record is not compared with what is stored");
            counting.begin_anew(through);
            *held = LaneTally::default();
        }
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
    /// The hour of the last call. Not the newest: a clock may have been ahead for a moment.
    latest: i64,
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
        self.latest = key.hour;
        let of = (key.partner.0.as_u128(), key.hour, key.environment == Environment::Test);
        *self.places.entry(of).or_insert_with(|| {
            let row = Row { key: TallyKey { part: self.part, ..key }, tally: Tally::default(), is_changed: false };
            self.rows.push(row);
            self.rows.len() - 1
        })
    }

    fn begin_anew(&mut self, first: u64) {
        self.rows = Vec::new();
        self.places = QuickMap::default();
        self.changed = Vec::new();
        (self.first, self.last) = (first, 0);
        self.part += 1;
    }

    /// Lays out what changed, up to that record: the first that is not written.
    pub(crate) fn tell(&mut self, tallies: &Tallies, lane: u32, epoch: u64, through: u64) {
        tallies.lay_out(lane, self, epoch, through);
        let is_old = |row: &Row| row.key.hour < self.latest - KEPT_HOURS;
        if self.rows.iter().any(is_old) {
            let latest = self.latest;
            self.rows.retain(|row| row.key.hour >= latest - KEPT_HOURS);
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

    #[test]
    fn a_clock_that_was_ahead_for_a_moment_lets_hours_be_forgotten_once() {
        let (mut counting, tallies) = (Counting::from(0), Tallies::default());
        for hour in [100, 900, 100, 100, 100] {
            counting.gather(&event(1, hour, 1));
            counting.written();
            counting.tell(&tallies, 3, 1, 1);
        }
        assert_eq!(told(&tallies), [(1, 100, 0, 1, 1), (1, 100, 1, 3, 3), (1, 900, 0, 1, 1)]);
    }

    #[test]
    fn whoever_lost_what_was_told_is_told_of_a_new_stretch_only() {
        let (mut counting, tallies) = (Counting::from(0), Tallies::default());
        let mut count = |through| {
            counting.gather(&event(1, 100, 1));
            counting.written();
            counting.tell(&tallies, 3, 1, through);
        };
        count(1);
        let untold = tallies.take();
        tallies.note_told(3, 0, 1);
        count(2);
        assert_eq!(tallies.take()[&3].told, 1);
        tallies.begin_anew(3);
        tallies.give_back(untold.clone());
        count(3);
        tallies.give_back(untold);
        tallies.note_told(3, 0, 3);
        count(4);
        let lane = tallies.take().remove(&3).expect("a lane");
        assert_eq!((lane.first, lane.through, lane.told), (3, 4, 0));
        assert_eq!(lane.rows.values().map(|row| row.calls).collect::<Vec<_>>(), [1], "of what was written since");
    }

    #[test]
    fn what_nobody_takes_for_long_does_not_grow_for_ever() {
        let (mut counting, tallies) = (Counting::from(0), Tallies::default());
        for partner in 0..=MOST_ROWS as u128 {
            counting.gather(&event(partner, 100, 1));
        }
        counting.written();
        counting.tell(&tallies, 3, 1, 9);
        counting.tell(&tallies, 3, 1, 10);
        let lane = tallies.take().remove(&3).expect("a lane");
        assert_eq!((lane.first, lane.through, lane.rows.len(), counting.rows.len()), (10, 10, 0, 0));
    }
}
