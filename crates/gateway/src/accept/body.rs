//! A request's body, whichever protocol it comes in.

use super::http1;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// What a client sends after its request's head.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Nothing.
    Empty,
    Http1(http1::Incoming),
    Http2(hyper::body::Incoming),
}

/// Why a request's body has no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("its connection broke: {0}")]
    Io(io::Error),
    #[error("its connection was closed before the body's end")]
    Closed,
    #[error("the body is malformed: {0}")]
    Malformed(&'static str),
    #[error("its stream broke: {0}")]
    Http2(hyper::Error),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(BodyError::Http2)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
