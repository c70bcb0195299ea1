//! The end of a connection whose client is still sending: a refusal that comes before the request's end.
//!
//! A socket that is closed with bytes unread is reset, and the reset may overtake the answer: the client learns that
//! something broke, and not that its request is too large. So what it still sends is read and thrown away for a moment
//! (RFC 9112, 9.6).

use super::Connection;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// How long a client may take to notice the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of what it sends meanwhile is read. Beyond that it does not listen.
const MOST_BYTES: usize = 8 << 20;

/// Read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Ends our direction and reads until the client ends its own, for a moment.
pub(super) async fn end(connection: &Connection, io: impl AsyncRead + AsyncWrite + Unpin) {
    tokio::select! {
        biased;
        () = doomed(connection) => {}
        () = discard(io, PATIENCE) => {}
    }
}

/// Ends our direction of a connection whose client has been heard out; with TLS the client is told (RFC 9112, 9.8).
pub(super) async fn shut(connection: &Connection, mut io: impl AsyncWrite + Unpin) {
    tokio::select! {
        biased;
        () = doomed(connection) => {}
        _ = timeout(PATIENCE, io.shutdown()) => {}
    }
}

async fn doomed(connection: &Connection) {
    while !connection.is_doomed() {
        connection.told().await;
    }
}

/// The same as [`end`] for a socket that is no connection of the core's.
pub(super) async fn discard(mut io: impl AsyncRead + AsyncWrite + Unpin, patience: Duration) {
    let _ = timeout(patience, async {
        io.shutdown().await?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut read = 0;
        while read < MOST_BYTES {
            match io.read(&mut piece).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        Ok::<_, std::io::Error>(())
    })
    .await;
}
