//! Heads: a request's is written straight from its header map, an answer's is read into one.

use super::{super::Written, lines};
use crate::{
    decimal::Decimal,
    fields::Fields,
    http1::{Framing, MAX_FIELDS, Places, has_end, keeps_alive, length},
    meter::Upload,
};
use bytes::{Buf, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    response,
};
use http_body::Body;
use httparse::{ParserConfig, Status};
use std::mem::MaybeUninit;

/// The longest head of an answer, in bytes.
const MAX_BYTES: usize = 60 << 10;

/// Room for the fields that the gateway adds to an answer, or to the request that uses its header map next.
const ADDED_FIELDS: usize = 16;

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
    /// In place of the header map, where they were asked for and nothing speaks against it.
    pub lines: Option<Fields>,
}

/// What an answer's head has to know of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    /// As in [`super::super::Manner`].
    pub as_lines: Option<bool>,
}

/// Writes the request's head, with the framing that its body needs.
pub(super) fn write(request: &Request<Upload>, instead: Option<Written<'_>>, out: &mut Vec<u8>) -> Frames {
    let (method, body) = (request.method(), request.body());
    let frames = match (body.is_end_stream(), body.size_hint().exact()) {
        (true, _) => Frames::None,
        (false, Some(length)) => Frames::Length(length),
        (false, None) => Frames::Chunked,
    };
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    match instead {
        Some(Written { outward, target, path_below }) => {
            out.extend_from_slice(target.base_path.as_bytes());
            out.extend_from_slice(path_below.as_bytes());
            if let Some(query) = request.uri().query() {
                out.push(b'?');
                out.extend_from_slice(query.as_bytes());
            }
            out.extend_from_slice(b" HTTP/1.1\r\n");
            outward.write(request.headers(), &target.host, out);
        }
        None => {
            out.extend_from_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
            out.extend_from_slice(b" HTTP/1.1\r\n");
            write_map(request.headers(), out);
        }
    }
    match frames {
        Frames::Length(length) => write_length(length, out),
        Frames::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // Some upstreams want to hear that there is no body where there could be one.
        Frames::None if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => write_length(0, out),
        Frames::None => {}
    }
    out.extend_from_slice(b"\r\n");
    frames
}

fn write_map(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(Decimal::of(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Takes an answer's head from the start of what was read, or nothing if its end has not come. `looked_at` is what was looked
/// at before in vain, so that a head that comes byte by byte is not parsed as often. The fields are put into the spare header
/// map, which is empty; or they are lines, where they may be.
pub(super) fn take(
    read: &mut BytesMut,
    looked_at: &mut usize,
    asked: Asked<'_>,
    spare: &mut HeaderMap,
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
        Err(_) if is_http2(read) => return Err("it is HTTP/2: set policy.upstream.protocol to http2"),
        Err(_) => return Err("its head is not HTTP/1.1"),
    };
    let version = if answer.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is no number")?;
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.version) = (status, version);
    *looked_at = 0;
    if let Some(limited) = asked.as_lines
        && version == Version::HTTP_11
        && *asked.method != Method::HEAD
        && !is_bodiless(status)
        && let Some((fields, body)) = lines::of(answer.headers, limited, read.len() - length)
    {
        read.advance(length);
        let framing = if body == 0 { Framing::Done } else { Framing::Length(body) };
        return Ok(Some(AnswerHead { parts, framing, keep_alive: true, lines: Some(fields) }));
    }
    let places = Places::of(read, answer.headers);
    let bytes = read.split_to(length).freeze();
    let mut headers = std::mem::take(spare);
    headers.reserve(places.count() + ADDED_FIELDS);
    places.cut(&bytes, &mut headers, |_| {}).map_err(|_| "a field of its head is malformed")?;
    let framing = framing(&headers, status, version, asked.method)?;
    let keep_alive = keeps_alive(&headers, version) && !matches!(framing, Framing::UntilClose);
    parts.headers = headers;
    Ok(Some(AnswerHead { parts, framing, keep_alive, lines: None }))
}

/// Whether it begins as a server's part of an HTTP/2 connection does: with SETTINGS, or GOAWAY where it takes offence at once.
fn is_http2(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, 4 | 7, _, 0, 0, 0, 0, ..])
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
    Ok(match (is_bodiless(status) || asked == Method::HEAD, coded, length) {
        (true, ..) | (false, false, Some(0)) => Framing::Done,
        (false, true, _) => Framing::chunked(),
        (false, false, Some(length)) => Framing::Length(length),
        (false, false, None) => Framing::UntilClose,
    })
}

fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// One token that nobody takes for a coding, as the `identity` of old: the body ends with the connection, for every reader.
fn is_no_coding(value: &HeaderValue) -> bool {
    let token = value.as_bytes().to_ascii_lowercase();
    let known = [&b"chunked"[..], b"gzip", b"deflate", b"compress"];
    let holds = |coding: &&[u8]| token.windows(coding.len()).any(|part| part == *coding);
    !token.is_empty() && token.iter().all(|byte| byte.is_ascii_alphanumeric()) && !known.iter().any(holds)
}
