//! Where a body ends, and its pieces as they are read. Knows bytes only, no connection.

use super::chunked::Chunks;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

/// What is left of a body.
#[derive(Debug)]
pub(crate) enum Framing {
    Done,
    /// That many bytes, never zero.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Never empty.
    Data(Bytes),
    Trailers(HeaderMap),
    /// More has to be read first.
    More,
    End,
}

impl Framing {
    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunks::default())
    }

    /// Takes the next piece from the start of what was read.
    ///
    /// # Errors
    /// The body is malformed, in these words.
    pub(crate) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, &'static str> {
        match self {
            Self::Done => Ok(Piece::End),
            _ if read.is_empty() => Ok(Piece::More),
            Self::UntilClose => Ok(Piece::Data(read.split().freeze())),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Piece::Data(read.split_to(here).freeze()))
            }
            Self::Chunked(chunks) => {
                let piece = chunks.next(read)?;
                if chunks.is_done() {
                    *self = Self::Done;
                }
                Ok(piece)
            }
        }
    }

    /// The connection was closed: says whether that is where the body ends.
    pub(crate) fn close(&mut self) -> bool {
        if matches!(self, Self::UntilClose) {
            *self = Self::Done;
        }
        self.is_done()
    }

    /// How many bytes are left, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}
