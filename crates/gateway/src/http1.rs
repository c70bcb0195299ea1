//! HTTP/1.1 as bytes (RFC 9112), the same towards clients and upstreams: bodies and their framing, the fields of heads, and
//! what waits to be read or written on a connection. Knows no request and no answer.
//!
//! Strict where leniency would let two parsers disagree: more than one length, any coding but `chunked`, a folded line, a
//! bare CR, a chunk size that is not plain hexadecimal digits.

mod chunked;
mod fields;
mod framing;
mod inbox;
mod outbox;

pub(crate) use fields::{MAX_FIELDS, Places, digits, has_end, keeps_alive, length};
pub(crate) use framing::{Framing, Piece};
pub(crate) use inbox::{Inbox, SMALL_READ};
pub(crate) use outbox::Outbox;
