//! An issuer's public keys (JSON Web Key Set, RFC 7517), and signatures under them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::policy::Algorithm;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The most keys that are taken from one set.
const MAX_KEYS: usize = 64;

/// The keys of a set that can verify signatures. Symmetric keys, keys for encryption and weak keys are left out.
#[derive(Debug)]
pub(crate) struct KeySet {
    /// From the keys themselves, so that a set that is fetched again unchanged is the same.
    pub version: u64,
    keys: Vec<PublicKey>,
}

/// One public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    id: Option<String>,
    /// The one algorithm that the set says it is for.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set; keys that cannot be used are left out, as RFC 7517 asks.
    ///
    /// # Errors
    /// It is no key set, or holds no key that can be used.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(text).map_err(|_| "the answer is not a JSON Web Key Set")?;
        let read = |key| serde_json::from_value(key).ok().and_then(PublicKey::read);
        let keys: Vec<PublicKey> = written.keys.into_iter().filter_map(read).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err(
                "the key set holds no public key for signatures (RSA of 2048 bits, P-256, P-384, Ed25519)".into()
            );
        }
        let mut hash = Sha256::new();
        keys.iter().for_each(|key| hash.update(format!("{key:?}\n")));
        let digest: [u8; 32] = hash.finalize().into();
        let version = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        Ok(Self { version, keys })
    }

    /// The key of that id, or the only one that fits where the token names none.
    pub(super) fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting =
            self.keys.iter().filter(|key| key.fits(algorithm) && (id.is_none() || key.id.as_deref() == id));
        let first = fitting.next()?;
        // Two keys of one id are the issuer's mistake; two without a named one are a guess that nobody should make.
        if fitting.next().is_some() { None } else { Some(first) }
    }
}

impl PublicKey {
    fn read(written: WrittenKey) -> Option<Self> {
        let signs = written.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && written.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !signs {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let point = |length: usize, x: Option<String>, y: Option<String>| {
            let (x, y) = (bytes(x)?, bytes(y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
        };
        let material = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => {
                let unpadded = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
                let (modulus, exponent) = (unpadded(bytes(written.n)?), unpadded(bytes(written.e)?));
                let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
                if !(2048..=8192).contains(&bits) || exponent.len() > 5 {
                    return None;
                }
                Material::Rsa { modulus, exponent }
            }
            ("EC", Some("P-256")) => Material::P256(point(32, written.x, written.y)?),
            ("EC", Some("P-384")) => Material::P384(point(48, written.x, written.y)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(written.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        let algorithm = match written.alg {
            None => None,
            // RFC 9864 names the curve.
            Some(name) if name == "Ed25519" => Some(Algorithm::EdDSA),
            Some(name) => Some(serde_json::from_value(serde_json::Value::String(name)).ok()?),
        };
        Some(Self { id: written.kid, algorithm, material })
    }

    /// Whether its kind is the one of the algorithm, whatever the token says.
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let kind = match self.material {
            Material::Rsa { .. } => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Material::P256(_) => algorithm == ES256,
            Material::P384(_) => algorithm == ES384,
            Material::Ed25519(_) => algorithm == EdDSA,
        };
        kind && self.algorithm.is_none_or(|only| only == algorithm)
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signed_as: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let unparsed = |with: &'static dyn VerificationAlgorithm, point: &Vec<u8>| {
            UnparsedPublicKey::new(with, point).verify(signed, signed_as).is_ok()
        };
        match &self.material {
            Material::Rsa { modulus, exponent } => rsa(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, signed, signed_as).is_ok()
            }),
            Material::P256(point) => unparsed(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => unparsed(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(point) => unparsed(&signature::ED25519, point),
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => return None,
    })
}
