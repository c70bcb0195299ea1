//! Asking Stripe for an object at most once, whatever happens to the answer.
//!
//! 1. The attempt and its parameters are committed before Stripe is asked.
//! 2. While Stripe is sure to remember the idempotency key, a repeat is the same request under the same key.
//! 3. Once Stripe may have forgotten the key, or remembers only a failure for it, Stripe is looked through first. What is
//!    found is ours; only when nothing is found is there another attempt, under another key.

use super::{Push, look::Look};
use crate::BillingError;
use domain::id::PartnerId;
use jiff::SignedDuration;
use store::Parameters;

/// Stripe remembers keys for at least 24 hours; an hour is left for clocks that differ.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(23);

/// What is to exist at Stripe.
pub(super) struct Wanted<'a> {
    pub partner: PartnerId,
    /// What it stands for, as `item:<invoice>:<position>`.
    pub subject: String,
    /// As `/v1/invoiceitems`.
    pub path: &'a str,
    pub parameters: Parameters,
    /// How to find it by what it carries.
    pub look: Look<'a>,
}

impl Push<'_> {
    /// The id of the object at Stripe, created if need be.
    pub(super) async fn once(&self, wanted: Wanted<'_>) -> Result<String, BillingError> {
        let Wanted { partner, subject, path, parameters, look } = wanted;
        let begin = |attempt| self.store.begin_stripe_object(partner, &subject, attempt, &parameters, self.now);
        let held = match self.store.stripe_object(partner, &subject).await? {
            None => begin(1).await?,
            Some(held) if held.stripe_id.is_some() => held,
            Some(held) if self.now.duration_since(held.attempted_at).abs() < REMEMBERED => held,
            Some(held) => match look.at(self.stripe).await? {
                Some(found) => return self.found(partner, &subject, found).await,
                None => begin(held.attempt + 1).await?,
            },
        };
        if let Some(id) = held.stripe_id {
            return Ok(id);
        }
        let error = match self.stripe.create(path, &held.parameters, &key(partner, &subject, held.attempt)).await {
            Ok(id) => return self.found(partner, &subject, id).await,
            Err(error) => error,
        };
        if error.is_duplicate_event() {
            let identifier = held.parameters.iter().find(|(name, _)| name == "identifier");
            return self.found(partner, &subject, identifier.map(|(_, value)| value.clone()).unwrap_or_default()).await;
        }
        if error.is_remembered_failure() || error.is_other_request() {
            // The same key will only ever give this answer; what it hides is to be seen.
            if let Some(found) = look.at(self.stripe).await? {
                return self.found(partner, &subject, found).await;
            }
            begin(held.attempt + 1).await?;
        } else if error.is_refusal() && held.parameters != parameters {
            // Nothing was done, and what we would send today differs: the next run sends that.
            begin(held.attempt + 1).await?;
        }
        Err(error.into())
    }

    async fn found(&self, partner: PartnerId, subject: &str, id: String) -> Result<String, BillingError> {
        self.store.finish_stripe_object(partner, subject, &id, self.now).await?;
        Ok(id)
    }
}

fn key(partner: PartnerId, subject: &str, attempt: i32) -> String {
    format!("turnpike:{partner}:{subject}:{attempt}")
}
