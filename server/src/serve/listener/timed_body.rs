//! A request's body that has to keep coming.

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Between two pieces of it.
    pub idle: Duration,
    /// From the end of the head to the end of the body.
    pub whole: Duration,
}

/// Breaks off with [`io::ErrorKind::TimedOut`] where a limit is passed; the connection is then closed.
pub struct TimedBody {
    body: Incoming,
    idle: Duration,
    ends_at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl TimedBody {
    pub fn new(body: Incoming, limits: BodyLimits) -> Self {
        let now = Instant::now();
        let ends_at = now + limits.whole;
        Self { body, idle: limits.idle, ends_at, sleep: Box::pin(sleep_until(ends_at.min(now + limits.idle))) }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let next = self.ends_at.min(Instant::now() + self.idle);
            self.sleep.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        self.sleep.as_mut().poll(cx).map(|()| {
            Some(Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, "the body did not arrive in time"))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
