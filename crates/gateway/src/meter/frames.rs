//! An answer of which some was read before it is passed on: a start and the rest of a stream, or the whole.

use super::{Broken, Metered};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::task::{Context, Poll};

/// What was read, then what is still to come.
#[derive(Debug)]
pub(crate) struct Frames {
    start: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<Box<Metered>>,
}

impl Frames {
    /// A whole answer.
    pub(crate) const fn whole(body: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { start: body, trailers, rest: None }
    }

    /// The start of an answer that goes on.
    pub(crate) const fn then(start: Bytes, rest: Box<Metered>) -> Self {
        Self { start, trailers: None, rest: Some(rest) }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        match (&mut self.rest, self.trailers.take()) {
            (Some(rest), _) => rest.poll(cx),
            (None, trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let rest_is_over = self.rest.as_ref().is_none_or(|rest| rest.permit.is_none() && rest.body.is_end_stream());
        self.start.is_empty() && self.trailers.is_none() && rest_is_over
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let start = self.start.len() as u64;
        match &self.rest {
            None => SizeHint::with_exact(start),
            Some(rest) => {
                rest.body.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(start + rest))
            }
        }
    }
}
