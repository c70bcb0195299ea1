//! A partner's program.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The refusal's code.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem["code"].as_str().expect("a code").to_owned()
    }
}

/// Sends the request on a connection of its own and returns the answer's head.
pub async fn open<B>(gateway: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(gateway).await.expect("a connection");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// The request and its whole answer.
pub async fn send<B>(gateway: SocketAddr, request: Request<B>) -> Answer
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    read(open(gateway, request).await).await
}

/// The status of such a call, and how often it had to be made. A machine that is too busy to bring units to a call within a second
/// refuses it with 503, and whoever heard that asks again.
pub async fn until_units_come(gateway: SocketAddr, path: &str, key: &str) -> (u16, usize) {
    for calls in 1..1_000 {
        let answer = send(gateway, request(Method::GET, path, key)).await;
        if answer.status != 503 {
            return (answer.status, calls);
        }
        assert_eq!(answer.code(), "allowance-unavailable");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("units never come");
}

/// A request with that key.
pub fn request(method: Method, path: &str, key: &str) -> Request<Full<Bytes>> {
    request_with(method, path, key, &[], "")
}

pub fn request_with(
    method: Method,
    path: &str,
    key: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path).header("host", "api.example");
    if !key.is_empty() {
        builder = builder.header("authorization", format!("Bearer {key}"));
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")
}

/// Turns of 10 ms without a byte after which an answer is over.
const SILENCE: usize = 70;

/// Sends bytes and reads until the gateway closes, or is silent after it has begun to answer; says whether it closed.
pub async fn raw(gateway: SocketAddr, bytes: &[u8]) -> (String, bool) {
    raw_within(gateway, bytes, SILENCE).await
}

/// The same for a gateway that is expected to close, and may be slow on a busy machine.
pub async fn raw_until_closed(gateway: SocketAddr, bytes: &[u8]) -> (String, bool) {
    raw_within(gateway, bytes, 60 * 100).await
}

async fn raw_within(gateway: SocketAddr, bytes: &[u8], silence: usize) -> (String, bool) {
    let mut stream = TcpStream::connect(gateway).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        // The first byte may take as long as it likes: a busy machine is slow, and only a gateway that is broken is silent.
        let turns = if answer.is_empty() { 60 * 100 } else { silence };
        match read_within(&mut stream, &mut chunk, turns).await {
            None => return (String::from_utf8_lossy(&answer).into_owned(), false),
            Some(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&answer).into_owned(), true),
            Some(Ok(read)) => answer.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Reads, unless nothing comes within so many turns of 10 ms each; `None` where nothing came. Turns of our own, and no
/// span of the clock: where we are not let run for a while, the gateway was not either.
pub async fn read_within(stream: &mut TcpStream, chunk: &mut [u8], turns: usize) -> Option<std::io::Result<usize>> {
    for _ in 0..turns {
        if let Ok(read) = timeout(Duration::from_millis(10), stream.read(chunk)).await {
            return Some(read);
        }
    }
    None
}

/// Reads until the text holds that, or the gateway closes.
pub async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&text).contains(wanted) {
        match timeout(Duration::from_secs(60), stream.read(&mut chunk)).await.expect("in time") {
            Ok(0) | Err(_) => break,
            Ok(read) => text.extend_from_slice(&chunk[..read]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// An HTTP/2 connection with prior knowledge.
pub async fn connect2(gateway: SocketAddr) -> http2::SendRequest<BoxBody<Bytes, std::io::Error>> {
    let stream = TcpStream::connect(gateway).await.expect("a connection");
    handshake2(stream).await
}

/// HTTP/2 on an open stream.
pub async fn handshake2<S>(stream: S) -> http2::SendRequest<BoxBody<Bytes, std::io::Error>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// A request for an HTTP/2 connection.
pub fn request2(method: Method, path: &str, key: &str, body: &str) -> Request<BoxBody<Bytes, std::io::Error>> {
    let mut builder = Request::builder().method(method).uri(format!("http://api.example{path}"));
    if !key.is_empty() {
        builder = builder.header("authorization", format!("Bearer {key}"));
    }
    builder.body(whole(body)).expect("a request")
}

/// A body that is there at once.
pub fn whole(body: &str) -> BoxBody<Bytes, std::io::Error> {
    Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed()
}

/// Reads the whole answer.
pub async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().cloned();
    let body = String::from_utf8_lossy(&collected.to_bytes()).into_owned();
    Answer { status: head.status.as_u16(), headers: head.headers, body, trailers }
}
