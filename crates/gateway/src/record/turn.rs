//! The events of one turn of a core's loop, written at once: each call waits for a `write()` that it shares with the others.
//!
//! The first event wakes a task, which the loop comes to after all calls that were ready by then.

use crate::ports::{Lost, RecordError, Recorder};
use domain::usage::UsageEvent;
use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};
use tokio::sync::Notify;

/// One core's events that are gathered and not written.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    group: RefCell<Option<Rc<Group>>>,
    begun: Notify,
}

/// Events that are written by one `write()`, and the calls that wait for it.
#[derive(Debug, Default)]
struct Group {
    events: Cell<usize>,
    outcome: OnceCell<Result<(), Lost>>,
    waiting: RefCell<Vec<Waker>>,
}

/// One event of a group.
#[derive(Debug)]
pub(crate) struct Gathered {
    group: Rc<Group>,
    /// How many were gathered before it.
    place: usize,
}

impl Turn {
    /// Takes the event into the group of this turn.
    ///
    /// # Errors
    /// It is not taken, and nobody has to wait for anything.
    pub(crate) fn gather(
        &self,
        recorder: &dyn Recorder,
        core: usize,
        event: &UsageEvent<Cow<'_, str>>,
    ) -> Result<Gathered, RecordError> {
        recorder.gather(core, event)?;
        let mut group = self.group.borrow_mut();
        let group = group.get_or_insert_with(|| {
            self.begun.notify_one();
            Rc::default()
        });
        let place = group.events.get();
        group.events.set(place + 1);
        Ok(Gathered { group: group.clone(), place })
    }

    /// Writes one group after another, for as long as it is polled.
    pub(crate) async fn run(&self, recorder: &dyn Recorder, core: usize) {
        loop {
            self.begun.notified().await;
            self.write(recorder, core);
        }
    }

    /// Writes what is gathered, and tells those who wait.
    pub(crate) fn write(&self, recorder: &dyn Recorder, core: usize) {
        let Some(group) = self.group.take() else { return };
        let _ = group.outcome.set(recorder.flush(core));
        group.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl Gathered {
    /// Waits until the event is in the log.
    ///
    /// # Errors
    /// It is not, and will not be.
    pub(crate) async fn written(&self) -> Result<(), RecordError> {
        poll_fn(|cx| match self.group.outcome.get() {
            Some(Err(lost)) if self.place >= lost.kept => Poll::Ready(Err(lost.error.clone())),
            Some(_) => Poll::Ready(Ok(())),
            None => {
                self.group.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{AppId, KeyId, PartnerId};
    use jiff::Timestamp;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::task::{LocalSet, spawn_local, yield_now};

    /// What an earlier write kept of a group whose own write fails.
    const KEPT: usize = 7;

    /// Counts what it is asked, and fails every second flush.
    #[derive(Default)]
    struct Disk {
        gathered: AtomicU32,
        flushes: AtomicU32,
    }

    impl Recorder for Disk {
        fn has_room(&self, _core: usize) -> bool {
            true
        }

        fn record(&self, _core: usize, _event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
            Ok(())
        }

        fn gather(&self, _core: usize, _event: &UsageEvent<Cow<'_, str>>) -> Result<(), RecordError> {
            self.gathered.fetch_add(1, Relaxed);
            Ok(())
        }

        fn flush(&self, _core: usize) -> Result<(), Lost> {
            match self.flushes.fetch_add(1, Relaxed) % 2 {
                0 => Ok(()),
                _ => Err(Lost { kept: KEPT, error: RecordError("the disk is gone".to_owned()) }),
            }
        }

        fn used_bytes(&self, _core: usize) -> u64 {
            0
        }
    }

    fn event() -> UsageEvent<Cow<'static, str>> {
        let nil = uuid::Uuid::nil();
        UsageEvent {
            units: 1,
            request_id: Cow::Borrowed("r"),
            method: Cow::Borrowed("GET"),
            path: Cow::Borrowed("/"),
            ..UsageEvent::new(Timestamp::UNIX_EPOCH, PartnerId(nil), AppId(nil), KeyId(nil))
        }
    }

    #[tokio::test]
    async fn calls_that_end_in_one_turn_share_a_write_and_its_failure_but_for_those_that_were_kept_before_it() {
        let (turn, disk) = (Rc::new(Turn::default()), Rc::new(Disk::default()));
        let work = async {
            let (writing, onto) = (turn.clone(), disk.clone());
            spawn_local(async move { writing.run(&*onto, 0).await });
            for round in 0..4 {
                let calls = (0..50).map(|_| {
                    let (turn, disk) = (turn.clone(), disk.clone());
                    spawn_local(async move {
                        let flushes = disk.flushes.load(Relaxed);
                        let group = turn.gather(&*disk, 0, &event()).expect("gathered");
                        let written = group.written().await;
                        assert_eq!(disk.flushes.load(Relaxed), flushes + 1, "not before the write, and after one");
                        written.is_ok()
                    })
                });
                for (place, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
                    let kept = round % 2 == 0 || place < KEPT;
                    assert_eq!(call.await.expect("no panic"), kept, "call {place} of round {round}");
                }
                yield_now().await;
            }
        };
        LocalSet::new().run_until(work).await;
        assert_eq!((disk.gathered.load(Relaxed), disk.flushes.load(Relaxed)), (200, 4));
    }
}
