//! The chunked transfer coding (RFC 9112, 7.1), strictly: sizes are hexadecimal digits and nothing else, lines end in CR LF,
//! and what surrounds the data is bounded.

use super::{fields::MAX_FIELDS, framing::Piece};
use crate::upstream::strip_trailers;
use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::{EMPTY_HEADER, Status};

/// The longest line of a chunk's size, its extensions included, in bytes.
const MAX_LINE_BYTES: usize = 256;

/// Extensions over a whole body, in bytes: they mean nothing to anybody.
const MAX_EXTENSIONS_BYTES: usize = 16 << 10;

/// Trailers of a body, in bytes.
const MAX_TRAILERS_BYTES: usize = 16 << 10;

const MAX_SIZE_DIGITS: usize = 15;

/// A chunked body that is being read.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    at: Place,
    extensions_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// That many bytes of the chunk's data are left, never zero.
    Data(u64),
    /// The line end after a chunk's data.
    DataEnd,
    Trailers,
    Done,
}

impl Chunks {
    pub(crate) fn is_done(&self) -> bool {
        self.at == Place::Done
    }

    /// Takes the next piece. After data it looks ahead, so that a body whose end is here already is known to be done.
    pub(crate) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, &'static str> {
        if !self.advance(read)? {
            return Ok(Piece::More);
        }
        match self.at {
            Place::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                let data = read.split_to(here).freeze();
                self.at = match left - here as u64 {
                    0 => Place::DataEnd,
                    left => Place::Data(left),
                };
                // What is wrong further on is said when it is asked for.
                let _ = self.advance(read);
                Ok(Piece::Data(data))
            }
            Place::Trailers => self.trailers(read),
            _ => Ok(Piece::End),
        }
    }

    /// Goes over lines until there is data, a trailer, or the end; `false` if more has to be read for that.
    fn advance(&mut self, read: &mut BytesMut) -> Result<bool, &'static str> {
        loop {
            self.at = match self.at {
                Place::Data(_) => return Ok(!read.is_empty()),
                Place::Done => return Ok(true),
                Place::DataEnd => match (read.first(), read.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        read.advance(2);
                        Place::Size
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(false),
                    _ => return Err("a chunk is longer than its size"),
                },
                Place::Size => {
                    let Some(line) = line(read)? else { return Ok(false) };
                    let (size, extensions) = size(read.get(..line).unwrap_or_default())?;
                    self.extensions_bytes += extensions;
                    if self.extensions_bytes > MAX_EXTENSIONS_BYTES {
                        return Err("its chunks have too many extensions");
                    }
                    read.advance(line + 2);
                    if size == 0 { Place::Trailers } else { Place::Data(size) }
                }
                Place::Trailers => match (read.first(), read.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        read.advance(2);
                        Place::Done
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(false),
                    (Some(b'\r'), Some(_)) => return Err("its trailers are malformed"),
                    _ => return Ok(true),
                },
            };
        }
    }

    fn trailers(&mut self, read: &mut BytesMut) -> Result<Piece, &'static str> {
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if read.len() > MAX_TRAILERS_BYTES { Err("its trailers are too long") } else { Ok(Piece::More) };
        };
        if end > MAX_TRAILERS_BYTES {
            return Err("its trailers are too long");
        }
        let block = read.split_to(end + 4);
        if block.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r') {
            return Err("its trailers are malformed");
        }
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let fields = match httparse::parse_headers(&block, &mut fields) {
            // An empty line of a bare LF would end them early.
            Ok(Status::Complete((length, fields))) if length == block.len() => fields,
            _ => return Err("its trailers are malformed"),
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            match (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value)) {
                (Ok(name), Ok(value)) => drop(trailers.append(name, value)),
                _ => return Err("its trailers are malformed"),
            }
        }
        strip_trailers(&mut trailers);
        self.at = Place::Done;
        Ok(Piece::Trailers(trailers))
    }
}

/// How long the first line is without its end, or nothing if that has not come.
fn line(read: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(end) = read.iter().take(MAX_LINE_BYTES).position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if read.len() >= MAX_LINE_BYTES { Err("a chunk's size is too long") } else { Ok(None) };
    };
    match (read.get(end), read.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(Some(end)),
        (Some(b'\r'), None) => Ok(None),
        _ => Err("a chunk's size ends in half a line end"),
    }
}

/// The size that the line gives, and how long its extensions are.
fn size(line: &[u8]) -> Result<(u64, usize), &'static str> {
    const MALFORMED: &str = "a chunk's size is no hexadecimal number";
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let extensions = line.get(digits..).unwrap_or_default();
    let allowed = |byte: &u8| *byte == b'\t' || (b' '..0x7f).contains(byte);
    let extended = extensions.first().is_none_or(|byte| *byte == b';') && extensions.iter().all(allowed);
    if !(1..=MAX_SIZE_DIGITS).contains(&digits) || !extended {
        return Err(MALFORMED);
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map_or(0, u64::from);
    Ok((line.iter().take(digits).fold(0, |sum, byte| sum << 4 | digit(byte)), extensions.len()))
}
