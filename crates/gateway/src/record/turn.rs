//! The events of one turn of a core's loop, written at once: each call waits for a `write()` that it shares with the others.
//!
//! The first event wakes a task, which the loop comes to after all calls that were ready by then.

use crate::{accept::Core, ports::RecordError};
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
    pub(crate) fn gather(&self, core: &Core, event: &UsageEvent<Cow<'_, str>>) -> Result<Rc<Group>, RecordError> {
        core.shared.recorder.gather(core.index, event)?;
        let mut group = self.group.borrow_mut();
        let group = group.get_or_insert_with(|| {
            self.begun.notify_one();
            Rc::default()
        });
        Ok(group.clone())
    }

    /// Writes one group after another, for as long as it is polled.
    pub(crate) async fn run(&self, core: &Core) {
        loop {
            self.begun.notified().await;
            self.write(core);
        }
    }

    /// Writes what is gathered, and tells those who wait.
    pub(crate) fn write(&self, core: &Core) {
        let Some(group) = self.group.take() else { return };
        let outcome = core.shared.recorder.flush(core.index).map_err(|error| error.0);
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
