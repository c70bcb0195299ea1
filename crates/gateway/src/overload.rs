//! Refuses calls early while a core has more than it can take, so that those it takes are still answered in time.
//!
//! Two signs of it: more calls in flight than the configuration allows, and a core that comes round to its tasks late. The
//! second is a feedback: while the core is late a growing share of the calls is refused before anything is done for them,
//! and while it is not the share shrinks again, to nothing within two seconds.

use crate::{accept::Core, respond::Refusal};
use domain::refusal::Code;
use std::{cell::Cell, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// How often lateness is measured.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// A core that comes round this much later than it meant to is late, where nothing else is configured. Far above what a busy
/// core shows, because a machine that is shared with others is late now and then.
pub(crate) const LATE: Duration = Duration::from_millis(100);

/// Late measurements in a row before anything is refused.
const PATIENCE: u32 = 3;

/// By how many percent the refused share grows and shrinks with each measurement, and where it ends.
const STEP: u32 = 10;
const MOST: u32 = 90;

/// One core's load.
#[derive(Debug)]
pub(crate) struct Load {
    calls: Cell<usize>,
    max_calls: usize,
    /// From here on the core is late.
    bound: Duration,
    /// Of a hundred calls, those refused because the core is late.
    refused_share: Cell<u32>,
    /// Late measurements in a row.
    late: Cell<u32>,
    turn: Cell<u32>,
}

/// One call among those in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Load);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.end_call();
    }
}

impl Load {
    pub(crate) const fn new(max_calls: usize, bound: Duration) -> Self {
        let (calls, refused_share, late, turn) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
        Self { calls, max_calls, bound, refused_share, late, turn }
    }

    /// A call is in flight, until [`Self::end_call`].
    pub(crate) fn begin_call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    pub(crate) fn end_call(&self) {
        self.calls.set(self.calls.get().saturating_sub(1));
    }

    /// As [`Self::begin_call`], until what it gives is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        self.begin_call();
        InFlight(self)
    }

    /// Whether there is no call in flight but the one that asks.
    pub(crate) const fn is_alone(&self) -> bool {
        self.calls.get() <= 1
    }

    /// Whether the core can take one more call.
    ///
    /// # Errors
    /// 503, before anything was done for the call.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let share = self.refused_share.get();
        if self.calls.get() < self.max_calls && (share == 0 || !self.is_refused(share)) {
            return Ok(());
        }
        Err(Refusal::of(Code::Overloaded).retry_after(1))
    }

    /// Spreads the refused share evenly over the calls.
    fn is_refused(&self, share: u32) -> bool {
        let turn = self.turn.get() + share;
        self.turn.set(turn % 100);
        turn >= 100
    }

    fn note(&self, lag: Duration) {
        let share = self.refused_share.get();
        if lag < self.bound {
            self.late.set(0);
            self.refused_share.set(share.saturating_sub(STEP / 2));
            return;
        }
        self.late.set(self.late.get().saturating_add(1));
        if self.late.get() >= PATIENCE {
            if share == 0 {
                tracing::warn!(lag_ms = lag.as_millis(), "a core is overloaded and refuses a part of the calls");
            }
            self.refused_share.set((share + STEP).min(MOST));
        }
    }
}

/// Measures how late the core is, for as long as it serves.
pub(crate) async fn watch(core: Rc<Core>) {
    loop {
        let meant = Instant::now() + PROBE_EVERY;
        sleep(PROBE_EVERY).await;
        core.load.note(meant.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(load: &Load) -> usize {
        (0..100).filter(|_| load.check().is_err()).count()
    }

    #[test]
    fn a_core_that_stays_late_refuses_more_and_more_and_recovers_within_two_seconds() {
        let load = Load::new(10, LATE);
        load.note(LATE * 5);
        load.note(LATE * 5);
        assert_eq!(refused(&load), 0, "a hiccup refuses nobody");
        load.note(LATE * 5);
        assert_eq!(refused(&load), 10);
        (0..20).for_each(|_| load.note(LATE * 2));
        assert_eq!(refused(&load), 90, "some are always served");
        (0..18).for_each(|_| load.note(Duration::ZERO));
        assert_eq!(refused(&load), 0);
        assert!(PROBE_EVERY * 18 < Duration::from_secs(2));
    }
}
