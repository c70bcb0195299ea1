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
    /// In the smallest coin, with tax.
    pub total: i64,
    /// The same without tax; none from those who do not say.
    #[serde(default)]
    pub total_excluding_tax: Option<i64>,
    #[serde(default)]
    pub automatic_tax: AutomaticTax,
    /// Whether Stripe makes a draft final, and collects, by itself; none from those who do not say.
    #[serde(default)]
    pub auto_advance: Option<bool>,
    /// Lower case.
    pub currency: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// Of one that a subscription has made: when the period ended whose usage it bills, in seconds since 1970.
    #[serde(default)]
    pub period_end: Option<i64>,
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

/// How Stripe Tax stands with an invoice.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AutomaticTax {
    #[serde(default)]
    pub enabled: bool,
    /// `complete`, `requires_location_inputs` or `failed`.
    #[serde(default)]
    pub status: Option<String>,
    /// Why Stripe switched it off by itself, as `finalization_requires_location_inputs`.
    #[serde(default)]
    pub disabled_reason: Option<String>,
}

/// When an invoice became what it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StatusTransitions {
    /// Seconds since 1970.
    #[serde(default)]
    pub finalized_at: Option<i64>,
}

/// A line of an invoice.
#[derive(Debug, Clone, Deserialize)]
pub struct StripeLine {
    pub id: String,
    /// In the smallest coin, without tax that comes on top.
    pub amount: i64,
    /// Of the item that it is of.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    #[serde(default)]
    pub parent: Option<LineParent>,
}

/// Where a line comes from.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LineParent {
    /// `subscription_item_details` or `invoice_item_details`.
    #[serde(default, rename = "type")]
    pub kind: String,
}

impl StripeLine {
    /// Whether a subscription's price has made it.
    pub fn is_rated(&self) -> bool {
        self.parent.as_ref().is_some_and(|parent| parent.kind == "subscription_item_details")
    }
}

impl Listed for StripeLine {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeInvoice {
    pub fn is_draft(&self) -> bool {
        self.status.as_deref() == Some("draft")
    }

    /// Whether nobody makes the draft final unless somebody does so by hand.
    pub fn stays_draft(&self) -> bool {
        self.is_draft() && self.auto_advance == Some(false)
    }

    /// What it comes to before tax, in the smallest coin.
    pub fn before_tax(&self) -> i64 {
        self.total_excluding_tax.unwrap_or(self.total)
    }

    /// What Stripe Tax computed, in the smallest coin; `None` where it computes none.
    pub fn tax(&self) -> Option<i64> {
        self.automatic_tax.enabled.then(|| self.total - self.before_tax())
    }

    /// What part of an amount with tax is before tax, in the smallest coin: all of the one of all of the other, and else rounded down, so that
    /// parts never add up to more than the whole.
    pub fn before_tax_of(&self, coins: i64) -> i64 {
        let (whole, before) = (i128::from(self.total), i128::from(self.before_tax()));
        if whole <= 0 || before < 0 || before >= whole {
            return coins;
        }
        i64::try_from(i128::from(coins) * before / whole).unwrap_or(coins)
    }
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

    /// The lines of one, oldest first.
    pub async fn lines_of_invoice(&self, id: &str) -> Result<Vec<StripeLine>, StripeError> {
        self.list(&format!("/v1/invoices/{id}/lines"), &[]).await
    }

    /// Has the tax of a draft computed anew. There is no key: the same again does the same.
    pub async fn compute_tax_again(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("automatic_tax[enabled]".to_owned(), "true".to_owned())];
        self.post(&format!("/v1/invoices/{id}"), &parameters, None).await
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

    /// Makes a draft final that Stripe is not to collect.
    pub async fn finalize_quietly(&self, id: &str) -> Result<StripeInvoice, StripeError> {
        let parameters = [("auto_advance".to_owned(), "false".to_owned())];
        self.post(&format!("/v1/invoices/{id}/finalize"), &parameters, None).await
    }
}
