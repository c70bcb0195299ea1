//! How a message leaves: to an address that may be reached, within a time, and without following anybody anywhere.
//!
//! The address that is connected to is judged, never the name, as for upstreams: so no spelling of it and no later answer of the DNS
//! leads to what only this machine can reach. Redirects are failures, and of an answer only the status is read.

use super::message::Message;
use app::hooks;
use gateway::Reach;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// From the look-up of the name to the answer's last byte, usually.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// For each address of the name.
const CONNECT: Duration = Duration::from_secs(5);
/// Of an answer's body, which nobody reads.
const LARGEST_ANSWER: usize = 64 << 10;

/// Sends messages. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    reach: Reach,
    patience: Duration,
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    message: String,
    /// The receiver says that it wants no more.
    pub gone: bool,
    /// The receiver wants a pause.
    pub not_before: Option<SignedDuration>,
}

impl Undelivered {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), gone: false, not_before: None }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Client {
    /// `reach` is how far from the public internet receivers may be, `patience` how long one has to take a message.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(reach: Reach, patience: Duration) -> Result<Self, rustls::Error> {
        Self::trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, reach, patience)
    }

    /// Of receivers whose certificates lead to one of these.
    pub(super) fn trusting(roots: RootCertStore, reach: Reach, patience: Duration) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), reach, patience })
    }

    /// Delivers it, or says why not.
    pub(super) async fn post(&self, url: &Uri, message: &Message<'_>, signature: &str) -> Result<(), Undelivered> {
        match timeout(self.patience, self.exchange(url, message, signature)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Undelivered::new(format!("no whole answer within {} ms", self.patience.as_millis()))),
        }
    }

    async fn exchange(&self, url: &Uri, message: &Message<'_>, signature: &str) -> Result<(), Undelivered> {
        let is_secure = url.scheme_str() == Some("https");
        hooks::check_reach(url, self.reach >= Reach::Private).map_err(Undelivered::new)?;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let request = request(url, message, signature)?;
        let socket = self.connect(&host, port).await?;
        if !is_secure {
            return send(socket, request).await;
        }
        let name = ServerName::try_from(host).map_err(|_| Undelivered::new("the name cannot be in a certificate"))?;
        let secured = self.tls.connect(name, socket).await;
        send(secured.map_err(|error| Undelivered::new(format!("TLS failed: {error}")))?, request).await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Undelivered> {
        let found = lookup_host((host, port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|_| Undelivered::new("the name leads nowhere"))?.collect();
        let allowed: Vec<_> = addresses.iter().filter(|address| self.reach.includes(address.ip())).collect();
        if allowed.is_empty() {
            // Not which: whoever enters addresses would learn what our names lead to.
            return Err(Undelivered::new(if addresses.is_empty() {
                "the name leads nowhere"
            } else {
                "the name leads to an address that may not be reached"
            }));
        }
        let mut last = Undelivered::new("nobody answers");
        for address in allowed {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => last = Undelivered::new(format!("no connection: {error}")),
                Err(_) => last = Undelivered::new(format!("no connection within {} s", CONNECT.as_secs())),
            }
        }
        Err(last)
    }
}

fn request(url: &Uri, message: &Message<'_>, signature: &str) -> Result<Request<Full<Bytes>>, Undelivered> {
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let host = url.authority().map_or("", http::uri::Authority::as_str);
    Request::post(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, message.content_type)
        .header(header::USER_AGENT, concat!("turnpike/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.sent_at.as_second().to_string())
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::copy_from_slice(message.body)))
        .map_err(|_| Undelivered::new("the address cannot be in a request"))
}

async fn send<IO>(io: IO, request: Request<Full<Bytes>>) -> Result<(), Undelivered>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| Undelivered::new(format!("the connection broke: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
    // Ends with this function, whatever the other side does.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let retry_after =
        answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    // So that the receiver is not cut off in its answer; what it says changes nothing.
    let _ = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
    if status.is_success() {
        return Ok(());
    }
    let message = if status.is_redirection() {
        format!("it answered {status}, and redirects are not followed: enter the address that it leads to")
    } else {
        format!("it answered {status}")
    };
    Err(Undelivered {
        message,
        gone: status == StatusCode::GONE,
        not_before: retry_after.map(|seconds| SignedDuration::from_secs(i64::from(seconds))),
    })
}
