//! The request id: the client's if it is well-formed, else one of ours.

use crate::hexadecimal;
use bytes::Bytes;
use domain::id::RequestId;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use std::{cell::Cell, ops::Deref};
use uuid::Uuid;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 128;

/// A call's id: visible ASCII, ready to be a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestText(HeaderValue);

impl RequestText {
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(crate) const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl Deref for RequestText {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Makes ids of one core: time-ordered (UUIDv7), unique by a random start and a step that visits every number. They name
/// calls and protect nothing, so they need not be hard to guess.
#[derive(Debug)]
pub(crate) struct RequestIds {
    state: Cell<u64>,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { state: Cell::new(Uuid::new_v4().as_u64_pair().1 ^ Uuid::new_v4().as_u64_pair().0) }
    }

    /// The client's id, or a new one.
    pub(crate) fn take(&self, headers: &HeaderMap, now: Timestamp) -> RequestText {
        let well_formed = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        match headers.get(X_REQUEST_ID).filter(well_formed) {
            Some(sent) => RequestText(sent.clone()),
            None => text(self.make(now)),
        }
    }

    fn make(&self, now: Timestamp) -> RequestId {
        let mut random = [0_u8; 10];
        random[..8].copy_from_slice(&self.random().to_le_bytes());
        random[8..].copy_from_slice(&self.random().to_le_bytes()[..2]);
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        RequestId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The next number of SplitMix64.
    pub(crate) fn random(&self) -> u64 {
        let next = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The id's text, as its `Display` writes it.
fn text(id: RequestId) -> RequestText {
    let mut text = *b"req_00000000000000000000000000000000";
    let (high, low) = id.0.as_u64_pair();
    if let Some(digits) = text.last_chunk_mut::<32>() {
        let (first, last) = digits.split_at_mut(16);
        for (number, digits) in [(high, first), (low, last)] {
            if let Some(digits) = digits.first_chunk_mut() {
                hexadecimal::write(number, digits);
            }
        }
    }
    let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text));
    RequestText(value.unwrap_or(HeaderValue::from_static("req_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_reads_as_everywhere_else() {
        let ids = RequestIds::new();
        let id = ids.make(Timestamp::UNIX_EPOCH);
        assert_eq!(&*text(id), id.to_string());
    }
}
