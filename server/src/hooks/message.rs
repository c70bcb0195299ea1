//! A message of Standard Webhooks: what is signed, and how.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::id::HookId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What is sent.
pub struct Message<'a> {
    pub id: &'a str,
    /// Of the body.
    pub content_type: &'static str,
    pub sent_at: Timestamp,
    pub body: &'a [u8],
}

impl Message<'_> {
    /// One signature for each key, with a space between: a receiver believes it if one of them is its own.
    pub fn signature(&self, keys: &[Vec<u8>]) -> String {
        let signed = keys.iter().filter_map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{}.{}.", self.id, self.sent_at.as_second()).as_bytes());
            mac.update(self.body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

/// The same for the same events, and another one as soon as one more is among them: whoever takes a message once, by its id, misses no
/// event.
pub fn content_id(hook: HookId, events: &[Value]) -> String {
    let mut hash = Sha256::new_with_prefix(hook.to_string());
    for event in events {
        for name in ["source", "id"] {
            let text = event.get(name).and_then(Value::as_str).unwrap_or_default();
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}
