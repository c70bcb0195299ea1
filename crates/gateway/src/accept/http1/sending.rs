//! An answer on its way to the client: its head and the first bytes of its body leave in one write.

use super::{
    answer::{self, Frames},
    head::Asked,
    is_doomed,
    wire::Wire,
};
use crate::{
    accept::{Connection, Core},
    meter::Reply,
};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::{Body, Frame};
use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

/// How sending ended.
pub(super) enum Sent {
    /// And whether the connection may carry another request.
    Whole { keeps: bool },
    /// The client has left, takes nothing, or has to see by the close that the answer is cut off.
    Broken,
}

/// Sends the answer.
pub(super) async fn send(
    core: &Core,
    connection: &Connection,
    wire: &RefCell<Wire>,
    response: Response<Reply>,
    asked: Asked,
) -> Sent {
    if !wire.borrow().body_is_done() {
        skip_body(wire).await;
    }
    let (head, reply) = response.into_parts();
    let frames = Frames::of(head.status, &reply, asked);
    let trailers = answer::announced_trailers(&head.headers, frames, asked);
    let mut keeps = asked.keep_alive && frames != Frames::UntilClose && !is_leaving(core, connection);
    {
        let mut wire = wire.borrow_mut();
        keeps &= wire.body_is_done() || wire.body_is_wanted();
        answer::write(&head, &reply, frames, asked, keeps, core.date.text(), wire.outbox.text());
        wire.keep(head.headers);
    }
    let mut sending = Sending { reply, frames, trailers, ended: false, waits: false };
    let sent = poll_fn(|cx| sending.poll(connection, wire, cx)).await;
    // A tunnel goes on from here.
    if sending.waits && head.status != StatusCode::SWITCHING_PROTOCOLS {
        connection.end_answer();
    }
    // Its drop, too, may be what gives the body up.
    drop(sending);
    if sent.is_err() {
        // A body that ends with the connection would look whole.
        if frames == Frames::UntilClose {
            wire.borrow().reset();
        }
        return Sent::Broken;
    }
    if !wire.borrow().body_is_done() {
        skip_body(wire).await;
    }
    Sent::Whole { keeps: keeps && wire.borrow().body_is_done() && !is_leaving(core, connection) }
}

/// Whether the client is to go elsewhere with its next request.
fn is_leaving(core: &Core, connection: &Connection) -> bool {
    connection.is_draining() || core.leaving.get()
}

async fn skip_body(wire: &RefCell<Wire>) {
    poll_fn(|cx| {
        wire.borrow_mut().skip_body(cx);
        Poll::Ready(())
    })
    .await;
}

/// What is left to be sent.
struct Sending {
    reply: Reply,
    frames: Frames,
    trailers: Vec<HeaderName>,
    ended: bool,
    /// The client did not take at once an answer that was here as a whole.
    waits: bool,
}

struct Broken;

impl Sending {
    /// Ready when all of it is written.
    fn poll(
        &mut self,
        connection: &Connection,
        wire: &RefCell<Wire>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let starved = !self.ended && self.gather(wire, cx)?;
            let written = wire.borrow_mut().poll_written(cx);
            match written {
                Poll::Ready(Ok(())) if self.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !starved => continue,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
                Poll::Pending if !self.waits && !matches!(self.reply, Reply::Streaming(_)) => {
                    self.waits = true;
                    connection.begin_answer();
                }
                Poll::Pending => {}
            }
            if wire.borrow_mut().poll_left(cx).is_ready() || is_doomed(connection, cx) {
                return Poll::Ready(Err(Broken));
            }
            return Poll::Pending;
        }
    }

    /// Takes frames of the body as long as there is room for them; says whether there is none yet.
    fn gather(&mut self, wire: &RefCell<Wire>, cx: &mut Context<'_>) -> Result<bool, Broken> {
        while !self.ended && wire.borrow_mut().outbox.has_room() {
            match Pin::new(&mut self.reply).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Ok(frame))) => {
                    self.push(frame, wire)?;
                    if !self.ended && self.reply.is_end_stream() {
                        self.end(wire)?;
                    }
                }
                Poll::Ready(None) => self.end(wire)?,
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an answer is cut off");
                    return Err(Broken);
                }
            }
        }
        Ok(false)
    }

    fn push(&mut self, frame: Frame<bytes::Bytes>, wire: &RefCell<Wire>) -> Result<(), Broken> {
        let outbox = &mut wire.borrow_mut().outbox;
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.write_trailers(&trailers, outbox.text());
                return Ok(());
            }
        };
        let bytes = data.len() as u64;
        match &mut self.frames {
            _ if data.is_empty() => {}
            Frames::Length(left) if bytes <= *left => {
                *left -= bytes;
                outbox.push(data);
            }
            // More than was announced must not be taken for the next answer.
            Frames::Length(_) => return Err(Broken),
            Frames::Chunked => outbox.push_chunk(data),
            Frames::UntilClose => outbox.push(data),
            Frames::None => self.ended = true,
        }
        Ok(())
    }

    /// Trailers end a chunked body, and are dropped elsewhere.
    fn write_trailers(&mut self, trailers: &HeaderMap, out: &mut Vec<u8>) {
        if self.frames == Frames::Chunked {
            answer::write_trailers(trailers, &self.trailers, out);
            self.ended = true;
        }
    }

    fn end(&mut self, wire: &RefCell<Wire>) -> Result<(), Broken> {
        match self.frames {
            Frames::Length(1..) => return Err(Broken),
            Frames::Chunked => wire.borrow_mut().outbox.push_last_chunk(),
            Frames::Length(_) | Frames::None | Frames::UntilClose => {}
        }
        self.ended = true;
        Ok(())
    }
}
