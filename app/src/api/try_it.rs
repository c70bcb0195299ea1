//! The call that is tried from a reference page. The portal sends it, so no cross-origin set-up is needed and no key's text
//! is known to the browser.

use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

/// What to call, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedCall {
    /// Product code.
    pub product: String,
    /// Operation code.
    pub operation: String,
    /// Key id.
    pub key: String,
    /// Place (`path`, `query`, `header`), name and value.
    pub parameters: Vec<(String, String, String)>,
    pub content_type: String,
    pub body: Option<String>,
}

/// What came back, or why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct TryAnswer {
    /// Why nothing was sent, as a sentence.
    pub problem: Option<String>,
    pub status: u16,
    pub reason: String,
    pub milliseconds: u64,
    /// Units that the call used.
    pub units: u64,
    /// Whether the units are billed.
    pub charged: bool,
    pub headers: Vec<(String, String)>,
    /// What is left of each limit, as sentences.
    pub limits: Vec<String>,
    /// Escaped HTML with colours; pretty where it is JSON.
    pub body: String,
    /// Whether the body was longer than what is shown.
    pub cut: bool,
}

/// Sends the call through the gateway.
#[server(prefix = "/do", endpoint = "try", input = Json)]
pub async fn try_call(call: TriedCall) -> Result<TryAnswer, ServerFnError> {
    let outcome = match crate::viewer::member() {
        Ok(cx) => crate::try_it::send(&cx, call).await,
        Err(_) => Err("Sign in first.".to_owned()),
    };
    Ok(outcome.unwrap_or_else(|problem| TryAnswer { problem: Some(problem), ..TryAnswer::default() }))
}
