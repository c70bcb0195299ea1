//! TLS from clients: the handshake, and what it proved. The handshake has the time of a request's head.

use super::{Connection, Core, Watched, http1, http2};
use crate::authenticate::Memo;
use rustls::pki_types::CertificateDer;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What a client's verified certificate chain holds, in DER form.
#[derive(Debug)]
pub(crate) struct PeerCertificate {
    pub end_entity: CertificateDer<'static>,
    /// What else the client sent, towards its authority.
    pub intermediates: Vec<CertificateDer<'static>>,
    pub memo: Memo,
}

/// Serves a connection of the TLS listener in the protocol that both sides chose.
pub(super) async fn converse(core: &Rc<Core>, connection: &Rc<Connection>, stream: TcpStream) {
    let Some(termination) = &core.shared.termination else { return };
    let acceptor = TlsAcceptor::from(termination.config(&core.shared.directory.load()));
    let shaken = tokio::select! {
        biased;
        shaken = acceptor.accept(Watched::new(stream, connection.clone())) => shaken,
        () = connection.told() => return,
    };
    let io = match shaken {
        Ok(io) => io,
        Err(error) => {
            core.shared.metrics.handshake_failures.increment(1);
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
    };
    connection.secured(shown(&io));
    if io.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(core, connection, io).await;
    } else {
        http1::serve(core, connection, http1::Io::Tls(Box::new(io))).await;
    }
}

fn shown<S>(io: &TlsStream<S>) -> Option<PeerCertificate> {
    let (end_entity, intermediates) = io.get_ref().1.peer_certificates()?.split_first()?;
    let own = |certificate: &CertificateDer<'_>| certificate.clone().into_owned();
    let intermediates = intermediates.iter().map(own).collect();
    Some(PeerCertificate { end_entity: own(end_entity), intermediates, memo: Memo::default() })
}
