//! Signed webhooks, in order or out of it, once or several times, at once, late or when a test says so, and among forged ones.

use crate::{faults::Faults, serve::Shared};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
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
    /// In an order that the seed gives.
    pub shuffled: bool,
    pub seed: u64,
    /// How often each is posted; Stripe promises at least once.
    pub copies: u32,
    /// Posted only once it is this old by the account's clock, in seconds.
    pub late_seconds: i64,
    /// Beside each event come forged ones: signed with another secret, altered after it was signed, and not signed at all.
    pub forged: bool,
    /// Beside each event comes one whose genuine signature is older than 300 seconds.
    pub replayed: bool,
}

/// What was posted, and how much of it was answered with success.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Posted {
    /// Events of which all copies were accepted.
    pub events: u64,
    pub genuine: u64,
    pub genuine_accepted: u64,
    pub forged: u64,
    pub forged_accepted: u64,
    pub replayed: u64,
    pub replayed_accepted: u64,
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

type Http = Client<HttpConnector, Full<Bytes>>;

/// Posts everything that is queued and due now, and says how many posts of genuine events were answered with success.
pub async fn deliver(shared: &Arc<Shared>) -> usize {
    let settings = shared.webhooks();
    let Some(url) = settings.url.clone() else { return 0 };
    let mut due = take_due(shared, &settings).into_iter();
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let mut posted = 0;
    'deliveries: while let Some(mut delivery) = due.next() {
        if post_hostile(shared, &client, &url, &settings, &delivery.event).await.is_err() {
            put_back(shared, delivery, due);
            return posted;
        }
        let body = Bytes::from(delivery.event.to_string());
        for _ in 0..settings.copies.max(1) {
            let header = signature(&settings.secret, shared.account().now(), &body);
            let accepted = post(&client, &url, &header, body.clone()).await.is_ok_and(|accepted| accepted);
            shared.count_post(|posted| {
                posted.genuine += 1;
                posted.genuine_accepted += u64::from(accepted);
            });
            if accepted {
                posted += 1;
                continue;
            }
            delivery.attempts += 1;
            if delivery.attempts < 1_000 {
                put_back(shared, delivery, due);
                tokio::time::sleep(Duration::from_millis(200)).await;
                return posted;
            }
            continue 'deliveries;
        }
        shared.count_post(|posted| posted.events += 1);
    }
    posted
}

/// What is old enough, in the order in which it is posted.
fn take_due(shared: &Arc<Shared>, settings: &Settings) -> Vec<Delivery> {
    let mut account = shared.account();
    let until = account.now() - settings.late_seconds;
    // A thin event says when it was made in another way; none is posted late.
    let is_due = |delivery: &Delivery| delivery.event["created"].as_i64().is_none_or(|created| created <= until);
    let queued = std::mem::take(&mut account.deliveries);
    let (mut due, later): (Vec<_>, Vec<_>) = queued.into_iter().partition(is_due);
    account.deliveries = later;
    if settings.reversed {
        due.reverse();
    }
    if settings.shuffled {
        let mut numbers = Faults { seed: settings.seed, ..Faults::default() };
        let mut keyed: Vec<_> = due.into_iter().map(|one| (numbers.below_hundred(), one)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        due = keyed.into_iter().map(|(_, one)| one).collect();
    }
    due
}

/// The receiver is not there: everything waits for the next time.
fn put_back(shared: &Arc<Shared>, first: Delivery, others: impl Iterator<Item = Delivery>) {
    let mut account = shared.account();
    let newer = std::mem::take(&mut account.deliveries);
    account.deliveries = std::iter::once(first).chain(others).chain(newer).collect();
}

/// What nobody may believe, about the same event. An error where the receiver is not there.
async fn post_hostile(
    shared: &Arc<Shared>,
    client: &Http,
    url: &str,
    settings: &Settings,
    event: &Value,
) -> Result<(), ()> {
    let now = shared.account().now();
    let genuine = event.to_string().into_bytes();
    if settings.forged {
        let mut made_up = event.clone();
        made_up["id"] = Value::from(format!("{}_forged", event["id"].as_str().unwrap_or_default()));
        let made_up = Bytes::from(made_up.to_string());
        let of_others = signature("whsec_of_somebody_else", now, &made_up);
        for header in [of_others, signature(&settings.secret, now, &genuine), String::new()] {
            let accepted = post(client, url, &header, made_up.clone()).await?;
            shared.count_post(|posted| {
                posted.forged += 1;
                posted.forged_accepted += u64::from(accepted);
            });
        }
    }
    if settings.replayed {
        let accepted = post(client, url, &signature(&settings.secret, now - 400, &genuine), genuine.into()).await?;
        shared.count_post(|posted| {
            posted.replayed += 1;
            posted.replayed_accepted += u64::from(accepted);
        });
    }
    Ok(())
}

/// Whether a post was answered with success; an error where it was not answered.
async fn post(client: &Http, url: &str, header: &str, body: Bytes) -> Result<bool, ()> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("Stripe-Signature", header)
        .body(Full::new(body))
        .map_err(|_| ())?;
    let answer = tokio::time::timeout(Duration::from_secs(10), client.request(request)).await;
    let answer = answer.map_err(|_| ())?.map_err(|_| ())?;
    let accepted = answer.status().is_success();
    let _ = answer.into_body().collect().await;
    Ok(accepted)
}
