//! Tokens (JWT, RFC 7519) as RFC 8725 and RFC 9068 ask: which identity one proves, or why it proves none.
//!
//! The signature is checked before any claim is believed; only `iss` is read before, to know whose keys to ask. Headers that
//! bring keys of their own are refused. A token that was verified is remembered by its hash on the core, under the issuer's
//! whole configuration and the key set that it was verified by, so that a change of either verifies it again. What is
//! remembered is an identity and never a permission: the snapshot is asked for the key on each call.

mod claims;
mod key_set;
mod object;

use super::bounded::Bounded;
use crate::{key_sets::KeySets, snapshot::credentials::Issuer};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use claims::Claims;
use domain::policy::Algorithm;
use object::Object;
use sha2::{Digest, Sha256};

pub(crate) use key_set::KeySet;

/// Longer texts are not read.
const MAX_BYTES: usize = 8 * 1024;

/// Tokens that a core remembers.
const REMEMBERED: usize = 8192;

/// How far clocks may be apart, in seconds.
pub(super) const LEEWAY: i64 = 60;

/// What a token proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    /// What the directory knows the identity by.
    pub identity: [u8; 32],
    /// The SHA-256 of the client certificate that it is bound to (RFC 8705).
    pub certificate: Option<[u8; 32]>,
    /// Seconds since 1970.
    pub expires: i64,
    pub not_before: Option<i64>,
    /// [`KeySet::version`] of the keys that verified it.
    keys: u64,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenProblem {
    /// In words for its holder.
    Invalid(&'static str),
    /// It was signed well, for this identity, and its time is over or has not come.
    Untimely { identity: [u8; 32], detail: &'static str },
    /// The key that signed it is not in the issuer's key set as it was fetched last, or no set has been fetched.
    UnknownKey { jwks_url: String },
    /// A signature would have to be checked, and the caller has guessed too often.
    Guesser,
}

struct Remembered {
    issuer: Box<str>,
    verified: Vec<([u8; 16], Verified)>,
}

/// The tokens that a core has verified.
pub(crate) struct Tokens(Bounded<[u8; 32], Remembered>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Bounded::new(REMEMBERED))
    }
}

/// What a token is checked against.
pub(super) struct Judges<'a> {
    /// Of all products, with that `iss`.
    pub named: &'a dyn Fn(&str) -> Vec<usize>,
    pub issuers: &'a [Issuer],
    /// Those of the product that is called, which are asked first.
    pub own: &'a [usize],
    pub key_sets: &'a KeySets,
    pub hash: &'a dyn Fn(&str) -> [u8; 32],
    /// Seconds since 1970.
    pub now: i64,
}

impl Tokens {
    /// The issuer, by its place, and what it said. `may_verify` is asked before a signature is checked.
    pub(super) fn prove(
        &mut self,
        text: &str,
        judges: &Judges<'_>,
        may_verify: &mut dyn FnMut() -> bool,
    ) -> Result<(usize, Verified), TokenProblem> {
        if text.len() > MAX_BYTES {
            return Err(TokenProblem::Invalid("It is longer than 8 KiB."));
        }
        let digest: [u8; 32] = Sha256::digest(text).into();
        let known = self.0.get_mut(&digest);
        if let Some(known) = &known {
            for at in judges.in_order(&known.issuer) {
                let issuer = &judges.issuers[at];
                let remembered = known.verified.iter().find(|(fingerprint, _)| *fingerprint == issuer.fingerprint);
                let current = judges.key_sets.of(&issuer.jwks_url).map(|keys| keys.version);
                if let Some((_, verified)) = remembered.filter(|(_, verified)| Some(verified.keys) == current) {
                    return verified.timely(judges.now).map(|verified| (at, verified));
                }
            }
        }
        let token = Token::read(text)?;
        let mut refused: Option<(usize, TokenProblem)> = None;
        for at in judges.in_order(&token.claims.issuer) {
            let issuer = &judges.issuers[at];
            match token.verify(issuer, judges, may_verify) {
                Ok(verified) => {
                    let entry = (issuer.fingerprint, verified.clone());
                    match self.0.get_mut(&digest) {
                        Some(known) => {
                            known.verified.retain(|(fingerprint, _)| *fingerprint != issuer.fingerprint);
                            known.verified.push(entry);
                        }
                        None => {
                            let issuer = token.claims.issuer.clone().into();
                            self.0.insert(digest, Remembered { issuer, verified: vec![entry] });
                        }
                    }
                    return verified.timely(judges.now).map(|verified| (at, verified));
                }
                // Always the same one of several, so that the answer does not tell which product is called.
                Err(problem) if refused.as_ref().is_none_or(|(earlier, _)| at < *earlier) => {
                    refused = Some((at, problem));
                }
                Err(_) => {}
            }
        }
        Err(refused.map_or(TokenProblem::Invalid("No product trusts its issuer."), |(_, problem)| problem))
    }
}

impl Judges<'_> {
    fn in_order(&self, issuer: &str) -> Vec<usize> {
        let mut places = (self.named)(issuer);
        places.sort_by_key(|at| !self.own.contains(at));
        places
    }
}

impl Verified {
    fn timely(&self, now: i64) -> Result<Self, TokenProblem> {
        let untimely = |detail| TokenProblem::Untimely { identity: self.identity, detail };
        if self.expires.saturating_add(LEEWAY) <= now {
            return Err(untimely("It has expired."));
        }
        if self.not_before.is_some_and(|start| start.saturating_sub(LEEWAY) > now) {
            return Err(untimely("It is not valid yet."));
        }
        Ok(self.clone())
    }
}

/// A token that was taken apart and not yet believed.
struct Token<'a> {
    signed: &'a [u8],
    signature: Vec<u8>,
    algorithm: Algorithm,
    key_id: Option<String>,
    access_token: bool,
    claims: Claims,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Result<Self, TokenProblem> {
        use TokenProblem::Invalid;
        const FORM: TokenProblem = Invalid("It is not a signed token in compact form.");
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(FORM);
        };
        let signed = text.get(..header.len() + 1 + payload.len()).ok_or(FORM)?.as_bytes();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| FORM);
        let header = Object::read(&decode(header)?).map_err(Invalid)?;
        // Keys or rules that the token itself brings, encryption, compression, and tokens within tokens.
        let forbidden = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"];
        if forbidden.iter().any(|name| header.get(name).is_some()) {
            return Err(Invalid(
                "Its header has a parameter that is not taken: jku, jwk, x5u, x5c, crit, b64, zip or enc.",
            ));
        }
        if header.get("cty").is_some_and(|cty| cty.as_str().is_none_or(|cty| cty.to_ascii_lowercase().contains("jwt")))
        {
            return Err(Invalid("It holds another token."));
        }
        let access_token = match header.text("typ").map_err(Invalid)? {
            None => false,
            Some(typ) => match typ.to_ascii_lowercase().as_str() {
                "jwt" | "application/jwt" => false,
                "at+jwt" | "application/at+jwt" => true,
                _ => return Err(Invalid("Its typ is neither JWT nor at+jwt.")),
            },
        };
        let algorithm = header.get("alg").and_then(|name| serde_json::from_value(name.clone()).ok());
        let algorithm = algorithm.ok_or(Invalid("Its alg is not one of the signature algorithms that count."))?;
        let key_id = header.text("kid").map_err(Invalid)?.map(str::to_owned);
        if key_id.as_ref().is_some_and(|id| id.len() > 256) {
            return Err(Invalid("Its kid is too long."));
        }
        let claims = Claims::read(&Object::read(&decode(payload)?).map_err(Invalid)?).map_err(Invalid)?;
        Ok(Self { signed, signature: decode(signature)?, algorithm, key_id, access_token, claims })
    }

    fn verify(
        &self,
        issuer: &Issuer,
        judges: &Judges<'_>,
        may_verify: &mut dyn FnMut() -> bool,
    ) -> Result<Verified, TokenProblem> {
        use TokenProblem::Invalid;
        if !issuer.algorithms.contains(&self.algorithm) {
            return Err(Invalid("Its alg is not one that the product takes from this issuer."));
        }
        let unknown = || TokenProblem::UnknownKey { jwks_url: issuer.jwks_url.clone() };
        let keys = judges.key_sets.of(&issuer.jwks_url).ok_or_else(unknown)?;
        let key = keys.key(self.key_id.as_deref(), self.algorithm).ok_or_else(unknown)?;
        if !may_verify() {
            return Err(TokenProblem::Guesser);
        }
        if !key.verifies(self.algorithm, self.signed, &self.signature) {
            return Err(Invalid("Its signature is wrong."));
        }
        let name = self.claims.accepted_by(issuer, self.access_token, judges.now).map_err(Invalid)?;
        Ok(Verified {
            identity: (judges.hash)(&format!("token\n{}\n{name}", issuer.issuer)),
            certificate: self.claims.certificate,
            expires: self.claims.expires,
            not_before: self.claims.not_before,
            keys: keys.version,
        })
    }
}
