//! HTTP/1.1 towards upstreams (RFC 9112), driven by the call's own task: no task of the connection, no channel.
//!
//! Strict where leniency would let two parsers disagree: both `Transfer-Encoding` and `Content-Length`, and what
//! [`crate::http1`] is strict about. The answer's head and framing are written anew for the client, so that nothing of the
//! upstream's framing is passed on.

use super::{Answer, AnswerBody, ExchangeError, Manner, SendFailed, connect::Io, pool::Pool};
use crate::{
    http1::{Framing, Inbox, Piece, SMALL_READ},
    meter::Upload,
};
use bytes::Bytes;
use http::{Request, StatusCode, response};
use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

mod head;
mod lines;
mod sending;
mod stream;
mod switched;
#[cfg(test)]
mod tests;

use head::AnswerHead;
use sending::{Scratch, Sending, SendingError};
pub(crate) use stream::AnswerStream;
pub(crate) use switched::Switched;

/// Informational answers before the one that counts.
const MAX_INFORMATIONAL: usize = 16;

/// A connection to an upstream.
#[derive(Debug)]
pub(super) struct Connection {
    io: Io,
    inbox: Inbox,
    scratch: Scratch,
}

impl Connection {
    pub(super) fn new(io: Io) -> Self {
        Self { io, inbox: Inbox::new(), scratch: Scratch::default() }
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.io.is_quiet()
    }

    /// Reads what has come; zero at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.poll_fill(&mut self.io, cx)
    }
}

/// Sends the request on the connection and waits for the answer's head.
pub(super) async fn exchange(
    connection: Box<Connection>,
    home: Rc<Pool>,
    request: Box<Request<Upload>>,
    manner: Manner<'_>,
    inform: &dyn Fn(response::Parts),
) -> Result<Answer, SendFailed> {
    let mut exchange = Exchange::begin(connection, request, manner);
    match poll_fn(|cx| exchange.poll_head(inform, cx)).await {
        Ok(head) => Ok(exchange.into_answer(head, home)),
        Err(error) => Err(exchange.into_failure(error)),
    }
}

/// A request on its way, before the answer's head.
struct Exchange {
    connection: Box<Connection>,
    sending: Sending,
    /// How sending failed; an answer may have come all the same, from an upstream that read no further.
    unwritable: Option<io::Error>,
    answered: bool,
    /// Bytes of the head that were looked at in vain.
    looked_at: usize,
    /// As in [`Manner`].
    as_lines: Option<bool>,
    informational: usize,
}

impl Exchange {
    fn begin(mut connection: Box<Connection>, request: Box<Request<Upload>>, manner: Manner<'_>) -> Self {
        let sending = Sending::new(request, manner.written, std::mem::take(&mut connection.scratch.buffer));
        let (looked_at, informational, as_lines) = (0, 0, manner.as_lines);
        Self { connection, sending, unwritable: None, answered: false, looked_at, as_lines, informational }
    }

    fn poll_head(
        &mut self,
        inform: &dyn Fn(response::Parts),
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, ExchangeError>> {
        if self.unwritable.is_none() {
            match self.sending.poll(&mut self.connection.io, cx) {
                Poll::Ready(Err(SendingError::Upload)) => return Poll::Ready(Err(ExchangeError::Upload)),
                Poll::Ready(Err(SendingError::Io(error))) => self.unwritable = Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        loop {
            let Connection { inbox, scratch, .. } = &mut *self.connection;
            let asked = head::Asked { method: self.sending.method(), as_lines: self.as_lines };
            match head::take(&mut inbox.bytes, &mut self.looked_at, asked, &mut scratch.headers) {
                Err(malformed) => return Poll::Ready(Err(ExchangeError::Malformed(malformed))),
                Ok(Some(head)) => match self.pass(head, inform) {
                    Ok(None) => continue,
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Ok(None) => {}
            }
            match ready!(self.connection.poll_fill(cx)) {
                Ok(1..) => self.answered = true,
                Ok(0) => {
                    return Poll::Ready(Err(self.unwritable.take().map_or(ExchangeError::Closed, ExchangeError::Io)));
                }
                Err(error) => return Poll::Ready(Err(self.unwritable.take().unwrap_or(error).into())),
            }
        }
    }

    /// The head if it is the answer's; nothing if it only informs.
    fn pass(
        &mut self,
        head: AnswerHead,
        inform: &dyn Fn(response::Parts),
    ) -> Result<Option<AnswerHead>, ExchangeError> {
        match head.parts.status {
            StatusCode::SWITCHING_PROTOCOLS if !self.sending.asks_to_upgrade() => {
                Err(ExchangeError::Malformed("it switches protocols without being asked to"))
            }
            status if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {
                self.informational += 1;
                if self.informational > MAX_INFORMATIONAL {
                    return Err(ExchangeError::Malformed("it informs without end"));
                }
                inform(head.parts);
                Ok(None)
            }
            _ => Ok(Some(head)),
        }
    }

    fn into_answer(mut self, head: AnswerHead, home: Rc<Pool>) -> Answer {
        let AnswerHead { mut parts, mut framing, keep_alive, lines } = head;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let Connection { io, inbox, .. } = *self.connection;
            let switched = Switched::new(io, inbox.bytes.freeze());
            return Answer::new(parts, AnswerBody::Switched(Box::new(switched)));
        }
        let sent = self.sending.is_done();
        let whole = match framing {
            Framing::Done => Some(Bytes::new()),
            Framing::Length(left) if left <= self.connection.inbox.bytes.len() as u64 => {
                match framing.next(&mut self.connection.inbox.bytes) {
                    Ok(Piece::Data(bytes)) => Some(bytes),
                    _ => None,
                }
            }
            _ => None,
        };
        let sending = if sent {
            self.connection.scratch = self.sending.into_scratch();
            if lines.is_some() {
                // The request's map is the next one's on the client's side.
                parts.headers = std::mem::take(&mut self.connection.scratch.headers);
            }
            None
        } else {
            Some(self.sending)
        };
        let reusable = keep_alive && self.unwritable.is_none();
        match whole {
            Some(bytes) => {
                if reusable && sending.is_none() {
                    self.connection.rest(&home);
                }
                Answer { head: parts, body: AnswerBody::Full(bytes), lines }
            }
            None => {
                let stream = AnswerStream::new(self.connection, framing, sending, reusable, home);
                Answer { head: parts, body: AnswerBody::Http1(Box::new(stream)), lines }
            }
        }
    }

    fn into_failure(self, error: ExchangeError) -> SendFailed {
        let written = self.sending.has_written();
        SendFailed { error, written, answered: self.answered, request: self.sending.into_request() }
    }
}

impl Connection {
    /// Goes back to its pool, unless the upstream has said more than was asked.
    fn rest(mut self: Box<Self>, home: &Pool) {
        if !self.inbox.bytes.is_empty() {
            return;
        }
        self.inbox.rest();
        if self.scratch.buffer.capacity() > SMALL_READ {
            self.scratch = Scratch::default();
        }
        home.give_back(self);
    }
}
