//! The Stripe account.

use super::{Reader, Secret};
use jiff::SignedDuration;
use std::time::Duration;

/// How to reach Stripe and believe it.
#[derive(Debug, Clone)]
pub struct Stripe {
    pub key: Secret,
    /// Without one, webhooks are refused and only the periodic look keeps us up to date. While one is rotated there are two.
    pub webhook_secrets: Vec<Secret>,
    /// Without a slash at the end.
    pub url: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long after the end of a period its usage may still be told to Stripe's meters.
    pub meters_open: SignedDuration,
    /// How often what Stripe holds is compared with ours.
    pub compare_every: SignedDuration,
}

impl Stripe {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let key = reader.secret("TURNPIKE_STRIPE_KEY");
        let webhook_secret = reader.secret("TURNPIKE_STRIPE_WEBHOOK_SECRET");
        let url = reader.url("TURNPIKE_STRIPE_URL").unwrap_or_else(|| "https://api.stripe.com".to_owned());
        if key.is_none() && webhook_secret.is_some() && reader.text("TURNPIKE_STRIPE_KEY").is_none() {
            reader.problem("TURNPIKE_STRIPE_WEBHOOK_SECRET", "does nothing without TURNPIKE_STRIPE_KEY; set both");
        }
        let webhook_secrets = webhook_secret.as_ref().map(Secret::several).unwrap_or_default();
        if webhook_secrets.iter().any(|secret| secret.expose().is_empty()) {
            reader.problem(
                "TURNPIKE_STRIPE_WEBHOOK_SECRET",
                "holds an empty secret; write one, or several with commas between them",
            );
        }
        let timeout = reader.number("TURNPIKE_STRIPE_TIMEOUT_MS", 100, 300_000).unwrap_or(30_000);
        let minutes = reader.number("TURNPIKE_STRIPE_METERS_OPEN", 1, 4_320).unwrap_or(45);
        let hours = reader.number("TURNPIKE_STRIPE_COMPARE_HOURS", 1, 168).unwrap_or(6);
        key.map(|key| Self {
            key,
            webhook_secrets,
            url,
            timeout: Duration::from_millis(timeout),
            meters_open: SignedDuration::from_mins(minutes),
            compare_every: SignedDuration::from_hours(hours),
        })
    }
}
