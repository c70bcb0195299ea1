//! The count: grants as units of hours, shared by nothing that books them.

use crate::{corrections::at, shop::hours};
use domain::{id::CreditGrantId, money::Currency};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub(super) const START: &str = "2026-01-01T00:00:00Z";
/// Currency, and what a unit beyond all credit costs, where it is billed.
pub(super) type Price = (Currency, &'static str);
pub(super) const PLANS: [(Currency, Option<&str>); 4] = [
    (Currency::Usd, Some("0.02")),
    (Currency::Usd, Some("0.03")),
    (Currency::Usd, None),
    (Currency::Eur, Some("0.05")),
];

/// Whole hours since the start.
pub(super) fn hour(of: Timestamp) -> i64 {
    of.duration_since(at(START)).as_secs().div_euclid(3_600)
}

pub(super) struct Given {
    pub(super) id: CreditGrantId,
    /// Priority, last hour, rank of the kind, beginning: who comes first is used first.
    pub(super) rank: (u8, i64, u8, Timestamp),
    pub(super) from: Timestamp,
    /// The first hour that is not its own any more.
    pub(super) until: i64,
    pub(super) units: u64,
    /// Left, used, expired, void.
    pub(super) now: [u64; 4],
    /// Of the used ones, by hour.
    pub(super) used_in: BTreeMap<i64, u64>,
    pub(super) has_begun: bool,
    pub(super) is_over: bool,
}

impl Given {
    /// Of which so many units are left, with its id, its rank, and from when to when it is.
    pub(super) fn new(id: CreditGrantId, rank: (u8, i64, u8, Timestamp), units: u64, has_begun: bool) -> Self {
        let (_, until, _, from) = rank;
        let now = [units, 0, 0, 0];
        Self { id, rank, from, until, units, now, used_in: BTreeMap::new(), has_begun, is_over: false }
    }

    pub(super) fn is_of(&self, at: i64) -> bool {
        self.has_begun && hour(self.from) <= at && at < self.until
    }

    pub(super) fn use_up(&mut self, of: i64, wanted: &mut u64) {
        for place in [0, 2] {
            let part = self.now[place].min(*wanted);
            self.now[place] -= part;
            self.now[1] += part;
            *self.used_in.entry(of).or_default() += part;
            *wanted -= part;
        }
    }

    pub(super) fn take_back(&mut self, of: i64) {
        let part = self.used_in.remove(&of).unwrap_or(0);
        self.now[1] -= part;
        self.now[if self.is_over { 2 } else { 0 }] += part;
    }
}

/// The count.
#[derive(Default)]
pub(super) struct Count {
    pub(super) given: Vec<Given>,
    /// Calls, by hour.
    pub(super) calls: BTreeMap<i64, u64>,
    /// Of those, the ones that are not booked, by hour; before them, whether all that is booked of the hour is taken back.
    pub(super) waiting: BTreeMap<i64, (bool, u64)>,
    /// Units that no grant had, by hour.
    pub(super) beyond: BTreeMap<i64, u64>,
    /// From when to when which plan was in force.
    pub(super) plans: Vec<(Timestamp, Timestamp, usize)>,
}

impl Count {
    pub(super) fn served(&self) -> u64 {
        self.calls.values().sum()
    }

    pub(super) fn price(&self, of: i64) -> Option<Price> {
        let (begins, ends) = (at(START) + hours(of), at(START) + hours(of + 1));
        let of_hour = self.plans.iter().filter(|(from, until, _)| *from < ends && *until > begins && until > from);
        of_hour.filter_map(|(.., plan)| PLANS[*plan].1.map(|price| (PLANS[*plan].0, price))).next()
    }

    pub(super) fn in_order(&mut self) -> Vec<&mut Given> {
        let mut all: Vec<_> = self.given.iter_mut().filter(|grant| grant.has_begun).collect();
        all.sort_by_key(|grant| grant.rank);
        all
    }

    /// Books calls of hours before that one.
    pub(super) fn book(&mut self, before: i64, now: Timestamp) {
        self.given
            .iter_mut()
            .filter(|grant| grant.from <= now && !grant.is_over)
            .for_each(|grant| grant.has_begun = true);
        let later = self.waiting.split_off(&before);
        for (of, (is_taken_back, mut units)) in std::mem::replace(&mut self.waiting, later) {
            if is_taken_back {
                self.given.iter_mut().for_each(|grant| grant.take_back(of));
            }
            for grant in self.in_order() {
                if grant.is_of(of) {
                    grant.use_up(of, &mut units);
                }
            }
            *self.beyond.entry(of).or_default() += units;
        }
        self.pay();
    }

    /// Lets grants pay for what went beyond those of its hour.
    pub(super) fn pay(&mut self) {
        let mut beyond = std::mem::take(&mut self.beyond);
        for (of, units) in &mut beyond {
            let is_billed = self.price(*of).is_some();
            for grant in self.in_order() {
                if grant.is_of(*of) || !is_billed && !grant.is_over && grant.until > *of {
                    grant.use_up(*of, units);
                }
            }
        }
        beyond.retain(|_, units| *units > 0);
        self.beyond = beyond;
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        let over = |grant: &&mut Given| !grant.is_over && grant.until <= hour(now);
        for grant in self.given.iter_mut().filter(over) {
            grant.now[2] += std::mem::take(&mut grant.now[0]);
            grant.is_over = true;
        }
    }
}
