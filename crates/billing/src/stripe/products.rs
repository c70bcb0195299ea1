//! Products: each of ours that a plan of Stripe's rating opens is one.

use super::{StripeError, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/products`
#[derive(Debug, Clone, Deserialize)]
pub struct Product {
    pub id: String,
    #[serde(default)]
    pub deleted: bool,
    #[serde(default)]
    pub active: bool,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

impl Stripe {
    /// One by its id, which is ours to choose.
    pub async fn product(&self, id: &str) -> Result<Product, StripeError> {
        self.get(&format!("/v1/products/{id}"), &[]).await
    }

    /// Makes one. There is no key: Stripe refuses a second one of the same id.
    pub async fn create_product(&self, parameters: &Parameters) -> Result<Product, StripeError> {
        self.post("/v1/products", parameters, None).await
    }

    /// Changes what is given and leaves the rest.
    pub async fn update_product(&self, id: &str, parameters: &Parameters) -> Result<Product, StripeError> {
        self.post(&format!("/v1/products/{id}"), parameters, None).await
    }
}
