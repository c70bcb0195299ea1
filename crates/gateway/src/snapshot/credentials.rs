//! What proofs beyond API keys are checked against: issuers and authorities of all products, each once.

use super::{Sealed, compile::Unseal};
use crate::{authenticate::ClientAuthorities, identity::Signer};
use domain::{
    directory::ProductSecret,
    policy::{self, Algorithm, Authentication, Proof},
    product,
};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The name of the secret that identity headers are signed with.
const SIGNING_SECRET: &str = "identity-signing";

/// Shorter ones could be guessed.
const MIN_SECRET_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub issuers: Vec<Issuer>,
    issuers_by_name: HashMap<String, Vec<usize>>,
    pub authorities: Vec<ClientAuthorities>,
}

/// An issuer as a product configures it; two products with the same words share it.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// Of its whole configuration.
    pub fingerprint: [u8; 16],
    pub issuer: String,
    pub jwks_url: String,
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub claim: String,
    pub only_access_tokens: bool,
    pub allow_private_addresses: bool,
}

/// How a product is entered where an API key alone is not the whole story.
#[derive(Debug)]
pub(crate) struct Entry {
    pub accept: Vec<Proofs>,
    /// Places in [`Credentials::issuers`].
    pub issuers: Vec<usize>,
    /// Its place in [`Credentials::authorities`].
    pub authorities: Option<usize>,
    pub signer: Option<Signer>,
}

/// A set of proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Proofs(u8);

impl Proofs {
    pub(crate) const KEY: Self = Self(1);

    pub(crate) const fn with(self, proof: Proof) -> Self {
        Self(self.0 | 1 << proof as u8)
    }

    pub(crate) const fn contains(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    pub(crate) const fn has(self, proof: Proof) -> bool {
        self.contains(Self(1 << proof as u8))
    }
}

impl Credentials {
    /// Places of the issuers whose tokens carry that `iss`.
    pub(crate) fn named(&self, issuer: &str) -> Vec<usize> {
        self.issuers_by_name.get(issuer).cloned().unwrap_or_default()
    }

    /// Whether the product is entered with a plain API key, without identity headers.
    pub(super) fn need_none(product: &product::Product) -> bool {
        product.policy.authentication == Authentication { issuers: Vec::new(), ..Authentication::default() }
    }

    /// The product's way in, `None` for a plain API key without identity headers. What cannot be used is an error, and then
    /// the product has to be closed.
    pub(super) fn entry(
        &mut self,
        from: &product::Product,
        secrets: &[&ProductSecret],
        unseal: Unseal,
    ) -> Result<Option<Box<Entry>>, String> {
        if Self::need_none(from) {
            return Ok(None);
        }
        let authentication = &from.policy.authentication;
        let accept: Vec<Proofs> = authentication
            .accept
            .iter()
            .map(|way| way.iter().fold(Proofs::default(), |proofs, proof| proofs.with(*proof)))
            .collect();
        if accept.is_empty() || accept.contains(&Proofs::default()) {
            return Err("The product's policy names no way in".to_owned());
        }
        let takes = |proof| accept.iter().any(|way| way.has(proof));
        let issuers = if takes(Proof::Token) {
            authentication.issuers.iter().map(|issuer| self.issuer(issuer)).collect()
        } else {
            Vec::new()
        };
        let authorities = match &authentication.client_authorities {
            Some(pem) if takes(Proof::Certificate) => {
                Some(self.authorities(pem, authentication.revocation_lists.as_deref())?)
            }
            _ => None,
        };
        let signer = if authentication.identity_headers { Some(signer(secrets, unseal)?) } else { None };
        Ok(Some(Box::new(Entry { accept, issuers, authorities, signer })))
    }

    fn issuer(&mut self, from: &policy::Issuer) -> usize {
        let fingerprint = fingerprint(&[format!("{from:?}").as_bytes()]);
        if let Some(at) = self.issuers.iter().position(|issuer| issuer.fingerprint == fingerprint) {
            return at;
        }
        let at = self.issuers.len();
        self.issuers_by_name.entry(from.issuer.clone()).or_default().push(at);
        self.issuers.push(Issuer {
            fingerprint,
            issuer: from.issuer.clone(),
            jwks_url: from.jwks_url.clone(),
            audiences: from.audiences.clone(),
            algorithms: from.algorithms.clone(),
            claim: from.claim.clone(),
            only_access_tokens: from.only_access_tokens,
            allow_private_addresses: from.allow_private_addresses,
        });
        at
    }

    fn authorities(&mut self, pem: &str, lists: Option<&str>) -> Result<usize, String> {
        let fingerprint = fingerprint(&[pem.as_bytes(), lists.unwrap_or_default().as_bytes()]);
        if let Some(at) = self.authorities.iter().position(|authorities| authorities.fingerprint == fingerprint) {
            return Ok(at);
        }
        self.authorities.push(ClientAuthorities::read(pem, lists, fingerprint)?);
        Ok(self.authorities.len() - 1)
    }
}

fn signer(secrets: &[&ProductSecret], unseal: Unseal) -> Result<Signer, String> {
    let secret = secrets.iter().find(|secret| secret.name == SIGNING_SECRET);
    let secret = secret.ok_or_else(|| {
        format!("Identity headers are on, and the product has no secret {SIGNING_SECRET:?} to sign them with")
    })?;
    let opened = unseal(Sealed::Secret(secret))
        .map_err(|error| format!("The secret {SIGNING_SECRET:?} cannot be unsealed: {error}"))?;
    if opened.len() < MIN_SECRET_BYTES {
        return Err(format!("The secret {SIGNING_SECRET:?} is shorter than {MIN_SECRET_BYTES} bytes"));
    }
    Ok(Signer::new(&opened))
}

fn fingerprint(texts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(0).to_be_bytes());
        hash.update(text);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}
