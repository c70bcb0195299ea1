//! The body of a request that is under way, wherever its call has taken it.

use super::wire::Wire;
use crate::accept::body::BodyError;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Reads from the client's connection. Trailers are dropped.
pub(crate) struct Incoming {
    wire: Rc<RefCell<Wire>>,
    turn: u64,
}

impl Incoming {
    pub(super) const fn new(wire: Rc<RefCell<Wire>>, turn: u64) -> Self {
        Self { wire, turn }
    }

    pub(in super::super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = ready!(self.wire.borrow_mut().poll_body(self.turn, cx));
        Poll::Ready(polled.map(|data| data.map(Frame::data)).transpose())
    }

    pub(in super::super) fn is_end_stream(&self) -> bool {
        self.wire.borrow().framing(self.turn).is_some_and(|framing| framing.is_done())
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        let left = self.wire.borrow().framing(self.turn).and_then(|framing| framing.left());
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("turn", &self.turn).finish_non_exhaustive()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Not while the connection's task panics in the middle of using it.
        if let Ok(mut wire) = self.wire.try_borrow_mut() {
            wire.leave_body(self.turn);
        }
    }
}
