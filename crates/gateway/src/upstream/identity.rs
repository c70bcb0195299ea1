//! Who we are towards an upstream that asks for a client certificate.

use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

/// A client certificate with its key. Two are the same if their texts are.
pub(crate) struct Identity {
    fingerprint: [u8; 32],
    resolver: Arc<dyn ResolvesClientCert>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Identity {
    /// From a certificate chain and its private key in PEM form, in any order.
    ///
    /// # Errors
    /// A sentence for the operator, without a word of the text.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| "it is not in PEM form".to_owned())?;
        if chain.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it holds no private key".to_owned())?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|_| "its certificate and its private key do not belong together".to_owned())?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        Ok(Self { fingerprint: Sha256::digest(pem).into(), resolver, config: OnceLock::new() })
    }

    /// TLS with this certificate, made once.
    pub(super) fn config(&self, authorities: &Arc<RootCertStore>) -> Result<Arc<ClientConfig>, rustls::Error> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = client_config(authorities, Some(self.resolver.clone()))?;
        Ok(self.config.get_or_init(|| config).clone())
    }
}

/// TLS 1.2 and 1.3 towards whoever is signed by these authorities, for HTTP/1.1.
pub(super) fn client_config(
    authorities: &Arc<RootCertStore>,
    identity: Option<Arc<dyn ResolvesClientCert>>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities.clone());
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn a_chain_and_its_key_are_taken_in_any_order_and_nothing_else_is() {
        let ((certificate, key), (other, _)) = (pair(), pair());
        let read = |text: String| Identity::from_pem(text.as_bytes());
        let identity = read(format!("{certificate}{key}")).expect("an identity");
        assert!(read(format!("{key}{certificate}")).is_ok());
        assert_eq!(identity, read(format!("{certificate}{key}")).expect("an identity"));
        for (text, problem) in [
            (certificate, "no private key"),
            (key.clone(), "no certificate"),
            (format!("{other}{key}"), "do not belong together"),
            ("nonsense".to_owned(), "no certificate"),
        ] {
            let error = read(text).expect_err(problem);
            assert!(error.contains(problem), "{error}");
        }
        assert_eq!(format!("{identity:?}"), "Identity");
    }
}
