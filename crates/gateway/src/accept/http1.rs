//! HTTP/1.0 and 1.1 from clients (RFC 9112), driven by the connection's own task: a head in, its call, the answer out, and
//! again. The mirror of the client towards upstreams, with which it shares [`crate::http1`].
//!
//! A request's body is read by whoever wants it, straight from the socket. While a call is under way the connection also
//! looks whether its client has left; then the call is dropped. A connection on which nothing has happened for a second
//! gives its buffers away, and the room for the largest call.

use super::{Connection, Core, RequestBody, linger};
use crate::{call, headers, meter::Reply, websocket::Tunnel};
use http::{Request, Response, StatusCode, Version};
use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

mod answer;
mod body;
mod date;
mod head;
mod io;
mod sending;
#[cfg(test)]
mod tests;
mod wire;

pub(super) use body::Incoming;
pub(crate) use date::Date;
use head::{Asked, Head};
pub(super) use io::Io;
use sending::{Sent, send};
use wire::Wire;

/// Serves the connection until it ends, is drained, or misses a deadline.
pub(super) async fn serve(core: &Rc<Core>, connection: &Rc<Connection>, io: Io) {
    let open = Open(Rc::new(RefCell::new(Wire::new(io))));
    let wire = &open.0;
    connection.take_lines();
    loop {
        // Boxed, so that a connection that rests does not hold room for a call.
        match Box::pin(converse(core, connection, wire)).await {
            Next::Rest => {
                wire.borrow_mut().rest();
                if !has_more(connection, wire).await {
                    let taken = if connection.is_doomed() { None } else { wire.borrow_mut().take_io() };
                    if let Some((io, _)) = taken {
                        Box::pin(linger::shut(connection, io)).await;
                    }
                    return;
                }
            }
            Next::HangUp => {
                let heard_out = wire.borrow().is_heard_out();
                let Some((io, _)) = wire.borrow_mut().take_io() else { return };
                return match heard_out {
                    true => linger::shut(connection, io).await,
                    false => Box::pin(linger::end(connection, io)).await,
                };
            }
            Next::Drop => return,
            Next::Tunnel(tunnel) => {
                let Some((io, early)) = wire.borrow_mut().take_io() else { return };
                return Box::pin(tunnel.run(core, connection, io, early)).await;
            }
        }
    }
}

/// What becomes of a connection that is not between two calls any more.
enum Next {
    /// It gives its memory away until the client sends something.
    Rest,
    /// It is ended so that the client can read all that was sent.
    HangUp,
    /// It is ended at once: the client has left, missed a deadline, or must see that its answer is cut off.
    Drop,
    Tunnel(Box<Tunnel>),
}

/// The connection is closed when its task ends, whoever may still hold the body of a request.
struct Open(Rc<RefCell<Wire>>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Ok(mut wire) = self.0.try_borrow_mut() {
            wire.close();
        }
    }
}

/// One call after another.
async fn converse(core: &Rc<Core>, connection: &Rc<Connection>, wire: &Rc<RefCell<Wire>>) -> Next {
    wire.borrow_mut().begin_message();
    loop {
        let Head { mut request, framing, asked } = match poll_fn(|cx| poll_head(connection, wire, cx)).await {
            Ok(head) => head,
            Err(Silence::Over(next)) => return next,
            Err(Silence::Malformed(status)) => {
                let mut response = Response::new(Reply::Whole(Default::default()));
                *response.status_mut() = status;
                return match send(core, connection, wire, response, Asked::UNREADABLE).await {
                    Sent::Whole { .. } => Next::HangUp,
                    Sent::Broken => Next::Drop,
                };
            }
        };
        let has_body = !framing.is_done();
        connection.take_interim(asked.version == Version::HTTP_11);
        let turn = wire.borrow_mut().begin(framing, asked.expects_continue);
        if has_body {
            *request.body_mut() = RequestBody::Http1(Incoming::new(wire.clone(), turn));
        }
        let Some(response) = carry_out(core, connection, wire, request, !has_body).await else { return Next::Drop };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match send(core, connection, wire, response, asked).await {
            Sent::Whole { .. } if switches => return connection.take_tunnel().map_or(Next::Drop, Next::Tunnel),
            Sent::Whole { keeps: true } => {
                connection.note_upload_ended();
                // What was skipped of this request's body is no beginning of the next head.
                connection.rest();
            }
            Sent::Whole { keeps: false } => return Next::HangUp,
            Sent::Broken => return Next::Drop,
        }
        let mut wire = wire.borrow_mut();
        wire.begin_message();
        if !wire.inbox.bytes.is_empty() {
            connection.begin_head();
        }
    }
}

/// Why there is no request.
enum Silence {
    Malformed(StatusCode),
    Over(Next),
}

/// Waits for the next request's head.
fn poll_head(connection: &Connection, wire: &RefCell<Wire>, cx: &mut Context<'_>) -> Poll<Result<Head, Silence>> {
    let wire = &mut *wire.borrow_mut();
    loop {
        match wire.take_head() {
            Ok(Some(head)) => return Poll::Ready(Ok(head)),
            Ok(None) => {}
            Err(status) => return Poll::Ready(Err(Silence::Malformed(status))),
        }
        match wire.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => continue,
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Silence::Over(Next::HangUp))),
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Silence::Over(Next::Drop))),
            Poll::Pending => {}
        }
        let told = connection.poll_told(cx);
        if connection.is_doomed() {
            return Poll::Ready(Err(Silence::Over(Next::Drop)));
        }
        if wire.inbox.bytes.is_empty() && connection.is_draining() {
            if wire.has_unread() {
                // A request that came before the end is answered, however late this core gets to see it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Err(Silence::Over(Next::HangUp)));
        }
        ready!(told);
        if wire.inbox.bytes.is_empty() && connection.may_rest() {
            return Poll::Ready(Err(Silence::Over(Next::Rest)));
        }
    }
}

/// Carries the call out, unless the client leaves first.
async fn carry_out(
    core: &Rc<Core>,
    connection: &Rc<Connection>,
    wire: &RefCell<Wire>,
    request: Request<RequestBody>,
    whole: bool,
) -> Option<Response<Reply>> {
    let _busy = connection.begin_call(whole);
    let mut call = pin!(call::answer(core.clone(), connection.clone(), request));
    poll_fn(|cx| {
        let answered = call.as_mut().poll(cx);
        pass_interim_on(connection, wire, cx);
        if let Poll::Ready(response) = answered {
            return Poll::Ready(Some(response));
        }
        if connection.settles() {
            return Poll::Pending;
        }
        if wire.borrow_mut().poll_left(cx).is_ready() || is_doomed(connection, cx) {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// Sends the client what the upstream says before its answer.
fn pass_interim_on(connection: &Connection, wire: &RefCell<Wire>, cx: &mut Context<'_>) {
    while let Some(mut interim) = connection.interim() {
        headers::to_client(&mut interim.headers, true);
        let mut wire = wire.borrow_mut();
        answer::write_interim(&interim, wire.outbox.text());
        // Where the client has left, the next look at it says so.
        let _ = wire.poll_written(cx);
    }
}

/// Whether a deadline was missed; the task is woken when one is.
fn is_doomed(connection: &Connection, cx: &mut Context<'_>) -> bool {
    while connection.poll_told(cx).is_ready() {}
    connection.is_doomed()
}

/// Waits until a connection that rests is sent something; says no if it is to end.
async fn has_more(connection: &Connection, wire: &RefCell<Wire>) -> bool {
    poll_fn(|cx| {
        if let Poll::Ready(readable) = wire.borrow().poll_readable(cx) {
            return Poll::Ready(readable.is_ok());
        }
        let doomed = is_doomed(connection, cx);
        if doomed || (connection.is_draining() && !wire.borrow().has_unread()) {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    })
    .await
}
