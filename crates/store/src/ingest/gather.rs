//! What a batch of events comes to, gathered in one look at each: nothing of an event is kept but what is written of it.

use super::{copy::Rows, late::Counting, meters, prepaid, rollup::Hours};
use crate::leases::Spent;
use domain::usage::UsageEvent;
use jiff::Timestamp;

/// Bytes of a usual event as a row of COPY, and a little more.
const ROW_BYTES: usize = 384;

/// Events of one lane in its order, as they are taken in.
pub struct EventBatch {
    pub(super) node: String,
    pub(super) lane: u16,
    pub(super) events: u64,
    /// The first and the last number, and the earliest and the latest instant.
    pub(super) bounds: Option<[(u64, Timestamp); 2]>,
    pub(super) rows: Rows,
    pub(super) hours: Hours,
    pub(super) prepaid: prepaid::Sums,
    pub(super) meters: meters::Sums,
    pub(super) spent: Spent,
    /// Those that bills count, which may come late for theirs.
    pub(super) counting: Vec<Counting>,
}

impl EventBatch {
    /// None yet, of about so many.
    pub fn new(node: &str, lane: u16, about: usize) -> Self {
        Self {
            node: node.to_owned(),
            lane,
            events: 0,
            bounds: None,
            rows: Rows::with_capacity(about * ROW_BYTES),
            hours: Hours::default(),
            prepaid: prepaid::Sums::default(),
            meters: meters::Sums::default(),
            spent: Spent::default(),
            counting: Vec::new(),
        }
    }

    /// Adds the event that has that number in the lane.
    pub fn add<Text: AsRef<str>>(&mut self, sequence: u64, event: &UsageEvent<Text>) {
        self.events += 1;
        let [first, last] = self.bounds.unwrap_or([(sequence, event.at); 2]);
        self.bounds =
            Some([(first.0.min(sequence), first.1.min(event.at)), (last.0.max(sequence), last.1.max(event.at))]);
        self.rows.add(&self.node, self.lane, sequence, event);
        self.hours.add(event);
        self.prepaid.add(event);
        self.meters.add(sequence, event);
        self.spent.add(event);
        self.counting.extend(Counting::of(sequence, event));
    }
}

impl From<(&str, u16, Vec<(u64, UsageEvent)>)> for EventBatch {
    fn from((node, lane, events): (&str, u16, Vec<(u64, UsageEvent)>)) -> Self {
        let mut batch = Self::new(node, lane, events.len());
        for (sequence, event) in &events {
            batch.add(*sequence, event);
        }
        batch
    }
}
