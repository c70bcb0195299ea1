//! Requests of HTTP/2 as frames (RFC 9113), their fields written without HPACK's table (RFC 7541).

use super::Seen;
use crate::Trouble;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that every peer takes.
const FRAME_BYTES: usize = 16 << 10;

/// A connection's beginning and one call without a body, its head in as many frames as it needs.
pub fn call(method: &str, path: &str, key: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in
        [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path), ("x-api-key", key)]
    {
        put_field(name, value, &mut head);
    }
    fields.iter().for_each(|(name, value)| put_field(name, value, &mut head));
    let mut bytes = PREFACE.to_vec();
    put_frame(SETTINGS, 0, 0, &[], &mut bytes);
    let pieces: Vec<&[u8]> = head.chunks(FRAME_BYTES).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let end = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
        match index {
            0 => put_frame(HEADERS, END_STREAM | end, 1, piece, &mut bytes),
            _ => put_frame(CONTINUATION, end, 1, piece, &mut bytes),
        }
    }
    bytes
}

fn put_frame(kind: u8, flags: u8, stream: u32, payload: &[u8], bytes: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

fn put_field(name: &str, value: &str, bytes: &mut Vec<u8>) {
    bytes.push(0);
    for text in [name, value] {
        let mut rest = text.len();
        if rest < 127 {
            bytes.push(rest as u8);
        } else {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
        bytes.extend_from_slice(text.as_bytes());
    }
}

/// Sends all of it while the answer to the call is awaited.
pub async fn send(port: u16, bytes: &[u8]) -> Result<Seen, Trouble> {
    let (mut reading, mut writing) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    let sending = async {
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => Err("sending never ends".into()),
        seen = read_answer(&mut reading) => seen,
    }
}

async fn read_answer(reading: &mut (impl AsyncRead + Unpin)) -> Result<Seen, Trouble> {
    loop {
        let mut head = [0; 9];
        if let Err(error) = reading.read_exact(&mut head).await {
            return Ok(Seen::Nothing(error.to_string()));
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        reading.read_exact(&mut payload).await?;
        let number = |at: usize| {
            payload.get(at..at + 4).map_or(0, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
        };
        match head[3] {
            HEADERS => return Ok(status(&payload).map_or_else(|| Seen::Nothing("no status".to_owned()), Seen::Status)),
            RST_STREAM => return Ok(Seen::Nothing(format!("reset with {}", number(0)))),
            GOAWAY => return Ok(Seen::GoAway(number(4))),
            _ => {}
        }
    }
}

/// The status of an answer's head: an entry of the static table, or three digits.
fn status(block: &[u8]) -> Option<u16> {
    let indexed = [200, 204, 206, 304, 400, 404, 500];
    match after_sizes(block)? {
        [first @ 0x88..=0x8E, ..] => indexed.get(usize::from(first - 0x88)).copied(),
        [0x48 | 0x08 | 0x18, length, rest @ ..] => {
            let text = rest.get(..usize::from(length & 0x7F))?;
            if length & 0x80 == 0 { std::str::from_utf8(text).ok()?.parse().ok() } else { digits(text) }
        }
        _ => None,
    }
}

/// What follows the changes of the table's size that may come first (RFC 7541, 6.3 and 5.1).
fn after_sizes(mut block: &[u8]) -> Option<&[u8]> {
    while let [first, rest @ ..] = block {
        if first & 0xE0 != 0x20 {
            return Some(block);
        }
        let more = if first & 0x1F == 0x1F { rest.iter().position(|byte| byte & 0x80 == 0)? + 1 } else { 0 };
        block = rest.get(more..)?;
    }
    None
}

/// Three digits in the Huffman code of RFC 7541, appendix B: 0 to 2 have five bits, the others six.
fn digits(text: &[u8]) -> Option<u16> {
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut code = 0;
        for _ in 0..5 {
            code = code << 1 | bits.next()?;
        }
        let digit = if code <= 2 { code } else { (code << 1 | bits.next()?).checked_sub(0b01_1001)? + 3 };
        number = number * 10 + digit;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_all_their_forms() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x3F, 0x8E]), None);
        assert_eq!(status(&[0x3F, 0xE1, 0x1F, 0x8C]), Some(400));
        assert_eq!(status(&[0x20, 0x8C]), Some(400));
        assert_eq!(status(b"\x48\x03431"), Some(431));
        // 4 is 011010, 1 is 00001, 3 is 011001.
        assert_eq!(status(&[0x48, 0x83, 0b0110_1000, 0b0010_1100, 0b1111_1111]), Some(413));
    }
}
