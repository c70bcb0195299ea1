//! What a token says of itself, and whether an issuer's rules take it.

use super::{LEEWAY, object::Object};
use crate::snapshot::credentials::Issuer;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use std::collections::HashMap;

/// Claims that were read from a token. Times are seconds since 1970.
pub(super) struct Claims {
    pub issuer: String,
    pub expires: i64,
    pub not_before: Option<i64>,
    /// The certificate that the token is bound to.
    pub certificate: Option<[u8; 32]>,
    issued: Option<i64>,
    audiences: Vec<String>,
    id_token: bool,
    texts: HashMap<String, String>,
}

impl Claims {
    pub(super) fn read(object: &Object) -> Result<Self, &'static str> {
        let issuer = object.text("iss")?.ok_or("It has no iss claim.")?.to_owned();
        let audiences = match object.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let texts: Option<Vec<String>> = several.iter().map(|one| one.as_str().map(str::to_owned)).collect();
                texts.ok_or("Its aud claim is not text.")?
            }
            Some(_) => return Err("Its aud claim is not text."),
            None => Vec::new(),
        };
        Ok(Self {
            issuer,
            expires: time(object, "exp")?.ok_or("It has no exp claim.")?,
            not_before: time(object, "nbf")?,
            issued: time(object, "iat")?,
            certificate: bound(object)?,
            audiences,
            id_token: is_id_token(object),
            texts: object.texts(),
        })
    }

    /// The name of who calls, if the issuer's rules take the token.
    pub(super) fn accepted_by(&self, issuer: &Issuer, access_token: bool, now: i64) -> Result<&str, &'static str> {
        if self.issuer != issuer.issuer {
            return Err("No product trusts its issuer.");
        }
        if !self.audiences.iter().any(|audience| issuer.audiences.contains(audience)) {
            return Err("It is not meant for this API: no audience in its aud claim is one of the product's.");
        }
        if self.id_token {
            return Err("It is an ID token, which tells a client who signed in; calls take access tokens.");
        }
        if issuer.only_access_tokens && !access_token {
            return Err("Its typ is not at+jwt, and the product takes only access tokens that say so.");
        }
        if self.issued.is_some_and(|issued| issued.saturating_sub(LEEWAY) > now) {
            return Err("It was issued in the future.");
        }
        let name = self.texts.get(&issuer.claim).map(String::as_str).unwrap_or_default();
        if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
            return Err("The claim that names the caller is missing, or is not a text of 1 to 256 characters.");
        }
        Ok(name)
    }
}

/// A NumericDate; the fraction of a second that one may have is cut off.
fn time(object: &Object, name: &str) -> Result<Option<i64>, &'static str> {
    const BAD: &str = "A time in it is not a number of seconds.";
    let Some(value) = object.get(name) else { return Ok(None) };
    let Value::Number(number) = value else { return Err(BAD) };
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BAD);
    }
    whole.parse().map(Some).map_err(|_| BAD)
}

/// RFC 7800: a token that is bound to a key counts only with the proof of it. Certificates are proven by TLS (RFC 8705).
fn bound(object: &Object) -> Result<Option<[u8; 32]>, &'static str> {
    const OTHER: &str = "It is bound to a key in a way that is not taken: only x5t#S256 is.";
    let Some(confirmation) = object.get("cnf") else { return Ok(None) };
    let confirmation = confirmation.as_object().filter(|members| members.len() == 1).ok_or(OTHER)?;
    let thumbprint = confirmation.get("x5t#S256").and_then(Value::as_str).ok_or(OTHER)?;
    let bytes = URL_SAFE_NO_PAD.decode(thumbprint).map_err(|_| OTHER)?;
    bytes.try_into().map(Some).map_err(|_| OTHER)
}

/// What only OpenID Connect's ID tokens carry, or what the makers of some issuers mark them with.
fn is_id_token(object: &Object) -> bool {
    let says = |name: &str, value: &str| {
        object.get(name).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    let only_there = ["nonce", "at_hash", "c_hash", "s_hash"];
    only_there.iter().any(|name| object.get(name).is_some()) || says("token_use", "id") || says("typ", "ID")
}
