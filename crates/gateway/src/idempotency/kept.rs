//! An answer as it is kept: status, end-to-end headers, body, trailers.
//!
//! Numbers are big-endian: a format byte, the status (2 bytes), then the headers, the trailers (each a count of 2 bytes, and
//! for each field its name and its value, both preceded by 4 bytes of length), then the body up to the end.

use crate::meter::{Frames, Reply};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{AGE, CONTENT_LENGTH, TRAILER},
    response,
};

const FORMAT: u8 = 1;
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A whole answer of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Bytes,
}

impl Kept {
    /// The answer whose head this is; headers that we say ourselves are not kept.
    pub(super) fn new(head: &response::Parts, body: Bytes, trailers: Option<HeaderMap>) -> Self {
        let mut headers = head.headers.clone();
        let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
        for name in ours {
            headers.remove(name);
        }
        Self { status: head.status, headers, trailers: trailers.unwrap_or_default(), body }
    }

    /// The answer, given again.
    pub(super) fn replay(self) -> Response<Reply> {
        let body = if self.trailers.is_empty() {
            Reply::Whole(self.body)
        } else {
            Reply::Frames(Box::new(Frames::whole(self.body, Some(self.trailers))))
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        response
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 1024);
        bytes.push(FORMAT);
        bytes.extend(self.status.as_u16().to_be_bytes());
        for fields in [&self.headers, &self.trailers] {
            // A head is at most 64 KiB long, so neither number is ever cut.
            bytes.extend(u16::try_from(fields.len()).unwrap_or(u16::MAX).to_be_bytes());
            for (name, value) in fields.iter().take(usize::from(u16::MAX)) {
                for text in [name.as_str().as_bytes(), value.as_bytes()] {
                    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                    bytes.extend(text);
                }
            }
        }
        bytes.extend(&self.body);
        bytes
    }

    /// `None` where it was not written by [`Self::encode`].
    pub(super) fn decode(bytes: Vec<u8>) -> Option<Self> {
        let mut bytes = Bytes::from(bytes);
        if take(&mut bytes, 1)?.first() != Some(&FORMAT) {
            return None;
        }
        let status = StatusCode::from_u16(number(&mut bytes)?).ok()?;
        let headers = fields(&mut bytes)?;
        let trailers = fields(&mut bytes)?;
        Some(Self { status, headers, trailers, body: bytes })
    }
}

/// What is said anew with each answer, by us or by the server's framing.
fn is_ours(name: &HeaderName) -> bool {
    let text = name.as_str();
    matches!(text, "x-request-id" | "x-quota-warning" | "idempotent-replayed" | "cache-status")
        || ["ratelimit", "x-ratelimit-", "x-turnpike-"].iter().any(|prefix| text.starts_with(prefix))
        || [CONTENT_LENGTH, TRAILER, AGE].contains(name)
}

fn fields(bytes: &mut Bytes) -> Option<HeaderMap> {
    let count = number(bytes)?;
    let mut fields = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(&text(bytes)?).ok()?;
        fields.try_append(name, HeaderValue::from_maybe_shared(text(bytes)?).ok()?).ok()?;
    }
    Some(fields)
}

fn text(bytes: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(take(bytes, 4)?.as_ref().try_into().ok()?);
    take(bytes, usize::try_from(length).ok()?)
}

fn number(bytes: &mut Bytes) -> Option<u16> {
    Some(u16::from_be_bytes(take(bytes, 2)?.as_ref().try_into().ok()?))
}

fn take(bytes: &mut Bytes, count: usize) -> Option<Bytes> {
    (bytes.len() >= count).then(|| bytes.split_to(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> response::Parts {
        let response = Response::builder()
            .status(402)
            .header("content-type", "application/json")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("x-odd", HeaderValue::from_bytes(b"caf\xe9").expect("a value"))
            .header("content-length", "4")
            .header("x-request-id", "req_1")
            .header("ratelimit-policy", "\"second\";q=1;w=1")
            .header("x-ratelimit-limit", "1")
            .header("x-turnpike-units", "1");
        response.body(()).expect("a response").into_parts().0
    }

    #[test]
    fn an_answer_comes_back_as_it_was_without_what_is_said_anew() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let kept = Kept::new(&head(), Bytes::from_static(b"\0\xffab"), Some(trailers));
        let mut names: Vec<&str> = kept.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "set-cookie", "x-odd"]);
        assert_eq!(kept.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(Kept::decode(kept.encode()), Some(kept));
    }

    #[test]
    fn what_was_cut_or_changed_is_no_answer_and_no_panic() {
        let whole = Kept::new(&head(), Bytes::new(), None).encode();
        for length in 0..whole.len() {
            assert_eq!(Kept::decode(whole[..length].to_vec()), None, "{length}");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x80;
            let _ = Kept::decode(changed);
        }
    }
}
