//! Live counts as bytes, so that a restart does not begin at nothing. All numbers are little-endian.
//!
//! Times are those of the counts' own clock; whoever reads them goes on from the time at which they were written.

use super::{
    Window,
    caller::Counts,
    counter::{Counter, EXACT_CALLS, KEPT, PARTS, Parts, part},
    pacer::Pacer,
    sliding::Windows,
    spending::Spending,
};
use crate::id::{AppId, KeyId};
use std::{collections::HashMap, hash::Hash};
use uuid::Uuid;

/// Reads from the front of some bytes; every read is `None` where they are too short.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// When the counts were written: nothing in them is later.
    written_at: u64,
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8], written_at: u64) -> Self {
        Self { bytes, written_at }
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A time that has been: a later one would stop the clock of its windows.
    fn past(&mut self) -> Option<u64> {
        self.number().filter(|at| *at <= self.written_at)
    }

    /// The counts of one partner.
    pub fn counts(&mut self) -> Option<Counts> {
        let partner = self.windows()?;
        let (apps, keys) = (self.map(AppId)?, self.map(KeyId)?);
        Some(Counts { partner, apps, keys })
    }

    /// The credit that one partner spent.
    pub fn spending(&mut self) -> Option<Spending> {
        let parts = match self.byte()? {
            0 => None,
            _ => Some(Box::new(self.parts(Window::Minute)?)),
        };
        Some(Spending { parts, due: self.number()?, latest: self.past()? })
    }

    fn map<Id: Hash + Eq>(&mut self, id: impl Fn(Uuid) -> Id) -> Option<HashMap<Id, Windows>> {
        let count = self.count()?;
        (0..count).map(|_| Some((id(Uuid::from_bytes(self.array()?)), self.windows()?))).collect()
    }

    fn windows(&mut self) -> Option<Windows> {
        let mut windows = Windows { latest: self.past()?, ..Windows::default() };
        for window in Window::ALL {
            windows.counters[window as usize] = match self.byte()? {
                0 => None,
                1 => {
                    let count = self.count().filter(|count| *count <= EXACT_CALLS)?;
                    Some(Counter::Exact((0..count).map(|_| self.past()).collect::<Option<_>>()?))
                }
                _ => Some(Counter::Parts(Box::new(self.parts(window)?))),
            };
            windows.pacers[window as usize] = Pacer { due: self.number()? };
        }
        Some(windows)
    }

    fn parts(&mut self, window: Window) -> Option<Parts> {
        let latest = self.number().filter(|latest| *latest <= part(window, self.written_at))?;
        let (mut calls, mut total) = ([0; KEPT], 0_u32);
        for slot in &mut calls {
            *slot = self.count()?;
            total = total.saturating_add(*slot);
        }
        Some(Parts { calls, latest, oldest: latest.saturating_sub(PARTS), total })
    }
}

/// Adds the counts of one partner.
pub fn write_counts(counts: &Counts, out: &mut Vec<u8>) {
    write_windows(&counts.partner, out);
    write_map(counts.apps.iter().map(|(id, windows)| (id.0, windows)), counts.apps.len(), out);
    write_map(counts.keys.iter().map(|(id, windows)| (id.0, windows)), counts.keys.len(), out);
}

/// Adds the credit that one partner spent.
pub fn write_spending(spending: &Spending, out: &mut Vec<u8>) {
    match &spending.parts {
        None => out.push(0),
        Some(parts) => {
            out.push(1);
            write_parts(parts, out);
        }
    }
    out.extend(spending.due.to_le_bytes());
    out.extend(spending.latest.to_le_bytes());
}

fn write_map<'a>(windows: impl Iterator<Item = (Uuid, &'a Windows)>, count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    out.extend(count.to_le_bytes());
    for (id, windows) in windows.take(count as usize) {
        out.extend(id.as_bytes());
        write_windows(windows, out);
    }
}

fn write_windows(windows: &Windows, out: &mut Vec<u8>) {
    out.extend(windows.latest.to_le_bytes());
    for (counter, pacer) in windows.counters.iter().zip(&windows.pacers) {
        match counter {
            None => out.push(0),
            Some(Counter::Exact(times)) => {
                out.push(1);
                out.extend(u32::try_from(times.len()).unwrap_or(u32::MAX).to_le_bytes());
                times.iter().for_each(|at| out.extend(at.to_le_bytes()));
            }
            Some(Counter::Parts(parts)) => {
                out.push(2);
                write_parts(parts, out);
            }
        }
        out.extend(pacer.due.to_le_bytes());
    }
}

fn write_parts(parts: &Parts, out: &mut Vec<u8>) {
    out.extend(parts.latest.to_le_bytes());
    parts.calls.iter().for_each(|calls| out.extend(calls.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::{
            Limit,
            caller::{Caller, Rules},
            rule::Share,
            spending::SpendingRule,
        },
        policy::Preset,
    };

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn counts_go_on_where_they_were_written() {
        let limit = |calls, window| Limit { calls, window };
        let (partner, app) = ([limit(1_000, Window::Hour), limit(700, Window::Minute)], [limit(100, Window::Hour)]);
        let rules = Rules { partner: &partner, app: &app, key: &[], preset: Preset::Hybrid, share: Share::WHOLE };
        let caller = Caller { app: AppId(Uuid::from_u128(1)), key: KeyId(Uuid::from_u128(2)) };
        let mut counts = Counts::default();
        let mut spending = Spending::default();
        let rule = SpendingRule { most: 50, preset: Preset::Spread };
        for second in 0..4_000 {
            let _ = counts.admit(&rules, caller, second * SECOND);
            let _ = spending.spend(rule, 3, second * SECOND);
        }
        let mut bytes = Vec::new();
        write_counts(&counts, &mut bytes);
        write_spending(&spending, &mut bytes);
        let now = 4_000 * SECOND;
        let mut reader = Reader::new(&bytes, now);
        let (mut read, mut spent) = (reader.counts().expect("counts"), reader.spending().expect("spending"));
        assert!(reader.is_empty());
        for later in 0..4_000 {
            let at = now + later * SECOND;
            assert_eq!(read.admit(&rules, caller, at), counts.admit(&rules, caller, at));
            assert_eq!(spent.spend(rule, 3, at), spending.spend(rule, 3, at));
        }
        for length in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..length], now);
            assert!(reader.counts().and_then(|_| reader.spending()).is_none(), "{length} of the bytes");
        }
        assert!(Reader::new(&bytes, 3_990 * SECOND).counts().is_none(), "counts from the future would stop the clock");
    }
}
