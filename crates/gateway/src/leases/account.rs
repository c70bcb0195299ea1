//! One allowance as this node counts it.
//!
//! `used` is what calls took here, `granted` what this node may use, both since it first knew the allowance; `elsewhere` is
//! what all others hold or used. The plain call is one compare-and-swap on `used`. Everything else is behind the lock, and
//! one exchange at a time: an answer holds absolute numbers, so that one whose fate is not known is made good by the next.

use super::desk::{Desk, PATIENCE};
use crate::ports::{Ask, Granted};
use domain::{allowance::Allowance, period::Period};
use jiff::Timestamp;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{error::Elapsed, timeout},
};

/// A block lasts about this many seconds at the speed at which units were used of late.
const BLOCK_SECONDS: u128 = 10;
/// The smallest block that is asked for where nobody needs more.
const SMALLEST_BLOCK: i64 = 128;
/// For so long an answer that nothing is left is believed.
const BELIEVED: Duration = Duration::from_millis(250);
/// The limit of calls that are not held to the plan's: those on credit, whose limit the exchange knows.
const NO_LIMIT: u64 = u64::MAX;

/// Units of one allowance.
#[derive(Debug)]
pub struct Account {
    of: Allowance,
    /// When its period is over, in microseconds: where a plan of longer periods begins as one of shorter ones did, later than it seemed.
    ends: AtomicI64,
    used: AtomicI64,
    granted: AtomicI64,
    elsewhere: AtomicI64,
    /// The plan's limit under which `granted` was taken.
    under: AtomicU64,
    /// How many units there are at all, by the last answer; below zero before there was one.
    limit: AtomicI64,
    /// Where `used` passes this, more is fetched ahead of time.
    low: AtomicI64,
    /// What is left was told to somebody since it was last looked at.
    shown: AtomicBool,
    cold: Mutex<Cold>,
    answers: watch::Sender<u64>,
    desk: Arc<Desk>,
}

#[derive(Debug)]
pub(super) struct Cold {
    /// An exchange is under way.
    pub busy: bool,
    /// The number of the last exchange that is known to have happened.
    turn: i64,
    /// Something was given back, and whether that happened is not known: only an exchange can tell.
    pub uncertain: bool,
    /// Units that waiting calls need.
    need: i64,
    /// The limit that the next exchange is made under.
    next_limit: u64,
    exhausted: Option<Instant>,
    overdrawn: u64,
    /// `used` at the last exchange, and when that was.
    last: (i64, Instant),
    /// `used` when it was last looked at, and since when it has not moved.
    pub seen: (i64, Instant),
}

/// Why units were not taken.
#[derive(Debug)]
pub(crate) enum Short {
    /// Fewer are left than the call needs.
    Exhausted,
    /// Nobody can say: Postgres does not answer.
    Unknown,
    /// An exchange is under way; try again after it.
    Wait(watch::Receiver<u64>),
}

/// Waits until an exchange has been answered, at most as long as one may take.
pub(crate) async fn answered(mut waiting: watch::Receiver<u64>) -> Result<(), Elapsed> {
    timeout(PATIENCE, waiting.changed()).await.map(drop)
}

impl Account {
    pub(super) fn new(of: Allowance, desk: Arc<Desk>) -> Self {
        let now = Instant::now();
        let cold = Cold {
            busy: false,
            turn: 0,
            uncertain: false,
            need: 0,
            next_limit: NO_LIMIT,
            exhausted: None,
            overdrawn: 0,
            last: (0, now),
            seen: (0, now),
        };
        Self {
            of,
            ends: AtomicI64::new(of.period.end.as_microsecond()),
            used: AtomicI64::new(0),
            granted: AtomicI64::new(0),
            elsewhere: AtomicI64::new(0),
            under: AtomicU64::new(NO_LIMIT),
            limit: AtomicI64::new(-1),
            low: AtomicI64::new(i64::MAX),
            shown: AtomicBool::new(false),
            cold: Mutex::new(cold),
            answers: watch::Sender::new(0),
            desk,
        }
    }

    /// What it counts, with the longest period that anybody asked for it with.
    pub(super) fn of(&self) -> Allowance {
        let end = Timestamp::from_microsecond(self.ends.load(Relaxed)).unwrap_or(self.of.period.end);
        Allowance { period: Period { end: end.max(self.of.period.end), ..self.of.period }, ..self.of }
    }

    /// It is not over before then.
    pub(super) fn reach(&self, end: Timestamp) {
        let end = end.as_microsecond();
        if end > self.ends.load(Relaxed) {
            self.ends.fetch_max(end, Relaxed);
        }
    }

    /// What is known at the start; units that calls took before it stay counted.
    pub(super) fn begin(&self, base: u64, elsewhere: u64, limit: u64) {
        let mut cold = self.cold();
        self.used.fetch_add(signed(base), SeqCst);
        self.granted.store(signed(base), SeqCst);
        self.elsewhere.store(signed(elsewhere), Relaxed);
        self.limit.store(signed(limit), Relaxed);
        cold.last = (self.used.load(Relaxed), Instant::now());
    }

    /// Units of all nodes that are used or held elsewhere, as far as it is known here.
    pub(crate) fn used(&self) -> u64 {
        unsigned(self.elsewhere.load(Relaxed).saturating_add(self.used.load(Relaxed)))
    }

    /// Units that are left, as far as it is known here; below zero after overdraft. Where nothing is known, it is asked for.
    pub(crate) fn left(self: &Arc<Self>) -> Option<i64> {
        // Cores that read it at once do not write it at once.
        if !self.shown.load(Relaxed) {
            self.shown.store(true, Relaxed);
        }
        let limit = self.limit.load(Relaxed);
        if limit < 0 {
            self.fetch_ahead();
            return None;
        }
        Some(limit.saturating_sub_unsigned(self.used()))
    }

    /// Takes the units if this node holds them. `limit` is the plan's, or `None` where the exchange knows it. Returns the
    /// units that are used with them.
    pub(crate) fn take(self: &Arc<Self>, units: u64, limit: Option<u64>) -> Option<u64> {
        if units == 0 {
            return Some(self.used());
        }
        if self.under.load(Relaxed) != limit.unwrap_or(NO_LIMIT) {
            return None;
        }
        let units = signed(units);
        let fits = |used: i64| used.checked_add(units).filter(|after| *after <= self.granted.load(Relaxed));
        let before = self.used.try_update(SeqCst, Relaxed, fits).ok()?;
        let after = before + units;
        // Somebody may be giving back what was just taken. Either they see it, or we see that less is granted.
        if after > self.granted.load(SeqCst) {
            self.used.fetch_sub(units, SeqCst);
            return None;
        }
        let low = self.low.load(Relaxed);
        if before < low && low <= after {
            self.fetch_ahead();
        }
        Some(unsigned(self.elsewhere.load(Relaxed).saturating_add(after)))
    }

    /// Takes as many of the units as this node holds, and says how many.
    pub(crate) fn take_up_to(self: &Arc<Self>, units: u64, limit: Option<u64>) -> u64 {
        let mut wanted = units;
        while wanted > 0 {
            if self.take(wanted, limit).is_some() {
                return wanted;
            }
            let held = self.granted.load(Relaxed).saturating_sub(self.used.load(Relaxed));
            wanted = unsigned(held).min(wanted - 1);
            if self.under.load(Relaxed) != limit.unwrap_or(NO_LIMIT) {
                return 0;
            }
        }
        0
    }

    /// Counts units that nothing has to hold: of a quota that never refuses, or of a call that turned out dearer than what
    /// was reserved. Returns the units that are used with them.
    pub(crate) fn count(&self, units: u64) -> u64 {
        let after = self.used.fetch_add(signed(units), SeqCst).saturating_add(signed(units));
        unsigned(self.elsewhere.load(Relaxed).saturating_add(after))
    }

    /// Gives back units that were taken or counted and not used.
    pub(crate) fn release(&self, units: u64) {
        self.used.fetch_sub(signed(units), SeqCst);
    }

    /// Takes the units without holding them, while no exchange can be made: at most `cap` of them ever.
    pub(crate) fn overdraw(&self, units: u64, cap: u64) -> Option<u64> {
        let mut cold = self.cold();
        let after = cold.overdrawn.checked_add(units).filter(|after| *after <= cap)?;
        cold.overdrawn = after;
        drop(cold);
        Some(self.count(units))
    }

    /// Gives back what was overdrawn.
    pub(crate) fn release_overdrawn(&self, units: u64) {
        let mut cold = self.cold();
        cold.overdrawn = cold.overdrawn.saturating_sub(units);
        drop(cold);
        self.release(units);
    }

    /// Why [`Self::take`] took nothing; an exchange is begun where one may help.
    pub(crate) fn why_short(self: &Arc<Self>, units: u64, limit: Option<u64>) -> Short {
        let limit = limit.unwrap_or(NO_LIMIT);
        if let Some(opening) = self.desk.opening() {
            return Short::Wait(opening);
        }
        let mut cold = self.cold();
        if self.desk.is_down() {
            if !cold.busy && self.desk.may_probe() {
                cold.next_limit = limit;
                self.start(&mut cold);
            }
            return Short::Unknown;
        }
        let exhausted = cold.exhausted.is_some_and(|at| at.elapsed() < BELIEVED);
        if exhausted && self.under.load(Relaxed) == limit {
            return Short::Exhausted;
        }
        let waiting = self.answers.subscribe();
        cold.need = cold.need.saturating_add(signed(units));
        cold.next_limit = limit;
        if !cold.busy {
            self.start(&mut cold);
        }
        Short::Wait(waiting)
    }

    #[cold]
    fn fetch_ahead(self: &Arc<Self>) {
        let mut cold = self.cold();
        if !cold.busy && !self.desk.is_down() {
            cold.next_limit = self.under.load(Relaxed);
            self.start(&mut cold);
        }
    }

    /// Whether what is left was told since this was last asked.
    pub(super) fn was_shown(&self) -> bool {
        self.shown.swap(false, Relaxed)
    }

    fn start(self: &Arc<Self>, cold: &mut Cold) {
        cold.busy = true;
        let account = self.clone();
        self.desk.spawn(async move { account.exchange().await });
    }

    /// Makes exchanges until nobody waits for one. `busy` is set, and is not afterwards.
    async fn exchange(self: Arc<Self>) {
        let turn = Turn(self.clone());
        loop {
            let (ask, limit) = self.ask();
            let answer = timeout(PATIENCE, self.desk.exchange.exchange(ask)).await;
            let well = self.finish(answer.ok().and_then(Result::ok), limit, ask.need);
            if !well || self.cold().need == 0 {
                drop(turn);
                return;
            }
            self.answers.send_modify(|answer| *answer += 1);
        }
    }

    /// What to ask for now: what waiting calls need, and a block beyond it that lasts a while.
    fn ask(&self) -> (Ask, u64) {
        let mut cold = self.cold();
        let limit = cold.next_limit;
        let lowered = limit < self.under.load(Relaxed) && limit != NO_LIMIT && self.under.load(Relaxed) != NO_LIMIT;
        let returned = if lowered { self.withhold(&mut cold) } else { 0 };
        let (used, granted) = (self.used.load(SeqCst), self.granted.load(SeqCst));
        let elapsed = cold.last.1.elapsed().as_millis().max(100);
        let speed = i128::from(used.saturating_sub(cold.last.0).max(0)) as u128 * 1000 / elapsed;
        let block = i64::try_from(speed * BLOCK_SECONDS).unwrap_or(i64::MAX).max(SMALLEST_BLOCK);
        let held = granted.saturating_sub(used);
        let need = std::mem::take(&mut cold.need).saturating_sub(held).max(0);
        let want = block.saturating_sub(held.max(0)).max(need);
        cold.last = (used, Instant::now());
        let ask = Ask {
            of: self.of(),
            limit: (limit != NO_LIMIT).then_some(limit),
            need: unsigned(need),
            want: unsigned(want),
            returned: unsigned(returned),
            turn: cold.turn,
        };
        (ask, limit)
    }

    /// Notes how an exchange went; whether it was answered.
    fn finish(&self, answer: Option<Granted>, limit: u64, need: u64) -> bool {
        self.desk.answered(answer.is_some());
        let mut cold = self.cold();
        let Some(granted) = answer else {
            cold.need = 0;
            return false;
        };
        let block = granted.granted.saturating_sub(unsigned(self.granted.load(Relaxed)));
        self.note(&mut cold, granted);
        self.under.store(limit, Relaxed);
        // Only who got less than it needed has told the other nodes that nothing is left.
        cold.exhausted = (block < need).then(Instant::now);
        true
    }

    /// Puts an answer's numbers in force.
    pub(super) fn note(&self, cold: &mut Cold, answer: Granted) {
        (cold.turn, cold.uncertain) = (answer.turn, false);
        let used = self.used.load(Relaxed);
        let held = signed(answer.granted).saturating_sub(used).max(0);
        self.low.store(if held > 1 { used.saturating_add(held / 2) } else { i64::MAX }, Relaxed);
        self.limit.store(signed(answer.limit), Relaxed);
        self.elsewhere.store(signed(answer.taken.saturating_sub(answer.granted)), Relaxed);
        self.granted.store(signed(answer.granted), SeqCst);
    }

    /// Lets go of what calls did not take, and says how much that is. It must be told to the exchange. Only while `busy` is
    /// set by the caller.
    pub(super) fn withhold(&self, cold: &mut Cold) -> i64 {
        let granted = self.granted.load(SeqCst);
        self.granted.store(self.used.load(SeqCst).min(granted), SeqCst);
        // A call that did not see the smaller number is seen here.
        let stays = self.used.load(SeqCst).min(granted);
        self.granted.store(stays, SeqCst);
        cold.uncertain |= stays < granted;
        granted.saturating_sub(stays)
    }

    pub(super) fn cold(&self) -> MutexGuard<'_, Cold> {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn used_here(&self) -> i64 {
        self.used.load(Relaxed)
    }

    /// Units that are held and not used.
    pub(super) fn held(&self) -> i64 {
        self.granted.load(Relaxed).saturating_sub(self.used.load(Relaxed)).max(0)
    }

    /// Whether nothing is held, and nothing under way.
    pub(super) fn is_empty(&self) -> bool {
        self.held() == 0 && !self.cold().busy
    }

    pub(super) fn turn(cold: &Cold) -> i64 {
        cold.turn
    }

    pub(super) fn under(&self) -> Option<u64> {
        Some(self.under.load(Relaxed)).filter(|limit| *limit != NO_LIMIT)
    }
}

/// The right to make an exchange for an account; calls that need units wait until this is dropped.
pub(super) struct Turn(pub Arc<Account>);

impl Turn {
    /// `None` while an exchange is under way.
    pub fn begin(account: &Arc<Account>) -> Option<Self> {
        let mut cold = account.cold();
        if cold.busy {
            return None;
        }
        cold.busy = true;
        Some(Self(account.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut cold = self.0.cold();
        cold.need = 0;
        cold.busy = false;
        drop(cold);
        // Whoever waits tries again, and begins an exchange where it finds too little.
        self.0.answers.send_modify(|answer| *answer += 1);
    }
}

pub(super) fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(units: i64) -> u64 {
    u64::try_from(units).unwrap_or(0)
}
