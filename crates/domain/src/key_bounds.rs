//! What narrows a key, and what identities may be written as.

use crate::{
    directory::KeyKind,
    network::{MAX_NETWORKS, Network},
    plan::Problem,
    policy::is_name,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most scopes that a key may have.
pub const MAX_SCOPES: usize = 32;

/// The longest identity, in characters.
const MAX_IDENTITY: usize = 512;

/// Where, for what and until when a key works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct KeyBounds {
    /// Networks as `192.0.2.0/24`; empty is everywhere.
    pub allowed_addresses: Vec<String>,
    /// Empty is everything that the plan opens.
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

impl KeyBounds {
    /// The bounds as they are kept: networks in their usual form, nothing twice.
    ///
    /// # Errors
    /// What is wrong with them; a time that has passed is left to whoever knows what time it is.
    pub fn tidy(self) -> Result<Self, Problem> {
        let mut allowed_addresses: Vec<String> = Vec::new();
        for text in self.allowed_addresses.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let network: Network = text.parse().map_err(|bad| Problem::new("allowed_addresses", format!("{bad}")))?;
            let network = network.to_string();
            if !allowed_addresses.contains(&network) {
                allowed_addresses.push(network);
            }
        }
        if allowed_addresses.len() > MAX_NETWORKS {
            return Err(Problem::new("allowed_addresses", format!("A key takes at most {MAX_NETWORKS} networks")));
        }
        let mut scopes: Vec<String> = Vec::new();
        for text in self.scopes.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            if !is_name(text) {
                let message = format!("{text:?} is not a scope: 1 to 64 letters, digits, and : . - _");
                return Err(Problem::new("scopes", message));
            }
            if !scopes.iter().any(|scope| scope == text) {
                scopes.push(text.to_owned());
            }
        }
        if scopes.len() > MAX_SCOPES {
            return Err(Problem::new("scopes", format!("A key takes at most {MAX_SCOPES} scopes")));
        }
        Ok(Self { allowed_addresses, scopes, expires_at: self.expires_at })
    }
}

impl KeyKind {
    /// An identity's text as it is kept: a certificate's name, or a token's issuer and claim with a line feed between them.
    ///
    /// # Errors
    /// What is missing or too long.
    pub fn identity(self, issuer: &str, name: &str) -> Result<String, Problem> {
        let plain = |text: &str| !text.chars().any(char::is_control) && text.chars().count() <= MAX_IDENTITY;
        match self {
            Self::Key if issuer.is_empty() && name.is_empty() => Ok(String::new()),
            Self::Key => Err(Problem::new("identity", "An API key has no identity; its text is made here")),
            _ if name.is_empty() || !plain(name) => {
                Err(Problem::new("identity", "Write who calls, as the token's claim or the certificate names it"))
            }
            Self::Token if issuer.is_empty() || !plain(issuer) => {
                Err(Problem::new("issuer", "Write the iss claim of the tokens, letter by letter"))
            }
            Self::Token => Ok(format!("{issuer}\n{name}")),
            Self::Certificate if !issuer.is_empty() => {
                Err(Problem::new("issuer", "A certificate has no issuer here: the product names the authorities"))
            }
            Self::Certificate => Ok(name.to_owned()),
        }
    }

    /// What the directory's hash of an identity is made of.
    pub fn hashed_text(self, identity: &str) -> String {
        format!("{}\n{identity}", self.code())
    }

    /// An identity's issuer, which only a token has, and its name.
    pub fn parts(identity: &str) -> (Option<&str>, &str) {
        identity.split_once('\n').map_or((None, identity), |(issuer, name)| (Some(issuer), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(addresses: &[&str], scopes: &[&str]) -> KeyBounds {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        KeyBounds { allowed_addresses: texts(addresses), scopes: texts(scopes), expires_at: None }
    }

    #[test]
    fn bounds_are_kept_in_one_form_and_bad_ones_name_their_field() {
        let tidy = bounds(&[" 192.0.2.9/24", "192.0.2.0/24", "", "::1"], &["orders:read ", "orders:read"]).tidy();
        assert_eq!(tidy, Ok(bounds(&["192.0.2.0/24", "::1/128"], &["orders:read"])));
        for (bad, field) in [
            (bounds(&["example.com"], &[]), "allowed_addresses"),
            (bounds(&[], &["two words"]), "scopes"),
            (bounds(&[], &(0..33).map(|_| "s").collect::<Vec<_>>()), ""),
        ] {
            assert_eq!(bad.tidy().err().map_or(String::new(), |problem| problem.field), field);
        }
        let many: Vec<String> = (0..65).map(|number| format!("10.0.0.{number}")).collect();
        let many = KeyBounds { allowed_addresses: many, ..KeyBounds::default() };
        assert!(many.tidy().is_err());
    }

    #[test]
    fn an_identity_has_the_parts_of_its_kind_and_hashes_as_the_gateway_does() {
        let token = KeyKind::Token.identity("https://id.example/", "acme").expect("an identity");
        assert_eq!(KeyKind::Token.hashed_text(&token), "token\nhttps://id.example/\nacme");
        assert_eq!(KeyKind::parts(&token), (Some("https://id.example/"), "acme"));
        assert_eq!(KeyKind::parts("spiffe://acme/a"), (None, "spiffe://acme/a"));
        for (kind, issuer, name) in [
            (KeyKind::Key, "", "name"),
            (KeyKind::Token, "", "name"),
            (KeyKind::Token, "issuer\nx", "name"),
            (KeyKind::Token, "issuer", "na\nme"),
            (KeyKind::Certificate, "issuer", "name"),
            (KeyKind::Certificate, "", ""),
        ] {
            assert!(kind.identity(issuer, name).is_err(), "{kind:?} {issuer:?} {name:?}");
        }
    }
}
