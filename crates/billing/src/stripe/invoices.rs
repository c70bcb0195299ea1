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
    /// Seconds since 1970; none where Stripe charges by itself.
    #[serde(default)]
    pub due_date: Option<i64>,
    /// Where it is paid, once it is final.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// Payments that were tried.
    #[serde(default)]
    pub attempt_count: u32,
    /// Seconds since 1970.
    #[serde(default)]
    pub next_payment_attempt: Option<i64>,
    /// What credit notes took off before it was paid, in the smallest coin.
    #[serde(default)]
    pub pre_payment_credit_notes_amount: i64,
    /// What credit notes took off afterwards, in the smallest coin.
    #[serde(default)]
    pub post_payment_credit_notes_amount: i64,
    #[serde(default)]
    pub status_transitions: StatusTransitions,
}

/// When an invoice became what it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StatusTransitions {
    /// Seconds since 1970.
    #[serde(default)]
    pub finalized_at: Option<i64>,
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

    /// Says that a final invoice was paid outside of Stripe. Stripe refuses to do it twice, so there is no key.
    pub async fn pay_outside(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("paid_out_of_band".to_owned(), "true".to_owned())];
        self.post(&format!("/v1/invoices/{id}/pay"), &parameters, None).await
    }

    /// Makes a draft final, after which Stripe collects it. There is no idempotency key: Stripe refuses to do it twice, and
    /// under a key it would give a remembered failure again.
    pub async fn finalize_invoice(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("auto_advance".to_owned(), "true".to_owned())];
        self.post(&format!("/v1/invoices/{id}/finalize"), &parameters, None).await
    }
}
