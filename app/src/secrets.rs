//! One master secret, one key for each purpose: sealing values at rest, hashing keys, signing try-it credentials.
//!
//! Each purpose has its own key, HMAC-SHA-256(master, purpose), so that none of them gives away another. Sealing is
//! XChaCha20-Poly1305 with a random nonce and the context as associated data: a value sealed for one place does not
//! open in another.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 24;

/// The installation's keys. Prints nothing of them.
pub struct Secrets {
    pepper: [u8; 32],
    try_signing: [u8; 32],
    log_seal: [u8; 32],
    files: [u8; 32],
    seal: XChaCha20Poly1305,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Keys of this master secret; the same master gives the same keys.
    pub fn from_master(master: [u8; 32]) -> Self {
        let derive = |purpose: &str| keyed_hash(&master, purpose.as_bytes());
        Self {
            pepper: derive("turnpike key pepper 1"),
            try_signing: derive("turnpike try-it credential 1"),
            log_seal: derive("turnpike seal of the usage log 1"),
            files: derive("turnpike file 1"),
            seal: XChaCha20Poly1305::new(&derive("turnpike seal 1").into()),
        }
    }

    /// The key under which key texts are hashed; the gateway needs it.
    pub const fn pepper(&self) -> [u8; 32] {
        self.pepper
    }

    /// The key that signs try-it credentials; the gateway needs it.
    pub const fn try_signing_key(&self) -> [u8; 32] {
        self.try_signing
    }

    /// The seed of the Ed25519 key that seals the usage log; the gateway needs it.
    pub const fn log_seal_seed(&self) -> [u8; 32] {
        self.log_seal
    }

    /// HMAC-SHA-256 of what this installation keeps in a file and believes later.
    pub fn sign_file(&self, content: &[u8]) -> [u8; 32] {
        keyed_hash(&self.files, content)
    }

    /// HMAC-SHA-256 of a key or token text under the pepper: what the database keeps of it.
    pub fn hash_key(&self, text: &str) -> [u8; 32] {
        keyed_hash(&self.pepper, text.as_bytes())
    }

    /// Encrypts and authenticates; `context` says what the value is and where it belongs.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_BYTES];
        fill_random(&mut nonce);
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        // Encryption fails only beyond 256 GiB; an empty text never opens again.
        let sealed = self.seal.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        [nonce.as_slice(), &sealed].concat()
    }

    /// The plain value, if it was sealed here for the same context and nobody changed it.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        self.seal.decrypt(&XNonce::from(*nonce), payload).ok()
    }

    /// Seals the value of a header that the gateway adds before it forwards to this product.
    pub fn seal_header(&self, product_code: &str, name: &str, value: &[u8]) -> Vec<u8> {
        self.seal(&header_context(product_code, name), value)
    }

    /// Opens what [`Self::seal_header`] sealed for the same product and header.
    pub fn unseal_header(&self, product_code: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.unseal(&header_context(product_code, name), sealed)
    }

    /// Seals what a product's policy refers to by that name.
    pub fn seal_product_secret(&self, product_code: &str, name: &str, value: &[u8]) -> Vec<u8> {
        self.seal(&format!("secret:{product_code}:{name}"), value)
    }

    /// Opens what [`Self::seal_product_secret`] sealed for the same product and name.
    pub fn unseal_product_secret(&self, product_code: &str, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.unseal(&format!("secret:{product_code}:{name}"), sealed)
    }
}

fn header_context(product_code: &str, name: &str) -> String {
    format!("header:{product_code}:{}", name.to_ascii_lowercase())
}

/// A new single-use token for a link: the text for the mail, and the hash that the database keeps.
pub fn new_link_token() -> (String, [u8; 32]) {
    let mut bytes = [0_u8; 32];
    fill_random(&mut bytes);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    let hash = hash_link_token(&text);
    (text, hash)
}

/// SHA-256 of a link's token; the token has 256 random bits, so no slow hash is needed.
pub fn hash_link_token(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Bytes of the system's generator. Without one no secret can be made, and the process must not go on.
pub fn fill_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!(%error, "the system gives no random bytes");
        std::process::abort();
    }
}

fn keyed_hash(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = match <Hmac<Sha256> as hmac::digest::KeyInit>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_whole_and_in_its_place() {
        let secrets = Secrets::from_master([7; 32]);
        let sealed = secrets.seal("header:payments", b"Bearer abc");
        assert_eq!(secrets.unseal("header:payments", &sealed).as_deref(), Some(b"Bearer abc".as_slice()));
        assert_eq!(secrets.unseal("header:refunds", &sealed), None);
        assert_eq!(Secrets::from_master([8; 32]).unseal("header:payments", &sealed), None);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(secrets.unseal("header:payments", &changed), None, "byte {position}");
        }
    }
}
