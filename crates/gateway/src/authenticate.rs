//! Who is calling: the credential's form, then its keyed hash in the snapshot, gives a [`Caller`].
//!
//! A mistyped key is refused by its checksum, without a look-up. The look-up is by the key's HMAC, so that the time it
//! takes tells nothing about other keys.

use crate::{
    respond::Refusal,
    snapshot::{Key, Partner, Snapshot},
    try_credential::{self, BadCredential},
};
use domain::{
    id::MemberId,
    key_text::{KeyKind, kind_of},
    refusal::Code,
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use jiff::Timestamp;
use sha2::Sha256;
use std::sync::Arc;

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who is calling, proven. Made only here.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    snapshot: Arc<Snapshot>,
    key: usize,
    member: Option<MemberId>,
}

impl Caller {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn key(&self) -> &Key {
        self.snapshot.key(self.key)
    }

    pub(crate) fn partner(&self) -> &Partner {
        &self.snapshot.partners[self.key().partner]
    }

    /// The person, for a call that was tried from the portal.
    pub(crate) const fn member(&self) -> Option<MemberId> {
        self.member
    }
}

/// What proves a caller.
pub(crate) struct Authenticator {
    pepper: Hmac<Sha256>,
    try_signing_key: [u8; 32],
}

impl Authenticator {
    pub(crate) fn new(pepper: &[u8; 32], try_signing_key: [u8; 32]) -> Self {
        Self { pepper: keyed(pepper), try_signing_key }
    }

    /// The caller, or why the credentials prove none. With a refusal comes the caller whom it concerns, where the key is
    /// known and only no longer valid.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        snapshot: Arc<Snapshot>,
        now: Timestamp,
    ) -> Result<Caller, (Refusal, Option<Caller>)> {
        let text = credential(headers).map_err(|refusal| (refusal, None))?;
        let (key, member) = self.look_up(text, &snapshot, now).map_err(|refusal| (refusal, None))?;
        let caller = Caller { snapshot, key, member };
        let found = caller.key();
        if found.revoked_at.is_some() {
            return Err((Refusal::of(Code::RevokedKey), Some(caller)));
        }
        if let Some(end) = found.expires_at.filter(|end| *end <= now) {
            return Err((Refusal::new(Code::ExpiredKey, format!("The key expired at {end}.")), Some(caller)));
        }
        Ok(caller)
    }

    fn look_up(&self, text: &str, snapshot: &Snapshot, now: Timestamp) -> Result<(usize, Option<MemberId>), Refusal> {
        if text.starts_with(try_credential::PREFIX) {
            let claims = try_credential::verify(&self.try_signing_key, text, now).map_err(|bad| match bad {
                BadCredential::Malformed => Refusal::of(Code::MalformedKey),
                BadCredential::Expired => Refusal::new(Code::ExpiredKey, "The try-it credential has expired."),
            })?;
            let key = snapshot.key_by_id(claims.key).ok_or_else(|| Refusal::of(Code::UnknownKey))?;
            return Ok((key, claims.member));
        }
        match kind_of(text) {
            Ok(KeyKind::Gateway(_)) => {}
            Ok(KeyKind::Api) => {
                let detail = "This is a token of the REST API; calls take a key that starts with tp_live_ or tp_test_.";
                return Err(Refusal::new(Code::UnknownKey, detail));
            }
            Err(_) => return Err(Refusal::of(Code::MalformedKey)),
        }
        let mut mac = self.pepper.clone();
        mac.update(text.as_bytes());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        snapshot.key_by_hash(&hash).map(|key| (key, None)).ok_or_else(|| Refusal::of(Code::UnknownKey))
    }
}

/// The hash that the directory keeps of a key's text.
pub fn hash_key(pepper: &[u8; 32], text: &str) -> [u8; 32] {
    let mut mac = keyed(pepper);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// HMAC pads a key with zeros to its block, so that taking a whole block cannot fail.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    KeyInit::new(&block)
}

/// The one credential of the request: every header that carries one has to carry the same.
fn credential(headers: &HeaderMap) -> Result<&str, Refusal> {
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let text = value.to_str().map_err(|_| Refusal::of(Code::MalformedKey))?;
        let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Ok("") }
    });
    let api_key = headers
        .get_all(X_API_KEY)
        .iter()
        .map(|value| value.to_str().map(str::trim).map_err(|_| Refusal::of(Code::MalformedKey)));
    let mut found = None;
    for text in bearer.chain(api_key) {
        let text = text?;
        match found {
            Some(earlier) if earlier != text => return Err(Refusal::of(Code::ConflictingCredentials)),
            _ => found = Some(text),
        }
    }
    match found {
        None => Err(Refusal::of(Code::MissingKey)),
        Some("") => Err(Refusal::new(Code::MissingKey, "The Authorization header carries no Bearer key.")),
        Some(text) => Ok(text),
    }
}
