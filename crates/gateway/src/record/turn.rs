//! The events of one turn of a core's loop, written at once: each call waits for a `write()` that it shares with the others.
//!
//! The first event wakes a task, which the loop comes to after all calls that were ready by then.

use crate::ports::{RecordError, Recorder};
use domain::usage::UsageEvent;
use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
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
pub(crate) struct Group {
    outcome: OnceCell<Result<(), String>>,
    waiting: RefCell<Vec<Waker>>,
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
    ) -> Result<Rc<Group>, RecordError> {
        recorder.gather(core, event)?;
        let mut group = self.group.borrow_mut();
        let group = group.get_or_insert_with(|| {
            self.begun.notify_one();
            Rc::default()
        });
        Ok(group.clone())
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
        let outcome = recorder.flush(core).map_err(|error| error.0);
        let _ = group.outcome.set(outcome);
        group.waiting.take().into_iter().for_each(Waker::wake);
    }
}

impl Group {
    /// Waits until the group's events are in the log.
    ///
    /// # Errors
    /// None of them is.
    pub(crate) async fn written(&self) -> Result<(), RecordError> {
        poll_fn(|cx| match self.outcome.get() {
            Some(outcome) => Poll::Ready(outcome.clone().map_err(RecordError)),
            None => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::wire;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::task::{LocalSet, spawn_local, yield_now};

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

        fn flush(&self, _core: usize) -> Result<(), RecordError> {
            match self.flushes.fetch_add(1, Relaxed) % 2 {
                0 => Ok(()),
                _ => Err(RecordError("the disk is gone".to_owned())),
            }
        }

        fn used_bytes(&self, _core: usize) -> u64 {
            0
        }
    }

    fn event() -> UsageEvent<Cow<'static, str>> {
        // The shortest event: version, flags and outcome, then zeros for all that has a fixed length.
        let mut bytes = vec![1, 0, 0];
        bytes.resize(3 + 8 + 4 + 2 + 48 + 5 + 3, 0);
        let event = wire::decode(&bytes).expect("an event");
        UsageEvent {
            at: event.at,
            partner: event.partner,
            app: event.app,
            key: event.key,
            team: None,
            member: None,
            plan_version: None,
            product: None,
            operation: None,
            environment: event.environment,
            status: 200,
            outcome: event.outcome,
            units: 1,
            credits: 0,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            upstream_us: 0,
            request_id: Cow::Borrowed("r"),
            method: Cow::Borrowed("GET"),
            path: Cow::Borrowed("/"),
            period: None,
        }
    }

    #[tokio::test]
    async fn calls_that_end_in_one_turn_share_a_write_and_its_failure() {
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
                for call in calls.collect::<Vec<_>>() {
                    assert_eq!(call.await.expect("no panic"), round % 2 == 0, "round {round}");
                }
                yield_now().await;
            }
        };
        LocalSet::new().run_until(work).await;
        assert_eq!((disk.gathered.load(Relaxed), disk.flushes.load(Relaxed)), (200, 4));
    }
}
