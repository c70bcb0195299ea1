//! Whose signature on a client certificate counts, over all products.

use crate::termination::Authorities;
use domain::product::Product;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The authorities of all products together; `say` hears of those that cannot be used.
pub(super) fn union(products: &[Product], say: &mut dyn FnMut(&str, String)) -> Authorities {
    let mut all: Vec<CertificateDer<'static>> = Vec::new();
    for product in products {
        let Some(pem) = &product.policy.authentication.client_authorities else { continue };
        match read(pem) {
            Ok(authorities) => all.extend(authorities),
            Err(problem) => say(&product.code, problem),
        }
    }
    all.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    all.dedup();
    all.into()
}

fn read(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let authorities: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("The client authorities are not certificates in PEM form: {error}"))?;
    if authorities.is_empty() {
        return Err("The client authorities hold no certificate".to_owned());
    }
    let mut store = RootCertStore::empty();
    for authority in &authorities {
        store.add(authority.clone()).map_err(|error| format!("A client authority cannot be used: {error}"))?;
    }
    Ok(authorities)
}
