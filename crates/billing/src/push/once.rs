//! Asking Stripe for an object at most once, whatever happens to the answer.
//!
//! 1. The attempt and its parameters are committed before Stripe is asked.
//! 2. While Stripe is sure to remember the idempotency key, a repeat is the same request under the same key.
//! 3. Once Stripe may have forgotten the key, or remembers only a failure for it, Stripe is looked through first. What is
//!    found is ours; only when nothing is found is there another attempt, under another key. A meter event is looked for as soon as
//!    its summary can tell: Stripe forgets its identifier a day after it came, which may be long before the last attempt's key.

use super::{Push, late::SUMMED_UP, look::Look, meter_events::invoice_of_event, rated::is_rated};
use crate::BillingError;
use domain::id::PartnerId;
use jiff::SignedDuration;
use store::Parameters;

/// Stripe remembers keys for at least 24 hours; an hour is left for clocks that differ.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(23);
/// Keys that one run goes through for one object.
const TRIES: u32 = 3;

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
        let begin =
            async |attempt| self.store.begin_stripe_object(partner, &subject, attempt, &parameters, self.now()).await;
        let is_event = matches!(look, Look::Event { .. });
        let remembered = if is_event { SUMMED_UP } else { REMEMBERED };
        let mut held = match self.store.stripe_object(partner, &subject).await? {
            None => begin(1).await?,
            Some(held) if held.stripe_id.is_some() => held,
            Some(held) if self.now().duration_since(held.attempted_at).abs() < remembered => held,
            Some(held) => match look.at(self.stripe).await? {
                Some(found) => return self.found(partner, &subject, found).await,
                None => begin(held.attempt + 1).await?,
            },
        };
        // Another server, of other settings, has Stripe rate the invoice that this one would make.
        if is_rated(&held.parameters) {
            return Err(BillingError::TooSoon("what another server makes of an invoice"));
        }
        let mut left = TRIES;
        loop {
            if let Some(id) = held.stripe_id {
                return Ok(id);
            }
            if is_event {
                self.store.send_stripe_object(partner, &subject, self.now()).await?;
                // Who makes an invoice of its units notes that first and looks then at what was sent: one of both sees the other.
                if let Some(invoice) = invoice_of_event(&subject)
                    && self.is_made_by_us(partner, invoice).await?
                {
                    return Err(BillingError::TooSoon("what another server makes of an invoice"));
                }
            }
            let error = match self.stripe.create(path, &held.parameters, &key(partner, &subject, held.attempt)).await {
                Ok(id) => return self.found(partner, &subject, id).await,
                Err(error) => error,
            };
            if error.is_duplicate_event() {
                let identifier = held.parameters.iter().find(|(name, _)| name == "identifier");
                let identifier = identifier.map(|(_, value)| value.clone()).unwrap_or_default();
                return self.found(partner, &subject, identifier).await;
            }
            let attempt = held.attempt + 1;
            if error.is_remembered_failure() || error.is_other_request() {
                // The same key will only ever give this answer; what it hides is to be seen.
                if let Some(found) = look.at(self.stripe).await? {
                    return self.found(partner, &subject, found).await;
                }
                held = begin(attempt).await?;
                left -= 1;
                if left > 0 {
                    continue;
                }
            } else if error.is_refusal() && held.parameters != parameters {
                // Nothing was done, and what we would send today differs.
                held = begin(attempt).await?;
                left -= 1;
                if left > 0 {
                    continue;
                }
            }
            return Err(error.into());
        }
    }

    async fn found(&self, partner: PartnerId, subject: &str, id: String) -> Result<String, BillingError> {
        self.store.finish_stripe_object(partner, subject, &id, self.now()).await?;
        Ok(id)
    }
}

fn key(partner: PartnerId, subject: &str, attempt: i32) -> String {
    format!("turnpike:{partner}:{subject}:{attempt}")
}
