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
) -> Result<Admission<'a>, (Refusal, [Option<Standing>; 4])> {
    let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
    match windows.check(limits, now) {
        Ok(()) => Ok(Admission { windows, limits, now }),
        Err(reached) => {
            let detail = format!("The plan's limit of {} is reached.", reached.limit);
            let refusal = Refusal::new(Code::LimitExceeded, detail).retry_after(reached.retry_after_seconds);
            Err((refusal, standings(&mut windows, limits, now)))
        }
    }
}

impl Admission<'_> {
    /// Counts the call and says how the limits stand.
    pub(crate) fn count(mut self, standings_out: &mut Standings) {
        self.windows.count(self.limits, self.now);
        standings_out.limits = standings(&mut self.windows, self.limits, self.now);
    }

    /// How the limits stand without the call.
    pub(crate) fn withdraw(mut self, standings_out: &mut Standings) {
        standings_out.limits = standings(&mut self.windows, self.limits, self.now);
    }
}

fn standings(windows: &mut Windows, limits: &[Limit], now: u64) -> [Option<Standing>; 4] {
    let mut all = [None; 4];
    all.iter_mut().zip(windows.standings(limits, now)).for_each(|(slot, standing)| *slot = Some(standing));
    all
}
