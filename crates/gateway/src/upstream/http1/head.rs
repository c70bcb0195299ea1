//! Heads: a request's is written straight from its header map, an answer's is read into one.

use super::framing::Framing;
use crate::{decimal::Decimal, meter::Upload};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    request, response,
};
use http_body::Body;
use httparse::{ParserConfig, Status};
use std::mem::MaybeUninit;

/// The longest head of an answer, in bytes.
const MAX_BYTES: usize = 60 << 10;

/// The most fields in an answer's head, or in its trailers.
pub(super) const MAX_FIELDS: usize = 100;

/// Room for the fields that the gateway adds to an answer.
const ADDED_FIELDS: usize = 10;

/// How the request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frames {
    None,
    /// Bytes that are still to come.
    Length(u64),
    Chunked,
}

/// An answer's head and what follows from it.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub parts: response::Parts,
    pub framing: Framing,
    /// Whether the connection may carry another request after the answer.
    pub keep_alive: bool,
}

/// Writes the request's head, with the framing that its body needs.
pub(super) fn write(head: &request::Parts, body: &Upload, out: &mut Vec<u8>) -> Frames {
    let frames = match (body.is_end_stream(), body.size_hint().exact()) {
        (true, _) => Frames::None,
        (false, Some(length)) => Frames::Length(length),
        (false, None) => Frames::Chunked,
    };
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match frames {
        Frames::Length(length) => write_length(length, out),
        Frames::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // Some upstreams want to hear that there is no body where there could be one.
        Frames::None if matches!(head.method, Method::POST | Method::PUT | Method::PATCH) => write_length(0, out),
        Frames::None => {}
    }
    out.extend_from_slice(b"\r\n");
    frames
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(Decimal::of(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Takes an answer's head from the start of what was read, or nothing if its end has not come. `looked_at` is what was looked
/// at before in vain, so that a head that comes byte by byte is not parsed as often.
pub(super) fn take(
    read: &mut BytesMut,
    looked_at: &mut usize,
    asked: &Method,
) -> Result<Option<AnswerHead>, &'static str> {
    if read.is_empty() || (*looked_at > 0 && !has_end(read.get(looked_at.saturating_sub(3)..).unwrap_or_default())) {
        *looked_at = read.len();
        return if read.len() > MAX_BYTES { Err("its head is too long") } else { Ok(None) };
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut answer, read, &mut fields) {
        Ok(Status::Complete(length)) if length > MAX_BYTES => return Err("its head is too long"),
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if read.len() > MAX_BYTES => return Err("its head is too long"),
        Ok(Status::Partial) => {
            *looked_at = read.len();
            return Ok(None);
        }
        Err(httparse::Error::TooManyHeaders) => return Err("its head has too many fields"),
        Err(_) => return Err("its head is not HTTP/1.1"),
    };
    let version = if answer.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is no number")?;
    // Where names and values begin and end: they are cut out of the buffer, not copied.
    let start = read.as_ptr() as usize;
    let mut places = [[0_u16; 4]; MAX_FIELDS];
    let count = answer.headers.len();
    for (place, field) in places.iter_mut().zip(answer.headers.iter()) {
        let (name, value) = (field.name.as_ptr() as usize - start, field.value.as_ptr() as usize - start);
        // None is beyond MAX_BYTES.
        *place = [name, name + field.name.len(), value, value + field.value.len()].map(|at| at as u16);
    }
    let bytes = read.split_to(length).freeze();
    *looked_at = 0;
    let headers = fields_of(&bytes, places.get(..count).unwrap_or_default())?;
    let framing = framing(&headers, status, version, asked)?;
    let keep_alive = keeps_alive(&headers, version) && !matches!(framing, Framing::UntilClose);
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.version, parts.headers) = (status, version, headers);
    Ok(Some(AnswerHead { parts, framing, keep_alive }))
}

/// Whether an empty line is in there.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

fn fields_of(head: &Bytes, places: &[[u16; 4]]) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::with_capacity(places.len() + ADDED_FIELDS);
    for place in places {
        let [name, name_end, value, value_end] = place.map(usize::from);
        let name = HeaderName::from_bytes(head.get(name..name_end).unwrap_or_default());
        let value = HeaderValue::from_maybe_shared(head.slice(value..value_end));
        match (name, value) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            _ => return Err("a field of its head is malformed"),
        }
    }
    Ok(headers)
}

/// RFC 9112, 6.3, without its leniencies.
fn framing(headers: &HeaderMap, status: StatusCode, version: Version, asked: &Method) -> Result<Framing, &'static str> {
    let mut coded = headers.contains_key(TRANSFER_ENCODING);
    let length = length(headers)?;
    if coded {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let chunked = codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
        let ignored = !chunked && headers.get(TRANSFER_ENCODING).is_some_and(is_no_coding);
        if !(chunked || ignored) || codings.next().is_some() {
            return Err("its transfer coding is another than chunked");
        }
        coded = chunked;
        if length.is_some() {
            return Err("it has both a length and a transfer coding");
        }
        if version == Version::HTTP_10 {
            return Err("it has a transfer coding in HTTP/1.0");
        }
    }
    let bodiless = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match (bodiless || asked == Method::HEAD, coded, length) {
        (true, ..) | (false, false, Some(0)) => Framing::Done,
        (false, true, _) => Framing::chunked(),
        (false, false, Some(length)) => Framing::Length(length),
        (false, false, None) => Framing::UntilClose,
    })
}

/// One token that nobody takes for a coding, as the `identity` of old: the body ends with the connection, for every reader.
fn is_no_coding(value: &HeaderValue) -> bool {
    let token = value.as_bytes().to_ascii_lowercase();
    let known = [&b"chunked"[..], b"gzip", b"deflate", b"compress"];
    let holds = |coding: &&[u8]| token.windows(coding.len()).any(|part| part == *coding);
    !token.is_empty() && token.iter().all(|byte| byte.is_ascii_alphanumeric()) && !known.iter().any(holds)
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err("it has more than one length");
    }
    let digits = first.as_bytes();
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err("its length is no number");
    }
    Ok(Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
}

fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    let says = |option: &str| {
        let values = headers.get_all(CONNECTION).iter();
        values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}
