//! Connections to upstreams: one pool for each core and origin, HTTP/1.1, never shared between threads.

use crate::{config::Deadlines, meter::Upload, running::StartError};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::spawn_local,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Unused connections that are kept for each origin and core.
const MAX_IDLE: usize = 512;

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

/// The pools of one core.
pub(crate) struct Pools {
    by_origin: RefCell<HashMap<Arc<Origin>, Rc<Pool>>>,
    tls: TlsConnector,
    deadlines: Deadlines,
}

#[derive(Default)]
struct Pool {
    /// The most recently used last.
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// A connection for one call, which goes back to its pool only by [`Self::give_back`].
pub(crate) struct Lease {
    pub sender: SendRequest<Upload>,
    /// Whether it has carried a call before, so that the upstream may have closed it in the meantime.
    pub reused: bool,
    pool: Rc<Pool>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("reused", &self.reused).finish_non_exhaustive()
    }
}

impl Lease {
    /// Both bodies have ended.
    pub(crate) fn give_back(self) {
        let mut idle = self.pool.idle.borrow_mut();
        if idle.len() < MAX_IDLE && !self.sender.is_closed() {
            idle.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

impl Pools {
    pub(crate) fn new(tls: Arc<rustls::ClientConfig>, deadlines: Deadlines) -> Self {
        Self { by_origin: RefCell::default(), tls: TlsConnector::from(tls), deadlines }
    }

    /// A connection that is ready: one from the pool if `reuse`, else a new one.
    pub(crate) async fn lease(&self, origin: &Arc<Origin>, reuse: bool) -> io::Result<Lease> {
        let pool = self.pool(origin);
        while let Some(mut idle) = if reuse { pool.take(self.deadlines.upstream_idle) } else { None } {
            if idle.is_ready() || idle.ready().await.is_ok() {
                return Ok(Lease { sender: idle, reused: true, pool });
            }
        }
        let sender = timeout(self.deadlines.connect, self.connect(origin))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))??;
        Ok(Lease { sender, reused: false, pool })
    }

    /// Closes connections that were unused for too long.
    pub(crate) fn close_idle(&self) {
        let max_age = self.deadlines.upstream_idle;
        self.by_origin.borrow_mut().retain(|_, pool| {
            let mut idle = pool.idle.borrow_mut();
            idle.retain(|idle| idle.since.elapsed() < max_age && !idle.sender.is_closed());
            !idle.is_empty() || Rc::strong_count(pool) > 1
        });
    }

    fn pool(&self, origin: &Arc<Origin>) -> Rc<Pool> {
        if let Some(pool) = self.by_origin.borrow().get(origin) {
            return pool.clone();
        }
        self.by_origin.borrow_mut().entry(origin.clone()).or_default().clone()
    }

    async fn connect(&self, origin: &Origin) -> io::Result<SendRequest<Upload>> {
        let stream = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
        stream.set_nodelay(true)?;
        match &origin.tls {
            None => handshake(stream).await,
            Some(name) => handshake(self.tls.connect(name.clone(), stream).await?).await,
        }
    }
}

impl Pool {
    fn take(&self, max_age: Duration) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(last) = idle.pop() {
            if last.since.elapsed() >= max_age {
                // The others are older still.
                idle.clear();
            } else if !last.sender.is_closed() {
                return Some(last.sender);
            }
        }
        None
    }
}

async fn handshake<S>(stream: S) -> io::Result<SendRequest<Upload>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an upstream ended");
        }
    });
    Ok(sender)
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
