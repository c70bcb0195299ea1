//! How long the rest of an answer may take, where the product says so. Other calls have no timer: the core's sweep closes
//! connections that stand still.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::{Sleep, sleep_until};

/// The deadlines of one answer's body.
#[derive(Debug)]
pub(crate) struct Patience {
    total: Option<Pin<Box<Sleep>>>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Whether more was asked for in vain.
    waits: bool,
}

impl Patience {
    /// `None` where there are no deadlines. `total` counts from the request's arrival.
    pub(crate) fn new(total: Option<Duration>, idle: Option<Duration>, arrived: Instant) -> Option<Box<Self>> {
        if total.is_none() && idle.is_none() {
            return None;
        }
        let at = |instant: Instant| Box::pin(sleep_until(instant.into()));
        let total = total.map(|total| at(arrived + total));
        let idle = idle.map(|idle| (idle, at(Instant::now() + idle)));
        Some(Box::new(Self { total, idle, waits: false }))
    }

    /// When the whole answer is to be over.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.total.as_ref().map(|sleep| sleep.deadline().into_std())
    }

    /// Ready once a deadline has passed. `waits` says that more was asked for in vain; the time to wait for it begins there, as
    /// nobody asks while the client has not taken what was here.
    pub(crate) fn poll_over(&mut self, waits: bool, cx: &mut Context<'_>) -> Poll<()> {
        let begins = !std::mem::replace(&mut self.waits, waits);
        let total = self.total.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
        let idle = self.idle.as_mut().filter(|_| waits).is_some_and(|(idle, sleep)| {
            if begins {
                sleep.as_mut().reset((Instant::now() + *idle).into());
            }
            sleep.as_mut().poll(cx).is_ready()
        });
        if total || idle { Poll::Ready(()) } else { Poll::Pending }
    }
}
