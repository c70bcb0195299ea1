//! Leaves a target alone for a while after failures in a row, so that a dead upstream costs nobody its timeout.
//!
//! One for each target and shared by all cores, without a lock: while all is well it is only read, and every core's failures
//! count towards the same row.

use domain::policy::Breaker as Settings;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// A target's breaker. Times are milliseconds of one clock that only rises.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Failures in a row.
    failures: AtomicU32,
    /// When the next call may try; zero while it is closed.
    opens_again_at: AtomicU64,
    /// A failure of the row came after an answer's head, so that a head alone does not prove the target well.
    in_bodies: AtomicBool,
}

/// Whether a call may go to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Closed,
    /// Open for long enough: one call may try, see [`Breaker::claim_trial`].
    Due,
    /// Open for that many milliseconds more.
    Open(u64),
}

/// Where an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Head,
    Body,
}

impl Breaker {
    /// Whether nothing has failed since the last success. All that a call pays while its target is well.
    pub(crate) fn is_sound(&self) -> bool {
        self.failures.load(Relaxed) == 0 && self.opens_again_at.load(Relaxed) == 0
    }

    pub(crate) fn stand(&self, now: u64) -> Stand {
        match self.opens_again_at.load(Acquire) {
            0 => Stand::Closed,
            at if at <= now => Stand::Due,
            at => Stand::Open(at - now),
        }
    }

    /// Makes the caller the one that tries; another may only after the same time again, whatever becomes of this one.
    pub(crate) fn claim_trial(&self, settings: &Settings, now: u64) -> bool {
        let at = self.opens_again_at.load(Acquire);
        let next = now + u64::from(settings.open_ms);
        at != 0 && at <= now && self.opens_again_at.compare_exchange(at, next, AcqRel, Relaxed).is_ok()
    }

    /// A call failed. Says whether that opened the breaker.
    pub(crate) fn fail(&self, settings: &Settings, now: u64, stage: Stage) -> bool {
        if settings.failures == 0 {
            return false;
        }
        if stage == Stage::Body {
            self.in_bodies.store(true, Relaxed);
        }
        let failures = self.failures.fetch_add(1, AcqRel).saturating_add(1);
        let until = now + u64::from(settings.open_ms).max(1);
        // A breaker that is open already is left so: calls from before end late.
        failures >= settings.failures && self.opens_again_at.compare_exchange(0, until, AcqRel, Relaxed).is_ok()
    }

    /// An answer's head came. Says whether that closed the breaker.
    pub(crate) fn answered(&self) -> bool {
        !self.is_sound() && !self.in_bodies.load(Relaxed) && self.close()
    }

    /// A whole answer came. Says whether that closed the breaker.
    pub(crate) fn ended(&self) -> bool {
        !self.is_sound() && self.close()
    }

    fn close(&self) -> bool {
        self.in_bodies.store(false, Relaxed);
        self.failures.store(0, Release);
        self.opens_again_at.swap(0, AcqRel) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { failures: 3, open_ms: 100 };

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        assert!(!breaker.fail(&SETTINGS, 1_000, Stage::Head));
        assert!(!breaker.fail(&SETTINGS, 1_000, Stage::Head));
        assert!(breaker.fail(&SETTINGS, 1_000, Stage::Head), "the third in a row");
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.fail(&SETTINGS, 0, Stage::Head));
            assert!(!breaker.fail(&SETTINGS, 0, Stage::Head));
            assert!(!breaker.is_sound());
            assert!(!breaker.answered(), "it was not open");
            assert!(breaker.is_sound());
        }
        assert_eq!(breaker.stand(0), Stand::Closed);
        assert_eq!(opened().stand(1_000), Stand::Open(100));
        assert_eq!(opened().stand(1_099), Stand::Open(1));
    }

    #[test]
    fn one_call_tries_after_the_time_and_its_outcome_decides() {
        let breaker = opened();
        assert!(!breaker.claim_trial(&SETTINGS, 1_099));
        assert_eq!(breaker.stand(1_100), Stand::Due);
        assert!(breaker.claim_trial(&SETTINGS, 1_100));
        assert!(!breaker.claim_trial(&SETTINGS, 1_100), "only one");
        assert!(!breaker.fail(&SETTINGS, 1_110, Stage::Head), "it is open already");
        assert_eq!(breaker.stand(1_199), Stand::Open(1));
        // One that never says what became of it does not keep it open for ever.
        assert!(breaker.claim_trial(&SETTINGS, 1_200));
        assert!(breaker.claim_trial(&SETTINGS, 1_300));
        assert!(breaker.answered(), "it closes");
        assert_eq!(breaker.stand(1_301), Stand::Closed);
        assert!(breaker.is_sound());
    }

    #[test]
    fn an_upstream_that_begins_answers_and_never_ends_them_opens_it() {
        let breaker = Breaker::default();
        for number in 1..=3 {
            assert!(!breaker.answered());
            assert_eq!(breaker.fail(&SETTINGS, 0, Stage::Body), number == 3);
        }
        assert!(breaker.claim_trial(&SETTINGS, 100));
        assert!(!breaker.answered(), "a head is not enough");
        assert_eq!(breaker.stand(199), Stand::Open(1));
        assert!(breaker.ended());
        assert!(breaker.is_sound());
    }

    #[test]
    fn it_can_be_switched_off() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.fail(&Settings { failures: 0, open_ms: 100 }, 0, Stage::Head));
        }
        assert!(breaker.is_sound());
    }
}
