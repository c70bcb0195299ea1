//! Who seals, and who can tell.

use super::{BadSeal, SIGNED_BYTES, Seal};
use ring::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

/// What seals are signed with. Prints nothing of itself.
pub struct SealKey {
    pair: Ed25519KeyPair,
    name: [u8; 8],
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// The same seed gives the same key; `None` never happens to a seed of this length.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Some(Self { name: name(&public), pair })
    }

    /// The half that anybody may have.
    pub fn public(&self) -> [u8; 32] {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        public
    }

    /// Signs the seal in the node's name.
    pub(super) fn sign(&self, node: &str, mut seal: Seal) -> Seal {
        seal.key = self.name;
        let signature = self.pair.sign(&message(node, &seal.signed()));
        seal.signature.copy_from_slice(signature.as_ref());
        seal
    }
}

/// The public keys that seals are looked at with.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    keys: Vec<[u8; 32]>,
}

impl Verifier {
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// Whether one of the keys has signed this for the node.
    ///
    /// # Errors
    /// None of them has.
    pub fn verify(&self, node: &str, seal: &Seal) -> Result<(), BadSeal> {
        let key = self.keys.iter().find(|key| name(key) == seal.key).ok_or(BadSeal::UnknownKey)?;
        let message = message(node, &seal.signed());
        UnparsedPublicKey::new(&ED25519, key).verify(&message, &seal.signature).map_err(|_| BadSeal::Signature)
    }
}

/// The first bytes of the public key's SHA-256.
fn name(public: &[u8; 32]) -> [u8; 8] {
    let mut name = [0; 8];
    name.copy_from_slice(&digest(&SHA256, public).as_ref()[..8]);
    name
}

fn message(node: &str, signed: &[u8; SIGNED_BYTES]) -> Vec<u8> {
    [b"turnpike seal 1\0".as_slice(), node.as_bytes(), b"\0", signed].concat()
}
