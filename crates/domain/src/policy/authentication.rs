//! Which credentials a product takes.

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// How callers prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authentication {
    /// Ways in; a call takes one of them, and brings every proof that it lists. All proofs must name the same partner.
    pub accept: Vec<Vec<Proof>>,
    /// Whose tokens count, for [`Proof::Token`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<Issuer>,
    /// Authorities in PEM form that sign client certificates, for [`Proof::Certificate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<String>,
    /// Revocation lists (CRLs) of those authorities in PEM form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_lists: Option<String>,
    /// Tells the upstream who calls, in headers signed with HMAC-SHA-256 under the product's signing secret.
    pub identity_headers: bool,
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            accept: vec![vec![Proof::Key]],
            issuers: Vec::new(),
            client_authorities: None,
            revocation_lists: None,
            identity_headers: false,
        }
    }
}

/// One kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// An API key.
    Key,
    /// A signed token (JWT, RFC 7519) of one of the issuers.
    Token,
    /// A client certificate that one of the authorities signed (mutual TLS).
    Certificate,
}

/// Somebody whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The `iss` claim, letter by letter.
    pub issuer: String,
    /// Where its keys are, a JSON Web Key Set (RFC 7517).
    pub jwks_url: String,
    /// One of these has to be in the `aud` claim; at least one is given.
    pub audiences: Vec<String>,
    /// Signature algorithms that count; none is symmetric.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the caller: its text is an identity of an app.
    #[serde(default = "default_claim")]
    pub claim: String,
    /// Takes only tokens whose `typ` says that they are access tokens (`at+jwt`, RFC 9068), for issuers that say it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_access_tokens: bool,
    /// Whether the key set may be at a private address and be fetched without TLS, for an issuer in one's own network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private_addresses: bool,
}

/// Signature algorithms of RFC 7518 and RFC 8037 that we verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256]
}

fn default_claim() -> String {
    "sub".to_owned()
}

impl Authentication {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: String, message: &str| {
            problems.push(Problem::new(format!("authentication.{field}"), message));
        };
        if self.accept.is_empty() || self.accept.iter().any(Vec::is_empty) {
            add(
                "accept".to_owned(),
                "List at least one way in, and at least one proof for each: key, token or certificate",
            );
        }
        let wants = |proof| self.accept.iter().flatten().any(|wanted| *wanted == proof);
        if wants(Proof::Token) && self.issuers.is_empty() {
            add("issuers".to_owned(), "Tokens are accepted, so name at least one issuer");
        }
        if wants(Proof::Certificate) && self.client_authorities.is_none() {
            add("client_authorities".to_owned(), "Certificates are accepted, so give the authorities that sign them");
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            if issuer.issuer.is_empty() {
                add(format!("issuers[{index}].issuer"), "Write the iss claim of its tokens");
            }
            let plain = issuer.jwks_url.starts_with("http://");
            if plain && !issuer.allow_private_addresses {
                let message = "Keys are fetched over https; plain http is for issuers with allow_private_addresses";
                add(format!("issuers[{index}].jwks_url"), message);
            } else if !plain && !issuer.jwks_url.starts_with("https://") {
                add(
                    format!("issuers[{index}].jwks_url"),
                    "Write the address of its key set, as https://id.example/keys",
                );
            }
            if issuer.audiences.is_empty() {
                add(
                    format!("issuers[{index}].audiences"),
                    "Name at least one audience, so that other services' tokens do not count",
                );
            }
            if issuer.algorithms.is_empty() {
                add(format!("issuers[{index}].algorithms"), "Name at least one algorithm, as RS256");
            }
            if issuer.claim.is_empty() {
                add(format!("issuers[{index}].claim"), "Name the claim that tells who calls, as sub");
            }
        }
    }
}
