//! One GET of a key set: no redirect is followed, little is read, and only addresses that may be asked are connected to.

use domain::network::Network;
use http::{Request, StatusCode, Uri, header};
use http_body::Body;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{future::poll_fn, net::IpAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// All of it: name, connection, TLS, answer.
const DEADLINE: Duration = Duration::from_secs(5);

const MAX_BYTES: usize = 256 * 1024;

/// The body of the answer at that address.
pub(super) async fn get(url: &str, private: bool, tls: Arc<rustls::ClientConfig>) -> Result<Vec<u8>, String> {
    timeout(DEADLINE, ask(url, private, tls))
        .await
        .unwrap_or_else(|_| Err("it took longer than five seconds".to_owned()))
}

async fn ask(url: &str, private: bool, tls: Arc<rustls::ClientConfig>) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|_| "the address is not a URL")?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority = authority.ok_or("the address names no host")?;
    let secure = uri.scheme_str() == Some("https");
    if !secure && !private {
        return Err("the address is not https".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = connect(host, port, private).await?;
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
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
    exchange(stream, request).await
}

/// Connects to an address that was judged itself, so that a name cannot lead elsewhere between the question and the call.
async fn connect(host: &str, port: u16, private: bool) -> Result<TcpStream, String> {
    let found = lookup_host((host, port)).await.map_err(|error| format!("the name is not known: {error}"))?;
    let mut last = format!("{host} has only addresses that may not be asked without allow_private_addresses");
    for address in found.filter(|address| may_ask(address.ip(), private)) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
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

/// Whether a key set may be fetched from there.
///
/// Addresses at which clouds hand out credentials are never asked.
fn may_ask(address: IpAddr, private: bool) -> bool {
    let holds = |network: &&str| network.parse::<Network>().is_ok_and(|network| network.contains(address));
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    !mapped
        && !NEVER.iter().any(|network| holds(&network))
        && (private || !PRIVATE.iter().any(|network| holds(&network)))
}

const NEVER: [&str; 6] =
    ["169.254.0.0/16", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.0/3", "ff00::/8"];

const PRIVATE: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    // Everything in IPv6 but what is assigned to the internet, and ways to write IPv4 in it.
    "::/3",
    "4000::/2",
    "8000::/1",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "192.0.2.0/24",
];
