//! Pages of Stripe's own: its customer portal, and Checkout in the modes that charge nothing and that take a payment.

use super::{StripeError, invoices::AutomaticTax, list::Listed, transport::Stripe};
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
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    /// In the smallest coin, with tax.
    pub amount_total: Option<i64>,
    #[serde(default)]
    pub total_details: Option<TotalDetails>,
    #[serde(default)]
    pub automatic_tax: AutomaticTax,
    /// Lower case.
    pub currency: Option<String>,
    /// Stripe's own of the payment, once there is one.
    pub invoice: Option<String>,
    pub payment_intent: Option<PaymentIntent>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// What the total of a page is made of.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TotalDetails {
    /// In the smallest coin.
    #[serde(default)]
    pub amount_tax: i64,
}

/// What is to be paid: its name, or all of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum PaymentIntent {
    Named(String),
    Whole {
        id: String,
        /// `processing`, `succeeded`, or what is waited for.
        status: String,
    },
}

impl PaymentIntent {
    /// Its name.
    pub fn id(&self) -> &str {
        match self {
            Self::Named(id) | Self::Whole { id, .. } => id,
        }
    }
}

impl CheckoutSession {
    /// What Stripe Tax computed, in the smallest coin; `None` where it computes none.
    pub fn tax(&self) -> Option<i64> {
        self.automatic_tax.enabled.then(|| self.amount_tax())
    }

    /// What was paid before tax, in the smallest coin.
    pub fn before_tax(&self) -> Option<i64> {
        Some(self.amount_total? - self.amount_tax())
    }

    /// An amount before tax with its part of the tax, in the smallest coin: all of the one of all of the other, and else rounded half up.
    pub fn with_tax(&self, coins: i64) -> i64 {
        let (Some(whole), Some(before)) = (self.amount_total, self.before_tax()) else { return coins };
        if before <= 0 || whole <= before {
            return coins;
        }
        let (whole, before, coins_wide) = (i128::from(whole), i128::from(before), i128::from(coins));
        i64::try_from((2 * coins_wide * whole + before) / (2 * before)).unwrap_or(coins)
    }

    fn amount_tax(&self) -> i64 {
        self.total_details.as_ref().map_or(0, |details| details.amount_tax)
    }

    /// Whether the payment of a page that was filled in did not come, and nothing more will by itself.
    pub fn has_failed(&self) -> bool {
        let over = ["requires_payment_method", "canceled"];
        matches!(&self.payment_intent, Some(PaymentIntent::Whole { status, .. }) if over.contains(&status.as_str()))
    }
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

    /// Ends a page that is open; Stripe refuses where it is not. There is no key: it is ended once.
    pub async fn expire_checkout(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        self.post(&format!("/v1/checkout/sessions/{id}/expire"), &Vec::new(), None).await
    }

    /// With what is known of its payment.
    pub async fn checkout_session(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        self.get(&format!("/v1/checkout/sessions/{id}"), &[("expand[]", "payment_intent")]).await
    }

    /// What a customer can be charged by, newest first.
    pub async fn payment_methods_of(&self, customer: &str) -> Result<Vec<PaymentMethod>, StripeError> {
        self.list(&format!("/v1/customers/{customer}/payment_methods"), &[]).await
    }
}
