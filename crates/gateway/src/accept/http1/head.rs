//! A request's head, cut out of the bytes that were read, and how its body is framed.
//!
//! Refused, besides what [`crate::http1`] is strict about: a length and a transfer coding together, more than one coding, a
//! coding in HTTP/1.0.

use crate::{
    accept::RequestBody,
    http1::{Framing, MAX_FIELDS, Places, has_end, keeps_alive, length},
};
use bytes::BytesMut;
use http::{
    HeaderMap, Method, Request, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING},
};
use httparse::{ParserConfig, Status};
use std::mem::MaybeUninit;

/// The longest head, in bytes: places in it fit into 16 bits.
const MAX_BYTES: usize = (64 << 10) - 1;

/// Room for the fields that the gateway adds on the way to the upstream.
const ADDED_FIELDS: usize = 10;

/// A request, not yet with its body.
pub(super) struct Head {
    pub request: Request<RequestBody>,
    pub framing: Framing,
    pub asked: Asked,
}

/// What the answer has to know of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub is_head: bool,
    pub version: Version,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    pub takes_trailers: bool,
    /// Whether the body is sent only once we ask for it.
    pub expects_continue: bool,
}

impl Asked {
    /// A request that could not be read.
    pub(super) const UNREADABLE: Self = Self {
        is_head: false,
        version: Version::HTTP_11,
        keep_alive: false,
        takes_trailers: false,
        expects_continue: false,
    };
}

/// Fields that say something about the connection or the body.
#[derive(Debug, Default)]
struct Noticed {
    framing: bool,
    connection: bool,
    expectation: bool,
    te: bool,
}

/// Takes a request's head from the start of what was read, or nothing if its end has not come. `looked_at` is what was looked
/// at before in vain. The fields are put into `headers`, which is empty.
///
/// # Errors
/// It is malformed or too long, which is answered with that status.
pub(super) fn take(
    read: &mut BytesMut,
    looked_at: &mut usize,
    headers: &mut HeaderMap,
) -> Result<Option<Head>, StatusCode> {
    if read.is_empty() || (*looked_at > 0 && !has_end(read.get(looked_at.saturating_sub(3)..).unwrap_or_default())) {
        return wait(read, looked_at);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let parser = ParserConfig::default();
    let bytes = match parser.parse_request_with_uninit_headers(&mut parsed, read, &mut fields) {
        Ok(Status::Complete(bytes)) if bytes <= MAX_BYTES => bytes,
        Ok(Status::Complete(_)) => return Err(too_long(read)),
        Ok(Status::Partial) => return wait(read, looked_at),
        Err(httparse::Error::TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let start = target.as_ptr() as usize - read.as_ptr() as usize;
    let target = start..start + target.len();
    let places = Places::of(read, parsed.headers);
    *looked_at = 0;
    let bytes = read.split_to(bytes).freeze();
    let uri = Uri::from_maybe_shared(bytes.slice(target)).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut noticed = Noticed::default();
    headers.reserve(places.count() + ADDED_FIELDS);
    let cut = places.cut(&bytes, headers, |name| match *name {
        CONTENT_LENGTH | TRANSFER_ENCODING => noticed.framing = true,
        CONNECTION => noticed.connection = true,
        EXPECT => noticed.expectation = true,
        TE => noticed.te = true,
        _ => {}
    });
    cut.map_err(|_| StatusCode::BAD_REQUEST)?;
    let framing = if noticed.framing { framing(headers, version)? } else { Framing::Done };
    let asked = Asked {
        is_head: method == Method::HEAD,
        version,
        keep_alive: if noticed.connection { keeps_alive(headers, version) } else { version == Version::HTTP_11 },
        takes_trailers: noticed.te && takes_trailers(headers),
        expects_continue: noticed.expectation && version == Version::HTTP_11 && expects_continue(headers),
    };
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = std::mem::take(headers);
    Ok(Some(Head { request, framing, asked }))
}

fn wait(read: &[u8], looked_at: &mut usize) -> Result<Option<Head>, StatusCode> {
    *looked_at = read.len();
    if read.len() > MAX_BYTES { Err(too_long(read)) } else { Ok(None) }
}

fn too_long(read: &[u8]) -> StatusCode {
    match read.iter().take(MAX_BYTES).any(|byte| *byte == b'\n') {
        true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        false => StatusCode::URI_TOO_LONG,
    }
}

/// RFC 9112, 6.3, without its leniencies.
fn framing(headers: &HeaderMap, version: Version) -> Result<Framing, StatusCode> {
    let length = length(headers).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next(), length) {
        (None, _, None | Some(0)) => Ok(Framing::Done),
        (None, _, Some(length)) => Ok(Framing::Length(length)),
        (Some(coding), None, None)
            if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Framing::chunked())
        }
        (Some(_), ..) => Err(StatusCode::BAD_REQUEST),
    }
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut words = headers.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Other expectations are no business of ours.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
