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
    /// The client did not take what was here, so that the upstream was not asked for more.
    held_up: bool,
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
        Some(Box::new(Self { total, idle, held_up: false }))
    }

    /// Something came.
    pub(crate) fn moved(&mut self) {
        self.held_up = false;
        if let Some((idle, sleep)) = &mut self.idle {
            sleep.as_mut().reset((Instant::now() + *idle).into());
        }
    }

    /// Ready once a deadline has passed while the upstream is waited for.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held_up {
            self.moved();
        }
        let total = self.is_total_over(cx);
        let idle = self.idle.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
        if total || idle { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready once the whole has taken too long, while the client is waited for.
    pub(crate) fn poll_held_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.held_up = true;
        if self.is_total_over(cx) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_total_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.total.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}
