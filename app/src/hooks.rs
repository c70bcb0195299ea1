//! The secrets and addresses of hooks, as Standard Webhooks (standardwebhooks.com) has them: `whsec_` and the key in base64.

use crate::secrets::{Secrets, fill_random};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::id::HookId;
use http::Uri;
use uuid::Uuid;

const PREFIX: &str = "whsec_";

/// A new hook's identifier.
pub fn new_id() -> HookId {
    HookId(Uuid::now_v7())
}

/// A new secret: its text, to be shown once, and the key sealed for that hook.
pub fn new_secret(secrets: &Secrets, hook: HookId) -> (String, Vec<u8>) {
    let mut key = [0_u8; 32];
    fill_random(&mut key);
    (format!("{PREFIX}{}", STANDARD.encode(key)), secrets.seal(&context(hook), &key))
}

/// The key of a secret that was sealed for that hook.
pub fn key(secrets: &Secrets, hook: HookId, sealed: &[u8]) -> Option<Vec<u8>> {
    secrets.unseal(&context(hook), sealed)
}

fn context(hook: HookId) -> String {
    format!("hook:{hook}")
}

/// The address, if events may be sent there as far as its text says; where its name leads is looked at when something is sent.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read_url(text: &str) -> Result<Uri, &'static str> {
    const FORM: &str = "Write the whole address, as https://receiver.example/turnpike";
    let text = text.trim();
    if text.contains('#') {
        return Err("An address without a # part");
    }
    let uri: Uri = text.parse().map_err(|_| FORM)?;
    let authority = uri.authority().ok_or(FORM)?.as_str();
    if authority.contains('@') {
        return Err("An address without a name or password in it: the receiver checks the signature");
    }
    match uri.scheme_str() {
        Some("https" | "http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(FORM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_whole_and_holds_no_credentials() {
        for good in ["https://receiver.example/a?b=c", "http://10.0.0.1:8080", " https://[::1]:4/x "] {
            assert!(read_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "receiver.example",
            "/path",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a.example/#x",
            "https://",
            "https://a b",
        ] {
            assert!(read_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_opens_for_its_own_hook_only() {
        let secrets = Secrets::from_master([1; 32]);
        let (hook, other) = (HookId(Uuid::from_u128(1)), HookId(Uuid::from_u128(2)));
        let (text, sealed) = new_secret(&secrets, hook);
        let opened = key(&secrets, hook, &sealed).expect("its own");
        assert_eq!(text, format!("whsec_{}", STANDARD.encode(&opened)));
        assert_eq!((opened.len(), key(&secrets, other, &sealed)), (32, None));
    }
}
