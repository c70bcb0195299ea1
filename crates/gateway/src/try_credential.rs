//! The credential of a try-it call: the portal signs it, and it stands for an app's key for a few minutes.
//!
//! Key texts are not kept, so the portal cannot send one. `tp_try_<payload>.<signature>`, both base64url without padding:
//! the payload is [`Claims`] as JSON, the signature HMAC-SHA-256 of `tp_try_<payload>` under the installation's key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::id::{KeyId, MemberId};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What every such credential begins with.
pub const PREFIX: &str = "tp_try_";

/// The longest that one may be valid.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// Longer texts are not read.
const MAX_BYTES: usize = 1024;

/// What the credential says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The key that it stands for: its partner, app, environment, expiry and revocation hold.
    pub key: KeyId,
    /// Who tries the call.
    pub member: Option<MemberId>,
    pub expires_at: Timestamp,
}

/// Why the credential does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    #[error("not a try-it credential, or signed by somebody else")]
    Malformed,
    #[error("the try-it credential has expired")]
    Expired,
}

/// Signs the claims.
pub fn mint(signing_key: &[u8; 32], claims: &Claims) -> String {
    // Three identifiers and a time always have a JSON form.
    let payload = serde_json::to_vec(claims).unwrap_or_default();
    let mut text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = mac(signing_key, &text).finalize().into_bytes();
    text.push('.');
    text.push_str(&URL_SAFE_NO_PAD.encode(signature));
    text
}

/// Reads a credential whose signature is right and whose time is now.
pub fn verify(signing_key: &[u8; 32], text: &str, now: Timestamp) -> Result<Claims, BadCredential> {
    let (signed, signature) = text.rsplit_once('.').ok_or(BadCredential::Malformed)?;
    let payload = signed.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_BYTES).ok_or(BadCredential::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadCredential::Malformed)?;
    mac(signing_key, signed).verify_slice(&signature).map_err(|_| BadCredential::Malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| BadCredential::Malformed)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| BadCredential::Malformed)?;
    let left = claims.expires_at.duration_since(now);
    if left <= SignedDuration::ZERO || left > MAX_LIFETIME {
        return Err(BadCredential::Expired);
    }
    Ok(claims)
}

fn mac(signing_key: &[u8; 32], signed: &str) -> Hmac<Sha256> {
    let mut mac = crate::authenticate::keyed(signing_key);
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn only_what_was_signed_counts_and_only_for_five_minutes() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
        let claims = Claims {
            key: KeyId(Uuid::from_u128(5)),
            member: Some(MemberId(Uuid::from_u128(6))),
            expires_at: now + SignedDuration::from_mins(5),
        };
        let text = mint(&[7; 32], &claims);
        assert_eq!(verify(&[7; 32], &text, now), Ok(claims));
        assert_eq!(verify(&[8; 32], &text, now), Err(BadCredential::Malformed));
        assert_eq!(verify(&[7; 32], &text, claims.expires_at), Err(BadCredential::Expired));
        let long = mint(&[7; 32], &Claims { expires_at: now + SignedDuration::from_mins(6), ..claims });
        assert_eq!(verify(&[7; 32], &long, now), Err(BadCredential::Expired));
        for position in PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ascii");
            assert!(verify(&[7; 32], &changed, now).is_err(), "position {position}");
        }
        assert_eq!(verify(&[7; 32], "tp_try_", now), Err(BadCredential::Malformed));
    }
}
