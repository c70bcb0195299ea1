//! One GET of a key set: no redirect is followed, little is read, and only addresses that may be asked are connected to.

use crate::upstream::{Dialer, Reach};
use http::{Request, StatusCode, Uri, header};
use http_body::Body;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{future::poll_fn, pin::Pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// All of it: name, connection, TLS, answer.
const DEADLINE: Duration = Duration::from_secs(5);

const MAX_BYTES: usize = 256 * 1024;

/// The body of the answer at that address.
pub(super) async fn get(url: &str, private: bool, dialer: &Dialer) -> Result<Vec<u8>, String> {
    timeout(DEADLINE, ask(url, private, dialer))
        .await
        .unwrap_or_else(|_| Err("it took longer than five seconds".to_owned()))
}

async fn ask(url: &str, private: bool, dialer: &Dialer) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|_| "the address is not a URL")?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority = authority.ok_or("the address names no host")?;
    let secure = uri.scheme_str() == Some("https");
    if !secure && !private {
        return Err("the address is not https".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let reach = if private { Reach::Private } else { Reach::Public };
    let stream = dialer.tcp(host, port, reach).await.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, "turnpike")
        .header(header::CONNECTION, "close")
        .body(String::new())
        .map_err(|error| error.to_string())?;
    if !secure {
        return exchange(stream, request).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "the host cannot be in a certificate")?;
    let stream =
        TlsConnector::from(dialer.tls()).connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
    exchange(stream, request).await
}

async fn exchange<S>(stream: S, request: Request<String>) -> Result<Vec<u8>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answered = sender.send_request(request).await.map_err(|error| error.to_string());
    let read = match answered {
        Ok(answer) if answer.status() == StatusCode::OK => read(answer.into_body()).await,
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        Err(error) => Err(error),
    };
    driver.abort();
    read
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() {
            if bytes.len() + data.len() > MAX_BYTES {
                return Err(format!("the answer is longer than {MAX_BYTES} bytes"));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
