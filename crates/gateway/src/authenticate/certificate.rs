//! Client certificates: which identity the connection's one proves, and under whose authority.
//!
//! TLS has proven that the client holds the key, and that some product's authority signed. Here the chain is checked
//! against the authorities of one product: signatures, times, use for clients, revocation. A verdict holds for a minute, so
//! that an expiry or a new list takes effect on connections that stay open.

mod names;

use crate::{accept::PeerCertificate, snapshot::Snapshot};
use domain::directory::KeyKind;
use jiff::Timestamp;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use std::{
    cell::{OnceCell, RefCell},
    sync::Arc,
    time::Duration,
};

/// How long a verdict holds, in seconds.
const VERDICT_HOLDS: i64 = 60;

/// The authorities of a product and what they revoked.
#[derive(Debug)]
pub(crate) struct ClientAuthorities {
    /// Of the PEM texts.
    pub fingerprint: [u8; 16],
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientAuthorities {
    /// Reads both texts. Where there are lists, every certificate of a chain but the root has to be on a current list of
    /// its issuer's as not revoked.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn read(authorities: &str, lists: Option<&str>, fingerprint: [u8; 16]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            let certificate =
                certificate.map_err(|error| format!("The client authorities are not in PEM form: {error}"))?;
            roots.add(certificate).map_err(|error| format!("A client authority cannot be used: {error}"))?;
        }
        let lists: Vec<CertificateRevocationListDer<'static>> =
            CertificateRevocationListDer::pem_slice_iter(lists.unwrap_or_default().as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|error| format!("The revocation lists are not in PEM form: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(lists)
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| format!("The client authorities or their lists cannot be used: {error}"))?;
        Ok(Self { fingerprint, verifier })
    }

    fn accept(&self, shown: &PeerCertificate, now: Timestamp) -> bool {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verifier.verify_client_cert(&shown.end_entity, &shown.intermediates, now).is_ok()
    }
}

/// What is known of a connection's certificate after its first call.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: OnceCell<Known>,
    verdicts: RefCell<Vec<Verdict>>,
}

#[derive(Debug)]
struct Known {
    thumbprint: [u8; 32],
    identities: Vec<[u8; 32]>,
}

#[derive(Debug)]
struct Verdict {
    authorities: [u8; 16],
    accepted: bool,
    at: i64,
}

/// A certificate that counts, by places in the snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateProof {
    pub authorities: usize,
    pub key: usize,
}

/// The SHA-256 of the certificate, as tokens are bound to it.
pub(crate) fn thumbprint(shown: &PeerCertificate) -> [u8; 32] {
    shown.memo.known.get().map_or_else(|| Sha256::digest(&shown.end_entity).into(), |known| known.thumbprint)
}

/// The key that the certificate's names belong to, if an authority's chain holds: that of the product that is called before
/// all others'. `None` where no authority accepts it, or its names belong to nobody or to more than one.
pub(super) fn prove(
    shown: &PeerCertificate,
    snapshot: &Snapshot,
    own: Option<usize>,
    hash: &dyn Fn(&str) -> [u8; 32],
    now: Timestamp,
) -> Option<CertificateProof> {
    let known = shown.memo.known.get_or_init(|| Known {
        thumbprint: Sha256::digest(&shown.end_entity).into(),
        identities: names::of(&shown.end_entity).iter().map(|name| hash(&format!("certificate\n{name}"))).collect(),
    });
    let mut keys = known.identities.iter().filter_map(|identity| snapshot.key_by_hash(identity));
    let key = keys.next().filter(|key| snapshot.key(*key).kind == KeyKind::Certificate)?;
    if keys.any(|other| other != key) {
        return None;
    }
    let all = &snapshot.credentials.authorities;
    let places = own.into_iter().chain((0..all.len()).filter(|at| Some(*at) != own));
    let authorities = places.into_iter().find(|at| all.get(*at).is_some_and(|one| judge(shown, one, now)))?;
    Some(CertificateProof { authorities, key })
}

fn judge(shown: &PeerCertificate, authorities: &ClientAuthorities, now: Timestamp) -> bool {
    let mut verdicts = shown.memo.verdicts.borrow_mut();
    verdicts.retain(|verdict| (0..VERDICT_HOLDS).contains(&now.as_second().saturating_sub(verdict.at)));
    if let Some(verdict) = verdicts.iter().find(|verdict| verdict.authorities == authorities.fingerprint) {
        return verdict.accepted;
    }
    let accepted = authorities.accept(shown, now);
    verdicts.push(Verdict { authorities: authorities.fingerprint, accepted, at: now.as_second() });
    accepted
}
