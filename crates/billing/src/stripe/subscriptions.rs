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
    /// From where its periods are counted, in seconds since 1970.
    #[serde(default)]
    pub billing_cycle_anchor: i64,
    /// `send_invoice` or `charge_automatically`.
    #[serde(default)]
    pub collection_method: String,
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When it stopped, in seconds since 1970.
    #[serde(default)]
    pub ended_at: Option<i64>,
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
    /// Whether it was cancelled, or never began because nothing was paid.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    /// Whether it bills its periods: it is not over, was not paused, and does not wait for its first payment.
    pub fn bills(&self) -> bool {
        matches!(self.status.as_str(), "active" | "trialing" | "past_due" | "unpaid")
    }

    /// Whether it bills what a meter has counted at instants from `first` until before `end`, or may do so once somebody pays or resumes it. One
    /// that ended later than `first` does, by its last draft.
    pub fn may_bill(&self, first: i64, end: i64) -> bool {
        self.start_date < end && self.status != "incomplete_expired" && self.ended_at.is_none_or(|ended| ended > first)
    }

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
    /// All of a customer's, those that are over among them.
    pub async fn subscriptions_of(&self, customer: &str) -> Result<Vec<StripeSubscription>, StripeError> {
        self.list("/v1/subscriptions", &[("customer", customer), ("status", "all")]).await
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
