//! Prices. Stripe never changes an amount: another price takes over the lookup key.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/prices`
#[derive(Debug, Clone, Deserialize)]
pub struct Price {
    pub id: String,
    #[serde(default)]
    pub active: bool,
    pub nickname: Option<String>,
    pub lookup_key: Option<String>,
    /// Lower case.
    #[serde(default)]
    pub currency: String,
    /// The product's id.
    #[serde(default)]
    pub product: String,
    pub recurring: Option<Recurring>,
    /// `per_unit` or `tiered`.
    #[serde(default)]
    pub billing_scheme: String,
    /// In the smallest coin.
    pub unit_amount_decimal: Option<String>,
    /// `graduated` or `volume`.
    pub tiers_mode: Option<String>,
    pub tiers: Option<Vec<Tier>>,
    pub transform_quantity: Option<TransformQuantity>,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// How often it is billed, and by what.
#[derive(Debug, Clone, Deserialize)]
pub struct Recurring {
    pub interval: String,
    pub interval_count: u64,
    /// `licensed` or `metered`.
    pub usage_type: String,
    pub meter: Option<String>,
}

/// One step of a price.
#[derive(Debug, Clone, Deserialize)]
pub struct Tier {
    /// The last unit of it; the last tier has none.
    pub up_to: Option<u64>,
    pub unit_amount_decimal: Option<String>,
    pub flat_amount_decimal: Option<String>,
}

/// Packages: units are divided before they are priced.
#[derive(Debug, Clone, Deserialize)]
pub struct TransformQuantity {
    pub divide_by: u64,
    /// `up` or `down`.
    pub round: String,
}

impl Listed for Price {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// The price that has a lookup key, with its tiers, in use or not.
    pub async fn price_by_lookup_key(&self, lookup_key: &str) -> Result<Option<Price>, StripeError> {
        let filter = [("lookup_keys[]", lookup_key), ("expand[]", "data.tiers")];
        Ok(self.list::<Price>("/v1/prices", &filter).await?.into_iter().next())
    }

    /// Makes one.
    pub async fn create_price(&self, parameters: &Parameters, idempotency_key: &str) -> Result<Price, StripeError> {
        self.post("/v1/prices", parameters, Some(idempotency_key)).await
    }

    /// Changes what can be changed of one: whether it is in use, its nickname and its metadata.
    pub async fn update_price(&self, id: &str, parameters: &Parameters) -> Result<Price, StripeError> {
        self.post(&format!("/v1/prices/{id}"), parameters, None).await
    }
}
