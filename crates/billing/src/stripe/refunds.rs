//! Refunds: money that goes back to where it came from.

use super::{StripeError, transport::Stripe};
use serde::Deserialize;
use store::Parameters;

/// `/v1/refunds`
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    pub id: String,
}

impl Stripe {
    /// Pays back. Of one payment never more goes back than was paid: Stripe refuses that, which holds when it has forgotten the key.
    pub async fn refund(&self, parameters: &Parameters, idempotency_key: &str) -> Result<Refund, StripeError> {
        self.post("/v1/refunds", parameters, Some(idempotency_key)).await
    }
}
