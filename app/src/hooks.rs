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

/// Whether the installation lets messages go there, as far as the address's text says: plain http, and the ports of mail servers, name
/// servers and the like, which are not to be talked to in our name, are for private networks.
///
/// # Errors
/// Why not, for people.
pub fn check_reach(url: &Uri, may_be_private: bool) -> Result<(), String> {
    let is_secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    if may_be_private {
        return Ok(());
    }
    if !is_secure {
        return Err("an address with http:// is for private networks, which are not allowed here".to_owned());
    }
    if port != 443 && port < 1024 {
        return Err(format!("messages go to port 443 and to ports from 1024 on, as 8443, and not to port {port}"));
    }
    Ok(())
}

/// The address as somebody enters it, if messages may ever go there.
///
/// # Errors
/// What is wrong with it, for people.
pub fn enter_url(text: &str, may_be_private: bool) -> Result<(), String> {
    let url = read_url(text)?;
    check_reach(&url, may_be_private).map_err(|why| {
        let mut letters = why.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    })
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
    fn what_would_never_be_sent_to_is_not_entered() {
        for (url, public) in [
            ("https://a.example/x", true),
            ("https://a.example:8443", true),
            ("https://a.example:25", false),
            ("https://a.example:22/x", false),
            ("http://a.example", false),
            ("http://a.example:8080", false),
        ] {
            assert_eq!(enter_url(url, false).is_ok(), public, "{url}");
            assert!(enter_url(url, true).is_ok(), "{url}");
        }
        assert!(enter_url("https://a.example:25", false).is_err_and(|why| why.starts_with("Messages go to port 443")));
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
