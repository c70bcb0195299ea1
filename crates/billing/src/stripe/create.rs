//! Creating an object under a deterministic key: customers, invoices, invoice items, meter events.

use super::{StripeError, transport::Stripe};
use serde::Deserialize;
use store::Parameters;

/// What every created object is told apart by: an `id`, or a meter event's `identifier`.
#[derive(Deserialize)]
struct Created {
    id: Option<String>,
    identifier: Option<String>,
}

impl Stripe {
    /// Creates an object and returns its id; a meter event has only its identifier.
    pub async fn create(
        &self,
        path: &str,
        parameters: &Parameters,
        idempotency_key: &str,
    ) -> Result<String, StripeError> {
        let created: Created = self.post(path, parameters, Some(idempotency_key)).await?;
        created.id.or(created.identifier).ok_or_else(|| StripeError::Unreadable("the object has no id".to_owned()))
    }
}
