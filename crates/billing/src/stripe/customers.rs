//! Customers: a partner is one.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/customers`
#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    pub id: String,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

impl Listed for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// The customer that carries this metadata. The list by e-mail address is up to date at once; the search, which covers
    /// customers without one, lags by about a minute.
    pub async fn find_customer(
        &self,
        email: Option<&str>,
        key: &str,
        value: &str,
    ) -> Result<Option<Customer>, StripeError> {
        if let Some(email) = email {
            let listed: Vec<Customer> = self.list("/v1/customers", &[("email", email)]).await?;
            if let Some(found) =
                listed.into_iter().find(|customer| customer.metadata.get(key).is_some_and(|held| held == value))
            {
                return Ok(Some(found));
            }
        }
        let found = self.search("/v1/customers/search", &format!("metadata['{key}']:'{value}'")).await?;
        Ok(found.into_iter().next())
    }

    /// Changes what is given and leaves the rest.
    pub async fn update_customer(&self, id: &str, parameters: &Parameters) -> Result<Customer, StripeError> {
        self.post(&format!("/v1/customers/{id}"), parameters, None).await
    }
}
