//! An answer's body on its way from the connection, while the rest of the request's body goes the other way.

use super::{
    super::{ExchangeError, pool::Pool},
    Connection,
    sending::{Sending, SendingError},
};
use crate::http1::{Framing, Piece};
use bytes::Bytes;
use http_body::Frame;
use std::{
    rc::Rc,
    task::{Context, Poll, ready},
};

/// The body of an answer, and the connection that it comes on.
#[derive(Debug)]
pub(crate) struct AnswerStream {
    /// `None` once it is given back or closed.
    connection: Option<Box<Connection>>,
    framing: Framing,
    sending: Option<Sending>,
    reusable: bool,
    home: Rc<Pool>,
}

impl AnswerStream {
    pub(super) const fn new(
        connection: Box<Connection>,
        framing: Framing,
        sending: Option<Sending>,
        reusable: bool,
        home: Rc<Pool>,
    ) -> Self {
        Self { connection: Some(connection), framing, sending, reusable, home }
    }

    /// Whether nothing of the body is left.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.framing.is_done()
    }

    /// How many bytes of the body are left, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        self.framing.left()
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let polled = ready!(self.poll(cx));
        if !matches!(polled, Ok(Some(_))) {
            self.connection = None;
        }
        Poll::Ready(polled.transpose())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, ExchangeError>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
        match self.sending.as_mut().map(|sending| sending.poll(&mut connection.io, cx)) {
            None | Some(Poll::Pending) => {}
            Some(Poll::Ready(Ok(()))) => {
                connection.scratch = self.sending.take().map(Sending::into_scratch).unwrap_or_default();
            }
            Some(Poll::Ready(Err(SendingError::Upload))) => return Poll::Ready(Err(ExchangeError::Upload)),
            // An upstream may read no further and answer all the same.
            Some(Poll::Ready(Err(SendingError::Io(_)))) => (self.sending, self.reusable) = (None, false),
        }
        loop {
            let piece = self.framing.next(&mut connection.inbox.bytes).map_err(ExchangeError::Malformed)?;
            let frame = match piece {
                Piece::Data(bytes) => Some(Frame::data(bytes)),
                Piece::Trailers(trailers) => Some(Frame::trailers(trailers)),
                Piece::End => None,
                Piece::More => match ready!(connection.poll_fill(cx)) {
                    Ok(1..) => continue,
                    Ok(0) if self.framing.close() => return Poll::Ready(Ok(None)),
                    Ok(0) => return Poll::Ready(Err(ExchangeError::Closed)),
                    Err(error) => return Poll::Ready(Err(error.into())),
                },
            };
            if self.framing.is_done()
                && self.reusable
                && self.sending.is_none()
                && let Some(connection) = self.connection.take()
            {
                connection.rest(&self.home);
            }
            return Poll::Ready(Ok(frame));
        }
    }
}
