//! Bytes of answers, in whatever portions they arrive.

use super::head;
use crate::{
    headers,
    http1::{Framing, Piece},
};
use bytes::BytesMut;
use http::{HeaderMap, Method, header::CONTENT_LENGTH};
use proptest::prelude::*;

/// An answer as a client of this module sees it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    keep_alive: bool,
    /// What came after the answer.
    left: Vec<u8>,
}

/// Reads an answer that arrives in those portions and then ends.
fn read<'a>(method: &Method, portions: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, &'static str> {
    let mut portions = portions.into_iter().filter(|portion| !portion.is_empty());
    let (mut buffer, mut looked_at, mut spare) = (BytesMut::new(), 0, HeaderMap::new());
    let head = loop {
        match head::take(&mut buffer, &mut looked_at, head::Asked { method, as_lines: None }, &mut spare)? {
            Some(head) => break head,
            None => buffer.extend_from_slice(portions.next().ok_or("closed")?),
        }
    };
    let mut framing = head.framing;
    let (mut body, mut trailers) = (Vec::new(), None);
    loop {
        match framing.next(&mut buffer)? {
            Piece::Data(bytes) => {
                assert!(!bytes.is_empty());
                body.extend_from_slice(&bytes);
            }
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break,
            Piece::More => match portions.next() {
                Some(portion) => buffer.extend_from_slice(portion),
                None if framing.close() => break,
                None => return Err("closed"),
            },
        }
    }
    assert!(matches!(framing, Framing::Done));
    portions.for_each(|portion| buffer.extend_from_slice(portion));
    let (status, headers) = (head.parts.status.as_u16(), head.parts.headers);
    Ok(Read { status, headers, body, trailers, keep_alive: head.keep_alive, left: buffer.to_vec() })
}

fn read_whole(text: &str) -> Result<Read, &'static str> {
    read(&Method::GET, [text.as_bytes()])
}

#[test]
fn a_body_ends_where_its_framing_says() {
    for (answer, body, keep_alive) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200\r\ncontent-length: 002\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: a, Close\r\n\r\nok", "ok", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: Keep-Alive\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok", "ok", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n00A;a=\"b\"\r\n0123456789\r\n1;\r\n!\r\n0\r\n\r\n",
            "0123456789!",
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 11\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\nx:\r\ncontent-length: 2\r\n\r\nok", "ok", true),
    ] {
        let read = read_whole(answer).unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        assert_eq!((read.body.as_slice(), read.keep_alive), (body.as_bytes(), keep_alive), "{answer:?}");
        assert_eq!((read.trailers, read.left), (None, Vec::new()), "{answer:?}");
    }
    for framing in ["content-length: 11", "transfer-encoding: chunked"] {
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        assert_eq!(read(&Method::HEAD, [head.as_bytes()]).expect("a head").body, b"");
    }
}

#[test]
fn what_two_parsers_could_read_in_two_ways_is_malformed() {
    let heads = [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
        "content-length: 2, 3",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "content-length: 2 2",
        "content-length:",
        "content-length: 99999999999999999999",
        "content-length: 2\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 2",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity\r\ncontent-length: 2",
        "transfer-encoding: xgzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked;a=b",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:",
        "transfer-encoding : chunked",
        "x: a\r\n folded",
        "x: a\rtransfer-encoding: chunked",
        "x: a\0",
        "x",
        " x: a",
        ": a",
    ];
    for head in heads {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok");
        assert!(read_whole(&answer).is_err_and(|error| error != "closed"), "{head:?}: {:?}", read_whole(&answer));
    }
    for first in [
        "HTTP/1.1 200 OK\r",
        "HTTP/2.0 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1  200 OK",
        "x",
        "HTTP/1.1 099 ",
    ] {
        let answer = format!("{first}\r\ncontent-length: 2\r\n\r\nok");
        assert!(read_whole(&answer).is_err_and(|error| error != "closed"), "{first:?}");
    }
    assert!(read_whole("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").is_err());
    let bodies = [
        "0x2\r\nok\r\n0\r\n\r\n",
        "+2\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        " 2\r\nok\r\n0\r\n\r\n",
        "2 \r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nok\n0\r\n\r\n",
        "2\rok\r\n0\r\n\r\n",
        "2\r\nokay\r\n0\r\n\r\n",
        "3\r\nok\r\n0\r\n\r\n",
        "\r\nok\r\n0\r\n\r\n",
        ";a\r\nok\r\n0\r\n\r\n",
        "g\r\nok\r\n0\r\n\r\n",
        "2;a\rb\r\nok\r\n0\r\n\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
        "2;a\0\r\nok\r\n0\r\n\r\n",
        "10000000000000002\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\n0\r\n\rx",
        "2\r\nok\r\n0\r\nx: a\n\r\n\r\n",
        "2\r\nok\r\n0\r\nx: a\r\n folded\r\n\r\n",
        "2\r\nok\r\n0\r\nno field\r\n\r\n",
    ];
    for body in bodies {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        assert!(read_whole(&answer).is_err_and(|error| error != "closed"), "{body:?}: {:?}", read_whole(&answer));
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: a\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ] {
        assert_eq!(read_whole(answer), Err("closed"), "{answer:?}");
    }
}

#[test]
fn what_surrounds_the_data_is_bounded() {
    let chunked = |body: &str| read_whole(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"));
    let extension = format!("1;{}\r\nx\r\n", "e".repeat(200));
    assert!(chunked(&format!("{}0\r\n\r\n", extension.repeat(50))).is_ok());
    assert!(chunked(&format!("{}0\r\n\r\n", extension.repeat(100))).is_err());
    assert!(chunked(&format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(300))).is_err());
    assert!(chunked(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(20_000))).is_err());
    assert!(chunked(&format!("0\r\n{}\r\n", "x: y\r\n".repeat(150))).is_err());
    let fields = |count| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(count));
    assert!(read_whole(&fields(90)).is_ok());
    assert!(read_whole(&fields(100)).is_err());
    assert!(read_whole(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000))).is_err());
    let endless = "y".repeat(1_000);
    let portions = ["HTTP/1.1 200 OK\r\nx: "].into_iter().chain([endless.as_str(); 100]);
    let error = read(&Method::GET, portions.map(str::as_bytes)).expect_err("too long");
    assert_eq!(error, "its head is too long");
}

#[test]
fn trailers_are_read_and_cannot_change_the_framing() {
    let read = read_whole(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\ncontent-length: 9\r\n\
         transfer-encoding: gzip\r\n\r\nHTTP/1.1",
    );
    let read = read.expect("an answer");
    let trailers = read.trailers.expect("trailers");
    assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &http::HeaderValue::from_static("1")));
    assert_eq!((read.body.as_slice(), read.left.as_slice()), (&b"ok"[..], &b"HTTP/1.1"[..]));
}

/// Answers of every framing, most of them well-formed.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let chunk = ("[a-z\r\n0]{1,12}", "(;[a-z=]{0,8})?")
        .prop_map(|(data, extension)| format!("{:x}{extension}\r\n{data}\r\n", data.len()));
    let chunked = (proptest::collection::vec(chunk, 0..5), "(x-[a-z]{1,3}: [a-z]{0,5}\r\n){0,3}")
        .prop_map(|(chunks, trailers)| (true, format!("{}0\r\n{trailers}\r\n", chunks.concat())));
    let plain = "[a-z\r\n]{0,30}".prop_map(|body| (false, body));
    let body = prop_oneof![chunked, plain];
    (body, "(x-[a-z]{1,4}: [ -~]{0,10}\r\n){0,3}", any::<bool>(), "[a-zH\r\n;:0-9]{0,6}").prop_map(
        |((is_chunked, body), fields, has_length, after)| {
            let framing = match (is_chunked, has_length) {
                (true, _) => "transfer-encoding: chunked\r\n".to_owned(),
                (false, true) => format!("content-length: {}\r\n", body.len()),
                (false, false) => String::new(),
            };
            format!("HTTP/1.1 200 OK\r\n{fields}{framing}\r\n{body}{after}").into_bytes()
        },
    )
}

proptest! {
    #[test]
    fn any_split_into_reads_gives_the_same_answer(
        answer in answers(),
        broken in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let mut answer = answer;
        if let Some((at, byte)) = broken {
            let at = at.index(answer.len());
            answer[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len())).collect();
        cuts.extend([0, answer.len()]);
        cuts.sort_unstable();
        let whole = read(&Method::GET, [answer.as_slice()]);
        let split = read(&Method::GET, cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]));
        let bytes = read(&Method::GET, answer.chunks(1));
        for other in [split, bytes] {
            match (&whole, &other) {
                // What is wrong may be noticed before or after the end was missed.
                (Err(_), Err(_)) => {}
                _ => prop_assert_eq!(&whole, &other),
            }
        }
    }
}

/// Head and body of an answer as the client is told of it, by either way; `None` where it is not whole.
type Told = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

fn told(answer: &[u8], as_lines: Option<bool>, limited: bool) -> Result<Option<Told>, &'static str> {
    let (mut buffer, mut looked_at, mut spare) = (BytesMut::from(answer), 0, HeaderMap::new());
    let asked = head::Asked { method: &Method::GET, as_lines };
    let Some(mut head) = head::take(&mut buffer, &mut looked_at, asked, &mut spare)? else { return Ok(None) };
    let mut fields: Vec<(String, Vec<u8>)> = match &head.lines {
        Some(lines) => {
            assert!(head.parts.headers.is_empty());
            let text = lines.as_bytes().split_inclusive(|byte| *byte == b'\n').map(|line| {
                let line = line.strip_suffix(b"\r\n").expect("a line's end");
                let colon = line.windows(2).position(|two| two == b": ").expect("a colon");
                (String::from_utf8(line[..colon].to_vec()).expect("a name"), line[colon + 2..].to_vec())
            });
            let text: Vec<_> = text.collect();
            assert_eq!(lines.is_dated(), text.iter().any(|(name, _)| name == "date"));
            text
        }
        None => {
            headers::to_client(&mut head.parts.headers, limited);
            head.parts.headers.remove(CONTENT_LENGTH);
            let fields = head.parts.headers.iter();
            fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
        }
    };
    fields.sort();
    let mut body = Vec::new();
    loop {
        match head.framing.next(&mut buffer)? {
            Piece::Data(bytes) => body.extend_from_slice(&bytes),
            Piece::Trailers(_) => {}
            Piece::End => return Ok(Some((head.parts.status.as_u16(), fields, body))),
            Piece::More => return Ok(None),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn lines_say_what_the_header_map_says(
        status in prop::sample::select(vec![200_u16, 204, 206, 304, 404, 500, 101, 103]),
        names in prop::collection::vec(
            prop::sample::select(vec![
                "Content-Type", "content-length", "Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "upgrade",
                "Set-Cookie", "Date", "x-request-id", "RateLimit", "X-RateLimit-Limit", "Server", "X-Other", "te", "bad name",
            ]), 0..6),
        values in prop::collection::vec(
            prop::sample::select(vec![
                "", "a", "2", "7", "keep-alive", "Keep-Alive", "close", "x-other, date", "chunked", "__Host-session=1; path=/",
                "a=b; __Host-session", "\t b \t", "\u{e9}", "\u{7f}", "Sun, 22 Nov 2026 07:15:11 GMT",
            ]), 6),
        length in prop::option::of(0..5_usize),
        limited: bool,
    ) {
        let fields = names.iter().zip(&values).map(|(name, value)| format!("{name}: {value}\r\n"));
        let framing = length.map(|length| format!("Content-Length: {length}\r\n"));
        let text = format!("HTTP/1.1 {status} x\r\n{}{}\r\nbody", fields.collect::<String>(), framing.unwrap_or_default());
        prop_assert_eq!(told(text.as_bytes(), Some(limited), limited), told(text.as_bytes(), None, limited));
    }
}

#[test]
fn the_plainest_answer_needs_no_header_map() {
    let text =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\ncontent-length: 4\r\n\r\nbody";
    let (mut buffer, mut spare) = (BytesMut::from(&text[..]), HeaderMap::new());
    let asked = head::Asked { method: &Method::GET, as_lines: Some(false) };
    let head = head::take(&mut buffer, &mut 0, asked, &mut spare).expect("an answer").expect("whole");
    assert_eq!(head.lines.expect("lines").as_bytes(), b"content-type: text/plain\r\n");
    assert_eq!((&buffer[..], head.keep_alive), (&b"body"[..], true));
}
