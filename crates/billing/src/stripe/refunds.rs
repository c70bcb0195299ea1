//! Money that goes back to where it came from: refunds, disputes, and which payments paid which invoices.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/refunds`
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    pub id: String,
    /// In the smallest coin.
    pub amount: i64,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    /// Of one that failed, as `expired_or_canceled_card`.
    #[serde(default)]
    pub failure_reason: Option<String>,
    #[serde(default)]
    pub payment_intent: Option<String>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// `/v1/disputes`
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    pub id: String,
    /// In the smallest coin.
    pub amount: i64,
    /// `won`, `lost`, `warning_closed`, or that it is not decided.
    pub status: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub payment_intent: Option<String>,
}

/// `/v1/invoice_payments`
#[derive(Debug, Clone, Deserialize)]
struct InvoicePayment {
    id: String,
    invoice: String,
    payment: PaidBy,
}

#[derive(Debug, Clone, Deserialize)]
struct PaidBy {
    #[serde(default)]
    payment_intent: Option<String>,
}

impl Refund {
    /// Whether it pays nothing back after all.
    pub fn has_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for InvoicePayment {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// Pays back. Of one payment never more goes back than was paid: Stripe refuses that, which holds when it has forgotten the key.
    pub async fn refund(&self, parameters: &Parameters, idempotency_key: &str) -> Result<Refund, StripeError> {
        self.post("/v1/refunds", parameters, Some(idempotency_key)).await
    }

    /// Refunds of one payment.
    pub async fn refunds_of(&self, intent: &str) -> Result<Vec<Refund>, StripeError> {
        self.list("/v1/refunds", &[("payment_intent", intent)]).await
    }

    /// Refunds that were made since then, in seconds since 1970.
    pub async fn refunds_since(&self, since: i64) -> Result<Vec<Refund>, StripeError> {
        self.list("/v1/refunds", &[("created[gte]", &since.to_string())]).await
    }

    /// Refunds that failed, of those that were made from then until before then. Stripe lists none by what became of them.
    pub async fn failed_refunds(&self, (from, before): (i64, i64)) -> Result<Vec<Refund>, StripeError> {
        let (from, before) = (from.to_string(), before.to_string());
        let made = [("created[gte]", from.as_str()), ("created[lt]", before.as_str())];
        let (mut failed, mut after, mut more) = (Vec::new(), None::<String>, true);
        while more {
            let (page, goes_on) = self.page::<Refund>("/v1/refunds", &made, after.as_deref()).await?;
            after = page.last().map(|last| last.id.clone());
            failed.extend(page.into_iter().filter(Refund::has_failed));
            more = goes_on;
        }
        Ok(failed)
    }

    /// Disputes about one payment.
    pub async fn disputes_of(&self, intent: &str) -> Result<Vec<Dispute>, StripeError> {
        self.list("/v1/disputes", &[("payment_intent", intent)]).await
    }

    /// Disputes that began since then, in seconds since 1970.
    pub async fn disputes_since(&self, since: i64) -> Result<Vec<Dispute>, StripeError> {
        self.list("/v1/disputes", &[("created[gte]", &since.to_string())]).await
    }

    /// The payments that paid an invoice; none where it was paid outside of Stripe.
    pub async fn payments_of_invoice(&self, invoice: &str) -> Result<Vec<String>, StripeError> {
        let payments: Vec<InvoicePayment> =
            self.list("/v1/invoice_payments", &[("invoice", invoice), ("status", "paid")]).await?;
        Ok(payments.into_iter().filter_map(|paid| paid.payment.payment_intent).collect())
    }

    /// The invoices that a payment paid.
    pub async fn invoices_paid_by(&self, intent: &str) -> Result<Vec<String>, StripeError> {
        let of = [("payment[type]", "payment_intent"), ("payment[payment_intent]", intent)];
        let payments: Vec<InvoicePayment> = self.list("/v1/invoice_payments", &of).await?;
        Ok(payments.into_iter().map(|paid| paid.invoice).collect())
    }
}
