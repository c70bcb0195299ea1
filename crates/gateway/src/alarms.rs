//! Coarse deadlines: one tick for all calls of a core, in place of a timer for each.
//!
//! A runtime's timer costs each call a place in its wheel, taken and given back under a lock; nearly all of them never fire.
//! A deadline here is an instant, not a count of ticks, so that ticks that come late do not add up: it is never early, and late
//! by at most one tick and by what the machine makes of that one.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};

const TICK: Duration = Duration::from_millis(40);

/// The deadlines of one core.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// The last tick.
    now: Cell<Instant>,
    alarms: RefCell<Vec<Option<Alarm>>>,
    /// Places in `alarms` that are free.
    free: RefCell<Vec<usize>>,
}

#[derive(Debug)]
struct Alarm {
    due: Instant,
    waker: Waker,
}

/// The time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// A place among the alarms, given back by its drop.
struct Place<'a> {
    alarms: &'a Alarms,
    index: Option<usize>,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { now: Cell::new(Instant::now()), alarms: RefCell::default(), free: RefCell::default() }
    }
}

impl Alarms {
    /// Ticks for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let now = Instant::now();
            self.now.set(now);
            for alarm in self.alarms.borrow().iter().flatten().filter(|alarm| alarm.due <= now) {
                alarm.waker.wake_by_ref();
            }
        }
    }

    /// Awaits the future for at most that long since it began. A time beyond what the clock can show never ends.
    pub(crate) async fn within<F: Future>(
        &self,
        began: Instant,
        time: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let due = began.checked_add(time);
        let mut place = Place { alarms: self, index: None };
        let mut future = pin!(future);
        poll_fn(move |cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if let Some(due) = due {
                if self.now.get() >= due {
                    return Poll::Ready(Err(Elapsed));
                }
                place.set(due, cx.waker());
            }
            Poll::Pending
        })
        .await
    }
}

impl Place<'_> {
    fn set(&mut self, due: Instant, waker: &Waker) {
        let mut alarms = self.alarms.alarms.borrow_mut();
        match self.index.and_then(|index| alarms.get_mut(index)) {
            Some(Some(alarm)) => alarm.waker.clone_from(waker),
            Some(place) => *place = Some(Alarm { due, waker: waker.clone() }),
            None => {
                let index = self.alarms.free.borrow_mut().pop().unwrap_or_else(|| {
                    alarms.push(None);
                    alarms.len() - 1
                });
                if let Some(place) = alarms.get_mut(index) {
                    *place = Some(Alarm { due, waker: waker.clone() });
                }
                self.index = Some(index);
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            let waker = self.alarms.alarms.borrow_mut().get_mut(index).and_then(Option::take);
            self.alarms.free.borrow_mut().push(index);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{rc::Rc, thread};
    use tokio::{task::LocalSet, time::sleep};

    #[tokio::test]
    async fn a_deadline_is_never_early_and_hardly_late_and_leaves_no_place_taken() {
        LocalSet::new()
            .run_until(async {
                let alarms = Rc::new(Alarms::default());
                let ticking = alarms.clone();
                tokio::task::spawn_local(async move { ticking.run().await });
                for milliseconds in [0, 1, 40, 95, 130] {
                    let (began, time) = (Instant::now(), Duration::from_millis(milliseconds));
                    assert_eq!(alarms.within(began, time, sleep(Duration::from_secs(60))).await, Err(Elapsed));
                    assert!(began.elapsed() >= time, "{milliseconds} ms");
                    assert!(began.elapsed() < time + Duration::from_secs(8), "{milliseconds} ms");
                    assert_eq!(alarms.within(began, time, async { 7 }).await, Ok(7));
                }
                let short = sleep(Duration::from_millis(60));
                assert_eq!(alarms.within(Instant::now(), Duration::from_secs(60), short).await, Ok(()));
                assert!(alarms.alarms.borrow().iter().all(Option::is_none));
                assert_eq!(alarms.alarms.borrow().len(), 1, "the place is used again");
            })
            .await;
    }

    /// On a core that is busy each tick is late; a deadline that counted them would be late by the sum.
    #[tokio::test]
    async fn ticks_that_come_late_do_not_add_up() {
        LocalSet::new()
            .run_until(async {
                let alarms = Rc::new(Alarms::default());
                let ticking = alarms.clone();
                tokio::task::spawn_local(async move { ticking.run().await });
                let busy = tokio::task::spawn_local(async {
                    loop {
                        thread::sleep(TICK * 3 / 4);
                        sleep(Duration::from_millis(1)).await;
                    }
                });
                let (mut quickest, time) = (Duration::MAX, TICK * 20);
                // A machine that is busy is late now and then, a deadline that counts ticks is late each time.
                for _ in 0..20 {
                    let began = Instant::now();
                    assert_eq!(alarms.within(began, time, sleep(Duration::from_secs(60))).await, Err(Elapsed));
                    assert!(began.elapsed() >= time);
                    quickest = quickest.min(began.elapsed());
                    if quickest < time + TICK * 4 {
                        break;
                    }
                }
                busy.abort();
                assert!(quickest < time + TICK * 4, "{quickest:?}");
            })
            .await;
    }
}
