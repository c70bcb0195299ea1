//! Where an upstream listens, and how a connection to it is opened.

use crate::running::StartError;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where an upstream listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    host: String,
    port: u16,
    tls: Option<ServerName<'static>>,
}

impl Origin {
    /// `None` if the host cannot be in a certificate.
    pub(crate) fn new(tls: bool, host: &str, port: Option<u16>) -> Option<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = if tls { Some(ServerName::try_from(host.clone()).ok()?) } else { None };
        Some(Self { host, port: port.unwrap_or(if tls { 443 } else { 80 }), tls: name })
    }
}

/// Opens a connection, TLS included.
pub(super) async fn connect(origin: &Origin, tls: &TlsConnector) -> io::Result<Io> {
    let stream = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
    stream.set_nodelay(true)?;
    Ok(match &origin.tls {
        None => Io::Plain(stream),
        Some(name) => Io::Tls(Box::new(tls.connect(name.clone(), stream).await?)),
    })
}

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
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
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// TLS towards upstreams: the web's authorities and the given ones, TLS 1.2 and 1.3, HTTP/1.1.
pub(crate) fn tls_config(authorities: Option<&[u8]>) -> Result<Arc<rustls::ClientConfig>, StartError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default()) {
        roots.add(certificate?)?;
    }
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
