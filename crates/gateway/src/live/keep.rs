//! The counts of limits on disk, so that a restart does not begin at nothing.
//!
//! They are written every second, or as seldom as keeps it to a fiftieth of one core, and once more at the end. A start reads them
//! and goes on with their clock, by as much as the machine's clock has moved since: none, if it went back. After `kill -9` what
//! came since the last writing is missing.

use super::{Live, LiveLimits};
use crate::accept::Shared;
use domain::{
    id::PartnerId,
    key_text::Environment,
    limit::saved::{Reader, write_counts, write_spending},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;

/// What the file begins with; after it come the machine's clock and the counts', in nanoseconds.
const MAGIC: &[u8; 8] = b"tplimit1";
const HEAD_BYTES: usize = 24;

const INTERVAL: Duration = Duration::from_secs(1);

/// Writes the counts until it is dropped, and then once more.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(shared: Arc<Shared>, file: PathBuf) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let write = move || {
            let mut pause = INTERVAL;
            loop {
                let last = stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
                let began = Instant::now();
                if let Err(error) = replace(&file, &encode(&shared.limits, shared.monotonic())) {
                    tracing::warn!(%error, file = %file.display(), "the counts of limits cannot be written");
                }
                if last {
                    return;
                }
                pause = INTERVAL.max(began.elapsed() * 50);
            }
        };
        let thread = thread::Builder::new().name("gateway-limits".to_owned()).spawn(write)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The counts that the file holds, and the time of their clock, in nanoseconds. Nothing where there is no such file, or it is
/// damaged.
pub(crate) fn read(file: &Path) -> (LiveLimits, u64) {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "the counts of limits cannot be read, and begin at nothing");
            return Default::default();
        }
    };
    decode(&bytes, wall_clock()).unwrap_or_else(|| {
        tracing::warn!(file = %file.display(), "the counts of limits are damaged, and begin at nothing");
        Default::default()
    })
}

fn encode(limits: &LiveLimits, now: u64) -> Vec<u8> {
    let mut entries = Vec::new();
    // Calls go on while this is written; the clock goes on from the latest.
    let mut latest = now;
    for shard in &limits.shards {
        let lives: Vec<_> = {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.iter().map(|(who, live)| (*who, live.clone())).collect()
        };
        for ((partner, environment), live) in lives {
            entries.extend(partner.0.as_bytes());
            entries.push(u8::from(environment == Environment::Test));
            let counts = live.counts();
            write_counts(&counts, &mut entries);
            latest = latest.max(counts.latest());
            drop(counts);
            let spending = live.spending();
            write_spending(&spending, &mut entries);
            latest = latest.max(spending.latest());
        }
    }
    let mut out = Vec::with_capacity(HEAD_BYTES + entries.len());
    out.extend(MAGIC);
    out.extend(wall_clock().to_le_bytes());
    out.extend(latest.to_le_bytes());
    out.extend(entries);
    out
}

fn decode(bytes: &[u8], wall_clock: u64) -> Option<(LiveLimits, u64)> {
    let mut head = Reader::new(bytes, 0);
    if &head.array::<8>()? != MAGIC {
        return None;
    }
    let (then, written_at) = (u64::from_le_bytes(head.array()?), u64::from_le_bytes(head.array()?));
    let mut reader = Reader::new(bytes.get(HEAD_BYTES..)?, written_at);
    let limits = LiveLimits::default();
    while !reader.is_empty() {
        let partner = PartnerId(Uuid::from_bytes(reader.array()?));
        let environment = if reader.array::<1>()? == [0] { Environment::Live } else { Environment::Test };
        let (counts, spending) = (reader.counts()?, reader.spending()?);
        let live = Live { counts: Mutex::new(counts), spending: Mutex::new(spending), ..Live::default() };
        let mut shard = limits.shard(partner).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert((partner, environment), Arc::new(live));
    }
    Some((limits, written_at.saturating_add(wall_clock.saturating_sub(then))))
}

/// Nanoseconds since 1970.
fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Whoever reads sees the old file or the new one, never a part.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, content)?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::{
        Limit, Window,
        caller::{Caller, Rules},
        rule::Share,
    };

    #[test]
    fn the_clock_goes_on_by_the_time_that_passed_and_never_back() {
        let limits = LiveLimits::default();
        let partner = PartnerId(Uuid::from_u128(7));
        let window = [Limit { calls: 3, window: Window::Minute }];
        let rules = Rules { partner: &window, app: &[], key: &[], preset: Default::default(), share: Share::WHOLE };
        let caller = Caller { app: domain::id::AppId(Uuid::nil()), key: domain::id::KeyId(Uuid::nil()) };
        let live = limits.of(partner, Environment::Live);
        for at in 0..3 {
            live.counts().admit(&rules, caller, at).expect("within the limit");
        }
        let bytes = encode(&limits, 1_000);
        let then = u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes"));
        for (passed, fits) in [(0, false), (59_000_000_000, false), (60_000_000_000, true)] {
            let (read, now) = decode(&bytes, then + passed).expect("whole");
            assert_eq!(now, 1_000 + passed);
            assert_eq!(read.of(partner, Environment::Live).counts().admit(&rules, caller, now).is_ok(), fits);
            assert!(read.of(partner, Environment::Test).counts().admit(&rules, caller, now).is_ok());
        }
        assert_eq!(decode(&bytes, then - 1).expect("whole").1, 1_000, "a clock that went back moves nothing");
        for length in 0..bytes.len() {
            let read = decode(&bytes[..length], then);
            assert!(length == HEAD_BYTES || read.is_none(), "{length} of the bytes");
        }
    }
}
