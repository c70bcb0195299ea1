//! TLS towards clients: the certificates that we show, and whose client certificates we take.
//!
//! Both change while the gateway serves: certificates by [`Certificates::replace`], authorities with the policies of the
//! snapshot. A change makes a new configuration, which new connections meet; connections that are open keep theirs.
//!
//! A client may show a certificate and need not; one that no product's authority signed, or that has expired, ends the
//! handshake. While any product takes client certificates no session is resumed, so that each connection proves itself.

use crate::snapshot::Snapshot;
use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use std::sync::Arc;

/// The certificates of the TLS listener; the client's SNI chooses among them, and the first one is for everybody else.
#[derive(Debug)]
pub struct Certificates {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
    provider: Arc<CryptoProvider>,
}

/// Why certificates cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateProblem {
    #[error("there is no certificate")]
    None,
    #[error("the certificate chain is not in PEM form: {0}")]
    Chain(rustls::pki_types::pem::Error),
    #[error("the private key is not in PEM form: {0}")]
    Key(rustls::pki_types::pem::Error),
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
}

impl Certificates {
    /// Pairs of a certificate chain, the server's own first, and its private key, all in PEM form.
    ///
    /// # Errors
    /// One of them cannot be read, or the key is not the certificate's.
    pub fn new(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, CertificateProblem> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let keys = ArcSwap::from_pointee(read(pairs, &provider)?);
        Ok(Self { keys, provider })
    }

    /// Shows these to new connections from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; then the earlier ones stay.
    pub fn replace(&self, pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), CertificateProblem> {
        self.keys.store(Arc::new(read(pairs, &self.provider)?));
        Ok(())
    }
}

fn read(pairs: &[(Vec<u8>, Vec<u8>)], provider: &CryptoProvider) -> Result<Vec<Arc<CertifiedKey>>, CertificateProblem> {
    let read = |(chain, key): &(Vec<u8>, Vec<u8>)| {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(CertificateProblem::Chain)?;
        if chain.is_empty() {
            return Err(CertificateProblem::None);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateProblem::Key)?;
        CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(CertificateProblem::Pair)
    };
    let keys: Vec<_> = pairs.iter().map(read).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(CertificateProblem::None) } else { Ok(keys) }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |key: &&Arc<CertifiedKey>| {
            let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
            name.as_ref().zip(parsed.ok()).is_some_and(|(name, parsed)| verify_server_name(&parsed, name).is_ok())
        };
        // Looking is for those who have a choice.
        let chosen = if keys.len() > 1 { keys.iter().find(fits) } else { None };
        chosen.or_else(|| keys.first()).cloned()
    }
}

/// Certificates in DER form that sign client certificates, of all products together, sorted.
pub(crate) type Authorities = Arc<[CertificateDer<'static>]>;

/// What clients meet on the TLS listener.
#[derive(Debug)]
pub(crate) struct Termination {
    certificates: Arc<Certificates>,
    current: ArcSwapOption<(Authorities, Arc<ServerConfig>)>,
    without_authorities: Arc<ServerConfig>,
}

impl Termination {
    pub(crate) fn new(certificates: Arc<Certificates>) -> Result<Self, rustls::Error> {
        let without_authorities = Arc::new(config(&certificates, &Arc::from([]))?);
        Ok(Self { certificates, current: ArcSwapOption::empty(), without_authorities })
    }

    /// The configuration for a new connection under this snapshot.
    pub(crate) fn config(&self, snapshot: &Snapshot) -> Arc<ServerConfig> {
        let wanted = &snapshot.client_authorities;
        if wanted.is_empty() {
            return self.without_authorities.clone();
        }
        if let Some(current) = self.current.load_full().filter(|current| current.0 == *wanted) {
            return current.1.clone();
        }
        match config(&self.certificates, wanted) {
            Ok(config) => {
                let config = Arc::new(config);
                self.current.store(Some(Arc::new((wanted.clone(), config.clone()))));
                config
            }
            Err(error) => {
                // Nobody is let in by a certificate, and keys still work.
                tracing::error!(%error, "client certificates are not asked for: the authorities cannot be used");
                self.without_authorities.clone()
            }
        }
    }
}

fn config(certificates: &Arc<Certificates>, authorities: &Authorities) -> Result<ServerConfig, rustls::Error> {
    let provider = certificates.provider.clone();
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let mut config = if authorities.is_empty() {
        builder.with_no_client_auth().with_cert_resolver(certificates.clone())
    } else {
        let mut roots = RootCertStore::empty();
        for authority in authorities.iter() {
            roots.add(authority.clone())?;
        }
        // Our partners' authorities are nobody else's business, so their names are not told.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .clear_root_hint_subjects()
            .allow_unauthenticated()
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(certificates.clone());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
