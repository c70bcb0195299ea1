//! Which credentials a request carries in its headers.

use crate::respond::Refusal;
use domain::refusal::Code;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// At most one text of each kind; nothing is known of them yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presented<'a> {
    pub key: Option<&'a str>,
    pub token: Option<&'a str>,
}

impl<'a> Presented<'a> {
    /// Reads both headers; each that carries a key has to carry the same one, and so with tokens. A bearer text is a token
    /// only where some product has an issuer, and it has dots and is none of ours.
    pub(super) fn read(headers: &'a HeaderMap, tokens: bool) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for value in headers.get_all(AUTHORIZATION) {
            let text = value.to_str().map_err(|_| Refusal::of(Code::MalformedKey))?;
            let (scheme, text) = text.trim().split_once(' ').unwrap_or((text, ""));
            let text = if scheme.eq_ignore_ascii_case("bearer") { text.trim() } else { "" };
            if tokens && text.contains('.') && !text.starts_with("tp_") {
                put(&mut found.token, text)?;
            } else {
                put(&mut found.key, text)?;
            }
        }
        for value in headers.get_all(X_API_KEY) {
            let text = HeaderValue::to_str(value).map_err(|_| Refusal::of(Code::MalformedKey))?;
            put(&mut found.key, text.trim())?;
        }
        if found.key == Some("") {
            return Err(Refusal::new(Code::MissingKey, "The Authorization header carries no Bearer key."));
        }
        Ok(found)
    }
}

fn put<'a>(place: &mut Option<&'a str>, text: &'a str) -> Result<(), Refusal> {
    match *place {
        Some(earlier) if earlier != text => Err(Refusal::of(Code::ConflictingCredentials)),
        _ => {
            *place = Some(text);
            Ok(())
        }
    }
}
