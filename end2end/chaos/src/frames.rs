//! HTTP/2 as bytes on a socket, for what no well-behaved library would send.

use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest frame that we say we take.
const MAX_FRAME_BYTES: usize = 16_384;

/// One frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field as HPACK writes it without its tables (RFC 7541, 6.2.2), or so that the reader keeps it in its table (6.2.1).
pub fn field(name: &str, value: &str, kept: bool) -> Vec<u8> {
    let mut bytes = vec![if kept { 0x40 } else { 0 }];
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
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The head of a call with that key.
pub fn head(method: &str, path: &str, key: &str) -> Vec<u8> {
    let fields =
        [(":method", method), (":scheme", "http"), (":authority", "api.example"), (":path", path), ("x-api-key", key)];
    fields.iter().flat_map(|(name, value)| field(name, value, false)).collect()
}

/// What came back.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub payload: Vec<u8>,
}

/// A connection that said hello.
pub struct Connection {
    pub writer: OwnedWriteHalf,
    reader: BufReader<OwnedReadHalf>,
}

impl Connection {
    /// Connects and greets with these settings, pairs of identifier and value.
    pub async fn open(port: u16, settings: &[(u16, u32)]) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let pair = |(identifier, value): &(u16, u32)| [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(pair).collect();
        writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()).await?;
        Ok(Self { writer, reader: BufReader::new(reader) })
    }

    /// The next frame; nothing at the end. Settings and pings are acknowledged, as they have to be.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = read(&mut self.reader).await?;
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload: &[u8] = if frame.kind == PING { &frame.payload } else { &[] };
                    self.writer.write_all(&self::frame(frame.kind, ACK, 0, payload)).await.ok()?;
                }
                SETTINGS | PING => {}
                _ => return Some(frame),
            }
        }
    }

    /// Both directions by themselves.
    pub fn split(self) -> (OwnedWriteHalf, BufReader<OwnedReadHalf>) {
        (self.writer, self.reader)
    }
}

/// The next frame, whatever it is; nothing at the end.
pub async fn read(reader: &mut BufReader<OwnedReadHalf>) -> Option<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let [long, middle, short, kind, flags, ..] = head;
    let length = usize::from(long) << 16 | usize::from(middle) << 8 | usize::from(short);
    if length > MAX_FRAME_BYTES {
        return None;
    }
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, payload })
}
