//! Pages of Stripe's own: its customer portal, and Checkout in the mode that charges nothing.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/billing_portal/sessions`
#[derive(Debug, Clone, Deserialize)]
pub struct PortalSession {
    /// Where the person goes; it lets in whoever has it, for some minutes.
    pub url: String,
}

/// `/v1/checkout/sessions`
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    /// As long as it is open.
    pub url: Option<String>,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// `/v1/customers/{id}/payment_methods`
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentMethod {
    pub id: String,
}

impl Listed for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// Lets a customer into Stripe's portal. There is no key: two sessions are as good as one.
    pub async fn create_portal_session(&self, customer: &str, return_url: &str) -> Result<PortalSession, StripeError> {
        let parameters = [("customer", customer), ("return_url", return_url)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.post("/v1/billing_portal/sessions", &parameters, None).await
    }

    /// Opens a page of Checkout.
    pub async fn create_checkout(
        &self,
        parameters: &Parameters,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, StripeError> {
        self.post("/v1/checkout/sessions", parameters, Some(idempotency_key)).await
    }

    pub async fn checkout_session(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        self.get(&format!("/v1/checkout/sessions/{id}"), &[]).await
    }

    /// What a customer can be charged by, newest first.
    pub async fn payment_methods_of(&self, customer: &str) -> Result<Vec<PaymentMethod>, StripeError> {
        self.list(&format!("/v1/customers/{customer}/payment_methods"), &[]).await
    }
}
