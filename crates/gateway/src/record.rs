//! The recorder that the gateway uses: one lane of the usage log for each core.

use crate::{
    ports::{Lost, RecordError, Recorder},
    tally::{Counting, Tallies},
};
use domain::usage::{UsageEvent, wire};
use spool::{Home, Options, SealKey, Sealing, SpoolError, Writer};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

mod turn;

pub(crate) use turn::Turn;

/// Kept free for calls that were admitted while there was room and have not ended yet, for each lane.
const HEADROOM_BYTES: u64 = 1 << 20;

/// Appends to the spool. A core's lock is only ever taken by that core.
#[derive(Debug)]
pub(crate) struct SpoolRecorder {
    _home: Arc<Home>,
    lanes: Vec<Mutex<Lane>>,
    headroom: u64,
    epoch: u64,
    tallies: Tallies,
}

#[derive(Debug)]
struct Lane {
    writer: Writer,
    counting: Counting,
    scratch: Vec<u8>,
    /// Events that somebody gathered and waits for, who will flush.
    awaited: usize,
    /// So many of them, the first, were written before that.
    written: usize,
    /// Why the others are lost, until that flush tells whoever waits for them. No more are gathered meanwhile.
    lost: Option<String>,
}

impl Lane {
    fn gather(&mut self, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
        if let Some(lost) = &self.lost {
            return Err(RecordError(lost.clone()));
        }
        self.scratch.clear();
        wire::encode(event, &mut self.scratch);
        self.writer.gather(&self.scratch).map_err(|error| RecordError(error.to_string()))?;
        self.counting.gather(event);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        match self.writer.flush() {
            Ok(_) => {
                self.counting.written();
                Ok(())
            }
            Err(error) => {
                self.counting.lost();
                Err(RecordError(error.to_string()))
            }
        }
    }
}

impl SpoolRecorder {
    /// With a key the lanes are sealed.
    pub(crate) fn open(
        home: Arc<Home>,
        cores: usize,
        options: Options,
        key: Option<&Arc<SealKey>>,
        tallies: Tallies,
    ) -> Result<Self, SpoolError> {
        let epoch = home.epoch();
        let sealing = |key: &Arc<SealKey>| Sealing { key: key.clone(), node: home.node().to_owned(), epoch };
        let open = |lane| {
            let writer = match key {
                Some(key) => Writer::open_sealed(home.dir(), lane, options, sealing(key))?,
                None => Writer::open(home.dir(), lane, options)?,
            };
            let cut_bytes = writer.recovery().cut_bytes;
            metrics::gauge!("turnpike_spool_cut_bytes", "lane" => lane.to_string()).set(cut_bytes as f64);
            let counting = Counting::from(writer.end().sequence);
            let scratch = Vec::with_capacity(512);
            Ok(Mutex::new(Lane { writer, counting, scratch, awaited: 0, written: 0, lost: None }))
        };
        let lanes = (0..u32::try_from(cores).unwrap_or(u32::MAX)).map(open).collect::<Result<_, SpoolError>>()?;
        Ok(Self { _home: home, lanes, headroom: HEADROOM_BYTES.min(options.max_bytes / 8), epoch, tallies })
    }

    fn tell(&self, core: usize, lane: &mut Lane) {
        let Ok(number) = u32::try_from(core) else { return };
        lane.counting.tell(&self.tallies, number, self.epoch, lane.writer.end().sequence);
    }

    fn with<T>(&self, core: usize, act: impl FnOnce(&mut Lane) -> Result<T, RecordError>) -> Result<T, RecordError> {
        match self.lanes.get(core) {
            Some(lane) => act(&mut lane.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(RecordError(format!("core {core} has no lane"))),
        }
    }
}

impl Recorder for SpoolRecorder {
    fn has_room(&self, core: usize) -> bool {
        self.with(core, |lane| Ok(lane.writer.has_room(self.headroom))).unwrap_or(false)
    }

    fn record(&self, core: usize, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
        self.with(core, |lane| {
            lane.gather(event)?;
            let outcome = lane.flush();
            match &outcome {
                Ok(()) => lane.written = lane.awaited,
                // Where nobody waits, nobody would ever take it away again.
                Err(RecordError(error)) if lane.written < lane.awaited => lane.lost = Some(error.clone()),
                Err(_) => {}
            }
            outcome
        })
    }

    fn gather(&self, core: usize, event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
        self.with(core, |lane| {
            lane.gather(event)?;
            lane.awaited += 1;
            Ok(())
        })
    }

    fn flush(&self, core: usize) -> Result<(), Lost> {
        let mut kept = 0;
        self.with(core, |lane| {
            lane.awaited = 0;
            kept = std::mem::take(&mut lane.written);
            match lane.lost.take() {
                Some(lost) => Err(RecordError(lost)),
                None => lane.flush(),
            }
        })
        .map_err(|error| Lost { kept, error })
    }

    fn used_bytes(&self, core: usize) -> u64 {
        let used = |lane: &mut Lane| Ok(lane.writer.recount().unwrap_or_else(|_| lane.writer.used_bytes()));
        self.with(core, used).unwrap_or(0)
    }

    fn tend(&self, core: usize) {
        let _ = self.with(core, |lane| {
            lane.writer.seal_if_due();
            self.tell(core, lane);
            Ok(())
        });
    }

    fn end(&self, core: usize) {
        let _ = self.with(core, |lane| {
            lane.writer.seal();
            self.tell(core, lane);
            Ok(())
        });
    }
}

/// Keeps nothing: the control run of the `kill -9` harness, which has to fail.
#[derive(Debug)]
pub(crate) struct Unmetered;

impl Recorder for Unmetered {
    fn has_room(&self, _core: usize) -> bool {
        true
    }

    fn record(&self, _core: usize, _event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
        Ok(())
    }

    fn gather(&self, _core: usize, _event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
        Ok(())
    }

    fn flush(&self, _core: usize) -> Result<(), Lost> {
        Ok(())
    }

    fn used_bytes(&self, _core: usize) -> u64 {
        0
    }
}
