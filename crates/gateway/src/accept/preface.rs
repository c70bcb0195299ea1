//! Which protocol a client speaks on the plain listener: HTTP/2 begins with a preface that no HTTP/1 request begins with.

use super::Connection;
use std::time::Duration;
use tokio::{net::TcpStream, time::sleep};

/// RFC 9113, 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether it is HTTP/2 with prior knowledge, without taking a byte from the socket; `None` where the client left or the
/// connection is ended before that is known.
pub(super) async fn peek(stream: &TcpStream, connection: &Connection) -> Option<bool> {
    let mut seen = [0; PREFACE.len()];
    let mut wait = Duration::from_millis(4);
    loop {
        let peeked = tokio::select! {
            biased;
            peeked = stream.peek(&mut seen) => peeked,
            () = connection.told() => return None,
        };
        let bytes = peeked.ok().filter(|bytes| *bytes > 0)?;
        if seen[..bytes] != PREFACE[..bytes] {
            return Some(false);
        }
        if bytes == PREFACE.len() {
            return Some(true);
        }
        // Bytes that were seen make the socket ready again at once, so wait for more in steps.
        tokio::select! {
            () = sleep(wait) => {}
            () = connection.told() => return None,
        }
        wait = (wait * 2).min(Duration::from_millis(250));
    }
}
