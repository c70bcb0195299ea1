//! The `Stripe-Signature` header: HMAC-SHA-256 over timestamp and raw body.
//!
//! `t=1763000000,v1=<hex>,v1=<hex>`: during a rotation Stripe signs with several secrets, and we may know several.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How far the signature's time may be from ours.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// Why a body is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("the signature header cannot be read")]
    Malformed,
    #[error("the signature is too old or from the future")]
    OutsideTolerance,
    #[error("no signature matches")]
    NoMatch,
}

/// Checks that one of the signatures is that of one of the secrets (`whsec_…`) over this very body.
pub fn verify(secrets: &[String], header: &str, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
    let mut signed_at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) => signed_at = Some(seconds),
            Some(("v1", hex)) => signatures.push(hex),
            _ => {}
        }
    }
    let signed_at = signed_at.ok_or(BadSignature::Malformed)?;
    let seconds: i64 = signed_at.parse().map_err(|_| BadSignature::Malformed)?;
    let instant = Timestamp::from_second(seconds).map_err(|_| BadSignature::Malformed)?;
    if signatures.is_empty() {
        return Err(BadSignature::Malformed);
    }
    if now.duration_since(instant).abs() > TOLERANCE {
        return Err(BadSignature::OutsideTolerance);
    }
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(signed_at.as_bytes());
        mac.update(b".");
        mac.update(body);
        let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        if signatures.iter().any(|given| bool::from(given.as_bytes().ct_eq(expected.as_bytes()))) {
            return Ok(());
        }
    }
    Err(BadSignature::NoMatch)
}
