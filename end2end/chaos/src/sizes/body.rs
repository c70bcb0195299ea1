//! Bodies that never were in memory: the same piece again and again.

use super::{BODY_BYTES, Seen, http1::read_status};
use crate::Trouble;
use bytes::Bytes;
use hyper::{
    Request,
    body::{Body, Frame, SizeHint},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

static PIECE: [u8; 64 << 10] = [b'b'; 64 << 10];

/// What is left to send.
struct Pieces {
    left: u64,
    announced: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.left.min(PIECE.len() as u64);
        self.left -= bytes;
        let piece = (bytes > 0).then(|| Ok(Frame::data(Bytes::from_static(&PIECE[..bytes as usize]))));
        Poll::Ready(piece)
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

/// By a client that looks at the flow of HTTP/2 as the standard says.
pub async fn over_http2(port: u16, key: &str, announced: bool) -> Result<Seen, Trouble> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let request = Request::post("http://a/payments/payments")
        .header("x-api-key", key)
        .body(Pieces { left: BODY_BYTES, announced })?;
    let answered = sender.send_request(request).await;
    driving.abort();
    Ok(match answered {
        Ok(response) => Seen::Status(response.status().as_u16()),
        Err(error) => Seen::Nothing(format!("{error:?}")),
    })
}

/// By a client that sends as fast as the socket takes it.
pub async fn over_http1(port: u16, key: &str, announced: bool) -> Result<Seen, Trouble> {
    let (mut reading, mut writing) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    let framing = match announced {
        true => format!("content-length: {BODY_BYTES}"),
        false => "transfer-encoding: chunked".to_owned(),
    };
    let head =
        format!("POST /payments/payments HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{framing}\r\n\r\n");
    let sending = async {
        let mut sent = writing.write_all(head.as_bytes()).await;
        let size = format!("{:x}\r\n", PIECE.len());
        for _ in 0..BODY_BYTES / PIECE.len() as u64 {
            if sent.is_err() {
                break;
            }
            sent = match announced {
                true => writing.write_all(&PIECE).await,
                false => writing.write_all(&[size.as_bytes(), &PIECE, b"\r\n"].concat()).await,
            };
        }
        if !announced {
            let _ = writing.write_all(b"0\r\n\r\n").await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => Err("sending never ends".into()),
        status = read_status(&mut reading) => status,
    }
}
