//! Credit notes at Stripe, and invoices that are taken back whole.

use super::{StripeError, invoices::StripeInvoice, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;

/// `/v1/credit_notes`
#[derive(Debug, Clone, Deserialize)]
pub struct StripeCreditNote {
    pub id: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
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
