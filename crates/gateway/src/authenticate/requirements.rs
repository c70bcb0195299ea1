//! What the product that was reached asks of the proofs, and the operation of the key's scopes. Comes after matching, so that
//! it speaks only of products that the caller may know of.

use crate::{
    authenticate::Caller,
    matching::Target,
    respond::Refusal,
    snapshot::credentials::{Entry, Proofs},
};
use domain::{policy::Proof, refusal::Code};

/// Whether the caller has brought what the product and the operation ask for.
pub(crate) fn check(target: &Target) -> Result<(), Refusal> {
    let (product, operation, caller) = (target.product(), target.operation(), &target.caller);
    if (product.entry.is_some() || caller.more.is_some())
        && let Err(refusal) = proofs(product.entry.as_deref(), caller)
    {
        return Err(refusal);
    }
    match &operation.scope {
        Some(scope) if !caller.has_scope(scope) => {
            let detail = format!("The key has scopes, and {scope} is not one of them.");
            Err(Refusal::new(Code::MissingScope, detail))
        }
        _ => Ok(()),
    }
}

fn proofs(entry: Option<&Entry>, caller: &Caller) -> Result<(), Refusal> {
    let ways = entry.map_or(&[Proofs::KEY][..], |entry| &entry.accept);
    let mut brought = Proofs::default();
    let (mut token, mut certificate) = (false, false);
    match &caller.more {
        None => brought = Proofs::KEY,
        Some(more) => {
            if more.key {
                brought = brought.with(Proof::Key);
            }
            if let Some(issuer) = more.token {
                token = true;
                if entry.is_some_and(|entry| entry.issuers.contains(&issuer)) {
                    brought = brought.with(Proof::Token);
                }
            }
            certificate = more.shows_certificate;
            let own = entry.and_then(|entry| entry.authorities);
            if more.certificate.is_some_and(|proof| Some(proof.authorities) == own) {
                brought = brought.with(Proof::Certificate);
            }
        }
    }
    if ways.iter().any(|way| brought.contains(*way)) {
        return Ok(());
    }
    let takes = |proof| ways.iter().any(|way| way.has(proof)) && !brought.has(proof);
    if certificate && takes(Proof::Certificate) {
        return Err(Refusal::of(Code::InvalidCertificate));
    }
    if token && takes(Proof::Token) {
        return Err(Refusal::new(Code::InvalidToken, "The token is not from an issuer that this product takes."));
    }
    Err(Refusal::new(Code::MissingCredential, format!("This product asks for {}.", words(ways))))
}

/// The ways in, for people.
pub(super) fn words(ways: &[Proofs]) -> String {
    let names = [(Proof::Key, "an API key"), (Proof::Token, "a token"), (Proof::Certificate, "a client certificate")];
    let way = |way: &Proofs| {
        let asked = names.iter().filter(|(proof, _)| way.has(*proof)).map(|(_, name)| *name);
        asked.collect::<Vec<_>>().join(" together with ")
    };
    ways.iter().map(way).collect::<Vec<_>>().join(", or ")
}
