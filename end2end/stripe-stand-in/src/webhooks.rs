//! Signed webhooks, in order or out of it, once or several times, at once or when a test says so.

use crate::serve::Shared;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use std::{sync::Arc, time::Duration};

/// An event on its way to the webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event: Value,
    pub attempts: u32,
}

/// Where and how events are posted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub url: Option<String>,
    pub secret: String,
    /// Nothing is posted until `/_control/webhooks/deliver`.
    pub hold: bool,
    /// Newest first.
    pub reversed: bool,
    /// How often each is posted; Stripe promises at least once.
    pub copies: u32,
}

/// The `Stripe-Signature` header of a body.
pub fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(format!("{timestamp}.").as_bytes());
        mac.update(body);
        mac.finalize().into_bytes()
    });
    let hex: String = mac.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()).unwrap_or_default();
    format!("t={timestamp},v1={hex}")
}

/// Posts what is queued, for as long as the program runs.
pub async fn deliver_for_ever(shared: Arc<Shared>) {
    loop {
        if !shared.webhooks().hold {
            deliver(&shared).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Posts everything that is queued now, and says how many posts were answered with success.
pub async fn deliver(shared: &Arc<Shared>) -> usize {
    let settings = shared.webhooks();
    let Some(url) = settings.url else { return 0 };
    let mut queued = std::mem::take(&mut shared.account().deliveries);
    if settings.reversed {
        queued.reverse();
    }
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut posted = 0;
    for mut delivery in queued {
        let body = Bytes::from(delivery.event.to_string());
        for _ in 0..settings.copies.max(1) {
            let now = shared.account().now();
            let request = Request::post(&url)
                .header(CONTENT_TYPE, "application/json")
                .header("Stripe-Signature", signature(&settings.secret, now, &body))
                .body(Full::new(body.clone()));
            let Ok(request) = request else { return posted };
            let answer = tokio::time::timeout(Duration::from_secs(10), client.request(request)).await;
            match answer {
                Ok(Ok(answer)) if answer.status().is_success() => {
                    let _ = answer.into_body().collect().await;
                    posted += 1;
                }
                _ if delivery.attempts < 50 => {
                    delivery.attempts += 1;
                    shared.account().deliveries.push(delivery.clone());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    break;
                }
                _ => break,
            }
        }
    }
    posted
}
