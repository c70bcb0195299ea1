//! Limits: checks that spend nothing. An [`Admission`] holds the caller's counts until the quota has said yes too, so
//! that a call which is refused after all uses no limit.

use crate::respond::{Refusal, Standings};
use domain::{
    limit::{
        Limit,
        sliding::{Standing, Windows},
    },
    refusal::Code,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every limit has room for the call, and keeps it until this is used or dropped.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    windows: MutexGuard<'a, Windows>,
    limits: &'a [Limit],
    now: u64,
}

/// Asks every window whether one more call fits at `now`, in monotonic nanoseconds.
pub(crate) fn check<'a>(
    windows: &'a Mutex<Windows>,
    limits: &'a [Limit],
    now: u64,
    standings: &mut Standings,
) -> Result<Admission<'a>, Refusal> {
    let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
    let checked = windows.check(limits, now);
    let admission = Admission { windows, limits, now };
    match checked {
        Ok(()) => Ok(admission),
        Err(reached) => {
            admission.withdraw(standings);
            let detail = format!("The plan's limit of {} is reached.", reached.limit);
            Err(Refusal::new(Code::LimitExceeded, detail).retry_after(reached.retry_after_seconds))
        }
    }
}

impl Admission<'_> {
    /// Counts the call and says how the limits stand.
    pub(crate) fn count(mut self, standings: &mut Standings) {
        self.windows.count(self.limits, self.now);
        standings.limits = all(&mut self.windows, self.limits, self.now);
    }

    /// How the limits stand without the call.
    pub(crate) fn withdraw(mut self, standings: &mut Standings) {
        standings.limits = all(&mut self.windows, self.limits, self.now);
    }
}

fn all(windows: &mut Windows, limits: &[Limit], now: u64) -> [Option<Standing>; 4] {
    let mut all = [None; 4];
    all.iter_mut().zip(windows.standings(limits, now)).for_each(|(slot, standing)| *slot = Some(standing));
    all
}
