//! Tells an upstream who calls, in headers that it can check: HMAC-SHA-256 under the product's signing secret.
//!
//! What is signed is these lines, each ended by a line feed: `turnpike-identity-v1`, the time in seconds since 1970, the
//! method, the path and query as the upstream receives them, the request's id, the partner, the app, the key, the plan's
//! code, the environment. The signature is sent as `v1=` and 64 hexadecimal digits.

use crate::{accept::Connection, authenticate::keyed, matching::Target, reserve::Draft};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use sha2::{Digest, Sha256};
use std::fmt::Write;

const PARTNER: HeaderName = HeaderName::from_static("x-turnpike-partner");
const APP: HeaderName = HeaderName::from_static("x-turnpike-app");
const KEY: HeaderName = HeaderName::from_static("x-turnpike-key");
const PLAN: HeaderName = HeaderName::from_static("x-turnpike-plan");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-turnpike-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-turnpike-signature");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// Signs under one product's secret.
pub(crate) struct Signer(Hmac<Sha256>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(crate) fn new(secret: &[u8]) -> Self {
        // RFC 2104: a longer secret than a block is hashed first.
        Self(match secret.try_into() {
            Ok(exact) => keyed(exact),
            Err(_) if secret.len() > 64 => keyed(&Sha256::digest(secret).into()),
            Err(_) => {
                let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
                block[..secret.len()].copy_from_slice(secret);
                KeyInit::new(&block)
            }
        })
    }

    fn sign(&self, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().fold("v1=".to_owned(), |mut signature, byte| {
            let _ = write!(signature, "{byte:02x}");
            signature
        })
    }
}

/// Sets the headers of a request as the upstream will receive it. Called after everything that a client sent was stripped.
pub(crate) fn tell<B>(target: &Target, connection: &Connection, draft: &Draft, request: &mut Request<B>) {
    let Some(entry) = &target.product().entry else { return };
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let headers = request.headers_mut();
    let certified = target.caller.certified_by().filter(|by| Some(*by) == entry.authorities);
    if let Some(certificate) = certified.and_then(|_| connection.peer_certificate()) {
        // RFC 9440: a structured field of bytes.
        put(headers, CLIENT_CERT, &format!(":{}:", STANDARD.encode(&certificate.end_entity)));
    }
    let Some(signer) = &entry.signer else { return };
    let (caller, key) = (&target.caller, target.caller.key());
    let (partner, app, id) = (caller.partner().id.to_string(), key.app.to_string(), key.id.to_string());
    let plan = target.terms().map_or("", |(_, plan)| plan.code.as_str());
    let time = draft.at.as_second().to_string();
    let signed = [
        "turnpike-identity-v1",
        &time,
        draft.method.as_str(),
        &path_and_query,
        &draft.request_id,
        &partner,
        &app,
        &id,
        plan,
        key.environment.code(),
        "",
    ];
    put(headers, SIGNATURE, &signer.sign(&signed.join("\n")));
    for (name, value) in [(PARTNER, &partner), (APP, &app), (KEY, &id), (TIMESTAMP, &time)] {
        put(headers, name, value);
    }
    put(headers, PLAN, plan);
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha_256_whatever_the_secrets_length() {
        // RFC 4231, test cases 2, 1 and 6.
        let long = [0xaa; 131];
        for (secret, text, expected) in [
            (
                &b"Jefe"[..],
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0x0b; 20], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                &long,
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(Signer::new(secret).sign(text), format!("v1={expected}"));
        }
    }
}
