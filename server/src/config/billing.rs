//! The Stripe account.

use super::{Reader, Secret};

/// How to reach Stripe and believe it.
#[derive(Debug, Clone)]
pub struct Stripe {
    pub key: Secret,
    /// Without one, webhooks are refused and only the periodic look keeps us up to date.
    pub webhook_secret: Option<Secret>,
    /// Without a slash at the end.
    pub url: String,
}

impl Stripe {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let key = reader.secret("TURNPIKE_STRIPE_KEY");
        let webhook_secret = reader.secret("TURNPIKE_STRIPE_WEBHOOK_SECRET");
        let url = reader.url("TURNPIKE_STRIPE_URL").unwrap_or_else(|| "https://api.stripe.com".to_owned());
        if key.is_none() && webhook_secret.is_some() && reader.text("TURNPIKE_STRIPE_KEY").is_none() {
            reader.problem("TURNPIKE_STRIPE_WEBHOOK_SECRET", "does nothing without TURNPIKE_STRIPE_KEY; set both");
        }
        key.map(|key| Self { key, webhook_secret, url })
    }
}
