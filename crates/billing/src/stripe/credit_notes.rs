//! Credit notes at Stripe, and invoices that are taken back whole.

use super::{StripeError, invoices::StripeInvoice, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/credit_notes`
#[derive(Debug, Clone, Deserialize)]
pub struct StripeCreditNote {
    pub id: String,
    pub invoice: String,
    /// In the smallest coin, with tax.
    pub amount: i64,
    /// The same without tax; none from those who do not say.
    #[serde(default)]
    pub total_excluding_tax: Option<i64>,
    /// Of that, what made less owed; in the smallest coin.
    #[serde(default)]
    pub pre_payment_amount: i64,
    /// `issued` or `void`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub memo: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    /// What it is paid back by.
    #[serde(default)]
    pub refunds: Vec<RefundOfNote>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// A line of a credit note.
#[derive(Debug, Clone, Deserialize)]
pub struct CreditedLine {
    pub id: String,
    /// In the smallest coin, without tax.
    pub amount: i64,
    /// The line of the invoice that it takes off.
    #[serde(default)]
    pub invoice_line_item: Option<String>,
}

impl Listed for CreditedLine {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What a credit note would come to.
#[derive(Debug, Clone, Deserialize)]
pub struct CreditPreview {
    /// In the smallest coin, with tax.
    pub total: i64,
    /// The same without tax.
    pub total_excluding_tax: Option<i64>,
}

/// A refund that a credit note is made of, or a part of one.
#[derive(Debug, Clone, Deserialize)]
pub struct RefundOfNote {
    /// Its name.
    #[serde(default)]
    pub refund: String,
    /// In the smallest coin.
    #[serde(default)]
    pub amount_refunded: i64,
}

impl StripeCreditNote {
    /// Whether it counts no more. Stripe lets one be made void as long as its invoice is open.
    pub fn is_void(&self) -> bool {
        self.status.as_deref() == Some("void")
    }
}

impl Listed for StripeCreditNote {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// The credit notes of one invoice.
    pub async fn credit_notes_of(&self, invoice: &str) -> Result<Vec<StripeCreditNote>, StripeError> {
        self.list("/v1/credit_notes", &[("invoice", invoice)]).await
    }

    /// What one takes off, line by line.
    pub async fn lines_of_credit_note(&self, id: &str) -> Result<Vec<CreditedLine>, StripeError> {
        self.list(&format!("/v1/credit_notes/{id}/lines"), &[]).await
    }

    /// What a credit note with these parameters would come to.
    pub async fn preview_credit_note(&self, parameters: &Parameters) -> Result<CreditPreview, StripeError> {
        let query: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.get("/v1/credit_notes/preview", &query).await
    }

    /// Those that were made since then, in seconds since 1970.
    pub async fn credit_notes_since(&self, since: i64) -> Result<Vec<StripeCreditNote>, StripeError> {
        self.list("/v1/credit_notes", &[("created[gte]", &since.to_string())]).await
    }

    /// Makes a final invoice void. Stripe refuses to do it twice, so there is no key.
    pub async fn void_invoice(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        self.post(&format!("/v1/invoices/{id}/void"), &Vec::new(), None).await
    }

    /// Takes a draft away, which cannot be made void.
    pub async fn delete_draft(&self, id: &str) -> Result<(), StripeError> {
        let _: serde_json::Value = self.delete(&format!("/v1/invoices/{id}")).await?;
        Ok(())
    }
}
