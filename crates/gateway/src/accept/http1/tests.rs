//! Bytes of requests, in whatever portions they arrive.

use super::head::{self, Asked};
use crate::http1::{Framing, Piece};
use bytes::BytesMut;
use http::{HeaderMap, StatusCode, Version};
use proptest::prelude::*;

/// A request as a reader of this module sees it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    method: String,
    target: String,
    headers: HeaderMap,
    asked: Asked,
    body: Vec<u8>,
    /// What came after the request.
    left: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Closed,
    Head(StatusCode),
    Body(&'static str),
}

/// Reads a request that arrives in those portions, after which the client closes.
fn read<'a>(portions: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, Wrong> {
    let mut portions = portions.into_iter().filter(|portion| !portion.is_empty());
    let (mut buffer, mut looked_at, mut spare) = (BytesMut::new(), 0, HeaderMap::new());
    let head = loop {
        match head::take(&mut buffer, &mut looked_at, &mut spare).map_err(Wrong::Head)? {
            Some(head) => break head,
            None => buffer.extend_from_slice(portions.next().ok_or(Wrong::Closed)?),
        }
    };
    let (mut framing, mut body) = (head.framing, Vec::new());
    loop {
        match framing.next(&mut buffer).map_err(Wrong::Body)? {
            Piece::Data(bytes) => body.extend_from_slice(&bytes),
            Piece::Trailers(_) => {}
            Piece::End => break,
            Piece::More => buffer.extend_from_slice(portions.next().ok_or(Wrong::Closed)?),
        }
    }
    assert!(matches!(framing, Framing::Done));
    portions.for_each(|portion| buffer.extend_from_slice(portion));
    let (method, target) = (head.request.method().to_string(), head.request.uri().to_string());
    let headers = head.request.into_parts().0.headers;
    Ok(Read { method, target, headers, asked: head.asked, body, left: buffer.to_vec() })
}

fn read_whole(text: &str) -> Result<Read, Wrong> {
    read([text.as_bytes()])
}

#[test]
fn a_request_ends_where_its_framing_says_and_keeps_its_connection_as_it_asks() {
    for (first, fields, body, sent, keep_alive) in [
        ("GET / HTTP/1.1", "", "", "", true),
        ("GET / HTTP/1.1", "connection: a, Close\r\n", "", "", false),
        ("GET / HTTP/1.1", "connection: close\r\nconnection: keep-alive\r\n", "", "", false),
        ("GET / HTTP/1.0", "", "", "", false),
        ("GET / HTTP/1.0", "connection: Keep-Alive\r\n", "", "", true),
        ("POST /a?b HTTP/1.1", "content-length: 2\r\n", "ok", "ok", true),
        ("POST /a?b HTTP/1.1", "content-length: 0\r\n", "", "", true),
        ("POST /a?b HTTP/1.0", "content-length: 002\r\n", "ok", "ok", false),
        ("POST http://a/b HTTP/1.1", "Transfer-Encoding: Chunked\r\n", "ok", "2;x\r\nok\r\n0\r\nx: y\r\n\r\n", true),
        ("CONNECT a:80 HTTP/1.1", "", "", "", true),
        ("OPTIONS * HTTP/1.1", "", "", "", true),
    ] {
        let text = format!("{first}\r\nhost: a\r\n{fields}\r\n{sent}next");
        let read = read_whole(&text).unwrap_or_else(|wrong| panic!("{text:?}: {wrong:?}"));
        assert_eq!((read.body.as_slice(), read.asked.keep_alive), (body.as_bytes(), keep_alive), "{text:?}");
        assert!(first.starts_with(&format!("{} {} HTTP", read.method, read.target)), "{text:?}: {read:?}");
        assert_eq!(read.left, b"next", "{text:?}");
    }
}

#[test]
fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let bad = || Err(Wrong::Head(StatusCode::BAD_REQUEST));
    for fields in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "content-length: 2 2",
        "content-length:",
        "content-length: 99999999999999999999",
        "content-length: 2\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 2",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked,",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked;a=b",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:",
        "transfer-encoding : chunked",
        "content-length : 2",
        "x: a\r\n folded",
        "x: a\rtransfer-encoding: chunked",
        "x: a\0",
        "x",
        ": a",
    ] {
        assert_eq!(read_whole(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\nok")), bad(), "{fields:?}");
    }
    for first in [
        "POST  / HTTP/1.1",
        "POST /",
        "POST / HTTP/1.2",
        "POST / HTTP/2.0",
        "POST / http/1.1",
        "POST / HTTP/1.1 x",
        "POST /\0 HTTP/1.1",
        "P\u{e9} / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
    ] {
        assert_eq!(read_whole(&format!("{first}\r\nhost: a\r\n\r\n")), bad(), "{first:?}");
    }
    assert_eq!(read_whole("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), bad());
}

#[test]
fn a_head_is_bounded_in_bytes_and_fields() {
    let fields = |count| read_whole(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count)));
    assert_eq!(fields(100).expect("a request").headers.len(), 100);
    let too_large = Wrong::Head(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(fields(101), Err(too_large));
    let endless = "y".repeat(1_000);
    for (first, status) in
        [("GET / HTTP/1.1\r\nx: ", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE), ("GET /", StatusCode::URI_TOO_LONG)]
    {
        let portions = [first].into_iter().chain([endless.as_str(); 100]);
        assert_eq!(read(portions.map(str::as_bytes)), Err(Wrong::Head(status)));
        let whole = format!("{first}{} HTTP/1.1\r\n\r\n", endless.repeat(100));
        assert_eq!(read_whole(&whole), Err(Wrong::Head(status)));
    }
}

#[test]
fn only_a_client_of_http_1_1_that_says_so_waits_for_us_or_takes_trailers() {
    let asked = |version: &str, fields: &str| {
        read_whole(&format!("GET / HTTP/{version}\r\n{fields}\r\n\r\n")).expect("a request").asked
    };
    assert!(asked("1.1", "expect: 100-Continue").expects_continue);
    assert!(!asked("1.0", "expect: 100-continue").expects_continue);
    assert!(!asked("1.1", "expect: 200-ok").expects_continue);
    assert!(asked("1.1", "te: gzip, Trailers").takes_trailers && asked("1.1", "te: x\r\nte: trailers").takes_trailers);
    assert!(!asked("1.1", "te: gzip").takes_trailers);
    assert_eq!(asked("1.0", "x: y").version, Version::HTTP_10);
}

/// Requests of every framing, most of them well-formed.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let chunk = ("[a-z\r\n0]{1,12}", "(;[a-z=]{0,8})?")
        .prop_map(|(data, extension)| format!("{:x}{extension}\r\n{data}\r\n", data.len()));
    let chunked = (proptest::collection::vec(chunk, 0..5), "(x-[a-z]{1,3}: [a-z]{0,5}\r\n){0,3}")
        .prop_map(|(chunks, trailers)| (true, format!("{}0\r\n{trailers}\r\n", chunks.concat())));
    let plain = "[a-z\r\n]{0,30}".prop_map(|body| (false, body));
    let body = prop_oneof![chunked, plain];
    (body, "(x-[a-z]{1,4}: [ -~]{0,10}\r\n){0,3}", "[a-zH\r\n;:0-9]{0,6}").prop_map(
        |((is_chunked, body), fields, after)| {
            let framing = match is_chunked {
                true => "transfer-encoding: chunked\r\n".to_owned(),
                false => format!("content-length: {}\r\n", body.len()),
            };
            format!("POST /a?b HTTP/1.1\r\n{fields}{framing}\r\n{body}{after}").into_bytes()
        },
    )
}

proptest! {
    #[test]
    fn any_split_into_reads_gives_the_same_request(
        request in requests(),
        broken in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let mut request = request;
        if let Some((at, byte)) = broken {
            let at = at.index(request.len());
            request[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(request.len())).collect();
        cuts.extend([0, request.len()]);
        cuts.sort_unstable();
        let whole = read([request.as_slice()]);
        let split = read(cuts.windows(2).map(|pair| &request[pair[0]..pair[1]]));
        let bytes = read(request.chunks(1));
        for other in [split, bytes] {
            match (&whole, &other) {
                // What is wrong may be noticed before or after the end was missed.
                (Err(_), Err(_)) => {}
                _ => prop_assert_eq!(&whole, &other),
            }
        }
    }
}
