//! Invoice items: the lines of our invoice.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;

/// `/v1/invoiceitems`
#[derive(Debug, Clone, Deserialize)]
pub struct InvoiceItem {
    pub id: String,
    /// In the smallest coin.
    pub amount: i64,
    /// The invoice that it is on; none while it waits for one.
    #[serde(default)]
    pub invoice: Option<String>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

impl Listed for InvoiceItem {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    pub async fn invoice_item(&self, id: &str) -> Result<InvoiceItem, StripeError> {
        self.get(&format!("/v1/invoiceitems/{id}"), &[]).await
    }

    /// The items of one invoice.
    pub async fn items_of_invoice(&self, invoice: &str) -> Result<Vec<InvoiceItem>, StripeError> {
        self.list("/v1/invoiceitems", &[("invoice", invoice)]).await
    }

    /// All items of a customer, on invoices or waiting for one.
    pub async fn items_of_customer(&self, customer: &str) -> Result<Vec<InvoiceItem>, StripeError> {
        self.list("/v1/invoiceitems", &[("customer", customer)]).await
    }

    /// Takes an item off a draft. One that is gone was taken off by a request whose answer was lost.
    pub async fn delete_item(&self, id: &str) -> Result<(), StripeError> {
        let answer: Result<serde_json::Value, _> = self.delete(&format!("/v1/invoiceitems/{id}")).await;
        match answer {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }
}
