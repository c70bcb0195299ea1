//! Invoices at Stripe.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;

/// `/v1/invoices`
#[derive(Debug, Clone, Deserialize)]
pub struct StripeInvoice {
    pub id: String,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: Option<String>,
    /// In the smallest coin.
    pub total: i64,
    /// Lower case.
    pub currency: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

impl Listed for StripeInvoice {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    pub async fn invoice(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        self.get(&format!("/v1/invoices/{id}"), &[]).await
    }

    /// All invoices of a customer.
    pub async fn invoices_of(&self, customer: &str) -> Result<Vec<StripeInvoice>, StripeError> {
        self.list("/v1/invoices", &[("customer", customer)]).await
    }

    /// Makes a draft final, after which Stripe collects it. There is no idempotency key: Stripe refuses to do it twice, and
    /// under a key it would give a remembered failure again.
    pub async fn finalize_invoice(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("auto_advance".to_owned(), "true".to_owned())];
        self.post(&format!("/v1/invoices/{id}/finalize"), &parameters, None).await
    }
}
