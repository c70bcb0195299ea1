//! The end of a connection that the client is to hear out.

use super::{is_doomed, wire::Wire};
use crate::accept::Connection;
use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// How long a client may go on sending after our last answer.
const LINGER: Duration = Duration::from_secs(2);

/// How much it may send then, in bytes.
const MAX_IGNORED: usize = 16 << 20;

/// Says that nothing more comes. Where the client has not sent all that it announced, reads on for a while: bytes that arrive
/// at a closed socket are answered with a reset, which can take the answer from a client that has not read it (RFC 9112, 9.6).
pub(super) async fn hang_up(connection: &Connection, wire: &RefCell<Wire>) {
    let shut = poll_fn(|cx| match wire.borrow_mut().poll_shutdown(cx) {
        Poll::Pending if !is_doomed(connection, cx) => Poll::Pending,
        shut => Poll::Ready(matches!(shut, Poll::Ready(Ok(())))),
    });
    if !shut.await || wire.borrow().is_heard_out() {
        return;
    }
    let mut ignored = 0;
    let _ = timeout(LINGER, poll_fn(|cx| poll_ignore(connection, wire, &mut ignored, cx))).await;
}

fn poll_ignore(connection: &Connection, wire: &RefCell<Wire>, ignored: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    let wire = &mut *wire.borrow_mut();
    while *ignored < MAX_IGNORED && !is_doomed(connection, cx) {
        wire.inbox.bytes.clear();
        match ready!(wire.poll_fill(cx)) {
            Ok(bytes @ 1..) => *ignored += bytes,
            _ => break,
        }
    }
    Poll::Ready(())
}
