//! An answer on its way to its client, of which a copy is kept if all of it arrives.

use super::{
    entries::Stored,
    flights::Lead,
    freshness::Terms,
    key::{Address, Scope, Variation},
    rules::Shelf,
};
use crate::upstream::{AnswerBody, ExchangeError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use metrics::Gauge;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Where an answer goes, with all of it but the body.
pub(super) struct Filing {
    pub shelf: Arc<Shelf>,
    pub address: Address,
    pub scope: Scope,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub variation: Variation,
    pub terms: Terms,
    pub asked_at: u64,
    pub arrived_at: u64,
    pub max_bytes: usize,
    pub max_body_bytes: usize,
    /// Shows what is kept.
    pub bytes: Gauge,
    pub lead: Option<Lead>,
}

impl std::fmt::Debug for Filing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filing").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Filing {
    /// Keeps the answer.
    pub(super) fn file(mut self, body: Bytes) {
        if body.len() > self.max_body_bytes {
            return self.leave();
        }
        if self.status != StatusCode::NO_CONTENT {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let stored = Stored {
            status: self.status,
            headers: self.headers,
            body,
            variation: self.variation,
            terms: self.terms,
            asked_at: self.asked_at,
            stored_at: self.arrived_at,
            refreshing: Default::default(),
        };
        self.shelf.entries.keep(self.address, self.scope, Arc::new(stored), self.max_bytes);
        self.bytes.set(self.shelf.entries.bytes() as f64);
        if let Some(lead) = self.lead {
            lead.landed();
        }
    }

    /// It cannot be kept after all, and nor can the next one like it.
    fn leave(self) {
        if let Some(lead) = self.lead {
            lead.leave(self.arrived_at);
        }
    }
}

/// The body on its way.
#[derive(Debug)]
pub(crate) struct Collecting {
    body: AnswerBody,
    copy: BytesMut,
    filing: Option<Filing>,
}

impl Collecting {
    pub(super) fn new(body: AnswerBody, filing: Filing) -> Self {
        Self { body, copy: BytesMut::new(), filing: Some(filing) }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(cx) else { return Poll::Pending };
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.add(data);
                } else if let Some(filing) = self.filing.take() {
                    // Trailers are for this call.
                    filing.leave();
                }
                if self.body.is_end_stream() {
                    self.end();
                }
            }
            // Part of an answer is none.
            Some(Err(_)) => drop(self.filing.take()),
            None => self.end(),
        }
        Poll::Ready(polled)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.filing.is_none() && self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn add(&mut self, data: &Bytes) {
        let Some(filing) = &self.filing else { return };
        if self.copy.len() + data.len() <= filing.max_body_bytes {
            self.copy.extend_from_slice(data);
        } else if let Some(filing) = self.filing.take() {
            self.copy = BytesMut::new();
            filing.leave();
        }
    }

    fn end(&mut self) {
        if let Some(filing) = self.filing.take() {
            filing.file(std::mem::take(&mut self.copy).freeze());
        }
    }
}
