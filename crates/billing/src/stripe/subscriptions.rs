//! Subscriptions at Stripe: a customer's items with metered prices, billed at the end of each period.

use super::{StripeError, StripeInvoice, list::Listed, prices::Price, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;

/// `/v1/subscriptions`
#[derive(Debug, Clone, Deserialize)]
pub struct StripeSubscription {
    pub id: String,
    /// As `active` or `canceled`.
    #[serde(default)]
    pub status: String,
    /// When its first period began, in seconds since 1970.
    #[serde(default)]
    pub start_date: i64,
    /// `send_invoice` or `charge_automatically`.
    #[serde(default)]
    pub collection_method: String,
    #[serde(default)]
    pub cancel_at_period_end: bool,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    pub items: Items,
}

/// Its items, of which Stripe allows twenty.
#[derive(Debug, Clone, Deserialize)]
pub struct Items {
    pub data: Vec<SubscriptionItem>,
}

/// What is billed by one price.
#[derive(Debug, Clone, Deserialize)]
pub struct SubscriptionItem {
    pub price: Price,
    /// Seconds since 1970.
    #[serde(default)]
    pub current_period_end: i64,
}

impl Listed for StripeSubscription {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeSubscription {
    /// Whether any of its prices rates what this meter counts.
    pub fn rates(&self, meter: &str) -> bool {
        let meters = self.items.data.iter().filter_map(|item| item.price.recurring.as_ref()?.meter.as_deref());
        meters.into_iter().any(|own| own == meter)
    }

    /// When the period that runs ends, in seconds since 1970.
    pub fn period_end(&self) -> Option<i64> {
        self.items.data.iter().map(|item| item.current_period_end).max()
    }
}

impl Stripe {
    /// All of a customer's that are not cancelled.
    pub async fn subscriptions_of(&self, customer: &str) -> Result<Vec<StripeSubscription>, StripeError> {
        self.list("/v1/subscriptions", &[("customer", customer)]).await
    }

    /// One by its id, cancelled or not.
    pub async fn subscription(&self, id: &str) -> Result<StripeSubscription, StripeError> {
        self.get(&format!("/v1/subscriptions/{id}"), &[]).await
    }

    /// Ends one at once and without an invoice. One that is gone was ended by a request whose answer was lost.
    pub async fn cancel_subscription(&self, id: &str) -> Result<(), StripeError> {
        let answer: Result<serde_json::Value, _> = self.delete(&format!("/v1/subscriptions/{id}")).await;
        match answer {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }

    /// What a subscription has billed, in one status.
    pub async fn invoices_of_subscription(&self, id: &str, status: &str) -> Result<Vec<StripeInvoice>, StripeError> {
        self.list("/v1/invoices", &[("subscription", id), ("status", status)]).await
    }

    /// Has Stripe collect an open invoice by itself again, as it does no more once its subscription was cancelled.
    pub async fn collect_again(&self, invoice: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("auto_advance".to_owned(), "true".to_owned())];
        self.post(&format!("/v1/invoices/{invoice}"), &parameters, None).await
    }
}
