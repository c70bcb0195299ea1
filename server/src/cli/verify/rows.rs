//! The events in Postgres against the seals in Postgres, and those against the log's.

use super::SHOWN;
use crate::cli::CommandError;
use ::spool::{Position, Reader, SEAL_BYTES, Seal, SealHash, SealReader, Verifier, beginning};
use domain::{
    period::Period,
    usage::{UsageEvent, wire},
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashMap, path::Path};
use store::{
    Store,
    ingest::{Gap, StoredSeal},
};

/// Seals that are read at once.
const SEALS: u16 = 256;
/// A call is recorded when it ends, and sealed soon after: mostly its event's instant is not longer ago than that.
const LATELY: SignedDuration = SignedDuration::from_hours(48);

/// What is looked at.
pub struct Rows<'a> {
    pub store: &'a Store,
    pub keys: &'a Verifier,
    /// The log of this node, and its name.
    pub spool: Option<(&'a Path, String)>,
    /// Seals made within it have their events looked at.
    pub within: Period,
    /// From when on events of live keys are kept, and of test keys.
    pub live_from: Timestamp,
    pub test_from: Timestamp,
}

/// One lane of one node.
struct Lane<'a> {
    rows: &'a Rows<'a>,
    node: &'a str,
    lane: u16,
    gaps: Vec<Gap>,
    last: Option<Seal>,
    seals: u64,
    records: u64,
    /// Records of which Postgres does not have all that was sealed, and says so: gaps, and events of before version 2.
    unknown: u64,
    /// Records that retention let go, and that can be neither right nor wrong.
    let_go: u64,
    /// The life of the gateway that made the first seal. Only what lies before it says of no life that it was written in it.
    first_epoch: Option<u64>,
    /// Whether a record was seen that names its life: none that names none comes behind it.
    has_lives: bool,
    faults: Vec<String>,
}

impl Rows<'_> {
    /// Looks at every lane of every node, and prints what was found; how many faults there are.
    pub async fn verify(&self) -> Result<usize, CommandError> {
        let mut faults = 0;
        for (node, lane) in self.store.sealed_lanes().await? {
            let looked = self.look(&node, lane).await?;
            looked.tell();
            faults += looked.faults.len();
        }
        Ok(faults)
    }

    /// Whether all events of a seal are there, where events are kept from that instant on.
    fn is_kept(&self, sealed_at: Timestamp, from: Timestamp) -> bool {
        sealed_at >= from.saturating_add(LATELY).unwrap_or(Timestamp::MAX)
    }

    async fn look<'b>(&'b self, node: &'b str, lane: u16) -> Result<Lane<'b>, CommandError> {
        let gaps = self.store.usage_gaps(node, lane).await?;
        let faults = Vec::new();
        let mut looked = Lane {
            rows: self,
            node,
            lane,
            gaps,
            last: None,
            seals: 0,
            records: 0,
            unknown: 0,
            let_go: 0,
            first_epoch: None,
            has_lives: false,
            faults,
        };
        looked.look().await?;
        Ok(looked)
    }
}

impl Lane<'_> {
    fn tell(&self) {
        let Self { node, lane, seals, records, unknown, let_go, faults, .. } = self;
        let mut rest = if *let_go > 0 { format!("; {let_go} were let go by retention") } else { String::new() };
        if *unknown > 0 {
            rest.push_str(&format!("; {unknown} cannot be compared"));
        }
        match faults.len() {
            0 => println!("events of {node} lane {lane}: ok, {records} are as {seals} seals have them{rest}"),
            count => println!("events of {node} lane {lane}: {count} faults in {seals} seals{rest}"),
        }
        faults.iter().take(SHOWN).for_each(|fault| println!("      {node} lane {lane} {fault}"));
        if faults.len() > SHOWN {
            println!("      and {} more", faults.len() - SHOWN);
        }
    }

    fn fault(&mut self, first: u64, past: u64, what: &str) {
        let records = match past.saturating_sub(first) {
            0 | 1 => format!("record {first}"),
            _ => format!("records {first} to {}", past - 1),
        };
        self.faults.push(format!("{records}: {what}"));
    }

    async fn look(&mut self) -> Result<(), CommandError> {
        let mut behind = 0;
        loop {
            let seals = self.rows.store.seals(self.node, self.lane, behind, SEALS).await?;
            for stored in &seals {
                behind = stored.past;
                if let Some(seal) = self.seal(stored) {
                    let within = self.rows.within;
                    if stored.sealed_at >= within.start && stored.sealed_at < within.end {
                        self.events(&seal, stored.sealed_at).await?;
                    }
                }
            }
            if seals.len() < usize::from(SEALS) {
                break;
            }
        }
        let log = self.rows.spool.as_ref().filter(|(_, name)| name == self.node).map(|(dir, _)| dir.to_path_buf());
        if let Some(dir) = log {
            self.compare_with_log(&dir).await?;
        }
        Ok(())
    }

    /// The seal, where it can be believed.
    fn seal(&mut self, stored: &StoredSeal) -> Option<Seal> {
        self.seals += 1;
        let (first, past) = (stored.first, stored.past);
        let entry: Option<&[u8; SEAL_BYTES]> = stored.entry.as_slice().try_into().ok();
        let Some(Ok(seal)) = entry.map(Seal::from_bytes) else {
            self.fault(first, past, "the seal in Postgres was damaged");
            return None;
        };
        if (seal.first, seal.past, seal.lane, seal.at_us)
            != (first, past, u32::from(self.lane), stored.sealed_at.as_microsecond())
        {
            self.fault(first, past, "the seal in Postgres is of another lane, or of other records");
            return None;
        }
        if let Err(bad) = self.rows.keys.verify(self.node, &seal) {
            self.fault(first, past, &format!("the seal in Postgres is bad: {bad}"));
            return None;
        }
        let follows = match self.last {
            Some(last) => seal.previous == last.hash && seal.first >= last.past && seal.epoch >= last.epoch,
            // The last of those that went with their events.
            None if seal.first > 0
                && !self.rows.is_kept(stored.sealed_at, self.rows.live_from.min(self.rows.test_from)) =>
            {
                self.let_go += seal.first;
                true
            }
            None => seal.previous == beginning(self.node, u32::from(self.lane)),
        };
        if !follows {
            self.fault(
                first,
                past,
                "the seal in Postgres does not follow the one before it: one was taken out, or put in",
            );
        }
        self.last = Some(seal);
        self.first_epoch.get_or_insert(seal.epoch);
        Some(seal)
    }

    async fn events(&mut self, seal: &Seal, sealed_at: Timestamp) -> Result<(), CommandError> {
        if !self.rows.is_kept(sealed_at, self.rows.live_from) {
            self.let_go += seal.past - seal.first;
            return Ok(());
        }
        let lately = Period { start: sealed_at - LATELY, end: sealed_at + LATELY };
        let ever = Period { start: Timestamp::UNIX_EPOCH, end: sealed_at + SignedDuration::from_hours(24 * 366) };
        let mut events = Vec::new();
        for within in [lately, ever] {
            let most = u32::try_from(2 * (seal.past - seal.first)).unwrap_or(u32::MAX).max(16);
            let lane = (self.node, self.lane);
            events = self.rows.store.all_partners_events_of_lane(lane, within, seal.first..seal.past, most).await?;
            if self.begins_before_lives(seal, &events) {
                self.unknown += seal.past - seal.first;
                return Ok(());
            }
            if hash(seal, &events) == seal.hash {
                self.records += seal.past - seal.first;
                return Ok(());
            }
        }
        // Test calls are let go sooner than others.
        self.name(seal, &events, !self.rows.is_kept(sealed_at, self.rows.test_from));
        Ok(())
    }

    /// Whether events of the seal are from before records said in which life of the gateway they were written. Nobody can make
    /// their bytes again; only the first sealed life can have found any, and it wrote none behind its own.
    fn begins_before_lives(&mut self, seal: &Seal, events: &[(u64, UsageEvent)]) -> bool {
        let without = events.iter().take_while(|(_, event)| event.epoch == 0).count();
        let rest_has_lives = events[without..].iter().all(|(_, event)| event.epoch != 0);
        let may = !self.has_lives && rest_has_lives && self.first_epoch == Some(seal.epoch);
        self.has_lives |= without < events.len();
        without > 0 && may
    }

    /// What is wrong among the events of a seal, of which some may be gone because nobody keeps them so long.
    fn name(&mut self, seal: &Seal, events: &[(u64, UsageEvent)], may_be_gone: bool) {
        let (before, mut gone) = (self.faults.len(), 0);
        let mut times: HashMap<u64, u32> = HashMap::new();
        events.iter().for_each(|(sequence, _)| *times.entry(*sequence).or_default() += 1);
        let mut accounted = 0;
        for sequence in seal.first..seal.past {
            match times.get(&sequence) {
                Some(1) => {}
                Some(more) => self.fault(sequence, sequence + 1, &format!("it is in Postgres {more} times")),
                None if self.gaps.iter().any(|gap| gap.first <= sequence && sequence < gap.past) => accounted += 1,
                None if may_be_gone => gone += 1,
                None => self.fault(sequence, sequence + 1, "it was sealed and is not in Postgres"),
            }
        }
        let log = self.payloads(seal);
        let mut compared = 0;
        for (sequence, event) in events {
            let Some(payload) = log.get(sequence) else { continue };
            compared += 1;
            if *payload != encode(event) {
                let what = format!("it was changed in Postgres: partner {}, {}", event.partner, event.at);
                self.fault(*sequence, sequence + 1, &what);
            }
        }
        self.let_go += gone;
        if self.faults.len() > before {
            return;
        }
        if gone > 0 {
            // Without the others their hash cannot be made. Those that the log has, too, were compared with it.
            self.unknown += seal.past - seal.first - gone;
        } else if accounted > 0 {
            // What is missing is known to be; of the others nobody can say more without it.
            self.unknown += seal.past - seal.first;
        } else if compared < events.len() {
            self.fault(seal.first, seal.past, "among these one was changed in Postgres after it was sealed");
        } else {
            self.fault(seal.first, seal.past, "they are as the log has them, and the log is not as it was sealed");
        }
    }

    /// The payloads that this node's log has of the records, where it is there.
    fn payloads(&self, seal: &Seal) -> HashMap<u64, Vec<u8>> {
        let Some((dir, _)) = self.rows.spool.as_ref().filter(|(_, name)| name == self.node) else {
            return HashMap::new();
        };
        let from = Position { segment: seal.segment, byte_offset: seal.from_byte, sequence: seal.first };
        let most = usize::try_from(seal.past - seal.first).unwrap_or(usize::MAX);
        let read =
            Reader::open(dir, u32::from(self.lane), from).and_then(|mut reader| reader.next_batch(most, usize::MAX));
        read.map(|batch| batch.records.into_iter().map(|record| (record.sequence, record.payload.to_vec())).collect())
            .unwrap_or_default()
    }

    /// The seals beside the log are those that were copied here, and none of them is gone from there.
    async fn compare_with_log(&mut self, dir: &Path) -> Result<(), CommandError> {
        let mut reader = SealReader::open(dir, u32::from(self.lane), 0);
        let mut behind = None;
        loop {
            let there = reader.next(u64::MAX, usize::from(SEALS))?;
            let Some(first) = there.first() else { break };
            let here = self.rows.store.seals(self.node, self.lane, first.first, SEALS).await?;
            let here: HashMap<u64, Vec<u8>> = here.into_iter().map(|seal| (seal.past, seal.entry)).collect();
            for seal in &there {
                let copied = self.last.is_some_and(|last| seal.past <= last.past);
                if copied && here.get(&seal.past).is_none_or(|entry| *entry != seal.to_bytes()) {
                    self.fault(
                        seal.first,
                        seal.past,
                        "the seal beside the log is not the one that was copied to Postgres",
                    );
                }
                behind = Some(seal.past);
            }
        }
        if let (Some(behind), Some(last)) = (behind, self.last)
            && behind < last.past
        {
            self.fault(behind, last.past, "their seals are in Postgres and gone from beside the log");
        }
        Ok(())
    }
}

fn hash(seal: &Seal, events: &[(u64, UsageEvent)]) -> [u8; 32] {
    let mut hash = SealHash::behind(&seal.previous);
    let mut scratch = Vec::new();
    for (sequence, event) in events {
        hash.add_record(*sequence, &encode(event), &mut scratch);
    }
    hash.finish()
}

fn encode(event: &UsageEvent) -> Vec<u8> {
    let mut payload = Vec::new();
    wire::encode(event, &mut payload);
    payload
}

#[cfg(test)]
mod tests;
