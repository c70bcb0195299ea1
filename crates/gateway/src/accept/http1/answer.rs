//! An answer's head, written straight from its header map, with the framing that its body and its client need.

use super::{date, head::Asked};
use crate::{decimal::Decimal, fields, meter::Reply};
use http::{
    HeaderMap, HeaderName, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING},
    response,
};
use http_body::Body;

/// How the body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frames {
    /// There is none, whatever the upstream says.
    None,
    /// Bytes that are still to come.
    Length(u64),
    Chunked,
    UntilClose,
}

impl Frames {
    /// RFC 9112, 6.3, from what is to be sent and nothing else.
    pub(super) fn of(status: StatusCode, reply: &Reply, asked: Asked) -> Self {
        let bodiless = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match reply.size_hint().exact() {
            _ if bodiless || asked.is_head => Self::None,
            Some(length) => Self::Length(length),
            None if asked.version == Version::HTTP_11 => Self::Chunked,
            None => Self::UntilClose,
        }
    }
}

/// Writes the head. `keeps` says that the connection may carry another request after the answer.
pub(super) fn write(
    head: &response::Parts,
    reply: &Reply,
    frames: Frames,
    asked: Asked,
    keeps: bool,
    date: [u8; date::LENGTH],
    out: &mut Vec<u8>,
) {
    write_status(head.status, asked.version, out);
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let mut is_dated = reply.is_dated();
    for (name, value) in &head.headers {
        match *name {
            CONTENT_LENGTH | TRANSFER_ENCODING => continue,
            CONNECTION if !switches => continue,
            TRAILER if asked.version == Version::HTTP_10 || frames == Frames::None => continue,
            DATE => is_dated = true,
            _ => {}
        }
        write_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(reply.lines());
    match frames {
        Frames::Length(length) => write_field(b"content-length", Decimal::of(length).as_bytes(), out),
        Frames::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Frames::None if asked.is_head => write_length_of_head(head, reply, out),
        Frames::None | Frames::UntilClose => {}
    }
    match asked.version {
        _ if switches => {}
        Version::HTTP_10 if keeps => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Version::HTTP_11 if !keeps => out.extend_from_slice(b"connection: close\r\n"),
        _ => {}
    }
    if !is_dated {
        write_field(b"date", &date, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of an answer before the answer, which has no body.
pub(super) fn write_interim(head: &response::Parts, out: &mut Vec<u8>) {
    write_status(head.status, Version::HTTP_11, out);
    for (name, value) in &head.headers {
        if !matches!(*name, CONTENT_LENGTH | TRANSFER_ENCODING | CONNECTION | TRAILER) {
            write_field(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_status(status: StatusCode, version: Version, out: &mut Vec<u8>) {
    if status == StatusCode::OK && version == Version::HTTP_11 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The length that the body would have, where somebody knows it.
fn write_length_of_head(head: &response::Parts, reply: &Reply, out: &mut Vec<u8>) {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return;
    }
    match (reply.size_hint().exact(), crate::http1::length(&head.headers)) {
        (Some(length @ 1..), _) | (_, Ok(Some(length))) => {
            write_field(b"content-length", Decimal::of(length).as_bytes(), out);
        }
        _ => {}
    }
}

/// The trailers that the answer announces, to a client that takes them.
pub(super) fn announced_trailers(headers: &HeaderMap, frames: Frames, asked: Asked) -> Vec<HeaderName> {
    if frames != Frames::Chunked || !asked.takes_trailers {
        return Vec::new();
    }
    let values = headers.get_all(TRAILER).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).filter(may_trail).collect()
}

/// Writes the last chunk and those of the trailers that were announced.
pub(super) fn write_trailers(trailers: &HeaderMap, announced: &[HeaderName], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter().filter(|(name, _)| announced.contains(name)) {
        write_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110, 6.5.1.
fn may_trail(name: &HeaderName) -> bool {
    let forbidden = matches!(
        name.as_str(),
        "authorization"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "host"
            | "max-forwards"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    );
    // Nor what only the gateway says.
    !(forbidden || fields::is_ours(name.as_str(), true))
}
