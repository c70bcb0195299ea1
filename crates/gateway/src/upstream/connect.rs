//! Where an upstream listens, and how a connection to it is opened.

use super::{
    address::Reach,
    dial,
    identity::{Identity, client_config},
    places::Place,
    resolve::Resolver,
};
use crate::running::StartError;
use domain::policy::Protocol;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where an upstream listens, and what a connection to it must be like: connections are shared only where all of it is equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    host: String,
    port: u16,
    tls: Option<ServerName<'static>>,
    /// What the product says of private addresses; `None` is the installation's choice.
    allow_private: Option<bool>,
    identity: Option<Arc<Identity>>,
    /// How long opening may take; `None` is the installation's time.
    pub(super) connect: Option<Duration>,
    pub(super) protocol: Protocol,
}

impl Origin {
    /// `None` if the host cannot be in a certificate.
    pub(crate) fn new(tls: bool, host: &str, port: Option<u16>) -> Option<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = if tls { Some(ServerName::try_from(host.clone()).ok()?) } else { None };
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Some(Self {
            host,
            port,
            tls: name,
            allow_private: None,
            identity: None,
            connect: None,
            protocol: Protocol::Http1,
        })
    }

    /// With what the product's policy says of its connections.
    pub(crate) fn with(
        self,
        allow_private: Option<bool>,
        identity: Option<Arc<Identity>>,
        connect: Option<Duration>,
        protocol: Protocol,
    ) -> Self {
        Self { allow_private, identity, connect, protocol, ..self }
    }

    /// Whether it is spoken to in HTTP/1.1.
    pub(crate) const fn speaks_http1(&self) -> bool {
        matches!(self.protocol, Protocol::Http1)
    }

    pub(super) const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Opens connections, for all cores.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub resolver: Arc<Resolver>,
    reach: Reach,
    authorities: Arc<RootCertStore>,
    tls: Arc<ClientConfig>,
    /// The same, offering HTTP/2 and nothing else.
    tls_http2: Arc<ClientConfig>,
}

impl Dialer {
    /// TLS trusts the web's authorities and the given ones, in PEM form.
    pub(crate) fn new(resolver: Arc<Resolver>, reach: Reach, authorities: Option<&[u8]>) -> Result<Self, StartError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default()) {
            roots.add(certificate?)?;
        }
        let authorities = Arc::new(roots);
        let tls = client_config(&authorities, None)?;
        let tls_http2 = offering_http2(&tls);
        Ok(Self { resolver, reach, authorities, tls, tls_http2 })
    }

    /// A connection to an address of that name that is within reach, for whoever is no product's upstream.
    pub(crate) async fn tcp(&self, host: &str, port: u16, reach: Reach) -> io::Result<TcpStream> {
        dial::connect(&self.resolver, host, port, reach).await
    }

    /// TLS without a client certificate.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// Opens a connection, TLS included.
    ///
    /// # Errors
    /// [`super::Failure::of`] tells their classes apart.
    pub(crate) async fn open(&self, origin: &Origin) -> io::Result<Io> {
        let reach = self.reach.narrowed_by(origin.allow_private);
        let stream = dial::connect(&self.resolver, &origin.host, origin.port, reach).await?;
        let Some(name) = &origin.tls else { return Ok(Io::over(Stream::Plain(stream))) };
        let is_http2 = origin.protocol == Protocol::Http2;
        let config = match &origin.identity {
            None if is_http2 => self.tls_http2.clone(),
            None => self.tls.clone(),
            Some(identity) => {
                let config = identity.config(&self.authorities).map_err(io::Error::other)?;
                if is_http2 { offering_http2(&config) } else { config }
            }
        };
        let connected = TlsConnector::from(config).connect(name.clone(), stream).await;
        let stream = connected.map_err(|error| if is_about_protocols(&error) { not_spoken(origin) } else { error })?;
        // Without ALPN an upstream speaks HTTP/1.1.
        if is_http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(not_spoken(origin));
        }
        Ok(Io::over(Stream::Tls(Box::new(stream))))
    }
}

/// The upstream does not speak what the product says it does.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) struct NotSpoken(pub(super) Protocol);

impl fmt::Display for NotSpoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, other) = match self.0 {
            Protocol::Http1 => ("HTTP/1.1", "http2"),
            Protocol::Http2 => ("HTTP/2", "http1"),
        };
        write!(f, "it does not offer {wanted} (ALPN): switch that on there, or set policy.upstream.protocol to {other}")
    }
}

fn not_spoken(origin: &Origin) -> io::Error {
    io::Error::other(NotSpoken(origin.protocol))
}

/// Whether the upstream ended the handshake because it speaks none of what was offered (RFC 7301, 3.2).
fn is_about_protocols(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)))
}

fn offering_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A connection's bytes.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Stream,
    /// Given back when the socket is closed.
    _place: Option<Place>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    const fn over(stream: Stream) -> Self {
        Self { stream, _place: None }
    }

    /// Keeps the place for as long as the connection is open.
    pub(super) fn at(self, place: Place) -> Self {
        Self { _place: Some(place), ..self }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Whether an unused connection can still be used: nothing has come on it, neither its end nor a byte that nobody asked for.
    /// Costs no system call unless something has come.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut some = [0; 1];
        let mut some = ReadBuf::new(&mut some);
        Pin::new(self).poll_read(&mut Context::from_waker(Waker::noop()), &mut some).is_pending()
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
